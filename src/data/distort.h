/*
 * distort.h - colours changed by chance. SSD's way: brightness, contrast, saturation and hue, each
 * by chance and in one of two orders. Darknet's: saturation, exposure and hue, always.
 */
#ifndef VOV_DISTORT_H
#define VOV_DISTORT_H

#include "base/picture.h"
#include "base/rng.h"
#include "image.h"

enum distort_kind { DISTORT_BRIGHTNESS, DISTORT_CONTRAST, DISTORT_SATURATION, DISTORT_HUE };

struct distort_options {
    double each; /* probability of each of SSD's changes; SSD: 0.5 */
    double saturation,
        exposure; /* Darknet's: times or over a factor between 1 and this; 1, 0: off */
    double hue;   /* Darknet's: up to this part of the circle, either way; 0: off */
};

enum { DISTORT_MOST = PICTURE_CHANGES };

struct distortion {
    enum distort_kind kind[DISTORT_MOST]; /* [n], in the order of application */
    double amount[DISTORT_MOST];
    int n;
};

struct distortion distort_choose(const struct distort_options *o, struct rng *r);

/* The changes as a device makes them; `tables` is where in the block n tables may be. */
void distort_pack(const struct distortion *d, struct picture *p, size_t tables);

/* A changed copy, freed by image_free. false: no memory. */
bool distort_apply(const struct distortion *d, const struct image *in, struct image *out);

#endif
