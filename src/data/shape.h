/*
 * shape.h - plane shapes as polygons: the objects of drawn pictures. Made at any place, size and
 * turn, clipped to a picture, measured, and filled with soft edges.
 */
#ifndef VOV_SHAPE_H
#define VOV_SHAPE_H

#include <stdbool.h>

enum { SHAPE_KINDS = 9, SHAPE_MAX_POINTS = 64 };
extern const char *const shape_name[SHAPE_KINDS]; /* "circle", "square", ... */

struct figure {
    double xy[SHAPE_MAX_POINTS][2]; /* pixels; the last point joins the first */
    int n;
};

/* radius: of the circle around it, about; angle in radians; squeeze scales its height. */
struct shape_place {
    double x, y, radius, angle, squeeze;
};
void shape_make(int kind, const struct shape_place *at, struct figure *out);

/* Cuts away what lies outside 0..width, 0..height; n is 0 when nothing is left. */
void shape_clip(struct figure *s, double width, double height);

double shape_area(const struct figure *s);
void shape_bounds(const struct figure *s, double *x0, double *y0, double *x1, double *y1);

/* How much of each pixel of row y, columns 0..width-1, is inside: 0..1. */
void shape_cover_row(const struct figure *s, int y, int width, float *cover);

#endif
