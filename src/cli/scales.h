/*
 * scales.h - what --scales says: the sizes at which a detector looks at each picture, and which
 * boxes of each count.
 */
#ifndef VOV_CLI_SCALES_H
#define VOV_CLI_SCALES_H

#include "base/err.h"

#include <stdbool.h>

enum scale_shape { SCALE_ANY, SCALE_WIDE, SCALE_TALL };

struct scale {
    int width, height;     /* of the input */
    enum scale_shape only; /* for pictures wider than high, for the others, or for all */
    double least, most;    /* boxes count whose longer side is over least and whose shorter side is
                              under most, in pixels of their picture; most 0: no limit */
};

enum { SCALES_MAX = 64 };
struct scales {
    struct scale v[SCALES_MAX];
    int n;
};

/*
 * text: NULL or "" (the size of the cfg), or sizes with commas between: SIDE, WIDTHxHEIGHT, or
 * LONG/SHORT for the picture's own longer and shorter side, each with :LEAST-MOST behind it, either
 * of which may be left out; or "refinedet": what RefineDet's published tester does for a net of
 * 320x320 or 512x512. VOV_EARG.
 */
enum vov_status scales_parse(const char *text, int width, int height, struct scales *s,
                             struct err *err);

/* One size for all boxes: nothing to be put together. */
bool scales_is_one(const struct scales *s);

#endif
