/*
 * mask_grid.h - an annotated mask as numbers on a grid over a part of its picture: what a net that
 * finds masks learns from.
 */
#ifndef VOV_MASK_GRID_H
#define VOV_MASK_GRID_H

#include "dataset.h"

/*
 * out [side, side]: how much of each cell of the grid over `part`, a rectangle of the picture in
 * pixels that is not empty, the object covers, 0..1. mirror: the rightmost cell of a row comes
 * first. seg NULL: the object is taken to fill its part. The error is VOV_ENOMEM.
 */
enum vov_status mask_grid(const struct seg *seg, const struct box *part, bool mirror, int side,
                          real *out, struct err *err);

#endif
