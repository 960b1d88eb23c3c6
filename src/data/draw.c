/*
 * draw.c - see draw.h.
 */
#include "draw.h"

#include "base/mem.h"
#include "det/mask_paste.h"
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

/* Whether the mask ends within `thick` pixels of x, y, to any of four sides. in [h][w]. */
static bool at_edge(const uint8_t *in, int w, int h, int x, int y, int thick)
{
    if (x < thick || y < thick || x >= w - thick || y >= h - thick) {
        return true;
    }
    for (int k = 1; k <= thick; k++) {
        const uint8_t *at = in + (ptrdiff_t)y * w + x;
        if (!at[-k] || !at[k] || !at[-(ptrdiff_t)k * w] || !at[(ptrdiff_t)k * w]) {
            return true;
        }
    }
    return false;
}

static void tint(uint8_t *pixel, struct color c)
{
    pixel[0] = (uint8_t)((pixel[0] + c.r) / 2);
    pixel[1] = (uint8_t)((pixel[1] + c.g) / 2);
    pixel[2] = (uint8_t)((pixel[2] + c.b) / 2);
}

enum vov_status draw_mask(struct image *img, const struct rle *mask, int thick, struct color c,
                          struct err *err)
{
    double box[4];

    rle_box(mask, box);
    const int rect[4] = {(int)box[0], (int)box[1], (int)box[2], (int)box[3]};
    const int x0 = rect[0], y0 = rect[1], w = rect[2], h = rect[3];
    if (w == 0 || mask->w != img->width || mask->h != img->height) {
        return VOV_OK;
    }
    uint8_t *in = mem_alloc((size_t)w, (size_t)h);
    if (in == NULL) {
        return err_nomem(err, (size_t)w * (size_t)h);
    }
    rle_spread(mask, rect, in);
    for (int y = 0; y < h; y++) {
        uint8_t *row = img->rgb + ((size_t)(y0 + y) * (size_t)img->width + (size_t)x0) * 3;
        for (int x = 0; x < w; x++) {
            if (in[(ptrdiff_t)y * w + x] && at_edge(in, w, h, x, y, thick)) {
                draw_rect(img, x0 + x, y0 + y, x0 + x + 1, y0 + y + 1, c);
            } else if (in[(ptrdiff_t)y * w + x]) {
                tint(row + (ptrdiff_t)x * 3, c);
            }
        }
    }
    mem_free(in);
    return VOV_OK;
}

static enum vov_status draw_own_mask(struct image *img, const struct det_list *dets,
                                     const struct detection *d, int thick, struct err *err)
{
    const real *numbers = det_mask(dets, d);
    struct rle mask;

    if (numbers == NULL) {
        return VOV_OK;
    }
    TRY(mask_paste(numbers, dets->mask_side, &d->box, img->height, img->width, &mask, err));
    const enum vov_status status = draw_mask(img, &mask, thick, draw_class_color(d->class_id), err);
    rle_free(&mask);
    return status;
}

static void draw_box(struct image *img, const struct detection *d, int thick, const char *name)
{
    const int longest = img->width > img->height ? img->width : img->height;
    const int zoom = 1 + longest / 900;
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

enum vov_status draw_detections(struct image *img, const struct det_list *dets,
                                const char *const *class_name, int n_classes, struct err *err)
{
    const int longest = img->width > img->height ? img->width : img->height;
    const int thick = 1 + longest / 400;
    const struct detection **order = mem_alloc((size_t)dets->n + 1, sizeof *order);
    enum vov_status status = VOV_OK;

    if (order == NULL) {
        return err_nomem(err, (size_t)dets->n * sizeof *order);
    }
    for (int i = 0; i < dets->n; i++) {
        order[i] = &dets->v[i];
    }
    qsort(order, (size_t)dets->n, sizeof *order, by_score);
    for (int i = 0; i < dets->n && status == VOV_OK; i++) {
        const struct detection *d = order[i];
        const bool named = class_name != NULL && d->class_id >= 0 && d->class_id < n_classes;
        status = draw_own_mask(img, dets, d, thick, err);
        draw_box(img, d, thick, named ? class_name[d->class_id] : NULL);
    }
    mem_free(order);
    return status;
}
