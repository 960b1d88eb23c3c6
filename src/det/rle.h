/*
 * rle.h - run-length masks as COCO's: column-major, the first run counts zeros; areas, overlaps,
 * unions, polygons, and the compressed string. A mask's runs add up to h * w.
 */
#ifndef VOV_RLE_H
#define VOV_RLE_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RLE_MAX_SIDE = 32768 };           /* h * w then fits in an int */
static const double rle_farthest = 1e12; /* of a polygon's coordinates */

struct rle {
    int h, w;
    unsigned *run; /* [n]; mem_free */
    int n;
};

void rle_free(struct rle *m);

/* Copies runs. VOV_EFORMAT when they do not add up to h * w, or a side is out of range. */
enum vov_status rle_from_runs(const unsigned *run, int n, int h, int w, struct rle *m,
                              struct err *err);

/* From COCO's compressed string of n characters (as the decoder's input ends with them, not with a
 * NUL). VOV_EFORMAT for other characters, a number without end, negative runs, a wrong sum. */
enum vov_status rle_from_string(const char *s, size_t n, int h, int w, struct rle *m,
                                struct err *err);
void rle_to_string(const struct rle *m, struct buf *out);

/* A polygon of n numbers x y x y ..., filled by the even-odd rule. VOV_EFORMAT for fewer than three
 * points and for coordinates beyond rle_farthest. */
enum vov_status rle_from_polygon(const double *xy, int n, int h, int w, struct rle *m,
                                 struct err *err);

/* Union, or intersection, of k > 0 masks of one size, which the caller has made sure of. */
enum vov_status rle_merge(const struct rle *masks, int k, bool intersect, struct rle *out,
                          struct err *err);

double rle_area(const struct rle *m);
void rle_box(const struct rle *m, double xywh[4]); /* all 0 for an empty mask */

/* A rectangle of the mask, x y w h, as bytes [h][w] of 0 and 1. */
void rle_spread(const struct rle *m, const int rect[4], uint8_t *out);

/* Intersection over union; with crowd, over the area of a. Masks of one size. */
double rle_iou(const struct rle *a, const struct rle *b, bool crowd);

/* The same of boxes x y w h. */
double box_iou_xywh(const double a[4], const double b[4], bool crowd);

#endif
