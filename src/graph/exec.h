/*
 * exec.h - runs a planned graph: owns the arena and the scratch, knows no op.
 */
#ifndef VOV_EXEC_H
#define VOV_EXEC_H

#include "backend/tape.h"
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
    struct exec_watch watch;
    /* Of two graphs with the same parameters that take turns in one memory: the second's is the
     * first's, and the first knows who ran last. NULL: alone. */
    struct exec *first, *second, *last;
    struct backend_settings settings;    /* of the backend when it was opened: planned with them */
    real gain;                           /* of all gradients; see exec_set_gain */
    struct tape forward, backward, both; /* the passes, as a device may have recorded them */
};

/*
 * Runs the passes on g, plans, compares the need with the memory there is (VOV_ENOMEM, naming what
 * would fit, when it is too much), takes the memory. On failure *e is closed.
 */
enum vov_status exec_open(struct graph *g, struct backend *be, const struct plan_options *opt,
                          struct exec *e, struct err *err);
/*
 * A second graph with the same parameters beside an open one, in its memory, which grows where that
 * is needed: what is in the arena lasts until the other one runs or is given inputs. Before
 * anything ran. exec_close() it first. VOV_ESHAPE: other parameters.
 */
enum vov_status exec_open_second(struct graph *g, struct exec *first,
                                 const struct plan_options *opt, struct exec *e, struct err *err);
void exec_close(struct exec *e);

/* Inference, of both graphs where there are two, once the parameters have their values and are
 * folded, and again after they changed: brings weights into the form that the kernels work with,
 * and gives back the memory of those that nothing reads any more: their values are undefined then.
 * The first pass does it where the caller did not. */
void exec_pack(struct exec *e);

/* fold_weights and exec_pack layer by layer, while the parameters get their values, so that never
 * all weights are there as they were and packed: exec_settle_layer for each weight as soon as it
 * and all parameters that are no weights have theirs, exec_settle_rest once all have. VOV_OK or
 * VOV_ENOMEM. */
enum vov_status exec_settle_layer(struct exec *e, const struct tensor *weight);
enum vov_status exec_settle_rest(struct exec *e);

/* Gradients, of both graphs where there are two, are multiplied by this from the next pass on: 1
 * unless called. */
void exec_set_gain(struct exec *e, double gain);

/* Copies dense NCHW host numbers into an input or out of a kept tensor (its value). A pass may use
 * an input's memory for other things once it was read: set inputs before each exec_forward(). */
void exec_set(struct exec *e, const struct tensor *t, const real *host);
void exec_get(const struct exec *e, const struct tensor *t, real *host);
/* Rows first .. first + n - 1 of t's n only; host is their own place, not that of the batch. */
void exec_get_rows(const struct exec *e, const struct tensor *t, int first, int n, real *host);

/* The two halves of exec_set: after the first the numbers may cross to the device while a pass
 * still runs. host stays as it is until the second. */
struct staged exec_stage(const struct exec *e, const struct tensor *t, const real *host);
void exec_take(struct exec *e, const struct tensor *t, const struct staged *s);

/* key: of this step's random numbers (dropout). The error is the device's, or, with VOV_CHECK=1,
 * names the first node whose output is not finite. */
enum vov_status exec_forward(struct exec *e, uint64_t key, struct err *err);
enum vov_status exec_backward(struct exec *e, uint64_t key, struct err *err);

/* Both passes, without waiting for the device: what fails there shows at the next backend_check. */
enum vov_status exec_train(struct exec *e, uint64_t key, struct err *err);

/* Runs the plan again on the batch that is in memory, and looks after each step. The name of the
 * first input, or node (by running order), whose numbers are not finite; NULL: all are. Gradients
 * and running statistics change. For messages after a bad loss. */
const char *exec_find_nonfinite(struct exec *e, uint64_t key);

#endif
