/*
 * average.h - the exponential moving average of all parameters, running statistics among them. The
 * n-th update keeps min(ema, (1 + n) / (10 + n)) of it, as TensorFlow's ExponentialMovingAverage
 * does with num_updates: at first it spans the last tenth or so of the run, and the random weights
 * of the beginning are soon forgotten.
 */
#ifndef VOV_AVERAGE_H
#define VOV_AVERAGE_H

#include "blocks/net.h"
#include "graph/params.h"
#include "sgd.h"

struct average {
    struct params *params; /* borrowed; without a block for the average all calls do nothing */
    double ema;
    real *rate; /* on the device: one number */
};

enum vov_status average_open(struct average *a, struct params *p, const struct net_config *net,
                             struct err *err);
void average_close(struct average *a);

/* What the update that ends `iteration` (from 1) is going to add. */
void average_set(const struct average *a, long iteration);

/* After an update, under the same guard: one that was left out adds nothing. Only calls the
 * backend, the same each time. */
void average_update(const struct average *a, const struct sgd_guard *guard);

#endif
