/*
 * nms.h - thins detections out: of boxes of one class that overlap, the best scored stays
 * (greedy), or the others' scores fall with the overlap (soft-NMS, Bodla et al. 2017, linear).
 */
#ifndef VOV_NMS_H
#define VOV_NMS_H

#include "detection.h"

#include <stddef.h>

struct nms_desc {
    real iou;       /* a box is dropped when it overlaps a better one by more; 1: none is */
    real soft;      /* 0: off; else, afterwards, scores are multiplied by 1 - overlap over it */
    real min_score; /* soft-NMS drops what falls under it */
    int top_k;      /* of each class before the thinning; 0: all */
    int keep;       /* over all classes, after the greedy thinning; 0: all */
};

/*
 * Scores of boxes for classes, which come one by one, and of which no more is remembered than the
 * result can need: a detector that has learned nothing yet gives half a million. Of equal scores
 * the earlier box's is better, then the smaller class's, so that the result depends on nothing
 * else.
 */
struct nms;

/* classes are 0 to classes - 1. boxes is borrowed, and read by nms_finish alone. */
enum vov_status nms_open(const struct nms_desc *d, int classes, const struct box *boxes,
                         struct nms **nms, struct err *err);
bool nms_add(struct nms *nms, int box, int class_id, real score); /* false: no memory */
/* [classes]: a score under its class's can have no part in the result. They rise. */
const real *nms_floors(const struct nms *nms);
/* What remains, by falling score, at the end of l, which stays as it was when memory runs out. */
enum vov_status nms_finish(struct nms *nms, struct det_list *l, struct err *err);
void nms_close(struct nms *nms); /* NULL is fine */

/* How many overlaps of boxes nms_finish computed, and how many scores it looked at. */
struct nms_work {
    size_t overlaps, looked_at;
};
struct nms_work nms_work(const struct nms *nms);

/* The same for a list: leaves what remains of l. VOV_ENOMEM leaves l as it was. */
enum vov_status nms_by_class(struct det_list *l, const struct nms_desc *d, struct err *err);

#endif
