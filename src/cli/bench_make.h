/*
 * bench_make.h - makes the results of a call from what was measured.
 */
#ifndef VOV_CLI_BENCH_MAKE_H
#define VOV_CLI_BENCH_MAKE_H

#include "bench_result.h"
#include "bench_run.h"

struct bench_report {
    struct bench_conditions on;
    struct bench_result *result; /* [n]; borrows from the cases that it was made of */
    int n;
    double **own_times; /* [n], as the next: what the results point to */
    struct bench_layer **own_layers;
};

/* on is left as it is. bench_report_close() is to be called on failure too. VOV_ENOMEM. */
enum vov_status bench_report_open(struct bench_report *report, int n, struct err *err);
void bench_report_close(struct bench_report *report);

/* Fills what is known of result `which` before anything is measured: names, sizes, costs, memory.
 */
enum vov_status bench_describe(struct bench_report *report, const struct bench_run *run, int which,
                               struct err *err);

/* Adds the rest of result `which` from the runs and windows of that case. VOV_ENOMEM. */
enum vov_status bench_make(struct bench_report *report, const struct bench_run *run, int which,
                           struct err *err);

#endif
