/*
 * fast_avgpool.c - average pooling over the threads, row by row: the rows of a window are added up
 * into a line, then the line's windows; backward, what each window gives lies in a line that is
 * added to its rows. Windows too large for a line are averaged one by one, those of 2x2 in one go.
 */
#include "fast.h"
#include "plain.h"
#include "pooling.h"

#include <string.h>

/* Room for some windows of a row. */
struct averages {
    int q, n; /* the windows */
    struct line_part part;
    real line[LINE], sums[COLUMNS], share[COLUMNS]; /* share: 1 / columns of the window inside */
};

static bool fits_line(const struct pool_desc *d)
{
    return d->size <= MAXPOOL_MOST && d->stride <= MAXPOOL_MOST;
}

/* The windows of all rows that begin with number q. */
static void open_windows(const struct pooling *j, struct averages *a)
{
    a->n = pooling_columns(j, a->q);
    a->part = pooling_part(j, a->q, a->n);
    for (int i = 0; i < a->n; i++) {
        const struct span w = pooling_window(j->d, a->q + i, j->x.w);
        a->share[i] = j->sums ? 1 : w.to > w.from ? 1 / (real)(w.to - w.from) : 0;
    }
}

static void add_row(const struct pooling *j, const struct averages *a, const real *from, real *to)
{
    j->cpu->kernels->scale((size_t)(a->part.in.to - a->part.in.from), 1, from, 1, to);
}

static void average_row(const struct pooling *j, const real *x, int p, struct averages *a, real *y)
{
    const struct span h = pooling_window(j->d, p, j->x.h);
    const struct windows w = {.n = a->n, .size = j->d->size, .stride = j->d->stride};
    const real of_rows = j->sums || h.to == h.from ? 1 : 1 / (real)(h.to - h.from);

    for (int r = h.from; r < h.to; r++) {
        const real *row = x + (size_t)r * (size_t)j->x.w;
        if (r == h.from) {
            pooling_fill(&a->part, row, 0, a->line);
        } else {
            add_row(j, a, row + a->part.in.from, a->line + (a->part.in.from - a->part.first));
        }
    }
    if (h.to > h.from) {
        j->cpu->kernels->window_sums(&w, a->line, a->sums);
    }
    for (int i = 0; i < a->n; i++) {
        const real v = h.to > h.from ? a->sums[i] * (a->share[i] * of_rows) : 0;
        y[i] = plain_scaled(j->beta, y[i]) + v;
    }
}

static bool is_whole(const struct pooling *j)
{
    return !j->sums && j->y.h == 1 && j->y.w == 1 && j->d->pad == 0 && j->d->size >= j->x.h &&
           j->d->size >= j->x.w;
}

/* Each number of y is the mean of four, which nothing is added to. */
static bool is_quarter(const struct pooling *j)
{
    const struct pool_desc *d = j->d;

    return !j->sums && j->beta == 0 && d->size == 2 && d->stride == 2 && d->pad == 0 &&
           j->x.h == 2 * j->y.h && j->x.w == 2 * j->y.w;
}

/* One window, of any size. */
static real average(const struct pooling *j, const real *x, int p, int q)
{
    const struct span h = pooling_window(j->d, p, j->x.h), w = pooling_window(j->d, q, j->x.w);
    const double count = (double)(h.to - h.from) * (w.to - w.from);
    double sum = 0;

    for (int r = h.from; r < h.to && count > 0; r++) {
        sum += j->cpu->kernels->sum((size_t)(w.to - w.from),
                                    x + (size_t)r * (size_t)j->x.w + (size_t)w.from);
    }
    return count > 0 ? (real)(sum / count) : 0;
}

static void average_plane(const struct pooling *j, int n, int c)
{
    const real *x = view_at(j->x, n, c);
    real *y = view_at(j->y, n, c);
    const size_t plane = view_plane(j->x);
    struct averages a;

    if (is_quarter(j)) {
        j->cpu->kernels->quarter(j->y.h, j->y.w, x, y);
        return;
    }
    if (is_whole(j)) {
        *y = (real)(j->cpu->kernels->sum(plane, x) / (double)plane);
        return;
    }
    for (int i = 0; !fits_line(j->d) && i < j->y.h * j->y.w; i++) {
        y[i] = average(j, x, i / j->y.w, i % j->y.w);
    }
    for (a.q = 0; fits_line(j->d) && a.q < j->y.w; a.q += a.n) {
        open_windows(j, &a);
        for (int p = 0; p < j->y.h; p++) {
            average_row(j, x, p, &a, y + (size_t)p * (size_t)j->y.w + (size_t)a.q);
        }
    }
}

static void fast_avgpool_fwd(struct backend *be, const struct pool_desc *d, struct view x,
                             struct view y)
{
    struct pooling j = {.d = d, .x = x, .y = y, .plane = average_plane};

    pooling_run(be, &j);
}

void pooling_sum(struct backend *be, const struct pool_desc *d, struct view big, real beta,
                 struct view small)
{
    struct pooling j = {
        .d = d, .x = big, .y = small, .beta = beta, .sums = true, .plane = average_plane};

    pooling_run(be, &j);
}

/* Every number of dx is in one window, and nothing is in it before. */
static bool is_tiled(const struct pooling *j)
{
    const struct pool_desc *d = j->d;

    return j->beta == 0 && d->stride == d->size && d->pad == 0 && j->y.h * d->size >= j->x.h &&
           j->y.w * d->size >= j->x.w;
}

static void spread_row(const struct pooling *j, const real *dy, int p, struct averages *a, real *dx)
{
    const struct span h = pooling_window(j->d, p, j->x.h);
    const struct windows w = {.n = a->n, .size = j->d->size, .stride = j->d->stride};
    const real of_rows = j->sums || h.to == h.from ? 1 : 1 / (real)(h.to - h.from);
    const int inside = a->part.in.to - a->part.in.from;
    const bool tiled = is_tiled(j);

    if (h.from == h.to || inside == 0) {
        return;
    }
    for (int i = 0; i < round_up(a->n, 8); i++) {
        a->sums[i] = i < a->n ? dy[i] * (a->share[i] * of_rows) : 0;
    }
    if (!tiled) {
        memset(a->line, 0, (size_t)a->part.length * sizeof *a->line);
    }
    j->cpu->kernels->window_spread(&w, a->sums, !tiled, a->line);
    for (int r = h.from; r < h.to; r++) {
        const real *line = a->line + (a->part.in.from - a->part.first);
        real *row = dx + (size_t)r * (size_t)j->x.w + (size_t)a->part.in.from;
        if (tiled) {
            const int wide = a->n * j->d->size < inside ? a->n * j->d->size : inside;
            memcpy(row, line, (size_t)wide * sizeof *row);
        } else {
            add_row(j, a, line, row);
        }
    }
}

/* One window, of any size. */
static void give_back(const struct pooling *j, real dy, int p, int q, real *dx)
{
    const struct span h = pooling_window(j->d, p, j->x.h), w = pooling_window(j->d, q, j->x.w);
    const real g = dy / ((real)(h.to - h.from) * (real)(w.to - w.from));

    for (int r = h.from; r < h.to; r++) {
        real *row = dx + (size_t)r * (size_t)j->x.w;
        for (int s = w.from; s < w.to; s++) {
            row[s] += g;
        }
    }
}

static void spread_plane(const struct pooling *j, int n, int c)
{
    const real *dy = view_at(j->y, n, c);
    real *dx = view_at(j->x, n, c);
    struct averages a;

    if (is_quarter(j)) {
        j->cpu->kernels->quarter_back(j->y.h, j->y.w, dy, dx);
        return;
    }
    if (!is_tiled(j)) {
        pooling_clear(j, dx);
    }
    if (is_whole(j)) {
        const real g = *dy / (real)view_plane(j->x);
        for (size_t i = 0; i < view_plane(j->x); i++) {
            dx[i] = plain_scaled(j->beta, dx[i]) + g;
        }
        return;
    }
    for (int i = 0; !fits_line(j->d) && i < j->y.h * j->y.w; i++) {
        give_back(j, dy[i], i / j->y.w, i % j->y.w, dx);
    }
    for (a.q = 0; fits_line(j->d) && a.q < j->y.w; a.q += a.n) {
        open_windows(j, &a);
        for (int p = 0; p < j->y.h; p++) {
            spread_row(j, dy + (size_t)p * (size_t)j->y.w + (size_t)a.q, p, &a, dx);
        }
    }
}

static void fast_avgpool_bwd(struct backend *be, const struct pool_desc *d, struct view dy,
                             real beta, struct view dx)
{
    struct pooling j = {.d = d, .x = dx, .y = dy, .beta = beta, .plane = spread_plane};

    pooling_run(be, &j);
}

void pooling_repeat(struct backend *be, const struct pool_desc *d, struct view small, real beta,
                    struct view big)
{
    struct pooling j = {
        .d = d, .x = big, .y = small, .beta = beta, .sums = true, .plane = spread_plane};

    pooling_run(be, &j);
}

void fast_avgpool_entries(struct backend_ops *ops)
{
    ops->avgpool_fwd = fast_avgpool_fwd;
    ops->avgpool_bwd = fast_avgpool_bwd;
}
