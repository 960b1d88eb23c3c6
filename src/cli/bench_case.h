/*
 * bench_case.h - one config that `vov bench` measures: opened, run once, closed.
 */
#ifndef VOV_CLI_BENCH_CASE_H
#define VOV_CLI_BENCH_CASE_H

#include "bench_result.h"
#include "cli.h"
#include "model/detector.h"
#include "train/sgd.h"

enum { BENCH_PICTURES = 8, BENCH_PICTURE_WIDTH = 640, BENCH_PICTURE_HEIGHT = 480 };

/* How nets are run: the same for all of a call. */
struct bench_plan {
    bool training, layers, keep_samples;
    int batch, threads;
    struct cli_size size; /* 0: as the cfg says */
    const char *weights;  /* NULL: random */
    double thresh;        /* of detections */
    const struct text_list *set;
    struct backend *be;
    const struct log *log;
    struct buf jpeg[BENCH_PICTURES]; /* the files that detectors decode; drawn for the first one */
};
void bench_plan_free(struct bench_plan *p);

struct bench_case {
    struct bench_plan *plan;
    struct model costs;       /* one picture, norms kept: what is counted */
    struct detector detector; /* inference */
    struct model training;
    struct sgd sgd;
    bool pictures; /* a detector: begins with the bytes of files, ends with boxes */
    int head_node, next_picture;
    real *input, *truth; /* training: [its shape] */
    real *masks;         /* the same, of a head that learns them */
    struct det_list found;
    struct layers layers;
    size_t resident_bytes;

    /* The runs so far. Those of the warm-up are forgotten. */
    double *seconds[BENCH_STAGES]; /* [n_runs]; NULL where there is no such stage */
    int n_runs, cap_runs;
};

/* Builds the net, fills it, runs it once and looks whether its numbers are finite. On failure,
 * after errs was printed, bench_case_close() is still to be called. */
enum vov_status bench_case_open(struct bench_case *c, struct bench_plan *p, const char *config,
                                struct err_list *errs);
void bench_case_close(struct bench_case *c);

/* One inference of a batch, or one training step; adds its times. */
enum vov_status bench_case_run(struct bench_case *c, struct err *err);
void bench_case_forget(struct bench_case *c); /* all runs so far */

struct model *bench_case_model(struct bench_case *c); /* the one that runs */

#endif
