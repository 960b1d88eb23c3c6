/*
 * smooth_l1.c - the sum over all numbers of weight * smoothl1(x - target), divided by a constant:
 * Girshick 2015 (Fast R-CNN), Eq. 3.
 */
#include "util.h"

static real or_one(double v)
{
    return v != 0 ? (real)v : 1;
}

static enum vov_status smooth_l1_infer(struct graph *g, struct node *n, struct err *err)
{
    TRY(count_inputs(n, 3, 3, err));
    TRY(same_shape(n, 0, 1, err));
    TRY(same_shape(n, 0, 2, err));
    struct tensor *loss = graph_out(g, n, (struct shape){1, 1, 1, 1});
    if (loss != NULL) {
        loss->flags |= T_LOSS | T_KEEP;
    }
    return VOV_OK;
}

static void smooth_l1_forward(const struct node *n, const struct op_ctx *ctx)
{
    const struct smooth_l1_attr *a = n->attr;
    ctx->be->ops->smooth_l1_fwd(ctx->be, n->in[0]->val, n->in[1]->val, n->in[2]->val,
                                or_one(a->sigma), or_one(a->norm), n->out[0]->val.p);
}

static void smooth_l1_backward(const struct node *n, const struct op_ctx *ctx)
{
    const struct smooth_l1_attr *a = n->attr;
    ctx->be->ops->smooth_l1_bwd(ctx->be, n->in[0]->val, n->in[1]->val, n->in[2]->val,
                                or_one(a->sigma), or_one(a->norm), ctx->gain * or_one(a->weight),
                                node_beta(n, 0), n->in[0]->grad);
}

const struct op_type op_smooth_l1 = {
    .name = "smooth_l1",
    .attr_size = sizeof(struct smooth_l1_attr),
    .saves_in = 7,
    .no_grad_in = 6,
    .infer = smooth_l1_infer,
    .forward = smooth_l1_forward,
    .backward = smooth_l1_backward,
};
