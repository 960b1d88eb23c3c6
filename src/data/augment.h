/*
 * augment.h - SSD's augmentation (paper.md 4.5): distort, expand, random crop, warp resize, mirror.
 */
#ifndef VOV_AUGMENT_H
#define VOV_AUGMENT_H

#include "base/rng.h"
#include "dataset.h"
#include "image.h"

struct augment {
    double distort, expand, crop, flip; /* probabilities; 0 switches off, crop 1 is SSD's */
    double max_expand;                  /* 4 */
    bool any_resize; /* one of five interpolations by chance, as SSD; else bilinear */
};

/*
 * One training picture: planes [3][h][w] and truth [max_boxes, 5] rows in parts of the input, from
 * img and the boxes of `it`. Crowd and difficult boxes give no row. r decides everything. The
 * error is VOV_ENOMEM.
 */
enum vov_status augment_apply(const struct augment *a, struct rng *r, const struct image *img,
                              const struct item *it, const struct pixels *px, int max_boxes,
                              real *planes, real *truth, struct err *err);

#endif
