/*
 * draw.c - see draw.h.
 */
#include "draw.h"

#include "base/mem.h"
#include "font.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct color draw_class_color(int class_id)
{
    /* Hues a golden ratio of the circle apart; two lightnesses in turn. */
    const double turns = (unsigned)class_id * 0.61803398875;
    const double hue = (turns - floor(turns)) * 6;
    const double hi = class_id % 2 == 0 ? 255 : 205, lo = class_id % 2 == 0 ? 40 : 0;
    double part[3];

    for (int c = 0; c < 3; c++) {
        const double k = fmod(hue + (c == 0 ? 5 : c == 1 ? 3 : 1), 6);
        part[c] = hi - (hi - lo) * fmax(0, fmin(fmin(k, 4 - k), 1));
    }
    return (struct color){(uint8_t)part[0], (uint8_t)part[1], (uint8_t)part[2]};
}

void draw_rect(struct image *img, int x0, int y0, int x1, int y1, struct color c)
{
    x0 = x0 < 0 ? 0 : x0;
    y0 = y0 < 0 ? 0 : y0;
    x1 = x1 > img->width ? img->width : x1;
    y1 = y1 > img->height ? img->height : y1;
    for (int y = y0; y < y1; y++) {
        uint8_t *row = img->rgb + (size_t)y * (size_t)img->width * 3;
        for (int x = x0; x < x1; x++) {
            row[x * 3] = c.r;
            row[x * 3 + 1] = c.g;
            row[x * 3 + 2] = c.b;
        }
    }
}

void draw_frame(struct image *img, const int at[4], int thick, struct color c)
{
    draw_rect(img, at[0], at[1], at[2], at[1] + thick, c);
    draw_rect(img, at[0], at[3] - thick, at[2], at[3], c);
    draw_rect(img, at[0], at[1], at[0] + thick, at[3], c);
    draw_rect(img, at[2] - thick, at[1], at[2], at[3], c);
}

/* Bytes of a UTF-8 character behind its first are no character of their own. */
static bool begins_character(char byte)
{
    return ((unsigned char)byte & 0xc0) != 0x80;
}

int draw_text_width(int zoom, const char *text)
{
    int n = 0;

    for (; *text != '\0'; text++) {
        n += begins_character(*text);
    }
    return n * (FONT_WIDTH + 1) * zoom;
}

int draw_text_height(int zoom)
{
    return FONT_HEIGHT * zoom;
}

void draw_text(struct image *img, int x, int y, int zoom, struct color c, const char *text)
{
    for (; *text != '\0'; text++) {
        const uint8_t *rows = font_glyph((unsigned char)*text);
        if (!begins_character(*text)) {
            continue;
        }
        for (int i = 0; i < FONT_WIDTH * FONT_HEIGHT; i++) {
            const int px = x + i % FONT_WIDTH * zoom, py = y + i / FONT_WIDTH * zoom;
            if (rows[i / FONT_WIDTH] >> (FONT_WIDTH - 1 - i % FONT_WIDTH) & 1) {
                draw_rect(img, px, py, px + zoom, py + zoom, c);
            }
        }
        x += (FONT_WIDTH + 1) * zoom;
    }
}

/* A coordinate as a whole pixel, whatever a net made of it. */
static int pixel(real v)
{
    return v > -100000 && v < 100000 ? (int)lround((double)v) : v > 0 ? 100000 : -100000;
}

static void draw_label(struct image *img, int x, int y, int zoom, struct color ground,
                       const char *text)
{
    const int w = draw_text_width(zoom, text) + zoom, h = draw_text_height(zoom) + 2 * zoom;
    const double light = 0.299 * ground.r + 0.587 * ground.g + 0.114 * ground.b;
    const struct color ink = light > 140 ? (struct color){0, 0, 0} : (struct color){255, 255, 255};

    y = y - h >= 0 ? y - h : y; /* over the box, or in it at the picture's top */
    x = x + w > img->width ? img->width - w : x;
    x = x < 0 ? 0 : x;
    draw_rect(img, x, y, x + w, y + h, ground);
    draw_text(img, x + zoom, y + zoom, zoom, ink, text);
}

static void draw_one(struct image *img, const struct detection *d, const char *name)
{
    const int longest = img->width > img->height ? img->width : img->height;
    const int zoom = 1 + longest / 900, thick = 1 + longest / 400;
    const struct color c = draw_class_color(d->class_id);
    const int at[4] = {pixel(d->box.x0), pixel(d->box.y0), pixel(d->box.x1), pixel(d->box.y1)};
    char text[80];

    if (name != NULL) {
        snprintf(text, sizeof text, "%.60s %.0f%%", name, (double)d->score * 100);
    } else {
        snprintf(text, sizeof text, "class %d %.0f%%", d->class_id, (double)d->score * 100);
    }
    draw_frame(img, at, thick, c);
    draw_label(img, at[0], at[1], zoom, c, text);
}

static int by_score(const void *a, const void *b)
{
    const struct detection *const *x = a, *const *y = b;

    if ((*x)->score != (*y)->score) {
        return (*x)->score < (*y)->score ? -1 : 1;
    }
    return *x < *y ? -1 : 1;
}

void draw_detections(struct image *img, const struct detection *dets, int n,
                     const char *const *class_name, int n_classes)
{
    const struct detection **order = mem_alloc((size_t)n + 1, sizeof *order);

    for (int i = 0; order != NULL && i < n; i++) {
        order[i] = &dets[i];
    }
    if (order != NULL) {
        qsort(order, (size_t)n, sizeof *order, by_score);
    }
    for (int i = 0; i < n; i++) { /* without memory: in the order given */
        const struct detection *d = order != NULL ? order[i] : &dets[i];
        const bool named = class_name != NULL && d->class_id >= 0 && d->class_id < n_classes;
        draw_one(img, d, named ? class_name[d->class_id] : NULL);
    }
    mem_free(order);
}
