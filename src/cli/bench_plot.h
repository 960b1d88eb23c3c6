/*
 * bench_plot.h - the results of `vov bench` as a drawing, after the VoVNet paper's Figures 3 and 4,
 * with FLOPs in the place of accuracy.
 */
#ifndef VOV_CLI_BENCH_PLOT_H
#define VOV_CLI_BENCH_PLOT_H

#include "bench_make.h"

/* path: ends in .svg or .png, or gets both ends. VOV_EIO, VOV_ENOMEM. */
enum vov_status bench_plot(const struct bench_report *report, const char *path, struct err *err);

#endif
