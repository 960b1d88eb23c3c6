/*
 * slice.c - some channels of a tensor. Where alias.c made the output a window of the input nothing
 * is done; elsewhere it is a copy.
 */
#include "util.h"

static enum vov_status slice_infer(struct graph *g, struct node *n, struct err *err)
{
    const struct slice_attr *a = n->attr;
    TRY(count_inputs(n, 1, 1, err));
    struct shape y = n->in[0]->shape;
    if (a->first < 0 || a->c < 1 || a->c > y.c || a->first > y.c - a->c) {
        return err_set(err, VOV_ESHAPE, "channels %d to %lld are not all among the %d of %s",
                       a->first, (long long)a->first + a->c - 1, y.c, n->in[0]->name);
    }
    y.c = a->c;
    graph_out(g, n, y);
    return VOV_OK;
}

static void slice_forward(const struct node *n, const struct op_ctx *ctx)
{
    const struct slice_attr *a = n->attr;
    if (!tensor_is_window(n->in[0], a->first, n->out[0])) {
        ctx->be->ops->copy(ctx->be, view_slice(n->in[0]->val, a->first, a->c), 0, n->out[0]->val);
    }
}

static void slice_backward(const struct node *n, const struct op_ctx *ctx)
{
    const struct slice_attr *a = n->attr;
    const struct view dx = n->in[0]->grad;
    if (n->gmode[0] == GRAD_SET) {
        ctx->be->ops->fill(ctx->be, dx, 0); /* the channels that were not taken */
    }
    if (n->gmode[0] != GRAD_NONE) {
        ctx->be->ops->copy(ctx->be, n->out[0]->grad, node_beta(n, 0),
                           view_slice(dx, a->first, a->c));
    }
}

static int slice_window(const struct graph *g, const struct node *n)
{
    (void)g;
    return ((const struct slice_attr *)n->attr)->first;
}

const struct op_type op_slice = {
    .name = "slice",
    .attr_size = sizeof(struct slice_attr),
    .cheap = true,
    .view_out = true,
    .window = slice_window,
    .narrow = true,
    .infer = slice_infer,
    .forward = slice_forward,
    .backward = slice_backward,
};
