/*
 * exec.h - runs a planned graph: owns the arena and the scratch, knows no op.
 */
#ifndef VOV_EXEC_H
#define VOV_EXEC_H

#include "params.h"

/* Told of each step of the plan right after it ran, to time it. fn NULL: nobody is. On a device
 * that works in its own time the step may still be running (see sync). */
struct exec_watch {
    void (*fn)(void *user, int step);
    void *user;
};

struct exec {
    struct graph *g;    /* borrowed */
    struct backend *be; /* borrowed */
    struct plan plan;
    struct params params;
    void *arena, *scratch;
    void *packs; /* prepared weights, inference only */
    bool packed; /* they are filled in */
    int done;    /* the step that ran last, -1: none */
    struct exec_watch watch;
};

/*
 * Runs the passes on g, plans, compares the need with the memory there is (VOV_ENOMEM, naming what
 * would fit, when it is too much), takes the memory. On failure *e is closed.
 */
enum vov_status exec_open(struct graph *g, struct backend *be, const struct plan_options *opt,
                          struct exec *e, struct err *err);
void exec_close(struct exec *e);

/* Inference, once the parameters have their values and are folded, and again after they changed:
 * brings weights into the form that the kernels work with, and gives back the memory of those that
 * nothing reads any more: their values are undefined then. The first pass does it where the caller
 * did not. */
void exec_pack(struct exec *e);

/* Copies dense NCHW host numbers into an input or out of a kept tensor (its value). A pass may use
 * an input's memory for other things once it was read: set inputs before each exec_forward(). */
void exec_set(struct exec *e, const struct tensor *t, const real *host);
void exec_get(const struct exec *e, const struct tensor *t, real *host);
/* Image `image` of t only; host is its own place, not that of the batch. */
void exec_get_image(const struct exec *e, const struct tensor *t, int image, real *host);

/* key: of this step's random numbers (dropout). The error is the device's, or, with VOV_CHECK=1,
 * names the first node whose output is not finite. */
enum vov_status exec_forward(struct exec *e, uint64_t key, struct err *err);
enum vov_status exec_backward(struct exec *e, uint64_t key, struct err *err);

/* The name of the first node or input (by running order) with a non-finite output still in memory
 * after the last pass or, behind them, of the first parameter with a non-finite gradient; NULL:
 * none found. Changes nothing. For messages after a bad loss. */
const char *exec_find_nonfinite(struct exec *e);

#endif
