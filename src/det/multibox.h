/*
 * multibox.h - SSD's MultiBox loss with RefineDet's additions (paper.md 4.2), in plain C on plain
 * arrays: matching, refined anchors, negative filtering, hard negatives, both losses.
 */
#ifndef VOV_MULTIBOX_H
#define VOV_MULTIBOX_H

#include "detection.h"

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

#endif
