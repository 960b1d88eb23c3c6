/*
 * refinedet_decode.c - RefineDet's outputs as detections (paper.md 4.3): priors that the anchor
 * refinement module takes for background are passed over, the others are refined twice, and each
 * class is thinned on its own.
 */
#include "refinedet.h"

#include "det/box.h"
#include "det/coder.h"

#include <math.h>

/* Probability of the second of two logits. */
static double object_probability(const real *conf)
{
    return 1 / (1 + exp((double)conf[0] - (double)conf[1]));
}

/* Adds the classes of one prior whose probability is over `least`. Their logits lie over
 * log(least) + log(sum of all exp(logit)), and that sum is no less than the background's part of
 * it, so that most priors are done with before any exp(). NaN passes no comparison. */
static bool add_classes(const real *conf, int n_classes, struct box b, double least,
                        struct det_list *dets)
{
    const double log_least = log(least);
    double most = (double)conf[1], sum = 0;

    for (int c = 2; c < n_classes; c++) {
        most = (double)conf[c] > most ? (double)conf[c] : most;
    }
    if (!(most > log_least + (double)conf[0])) {
        return true;
    }
    most = (double)conf[0] > most ? (double)conf[0] : most;
    for (int c = 0; c < n_classes; c++) {
        sum += exp((double)conf[c] - most);
    }
    const double floor_logit = log_least + log(sum) + most;
    for (int c = 1; c < n_classes; c++) {
        if (!((double)conf[c] > floor_logit)) {
            continue;
        }
        const real score = (real)(exp((double)conf[c] - most) / sum);
        if (!det_add(dets, (struct detection){b, score, c - 1})) {
            return false;
        }
    }
    return true;
}

static bool is_finite_box(const struct box *b)
{
    return isfinite(b->x0) && isfinite(b->y0) && isfinite(b->x1) && isfinite(b->y1);
}

enum vov_status refinedet_decode(const struct head *h, const real *const *out, int image,
                                 double min_score, struct det_list *dets, struct err *err)
{
    const struct refinedet *r = h->attr;
    const size_t p = (size_t)r->odm.n_priors, n = (size_t)image * p;
    const int classes = r->odm.n_classes;
    const double least = min_score > r->conf_thresh ? min_score : r->conf_thresh;
    struct nms_desc nms = r->nms;

    for (size_t i = n; i < n + p; i++) {
        if (object_probability(out[REFINEDET_ARM_CONF] + i * 2) < r->arm_thresh) {
            continue;
        }
        const struct box anchor =
            box_decode(&r->arm.priors[i - n], out[REFINEDET_ARM_LOC] + i * 4, r->arm.variance);
        const struct box b = box_decode(&anchor, out[REFINEDET_ODM_LOC] + i * 4, r->odm.variance);
        if (is_finite_box(&b) &&
            !add_classes(out[REFINEDET_ODM_CONF] + i * (size_t)classes, classes, b, least, dets)) {
            return err_nomem(err, sizeof(struct detection));
        }
    }
    nms.min_score = (real)least;
    return nms_by_class(dets, &nms, err);
}
