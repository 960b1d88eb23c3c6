/*
 * prior.h - the fixed boxes ("priors", "default boxes") that SSD and RefineDet put on every cell
 * of a feature map (paper.md 4.1): width s * sqrt(r), height s / sqrt(r) for each size s and ratio
 * r, centred on the cell.
 */
#ifndef VOV_PRIOR_H
#define VOV_PRIOR_H

#include "detection.h"

struct prior_level {
    int w, h;                    /* cells */
    double step_x, step_y;       /* pixels between cells */
    double size;                 /* pixels: of the square prior at scale 1 */
    const double *scale, *ratio; /* borrowed */
    int n_scales, n_ratios;
};

/* How many: w * h * n_scales * n_ratios. Fits where the level does: the caller has checked. */
int prior_count(const struct prior_level *l);

/* Writes prior_count() boxes in parts of a width x height picture, not clipped to it. Order: row,
 * column, scale, ratio. */
void prior_fill(const struct prior_level *l, int width, int height, struct box *out);

#endif
