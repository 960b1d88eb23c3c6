/*
 * fast_basic.c - what works number by number, over the threads. The channels of one image lie side
 * by side in every view, so an image is one run of numbers, and a chunk is a piece of such a run.
 */
#include "fast.h"

#include "base/rng.h"
#include "cpu.h"
#include "plain.h"
#include "product.h"

#include <math.h>

/* Numbers of one piece: few enough for all views' pieces to share the second cache. */
enum { PIECE = 16384 };

struct basic {
    const struct cpu *cpu;
    struct view a, b, y; /* inputs (b may be none), output */
    enum act act;
    real beta, value;
    uint64_t key;
    const real *scale, *shift;
    real *sum;
};

struct piece {
    int n;
    size_t from, count;
};

static int pieces(struct view v)
{
    return (int)(((size_t)v.c * view_plane(v) + PIECE - 1) / PIECE);
}

static struct piece piece_at(struct view v, int chunk)
{
    const int per_image = pieces(v);
    const size_t from = (size_t)(chunk % per_image) * PIECE;
    const size_t left = (size_t)v.c * view_plane(v) - from;

    return (struct piece){chunk / per_image, from, left < PIECE ? left : PIECE};
}

static void run_pieces(const struct cpu *cpu, void (*fn)(void *, int, int), struct basic *j)
{
    pool_run(cpu->pool, j->y.n * pieces(j->y), fn, j);
}

static void fill_piece(void *ctx, int chunk, int worker)
{
    const struct basic *j = ctx;
    const struct piece p = piece_at(j->y, chunk);
    real *y = view_at(j->y, p.n, 0) + p.from;
    const real value = j->value;

    (void)worker;
    for (size_t i = 0; i < p.count; i++) {
        y[i] = value;
    }
}

static void fast_fill(struct backend *be, struct view y, real value)
{
    struct basic j = {.cpu = be->ctx, .y = y, .value = value};

    run_pieces(be->ctx, fill_piece, &j);
}

static void copy_piece(void *ctx, int chunk, int worker)
{
    const struct basic *j = ctx;
    const struct piece p = piece_at(j->y, chunk);

    (void)worker;
    j->cpu->kernels->scale(p.count, 1, view_at(j->a, p.n, 0) + p.from, j->beta,
                           view_at(j->y, p.n, 0) + p.from);
}

static void fast_copy(struct backend *be, struct view x, real beta, struct view y)
{
    struct basic j = {.cpu = be->ctx, .a = x, .y = y, .beta = beta};

    run_pieces(be->ctx, copy_piece, &j);
}

static void add_piece(void *ctx, int chunk, int worker)
{
    const struct basic *j = ctx;
    const struct piece p = piece_at(j->y, chunk);

    (void)worker;
    j->cpu->kernels->add(j->act, p.count, view_at(j->a, p.n, 0) + p.from,
                         view_at(j->b, p.n, 0) + p.from, view_at(j->y, p.n, 0) + p.from);
}

static void fast_add(struct backend *be, enum act act, struct view a, struct view b, struct view y)
{
    struct basic j = {.cpu = be->ctx, .a = a, .b = b, .y = y, .act = act};

    run_pieces(be->ctx, add_piece, &j);
}

static void act_piece(void *ctx, int chunk, int worker)
{
    const struct basic *j = ctx;
    const struct piece p = piece_at(j->y, chunk);

    (void)worker;
    j->cpu->kernels->act_fwd(j->act, p.count, view_at(j->a, p.n, 0) + p.from,
                             view_at(j->y, p.n, 0) + p.from);
}

static void fast_act_fwd(struct backend *be, enum act act, struct view x, struct view y)
{
    struct basic j = {.cpu = be->ctx, .a = x, .y = y, .act = act};

    run_pieces(be->ctx, act_piece, &j);
}

/* a is what the derivative follows from, b is dy. */
static void act_bwd_piece(void *ctx, int chunk, int worker)
{
    const struct basic *j = ctx;
    const struct piece p = piece_at(j->y, chunk);

    (void)worker;
    j->cpu->kernels->act_bwd(j->act, p.count, view_at(j->a, p.n, 0) + p.from,
                             view_at(j->b, p.n, 0) + p.from, j->beta,
                             view_at(j->y, p.n, 0) + p.from);
}

static void fast_act_bwd(struct backend *be, enum act act, struct view x, struct view y,
                         struct view dy, real beta, struct view dx)
{
    const struct view known = act == ACT_LINEAR ? dy : act_from_output(act) ? y : x;
    struct basic j = {.cpu = be->ctx, .a = known, .b = dy, .y = dx, .act = act, .beta = beta};

    run_pieces(be->ctx, act_bwd_piece, &j);
}

static void dropout_piece(void *ctx, int chunk, int worker)
{
    const struct basic *j = ctx;
    const struct piece p = piece_at(j->y, chunk);
    const size_t image = (size_t)j->y.c * view_plane(j->y);
    const real *x = view_at(j->a, p.n, 0) + p.from, gain = 1 / (1 - j->value), beta = j->beta;
    real *y = view_at(j->y, p.n, 0) + p.from;
    const uint64_t key = j->key, first = (uint64_t)p.n * image + p.from + 1;
    const uint64_t least = (uint64_t)ceil((double)j->value * 0x1p32); /* of what is kept */

    (void)worker;
    for (size_t i = 0; i < p.count; i++) {
        /* Looked up, as a branch could not be foretold. */
        const real what[2] = {0, x[i] * gain};
        y[i] = plain_scaled(beta, y[i]) + what[rng_at(key, first + i) >> 32 >= least];
    }
}

static void fast_dropout(struct backend *be, uint64_t node, real p, struct view x, real beta,
                         struct view y)
{
    struct basic j = {.cpu = be->ctx,
                      .a = x,
                      .y = y,
                      .key = dropout_key(be->key, node),
                      .value = p,
                      .beta = beta};

    run_pieces(be->ctx, dropout_piece, &j);
}

/* From here on a chunk is a plane: chunk = n*c + c. */
static void run_planes(const struct cpu *cpu, void (*fn)(void *, int, int), struct basic *j)
{
    pool_run(cpu->pool, j->y.n * j->y.c, fn, j);
}

static void mul_channel_plane(void *ctx, int chunk, int worker)
{
    const struct basic *j = ctx;
    const int n = chunk / j->y.c, c = chunk % j->y.c;

    (void)worker;
    j->cpu->kernels->scale(view_plane(j->y), *view_at(j->b, n, c), view_at(j->a, n, c), j->beta,
                           view_at(j->y, n, c));
}

static void fast_mul_channel_fwd(struct backend *be, struct view x, struct view s, struct view y)
{
    struct basic j = {.cpu = be->ctx, .a = x, .b = s, .y = y};

    run_planes(be->ctx, mul_channel_plane, &j);
}

/* a is x, b is dy, y is ds. */
static void dot_plane(void *ctx, int chunk, int worker)
{
    const struct basic *j = ctx;
    const int n = chunk / j->y.c, c = chunk % j->y.c;
    real *ds = view_at(j->y, n, c);

    (void)worker;
    *ds = plain_scaled(j->beta, *ds) +
          (real)j->cpu->kernels->dot(view_plane(j->b), view_at(j->a, n, c), view_at(j->b, n, c));
}

static void fast_mul_channel_bwd(struct backend *be, struct view x, struct view s, struct view dy,
                                 real beta_x, struct view dx, real beta_s, struct view ds)
{
    if (ds.p) {
        struct basic j = {.cpu = be->ctx, .a = x, .b = dy, .y = ds, .beta = beta_s};
        run_planes(be->ctx, dot_plane, &j);
    }
    if (dx.p) {
        struct basic j = {.cpu = be->ctx, .a = dy, .b = s, .y = dx, .beta = beta_x};
        run_planes(be->ctx, mul_channel_plane, &j);
    }
}

static void affine_plane(void *ctx, int chunk, int worker)
{
    const struct basic *j = ctx;
    const int n = chunk / j->y.c, c = chunk % j->y.c;

    (void)worker;
    j->cpu->kernels->affine(j->scale ? j->scale[c] : 1, j->shift ? j->shift[c] : 0, j->act,
                            view_plane(j->y), view_at(j->a, n, c), view_at(j->y, n, c));
}

static void fast_affine(struct backend *be, const real *scale, const real *shift, enum act act,
                        struct view x, struct view y)
{
    struct basic j = {.cpu = be->ctx, .a = x, .y = y, .act = act, .scale = scale, .shift = shift};

    run_planes(be->ctx, affine_plane, &j);
}

static void sum_channel(void *ctx, int chunk, int worker)
{
    const struct basic *j = ctx;
    double sum = 0;

    (void)worker;
    for (int n = 0; n < j->a.n; n++) {
        sum += j->cpu->kernels->sum(view_plane(j->a), view_at(j->a, n, chunk));
    }
    j->sum[chunk] += (real)sum;
}

static void fast_channel_sum(struct backend *be, struct view x, real *sum)
{
    const struct cpu *cpu = be->ctx;
    struct basic j = {.cpu = cpu, .a = x, .sum = sum};

    pool_run(cpu->pool, x.c, sum_channel, &j);
}

void fast_basic_entries(struct backend_ops *ops)
{
    ops->fill = fast_fill;
    ops->copy = fast_copy;
    ops->add = fast_add;
    ops->act_fwd = fast_act_fwd;
    ops->act_bwd = fast_act_bwd;
    ops->mul_channel_fwd = fast_mul_channel_fwd;
    ops->mul_channel_bwd = fast_mul_channel_bwd;
    ops->dropout = fast_dropout;
    ops->affine = fast_affine;
    ops->channel_sum = fast_channel_sum;
}
