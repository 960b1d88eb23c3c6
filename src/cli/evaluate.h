/*
 * evaluate.h - a detector over a data set: its detections as COCO results, and what they score.
 */
#ifndef VOV_CLI_EVALUATE_H
#define VOV_CLI_EVALUATE_H

#include "base/buf.h"
#include "data/dataset.h"
#include "eval/coco_eval.h"
#include "model/detector.h"

struct evaluation {
    struct result_list results; /* with the data's own ids */
    struct coco_report report;
    int skipped;    /* pictures that could not be read; they count as without detections */
    double seconds; /* for pictures in and detections out, without the scoring */
};

/* Threads for the loader where the user says --threads N (0: all cores). */
int evaluate_workers(int threads);

/* workers: of the loader. Classes are matched by name, or by order where the counts agree.
 * VOV_EFORMAT: they do not fit. Freed by evaluation_free, on failure too. */
enum vov_status evaluate(struct detector *d, const struct dataset *data, int workers,
                         const struct log *log, struct evaluation *e, struct err *err);
void evaluation_free(struct evaluation *e);

/* {"AP": ..., ..., "ARl": ...}; -1 where there was nothing to measure. */
void evaluation_numbers(const struct coco_report *r, struct buf *out);
#endif
