/*
 * draw.h - marks on pictures: lines, boxes and text in a small bitmap font of our own, and what a
 * detector found with its labels.
 */
#ifndef VOV_DRAW_H
#define VOV_DRAW_H

#include "det/detection.h"
#include "det/rle.h"
#include "image.h"

#include <stdint.h>

struct color {
    uint8_t r, g, b;
};

/* A colour for each class that is far from that of its neighbours. class_id may be any number. */
struct color draw_class_color(int class_id);

/* All of them clip to the picture; coordinates may lie anywhere. */
void draw_rect(struct image *img, int x0, int y0, int x1, int y1, struct color c); /* filled */
void draw_frame(struct image *img, const int at[4], int thick, struct color c);    /* x0 y0 x1 y1 */

/* Text with its top left corner at x, y, each font pixel `zoom` pixels wide. Bytes that are not
 * printable ASCII come as one box for each character. */
void draw_text(struct image *img, int x, int y, int zoom, struct color c, const char *text);
int draw_text_width(int zoom, const char *text);
int draw_text_height(int zoom);

/* The pixels of a mask of the picture's size, half their own colour and half c; those at its edge
 * are c, `thick` pixels inwards. Another size draws nothing. VOV_ENOMEM. */
enum vov_status draw_mask(struct image *img, const struct rle *mask, int thick, struct color c,
                          struct err *err);

/*
 * A frame, a mask where there is one, and a label "name 87%" for each detection, weakest first so
 * that the best lie on top. Boxes are in pixels of img. class_name may be NULL or hold NULLs: then
 * "class 3". VOV_ENOMEM: something is missing.
 */
enum vov_status draw_detections(struct image *img, const struct det_list *dets,
                                const char *const *class_name, int n_classes, struct err *err);

#endif
