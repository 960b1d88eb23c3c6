/*
 * detection.h - boxes, what a detector found, and what an annotator marked.
 */
#ifndef VOV_DETECTION_H
#define VOV_DETECTION_H

#include "base/err.h"
#include "base/real.h"

#include <stdbool.h>

struct box {
    real x0, y0, x1, y1;
};

struct detection {
    struct box box;
    real score;
    int class_id; /* from 0 */
    int mask;     /* its place in the list's masks, from 1; 0: none */
};

/* As a row of numbers: x0 y0 x1 y1 score class. In a list of rows a score of 0 ends those in use.
 */
enum { FOUND_ROW = 6 };

struct det_list {
    struct detection *v;
    int n, cap;
    /* Of a net that finds masks: each is mask_side rows of mask_side numbers, the chance of the
     * object in the cells of a grid over its box. */
    real *mask;
    int n_masks, mask_side;
};
bool det_add(struct det_list *l, struct detection d); /* false: no memory */
void det_clear(struct det_list *l);                   /* keeps its memory */
void det_free(struct det_list *l);

/* [mask_side, mask_side]; NULL: it has none. */
const real *det_mask(const struct det_list *l, const struct detection *d);

#endif
