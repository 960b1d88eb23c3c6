/*
 * roi_detect.c - RoIs, classified and moved, as detections: probabilities over min_score, each
 * class thinned out on its own, the best `rows` of all (docs/mask-rcnn.md). Scores are taken from
 * the best on, so that the thinning ends as soon as there are enough.
 */
#include "box.h"
#include "pick.h"
#include "roi_part.h"

/* Classes of one RoI that can have such a score. */
static int classes_over(const struct roi_detect_desc *d)
{
    const int classes = d->n_classes - 1;
    const real most = d->min_score > 0 ? 1 / d->min_score : (real)classes;

    return most < (real)classes ? (int)most + 1 : classes;
}

size_t roi_detect_scratch_bytes(const struct roi_detect_desc *d, int n_rois)
{
    return (size_t)n_rois * (size_t)classes_over(d) * sizeof(struct pick) +
           (size_t)d->n_classes * sizeof(double);
}

/* Probabilities of all classes; NaN where a logit is. */
static void softmax(int n, const real *x, double *p)
{
    double most = (double)x[0], sum = 0;

    for (int i = 1; i < n; i++) {
        most = (double)x[i] > most ? (double)x[i] : most;
    }
    for (int i = 0; i < n; i++) {
        p[i] = exp((double)x[i] - most);
        sum += p[i];
    }
    for (int i = 0; i < n; i++) {
        p[i] /= sum;
    }
}

/* An index is RoI * classes + class. */
static void find_scores(const struct roi_detect_desc *d, const struct roi_detect_input *in,
                        double *p, struct picks *best)
{
    for (int r = 0; r < in->n_rois && in->rois[(size_t)r * ROI_ROW + 4] > 0; r++) {
        softmax(d->n_classes, in->logits + (size_t)r * (size_t)d->n_classes, p);
        for (int c = 1; c < d->n_classes; c++) {
            if (p[c] > (double)d->min_score) {
                picks_offer(best, pick_key(p[c]), r * d->n_classes + c);
            }
        }
    }
}

/* Whether a better detection of the class is there already. */
static bool is_known(const real *found, int n, const struct box *b, int class_id, real iou)
{
    for (int i = 0; i < n; i++) {
        const real *row = found + (size_t)i * FOUND_ROW;
        const struct box other = {row[0], row[1], row[2], row[3]};
        if ((int)row[5] == class_id && box_iou(b, &other) > iou) {
            return true;
        }
    }
    return false;
}

/* What pick_key was made of, which was positive. */
static double score_of(uint64_t key)
{
    double score;

    key ^= UINT64_C(1) << 63;
    memcpy(&score, &key, sizeof score);
    return score;
}

void roi_detect(const struct roi_detect_desc *d, const struct roi_detect_input *in, real *found,
                void *scratch)
{
    double *p = scratch;
    struct picks best = {.v = (struct pick *)(void *)(p + d->n_classes),
                         .most = in->n_rois * classes_over(d)};
    int n = 0;

    find_scores(d, in, p, &best);
    picks_sort(&best);
    for (int i = 0; i < best.n && n < d->rows; i++) {
        const int r = best.v[i].index / d->n_classes, c = best.v[i].index % d->n_classes;
        const real *row = in->rois + (size_t)r * ROI_ROW;
        const struct box roi = {row[0], row[1], row[2], row[3]};
        const real *deltas = in->deltas + (size_t)best.v[i].index * 4;
        const struct box b = roi_move(&roi, deltas, d->variance, &in->extent);
        real *out = found + (size_t)n * FOUND_ROW;
        if (box_area(&b) > 0 && !is_known(found, n, &b, c - 1, d->iou)) {
            const real score = (real)score_of(best.v[i].key);
            memcpy(out, (const real[FOUND_ROW]){b.x0, b.y0, b.x1, b.y1, score, (real)(c - 1)},
                   FOUND_ROW * sizeof *out);
            n++;
        }
    }
    memset(found + (size_t)n * FOUND_ROW, 0, (size_t)(d->rows - n) * FOUND_ROW * sizeof *found);
}
