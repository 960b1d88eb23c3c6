/*
 * tape.h - calls that are the same each time, recorded and replayed where a device can: hundreds of
 * kernels are then one call of the host. The first time they run as they are, so that what is made
 * once (plans, workspaces) is there; the second time they are recorded.
 */
#ifndef VOV_TAPE_H
#define VOV_TAPE_H

#include "backend.h"

struct tape {
    void *recording;
    bool ran;
};

/* fn makes calls of the backend and nothing else that matters, the same each time. Inside another
 * tape it becomes part of that. */
void tape_run(struct backend *be, struct tape *t, void (*fn)(void *ctx), void *ctx);
void tape_close(struct backend *be, struct tape *t);

#endif
