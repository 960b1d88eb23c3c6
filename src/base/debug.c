/*
 * debug.c - the only place of the library that reads the environment.
 */
#include "debug.h"

#include <stdlib.h>
#include <string.h>

const struct debug_entry debug_table[DEBUG_COUNT] = {
    [DEBUG_CHECK] = {"VOV_CHECK", "look for numbers that are not finite after every node"},
    [DEBUG_POISON] = {"VOV_POISON", "fill buffers with NaN when the plan says that they are dead"},
    [DEBUG_ISA] = {"VOV_ISA", "kernels for this instruction set (base is plain C), not the best"},
    [DEBUG_UNRECORDED] = {"VOV_UNRECORDED", "a GPU's passes call by call, no recordings of them: a "
                                            "profiler sees nodes"},
};

const char *debug_value(enum debug_switch s)
{
    return getenv(debug_table[s].name);
}

bool debug_on(enum debug_switch s)
{
    const char *value = debug_value(s);

    return value != NULL && strcmp(value, "") != 0 && strcmp(value, "0") != 0;
}
