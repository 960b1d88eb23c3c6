/*
 * plain_roi.c - reference loops of two-stage detectors: RoIAlign as its formula says (He et al.
 * 2017, 3), the rest as det/roi.h for one picture, or one region, after the other.
 */
#include "plain.h"

#include "base/rng.h"
#include "roi.h"

#include <math.h>

/* Adds k times what sample (i, j) of a bin reads, to *sum, or, where sum is NULL, k to what it
 * reads. */
static void sample(real *x, int w, struct roi_tap v, struct roi_tap u, double k, double *sum)
{
    const int row[2] = {v.a, v.b}, column[2] = {u.a, u.b};

    for (int i = 0; i < 4 && v.inside && u.inside; i++) {
        real *at = x + (size_t)row[i / 2] * (size_t)w + (size_t)column[i % 2];
        const double part = (i / 2 == 0 ? 1 - (double)v.t : (double)v.t) *
                            (i % 2 == 0 ? 1 - (double)u.t : (double)u.t);
        if (sum != NULL) {
            *sum += k * part * (double)*at;
        } else {
            *at += (real)(k * part);
        }
    }
}

/* A bin's mean of channel plane x, or, where sum is NULL, g times its gradient to x. */
static void bin(const struct roi_align_desc *d, const real *roi, int level, struct view map,
                real *x, int ph, int pw, double g, double *sum)
{
    const struct roi_axis v = roi_axis(d, roi[1], roi[3], d->scale[level]);
    const struct roi_axis u = roi_axis(d, roi[0], roi[2], d->scale[level]);
    const int samples = d->sampling * d->sampling;

    for (int i = 0; i < samples; i++) {
        const int p = ph * d->sampling + i / d->sampling, q = pw * d->sampling + i % d->sampling;
        sample(x, map.w, roi_tap(v.start + ((real)p + (real)0.5) * v.step, map.h),
               roi_tap(u.start + ((real)q + (real)0.5) * u.step, map.w), g / samples, sum);
    }
}

static void plain_roi_align_fwd(struct backend *be, const struct roi_align_desc *d,
                                const struct view *maps, struct view rois, struct view y)
{
    (void)be;
    for (int r = 0; r < y.n; r++) {
        const real *roi = list_row(rois, roi_of(d, r));
        const int level = roi_level(d, roi);
        for (int c = 0; c < y.c; c++) {
            real *out = view_at(y, r, c), *x = view_at(maps[level], r / d->take, c);
            for (int i = 0; i < d->size * d->size; i++) {
                double sum = 0;
                if (roi[4] > 0) {
                    bin(d, roi, level, maps[level], x, i / d->size, i % d->size, 1, &sum);
                }
                out[i] = (real)sum;
            }
        }
    }
}

static void plain_roi_align_bwd(struct backend *be, const struct roi_align_desc *d,
                                struct view rois, struct view dy, const struct view *dmaps)
{
    (void)be;
    for (int r = 0; r < dy.n; r++) {
        const real *roi = list_row(rois, roi_of(d, r));
        const int level = roi_level(d, roi);
        for (int c = 0; c < dy.c && roi[4] > 0 && dmaps[level].p != NULL; c++) {
            const real *g = view_at(dy, r, c);
            real *dx = view_at(dmaps[level], r / d->take, c);
            for (int i = 0; i < d->size * d->size; i++) {
                bin(d, roi, level, dmaps[level], dx, i / d->size, i % d->size, (double)g[i], NULL);
            }
        }
    }
}

static real *image_of(struct view v, int n)
{
    return v.p != NULL ? view_at(v, n, 0) : NULL;
}

static size_t plain_proposals_scratch(struct backend *be, const struct proposal_desc *d, int n)
{
    (void)be;
    return proposals_bytes(d, n);
}

static void plain_proposals(struct backend *be, const struct proposal_desc *d, struct view anchors,
                            struct view logits, struct view deltas, struct view extent,
                            struct view rois, void *scratch)
{
    struct proposals_call c = {
        .d = d, .logits = logits, .deltas = deltas, .extent = extent, .rois = rois};

    (void)be, (void)anchors; /* those of d are in reach */
    proposals_begin(&c, scratch);
    for (int i = 0; i < logits.n * d->anchors.n_levels; i++) {
        proposals_part(&c, i);
    }
    proposals_end(&c);
}

static size_t plain_rpn_scratch(struct backend *be, const struct rpn_desc *d, struct view truth)
{
    (void)be;
    return rpn_bytes(d, truth);
}

static void plain_rpn_fwd(struct backend *be, const struct rpn_desc *d, uint64_t node,
                          struct view anchors, struct view logits, struct view deltas,
                          struct view truth, struct view extent, struct view match, real *loss,
                          void *scratch)
{
    struct rpn_call c = {.d = d,
                         .key = dropout_key(be->key, node),
                         .logits = logits,
                         .deltas = deltas,
                         .truth = truth,
                         .extent = extent,
                         .match = match};

    (void)anchors;
    rpn_begin(&c, scratch);
    for (int i = 0; i < logits.n; i++) {
        rpn_part(&c, i);
    }
    rpn_end(&c, loss);
}

static void plain_rpn_bwd(struct backend *be, const struct rpn_desc *d, struct view logits,
                          struct view deltas, struct view match, const real *loss, real gain,
                          real beta_logits, struct view dlogits, real beta_deltas,
                          struct view ddeltas)
{
    const real scale = gain / (loss[3] > 1 ? loss[3] : 1);

    (void)be;
    for (int i = 0; i < logits.n; i++) {
        const struct rpn_output out = {image_of(dlogits, i), image_of(ddeltas, i), beta_logits,
                                       beta_deltas};
        rpn_grad(d, view_at(logits, i, 0), view_at(deltas, i, 0), view_at(match, i, 0), scale,
                 &out);
    }
}

static size_t plain_roi_sample_scratch(struct backend *be, const struct roi_sample_desc *d,
                                       struct view rois, struct view truth)
{
    (void)be;
    return roi_sample_scratch_bytes(d, rois.n / truth.n, truth.c);
}

static void plain_roi_sample(struct backend *be, const struct roi_sample_desc *d, uint64_t node,
                             struct view rois, struct view truth, struct view sampled,
                             struct view match, void *scratch)
{
    const int each = rois.n / truth.n;

    for (int i = 0; i < truth.n; i++) {
        const struct roi_sample_input in = {
            .rois = list_row(rois, i * each),
            .truth = view_at(truth, i, 0),
            .n_rois = each,
            .max_truth = truth.c,
            .key = rng_at(dropout_key(be->key, node), (uint64_t)i + 1),
        };
        roi_sample(d, &in, list_row(sampled, i * d->rows), list_row(match, i * d->rows), scratch);
    }
}

static void plain_roi_loss_fwd(struct backend *be, struct view logits, struct view deltas,
                               struct view match, real *loss)
{
    double sum[4] = {0};

    (void)be;
    for (int r = 0; r < logits.n; r++) {
        const real *row = list_row(match, r);
        double part[2];
        roi_losses(logits.c, list_row(logits, r), list_row(deltas, r), row, part);
        sum[0] += part[0];
        sum[1] += part[1];
        sum[2] += row[0] > 0;
        sum[3] += row[0] >= 0;
    }
    for (int k = 0; k < 4; k++) {
        loss[k] = (real)(k < 2 ? sum[k] / fmax(1, sum[3]) : sum[k]);
    }
}

static void plain_roi_loss_bwd(struct backend *be, struct view logits, struct view deltas,
                               struct view match, const real *loss, real gain, real beta_logits,
                               struct view dlogits, real beta_deltas, struct view ddeltas)
{
    const real scale = gain / (loss[3] > 1 ? loss[3] : 1);

    (void)be;
    for (int r = 0; r < logits.n; r++) {
        const struct rpn_output out = {image_of(dlogits, r), image_of(ddeltas, r), beta_logits,
                                       beta_deltas};
        roi_grad(logits.c, list_row(logits, r), list_row(deltas, r), list_row(match, r), scale,
                 &out);
    }
}

static size_t plain_roi_detect_scratch(struct backend *be, const struct roi_detect_desc *d, int n,
                                       int rows)
{
    (void)be, (void)n; /* one picture after the other */
    return roi_detect_scratch_bytes(d, rows);
}

static void plain_roi_detect(struct backend *be, const struct roi_detect_desc *d, struct view rois,
                             struct view logits, struct view deltas, struct view extent,
                             struct view found, void *scratch)
{
    const int each = rois.n / extent.n;

    (void)be;
    for (int i = 0; i < extent.n; i++) {
        const struct roi_detect_input in = {
            .rois = list_row(rois, i * each),
            .logits = list_row(logits, i * each),
            .deltas = list_row(deltas, i * each),
            .n_rois = each,
            .extent = roi_extent(view_at(extent, i, 0), d->width, d->height),
        };
        roi_detect(d, &in, list_row(found, i * d->rows), scratch);
    }
}

/* The channel of logits that row r of a mask head's output learns; 0: it learns nothing. */
static int mask_label(const struct mask_desc *d, struct view match, int r)
{
    const real label = list_row(match, r / d->take * d->rows + r % d->take)[0];

    return label > 0 ? (int)label : 0;
}

static void make_target(const struct mask_desc *d, int r, const real *roi, const real *match,
                        struct view truth, struct view masks, struct view target)
{
    const int image = r / d->take, t = (int)match[1];
    const real *row = view_at(truth, image, t);
    const real w = (real)d->width, h = (real)d->height;
    const struct mask_grid grid = {
        view_at(masks, image, t), masks.h, {row[0] * w, row[1] * h, row[2] * w, row[3] * h}};

    mask_target(&grid, &(const struct box){roi[0], roi[1], roi[2], roi[3]}, target.h,
                view_at(target, r, 0));
}

static void plain_mask_loss_fwd(struct backend *be, const struct mask_desc *d, struct view logits,
                                struct view rois, struct view match, struct view truth,
                                struct view masks, struct view target, real *loss)
{
    double sum = 0, objects = 0;

    (void)be;
    for (int r = 0; r < logits.n; r++) {
        const int label = mask_label(d, match, r), at = r / d->take * d->rows + r % d->take;
        if (label == 0) {
            continue;
        }
        make_target(d, r, list_row(rois, at), list_row(match, at), truth, masks, target);
        objects++;
        for (size_t i = 0; i < view_plane(logits); i++) {
            const double x = (double)view_at(logits, r, label)[i];
            const double t = (double)view_at(target, r, 0)[i];
            sum += fmax(x, 0) - x * t + log1p(exp(-fabs(x)));
        }
    }
    loss[0] = (real)(sum / fmax(1, objects) / (double)view_plane(logits));
    loss[1] = (real)objects;
}

static void plain_mask_loss_bwd(struct backend *be, const struct mask_desc *d, struct view logits,
                                struct view match, struct view target, const real *loss, real gain,
                                real beta, struct view dlogits)
{
    const double scale = (double)gain / fmax(1, (double)loss[1]) / (double)view_plane(logits);

    (void)be;
    for (int r = 0; r < logits.n; r++) {
        const int label = mask_label(d, match, r);
        for (int c = 0; c < logits.c; c++) {
            const bool own = label > 0 && c == label;
            real *dx = view_at(dlogits, r, c);
            for (size_t i = 0; i < view_plane(logits); i++) {
                const double x = (double)view_at(logits, r, c)[i];
                const double t = own ? (double)view_at(target, r, 0)[i] : 0;
                const double g = own ? scale * (1 / (1 + exp(-x)) - t) : 0;
                dx[i] = plain_scaled(beta, dx[i]) + (real)g;
            }
        }
    }
}

static void plain_mask_select(struct backend *be, struct view logits, struct view found,
                              struct view y)
{
    (void)be;
    for (int r = 0; r < logits.n; r++) {
        const real *row = list_row(found, r);
        const real *x = view_at(logits, r, row[4] > 0 ? (int)row[5] + 1 : 0);
        for (size_t i = 0; i < view_plane(y); i++) {
            view_at(y, r, 0)[i] = row[4] > 0 ? (real)(1 / (1 + exp(-(double)x[i]))) : 0;
        }
    }
}

void plain_roi_entries(struct backend_ops *ops)
{
    ops->roi_align_fwd = plain_roi_align_fwd;
    ops->roi_align_bwd = plain_roi_align_bwd;
    ops->proposals_scratch = plain_proposals_scratch;
    ops->proposals = plain_proposals;
    ops->rpn_scratch = plain_rpn_scratch;
    ops->rpn_fwd = plain_rpn_fwd;
    ops->rpn_bwd = plain_rpn_bwd;
    ops->roi_sample_scratch = plain_roi_sample_scratch;
    ops->roi_sample = plain_roi_sample;
    ops->roi_loss_fwd = plain_roi_loss_fwd;
    ops->roi_loss_bwd = plain_roi_loss_bwd;
    ops->roi_detect_scratch = plain_roi_detect_scratch;
    ops->roi_detect = plain_roi_detect;
    ops->mask_loss_fwd = plain_mask_loss_fwd;
    ops->mask_loss_bwd = plain_mask_loss_bwd;
    ops->mask_select = plain_mask_select;
}
