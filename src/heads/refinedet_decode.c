/*
 * refinedet_decode.c - RefineDet's outputs as detections (paper.md 4.3): priors that the anchor
 * refinement module takes for background are passed over, the others are refined twice, and each
 * class is thinned on its own.
 */
#include "multibox_head.h"
#include "refinedet.h"

#include "det/coder.h"

#include <math.h>

/* Of one picture, from its first prior on. */
struct refined {
    const struct refinedet *r;
    const real *arm_loc, *arm_conf, *odm_loc;
};

/* Probability of the second of two logits. */
static double object_probability(const real *conf)
{
    return 1 / (1 + exp((double)conf[0] - (double)conf[1]));
}

static bool refined_box(const void *head, int prior, struct box *box)
{
    const struct refined *p = head;
    const struct refinedet *r = p->r;
    const size_t i = (size_t)prior;

    if (object_probability(p->arm_conf + i * 2) < r->arm_thresh) {
        return false;
    }
    const struct box anchor = box_decode(&r->arm.priors[i], p->arm_loc + i * 4, r->arm.variance);
    *box = box_decode(&anchor, p->odm_loc + i * 4, r->odm.variance);
    return true;
}

enum vov_status refinedet_decode(const struct head *h, const real *const *out, int image,
                                 double min_score, struct det_list *dets, struct err *err)
{
    const struct refinedet *r = h->attr;
    const size_t first = (size_t)image * (size_t)r->odm.n_priors;
    const struct refined picture = {r, out[REFINEDET_ARM_LOC] + first * 4,
                                    out[REFINEDET_ARM_CONF] + first * 2,
                                    out[REFINEDET_ODM_LOC] + first * 4};
    const real *conf = out[REFINEDET_ODM_CONF] + first * (size_t)r->odm.n_classes;
    const struct multibox_decoder d = {.n_priors = r->odm.n_priors,
                                       .n_classes = r->odm.n_classes,
                                       .conf = conf,
                                       .nms = r->nms,
                                       .box = refined_box,
                                       .head = &picture};

    return multibox_decode(&d, min_score, dets, err);
}
