/*
 * head.h - what a net ends in: a classifier or a detector. A head section adds nodes, and leaves a
 * struct head in the builder: its outputs, the truth that its loss reads, and how its outputs
 * become detections.
 */
#ifndef VOV_HEAD_H
#define VOV_HEAD_H

#include "blocks/section.h"
#include "det/detection.h"

enum { HEAD_MAX_OUT = 8, HEAD_MAX_LOSS = 8 };

struct head_type {
    const char *name; /* "refinedet" */
    bool detects;     /* decode() gives boxes; else out[0] is class probabilities */

    /* Host copies of out[] where `decodes` says so, dense, laid out as the whole batch (out[]'s n
     * may be a multiple of its size: rows of each image) but read at one image's place only; that
     * image's detections, boxes in parts of the input (0..1), sorted by score. min_score: lower
     * scores are not wanted (0: the head's own threshold). */
    enum vov_status (*decode)(const struct head *h, const real *const *out, int image,
                              double min_score, struct det_list *dets, struct err *err);
};

/* What is done to the detections of a head whose boxes may be thinned out further. */
struct thinning {
    real min_score; /* none is under it */
    real soft;      /* linear soft-NMS from this overlap on; 0: off. May be changed between runs */
};

struct head {
    const struct head_type *type;
    void *attr; /* the head's own, in the graph's memory */
    int classes;
    struct thinning *thin; /* in the graph's memory; NULL: it has nothing to be thinned further */
    int mask_side; /* numbers along a side of the masks that decode() gives; 0: it gives none */
    struct tensor *out[HEAD_MAX_OUT];
    int n_out;
    unsigned decodes; /* bit i: decode() reads out[i] */

    /* In graphs of both kinds, of a head that wants to know where in the input the picture lies,
     * else NULL: an input [n, 4, 1, 1], x0 y0 x1 y1 in parts of the input as truth has them. What
     * is outside is padding. Boxes of a net that finds masks must not reach out of it. */
    struct tensor *extent;

    /* In a training graph. truth: [n, max_boxes, 5, 1] (x0 y0 x1 y1 class, see multibox_fwd) or
     * [n, 1, 1, 1] labels. A loss tensor's numbers: parts; those that part[] has a name for are
     * summed to the loss. */
    struct tensor *truth;
    /* Of a head that learns masks, else NULL: [n, max_boxes, side, side], the part of the object
     * (0..1) in the cells of a grid over its box in truth. */
    struct tensor *truth_masks;
    struct tensor *loss[HEAD_MAX_LOSS];
    int n_loss;
    const char *part[HEAD_MAX_LOSS * 3]; /* "arm_loc", NULL: not shown */
};

#endif
