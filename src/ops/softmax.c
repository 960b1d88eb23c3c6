/*
 * softmax.c - over the channels of each pixel: as an output, and with the cross-entropy as a loss.
 */
#include "util.h"

static enum vov_status softmax_infer(struct graph *g, struct node *n, struct err *err)
{
    TRY(count_inputs(n, 1, 1, err));
    graph_out(g, n, n->in[0]->shape);
    return VOV_OK;
}

static void softmax_forward(const struct node *n, const struct op_ctx *ctx)
{
    ctx->be->ops->softmax_fwd(ctx->be, n->in[0]->val, n->out[0]->val);
}

static void softmax_backward(const struct node *n, const struct op_ctx *ctx)
{
    ctx->be->ops->softmax_bwd(ctx->be, n->out[0]->val, n->out[0]->grad, node_beta(n, 0),
                              n->in[0]->grad);
}

const struct op_type op_softmax = {
    .name = "softmax",
    .saves_out = 1,
    .view_out = true,
    .infer = softmax_infer,
    .forward = softmax_forward,
    .backward = softmax_backward,
};

static enum vov_status loss_infer(struct graph *g, struct node *n, struct err *err)
{
    TRY(count_inputs(n, 2, 2, err));
    const struct shape x = n->in[0]->shape, label = n->in[1]->shape;
    if (label.n != x.n || label.c != 1 || label.h != x.h || label.w != x.w) {
        return err_set(err, VOV_ESHAPE, "labels must be 1x%dx%d, but %s is %dx%dx%d", x.h, x.w,
                       n->in[1]->name, label.c, label.h, label.w);
    }
    struct tensor *loss = graph_out(g, n, (struct shape){1, 1, 1, 1});
    if (loss != NULL) {
        loss->flags |= T_LOSS | T_KEEP;
    }
    return VOV_OK;
}

static void loss_forward(const struct node *n, const struct op_ctx *ctx)
{
    ctx->be->ops->softmax_loss_fwd(ctx->be, n->in[0]->val, n->in[1]->val, n->out[0]->val.p);
}

static void loss_backward(const struct node *n, const struct op_ctx *ctx)
{
    const struct softmax_loss_attr *a = n->attr;
    const real gain = ctx->gain * (a->weight != 0 ? (real)a->weight : 1);
    ctx->be->ops->softmax_loss_bwd(ctx->be, n->in[0]->val, n->in[1]->val, gain, node_beta(n, 0),
                                   n->in[0]->grad);
}

const struct op_type op_softmax_loss = {
    .name = "softmax_loss",
    .attr_size = sizeof(struct softmax_loss_attr),
    .saves_in = 3,
    .no_grad_in = 2,
    .infer = loss_infer,
    .forward = loss_forward,
    .backward = loss_backward,
};
