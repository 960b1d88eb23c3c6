/*
 * debug.h - switches for developers, set through the environment and listed by `vov help debug`.
 */
#ifndef VOV_DEBUG_H
#define VOV_DEBUG_H

#include <stdbool.h>

enum debug_switch {
    DEBUG_CHECK,  /* VOV_CHECK=1: look for numbers that are not finite after every node */
    DEBUG_POISON, /* VOV_POISON=1: fill buffers with NaN when the plan says that they are dead */
    DEBUG_ISA,    /* VOV_ISA=NAME: kernels for this instruction set rather than the best */
    DEBUG_UNRECORDED, /* VOV_UNRECORDED=1: no recordings (tape.h): a profiler sees nodes */
    DEBUG_COUNT
};

bool debug_on(enum debug_switch s);
const char *debug_value(enum debug_switch s); /* as set; NULL: not */

struct debug_entry {
    const char *name, *doc;
};
extern const struct debug_entry debug_table[DEBUG_COUNT];

#endif
