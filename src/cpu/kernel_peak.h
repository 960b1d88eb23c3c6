/*
 * kernel_peak.h - multiply-adds and nothing else: what the instruction set reaches at most. Twelve
 * chains are under way at once, which hides the latency of four or five cycles on machines that
 * start two in each. Included by the kernels_*.c files.
 */
#ifndef VOV_CPU_KERNEL_PEAK_H
#define VOV_CPU_KERNEL_PEAK_H

#include "vec.h"

#include <stddef.h>

#define PEAK_CHAINS(of) of(0) of(1) of(2) of(3) of(4) of(5) of(6) of(7) of(8) of(9) of(10) of(11)
#define PEAK_START(i) vec c##i = VEC_LOAD(io) + (real)(i);
#define PEAK_STEP(i) c##i = c##i * factor + term;
#define PEAK_SUM(i) sum += c##i;

/* A whole multiple of VEC_LANES numbers at io, at least 3 VEC_LANES: start, factor, term. */
static inline double kernel_multiply_adds(size_t n, real *io)
{
    const vec factor = VEC_LOAD(io + VEC_LANES), term = VEC_LOAD(io + 2 * VEC_LANES);
    vec sum = {0};
    PEAK_CHAINS(PEAK_START)
    for (size_t i = 0; i < n; i++) {
        PEAK_CHAINS(PEAK_STEP)
    }
    PEAK_CHAINS(PEAK_SUM)
    VEC_STORE(io, sum);
    return 12.0 * VEC_LANES * (double)n;
}

#endif
