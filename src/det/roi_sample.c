/*
 * roi_sample.c - which RoIs the heads are trained on (Ren et al. 2015, Girshick 2015, 2.3;
 * docs/mask-rcnn.md), and what they lose. The true boxes are proposals too, or a net that finds
 * nothing yet would have no object to learn from.
 */
#include "base/rng.h"
#include "box.h"
#include "coder.h"
#include "pick.h"
#include "roi_part.h"

struct target {
    struct box box;
    int label, row;
};

struct work {
    const struct roi_sample_desc *d;
    struct target *target; /* [T] */
    int n_targets;
    struct box *box; /* [R + T] RoIs and true boxes */
    int *truth;      /* [R + T] the target that one overlaps most; -1: none */
    int n_boxes;
    struct picks objects, others;
};

size_t roi_sample_scratch_bytes(const struct roi_sample_desc *d, int n_rois, int max_truth)
{
    const size_t boxes = (size_t)n_rois + (size_t)max_truth;

    return aligned((size_t)max_truth * sizeof(struct target)) +
           aligned(boxes * sizeof(struct box)) + aligned(boxes * sizeof(int)) +
           2 * aligned((size_t)d->rows * sizeof(struct pick));
}

static void read_boxes(struct work *w, const struct roi_sample_input *in)
{
    for (int i = 0; i < in->n_rois && in->rois[(size_t)i * ROI_ROW + 4] > 0; i++) {
        const real *row = in->rois + (size_t)i * ROI_ROW;
        w->box[w->n_boxes++] = (struct box){row[0], row[1], row[2], row[3]};
    }
    for (int i = 0; i < in->max_truth && in->truth[(size_t)i * 5 + 4] != 0; i++) {
        const real *row = in->truth + (size_t)i * 5;
        struct box b;
        if (roi_truth(row, w->d->width, w->d->height, &b) && row[4] < (real)w->d->n_classes) {
            w->target[w->n_targets++] = (struct target){b, (int)row[4], i};
            w->box[w->n_boxes++] = b;
        }
    }
}

static void offer(struct picks *p, uint64_t key, int index)
{
    if (!picks_refuse(p, key)) {
        picks_offer(p, key, index);
    }
}

/* Who is an object, who background, and the draw among them. */
static void choose(struct work *w, uint64_t key)
{
    for (int i = 0; i < w->n_boxes; i++) {
        real best = 0;
        w->truth[i] = -1;
        for (int t = 0; t < w->n_targets; t++) {
            const real iou = box_iou(&w->box[i], &w->target[t].box);
            if (iou > best) {
                best = iou;
                w->truth[i] = t;
            }
        }
        const bool object = w->truth[i] >= 0 && best >= w->d->fg_iou;
        offer(object ? &w->objects : &w->others, rng_at(key, (uint64_t)i + 1), i);
    }
}

static void write_row(const struct work *w, int i, bool object, real *roi, real *match)
{
    const struct box *b = &w->box[i];

    roi[0] = b->x0;
    roi[1] = b->y0;
    roi[2] = b->x1;
    roi[3] = b->y1;
    roi[4] = 1;
    for (int k = 0; k < MATCH_ROW; k++) {
        match[k] = 0;
    }
    if (object) {
        const struct target *t = &w->target[w->truth[i]];
        match[0] = (real)t->label;
        match[1] = (real)t->row;
        box_encode(b, &t->box, w->d->variance, match + 2);
    }
}

void roi_sample(const struct roi_sample_desc *d, const struct roi_sample_input *in, real *rois,
                real *match, void *scratch)
{
    const size_t boxes = (size_t)in->n_rois + (size_t)in->max_truth;
    const int most = (int)floor((real)d->rows * d->fg_part);
    char *at = scratch;
    struct work w = {.d = d, .target = carve(&at, (size_t)in->max_truth * sizeof *w.target)};

    w.box = carve(&at, boxes * sizeof *w.box);
    w.truth = carve(&at, boxes * sizeof *w.truth);
    w.objects.v = carve(&at, (size_t)d->rows * sizeof *w.objects.v);
    w.others.v = carve(&at, (size_t)d->rows * sizeof *w.others.v);
    w.objects.most = most;
    w.others.most = d->rows;
    read_boxes(&w, in);
    choose(&w, in->key);
    picks_sort(&w.objects);
    picks_sort(&w.others);
    for (int i = 0; i < d->rows; i++) {
        real *roi = rois + (size_t)i * ROI_ROW, *row = match + (size_t)i * MATCH_ROW;
        const int k = i - w.objects.n;
        if (k < 0) {
            write_row(&w, w.objects.v[i].index, true, roi, row);
        } else if (k < w.others.n) {
            write_row(&w, w.others.v[k].index, false, roi, row);
        } else {
            for (int j = 0; j < ROI_ROW; j++) {
                roi[j] = 0;
            }
            for (int j = 0; j < MATCH_ROW; j++) {
                row[j] = j == 0 ? -1 : 0;
            }
        }
    }
}

/* The largest logit, and the log of the sum of all exp(). */
static double log_sum(int n, const real *x)
{
    double most = (double)x[0], sum = 0;

    for (int i = 1; i < n; i++) {
        most = (double)x[i] > most ? (double)x[i] : most;
    }
    for (int i = 0; i < n; i++) {
        sum += exp((double)x[i] - most);
    }
    return most + log(sum);
}

void roi_losses(int n_classes, const real *logits, const real *deltas, const real *match,
                double loss[2])
{
    const int label = (int)match[0];

    loss[0] = loss[1] = 0;
    if (label < 0) {
        return;
    }
    loss[0] = log_sum(n_classes, logits) - (double)logits[label];
    for (int k = 0; label > 0 && k < 4; k++) {
        loss[1] += (double)smooth_l1(deltas[label * 4 + k] - match[2 + k], 1);
    }
}

void roi_grad(int n_classes, const real *logits, const real *deltas, const real *match, real scale,
              const struct rpn_output *out)
{
    const int label = (int)match[0];
    const double all = label >= 0 && out->dlogits != NULL ? log_sum(n_classes, logits) : 0;

    for (int c = 0; out->dlogits != NULL && c < n_classes; c++) {
        const double g = label < 0 ? 0 : exp((double)logits[c] - all) - (c == label);
        put(out->beta_logits, &out->dlogits[c], scale * (real)g);
    }
    for (int k = 0; out->ddeltas != NULL && k < 4 * n_classes; k++) {
        const bool own = label > 0 && k / 4 == label;
        const real g = own ? smooth_l1_slope(deltas[k] - match[2 + k % 4], 1) : 0;
        put(out->beta_deltas, &out->ddeltas[k], scale * g);
    }
}
