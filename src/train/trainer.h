/*
 * trainer.h - the training loop: batches in, losses and gradients, an update, checkpoints. What
 * else happens (progress on a screen, metrics.jsonl, evaluation) hangs on hooks.
 */
#ifndef VOV_TRAINER_H
#define VOV_TRAINER_H

#include "average.h"
#include "base/file.h"
#include "checkpoint.h"
#include "data/loader.h"
#include "dist.h"
#include "schedule.h"
#include "sgd.h"

#include <signal.h>

struct trainer;

/* Each function may be NULL. An error ends the run. */
struct hook {
    enum vov_status (*start)(void *user, struct trainer *t, struct err *err); /* before step one */
    enum vov_status (*step)(void *user, struct trainer *t, struct err *err);  /* after an update */
    /* After the update that completes an epoch, before its checkpoint is written. */
    enum vov_status (*epoch)(void *user, struct trainer *t, struct err *err);
    void *user;
};

struct trainer_options {
    const char *out;            /* folder of the run; made when missing */
    bool resume;                /* go on from out/last.safetensors; without it: begin anew */
    const struct dataset *data; /* borrowed */
    uint64_t seed;              /* of a new run */
    bool seed_given;            /* asked for: an earlier part must have had the same */
    int workers;                /* threads of the loader */
    int keep_every;             /* epochs between checkpoints that stay; 0: none */
    const struct hook *hooks;   /* [n_hooks], called in order */
    int n_hooks;
    const struct log *log;
    const volatile sig_atomic_t *stop; /* not 0: save and stop. May be NULL */

    /* Where several devices share each batch, a trainer for each; NULL: alone. Those of rank 1 and
     * up begin as `first`, the opened trainer of rank 0, has it, and neither read nor write in the
     * folder; `out` is not theirs. */
    struct dist *dist;
    const struct trainer *first;
};

enum { TRAINER_MAX_PARTS = 16 };

struct trainer {
    const struct trainer_options *opt;
    struct model *model; /* borrowed, a started training model */
    struct model *way;   /* that one or its `turned`: which the last part of a batch went through */
    struct sgd sgd;
    struct average average;
    struct schedule schedule;
    struct loader *loader;
    char *last_path, *best_path;
    DIR *lock;        /* on the folder; see file_lock */
    bool resumed;     /* it goes on from a checkpoint */
    bool best_is_new; /* a hook found a better one: see trainer_score */

    /* For hooks, of the last update. */
    struct run_state state;
    double rate, loss;
    double gradient_norm;           /* infinite or NaN where it overflowed in fp16 */
    double part[TRAINER_MAX_PARTS]; /* losses by part */
    const char *part_name[TRAINER_MAX_PARTS];
    int n_parts;
    long skipped;          /* pictures that could not be read, in this session */
    double started, saved; /* clock_now() */
    int *item;             /* [batch] pictures of the update; -1: of another device */

    /* A batch that was made ready, and may be on its way to the device, while the update before it
     * was still running. */
    struct batch *ready;  /* NULL: none */
    struct err not_ready; /* why there is none, where it was tried */
    struct staged ready_images, ready_truth, ready_masks, ready_extent;

    /* On the device: what an update leaves behind, see trainer.c. */
    real *report;
    int n_report;
    struct tape finish; /* the end of an update */
};

/*
 * Opens a run of a model whose memory is there (model_start) and whose parameters are as a new run
 * should begin. Makes the folder, proves that checkpoints can be written there and read back, and
 * takes the state of an earlier part of the run. Errors: VOV_ECFG (classes, length), VOV_EARG (the
 * folder holds a run and resume is not set, or another run is writing there), VOV_EIO, VOV_EFORMAT.
 * On failure *t is closed.
 */
enum vov_status trainer_open(struct trainer *t, struct model *m, const struct trainer_options *opt,
                             struct err *err);

/* To the end of the schedule. VOV_EINTERRUPTED: stopped as asked for, state saved. VOV_ENONFINITE:
 * the update was not made. */
enum vov_status trainer_run(struct trainer *t, struct err *err);
void trainer_close(struct trainer *t);

/* Runs trainers that share batches, n of them in order of their ranks, each in a thread. The error
 * is that of the first to end. */
enum vov_status trainers_run(struct trainer *const t[], int n, struct err *err);

/* For an evaluating hook: the result of the state as it is. The best one is kept in
 * best.safetensors. */
void trainer_score(struct trainer *t, double score);

#endif
