/*
 * distort.h - SSD's photometric distortion: brightness, contrast, saturation and hue, each by
 * chance and in one of two orders (paper.md 4.5).
 */
#ifndef VOV_DISTORT_H
#define VOV_DISTORT_H

#include "base/rng.h"
#include "image.h"

enum distort_kind { DISTORT_BRIGHTNESS, DISTORT_CONTRAST, DISTORT_SATURATION, DISTORT_HUE };

struct distortion {
    enum distort_kind kind[4]; /* [n], in the order of application */
    double amount[4];
    int n;
};

/* With probability p a set of changes, each of which has one chance in two; else none. */
struct distortion distort_choose(double p, struct rng *r);

/* A changed copy, freed by image_free. false: no memory. */
bool distort_apply(const struct distortion *d, const struct image *in, struct image *out);

#endif
