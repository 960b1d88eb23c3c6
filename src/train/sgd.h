/*
 * sgd.h - stochastic gradient descent with momentum over the parameter block. Weight decay acts on
 * weights only, never on biases and norms (paper.md 4.4); biases may have a rate of their own.
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
    real momentum;
    bool nesterov;
};

enum vov_status sgd_open(struct sgd *s, struct params *p, const struct net_config *net,
                         struct err *err);
void sgd_close(struct sgd *s);

/* One update from the gradients, which are multiplied by `scale` first. */
void sgd_step(const struct sgd *s, double rate, double scale);

#endif
