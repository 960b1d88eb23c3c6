/*
 * strip.h - some neighbouring pixels of one image, for what works across channels: so few that all
 * their channels stay in the second cache between one pass over them and the next.
 */
#ifndef VOV_CPU_STRIP_H
#define VOV_CPU_STRIP_H

#include "backend/tensor.h"
#include "span.h"

/* Pixels of a strip at most, and numbers. */
enum { PIXELS = 256, STRIP_NUMBERS = 131072 };

struct strip {
    int n;
    size_t from, count;
};

static inline size_t strip_pixels(struct view x)
{
    const int fit = STRIP_NUMBERS / x.c / 16 * 16;

    return (size_t)(fit < 16 ? 16 : fit > PIXELS ? PIXELS : fit);
}

/* Strips of one image. */
static inline int strip_count(struct view x)
{
    return (int)((view_plane(x) + strip_pixels(x) - 1) / strip_pixels(x));
}

static inline struct strip strip_at(struct view x, int chunk)
{
    const size_t from = (size_t)(chunk % strip_count(x)) * strip_pixels(x);
    const size_t left = view_plane(x) - from;

    return (struct strip){chunk / strip_count(x), from,
                          left < strip_pixels(x) ? left : strip_pixels(x)};
}

#endif
