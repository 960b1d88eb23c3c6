/*
 * sgd.h - stochastic gradient descent with momentum over the parameter block. Weight decay acts on
 * weights only, never on biases and norms (docs/training.md); biases may have a rate of their own.
 */
#ifndef VOV_SGD_H
#define VOV_SGD_H

#include "blocks/net.h"
#include "graph/params.h"

/* Neighbours in the block that are treated alike. */
struct sgd_run {
    size_t first, n;
    double rate_factor, decay;
};

struct sgd {
    struct params *params; /* borrowed */
    struct sgd_run *run;   /* [n_runs] */
    int n_runs;
    real *rate; /* on the device: one number */
    real momentum;
    bool nesterov;
};

/* Numbers on the device that must all be finite for an update to be made; the first is the norm of
 * the gradient, which is shortened to `clip` (0: it is not) after it was multiplied by scale. */
struct sgd_guard {
    const real *number;
    int n;
    double clip;
};

enum vov_status sgd_open(struct sgd *s, struct params *p, const struct net_config *net,
                         struct err *err);
void sgd_close(struct sgd *s);

void sgd_set_rate(const struct sgd *s, double rate);

/* One update from the gradients, which are multiplied by `scale` first. guard may be NULL. Only
 * calls the backend, the same each time. */
void sgd_update(const struct sgd *s, double scale, const struct sgd_guard *guard);

#endif
