/*
 * bench_against.h - a run of `vov bench` beside what was found before: the VoVNet paper's rows, or
 * a file that --json wrote. Runs under other conditions are not compared unless forced.
 */
#ifndef VOV_CLI_BENCH_AGAINST_H
#define VOV_CLI_BENCH_AGAINST_H

#include "base/log.h"
#include "base/mem.h"
#include "bench_make.h"

struct bench_past {
    const char *name, *mode, *device, *cpu, *precision; /* NULL: the file does not say */
    int batch, threads, width, height;                  /* 0: the file does not say */
    double p50, lo, hi;                                 /* milliseconds; lo, hi: of the median */
    double images_per_s, gflops, j_per_image;           /* NAN: not known */
};

struct bench_against {
    const char *what; /* "paper", or the file's name */
    bool paper, force;
    struct bench_past *past; /* [n] */
    int n;
    struct arena mem;
};

/* VOV_EIO, VOV_EFORMAT: what is wrong with the file. */
enum vov_status bench_against_open(struct bench_against *a, const char *what, bool force,
                                   struct err *err);
void bench_against_close(struct bench_against *a);

/* Before anything is measured: VOV_EARG where a run and its counterpart differ in size, batch,
 * threads, mode, device or precision and force was not given; then each such difference is a
 * warning in the log. So is a config that has no counterpart. */
enum vov_status bench_against_check(const struct bench_against *a,
                                    const struct bench_report *report, const struct log *log,
                                    struct err *err);

void bench_against_write(const struct bench_against *a, const struct bench_report *report,
                         struct buf *b);

#endif
