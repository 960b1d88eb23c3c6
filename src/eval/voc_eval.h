/*
 * voc_eval.h - Pascal VOC's average precision of each class (Everingham et al. 2010, 4.2): at one
 * overlap, over 11 recalls (VOC2007) and over all of them (VOC2010 and later). Each detection, by
 * falling score, goes to the object of its class that it overlaps most; a second one there is
 * false; one on a difficult object counts for nothing.
 */
#ifndef VOV_VOC_EVAL_H
#define VOV_VOC_EVAL_H

#include "coco_eval.h"

struct voc_class {
    double ap11, ap; /* -1: no objects that are not difficult */
    long n_truth, right, wrong;
};

struct voc_report {
    double ap11, ap;           /* means over the classes that have objects; -1: none has */
    struct voc_class *classes; /* [n_classes] of the data set */
    int n_classes;
};

/* iou: least overlap of a right detection, 0.5 in VOC. Crowds count as difficult. Results of
 * pictures or classes that the data set does not have count for nothing. Failure: VOV_ENOMEM. */
enum vov_status voc_eval(const struct dataset *truth, const struct result_list *results, double iou,
                         struct voc_report *report, struct err *err);
void voc_report_free(struct voc_report *r);

/* The means, then a line for each class. */
void voc_report_text(const struct voc_report *r, const struct dataset *truth, struct buf *out);
/* {"AP11": ..., "AP": ..., "per_class": [{"id": , "name": , "AP11": , "AP": }]} */
void voc_report_json(const struct voc_report *r, const struct dataset *truth, struct buf *out);

#endif
