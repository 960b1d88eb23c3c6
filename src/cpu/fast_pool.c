/*
 * fast_pool.c - pooling and resizing over the threads: a chunk is one plane, or some when planes
 * are small.
 */
#include "fast.h"

#include "cpu.h"
#include "product.h"
#include "resample.h"

/* Columns: of an output row that are worked on together. */
enum { CHUNK_NUMBERS = 8192, MAX_CHUNKS = 256, COLUMNS = 256 };

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

/* Outputs from..to - 1 of a row whose windows have tap k inside the picture. */
static struct span tap_range(const struct pool_desc *d, int k, int in, struct span out)
{
    const int at = k - d->pad; /* of output 0 */
    const int from = at < 0 ? ceil_div(-at, d->stride) : 0;
    const int to = at < in ? ceil_div(in - at, d->stride) : 0;

    return (struct span){from > out.from ? from : out.from, to < out.to ? to : out.to};
}

/* Some outputs of a row: the largest so far, and its index in the input plane, -1 at first. */
struct maxima {
    struct span out;
    real most[COLUMNS], at[COLUMNS];
};

/* Takes what tap column k of input row r adds; NaN is above all, and the first of equals stays. */
static void take_tap(const struct pooling *j, struct maxima *m, const real *row, int r, int k)
{
    const struct span s = tap_range(j->d, k, j->x.w, m->out);
    const int first = s.from * j->d->stride + k - j->d->pad, stride = j->d->stride;
    const real index = (real)((int64_t)r * j->x.w + first);
    real *most = m->most + (s.from - m->out.from), *at = m->at + (s.from - m->out.from);

    for (int q = 0; q < s.to - s.from; q++) {
        const real v = row[first + q * stride];
        const bool better = (at[q] < 0) | (v > most[q]) | ((v != v) & (most[q] == most[q]));
        most[q] = better ? v : most[q];
        at[q] = better ? index + (real)(q * stride) : at[q];
    }
}

static void maxpool_columns(const struct pooling *j, const real *x, int p, struct maxima *m)
{
    const struct span h = window(j->d, p, j->x.h);

    for (int q = 0; q < m->out.to - m->out.from; q++) {
        m->most[q] = 0;
        m->at[q] = -1;
    }
    for (int r = h.from; r < h.to; r++) {
        for (int k = 0; k < j->d->size; k++) {
            take_tap(j, m, x + (size_t)r * (size_t)j->x.w, r, k);
        }
    }
}

static void maxpool_plane(const struct pooling *j, int n, int c)
{
    const real *x = view_at(j->x, n, c);
    real *y = view_at(j->y, n, c), *argmax = j->argmax.p ? view_at(j->argmax, n, c) : NULL;
    struct maxima m;

    for (int p = 0; p < j->y.h; p++) {
        for (int q = 0; q < j->y.w; q = m.out.to) {
            m.out = (struct span){q, q + COLUMNS < j->y.w ? q + COLUMNS : j->y.w};
            maxpool_columns(j, x, p, &m);
            const size_t at = (size_t)p * (size_t)j->y.w + (size_t)q;
            for (int i = 0; i < m.out.to - q; i++) {
                y[at + (size_t)i] = m.most[i];
            }
            for (int i = 0; argmax && i < m.out.to - q; i++) {
                argmax[at + (size_t)i] = m.at[i];
            }
        }
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
