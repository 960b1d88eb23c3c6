/*
 * norm.c - batch norm (Ioffe, Szegedy 2015) and group norm (Wu, He 2018), with the activation that
 * follows. Training keeps x and the statistics only: y is computed again when something needs it.
 * In inference batch norm uses the running statistics.
 */
#include "util.h"

enum { GAMMA, BETA, MEAN, VAR };

static enum vov_status norm_infer(struct graph *g, struct node *n, struct err *err)
{
    const struct norm_attr *a = n->attr;
    TRY(count_inputs(n, 1, 1, err));
    const struct shape x = n->in[0]->shape;
    const struct shape each = {1, x.c, 1, 1};
    const struct param_init zero = {INIT_CONST, 0}, one = {INIT_CONST, 1};
    if (a->groups < 0 || (a->groups > 0 && x.c % a->groups != 0)) {
        return err_set(err, VOV_ESHAPE, "%d channels do not divide into %d groups", x.c, a->groups);
    }
    graph_out(g, n, x);
    if (g->training) {
        graph_out(g, n,
                  a->groups > 0 ? (struct shape){x.n, a->groups, 2, 1}
                                : (struct shape){1, x.c, 2, 1});
    }
    graph_param(g, n, "gamma", each, PARAM_GAMMA, one);
    graph_param(g, n, "beta", each, PARAM_BETA, zero);
    for (int i = 0; a->frozen && i < n->n_param; i++) {
        n->param[i]->frozen = true;
    }
    if (a->groups == 0) {
        graph_param(g, n, "mean", each, PARAM_MEAN, zero);
        graph_param(g, n, "var", each, PARAM_VAR, one);
    }
    return VOV_OK;
}

/* A frozen one reads y to undo the activation, the others x and the statistics. */
static void norm_saves(const struct node *n, unsigned *in, unsigned *out)
{
    const struct norm_attr *a = n->attr;
    if (a->frozen) {
        *in = 0;
        *out = a->act != ACT_LINEAR;
    }
}

/* In inference the statistics need no memory of their own. A frozen norm's backward pass wants
 * zeros, statistics, and room for a gradient that is to be added. */
static size_t norm_scratch(const struct node *n, struct backend *be, bool training)
{
    const struct norm_attr *a = n->attr;
    const struct shape x = n->in[0]->shape;
    (void)be;
    if (training && a->frozen) {
        const size_t room = n->gmode[0] == GRAD_ADD ? shape_count(x) : 0;
        return sizeof(real) * ((3 * (size_t)x.c + 63) / 64 * 64 + room);
    }
    if (training) {
        return 0;
    }
    return 2 * sizeof(real) * (a->groups > 0 ? (size_t)x.n * (size_t)a->groups : (size_t)x.c);
}

static void apply(const struct node *n, const struct op_ctx *ctx, const real *stats)
{
    const struct norm_attr *a = n->attr;
    ctx->be->ops->norm_apply(ctx->be, n->in[0]->val, a->groups, stats, n->param[GAMMA]->val.p,
                             n->param[BETA]->val.p, a->act, n->out[0]->val);
}

static void norm_forward(const struct node *n, const struct op_ctx *ctx)
{
    const struct norm_attr *a = n->attr;
    const struct backend_ops *ops = ctx->be->ops;
    const bool batch = a->groups == 0;
    const struct view x = n->in[0]->val;
    real *stats = ctx->training ? n->out[1]->val.p : ctx->scratch;
    if (batch && (!ctx->training || a->frozen)) {
        ops->norm_running(ctx->be, x.c, (real)a->eps, n->param[MEAN]->val.p, n->param[VAR]->val.p,
                          stats);
        apply(n, ctx, stats);
        return;
    }
    ops->norm_fwd(ctx->be, x, a->groups, (real)a->eps, (real)a->momentum,
                  batch ? n->param[MEAN]->val.p : NULL, batch ? n->param[VAR]->val.p : NULL, stats,
                  n->param[GAMMA]->val.p, n->param[BETA]->val.p, a->act, n->out[0]->val);
}

static void norm_again(const struct node *n, const struct op_ctx *ctx)
{
    apply(n, ctx, n->out[1]->val.p);
}

/* dx = gamma / sqrt(var + eps) * dy: a norm of dy with means and shifts of 0. */
static void frozen_backward(const struct node *n, const struct op_ctx *ctx)
{
    const struct norm_attr *a = n->attr;
    const struct backend_ops *ops = ctx->be->ops;
    const struct view dy = n->out[0]->grad, dx = n->in[0]->grad;
    const bool add = n->gmode[0] == GRAD_ADD;
    const size_t c = (size_t)dy.c, lines = (3 * c + 63) / 64 * 64;
    real *zero = ctx->scratch, *stats = zero + c;
    struct view to = dx;
    if (add) {
        to = view_dense(zero + lines, n->in[0]->shape);
        to.type = dx.type;
    }
    unfuse_act(n, ctx, a->act);
    ops->block_fill(ctx->be, c, zero, 0);
    ops->norm_running(ctx->be, dy.c, (real)a->eps, zero, n->param[VAR]->val.p, stats);
    ops->norm_apply(ctx->be, dy, 0, stats, n->param[GAMMA]->val.p, zero, ACT_LINEAR, to);
    if (add) {
        ops->copy(ctx->be, to, 1, dx);
    }
}

static void norm_backward(const struct node *n, const struct op_ctx *ctx)
{
    const struct norm_attr *a = n->attr;
    const struct view none = {0};
    if (a->frozen) {
        if (n->gmode[0] != GRAD_NONE) {
            frozen_backward(n, ctx);
        }
        return;
    }
    ctx->be->ops->norm_bwd(ctx->be, n->in[0]->val, a->groups, n->out[1]->val.p,
                           n->param[GAMMA]->val.p, n->param[BETA]->val.p, a->act, n->out[0]->grad,
                           node_beta(n, 0), n->gmode[0] == GRAD_NONE ? none : n->in[0]->grad,
                           n->param[GAMMA]->grad.p, n->param[BETA]->grad.p);
}

static bool norm_leaves_grad(const struct node *n)
{
    const struct norm_attr *a = n->attr;
    return !a->frozen || a->act == ACT_LINEAR;
}

static void norm_count(const struct node *n, struct op_cost *cost)
{
    const struct norm_attr *a = n->attr;
    cost->bn = a->groups == 0 ? (int64_t)shape_count(n->out[0]->shape) : 0;
}

const struct op_type op_norm = {
    .name = "norm",
    .attr_size = sizeof(struct norm_attr),
    .saves_in = 1,
    .saves_out = 2,
    .saves = norm_saves,
    .cheap = true,
    .view_out = true,
    .narrow = true,
    .infer = norm_infer,
    .scratch = norm_scratch,
    .forward = norm_forward,
    .again = norm_again,
    .backward = norm_backward,
    .leaves_grad = norm_leaves_grad,
    .cost = norm_count,
};
