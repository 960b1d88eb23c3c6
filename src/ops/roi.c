/*
 * roi.c - regions between the heads of a two-stage detector: those to learn from, what their
 * classes and boxes lose, and what they become (det/roi.h; Ren et al. 2015, docs/mask-rcnn.md).
 */
#include "util.h"

#include <limits.h>

static enum vov_status sample_infer(struct graph *g, struct node *n, struct err *err)
{
    const struct roi_sample_attr *a = n->attr;
    TRY(count_inputs(n, 2, 2, err));
    const struct shape rois = n->in[0]->shape, truth = n->in[1]->shape;
    TRY(rows_expect(n, 1, (struct shape){truth.n, truth.c, 5, 1}, err));
    TRY(rows_expect(n, 0, (struct shape){rois.n / truth.n * truth.n, ROI_ROW, 1, 1}, err));
    graph_out(g, n, (struct shape){truth.n * a->d.rows, ROI_ROW, 1, 1});
    graph_out(g, n, (struct shape){truth.n * a->d.rows, MATCH_ROW, 1, 1});
    return VOV_OK;
}

static size_t sample_scratch(const struct node *n, struct backend *be, bool training)
{
    const struct roi_sample_attr *a = n->attr;
    (void)training;
    return be->ops->roi_sample_scratch(be, &a->d, n->in[0]->val, n->in[1]->val);
}

static void sample_forward(const struct node *n, const struct op_ctx *ctx)
{
    const struct roi_sample_attr *a = n->attr;
    ctx->be->ops->roi_sample(ctx->be, &a->d, n->salt, n->in[0]->val, n->in[1]->val, n->out[0]->val,
                             n->out[1]->val, ctx->scratch);
}

const struct op_type op_roi_sample = {
    .name = "roi_sample",
    .attr_size = sizeof(struct roi_sample_attr),
    .infer = sample_infer,
    .scratch = sample_scratch,
    .forward = sample_forward,
};

/* Class logits [N,C,1,1] and deltas [N,4*C,1,1] of N regions. */
static enum vov_status check_heads(const struct node *n, int logits, struct err *err)
{
    const struct shape s = n->in[logits]->shape;
    TRY(rows_expect(n, logits, (struct shape){s.n, s.c, 1, 1}, err));
    return rows_expect(n, logits + 1, (struct shape){s.n, 4 * s.c, 1, 1}, err);
}

enum { LOGITS, DELTAS, MATCH };

static enum vov_status loss_infer(struct graph *g, struct node *n, struct err *err)
{
    TRY(count_inputs(n, 3, 3, err));
    TRY(check_heads(n, LOGITS, err));
    TRY(rows_expect(n, MATCH, (struct shape){n->in[LOGITS]->shape.n, MATCH_ROW, 1, 1}, err));
    loss_out(g, n, 4);
    return VOV_OK;
}

static void loss_forward(const struct node *n, const struct op_ctx *ctx)
{
    ctx->be->ops->roi_loss_fwd(ctx->be, n->in[LOGITS]->val, n->in[DELTAS]->val, n->in[MATCH]->val,
                               n->out[0]->val.p);
}

static void loss_backward(const struct node *n, const struct op_ctx *ctx)
{
    ctx->be->ops->roi_loss_bwd(ctx->be, n->in[LOGITS]->val, n->in[DELTAS]->val, n->in[MATCH]->val,
                               n->out[0]->val.p, ctx->gain, node_beta(n, LOGITS),
                               wanted_grad(n, LOGITS), node_beta(n, DELTAS),
                               wanted_grad(n, DELTAS));
}

const struct op_type op_roi_loss = {
    .name = "roi_loss",
    .saves_in = 1 << LOGITS | 1 << DELTAS | 1 << MATCH,
    .saves_out = 1,
    .no_grad_in = 1 << MATCH,
    .infer = loss_infer,
    .forward = loss_forward,
    .backward = loss_backward,
};

static enum vov_status detect_infer(struct graph *g, struct node *n, struct err *err)
{
    const struct roi_detect_attr *a = n->attr;
    TRY(count_inputs(n, 4, 4, err));
    TRY(check_heads(n, 1, err));
    const struct shape logits = n->in[1]->shape, extent = n->in[3]->shape;
    TRY(rows_expect(n, 0, (struct shape){logits.n, ROI_ROW, 1, 1}, err));
    TRY(rows_expect(n, 1, (struct shape){logits.n, a->d.n_classes, 1, 1}, err));
    TRY(rows_expect(n, 3, (struct shape){extent.n, 4, 1, 1}, err));
    if (logits.n % extent.n != 0 || logits.n > INT_MAX / a->d.n_classes) {
        return err_set(err, VOV_ESHAPE, "%d regions for %d pictures cannot be", logits.n, extent.n);
    }
    graph_out(g, n, (struct shape){extent.n * a->d.rows, FOUND_ROW, 1, 1});
    return VOV_OK;
}

static size_t detect_scratch(const struct node *n, struct backend *be, bool training)
{
    const struct roi_detect_attr *a = n->attr;
    (void)training;
    const int pictures = n->in[3]->shape.n;
    return be->ops->roi_detect_scratch(be, &a->d, pictures, n->in[0]->shape.n / pictures);
}

static void detect_forward(const struct node *n, const struct op_ctx *ctx)
{
    const struct roi_detect_attr *a = n->attr;
    ctx->be->ops->roi_detect(ctx->be, &a->d, n->in[0]->val, n->in[1]->val, n->in[2]->val,
                             n->in[3]->val, n->out[0]->val, ctx->scratch);
}

const struct op_type op_roi_detect = {
    .name = "roi_detect",
    .attr_size = sizeof(struct roi_detect_attr),
    .infer = detect_infer,
    .scratch = detect_scratch,
    .forward = detect_forward,
};
