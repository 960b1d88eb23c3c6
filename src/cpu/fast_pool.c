/*
 * fast_pool.c - pooling and resizing over the threads: a chunk is one plane, or some when planes
 * are small.
 */
#include "fast.h"

#include "cpu.h"
#include "product.h"
#include "resample.h"

#include <math.h>
#include <string.h>

/* COLUMNS: of an output row that are worked on together. LINE: numbers of an input row, enough for
 * eight of the largest windows. */
enum { CHUNK_NUMBERS = 8192, MAX_CHUNKS = 256, COLUMNS = 256, LINE = 9 * MAXPOOL_MOST + 16 };

struct pooling {
    const struct cpu *cpu;
    const struct pool_desc *d;
    struct view x, y, argmax; /* or their gradients */
    real beta;
    bool bilinear;
    void (*plane)(const struct pooling *j, int n, int c);
    int chunks;
};

static void planes_chunk(void *ctx, int chunk, int worker)
{
    const struct pooling *j = ctx;
    const struct span s = span_at(j->x.n * j->x.c, j->chunks, chunk);

    (void)worker;
    for (int i = s.from; i < s.to; i++) {
        j->plane(j, i / j->x.c, i % j->x.c);
    }
}

static void run_planes(struct backend *be, struct pooling *j)
{
    const struct cpu *cpu = be->ctx;
    const int planes = j->x.n * j->x.c;
    const double wanted = (double)planes * (double)view_plane(j->x) / CHUNK_NUMBERS + 1;

    j->cpu = cpu;
    j->chunks = wanted > MAX_CHUNKS ? MAX_CHUNKS : (int)wanted;
    j->chunks = j->chunks > planes ? planes : j->chunks;
    pool_run(cpu->pool, j->chunks, planes_chunk, j);
}

/* Rows or columns of a window, clipped to the picture: half open, maybe empty. */
static struct span window(const struct pool_desc *d, int i, int size)
{
    const int64_t from = (int64_t)i * d->stride - d->pad, to = from + d->size;

    return (struct span){from < 0      ? 0
                         : from > size ? size
                                       : (int)from,
                         to < 0      ? 0
                         : to > size ? size
                                     : (int)to};
}

/* Room for some windows of a row: their inputs, each one's largest number, and its index in the
 * input plane. */
struct maxima {
    struct span out; /* the windows */
    real line[LINE], most[COLUMNS], at[COLUMNS];
};

/* Columns first.. of an input row, -infinity where there are none. */
static void fill_line(const struct pooling *j, const real *row, int first, int n, real *line)
{
    const int left = first < 0 ? -first : 0;
    const int right = first + n > j->x.w ? first + n - j->x.w : 0;

    for (int i = 0; i < left && i < n; i++) {
        line[i] = -(real)INFINITY;
    }
    for (int i = right < n ? n - right : 0; i < n; i++) {
        line[i] = -(real)INFINITY;
    }
    if (left + right < n) {
        memcpy(line + left, row + first + left, (size_t)(n - left - right) * sizeof *line);
    }
}

/* The largest numbers over rows h. With indices every row is looked at by itself; else each
 * column's largest number comes first, which is less work. */
static void find_largest(const struct pooling *j, const real *x, struct span h, struct maxima *m)
{
    const int n = m->out.to - m->out.from, stride = j->d->stride;
    const int first = m->out.from * stride - j->d->pad;
    const int length = (ceil_div(n, 8) * 8 - 1) * stride + j->d->size + 16;
    const struct span in = {first > 0 ? first : 0,
                            first + length < j->x.w ? first + length : j->x.w};
    struct windows w = {n, j->d->size, stride, 0};

    for (int r = h.from; r < h.to; r++) {
        const real *row = x + (size_t)r * (size_t)j->x.w;
        if (r == h.from || j->argmax.p) {
            fill_line(j, row, first, length, m->line);
        } else if (in.to > in.from) {
            j->cpu->kernels->larger((size_t)(in.to - in.from), row + in.from,
                                    m->line + (in.from - first));
        }
        w.index = (real)((int64_t)r * j->x.w + first);
        if (j->argmax.p || r == h.to - 1) {
            j->cpu->kernels->largest(&w, m->line, m->most, j->argmax.p ? m->at : NULL);
        }
    }
}

/* Windows without a number in the picture give 0. */
static void clear_empty(const struct pooling *j, struct span h, struct maxima *m)
{
    const struct pool_desc *d = j->d;
    const int first = h.from == h.to     ? m->out.to
                      : d->pad < d->size ? 0
                                         : (d->pad - d->size) / d->stride + 1;
    const int beyond = ceil_div(j->x.w + d->pad, d->stride);

    for (int q = m->out.from; q < m->out.to; q++) {
        if (q < first || q >= beyond) {
            m->most[q - m->out.from] = 0;
            m->at[q - m->out.from] = -1;
        }
    }
}

/* Where all of a window is -infinity the first of it is the largest. */
static void name_first(const struct pooling *j, struct span h, struct maxima *m)
{
    for (int q = m->out.from; q < m->out.to; q++) {
        real *at = &m->at[q - m->out.from];
        *at = *at < 0 ? (real)((int64_t)h.from * j->x.w + window(j->d, q, j->x.w).from) : *at;
    }
}

static void maxpool_row(const struct pooling *j, const real *x, int p, real *y, real *argmax)
{
    const struct span h = window(j->d, p, j->x.h);
    const int room = (LINE - j->d->size - 16) / j->d->stride / 8 * 8;
    const int columns = room < COLUMNS ? room : COLUMNS;
    struct maxima m;

    for (int q = 0; q < j->y.w; q = m.out.to) {
        const int n = j->y.w - q < columns ? j->y.w - q : columns;
        m.out = (struct span){q, q + n};
        for (int i = 0; i < ceil_div(n, 8) * 8; i++) {
            m.most[i] = -(real)INFINITY;
            m.at[i] = -1;
        }
        find_largest(j, x, h, &m);
        if (argmax) {
            name_first(j, h, &m);
        }
        clear_empty(j, h, &m);
        memcpy(y + q, m.most, (size_t)n * sizeof *y);
        if (argmax) {
            memcpy(argmax + q, m.at, (size_t)n * sizeof *argmax);
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

    run_planes(be, &j);
}

static void clear_plane(const struct pooling *j, real *x)
{
    for (size_t i = 0; j->beta == 0 && i < view_plane(j->x); i++) {
        x[i] = 0;
    }
}

static void maxpool_bwd_plane(const struct pooling *j, int n, int c)
{
    const real *argmax = view_at(j->argmax, n, c), *dy = view_at(j->y, n, c);
    real *dx = view_at(j->x, n, c);

    clear_plane(j, dx);
    for (size_t i = 0; i < view_plane(j->y); i++) {
        if (argmax[i] >= 0) {
            dx[(size_t)argmax[i]] += dy[i];
        }
    }
}

static void fast_maxpool_bwd(struct backend *be, const struct pool_desc *d, struct view argmax,
                             struct view dy, real beta, struct view dx)
{
    struct pooling j = {
        .d = d, .x = dx, .y = dy, .argmax = argmax, .beta = beta, .plane = maxpool_bwd_plane};

    run_planes(be, &j);
}

static double window_sum(const struct pooling *j, const real *x, struct span h, struct span w)
{
    const real *row = x + (size_t)h.from * (size_t)j->x.w;
    double sum = 0;

    if (w.to - w.from == j->x.w) {
        return j->cpu->kernels->sum((size_t)(h.to - h.from) * (size_t)j->x.w, row);
    }
    for (int r = h.from; r < h.to; r++, row += j->x.w) {
        for (int s = w.from; s < w.to; s++) {
            sum += (double)row[s];
        }
    }
    return sum;
}

static void avgpool_plane(const struct pooling *j, int n, int c)
{
    const real *x = view_at(j->x, n, c);
    real *y = view_at(j->y, n, c);

    for (int p = 0; p < j->y.h; p++) {
        const struct span h = window(j->d, p, j->x.h);
        for (int q = 0; q < j->y.w; q++, y++) {
            const struct span w = window(j->d, q, j->x.w);
            const int count = (h.to - h.from) * (w.to - w.from);
            *y = count > 0 ? (real)(window_sum(j, x, h, w) / count) : 0;
        }
    }
}

static void fast_avgpool_fwd(struct backend *be, const struct pool_desc *d, struct view x,
                             struct view y)
{
    struct pooling j = {.d = d, .x = x, .y = y, .plane = avgpool_plane};

    run_planes(be, &j);
}

static void avgpool_bwd_plane(const struct pooling *j, int n, int c)
{
    const real *dy = view_at(j->y, n, c);
    real *dx = view_at(j->x, n, c);

    clear_plane(j, dx);
    for (int p = 0; p < j->y.h; p++) {
        const struct span h = window(j->d, p, j->x.h);
        for (int q = 0; q < j->y.w; q++, dy++) {
            const struct span w = window(j->d, q, j->x.w);
            const real g = *dy / (real)((h.to - h.from) * (w.to - w.from));
            for (int r = h.from; r < h.to; r++) {
                real *row = dx + (size_t)r * (size_t)j->x.w;
                for (int s = w.from; s < w.to; s++) {
                    row[s] += g;
                }
            }
        }
    }
}

static void fast_avgpool_bwd(struct backend *be, const struct pool_desc *d, struct view dy,
                             real beta, struct view dx)
{
    struct pooling j = {.d = d, .x = dx, .y = dy, .beta = beta, .plane = avgpool_bwd_plane};

    run_planes(be, &j);
}

static struct resample_tap tap_at(bool bilinear, int i, int in, int out)
{
    return bilinear ? resample_bilinear(i, in, out) : resample_nearest(i, in, out);
}

/* The taps of output columns q.. of which there are n. */
static int column_taps(const struct pooling *j, int q, struct resample_tap u[COLUMNS])
{
    const int n = j->y.w - q < COLUMNS ? j->y.w - q : COLUMNS;

    for (int i = 0; i < n; i++) {
        u[i] = tap_at(j->bilinear, q + i, j->x.w, j->y.w);
    }
    return n;
}

static void resize_plane(const struct pooling *j, int n, int c)
{
    const real *x = view_at(j->x, n, c);
    struct resample_tap u[COLUMNS];

    for (int q = 0; q < j->y.w; q += COLUMNS) {
        const int columns = column_taps(j, q, u);
        for (int p = 0; p < j->y.h; p++) {
            const struct resample_tap v = tap_at(j->bilinear, p, j->x.h, j->y.h);
            const real *top = x + (size_t)v.a * (size_t)j->x.w;
            const real *bottom = x + (size_t)v.b * (size_t)j->x.w;
            real *y = view_at(j->y, n, c) + (size_t)p * (size_t)j->y.w + (size_t)q;
            for (int i = 0; !j->bilinear && i < columns; i++) {
                y[i] = top[u[i].a];
            }
            for (int i = 0; j->bilinear && i < columns; i++) {
                y[i] = (1 - v.t) * ((1 - u[i].t) * top[u[i].a] + u[i].t * top[u[i].b]) +
                       v.t * ((1 - u[i].t) * bottom[u[i].a] + u[i].t * bottom[u[i].b]);
            }
        }
    }
}

static void fast_resize_fwd(struct backend *be, bool bilinear, struct view x, struct view y)
{
    struct pooling j = {.x = x, .y = y, .bilinear = bilinear, .plane = resize_plane};

    run_planes(be, &j);
}

/* Row p of dy, columns from q on, to the two rows of dx that it came from. */
static void resize_bwd_row(const struct pooling *j, real *dx, const real *dy, int p, int columns,
                           const struct resample_tap *u)
{
    const struct resample_tap v = tap_at(j->bilinear, p, j->x.h, j->y.h);
    real *top = dx + (size_t)v.a * (size_t)j->x.w, *bottom = dx + (size_t)v.b * (size_t)j->x.w;

    for (int i = 0; !j->bilinear && i < columns; i++) {
        top[u[i].a] += dy[i];
    }
    for (int i = 0; j->bilinear && i < columns; i++) {
        top[u[i].a] += (1 - v.t) * (1 - u[i].t) * dy[i];
        top[u[i].b] += (1 - v.t) * u[i].t * dy[i];
        bottom[u[i].a] += v.t * (1 - u[i].t) * dy[i];
        bottom[u[i].b] += v.t * u[i].t * dy[i];
    }
}

static void resize_bwd_plane(const struct pooling *j, int n, int c)
{
    const real *dy = view_at(j->y, n, c);
    real *dx = view_at(j->x, n, c);
    struct resample_tap u[COLUMNS];

    clear_plane(j, dx);
    for (int q = 0; q < j->y.w; q += COLUMNS) {
        const int columns = column_taps(j, q, u);
        for (int p = 0; p < j->y.h; p++) {
            resize_bwd_row(j, dx, dy + (size_t)p * (size_t)j->y.w + (size_t)q, p, columns, u);
        }
    }
}

static void fast_resize_bwd(struct backend *be, bool bilinear, struct view dy, real beta,
                            struct view dx)
{
    struct pooling j = {
        .x = dx, .y = dy, .beta = beta, .bilinear = bilinear, .plane = resize_bwd_plane};

    run_planes(be, &j);
}

void fast_pool_entries(struct backend_ops *ops)
{
    ops->maxpool_fwd = fast_maxpool_fwd;
    ops->maxpool_bwd = fast_maxpool_bwd;
    ops->avgpool_fwd = fast_avgpool_fwd;
    ops->avgpool_bwd = fast_avgpool_bwd;
    ops->resize_fwd = fast_resize_fwd;
    ops->resize_bwd = fast_resize_bwd;
}
