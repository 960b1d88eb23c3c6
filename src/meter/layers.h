/*
 * layers.h - how long each step of a plan takes. Steps are timed from the end of the one before, so
 * that nothing is left out; the clock is read once for each.
 */
#ifndef VOV_METER_LAYERS_H
#define VOV_METER_LAYERS_H

#include "graph/exec.h"

struct layers {
    struct exec *exec; /* borrowed */
    double last;       /* when the step before ended */
    int border;        /* the last forward step of the nodes before the border; -1: none */
    double *seconds;   /* [n_steps] of the run in hand */
    float *kept;       /* [n_kept][n_steps] of the runs before */
    int n_kept, cap;
};

/*
 * Watches exec from now on, and keeps up to `keep` runs. A device that works in its own time is
 * waited for at the border between node `border` - 1 and the next, and where runs are kept at each
 * step. VOV_ENOMEM; layers_close is fine then.
 */
enum vov_status layers_open(struct layers *l, struct exec *exec, int border, int keep,
                            struct err *err);
void layers_close(struct layers *l);

/* Before exec_forward, and again before exec_backward: what passed in between is no layer's. */
void layers_begin(struct layers *l);
/* After a run that is to be kept; ignored once `keep` are there. */
void layers_keep(struct layers *l);

/* Of the run in hand: forward steps of nodes from..to-1. */
double layers_forward_seconds(const struct layers *l, int from, int to);

/* Medians over the runs kept; 0 where there is no such step. */
struct layer_time {
    double forward, backward; /* seconds; backward with what is computed again for it */
};
/* out: [n_nodes of the graph]. VOV_ENOMEM. */
enum vov_status layers_medians(const struct layers *l, struct layer_time *out, struct err *err);

/* Bytes that a node's forward pass reads and writes at least: inputs, outputs, parameters. 0 for
 * one that does nothing, as a concat whose inputs already lie in their places. */
size_t layer_bytes(const struct node *n);

#endif
