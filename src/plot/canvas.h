/*
 * canvas.h - a drawing as a list of filled polygons and texts, made once and written as SVG or
 * painted as pixels. Coordinates are pixels from the top left corner.
 */
#ifndef VOV_PLOT_CANVAS_H
#define VOV_PLOT_CANVAS_H

#include "base/buf.h"
#include "data/image.h"

struct ink {
    uint8_t r, g, b;
};

struct point {
    double x, y;
};

enum { CANVAS_CORNERS = 32 };
enum text_at { TEXT_LEFT, TEXT_MIDDLE, TEXT_RIGHT }; /* which part of it is at x */

struct canvas_item {
    struct ink ink;
    int n; /* corners; 0: a text */
    struct point corner[CANVAS_CORNERS];
    char *text;
    struct point at; /* of a text: left, middle or right end, and half its height */
    enum text_at where;
    int size;    /* height of its capital letters */
    bool upward; /* turned by a right angle, reading from below */
};

struct canvas {
    int width, height;
    struct canvas_item *item;
    int n, cap;
    bool failed; /* memory ran out: what follows is not added, and writing says so */
};

void canvas_open(struct canvas *c, int width, int height);
void canvas_close(struct canvas *c);

/* n of 3 to CANVAS_CORNERS. */
void canvas_polygon(struct canvas *c, const struct point *corner, int n, struct ink ink);
void canvas_rect(struct canvas *c, struct point from, struct point to, struct ink ink);
void canvas_line(struct canvas *c, struct point from, struct point to, double width,
                 struct ink ink);
void canvas_disc(struct canvas *c, struct point middle, double radius, struct ink ink);

struct text_style {
    int size;
    enum text_at where;
    struct ink ink;
    bool upward;
};
void canvas_text(struct canvas *c, struct point at, const struct text_style *style,
                 const char *text);
double canvas_text_width(int size, const char *text); /* as it is painted */

/* VOV_ENOMEM. */
enum vov_status canvas_svg(const struct canvas *c, struct buf *out, struct err *err);
enum vov_status canvas_paint(const struct canvas *c, struct image *img, struct err *err);

/* By the name's end, .svg or .png; with another end, or none, both beside each other. VOV_EIO. */
enum vov_status canvas_write(const struct canvas *c, const char *path, struct err *err);

#endif
