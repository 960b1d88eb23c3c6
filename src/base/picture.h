/*
 * picture.h - a picture on its way to be a net's input: 8-bit pixels, and how they become numbers.
 * It is one block of memory that means the same at any address, so that it can cross to a device as
 * it is. The loader makes it (data/resample.h) and devices that can take it.
 */
#ifndef VOV_PICTURE_H
#define VOV_PICTURE_H

#include "real.h"

#include <stddef.h>
#include <stdint.h>

enum { PICTURE_CHANGES = 7 }; /* of colours, at most */

/* What is done to all pixels, which stay bytes; the formulas are those of data/distort.c. */
enum picture_change {
    PICTURE_TABLE,    /* each value becomes that of a table */
    PICTURE_SATURATE, /* by the factor `amount` */
    PICTURE_HUE       /* turned by `amount` sixths of the circle */
};

/* One of the source columns (or rows) that a column (or row) of the input is made of. */
struct picture_tap {
    int32_t at;
    real weight;
};

struct picture {
    size_t bytes; /* of the block: this struct, and what follows it */
    size_t room;  /* the most that blocks of this input may have: bytes, or more */
    /* Numbers already, [3][h][w] of the whole input, so many bytes from the block's beginning.
     * Nothing below means anything then. 0: pixels. */
    size_t planes;

    size_t pixels; /* uint8_t [rows][columns][3], R G B */
    int32_t rows, columns;
    int32_t n_changes; /* made in their order, before all else */
    struct {
        int32_t kind; /* enum picture_change */
        real amount;
        size_t table; /* uint8_t [256] */
    } change[PICTURE_CHANGES];

    /* The part of the input that it fills; the rest is 0. */
    int32_t x, y, width, height;
    size_t tap_x, tap_y; /* struct picture_tap [width][each_x] and [height][each_y] */
    int32_t each_x, each_y;
    size_t sum_x, sum_y; /* real [width] and [height]: the sums of their weights */

    /* Of R G B: value * gain - sum_x * sum_y * bias goes to that plane of the input. */
    real gain[3], bias[3];
    int32_t plane[3];
};

/* The pixels of a block that has any are at most so many bytes, with all that belongs to them. */
enum { PICTURE_MOST = 1 << 26 };

#endif
