/*
 * roi_mask.c - the ends of a mask head (He et al. 2017, 3): its loss, in the channel of each
 * region's class alone, and the masks of what was found.
 */
#include "util.h"

enum { LOGITS, ROIS, MATCH, TRUTH, MASKS };

static enum vov_status loss_infer(struct graph *g, struct node *n, struct err *err)
{
    struct mask_loss_attr *a = n->attr;
    TRY(count_inputs(n, 5, 5, err));
    const struct shape x = n->in[LOGITS]->shape, rois = n->in[ROIS]->shape;
    const struct shape truth = n->in[TRUTH]->shape, masks = n->in[MASKS]->shape;
    TRY(rows_expect(n, ROIS, (struct shape){rois.n, ROI_ROW, 1, 1}, err));
    TRY(rows_expect(n, MATCH, (struct shape){rois.n, MATCH_ROW, 1, 1}, err));
    TRY(rows_expect(n, TRUTH, (struct shape){truth.n, truth.c, 5, 1}, err));
    TRY(rows_expect(n, MASKS, (struct shape){truth.n, truth.c, masks.h, masks.h}, err));
    a->d.rows = rois.n / truth.n;
    a->d.take = x.n / truth.n;
    if (x.n % truth.n != 0 || rois.n % truth.n != 0 || a->d.take > a->d.rows || x.h != x.w) {
        return err_set(err, VOV_ESHAPE, "%d masks of %dx%d and %d regions for %d pictures", x.n,
                       x.h, x.w, rois.n, truth.n);
    }
    loss_out(g, n, 2);
    graph_out(g, n, (struct shape){x.n, 1, x.h, x.w});
    return VOV_OK;
}

static void loss_forward(const struct node *n, const struct op_ctx *ctx)
{
    const struct mask_loss_attr *a = n->attr;
    ctx->be->ops->mask_loss_fwd(ctx->be, &a->d, n->in[LOGITS]->val, n->in[ROIS]->val,
                                n->in[MATCH]->val, n->in[TRUTH]->val, n->in[MASKS]->val,
                                n->out[1]->val, n->out[0]->val.p);
}

static void loss_backward(const struct node *n, const struct op_ctx *ctx)
{
    const struct mask_loss_attr *a = n->attr;
    ctx->be->ops->mask_loss_bwd(ctx->be, &a->d, n->in[LOGITS]->val, n->in[MATCH]->val,
                                n->out[1]->val, n->out[0]->val.p, ctx->gain, node_beta(n, LOGITS),
                                n->in[LOGITS]->grad);
}

const struct op_type op_mask_loss = {
    .name = "mask_loss",
    .attr_size = sizeof(struct mask_loss_attr),
    .saves_in = 1 << LOGITS | 1 << MATCH,
    .saves_out = 3,
    .no_grad_in = 15U << ROIS,
    .infer = loss_infer,
    .forward = loss_forward,
    .backward = loss_backward,
};

static enum vov_status select_infer(struct graph *g, struct node *n, struct err *err)
{
    TRY(count_inputs(n, 2, 2, err));
    const struct shape x = n->in[0]->shape;
    TRY(rows_expect(n, 1, (struct shape){x.n, FOUND_ROW, 1, 1}, err));
    graph_out(g, n, (struct shape){x.n, 1, x.h, x.w});
    return VOV_OK;
}

static void select_forward(const struct node *n, const struct op_ctx *ctx)
{
    ctx->be->ops->mask_select(ctx->be, n->in[0]->val, n->in[1]->val, n->out[0]->val);
}

const struct op_type op_mask_select = {
    .name = "mask_select",
    .infer = select_infer,
    .forward = select_forward,
};
