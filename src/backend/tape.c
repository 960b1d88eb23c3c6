/*
 * tape.c - see tape.h.
 */
#include "tape.h"

#include "base/debug.h"

void tape_run(struct backend *be, struct tape *t, void (*fn)(void *ctx), void *ctx)
{
    const bool again = t->ran;

    t->ran = true;
    if (be->ops->record == NULL || be->recording || !again || debug_on(DEBUG_UNRECORDED)) {
        fn(ctx);
        return;
    }
    if (t->recording == NULL && be->ops->record(be)) {
        be->recording = true;
        fn(ctx);
        be->recording = false;
        t->recording = be->ops->recorded(be);
    }
    if (t->recording != NULL) {
        be->ops->replay(be, t->recording);
    }
}

void tape_close(struct backend *be, struct tape *t)
{
    if (t->recording != NULL) {
        be->ops->forget(be, t->recording);
    }
    *t = (struct tape){0};
}
