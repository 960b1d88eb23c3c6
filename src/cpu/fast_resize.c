/*
 * fast_resize.c - resizing over the threads. Rows are blended first, into a line, then columns of
 * the line; backward the other way round. Nearest by a whole number is pooling, the other way
 * round.
 */
#include "fast.h"
#include "pooling.h"
#include "resample.h"

#include <string.h>

/* INPUTS: of a line that one block of output columns reads. */
enum { INPUTS = 4096 };

/* Some output columns: output q + i = (1 - t) * line[a] + t * line[b], line being input columns
 * first .. first + width - 1. */
struct block {
    int q, n, first, width;
    int a[COLUMNS], b[COLUMNS];
    real t[COLUMNS], line[INPUTS];
};

static struct resample_tap tap_at(bool bilinear, int i, int in, int out)
{
    return bilinear ? resample_bilinear(i, in, out) : resample_nearest(i, in, out);
}

/* As many columns from b->q on as there is room for. Taps rise with the column. */
static void open_block(const struct pooling *j, struct block *b)
{
    b->first = tap_at(j->bilinear, b->q, j->x.w, j->y.w).a;
    for (b->n = 0; b->n < COLUMNS && b->q + b->n < j->y.w; b->n++) {
        const struct resample_tap u = tap_at(j->bilinear, b->q + b->n, j->x.w, j->y.w);
        if (u.b - b->first >= INPUTS) {
            return;
        }
        b->width = u.b - b->first + 1;
        b->a[b->n] = u.a - b->first;
        b->b[b->n] = u.b - b->first;
        b->t[b->n] = u.t;
    }
}

/* The line of output row p. */
static const real *blend_rows(const struct pooling *j, const real *x, int p, struct block *b)
{
    const struct resample_tap v = tap_at(j->bilinear, p, j->x.h, j->y.h);
    const real *top = x + (size_t)v.a * (size_t)j->x.w + (size_t)b->first;
    const real *bottom = x + (size_t)v.b * (size_t)j->x.w + (size_t)b->first;

    if (v.t == 0) {
        return top;
    }
    j->cpu->kernels->scale((size_t)b->width, 1 - v.t, top, 0, b->line);
    j->cpu->kernels->scale((size_t)b->width, v.t, bottom, 1, b->line);
    return b->line;
}

/* Bilinear to twice the width, of rows that fit. */
static bool is_twice(const struct pooling *j)
{
    return j->bilinear && j->y.w == 2 * j->x.w && 2 * j->x.w <= INPUTS - 2;
}

static void resize_row(const struct pooling *j, const struct block *b, const real *line, real *y)
{
    for (int i = 0; !j->bilinear && i < b->n; i++) {
        y[i] = line[b->a[i]];
    }
    for (int i = 0; j->bilinear && i < b->n; i++) {
        y[i] = (1 - b->t[i]) * line[b->a[i]] + b->t[i] * line[b->b[i]];
    }
}

/* All of a row: its ends are repeated. */
static void twice_row(const struct pooling *j, const real *line, real *y)
{
    const size_t n = (size_t)j->x.w;
    real wide[INPUTS];

    memcpy(wide + 1, line, n * sizeof *wide);
    wide[0] = line[0];
    wide[n + 1] = line[n - 1];
    j->cpu->kernels->twice(n, wide, y);
}

static void resize_plane(const struct pooling *j, int n, int c)
{
    const real *x = view_at(j->x, n, c);
    real *y = view_at(j->y, n, c);
    struct block b = {.width = j->x.w};

    for (int p = 0; is_twice(j) && p < j->y.h; p++) {
        twice_row(j, blend_rows(j, x, p, &b), y + (size_t)p * (size_t)j->y.w);
    }

    for (b.q = 0; !is_twice(j) && b.q < j->y.w; b.q += b.n) {
        open_block(j, &b);
        for (int p = 0; p < j->y.h; p++) {
            real *row = y + (size_t)p * (size_t)j->y.w + (size_t)b.q;
            resize_row(j, &b, blend_rows(j, x, p, &b), row);
        }
    }
}

/* Nearest, by a whole number: every pixel of `small` is a window of `big`. The window's side, 0: it
 * is not so. */
static int whole_factor(bool bilinear, struct view small, struct view big)
{
    const int factor = big.w / small.w;

    return !bilinear && factor <= MAXPOOL_MOST && big.w == factor * small.w &&
                   big.h == factor * small.h
               ? factor
               : 0;
}

static void fast_resize_fwd(struct backend *be, bool bilinear, struct view x, struct view y)
{
    const int factor = whole_factor(bilinear, x, y);
    const struct pool_desc d = {factor, factor, 0};
    struct pooling j = {.x = x, .y = y, .bilinear = bilinear, .plane = resize_plane};

    if (factor > 0) {
        pooling_repeat(be, &d, x, 0, y);
    } else {
        pooling_run(be, &j);
    }
}

/* What the output row gives to each number of the line. */
static void give_back(const struct pooling *j, const real *dy, struct block *b)
{
    memset(b->line, 0, (size_t)b->width * sizeof *b->line);
    for (int i = 0; !j->bilinear && i < b->n; i++) {
        b->line[b->a[i]] += dy[i];
    }
    for (int i = 0; j->bilinear && i < b->n; i++) {
        b->line[b->a[i]] += (1 - b->t[i]) * dy[i];
        b->line[b->b[i]] += b->t[i] * dy[i];
    }
}

/* All of a row; the ends also have what their repetition would get. */
static void give_back_twice(const struct pooling *j, const real *dy, struct block *b)
{
    const size_t n = (size_t)j->x.w;
    real wide[INPUTS];

    memcpy(wide + 1, dy, 2 * n * sizeof *wide);
    wide[0] = dy[0];
    wide[2 * n + 1] = dy[2 * n - 1];
    j->cpu->kernels->twice_back(n, wide, b->line);
}

/* The line, to the two rows that output row p came from. */
static void add_line(const struct pooling *j, const struct block *b, int p, real *dx)
{
    const struct resample_tap v = tap_at(j->bilinear, p, j->x.h, j->y.h);
    const size_t row = (size_t)j->x.w, width = (size_t)b->width;

    dx += b->first;
    j->cpu->kernels->scale(width, 1 - v.t, b->line, 1, dx + (size_t)v.a * row);
    if (v.t > 0) {
        j->cpu->kernels->scale(width, v.t, b->line, 1, dx + (size_t)v.b * row);
    }
}

static void resize_bwd_plane(const struct pooling *j, int n, int c)
{
    const real *dy = view_at(j->y, n, c);
    real *dx = view_at(j->x, n, c);
    struct block b = {.width = j->x.w};

    pooling_clear(j, dx);
    for (int p = 0; is_twice(j) && p < j->y.h; p++) {
        give_back_twice(j, dy + (size_t)p * (size_t)j->y.w, &b);
        add_line(j, &b, p, dx);
    }
    for (b.q = 0; !is_twice(j) && b.q < j->y.w; b.q += b.n) {
        open_block(j, &b);
        for (int p = 0; p < j->y.h; p++) {
            give_back(j, dy + (size_t)p * (size_t)j->y.w + (size_t)b.q, &b);
            add_line(j, &b, p, dx);
        }
    }
}

static void fast_resize_bwd(struct backend *be, bool bilinear, struct view dy, real beta,
                            struct view dx)
{
    const int factor = whole_factor(bilinear, dx, dy);
    const struct pool_desc d = {factor, factor, 0};
    struct pooling j = {
        .x = dx, .y = dy, .beta = beta, .bilinear = bilinear, .plane = resize_bwd_plane};

    if (factor > 0) {
        pooling_sum(be, &d, dy, beta, dx);
    } else {
        pooling_run(be, &j);
    }
}

void fast_resize_entries(struct backend_ops *ops)
{
    ops->resize_fwd = fast_resize_fwd;
    ops->resize_bwd = fast_resize_bwd;
}
