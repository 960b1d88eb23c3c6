/*
 * connected.c - y[n,o] = act(sum over k of w[o,k] * x[n,k] + bias[o]), where k counts all of an
 * image's numbers. The weight is [out_c, c, h, w]: each row lies in memory as an image does.
 */
#include "util.h"

#include <math.h>

static enum vov_status connected_infer(struct graph *g, struct node *n, struct err *err)
{
    const struct connected_attr *a = n->attr;
    const struct param_init zero = {INIT_CONST, 0};
    struct param_init init = a->init;
    TRY(count_inputs(n, 1, 1, err));
    const struct shape x = n->in[0]->shape;
    const int k = x.c * x.h * x.w;
    TRY(check_fused(g, a->act, err));
    if (a->out_c < 1) {
        return err_set(err, VOV_ESHAPE, "the number of outputs must be at least 1, not %d",
                       a->out_c);
    }
    if (init.kind == INIT_CONST && init.scale == 0) {
        init = (struct param_init){INIT_UNIFORM, 1 / sqrt((double)k)};
    }
    graph_out(g, n, (struct shape){x.n, a->out_c, 1, 1});
    graph_param(g, n, "weight", (struct shape){a->out_c, x.c, x.h, x.w}, PARAM_WEIGHT, init);
    if (a->bias) {
        graph_param(g, n, "bias", (struct shape){1, a->out_c, 1, 1}, PARAM_BIAS, zero);
    }
    return VOV_OK;
}

static void connected_saves(const struct node *n, unsigned *in, unsigned *out)
{
    const struct connected_attr *a = n->attr;
    *in = param_learns(n->param[0]);
    *out = a->act != ACT_LINEAR;
}

/* Whether each image's numbers lie side by side on every device. Else a dense copy is made. */
static bool has_rows(struct view v)
{
    return view_plane(v) == 1 || v.c == v.rc;
}

static struct view dense_copy(const struct node *n, const struct op_ctx *ctx)
{
    return view_dense(ctx->scratch, n->in[0]->shape);
}

static size_t connected_scratch(const struct node *n, struct backend *be, bool training)
{
    (void)be, (void)training;
    return has_rows(n->in[0]->val) ? 0 : shape_count(n->in[0]->shape) * sizeof(real);
}

/* A view as a matrix of one row for each image: where it begins, and how far rows lie apart. */
static real *rows(struct view v, int *step)
{
    *step = v.rc * v.h * v.w;
    return v.p + v.c0;
}

static const real *input_rows(const struct node *n, const struct op_ctx *ctx, int *step)
{
    struct view x = n->in[0]->val;
    if (!has_rows(x)) {
        x = dense_copy(n, ctx);
        ctx->be->ops->copy(ctx->be, n->in[0]->val, 0, x);
    }
    return rows(x, step);
}

static int row_length(const struct node *n)
{
    const struct shape w = n->param[0]->shape;
    return w.c * w.h * w.w;
}

static void connected_forward(const struct node *n, const struct op_ctx *ctx)
{
    const struct connected_attr *a = n->attr;
    const struct view y = n->out[0]->val;
    const int k = row_length(n);
    int ldx, ldy;
    const real *px = input_rows(n, ctx, &ldx);
    real *py = rows(y, &ldy);
    ctx->be->ops->gemm(ctx->be, false, true, y.n, a->out_c, k, px, ldx, n->param[0]->val.p, k, 0,
                       py, ldy);
    if (a->bias || a->act != ACT_LINEAR) {
        ctx->be->ops->affine(ctx->be, NULL, a->bias ? n->param[1]->val.p : NULL, a->act, y, y);
    }
}

static void input_gradient(const struct node *n, const struct op_ctx *ctx, const real *pdy, int ldy)
{
    const struct backend_ops *ops = ctx->be->ops;
    const struct view dx = n->in[0]->grad;
    const bool direct = has_rows(dx);
    const struct view to = direct ? dx : dense_copy(n, ctx);
    const int k = row_length(n);
    int ldx;
    real *pdx = rows(to, &ldx);
    ops->gemm(ctx->be, false, false, dx.n, k, n->param[0]->shape.n, pdy, ldy, n->param[0]->val.p, k,
              direct ? node_beta(n, 0) : 0, pdx, ldx);
    if (!direct) {
        ops->copy(ctx->be, to, node_beta(n, 0), dx);
    }
}

static void connected_backward(const struct node *n, const struct op_ctx *ctx)
{
    const struct connected_attr *a = n->attr;
    const struct backend_ops *ops = ctx->be->ops;
    const struct view dy = n->out[0]->grad;
    const int k = row_length(n);
    int ldy, ldx;
    unfuse_act(n, ctx, a->act);
    const real *pdy = rows(dy, &ldy);
    if (n->gmode[0] != GRAD_NONE) {
        input_gradient(n, ctx, pdy, ldy);
    }
    if (param_learns(n->param[0])) {
        const real *px = input_rows(n, ctx, &ldx);
        ops->gemm(ctx->be, true, false, a->out_c, k, dy.n, pdy, ldy, px, ldx, 1,
                  n->param[0]->grad.p, k);
    }
    if (a->bias && param_learns(n->param[1])) {
        ops->channel_sum(ctx->be, dy, n->param[1]->grad.p);
    }
}

static void connected_count(const struct node *n, struct op_cost *cost)
{
    conv_cost(n, n->in[0]->shape.n, cost);
}

static enum vov_status connected_absorb(struct graph *g, struct node *n, const struct node *next,
                                        bool *done)
{
    struct connected_attr *a = n->attr;
    (void)g;
    *done = act_absorb(next, &a->act);
    return VOV_OK;
}

const struct op_type op_connected = {
    .name = "connected",
    .attr_size = sizeof(struct connected_attr),
    .saves = connected_saves,
    .view_out = true,
    .infer = connected_infer,
    .scratch = connected_scratch,
    .forward = connected_forward,
    .backward = connected_backward,
    .cost = connected_count,
    .absorb = connected_absorb,
};
