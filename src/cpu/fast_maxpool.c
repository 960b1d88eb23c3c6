/*
 * fast_maxpool.c - max pooling over the threads, row by row. Without indices each column's largest
 * number comes first and then that of the windows; with them every row is looked at by itself.
 */
#include "fast.h"
#include "pooling.h"

#include <math.h>
#include <string.h>

/* Room for some windows of a row: their inputs, each one's largest number, and its index in the
 * input plane, -1 while nothing was larger than -infinity. */
struct maxima {
    int q, n; /* the windows */
    real line[LINE], most[COLUMNS], at[COLUMNS];
};

static void find_largest(const struct pooling *j, const real *x, struct span h, struct maxima *m)
{
    const struct line_part part = pooling_part(j, m->q, m->n);
    struct windows w = {m->n, j->d->size, j->d->stride, 0};

    for (int r = h.from; r < h.to; r++) {
        const real *row = x + (size_t)r * (size_t)j->x.w;
        if (r == h.from || j->argmax.p) {
            pooling_fill(&part, row, -(real)INFINITY, m->line);
        } else {
            j->cpu->kernels->larger((size_t)(part.in.to - part.in.from), row + part.in.from,
                                    m->line + (part.in.from - part.first));
        }
        w.index = (real)((int64_t)r * j->x.w + part.first);
        if (j->argmax.p || r == h.to - 1) {
            j->cpu->kernels->largest(&w, m->line, m->most, j->argmax.p ? m->at : NULL);
        }
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
            m->at[q - m->q] = -1;
        }
    }
}

/* Where all of a window is -infinity the first of it is the largest. */
static void name_first(const struct pooling *j, struct span h, struct maxima *m)
{
    real least = 0;

    for (int i = 0; i < m->n; i++) {
        least = m->at[i] < least ? m->at[i] : least;
    }
    for (int i = 0; least < 0 && i < m->n; i++) {
        const int column = pooling_window(j->d, m->q + i, j->x.w).from;
        m->at[i] = m->at[i] < 0 ? (real)((int64_t)h.from * j->x.w + column) : m->at[i];
    }
}

static void maxpool_row(const struct pooling *j, const real *x, int p, real *y, real *argmax)
{
    const struct span h = pooling_window(j->d, p, j->x.h);
    struct maxima m;

    for (m.q = 0; m.q < j->y.w; m.q += m.n) {
        m.n = pooling_columns(j, m.q);
        for (int i = 0; i < round_up(m.n, 8); i++) {
            m.most[i] = -(real)INFINITY;
            m.at[i] = -1;
        }
        find_largest(j, x, h, &m);
        if (argmax) {
            name_first(j, h, &m);
        }
        clear_empty(j, h, &m);
        memcpy(y + m.q, m.most, (size_t)m.n * sizeof *y);
        if (argmax) {
            memcpy(argmax + m.q, m.at, (size_t)m.n * sizeof *argmax);
        }
    }
}

static void maxpool_plane(const struct pooling *j, int n, int c)
{
    const real *x = view_at(j->x, n, c);
    real *y = view_at(j->y, n, c), *argmax = j->argmax.p ? view_at(j->argmax, n, c) : NULL;

    for (int p = 0; p < j->y.h; p++) {
        const size_t at = (size_t)p * (size_t)j->y.w;
        maxpool_row(j, x, p, y + at, argmax ? argmax + at : NULL);
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
