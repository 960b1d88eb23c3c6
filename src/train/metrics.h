/*
 * metrics.h - metrics.jsonl of a run: a JSON object a line, one for each update (or every so many
 * of a long run) and one for each evaluation. A hook of the trainer.
 */
#ifndef VOV_METRICS_H
#define VOV_METRICS_H

#include "trainer.h"

struct metrics {
    char *path;
    FILE *f;
    double time; /* clock_now() at the last line */
    long at;     /* iteration of it */
};

/* Fills *h; m must stay where it is until metrics_close. */
void metrics_hook(struct metrics *m, struct hook *h);

/* Adds a line {"iteration", "epoch", "val": ...}; `val` is an object as JSON text. */
enum vov_status metrics_val(struct metrics *m, const struct trainer *t, const char *val,
                            struct err *err);
void metrics_close(struct metrics *m);

#endif
