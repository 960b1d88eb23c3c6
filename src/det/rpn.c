/*
 * rpn.c - which anchors the region proposal network is trained on, towards what, and what they lose
 * (Ren et al. 2015, 3.1.2 and 3.1.3; docs/mask-rcnn.md).
 *
 * An anchor is for the truth that it overlaps most: an object from fg_iou on, background under
 * bg_iou, neither between. So that no truth goes without, the anchors with the largest overlap that
 * it has with any, ties included, are objects too ("low-quality matches"), for the truth that
 * *they* overlap most. Of all these a fixed number is drawn: those with the smallest of random
 * numbers that depend on the key and the anchor alone.
 */
#include "base/rng.h"
#include "box.h"
#include "coder.h"
#include "pick.h"
#include "roi_part.h"

static const real variance[4] = {1, 1, 1, 1};

struct target {
    struct box box;
    real best; /* its largest overlap */
};

struct work {
    const struct rpn_desc *d;
    struct target *target; /* [T] */
    int n_targets;
    int *truth;           /* [P] the target that an anchor overlaps most, -1: none */
    real *iou;            /* [P] */
    struct pick *objects; /* [sample] */
    struct pick *others;  /* [sample] */
};

size_t rpn_scratch_bytes(const struct rpn_desc *d, int max_truth)
{
    const size_t p = (size_t)anchors_count(&d->anchors);

    return aligned((size_t)max_truth * sizeof(struct target)) + aligned(p * sizeof(int)) +
           aligned(p * sizeof(real)) + 2 * aligned((size_t)d->sample * sizeof(struct pick));
}

static void read_targets(struct work *w, const struct rpn_input *in)
{
    const struct anchors *a = &w->d->anchors;

    for (int i = 0; i < in->max_truth && in->truth[(size_t)i * 5 + 4] != 0; i++) {
        struct box b;
        if (roi_truth(in->truth + (size_t)i * 5, a->width, a->height, &b)) {
            w->target[w->n_targets++] = (struct target){.box = b};
        }
    }
}

/* Overlaps of all pairs; the first of equals is the best. */
static void find_overlaps(struct work *w, int n)
{
    const struct box *anchor = w->d->anchors.box;

    for (int p = 0; p < n; p++) {
        w->truth[p] = -1;
        w->iou[p] = 0;
    }
    for (int t = 0; t < w->n_targets; t++) {
        struct target *target = &w->target[t];
        for (int p = 0; p < n; p++) {
            const real iou = box_iou(&anchor[p], &target->box);
            if (iou > w->iou[p]) {
                w->iou[p] = iou;
                w->truth[p] = t;
            }
            target->best = iou > target->best ? iou : target->best;
        }
    }
}

/* match[0] of all anchors: 1 object, 0 background, -1 neither. */
static void label_all(const struct work *w, int n, real *match)
{
    const struct rpn_desc *d = w->d;

    for (int p = 0; p < n; p++) {
        match[(size_t)p * 5] = w->iou[p] >= d->fg_iou ? 1 : w->iou[p] < d->bg_iou ? 0 : -1;
    }
    for (int t = 0; t < w->n_targets; t++) {
        const struct target *target = &w->target[t];
        for (int p = 0; p < n && target->best > 0; p++) {
            if (w->iou[p] >= target->best &&
                box_iou(&d->anchors.box[p], &target->box) == target->best) {
                match[(size_t)p * 5] = 1;
            }
        }
    }
}

static bool is_inside(const struct box *b, const struct box *extent)
{
    return b->x0 >= extent->x0 && b->y0 >= extent->y0 && b->x1 <= extent->x1 && b->y1 <= extent->y1;
}

/* Draws from the anchors with this label; the others of it are not counted. */
static void draw(const struct rpn_input *in, int n, real label, real *match, struct picks *drawn)
{
    for (int p = 0; p < n; p++) {
        if (match[(size_t)p * 5] == label) {
            match[(size_t)p * 5] = -1;
            const uint64_t key = rng_at(in->key, (uint64_t)p + 1);
            if (!picks_refuse(drawn, key)) {
                picks_offer(drawn, key, p);
            }
        }
    }
    for (int i = 0; i < drawn->n; i++) {
        match[(size_t)drawn->v[i].index * 5] = label;
    }
}

static void write_targets(const struct work *w, int n, real *match)
{
    for (int p = 0; p < n; p++) {
        real *row = match + (size_t)p * 5;
        row[1] = row[2] = row[3] = row[4] = 0;
        if (row[0] > 0) {
            box_encode(&w->d->anchors.box[p], &w->target[w->truth[p]].box, variance, row + 1);
        }
    }
}

void rpn_match(const struct rpn_desc *d, const struct rpn_input *in, real *match, int counts[2],
               void *scratch)
{
    const int n = anchors_count(&d->anchors);
    const int most = (int)floor((real)d->sample * d->fg_part);
    char *at = scratch;
    struct work w = {.d = d, .target = carve(&at, (size_t)in->max_truth * sizeof *w.target)};

    w.truth = carve(&at, (size_t)n * sizeof *w.truth);
    w.iou = carve(&at, (size_t)n * sizeof *w.iou);
    w.objects = carve(&at, (size_t)d->sample * sizeof *w.objects);
    w.others = carve(&at, (size_t)d->sample * sizeof *w.others);
    read_targets(&w, in);
    find_overlaps(&w, n);
    label_all(&w, n, match);
    for (int p = 0; p < n; p++) {
        if (d->inside && !is_inside(&d->anchors.box[p], &in->extent)) {
            match[(size_t)p * 5] = -1;
        }
    }
    struct picks objects = {.v = w.objects, .most = most};
    draw(in, n, 1, match, &objects);
    struct picks others = {.v = w.others, .most = d->sample - objects.n};
    draw(in, n, 0, match, &others);
    write_targets(&w, n, match);
    counts[0] = objects.n;
    counts[1] = objects.n + others.n;
}

/* log(1 + exp(x)) without overflow. */
static real soft_plus(real x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

void rpn_losses(const struct rpn_desc *d, const real *logits, const real *deltas, const real *match,
                double loss[2])
{
    const int n = anchors_count(&d->anchors);

    loss[0] = loss[1] = 0;
    for (int p = 0; p < n; p++) {
        const real *row = match + (size_t)p * 5;
        if (row[0] >= 0) {
            loss[0] += (double)(soft_plus(logits[p]) - row[0] * logits[p]);
        }
        for (int k = 0; row[0] > 0 && k < 4; k++) {
            loss[1] += (double)smooth_l1(deltas[(size_t)p * 4 + (size_t)k] - row[k + 1], d->beta);
        }
    }
}

void rpn_grad(const struct rpn_desc *d, const real *logits, const real *deltas, const real *match,
              real scale, const struct rpn_output *out)
{
    const size_t n = (size_t)anchors_count(&d->anchors);

    for (size_t p = 0; p < n; p++) {
        const real *row = match + p * 5;
        if (out->dlogits != NULL) {
            const real g = row[0] < 0 ? 0 : scale * (1 / (1 + exp(-logits[p])) - row[0]);
            put(out->beta_logits, &out->dlogits[p], g);
        }
        for (size_t k = p * 4; out->ddeltas != NULL && k < p * 4 + 4; k++) {
            const real slope =
                row[0] > 0 ? smooth_l1_slope(deltas[k] - row[k % 4 + 1], d->beta) : 0;
            put(out->beta_deltas, &out->ddeltas[k], scale * slope);
        }
    }
}
