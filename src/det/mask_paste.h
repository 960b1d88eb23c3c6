/*
 * mask_paste.h - a mask over a box as a mask of the whole picture.
 */
#ifndef VOV_MASK_PASTE_H
#define VOV_MASK_PASTE_H

#include "detection.h"
#include "rle.h"

/*
 * mask [side, side]: the chance of the object in the cells of a grid over b, in pixels of a picture
 * of h x w. A pixel belongs to the object where the chance at its centre is at least a half: that
 * is bilinear between the centres of cells, and 0 beyond the grid (align_corners=False of other
 * programs). A box without area gives an empty mask. *out is freed by rle_free. VOV_EFORMAT: sides
 * over RLE_MAX_SIDE; VOV_ENOMEM.
 */
enum vov_status mask_paste(const real *mask, int side, const struct box *b, int h, int w,
                           struct rle *out, struct err *err);

#endif
