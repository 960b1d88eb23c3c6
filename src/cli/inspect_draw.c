/*
 * inspect_draw.c - see inspect_draw.h. A column for each layer, a row for each output that it
 * reads, and the colours of the papers' figures: from blue at 0 over green to red at 1.
 */
#include "inspect_draw.h"

#include "plot/canvas.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CELL = 22, GAP = 46, TEXT = 9, HEAD = 16, SCALE_STEPS = 64, SCALE_WIDTH = 18 };

static const struct ink black = {30, 30, 30}, grey = {232, 232, 232}, white = {255, 255, 255};
static const char caption[] =
    "mean |weight| between a layer (column) and an output that it reads (row), divided by the "
    "column's largest; grey: not read";

const char *inspect_short(const struct connection_block *b, const char *name)
{
    const size_t n = strlen(b->name);

    return strncmp(name, b->name, n) == 0 && name[n] == '/' ? name + n + 1 : name;
}

/* A wave of one colour: full within a quarter of its middle, nothing beyond three eighths. */
static uint8_t wave(double x, double middle)
{
    return (uint8_t)lround(255 * fmin(1, fmax(0, 1.5 - 4 * fabs(x - middle))));
}

static struct ink heat(double x)
{
    return (struct ink){wave(x, 0.75), wave(x, 0.5), wave(x, 0.25)};
}

/* Room that names need. */
static double widest(const struct connection_block *b, const char *const *name, int n)
{
    double most = 0;

    for (int i = 0; i < n; i++) {
        most = fmax(most, canvas_text_width(TEXT, inspect_short(b, name[i])));
    }
    return most;
}

static double block_width(const struct connection_block *b)
{
    return widest(b, b->source, b->n_sources) + 8 + (double)b->n_targets * CELL;
}

static void draw_cells(struct canvas *c, const struct connection_block *b, struct point corner)
{
    for (int t = 0; t < b->n_targets; t++) {
        for (int s = 0; s < b->n_sources; s++) {
            const double v = b->part[t * b->n_sources + s];
            const struct point from = {corner.x + t * CELL, corner.y + s * CELL};
            const struct point to = {from.x + CELL - 1, from.y + CELL - 1};
            canvas_rect(c, from, to, v < 0 ? grey : heat(v));
        }
    }
}

/* x, y: its top left corner, names of layers above the cells included. */
static void draw_block(struct canvas *c, const struct connection_block *b, double x, double y,
                       double names)
{
    const struct text_style title = {HEAD - 4, TEXT_LEFT, black, false};
    const struct text_style row = {TEXT, TEXT_RIGHT, black, false};
    const struct text_style column = {TEXT, TEXT_LEFT, black, true};
    const double left = x + widest(b, b->source, b->n_sources) + 8, top = y + HEAD + names + 16;

    canvas_text(c, (struct point){x, y + HEAD / 2.0}, &title, b->name);
    draw_cells(c, b, (struct point){left, top});
    for (int s = 0; s < b->n_sources; s++) {
        const struct point at = {left - 6, top + (s + 0.5) * CELL};
        canvas_text(c, at, &row, inspect_short(b, b->source[s]));
    }
    for (int t = 0; t < b->n_targets; t++) {
        const struct point at = {left + (t + 0.5) * CELL, top - 6};
        canvas_text(c, at, &column, inspect_short(b, b->target[t]));
    }
}

/* The colours from 0 to 1, from below. */
static void draw_scale(struct canvas *c, double x, double y, double height)
{
    const struct text_style text = {TEXT, TEXT_LEFT, black, false};
    const double step = height / SCALE_STEPS;

    for (int i = 0; i < SCALE_STEPS; i++) {
        const double top = y + height - (i + 1) * step;
        canvas_rect(c, (struct point){x, top}, (struct point){x + SCALE_WIDTH, top + step + 0.5},
                    heat((i + 0.5) / SCALE_STEPS));
    }
    canvas_text(c, (struct point){x + SCALE_WIDTH + 5, y + height - 5}, &text, "0");
    canvas_text(c, (struct point){x + SCALE_WIDTH + 5, y + 5}, &text, "1");
}

enum vov_status inspect_draw(const struct connections *list, const char *title, const char *path,
                             struct err *err)
{
    const struct text_style heading = {HEAD, TEXT_LEFT, black, false};
    const struct text_style note = {TEXT, TEXT_LEFT, black, false};
    double width = GAP, names = 0, rows = 0, x = GAP / 2.0;
    struct canvas c;

    for (int i = 0; i < list->n; i++) {
        const struct connection_block *b = &list->block[i];
        width += block_width(b) + GAP;
        names = fmax(names, widest(b, b->target, b->n_targets));
        rows = fmax(rows, b->n_sources);
    }
    const double top = HEAD * 2.5, height = top + HEAD + names + 16 + rows * CELL + GAP;
    width = fmax(width + SCALE_WIDTH + 30, canvas_text_width(HEAD, title) + GAP);
    width = fmax(width, canvas_text_width(TEXT, caption) + GAP);
    canvas_open(&c, (int)ceil(width), (int)ceil(height));
    canvas_rect(&c, (struct point){0, 0}, (struct point){width, height}, white);
    canvas_text(&c, (struct point){x, HEAD}, &heading, title);
    for (int i = 0; i < list->n; i++) {
        draw_block(&c, &list->block[i], x, top, names);
        x += block_width(&list->block[i]) + GAP;
    }
    draw_scale(&c, x, top + HEAD + names + 16, rows * CELL);
    canvas_text(&c, (struct point){GAP / 2.0, height - GAP / 3.0}, &note, caption);
    const enum vov_status status = canvas_write(&c, path, err);
    canvas_close(&c);
    return status;
}
