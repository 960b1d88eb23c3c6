/*
 * pack.h - a picture and what is to be done to it in one block (base/picture.h), for devices that
 * do it themselves.
 */
#ifndef VOV_PACK_H
#define VOV_PACK_H

#include "base/picture.h"
#include "distort.h"
#include "resample.h"

/* How a picture comes into an input. */
struct rendering {
    const struct image *img;
    const struct distortion *change; /* of its colours, first */
    const struct window *from;
    enum resample kind;
    const struct pixels *px;
    const struct target *to;
};

/* Fills *p, and `room` bytes from there at most, so that a device gets the bits of distort_apply
 * and resample. Only the pixels that are seen are part of it. false: it needs more room than that,
 * or memory for the way there. */
bool picture_pack(const struct rendering *r, struct picture *p, size_t room);

/* The room of a block with all numbers of an input, and where in the block they lie. */
size_t picture_room(const struct pixels *px);
real *picture_planes(struct picture *p);
/* Says that *p holds those, and no pixels. */
void picture_hold_planes(struct picture *p, const struct pixels *px);

#endif
