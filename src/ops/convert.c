/*
 * convert.c - the same numbers in a tensor of another type. graph_narrow puts it between tensors of
 * 16 bits and ops that work on reals.
 */
#include "util.h"

static enum vov_status convert_infer(struct graph *g, struct node *n, struct err *err)
{
    TRY(count_inputs(n, 1, 1, err));
    graph_out(g, n, n->in[0]->shape);
    return VOV_OK;
}

static void convert_forward(const struct node *n, const struct op_ctx *ctx)
{
    ctx->be->ops->copy(ctx->be, n->in[0]->val, 0, n->out[0]->val);
}

static void convert_backward(const struct node *n, const struct op_ctx *ctx)
{
    ctx->be->ops->copy(ctx->be, n->out[0]->grad, node_beta(n, 0), n->in[0]->grad);
}

const struct op_type op_convert = {
    .name = "convert",
    .cheap = true,
    .view_out = true,
    .infer = convert_infer,
    .forward = convert_forward,
    .backward = convert_backward,
};
