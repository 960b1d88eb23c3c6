/*
 * coder.h - boxes as offsets from anchors, SSD's CENTER_SIZE code (Liu et al. 2016, Eq. 2):
 *   tx = (gx - ax) / aw / v0    tw = ln(gw / aw) / v2
 * with centres x, y and sizes w, h of the box g and the anchor a, and variances v.
 */
#ifndef VOV_CODER_H
#define VOV_CODER_H

#include "detection.h"

/* Both boxes must have positive sizes. */
void box_encode(const struct box *anchor, const struct box *truth, const real variance[4],
                real t[4]);

/* Any t gives a box; its sizes may overflow to infinity. */
struct box box_decode(const struct box *anchor, const real t[4], const real variance[4]);

#endif
