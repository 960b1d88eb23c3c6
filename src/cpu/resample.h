/*
 * resample.h - where an output pixel of a resize comes from, for the reference and the fast loops.
 */
#ifndef VOV_CPU_RESAMPLE_H
#define VOV_CPU_RESAMPLE_H

#include "base/real.h"

#include <stdint.h>

/* Along one axis: y[i] = (1 - t) * x[a] + t * x[b]. */
struct resample_tap {
    int a, b;
    real t;
};

static inline struct resample_tap resample_nearest(int i, int in, int out)
{
    const int a = (int)((int64_t)i * in / out);

    return (struct resample_tap){a, a, 0};
}

/* Half-pixel centres, clamped to the picture. */
static inline struct resample_tap resample_bilinear(int i, int in, int out)
{
    const double centre = (i + 0.5) * in / out - 0.5;
    const double at = centre < 0 ? 0 : centre;
    const int a = (int)at < in - 1 ? (int)at : in - 1;

    return (struct resample_tap){a, a + 1 < in ? a + 1 : a, (real)(at - a < 1 ? at - a : 1)};
}

#endif
