/*
 * race.h - who touched which word of memory last.
 *
 * Two accesses race if at least one writes, they are not both atomic, and nothing lies between that
 * orders them: a barrier of the block, or one of the warp for lanes of the same warp. In global
 * memory nothing but the end of the kernel orders two blocks. A word is looked at as a whole until
 * somebody touches a part of it; from then on each of its bytes has its own record.
 */
#ifndef VOV_TESTS_CUDASIM_RACE_H
#define VOV_TESTS_CUDASIM_RACE_H

#include "exec.h"

enum race_kind { RACE_READ, RACE_WRITE, RACE_ATOMIC };

/* One access of a lane: to shared memory at an offset, or to device memory at one from MEM_BASE. */
struct race_access {
    const struct warp *warp;
    const struct instruction *in;
    int lane;
    uint64_t at;
    unsigned bytes; /* 1, 2, 4 or 8, and `at` is a multiple of it */
    enum race_kind kind;
};

/* Keeps the access in mind, and reports it if it races with another one. */
void race_shared(const struct race_access *a);
void race_global(const struct race_access *a);

/* Forgets the accesses to a part of device memory, to shared memory, to device memory. */
void race_forget(uint64_t at, size_t bytes);
void race_new_block(void);
void race_new_launch(void);

#endif
