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
};

struct det_list {
    struct detection *v;
    int n, cap;
};
bool det_add(struct det_list *l, struct detection d); /* false: no memory */
void det_free(struct det_list *l);

#endif
