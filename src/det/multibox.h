/*
 * multibox.h - SSD's MultiBox loss with RefineDet's additions (docs/refinedet.md), in plain C on
 * plain arrays: matching, refined anchors, negative filtering, hard negatives, both losses.
 */
#ifndef VOV_MULTIBOX_H
#define VOV_MULTIBOX_H

#include "detection.h"

#include <stddef.h>

struct multibox_desc {
    const struct box *priors; /* [n_priors], parts of the picture; borrowed */
    int n_priors;
    int n_classes;      /* with background at 0: 2 for the ARM */
    bool objectness;    /* every class counts as 1 (ARM) */
    real match_iou;     /* a prior with a better overlap is positive: 0.5 */
    real neg_iou;       /* only priors under it may be negatives: 0.5 */
    real neg_ratio;     /* negatives for each positive: 3 */
    real arm_threshold; /* with arm_conf: a prior whose P(object) is less is no negative: 0.01 */
    real variance[4];   /* 0.1 0.1 0.2 0.2 */
};

/* Bytes of scratch for one image. */
size_t multibox_scratch_bytes(const struct multibox_desc *d, int max_truth);

/* One image: loc [P,4], conf [P,C] logits; arm_loc [P,4], arm_conf [P,2] of the stage before, or
 * NULL; truth [T,5] as in backend.h. */
struct multibox_input {
    const real *loc, *conf, *arm_loc, *arm_conf, *truth;
    int max_truth; /* T */
};

/*
 * Fills match [P,5] (label, four encoded targets) and loss[3]: sums over this image of smooth-L1
 * and cross-entropy, and the number of positives. An image without truth counts nothing.
 */
void multibox_match(const struct multibox_desc *d, const struct multibox_input *in, real *match,
                    double loss[3], void *scratch);

/* Gradients of one image; beta as in backend.h. dloc or dconf may be NULL: not wanted. */
struct multibox_output {
    real *dloc, *dconf;
    real beta_loc, beta_conf;
};

/* From in->loc, in->conf and the match rows, times gain / max(1, positives of the batch). */
void multibox_grad(const struct multibox_desc *d, const struct multibox_input *in,
                   const real *match, real gain, real positives, const struct multibox_output *out);

/* ---- detections ---- */

struct multibox_detect_desc {
    const struct box *priors; /* [n_priors]; borrowed */
    int n_priors;
    int n_classes;      /* with background at 0 */
    real arm_threshold; /* with arm_conf: a prior whose P(object) is less is background: 0.01 */
    real variance[4];
    real min_score; /* a detection's is over it */
    real iou;       /* a box that overlaps a better one of its class by more is dropped */
    int top_k;      /* of each class before that, 1 or more */
    int keep;       /* rows of the result, 1 or more */
};

/* Of one call. Priors times classes fit an int. */
size_t multibox_detect_bytes(const struct multibox_detect_desc *d);

/*
 * One image's outputs, of which truth is not read, to rows of FOUND_ROW, best first: boxes in parts
 * of the input, classes from 0. Of equal scores the earlier prior's is better, then the smaller
 * class's. Nothing comes of numbers that are not finite. Additions, multiplications and divisions
 * of floats in a fixed order, so that each device's result is the same to the bit.
 */
void multibox_detect(const struct multibox_detect_desc *d, const struct multibox_input *in,
                     real *found, void *scratch);

#endif
