/*
 * roi_part.h - what the files behind roi.h share: a truth's box, moving a box, smooth L1, memory.
 */
#ifndef VOV_ROI_PART_H
#define VOV_ROI_PART_H

#include "roi.h"

#include <tgmath.h>

/* Whether a row of truth is something to find, and its box in pixels. */
static inline bool roi_truth(const real *row, int width, int height, struct box *b)
{
    *b = (struct box){row[0] * (real)width, row[1] * (real)height, row[2] * (real)width,
                      row[3] * (real)height};
    return row[4] > 0 && b->x1 > b->x0 && b->y1 > b->y0;
}

/* Moves a box by deltas, and cuts it off at the picture's edge. */
struct box roi_move(const struct box *from, const real t[4], const real variance[4],
                    const struct box *extent);

/* Girshick 2015, Eq. 3, with the square up to beta. */
static inline real smooth_l1(real d, real beta)
{
    const real a = fabs(d);

    return a < beta ? a * a / (2 * beta) : a - beta / 2;
}

static inline real smooth_l1_slope(real d, real beta)
{
    return fabs(d) < beta ? d / beta : d > 0 ? 1 : -1;
}

static inline size_t aligned(size_t bytes)
{
    return (bytes + 15) / 16 * 16;
}

/* The next part of a scratch. */
static inline void *carve(char **at, size_t bytes)
{
    void *p = *at;

    *at += aligned(bytes);
    return p;
}

/* dx = beta * dx + g, where dx may be NaN when beta is 0. */
static inline void put(real beta, real *dx, real g)
{
    *dx = beta != 0 ? beta * *dx + g : g;
}

#endif
