/*
 * train.h - a training run as a user asks for it: shared by `vov train` and `vov demo`.
 */
#ifndef VOV_CLI_TRAIN_H
#define VOV_CLI_TRAIN_H

#include "cli.h"

struct train_job {
    const char *cfg, *data, *out, *weights; /* weights NULL: from random ones */
    bool resume;
    const char *device; /* NULL: the best there is */
    int threads;        /* 0: all cores */
    int seed;           /* -1: the cfg's */
    int eval_every;     /* epochs; 0: about 20 times in the run */
    int keep_every;     /* epochs; 0: none stay */
    const char *const *set;
    int n_set;
};

struct train_result {
    double best; /* val AP or top-1; -1: none */
    bool labels; /* it is a classifier */
};

/* Runs it to its end, printing as it goes. The exit code. */
int train_job_run(const struct cli *cli, const struct train_job *job, struct train_result *result);

#endif
