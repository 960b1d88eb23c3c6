/*
 * progress.h - what a user sees of a training run: on a terminal one line that lives, elsewhere a
 * plain line from time to time. A hook of the trainer.
 */
#ifndef VOV_CLI_PROGRESS_H
#define VOV_CLI_PROGRESS_H

#include "train/trainer.h"

struct progress {
    bool quiet, live;
    double printed; /* clock_now() at the last line */
    double busy;    /* seconds of training in this session, without evaluations */
    double step_began;
    long session_first; /* iteration that this session began at */
    long n;             /* updates since the last line, summed below */
    double loss, part[TRAINER_MAX_PARTS];
};

/* Fills *h; p must stay where it is while the run lasts. */
void progress_hook(struct progress *p, bool quiet, struct hook *h);

/* Ends a live line, so that other text can follow; and the time that passed since is no training.
 */
void progress_pause(struct progress *p);
void progress_go_on(struct progress *p);

#endif
