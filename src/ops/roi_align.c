/*
 * roi_align.c - RoIAlign (He et al. 2017, 3) over the levels of a pyramid: the part of its level
 * that a region covers, as size x size bins. Regions get no gradient.
 */
#include "util.h"

enum { ROIS, MAPS };

static enum vov_status check_attr(const struct roi_align_desc *d, struct err *err)
{
    if (d->size < 1 || d->size > ROI_ALIGN_MAX_SIZE || d->sampling < 1 ||
        d->sampling > ROI_ALIGN_MAX_SAMPLING) {
        return err_set(err, VOV_ESHAPE,
                       "%dx%d bins of %dx%d samples; at most %dx%d of %dx%d are possible", d->size,
                       d->size, d->sampling, d->sampling, ROI_ALIGN_MAX_SIZE, ROI_ALIGN_MAX_SIZE,
                       ROI_ALIGN_MAX_SAMPLING, ROI_ALIGN_MAX_SAMPLING);
    }
    if (d->take < 1 || d->take > d->rows) {
        return err_set(err, VOV_ESHAPE, "%d of %d regions of a picture cannot be taken", d->take,
                       d->rows);
    }
    return VOV_OK;
}

static enum vov_status roi_align_infer(struct graph *g, struct node *n, struct err *err)
{
    struct roi_align_attr *a = n->attr;
    TRY(count_inputs(n, 2, 1 + ROI_ALIGN_MAX_LEVELS, err));
    const struct shape rois = n->in[ROIS]->shape, x = n->in[MAPS]->shape;
    a->d.n_levels = n->n_in - MAPS;
    a->d.rows = rois.n / x.n;
    a->d.take = a->take > 0 ? a->take : a->d.rows;
    for (int i = MAPS; i < n->n_in; i++) {
        const struct shape s = n->in[i]->shape;
        if (s.n != x.n || s.c != x.c) {
            return err_set(err, VOV_ESHAPE, "%s has %d channels and %s has %d; they must be equal",
                           n->in[MAPS]->name, x.c, n->in[i]->name, s.c);
        }
    }
    if (rois.n % x.n != 0 || rois.c < 5 || rois.h != 1 || rois.w != 1) {
        return err_set(err, VOV_ESHAPE, "%s is %dx%dx%dx%d: no rows of regions for %d pictures",
                       n->in[ROIS]->name, rois.n, rois.c, rois.h, rois.w, x.n);
    }
    TRY(check_attr(&a->d, err));
    graph_out(g, n, (struct shape){x.n * a->d.take, x.c, a->d.size, a->d.size});
    return VOV_OK;
}

static void roi_align_forward(const struct node *n, const struct op_ctx *ctx)
{
    const struct roi_align_attr *a = n->attr;
    struct view map[ROI_ALIGN_MAX_LEVELS];
    for (int i = MAPS; i < n->n_in; i++) {
        map[i - MAPS] = n->in[i]->val;
    }
    ctx->be->ops->roi_align_fwd(ctx->be, &a->d, map, n->in[ROIS]->val, n->out[0]->val);
}

static void roi_align_backward(const struct node *n, const struct op_ctx *ctx)
{
    const struct roi_align_attr *a = n->attr;
    struct view map[ROI_ALIGN_MAX_LEVELS];
    for (int i = MAPS; i < n->n_in; i++) {
        map[i - MAPS] = n->in[i]->grad;
        if (n->gmode[i] == GRAD_NONE) {
            map[i - MAPS].p = NULL;
        } else if (n->gmode[i] == GRAD_SET) {
            ctx->be->ops->fill(ctx->be, map[i - MAPS], 0);
        }
    }
    ctx->be->ops->roi_align_bwd(ctx->be, &a->d, n->in[ROIS]->val, n->out[0]->grad, map);
}

const struct op_type op_roi_align = {
    .name = "roi_align",
    .attr_size = sizeof(struct roi_align_attr),
    .saves_in = 1 << ROIS,
    .no_grad_in = 1 << ROIS,
    .infer = roi_align_infer,
    .forward = roi_align_forward,
    .backward = roi_align_backward,
};
