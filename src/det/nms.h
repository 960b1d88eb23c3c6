/*
 * nms.h - thins detections out: of boxes of one class that overlap, the best scored stays
 * (greedy), or the others' scores fall with the overlap (soft-NMS, Bodla et al. 2017, linear).
 */
#ifndef VOV_NMS_H
#define VOV_NMS_H

#include "detection.h"

struct nms_desc {
    real iou;       /* a box is dropped when it overlaps a better one by more; 1: none is */
    real soft;      /* 0: off; else, afterwards, scores are multiplied by 1 - overlap over it */
    real min_score; /* soft-NMS drops what falls under it */
    int top_k;      /* of each class before the thinning; 0: all */
    int keep;       /* over all classes, after the greedy thinning; 0: all */
};

/*
 * Leaves what remains of l sorted by falling score. Equal scores keep the order in which they were
 * added, so that the result depends on nothing else. VOV_ENOMEM leaves l as it was.
 */
enum vov_status nms_by_class(struct det_list *l, const struct nms_desc *d, struct err *err);

#endif
