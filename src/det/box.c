/* box.c - see box.h. */
#include "box.h"

/* A NaN fails both comparisons of the first line. */
static real clamp(real v, real hi)
{
    if (!(v > 0)) {
        return 0;
    }
    return v < hi ? v : hi;
}

struct box box_clip(struct box b, real w, real h)
{
    return (struct box){clamp(b.x0, w), clamp(b.y0, h), clamp(b.x1, w), clamp(b.y1, h)};
}
