/*
 * concat.c - several tensors one behind the other along the channels. Inputs that alias.c made
 * slices of the output are in place already, and so are their gradients; only others are copied.
 */
#include "util.h"

#include <limits.h>

static enum vov_status concat_infer(struct graph *g, struct node *n, struct err *err)
{
    TRY(count_inputs(n, 1, INT_MAX, err));
    struct shape y = n->in[0]->shape;
    long long c = y.c;
    for (int i = 1; i < n->n_in; i++) {
        const struct shape x = n->in[i]->shape;
        if (x.n != y.n || x.h != y.h || x.w != y.w) {
            return err_set(err, VOV_ESHAPE, "%s is %dx%d and %s is %dx%d; only channels may differ",
                           n->in[0]->name, y.h, y.w, n->in[i]->name, x.h, x.w);
        }
        c += x.c;
    }
    if (c > INT_MAX) {
        return err_set(err, VOV_ESHAPE, "%lld channels are too many", c);
    }
    y.c = (int)c;
    graph_out(g, n, y);
    return VOV_OK;
}

static void concat_forward(const struct node *n, const struct op_ctx *ctx)
{
    int first = 0;
    for (int i = 0; i < n->n_in; i++) {
        const struct view x = n->in[i]->val;
        if (!tensor_is_window(n->out[0], first, n->in[i])) {
            ctx->be->ops->copy(ctx->be, x, 0, view_slice(n->out[0]->val, first, x.c));
        }
        first += x.c;
    }
}

static void concat_backward(const struct node *n, const struct op_ctx *ctx)
{
    int first = 0;
    for (int i = 0; i < n->n_in; i++) {
        const int c = n->in[i]->shape.c;
        if (n->gmode[i] != GRAD_NONE) {
            ctx->be->ops->copy(ctx->be, view_slice(n->out[0]->grad, first, c), node_beta(n, i),
                               n->in[i]->grad);
        }
        first += c;
    }
}

const struct op_type op_concat = {
    .name = "concat",
    .cheap = true,
    .view_out = true,
    .gathers = true,
    .narrow = true,
    .infer = concat_infer,
    .forward = concat_forward,
    .backward = concat_backward,
};
