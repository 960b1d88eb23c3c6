/*
 * rpn.c - the region proposal network's ends: its proposals, and its loss (det/roi.h; Ren et al.
 * 2015, 3.1). Proposals get no gradient.
 */
#include "util.h"

enum { LOGITS, DELTAS, TRUTH };

/* Logits [n,P,1,1] and deltas [n,P,4,1], and what of the input is picture [n,4,1,1]. */
static enum vov_status check_inputs(const struct node *n, const struct anchors *a, int extent,
                                    struct err *err)
{
    const int rows = anchors_count(a), batch = n->in[LOGITS]->shape.n;
    TRY(rows_expect(n, LOGITS, (struct shape){batch, rows, 1, 1}, err));
    TRY(rows_expect(n, DELTAS, (struct shape){batch, rows, 4, 1}, err));
    return rows_expect(n, extent, (struct shape){batch, 4, 1, 1}, err);
}

/* The anchors as an output that never changes, for devices with a memory of their own. */
static void anchors_out(struct graph *g, struct node *n, const struct anchors *a)
{
    struct tensor *t = graph_out(g, n, (struct shape){1, anchors_count(a), 4, 1});
    if (t != NULL) {
        t->constant = &a->box[0].x0;
    }
}

static enum vov_status proposals_infer(struct graph *g, struct node *n, struct err *err)
{
    const struct proposals_attr *a = n->attr;
    TRY(count_inputs(n, 3, 3, err));
    TRY(check_inputs(n, &a->d.anchors, 2, err));
    const long long rows = (long long)n->in[LOGITS]->shape.n * a->d.keep;
    if (rows > 1 << 24) {
        return err_set(err, VOV_ESHAPE, "%lld proposals are too many", rows);
    }
    graph_out(g, n, (struct shape){(int)rows, ROI_ROW, 1, 1});
    anchors_out(g, n, &a->d.anchors);
    return VOV_OK;
}

static size_t proposals_scratch(const struct node *n, struct backend *be, bool training)
{
    const struct proposals_attr *a = n->attr;
    (void)training;
    return be->ops->proposals_scratch(be, &a->d, n->in[LOGITS]->shape.n);
}

static void proposals_forward(const struct node *n, const struct op_ctx *ctx)
{
    const struct proposals_attr *a = n->attr;
    ctx->be->ops->proposals(ctx->be, &a->d, n->out[1]->val, n->in[LOGITS]->val, n->in[DELTAS]->val,
                            n->in[2]->val, n->out[0]->val, ctx->scratch);
}

const struct op_type op_proposals = {
    .name = "proposals",
    .attr_size = sizeof(struct proposals_attr),
    .infer = proposals_infer,
    .scratch = proposals_scratch,
    .forward = proposals_forward,
};

static enum vov_status rpn_infer(struct graph *g, struct node *n, struct err *err)
{
    const struct rpn_loss_attr *a = n->attr;
    TRY(count_inputs(n, 4, 4, err));
    TRY(check_inputs(n, &a->d.anchors, 3, err));
    const struct shape logits = n->in[LOGITS]->shape;
    const struct shape truth = {logits.n, n->in[TRUTH]->shape.c, 5, 1};
    TRY(rows_expect(n, TRUTH, truth, err));
    loss_out(g, n, 4);
    graph_out(g, n, (struct shape){logits.n, logits.c, 5, 1});
    anchors_out(g, n, &a->d.anchors);
    return VOV_OK;
}

static size_t rpn_scratch(const struct node *n, struct backend *be, bool training)
{
    const struct rpn_loss_attr *a = n->attr;
    (void)training;
    return be->ops->rpn_scratch(be, &a->d, n->in[TRUTH]->val);
}

static void rpn_forward(const struct node *n, const struct op_ctx *ctx)
{
    const struct rpn_loss_attr *a = n->attr;
    ctx->be->ops->rpn_fwd(ctx->be, &a->d, n->salt, n->out[2]->val, n->in[LOGITS]->val,
                          n->in[DELTAS]->val, n->in[TRUTH]->val, n->in[3]->val, n->out[1]->val,
                          n->out[0]->val.p, ctx->scratch);
}

static void rpn_backward(const struct node *n, const struct op_ctx *ctx)
{
    const struct rpn_loss_attr *a = n->attr;
    ctx->be->ops->rpn_bwd(ctx->be, &a->d, n->in[LOGITS]->val, n->in[DELTAS]->val, n->out[1]->val,
                          n->out[0]->val.p, ctx->gain, node_beta(n, LOGITS), wanted_grad(n, LOGITS),
                          node_beta(n, DELTAS), wanted_grad(n, DELTAS));
}

const struct op_type op_rpn_loss = {
    .name = "rpn_loss",
    .attr_size = sizeof(struct rpn_loss_attr),
    .saves_in = 1 << LOGITS | 1 << DELTAS,
    .saves_out = 3,
    .no_grad_in = 3U << TRUTH,
    .infer = rpn_infer,
    .scratch = rpn_scratch,
    .forward = rpn_forward,
    .backward = rpn_backward,
};
