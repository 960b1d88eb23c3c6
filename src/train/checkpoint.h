/*
 * checkpoint.h - the whole state of a training run in one safetensors file: parameters and running
 * statistics by name (their average where one is kept, and then they themselves under
 * "unaveraged/"), momentum under "momentum/", and as metadata the cfg with its overrides, class
 * names, pixel settings, seed, position and best result. docs/checkpoints.md lists it for readers.
 */
#ifndef VOV_CHECKPOINT_H
#define VOV_CHECKPOINT_H

#include "io/weights.h"
#include "loss_scale.h"
#include "model/model.h"

/* Where a run is. Random numbers depend on (seed, epoch, position), so that these are all the state
 * that their generators have. */
struct run_state {
    uint64_t seed;
    long iteration, total; /* updates done, and of the whole run */
    int epoch;             /* passes over the data done */
    double best_score;     /* AP, or top-1; -1: none yet */
    long best_iteration;
    struct loss_scale scale;       /* written with fp16 only; value 0: the file has none */
    const char *const *class_name; /* [n_classes] of the data, borrowed; not read back */
    const long long *class_key;    /* [n_classes] their category ids, borrowed; not read back */
    int n_classes;
};

/* Writes the model's parameters and momentum and s. VOV_EIO: the file that was there is as it was.
 */
enum vov_status checkpoint_write(const char *path, const struct model *m, const struct run_state *s,
                                 struct err *err);

/* Takes all from a checkpoint, which must fit exactly. An average begins with the values where the
 * file has none. */
enum vov_status checkpoint_resume(const struct safetensors *st, const char *path, struct model *m,
                                  struct run_state *s, struct err *err);

/* Only where the run was. VOV_EFORMAT when it is no checkpoint of ours. */
enum vov_status checkpoint_state(const struct safetensors *st, const char *path,
                                 struct run_state *s, struct err *err);

#endif
