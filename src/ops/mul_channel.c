/*
 * mul_channel.c - y[n,c,h,w] = x[n,c,h,w] * s[n,c]: what squeeze-and-excitation ends in.
 */
#include "util.h"

static enum vov_status mul_infer(struct graph *g, struct node *n, struct err *err)
{
    TRY(count_inputs(n, 2, 2, err));
    const struct shape x = n->in[0]->shape, s = n->in[1]->shape;
    if (s.n != x.n || s.c != x.c || s.h != 1 || s.w != 1) {
        return err_set(err, VOV_ESHAPE, "factors must be %dx1x1, but %s is %dx%dx%d", x.c,
                       n->in[1]->name, s.c, s.h, s.w);
    }
    graph_out(g, n, x);
    return VOV_OK;
}

static void mul_forward(const struct node *n, const struct op_ctx *ctx)
{
    ctx->be->ops->mul_channel_fwd(ctx->be, n->in[0]->val, n->in[1]->val, n->out[0]->val);
}

static void mul_backward(const struct node *n, const struct op_ctx *ctx)
{
    const struct view none = {0};
    ctx->be->ops->mul_channel_bwd(ctx->be, n->in[0]->val, n->in[1]->val, n->out[0]->grad,
                                  node_beta(n, 0), n->gmode[0] == GRAD_NONE ? none : n->in[0]->grad,
                                  node_beta(n, 1),
                                  n->gmode[1] == GRAD_NONE ? none : n->in[1]->grad);
}

const struct op_type op_mul_channel = {
    .name = "mul_channel",
    .saves_in = 3,
    .cheap = true,
    .view_out = true,
    .narrow = true,
    .infer = mul_infer,
    .forward = mul_forward,
    .backward = mul_backward,
};
