/* coder.c - see coder.h for the formula. */
#include "coder.h"

#include "same_exp.h"

#include <tgmath.h>

void box_encode(const struct box *anchor, const struct box *truth, const real variance[4],
                real t[4])
{
    const real aw = anchor->x1 - anchor->x0, ah = anchor->y1 - anchor->y0;
    const real gw = truth->x1 - truth->x0, gh = truth->y1 - truth->y0;
    const real dx = (truth->x0 + truth->x1 - anchor->x0 - anchor->x1) / 2;
    const real dy = (truth->y0 + truth->y1 - anchor->y0 - anchor->y1) / 2;

    t[0] = dx / aw / variance[0];
    t[1] = dy / ah / variance[1];
    t[2] = log(gw / aw) / variance[2];
    t[3] = log(gh / ah) / variance[3];
}

struct box box_decode(const struct box *anchor, const real t[4], const real variance[4])
{
    const real aw = anchor->x1 - anchor->x0, ah = anchor->y1 - anchor->y0;
    const real x = (anchor->x0 + anchor->x1) / 2 + t[0] * variance[0] * aw;
    const real y = (anchor->y0 + anchor->y1) / 2 + t[1] * variance[1] * ah;
    const real half_w = same_exp(t[2] * variance[2]) * aw / 2;
    const real half_h = same_exp(t[3] * variance[3]) * ah / 2;

    return (struct box){x - half_w, y - half_h, x + half_w, y + half_h};
}
