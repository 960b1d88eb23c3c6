/*
 * dropout.c - in training sets a random part p of all numbers to 0 and divides the rest by 1 - p
 * (Srivastava et al. 2014, "inverted"); in inference y is x itself. The random numbers depend on
 * the pass's key and the node, so that the backward pass draws the same again.
 */
#include "util.h"

static enum vov_status dropout_infer(struct graph *g, struct node *n, struct err *err)
{
    const struct dropout_attr *a = n->attr;
    TRY(count_inputs(n, 1, 1, err));
    if (!(a->p >= 0 && a->p < 1)) {
        return err_set(err, VOV_ESHAPE, "the probability must be in [0, 1), not %g", a->p);
    }
    graph_out(g, n, n->in[0]->shape);
    return VOV_OK;
}

static void dropout_forward(const struct node *n, const struct op_ctx *ctx)
{
    const struct dropout_attr *a = n->attr;
    const struct view x = n->in[0]->val, y = n->out[0]->val;
    if (ctx->training) {
        ctx->be->ops->dropout(ctx->be, n->salt, (real)a->p, x, 0, y);
    } else if (!tensor_is_window(n->in[0], 0, n->out[0])) {
        ctx->be->ops->copy(ctx->be, x, 0, y);
    }
}

static void dropout_backward(const struct node *n, const struct op_ctx *ctx)
{
    const struct dropout_attr *a = n->attr;
    ctx->be->ops->dropout(ctx->be, n->salt, (real)a->p, n->out[0]->grad, node_beta(n, 0),
                          n->in[0]->grad);
}

static int dropout_window(const struct graph *g, const struct node *n)
{
    (void)n;
    return g->training ? -1 : 0;
}

const struct op_type op_dropout = {
    .name = "dropout",
    .attr_size = sizeof(struct dropout_attr),
    .cheap = true,
    .view_out = true,
    .window = dropout_window,
    .narrow = true,
    .infer = dropout_infer,
    .forward = dropout_forward,
    .backward = dropout_backward,
};
