/*
 * bench_run.h - the protocol by which `vov bench` measures: warm-up until times settle, then rounds
 * in which the configs take turns, A B B A, with energy and disturbances watched in each turn.
 */
#ifndef VOV_CLI_BENCH_RUN_H
#define VOV_CLI_BENCH_RUN_H

#include "bench_case.h"

#include <signal.h>

enum { BENCH_ROUNDS = 4 };

struct bench_protocol {
    double warm_least, warm_most; /* seconds of warm-up */
    double least, most;           /* seconds of measuring for each config; most > least: until */
    int runs;                     /* so many runs are there, too */
    double idle;                  /* seconds for which the idle machine's power is measured */
    bool cool; /* wait before each turn until the machine is as cool as at first */
};

/* What the protocol adds up for each config. */
struct bench_turns {
    struct bench_case *c;
    double warm_seconds;
    int warm_runs;
    bool warm_settled;
    struct disturbance disturbance;
    struct energy_window window[BENCH_ROUNDS];
    int runs[BENCH_ROUNDS]; /* in each window */
    int n_windows;
    double celsius_begin, celsius_end; /* NAN: not told */
};

struct bench_run {
    const struct bench_protocol *how;
    struct bench_turns *turns; /* [n] */
    int n;
    struct energy *energy; /* NULL: not asked for */
    struct energy_window idle;
    const volatile sig_atomic_t *stop;
    const struct log *log;
};

/* VOV_EINTERRUPTED when stop was set. */
enum vov_status bench_idle(struct bench_run *b, struct err *err); /* before anything else */
enum vov_status bench_warm(struct bench_run *b, int which, struct err *err);
enum vov_status bench_measure(struct bench_run *b, struct err *err);

#endif
