/*
 * roi.h - the two stages of Faster and Mask R-CNN (Ren et al. 2015, He et al. 2017;
 * docs/mask-rcnn.md) for one picture, in plain C on plain arrays: which anchors and boxes are
 * trained on, proposals, regions of interest (RoIs), detections, masks.
 *
 * Boxes are pixels of the input. A list of RoIs has a fixed number of rows: four sides and a score;
 * the rows in use come first, and the first with a score of 0 ends them. Truth is [T, 5] as in
 * backend.h, in parts of the input.
 */
#ifndef VOV_ROI_H
#define VOV_ROI_H

#include "detection.h"

#include <stddef.h>
#include <stdint.h>

enum { ROI_MAX_LEVELS = 8 };

/* Of a row of RoIs: x0 y0 x1 y1 score. Of what a RoI is to learn: label (-1: not counted, 0:
 * background), row of truth, four targets. */
enum { ROI_ROW = 5, MATCH_ROW = 6 };

struct anchors {
    const struct box *box;       /* all levels, one behind the other; borrowed */
    int end[ROI_MAX_LEVELS];     /* of each level's: the first is level 0's last + 1 */
    int n_levels, width, height; /* of the input */
};

static inline int anchors_count(const struct anchors *a)
{
    return a->end[a->n_levels - 1];
}

/* What of the input is picture, in pixels, from its row of parts (0 0 0 0: all of it). */
struct box roi_extent(const real *parts, int width, int height);

/* ---- proposals ---- */

struct proposal_desc {
    struct anchors anchors;
    int before, after; /* of each level: the best before NMS, what stays after it */
    int keep;          /* over all levels: rows of the result */
    bool per_batch;    /* `keep` for all pictures of the batch together, not for each */
    real iou, min_side;
};

/* Boxes that a level gave, best first, each with its logit. */
struct proposals {
    struct box *box; /* [after] */
    real *score;     /* [after] */
    int n;
};

/* Room in `after` of level: never more than it has anchors. */
int proposal_room(const struct proposal_desc *d, int level);
size_t proposal_scratch_bytes(const struct proposal_desc *d); /* of one call */

/* One level of one picture: logits and deltas [4] are those of all anchors. */
struct proposal_input {
    const real *logits, *deltas;
    struct box extent;
};
void proposal_level(const struct proposal_desc *d, int level, const struct proposal_input *in,
                    struct proposals *out, void *scratch);

/*
 * The lists of all levels of `images` pictures, [images][levels], to rows of RoIs: the best `keep`
 * of each picture, or of the batch.
 */
int proposal_rooms(const struct proposal_desc *d); /* of all levels of one picture */
size_t proposal_merge_scratch_bytes(const struct proposal_desc *d);
void proposal_merge(const struct proposal_desc *d, const struct proposals *list, int images,
                    real *rois, void *scratch);

/* ---- the region proposal network's loss ---- */

struct rpn_desc {
    struct anchors anchors;
    real fg_iou, bg_iou; /* 0.7, 0.3 */
    int sample;          /* anchors of a picture that count: 256 */
    real fg_part;        /* of them at most: 0.5 */
    bool inside;         /* anchors that cross the picture's edge are not trained on */
    real beta;           /* of smooth L1: 1/9 */
};

size_t rpn_scratch_bytes(const struct rpn_desc *d, int max_truth);

/* One picture. match [P, 5]: label (-1: not counted, 0, 1) and four targets. counts: positives, all
 * that count. key: of the choice, which depends on it and nothing else. */
struct rpn_input {
    const real *truth;
    int max_truth;
    struct box extent;
    uint64_t key;
};
void rpn_match(const struct rpn_desc *d, const struct rpn_input *in, real *match, int counts[2],
               void *scratch);

/* Sums of binary cross-entropy and of smooth L1 over the anchors that count. */
void rpn_losses(const struct rpn_desc *d, const real *logits, const real *deltas, const real *match,
                double loss[2]);
/* dx = beta*dx + scale * d(sum)/dx. NULL: not wanted. */
struct rpn_output {
    real *dlogits, *ddeltas;
    real beta_logits, beta_deltas;
};
void rpn_grad(const struct rpn_desc *d, const real *logits, const real *deltas, const real *match,
              real scale, const struct rpn_output *out);

/* ---- RoIs to learn from, and what they lose ---- */

struct roi_sample_desc {
    int rows;     /* of the result: 512 */
    real fg_part; /* of them at most: 0.25 */
    real fg_iou;  /* 0.5: over it an object, under it background */
    int n_classes, width, height;
    real variance[4];
};

size_t roi_sample_scratch_bytes(const struct roi_sample_desc *d, int n_rois, int max_truth);

/* Of n_rois rows and the true boxes: objects first, at most fg_part of all, then background, then
 * rows that are not used. match [rows, MATCH_ROW]. */
struct roi_sample_input {
    const real *rois, *truth;
    int n_rois, max_truth;
    uint64_t key;
};
void roi_sample(const struct roi_sample_desc *d, const struct roi_sample_input *in, real *rois,
                real *match, void *scratch);

/* One RoI: cross-entropy and smooth L1 of its class's deltas; logits [classes], deltas [classes,4].
 */
void roi_losses(int n_classes, const real *logits, const real *deltas, const real *match,
                double loss[2]);
void roi_grad(int n_classes, const real *logits, const real *deltas, const real *match, real scale,
              const struct rpn_output *out);

/* ---- detections ---- */

struct roi_detect_desc {
    int rows; /* of the result: 100 */
    int n_classes, width, height;
    real min_score, iou; /* 0.05, 0.5 */
    real variance[4];
};

size_t roi_detect_scratch_bytes(const struct roi_detect_desc *d, int n_rois);

/* Of one picture: RoIs with logits [n_rois, classes] and deltas [n_rois, classes, 4] to rows of
 * FOUND_ROW, best first, thinned out class by class. */
struct roi_detect_input {
    const real *rois, *logits, *deltas;
    int n_rois;
    struct box extent;
};
void roi_detect(const struct roi_detect_desc *d, const struct roi_detect_input *in, real *found,
                void *scratch);

/* ---- masks ---- */

/* What a RoI's mask should be: the truth's, a grid of `side` rows over its box, brought to `size`
 * rows over the RoI; 0 or 1. truth->box and roi in one unit. */
struct mask_grid {
    const real *v;
    int side;
    struct box box;
};
#define MASK_TARGET_SLACK 1e-3 /* what the sum of a cell's four samples may lack of a half */
void mask_target(const struct mask_grid *truth, const struct box *roi, int size, real *target);

#endif
