/*
 * look.h - every picture of a data set through a network, in order, read ahead by the loader.
 */
#ifndef VOV_CLI_LOOK_H
#define VOV_CLI_LOOK_H

#include "data/loader.h"
#include "model/detector.h"

struct look {
    int workers; /* threads of the loader */
    const struct log *log;
    /* After each batch was run. b->width[i] is 0 where a picture could not be read. */
    enum vov_status (*take)(void *user, struct detector *d, const struct batch *b, struct err *err);
    void *user;
};

/* Threads for the loader where the user says --threads N (0: all cores). */
int look_workers(int threads);

enum vov_status look_over(const struct look *l, struct detector *d, const struct dataset *data,
                          struct err *err);

#endif
