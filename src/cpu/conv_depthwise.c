/*
 * conv_depthwise.c - convolutions with one filter for each channel: loops over rows of the picture,
 * in which a tap is one multiplication of a row by a number. Chunks are planes (image, channel), or
 * channels where sums run over the images.
 */
#include "conv.h"

#include "product.h"

struct depthwise {
    const struct cpu *cpu;
    const struct conv_desc *d;
    struct view x, y; /* or their gradients */
    const real *w;
    struct conv_tail tail;
    real *dw;
    real beta;
};

/* Outputs from..to - 1 of a row read inside the picture at tap k. */
static struct span inside(const struct conv_desc *d, int k, int in, int out)
{
    const int at = k * d->dilation - d->pad; /* of output 0 */
    int from = at < 0 ? ceil_div(-at, d->stride) : 0;
    int to = at < in ? ceil_div(in - at, d->stride) : 0;

    to = to > out ? out : to;
    return (struct span){from < to ? from : to, to};
}

/* Source row of output row p at tap row r, or NULL. */
static real *source_row(const struct conv_desc *d, struct view x, real *plane, int p, int r)
{
    const int h = p * d->stride - d->pad + r * d->dilation;

    return h >= 0 && h < x.h ? plane + (size_t)h * (size_t)x.w : NULL;
}

/* y[q] += w * x[q*stride] */
static void gather_row(int n, real w, const real *x, int stride, real *restrict y)
{
    if (stride == 1) {
        for (int q = 0; q < n; q++) {
            y[q] += w * x[q];
        }
    } else {
        for (int q = 0; q < n; q++) {
            y[q] += w * x[(size_t)q * (size_t)stride];
        }
    }
}

/* x[q*stride] += w * y[q] */
static void scatter_row(int n, real w, const real *restrict y, int stride, real *x)
{
    if (stride == 1) {
        for (int q = 0; q < n; q++) {
            x[q] += w * y[q];
        }
    } else {
        for (int q = 0; q < n; q++) {
            x[(size_t)q * (size_t)stride] += w * y[q];
        }
    }
}

static void fwd_plane(void *ctx, int chunk, int worker)
{
    const struct depthwise *j = ctx;
    const struct conv_desc *d = j->d;
    const int n = chunk / j->y.c, c = chunk % j->y.c, taps = d->kh * d->kw;
    real *x = view_at(j->x, n, c), *y = view_at(j->y, n, c);
    const real *add = j->tail.add.p ? view_at(j->tail.add, n, c) : NULL;

    (void)worker;
    for (int p = 0; p < j->y.h; p++) {
        real *row = y + (size_t)p * (size_t)j->y.w;
        for (int q = 0; q < j->y.w; q++) {
            row[q] = j->tail.bias ? j->tail.bias[c] : 0;
        }
        for (int t = 0; t < taps; t++) {
            const real *from = source_row(d, j->x, x, p, t / d->kw);
            const struct span s = inside(d, t % d->kw, j->x.w, j->y.w);
            if (from && s.from < s.to) {
                gather_row(s.to - s.from, j->w[c * taps + t],
                           from + s.from * d->stride - d->pad + t % d->kw * d->dilation, d->stride,
                           row + s.from);
            }
        }
    }
    if (add) {
        j->cpu->kernels->add(j->tail.act, view_plane(j->y), y, add, y);
    } else if (j->tail.act != ACT_LINEAR) {
        j->cpu->kernels->act_fwd(j->tail.act, view_plane(j->y), y, y);
    }
}

static void data_plane(void *ctx, int chunk, int worker)
{
    const struct depthwise *j = ctx;
    const struct conv_desc *d = j->d;
    const int n = chunk / j->y.c, c = chunk % j->y.c, taps = d->kh * d->kw;
    real *dx = view_at(j->x, n, c);
    const real *dy = view_at(j->y, n, c);

    (void)worker;
    for (size_t i = 0; j->beta == 0 && i < view_plane(j->x); i++) {
        dx[i] = 0;
    }
    for (int p = 0; p < j->y.h; p++) {
        for (int t = 0; t < taps; t++) {
            real *to = source_row(d, j->x, dx, p, t / d->kw);
            const struct span s = inside(d, t % d->kw, j->x.w, j->y.w);
            if (to && s.from < s.to) {
                scatter_row(s.to - s.from, j->w[c * taps + t],
                            dy + (size_t)p * (size_t)j->y.w + s.from, d->stride,
                            to + s.from * d->stride - d->pad + t % d->kw * d->dilation);
            }
        }
    }
}

static double row_dot(const struct depthwise *j, int n, const real *x, const real *dy)
{
    double sum = 0;

    if (j->d->stride == 1) {
        return j->cpu->kernels->dot((size_t)n, x, dy);
    }
    for (int q = 0; q < n; q++) {
        sum += (double)x[(size_t)q * (size_t)j->d->stride] * (double)dy[q];
    }
    return sum;
}

static double tap_sum(const struct depthwise *j, int c, int t)
{
    const struct conv_desc *d = j->d;
    const struct span s = inside(d, t % d->kw, j->x.w, j->y.w);
    double sum = 0;

    for (int n = 0; n < j->y.n && s.from < s.to; n++) {
        real *x = view_at(j->x, n, c);
        const real *dy = view_at(j->y, n, c) + s.from;
        for (int p = 0; p < j->y.h; p++) {
            const real *from = source_row(d, j->x, x, p, t / d->kw);
            if (from) {
                sum += row_dot(j, s.to - s.from,
                               from + s.from * d->stride - d->pad + t % d->kw * d->dilation,
                               dy + (size_t)p * (size_t)j->y.w);
            }
        }
    }
    return sum;
}

static void weight_channel(void *ctx, int chunk, int worker)
{
    const struct depthwise *j = ctx;
    const int taps = j->d->kh * j->d->kw;

    (void)worker;
    for (int t = 0; t < taps; t++) {
        j->dw[chunk * taps + t] += (real)tap_sum(j, chunk, t);
    }
}

void depthwise_fwd(const struct cpu *cpu, const struct conv_desc *d, struct view x, const real *w,
                   const struct conv_tail *tail, struct view y)
{
    struct depthwise j = {.cpu = cpu, .d = d, .x = x, .y = y, .w = w, .tail = *tail};

    pool_run(cpu->pool, y.n * y.c, fwd_plane, &j);
}

void depthwise_bwd_data(const struct cpu *cpu, const struct conv_desc *d, const real *w,
                        struct view dy, real beta, struct view dx)
{
    struct depthwise j = {.cpu = cpu, .d = d, .x = dx, .y = dy, .w = w, .beta = beta};

    pool_run(cpu->pool, dy.n * dy.c, data_plane, &j);
}

void depthwise_bwd_weight(const struct cpu *cpu, const struct conv_desc *d, struct view x,
                          struct view dy, real *dw)
{
    struct depthwise j = {.cpu = cpu, .d = d, .x = x, .y = dy, .dw = dw};

    pool_run(cpu->pool, dy.c, weight_channel, &j);
}
