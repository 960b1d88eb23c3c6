/*
 * resample.h - a window of a picture, which may reach beyond it, brought to any size as planes of
 * normalised numbers. What all ways of preparing a picture share: image_fit and augmentation.
 */
#ifndef VOV_RESAMPLE_H
#define VOV_RESAMPLE_H

#include "image.h"

/* Half-pixel centres, clamped at the window's edges; the formulas are those of OpenCV's modes of
 * the same names, without its rounding to 8 bits. Only area looks at all pixels when shrinking. */
enum resample {
    RESAMPLE_LINEAR,
    RESAMPLE_AREA,
    RESAMPLE_NEAREST,
    RESAMPLE_CUBIC,
    RESAMPLE_LANCZOS4,
    RESAMPLE_KINDS
};

/* A rectangle in pixels of the picture. */
struct window {
    int x, y, width, height;
};

/* Where the result goes: planes of a whole input, and the part that is filled. */
struct target {
    real *planes;
    size_t row, plane; /* numbers from one row, one plane to the next */
    int x, y, width, height;
    bool mirror; /* left and right change places */
};

/*
 * out = (value - mean) / std in each plane, the planes in px's order. Where the window lies outside
 * the picture the value is the mean: out is 0. VOV_ENOMEM: the scratch memory.
 */
enum vov_status resample(const struct image *img, const struct window *from, enum resample kind,
                         const struct pixels *px, const struct target *to);

/* Where a window's pixels come to lie, were it not for the mirror. */
struct placing placing_of(const struct window *from, const struct target *to);

/* The part of the input that a picture of width x height is brought to: all of it; or of a
 * letterbox the largest size of its shape that goes into it, in its middle; or the size that
 * short_side and long_side say, where that goes into it. */
void target_fit(int width, int height, const struct pixels *px, struct target *to);

#endif
