/*
 * span.h - cutting work and memory into equal parts.
 */
#ifndef VOV_CPU_SPAN_H
#define VOV_CPU_SPAN_H

#include "base/real.h"

#include <stddef.h>
#include <stdint.h>

static inline int ceil_div(int a, int b)
{
    return (a + b - 1) / b;
}

static inline int round_up(int n, int to)
{
    return ceil_div(n, to) * to;
}

static inline size_t cache_lines(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* So many numbers that what follows begins on a cache line. */
static inline size_t whole_lines(size_t reals)
{
    return cache_lines(reals * sizeof(real)) / sizeof(real);
}

/* Asks for n numbers, which will be read soon. */
static inline void fetch(const real *p, size_t n)
{
    for (size_t i = 0; i < n; i += 64 / sizeof *p) {
        __builtin_prefetch(p + i);
    }
}

/* Part i of n equal parts of `total`, half open. */
struct span {
    int from, to;
};
static inline struct span span_at(int total, int n, int i)
{
    return (struct span){(int)((int64_t)total * i / n), (int)((int64_t)total * (i + 1) / n)};
}

#endif
