/*
 * fast_optim.c - loops over blocks of parameters, cut into pieces. The partial sums of squares are
 * added up in order of the pieces, whose size does not depend on the threads.
 */
#include "fast.h"

#include "cpu.h"
#include "plain.h"
#include "product.h"

#include <math.h>

enum { PIECE = 65536, PARTS = 64 };

struct blocks {
    const struct cpu *cpu;
    size_t n;
    const struct sgd_desc *d;
    real rate, scale;
    real *w, *m, value;
    const real *g;
    double part[PARTS];
};

static int pieces(size_t n)
{
    return (int)((n + PIECE - 1) / PIECE);
}

static size_t piece_size(const struct blocks *j, size_t from)
{
    return j->n - from < PIECE ? j->n - from : PIECE;
}

static void sgd_piece(void *ctx, int chunk, int worker)
{
    const struct blocks *j = ctx;
    const size_t from = (size_t)chunk * PIECE, n = piece_size(j, from);
    const struct sgd_desc d = *j->d;
    const real *restrict grad = j->g + from;
    real *restrict w = j->w + from, *restrict m = j->m + from;
    /* nesterov: momentum*m + g; else m */
    const real rate = j->rate, scale = j->scale;
    const real of_m = d.nesterov ? d.momentum : 1, of_g = d.nesterov ? 1 : 0;

    (void)worker;
    for (size_t i = 0; i < n; i++) {
        const real g = scale * grad[i] + d.decay * w[i];
        const real v = d.momentum * m[i] + g;
        m[i] = v;
        w[i] -= rate * (of_m * v + of_g * g);
    }
}

static void fast_sgd(struct backend *be, const struct sgd_desc *d, size_t n, real *w, const real *g,
                     real *m)
{
    struct blocks j = {.cpu = be->ctx, .n = n, .d = d, .w = w, .g = g, .m = m};

    j.rate = d->rate[0] * d->rate_factor;
    if (plain_sgd_scale(d, &j.scale)) {
        pool_run(j.cpu->pool, pieces(n), sgd_piece, &j);
    }
}

static void average_piece(void *ctx, int chunk, int worker)
{
    const struct blocks *j = ctx;
    const size_t from = (size_t)chunk * PIECE, n = piece_size(j, from);
    const real *restrict w = j->g + from;
    real *restrict average = j->w + from;
    const real rate = j->rate;

    (void)worker;
    for (size_t i = 0; i < n; i++) {
        average[i] += rate * (w[i] - average[i]);
    }
}

static void fast_block_average(struct backend *be, const real *rate, const real *guard, int n_guard,
                               size_t n, const real *w, real *average)
{
    struct blocks j = {.cpu = be->ctx, .n = n, .rate = rate[0], .w = average, .g = w};

    if (plain_guard(guard, n_guard)) {
        pool_run(j.cpu->pool, pieces(n), average_piece, &j);
    }
}

static void fill_piece(void *ctx, int chunk, int worker)
{
    const struct blocks *j = ctx;
    const size_t from = (size_t)chunk * PIECE, n = piece_size(j, from);

    (void)worker;
    for (size_t i = 0; i < n; i++) {
        j->w[from + i] = j->value;
    }
}

static void fast_block_fill(struct backend *be, size_t n, real *x, real value)
{
    struct blocks j = {.cpu = be->ctx, .n = n, .w = x, .value = value};

    pool_run(j.cpu->pool, pieces(n), fill_piece, &j);
}

/* In double, as a float's square may be no float any more. */
static double piece_sumsq(size_t n, const real *x)
{
    enum { LANES = 8 };
    double lane[LANES] = {0}, sum = 0;
    size_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        for (int l = 0; l < LANES; l++) {
            lane[l] += (double)x[i + (size_t)l] * (double)x[i + (size_t)l];
        }
    }
    for (; i < n; i++) {
        sum += (double)x[i] * (double)x[i];
    }
    for (int l = 0; l < LANES; l++) {
        sum += lane[l];
    }
    return sum;
}

/* Chunk i sums one of PARTS nearly equal spans of pieces. */
static void sumsq_part(void *ctx, int chunk, int worker)
{
    struct blocks *j = ctx;
    const struct span s = span_at(pieces(j->n), PARTS, chunk);
    double sum = 0;

    (void)worker;
    for (int i = s.from; i < s.to; i++) {
        const size_t from = (size_t)i * PIECE;
        sum += piece_sumsq(piece_size(j, from), j->g + from);
    }
    j->part[chunk] = sum;
}

static void fast_block_norm(struct backend *be, size_t n, const real *x, real *norm)
{
    struct blocks j = {.cpu = be->ctx, .n = n, .g = x};
    double sum = 0;

    pool_run(j.cpu->pool, PARTS, sumsq_part, &j);
    for (int i = 0; i < PARTS; i++) {
        sum += j.part[i];
    }
    *norm = (real)sqrt(sum);
}

void fast_optim_entries(struct backend_ops *ops)
{
    ops->sgd = fast_sgd;
    ops->block_average = fast_block_average;
    ops->block_fill = fast_block_fill;
    ops->block_norm = fast_block_norm;
}
