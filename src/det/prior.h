/*
 * prior.h - the fixed boxes ("priors", "default boxes", "anchors") that detectors put on every cell
 * of a feature map: the same shapes, centred on each cell (docs/refinedet.md).
 */
#ifndef VOV_PRIOR_H
#define VOV_PRIOR_H

#include "detection.h"

/* Pixels of the picture. */
struct prior_shape {
    double w, h;
};

/* As large as a square of `size`, `ratio` times as wide as high. */
struct prior_shape prior_shape(double size, double ratio);

struct prior_level {
    int w, h;                        /* cells */
    double step_x, step_y;           /* pixels between cells */
    const struct prior_shape *shape; /* of each cell's priors; borrowed */
    int n_shapes;
};

/* How many: w * h * n_shapes. Fits where the level does: the caller has checked. */
int prior_count(const struct prior_level *l);

/* Writes prior_count() boxes in parts of a width x height picture, not clipped to it. Order: row,
 * column, shape. */
void prior_fill(const struct prior_level *l, int width, int height, struct box *out);

#endif
