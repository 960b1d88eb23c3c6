/*
 * refinedet_decode.c - RefineDet's outputs as detections (paper.md 4.3): priors that the anchor
 * refinement module takes for background are passed over, the others are refined twice, and each
 * class is thinned on its own.
 */
#include "multibox_head.h"
#include "refinedet.h"

#include "det/box.h"
#include "det/coder.h"

#include <math.h>

/* Probability of the second of two logits. */
static double object_probability(const real *conf)
{
    return 1 / (1 + exp((double)conf[0] - (double)conf[1]));
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
        if (!multibox_add_classes(out[REFINEDET_ODM_CONF] + i * (size_t)classes, classes, b, least,
                                  dets)) {
            return err_nomem(err, sizeof(struct detection));
        }
    }
    nms.min_score = (real)least;
    return nms_by_class(dets, &nms, err);
}
