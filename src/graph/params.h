/*
 * params.h - all parameters of a graph in one block: values, gradients and momentum are three equal
 * blocks, the values' moving average may be a fourth, so that the optimizer, clipping, checksums
 * and reductions are one call over an array. Learning parameters come first, running statistics
 * after them.
 */
#ifndef VOV_PARAMS_H
#define VOV_PARAMS_H

#include "graph.h"

struct params {
    struct backend *be;     /* borrowed */
    struct tensor **tensor; /* [n], in block order; borrowed from the graph */
    int n;
    size_t count;           /* numbers in the block */
    size_t n_learn;         /* of them, the first n_learn learn */
    real *val, *grad, *mom; /* on the device; grad and mom NULL for inference */
    real *avg;              /* the values' moving average, running statistics' too; NULL: none */
    bool lent;              /* they are another's */
};

/* What params_open will take: values and, in training, gradients, momentum, the average. */
size_t params_bytes(struct graph *g);

/* Lays out the block, takes the memory and binds the graph's parameters to it. */
enum vov_status params_open(struct graph *g, struct backend *be, struct params *p, struct err *err);
/* The same for a graph of the same parameters, bound to those of `of`. VOV_ESHAPE: they differ. */
enum vov_status params_share(struct graph *g, const struct params *of, struct params *p,
                             struct err *err);
void params_close(struct params *p);

/* Fills values by each parameter's init, from (seed, its name): independent of the order. */
enum vov_status params_init(struct params *p, uint64_t seed, struct err *err);

struct tensor *params_find(const struct params *p, const char *name); /* NULL: none */

/* One parameter to and from the host's memory, dense and in the order that its shape says. which:
 * p->val, grad, mom or avg. */
void params_get(const struct params *p, real *which, const struct tensor *t, real *out);
void params_set(const struct params *p, real *which, const struct tensor *t, const real *in);

/* What training has come to: the average where there is one, else the values. */
real *params_result(const struct params *p);
/* The average, where there is one, begins with the values as they are. */
void params_start_average(struct params *p);

/* Copies another model's result by name (a training graph's into an inference graph's); names
 * missing on either side are an error unless they are folded away. */
enum vov_status params_copy(struct params *dst, const struct params *src, struct err *err);

/* Takes all blocks of the same graph on another device of the same kind. VOV_ENOMEM. */
enum vov_status params_clone(struct params *dst, const struct params *src, struct err *err);

/* After values were loaded into a graph that graph_fold_norms marked: multiplies norms into the
 * weights and biases of the convolutions before them. Once for each loading. VOV_OK or VOV_ENOMEM.
 */
enum vov_status fold_weights(struct graph *g, struct params *p);

/* Learnable numbers: weights, biases, gammas, betas. Frozen ones count. */
size_t params_learnable(const struct graph *g);

#endif
