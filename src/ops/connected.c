/*
 * connected.c - y[n,o] = act(sum over k of w[o,k] * x[n,k] + bias[o]), where k counts all of an
 * image's numbers. The weight is [out_c, c*h*w].
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
    graph_param(g, n, "weight", (struct shape){a->out_c, k, 1, 1}, PARAM_WEIGHT, init);
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

/* A view as a matrix of one row for each image: where it begins, and how far rows lie apart. */
static real *rows(struct view v, int *step)
{
    *step = v.rc * v.h * v.w;
    return view_at(v, 0, 0);
}

static void connected_forward(const struct node *n, const struct op_ctx *ctx)
{
    const struct connected_attr *a = n->attr;
    const struct view y = n->out[0]->val;
    const int k = n->param[0]->shape.c;
    int ldx, ldy;
    const real *px = rows(n->in[0]->val, &ldx);
    real *py = rows(y, &ldy);
    ctx->be->ops->gemm(ctx->be, false, true, y.n, a->out_c, k, px, ldx, n->param[0]->val.p, k, 0,
                       py, ldy);
    if (a->bias || a->act != ACT_LINEAR) {
        ctx->be->ops->affine(ctx->be, NULL, a->bias ? n->param[1]->val.p : NULL, a->act, y, y);
    }
}

static void connected_backward(const struct node *n, const struct op_ctx *ctx)
{
    const struct connected_attr *a = n->attr;
    const struct backend_ops *ops = ctx->be->ops;
    const struct view dy = n->out[0]->grad;
    const int k = n->param[0]->shape.c;
    int ldy, ldx;
    unfuse_act(n, ctx, a->act);
    const real *pdy = rows(dy, &ldy);
    if (n->gmode[0] != GRAD_NONE) {
        real *pdx = rows(n->in[0]->grad, &ldx);
        ops->gemm(ctx->be, false, false, dy.n, k, a->out_c, pdy, ldy, n->param[0]->val.p, k,
                  node_beta(n, 0), pdx, ldx);
    }
    if (param_learns(n->param[0])) {
        const real *px = rows(n->in[0]->val, &ldx);
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
    .forward = connected_forward,
    .backward = connected_backward,
    .cost = connected_count,
    .absorb = connected_absorb,
};
