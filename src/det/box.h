/*
 * box.h - overlap of boxes. Boxes are continuous: a width is x1 - x0, without SSD's older "+ 1".
 */
#ifndef VOV_BOX_H
#define VOV_BOX_H

#include "detection.h"

static inline real box_area(const struct box *b)
{
    return b->x1 > b->x0 && b->y1 > b->y0 ? (b->x1 - b->x0) * (b->y1 - b->y0) : 0;
}

/* Intersection over union; 0 for boxes without area and for numbers that are not. */
static inline real box_iou(const struct box *a, const struct box *b)
{
    const real x0 = a->x0 > b->x0 ? a->x0 : b->x0, x1 = a->x1 < b->x1 ? a->x1 : b->x1;
    const real y0 = a->y0 > b->y0 ? a->y0 : b->y0, y1 = a->y1 < b->y1 ? a->y1 : b->y1;

    if (!(x1 > x0 && y1 > y0)) {
        return 0;
    }
    const real both = (x1 - x0) * (y1 - y0);
    const real any = box_area(a) + box_area(b) - both;
    return any > 0 ? both / any : 0;
}

/* What of b lies in the rectangle from 0, 0 to w, h; NaN becomes 0. May be empty. */
struct box box_clip(struct box b, real w, real h);

#endif
