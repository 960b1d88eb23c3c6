/*
 * rle.h - run-length masks as COCO's: column-major, zeros first; areas, overlaps, polygons, the
 * compressed string.
 */
#ifndef VOV_RLE_H
#define VOV_RLE_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct rle {
    int h, w;
    unsigned *run; /* [n]; mem_free */
    int n;
};

#endif
