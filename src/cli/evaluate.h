/*
 * evaluate.h - a network over a data set: a detector's detections as COCO results and what they
 * score, or how often a classifier is right.
 */
#ifndef VOV_CLI_EVALUATE_H
#define VOV_CLI_EVALUATE_H

#include "base/buf.h"
#include "data/dataset.h"
#include "eval/coco_eval.h"
#include "eval/topk.h"
#include "model/detector.h"
#include "multiscale.h"

struct evaluation {
    bool labels; /* of a classifier: top, else results and report */
    struct topk top;
    struct result_list results; /* with the data's own ids */
    struct coco_report report;
    bool has_masks; /* the net finds masks and the data has them: */
    struct coco_report masks;
    int skipped;    /* pictures that could not be read; they count as without detections */
    double seconds; /* for pictures in and detections out, without the scoring */
};

/* How data is read for a net: with masks where it finds them. */
struct dataset_options evaluate_data(const struct model *m, const struct log *log);

/* workers: of the loader. Classes are matched by name, or by order where the counts agree.
 * VOV_EFORMAT: they do not fit. Freed by evaluation_free, on failure too. */
enum vov_status evaluate(struct detector *d, const struct dataset *data, int workers,
                         const struct log *log, struct evaluation *e, struct err *err);
/* The same at several sizes. m is initialized; *d, which need not be open, is the last network
 * afterwards. */
enum vov_status evaluate_scales(struct multiscale *m, struct detector *d,
                                const struct dataset *data, struct evaluation *e,
                                struct err_list *errs);
void evaluation_free(struct evaluation *e);

/* What a training run wants to be high: AP of boxes, or top-1. */
double evaluation_score(const struct evaluation *e);
/* "AP 0.512  AP50 0.801  AP75 0.544" */
void evaluation_line(const struct evaluation *e, struct buf *out);
/* {"AP": ..., ..., "ARl": ...}, -1 where there was nothing to measure, with "segm": the same of
 * masks, where there are any; {"top1": ..., "top5": ...}. */
void evaluation_numbers(const struct evaluation *e, struct buf *out);
#endif
