/*
 * conv_blas.c - convolutions as matrix products by OpenBLAS, for machines that we have no kernels
 * for. The taps of an input lie side by side in a matrix [channels*taps, positions] (im2col); a 1x1
 * kernel needs none.
 *
 *   forward      y = W * taps(x), piece by piece of the positions
 *   data         taps' gradients = W^T * dy, added up where they came from, channel by channel
 *   weights      dW += dy * taps(x)^T, image after image, for some channels
 *
 * A chunk owns what it writes, and chunks follow from the sizes alone.
 */
#include "fast.h"

#include "blas.h"
#include "kernels.h"
#include "product.h"

#include <string.h>

/* Numbers of a chunk's matrix of taps at most (2 MiB of floats); chunks that keep threads busy. */
enum { TAPS_NUMBERS = 1 << 19, ENOUGH_CHUNKS = 8, MIN_PART = 32 };

/* One pass over one group of channels. */
struct pass {
    const struct cpu *cpu;
    const struct conv_desc *d;
    struct view x, y; /* or their gradients */
    const real *w;    /* [y.c, x.c, taps] */
    struct conv_tail tail;
    real *dw, beta;
    int part, parts; /* of a chunk, and of an image or of the channels */
    real *taps;      /* for each worker */
    size_t taps_size;
};

static int n_taps(const struct pass *p)
{
    return p->d->kh * p->d->kw;
}

static bool is_plain(const struct conv_desc *d)
{
    return d->kh == 1 && d->kw == 1 && d->stride == 1 && d->pad == 0;
}

static int clamp(int64_t v, int least, int most)
{
    return v < least ? least : v > most ? most : (int)v;
}

/* Cuts positions or channels, of `each` numbers, into parts, for `images` that are chunks too. */
static void cut(struct pass *p, int images, int total, size_t each)
{
    const int worth = ceil_div(total, ceil_div(ENOUGH_CHUNKS, images));
    const int64_t fit = (int64_t)(TAPS_NUMBERS / each), most = worth < MIN_PART ? MIN_PART : worth;

    p->parts = ceil_div(total, clamp(fit < most ? fit : most, 1, total));
    p->part = ceil_div(total, p->parts);
    p->taps_size = cache_lines((size_t)p->part * each * sizeof(real));
}

static struct span part_span(const struct pass *p, int chunk, int total)
{
    const int from = chunk % p->parts * p->part;

    return (struct span){from, from + p->part < total ? from + p->part : total};
}

static real *worker_taps(const struct pass *p, int worker)
{
    return (real *)(void *)((char *)p->taps + (size_t)worker * p->taps_size);
}

/* Positions of one output row that tap column s reads inside the picture, of those in `of`. */
static struct span inside(const struct pass *p, int s, struct span of)
{
    const int64_t at = (int64_t)s * p->d->dilation - p->d->pad, stride = p->d->stride;
    const int64_t from = at < 0 ? (-at + stride - 1) / stride : 0;
    const int64_t to = at < p->x.w ? (p->x.w - at + stride - 1) / stride : 0;

    return (struct span){clamp(from, of.from, of.to), clamp(to, of.from, of.to)};
}

/* One tap of one output row: its source row (NULL: outside), and the first number of it. */
struct tap_row {
    int row;
    int64_t first; /* of position 0; stride numbers further for each position */
};

static struct tap_row tap_row(const struct pass *p, int r, int s, int i)
{
    const int64_t row = (int64_t)i * p->d->stride - p->d->pad + (int64_t)r * p->d->dilation;

    return (struct tap_row){row < 0 || row >= p->x.h ? -1 : (int)row,
                            (int64_t)s * p->d->dilation - p->d->pad};
}

static void gather_row(const struct pass *p, const real *x, struct tap_row t, struct span in,
                       struct span of, real *out)
{
    const real *row = x + (size_t)(t.row < 0 ? 0 : t.row) * (size_t)p->x.w;
    int j = of.from;

    in = t.row < 0 ? (struct span){of.to, of.to} : in;
    for (; j < in.from; j++) {
        out[j - of.from] = 0;
    }
    for (; j < in.to; j++) {
        out[j - of.from] = row[t.first + (int64_t)j * p->d->stride];
    }
    for (; j < of.to; j++) {
        out[j - of.from] = 0;
    }
}

/* Positions of one output row that belong to a span of all positions. */
static struct span row_part(struct span positions, int row, int w)
{
    const int from = positions.from - row * w, to = positions.to - row * w;

    return (struct span){from < 0 ? 0 : from, to > w ? w : to};
}

/* taps[c*n_taps + t][position] for channels and positions. */
static void gather(const struct pass *p, int image, struct span channels, struct span positions,
                   real *taps)
{
    const int w = p->y.w, columns = positions.to - positions.from;

    for (int c = channels.from; c < channels.to; c++) {
        const real *x = view_at(p->x, image, c);
        for (int t = 0; t < n_taps(p); t++) {
            for (int i = positions.from / w; i * w < positions.to; i++) {
                const int r = t / p->d->kw, s = t % p->d->kw;
                const struct span of = row_part(positions, i, w);
                gather_row(p, x, tap_row(p, r, s, i), inside(p, s, of), of,
                           taps + (i * w + of.from - positions.from));
            }
            taps += columns;
        }
    }
}

/* The other way round: adds taps to where they came from. */
static void scatter(const struct pass *p, int image, struct span channels, const real *taps)
{
    const int w = p->y.w;

    for (int c = channels.from; c < channels.to; c++) {
        real *x = view_at(p->x, image, c);
        for (int t = 0; t < n_taps(p); t++) {
            const int r = t / p->d->kw, s = t % p->d->kw;
            const struct span in = inside(p, s, (struct span){0, w});
            for (int i = 0; i < p->y.h; i++, taps += w) {
                const struct tap_row at = tap_row(p, r, s, i);
                real *row = x + (size_t)(at.row < 0 ? 0 : at.row) * (size_t)p->x.w;
                for (int j = in.from; at.row >= 0 && j < in.to; j++) {
                    row[at.first + (int64_t)j * p->d->stride] += taps[j];
                }
            }
        }
    }
}

/* Bias, what is added, activation: of the positions of all channels of y. */
static void finish(const struct pass *p, int image, struct span positions)
{
    const size_t n = (size_t)(positions.to - positions.from), from = (size_t)positions.from;

    for (int c = 0; c < p->y.c; c++) {
        real *y = view_at(p->y, image, c) + from;
        const real bias = p->tail.bias ? p->tail.bias[c] : 0;
        if (p->tail.add.p) {
            p->cpu->kernels->affine(1, bias, ACT_LINEAR, n, y, y);
            p->cpu->kernels->add(p->tail.act, n, y, view_at(p->tail.add, image, c) + from, y);
        } else if (p->tail.bias || p->tail.act != ACT_LINEAR) {
            p->cpu->kernels->affine(1, bias, p->tail.act, n, y, y);
        }
    }
}

static void forward_chunk(void *ctx, int chunk, int worker)
{
    const struct pass *p = ctx;
    const int plane = p->y.h * p->y.w, k = p->x.c * n_taps(p), image = chunk / p->parts;
    const struct span positions = part_span(p, chunk, plane);
    struct blas_product b = {.m = p->y.c,
                             .n = positions.to - positions.from,
                             .k = k,
                             .a = p->w,
                             .lda = k,
                             .b = view_at(p->x, image, 0) + positions.from,
                             .ldb = plane,
                             .c = view_at(p->y, image, 0) + positions.from,
                             .ldc = plane};

    if (!is_plain(p->d)) {
        real *taps = worker_taps(p, worker);
        gather(p, image, (struct span){0, p->x.c}, positions, taps);
        b.b = taps;
        b.ldb = b.n;
    }
    blas_gemm(&p->cpu->blas, &b);
    finish(p, image, positions);
}

static void data_chunk(void *ctx, int chunk, int worker)
{
    const struct pass *p = ctx;
    const int plane = p->y.h * p->y.w, taps = n_taps(p), image = chunk / p->parts;
    const struct span channels = part_span(p, chunk, p->x.c);
    struct blas_product b = {.ta = true,
                             .m = (channels.to - channels.from) * taps,
                             .n = plane,
                             .k = p->y.c,
                             .a = p->w + (size_t)channels.from * (size_t)taps,
                             .lda = p->x.c * taps,
                             .b = view_at(p->y, image, 0),
                             .ldb = plane,
                             .beta = p->beta,
                             .c = view_at(p->x, image, channels.from),
                             .ldc = plane};

    if (is_plain(p->d)) {
        blas_gemm(&p->cpu->blas, &b);
        return;
    }
    b.c = worker_taps(p, worker);
    b.beta = 0;
    blas_gemm(&p->cpu->blas, &b);
    if (p->beta == 0) {
        memset(view_at(p->x, image, channels.from), 0,
               (size_t)(channels.to - channels.from) * view_plane(p->x) * sizeof(real));
    }
    scatter(p, image, channels, b.c);
}

static void weight_chunk(void *ctx, int chunk, int worker)
{
    const struct pass *p = ctx;
    const int plane = p->y.h * p->y.w, taps = n_taps(p);
    const struct span channels = part_span(p, chunk, p->x.c);
    struct blas_product b = {.tb = true,
                             .m = p->y.c,
                             .n = (channels.to - channels.from) * taps,
                             .k = plane,
                             .lda = plane,
                             .ldb = plane,
                             .beta = 1,
                             .c = p->dw + (size_t)channels.from * (size_t)taps,
                             .ldc = p->x.c * taps};

    for (int image = 0; image < p->y.n; image++) {
        b.a = view_at(p->y, image, 0);
        b.b = view_at(p->x, image, channels.from);
        if (!is_plain(p->d)) {
            gather(p, image, channels, (struct span){0, plane}, worker_taps(p, worker));
            b.b = worker_taps(p, worker);
        }
        blas_gemm(&p->cpu->blas, &b);
    }
}

/* The pass, of which chunks are cut. x and y need no memory yet. */
static struct pass open_pass(const struct cpu *cpu, const struct conv_desc *d, enum conv_pass pass,
                             struct view x, struct view y)
{
    struct pass p = {.cpu = cpu,
                     .d = d,
                     .x = view_slice(x, 0, x.c / d->groups),
                     .y = view_slice(y, 0, y.c / d->groups)};
    const size_t taps = (size_t)n_taps(&p);

    if (pass == CONV_FWD) {
        cut(&p, y.n, y.h * y.w, (size_t)p.x.c * taps);
    } else {
        cut(&p, pass == CONV_BWD_DATA ? y.n : 1, p.x.c, view_plane(y) * taps);
    }
    if (is_plain(d)) {
        p.taps_size = 0;
    }
    return p;
}

static void run_pass(struct pass *p, struct view x, struct view y, const struct conv_tail *tail,
                     enum conv_pass pass)
{
    static void (*const chunk[])(void *, int, int) = {forward_chunk, data_chunk, weight_chunk};
    const size_t weights = (size_t)p->x.c * (size_t)p->y.c * (size_t)n_taps(p);
    const real *w = p->w;
    real *dw = p->dw;

    for (int g = 0; g < p->d->groups; g++) {
        const int first = g * p->y.c;
        p->x = view_slice(x, g * p->x.c, p->x.c);
        p->y = view_slice(y, first, p->y.c);
        p->w = w ? w + (size_t)g * weights : NULL;
        p->dw = dw ? dw + (size_t)g * weights : NULL;
        if (tail) {
            p->tail = (struct conv_tail){.bias = tail->bias ? tail->bias + first : NULL,
                                         .add = view_slice(tail->add, first, p->y.c),
                                         .act = tail->act};
        }
        pool_run(p->cpu->pool, p->parts * (pass == CONV_BWD_WEIGHT ? 1 : p->y.n), chunk[pass], p);
    }
}

/* What we have kernels of our own for. */
static struct backend_ops own(void)
{
    struct backend_ops ops = {0};

    fast_conv_entries(&ops);
    return ops;
}

/* Not what is asked to be Winograd's, nor what has too few channels to be a product. */
static bool fits(const struct conv_desc *d, struct view x, struct view y)
{
    return (d->alg == CONV_AUTO || d->alg == CONV_AUTO_F4 || d->alg == CONV_EXACT) &&
           (d->groups == 1 || x.c > d->groups || y.c > d->groups);
}

static const char *blas_algorithm(struct backend *be, const struct conv_desc *d,
                                  enum conv_pass pass, struct view x, struct view y)
{
    return fits(d, x, y) ? "openblas" : own().conv_algorithm(be, d, pass, x, y);
}

static size_t blas_scratch(struct backend *be, const struct conv_desc *d,
                           const struct conv_use *use, struct view x, struct view y)
{
    const struct cpu *cpu = be->ctx;

    if (!fits(d, x, y)) {
        return own().conv_scratch(be, d, use, x, y);
    }
    return open_pass(cpu, d, use->pass, x, y).taps_size * (size_t)pool_threads(cpu->pool);
}

static size_t blas_pack_bytes(struct backend *be, const struct conv_desc *d, enum conv_pass pass,
                              struct view x, struct view y)
{
    return fits(d, x, y) ? 0 : own().conv_pack_bytes(be, d, pass, x, y);
}

static void blas_fwd(struct backend *be, const struct conv_desc *d, struct view x,
                     struct conv_weight w, const struct conv_tail *tail, struct view y,
                     void *scratch)
{
    if (!fits(d, x, y)) {
        own().conv_fwd(be, d, x, w, tail, y, scratch);
        return;
    }
    struct pass p = open_pass(be->ctx, d, CONV_FWD, x, y);
    p.w = w.w;
    p.taps = scratch;
    run_pass(&p, x, y, tail, CONV_FWD);
}

static void blas_bwd_data(struct backend *be, const struct conv_desc *d, struct conv_weight w,
                          struct view dy, real beta, struct view dx, void *scratch)
{
    if (!fits(d, dx, dy)) {
        own().conv_bwd_data(be, d, w, dy, beta, dx, scratch);
        return;
    }
    struct pass p = open_pass(be->ctx, d, CONV_BWD_DATA, dx, dy);
    p.w = w.w;
    p.beta = beta;
    p.taps = scratch;
    run_pass(&p, dx, dy, NULL, CONV_BWD_DATA);
}

static void blas_bwd_weight(struct backend *be, const struct conv_desc *d, struct view x,
                            struct view dy, real *dw, real *dbias, void *scratch)
{
    if (!fits(d, x, dy)) {
        own().conv_bwd_weight(be, d, x, dy, dw, dbias, scratch);
        return;
    }
    struct pass p = open_pass(be->ctx, d, CONV_BWD_WEIGHT, x, dy);
    p.dw = dw;
    p.taps = scratch;
    run_pass(&p, x, dy, NULL, CONV_BWD_WEIGHT);
    if (dbias) {
        be->ops->channel_sum(be, dy, dbias);
    }
}

void blas_conv_entries(struct backend_ops *ops)
{
    ops->conv_algorithm = blas_algorithm;
    ops->conv_scratch = blas_scratch;
    ops->conv_pack_bytes = blas_pack_bytes;
    ops->conv_norms = NULL;
    ops->conv_fwd = blas_fwd;
    ops->conv_bwd_data = blas_bwd_data;
    ops->conv_bwd_weight = blas_bwd_weight;
}
