/*
 * augment.h - SSD's augmentation (docs/augmentation.md): distort, expand, random crop, warp resize,
 * mirror.
 */
#ifndef VOV_AUGMENT_H
#define VOV_AUGMENT_H

#include "base/picture.h"
#include "base/rng.h"
#include "dataset.h"
#include "distort.h"
#include "image.h"

struct augment {
    struct distort_options distort;
    double expand, crop, flip; /* probabilities; 0 switches off, crop 1 is SSD's */
    double max_expand;         /* 4 */
    int pad_crop; /* of pictures with a label: most pixels of the input that they are moved by */
    const double *short_side; /* [n_short_sides] one by chance rather than that of the pixels */
    int n_short_sides;        /* 0: no choice */
    bool any_resize;          /* one of five interpolations by chance, as SSD; else bilinear */
    bool difficult;           /* objects that are marked so are learned */
};

/* Where a training picture goes. */
struct sample {
    real *planes; /* [3][h][w] */
    real *truth;  /* [max_boxes, 5] rows in parts of the input, see multibox_fwd */
    real *masks;  /* [max_boxes, mask_side, mask_side] of their objects, see mask_grid; or NULL */
    int max_boxes, mask_side;
    struct placing *where; /* were it not mirrored */

    /* For a device that makes the numbers itself: gets the pixels that are seen and how, where they
     * take no more than `room` bytes; else the numbers, which have room in it: picture_planes, and
     * that is where planes points. NULL: planes gets them. */
    struct picture *picture;
    size_t room;
};

/*
 * One training picture from img and the boxes of `it`. Crowd and unfit boxes give no row, nor
 * do difficult ones unless a says so. r decides everything. The error is VOV_ENOMEM.
 */
enum vov_status augment_apply(const struct augment *a, struct rng *r, const struct image *img,
                              const struct item *it, const struct pixels *px,
                              const struct sample *out, struct err *err);

/*
 * One training picture with a label, as classifiers see it: distorted; a part of 8 to 100 % of it
 * cut out at a ratio of 3:4 to 4:3 (the crop; Szegedy et al. 2015), or moved by up to pad_crop
 * pixels (He et al. 2016, 4.2); mirrored. Of `out` there are planes and picture only. The error is
 * VOV_ENOMEM.
 */
enum vov_status augment_label(const struct augment *a, struct rng *r, const struct image *img,
                              const struct pixels *px, const struct sample *out, struct err *err);

#endif
