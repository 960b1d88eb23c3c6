/*
 * fast_maxpool.c - max pooling over the threads, row by row. Without indices each column's largest
 * number comes first and then that of the windows; with them windows are looked at where they lie,
 * by eights but for those at the picture's edges.
 */
#include "fast.h"
#include "pooling.h"

#include <math.h>
#include <string.h>

/* Room for some windows of a row: their inputs, and each one's largest number. */
struct maxima {
    int q, n; /* the windows */
    real line[LINE], most[COLUMNS];
};

static void find_largest(const struct pooling *j, const real *x, struct span h, struct maxima *m)
{
    const struct line_part part = pooling_part(j, m->q, m->n);
    const struct windows w = {.n = m->n, .size = j->d->size, .stride = j->d->stride};

    for (int r = h.from; r < h.to; r++) {
        const real *row = x + (size_t)r * (size_t)j->x.w;
        if (r == h.from) {
            pooling_fill(&part, row, -(real)INFINITY, m->line);
        } else {
            j->cpu->kernels->larger((size_t)(part.in.to - part.in.from), row + part.in.from,
                                    m->line + (part.in.from - part.first));
        }
    }
    if (h.from < h.to) {
        j->cpu->kernels->largest(&w, m->line, m->most);
    }
}

/* Windows without a number in the picture give 0: those before `first`, and from `beyond` on. */
static void clear_empty(const struct pooling *j, struct span h, struct maxima *m)
{
    const struct pool_desc *d = j->d;
    const int first = d->pad < d->size ? 0 : (d->pad - d->size) / d->stride + 1;
    const int beyond = ceil_div(j->x.w + d->pad, d->stride);

    if (h.from < h.to && m->q >= first && m->q + m->n <= beyond) {
        return;
    }
    for (int q = m->q; q < m->q + m->n; q++) {
        if (h.from == h.to || q < first || q >= beyond) {
            m->most[q - m->q] = 0;
        }
    }
}

static void maxpool_row(const struct pooling *j, const real *x, struct span h, real *y)
{
    struct maxima m;

    for (m.q = 0; m.q < j->y.w; m.q += m.n) {
        m.n = pooling_columns(j, m.q);
        for (int i = 0; i < round_up(m.n, 8); i++) {
            m.most[i] = -(real)INFINITY;
        }
        find_largest(j, x, h, &m);
        clear_empty(j, h, &m);
        memcpy(y + m.q, m.most, (size_t)m.n * sizeof *y);
    }
}

/* Windows q.from..q.to-1 of a row with their indices, number by number; an empty one's is -1. */
static void search_windows(const struct pooling *j, const real *x, struct span h, struct span q,
                           real *y, real *argmax)
{
    for (int i = q.from; i < q.to; i++) {
        const struct span columns = pooling_window(j->d, i, j->x.w);
        real most = 0;
        int64_t at = -1;
        for (int r = h.from; r < h.to; r++) {
            for (int c = columns.from; c < columns.to; c++) {
                const int64_t here = (int64_t)r * j->x.w + c;
                if (at < 0 || (!(x[here] <= most) && most == most)) {
                    most = x[here];
                    at = here;
                }
            }
        }
        y[i] = most;
        argmax[i] = (real)at;
    }
}

/* The windows of a row that lie so far inside that a kernel may read them where they are. */
static struct span inner_windows(const struct pooling *j)
{
    const struct pool_desc *d = j->d;
    const int from = ceil_div(d->pad, d->stride), room = j->x.w + d->pad - d->size + 1;
    const int to = room / d->stride < j->y.w ? room / d->stride : j->y.w;

    return to < from + 8 ? (struct span){0, 0} : (struct span){from, to};
}

static void maxpool_row_at(const struct pooling *j, const real *x, struct span h, real *y,
                           real *argmax)
{
    const struct span in = h.from < h.to ? inner_windows(j) : (struct span){0, 0};
    const int64_t first = (int64_t)h.from * j->x.w + (int64_t)in.from * j->d->stride - j->d->pad;
    const struct windows w = {in.to - in.from, j->d->size, j->d->stride,
                              h.to - h.from,   j->x.w,     (real)first};

    if (w.n > 0) {
        j->cpu->kernels->largest_at(&w, x + first, y + in.from, argmax + in.from);
    }
    search_windows(j, x, h, (struct span){0, in.from}, y, argmax);
    search_windows(j, x, h, (struct span){in.to, j->y.w}, y, argmax);
}

static void maxpool_plane(const struct pooling *j, int n, int c)
{
    const real *x = view_at(j->x, n, c);
    real *y = view_at(j->y, n, c), *argmax = j->argmax.p ? view_at(j->argmax, n, c) : NULL;

    for (int p = 0; p < j->y.h; p++) {
        const struct span h = pooling_window(j->d, p, j->x.h);
        const size_t at = (size_t)p * (size_t)j->y.w;
        if (argmax) {
            maxpool_row_at(j, x, h, y + at, argmax + at);
        } else {
            maxpool_row(j, x, h, y + at);
        }
    }
}

static void fast_maxpool_fwd(struct backend *be, const struct pool_desc *d, struct view x,
                             struct view y, struct view argmax)
{
    struct pooling j = {.d = d, .x = x, .y = y, .argmax = argmax, .plane = maxpool_plane};

    pooling_run(be, &j);
}

static void maxpool_bwd_plane(const struct pooling *j, int n, int c)
{
    const real *argmax = view_at(j->argmax, n, c), *dy = view_at(j->y, n, c);
    const int count = (int)view_plane(j->y);
    real *dx = view_at(j->x, n, c);

    pooling_clear(j, dx);
    for (int i = 0; i < count; i++) {
        const int at = (int)argmax[i];
        if (at >= 0) {
            dx[at] += dy[i];
        }
    }
}

static void fast_maxpool_bwd(struct backend *be, const struct pool_desc *d, struct view argmax,
                             struct view dy, real beta, struct view dx)
{
    struct pooling j = {
        .d = d, .x = dx, .y = dy, .argmax = argmax, .beta = beta, .plane = maxpool_bwd_plane};

    pooling_run(be, &j);
}

void fast_maxpool_entries(struct backend_ops *ops)
{
    ops->maxpool_fwd = fast_maxpool_fwd;
    ops->maxpool_bwd = fast_maxpool_bwd;
}
