/*
 * fast_norm.c - batch and group norm over the threads. Batch norm: a chunk is a channel over all
 * images. Group norm: a chunk is a group of channels over all images, so that the sums of gamma's
 * and beta's gradients belong to one chunk. In each, sums run in a fixed order (kernel_norm.h).
 */
#include "fast.h"

#include "cpu.h"
#include "product.h"

#include <math.h>
#include <string.h>

/* Numbers of an apply's chunk: some microseconds of work. */
enum { APPLY_NUMBERS = 16384 };

struct norm {
    const struct cpu *cpu;
    struct view x, y, dy, dx;
    int groups; /* 0: batch norm */
    real eps, momentum, add;
    real *run_mean, *run_var, *new_stats, *dgamma, *dbeta;
    const real *stats, *gamma, *beta;
    enum act act;
};

/* The channels that one chunk works on. */
static struct span norm_channels(const struct norm *j, int chunk)
{
    const int width = j->groups ? j->x.c / j->groups : 1;

    return (struct span){chunk * width, (chunk + 1) * width};
}

static int norm_chunks(const struct norm *j)
{
    return j->groups ? j->groups : j->x.c;
}

/* Joins the moments of another `count` numbers to `all`, of *total numbers. */
static void join_moments(struct moments *all, double *total, struct moments m, double count)
{
    const double delta = m.mean - all->mean, sum = *total + count;

    all->mean += delta * count / sum;
    all->squares += m.squares + delta * delta * *total * count / sum;
    *total = sum;
}

/* How many images' runs of numbers are worth being put side by side first; some numbers at most. */
enum { SOME = 1024 };
static int images_together(size_t run)
{
    return run < SOME / 2 ? SOME / (int)run : 1;
}

/* Runs of `images` images, from image n on: where they are, or side by side in `some`. */
static const real *side_by_side(struct view v, int n, int images, int c, size_t run, real *some)
{
    if (images == 1) {
        return view_at(v, n, c);
    }
    for (int i = 0; i < images; i++) {
        memcpy(some + (size_t)i * run, view_at(v, n + i, c), run * sizeof *some);
    }
    return some;
}

/* Images n..end-1, at most `images` of them, will be read next: the first lines of their runs, as
 * the processor does not see ahead from one image's channel to the next one's. */
enum { FETCHED = 1024 };
static void fetch_images(struct view v, int n, int end, int images, int c, size_t run)
{
    for (int i = n; i < end && i < n + images; i++) {
        fetch(view_at(v, i, c), run < FETCHED ? run : FETCHED);
    }
}

/* Over images n0..n1-1 and channels s; stats gets mean and 1/sqrt(var + eps). */
static struct moments set_moments(const struct norm *j, struct span n, struct span c, real *stats)
{
    /* The channels of one image lie side by side. */
    const size_t run = view_plane(j->x) * (size_t)(c.to - c.from);
    struct moments all = {0, 0};
    double total = 0;
    real some[SOME];

    for (int i = n.from, images; i < n.to; i += images) {
        images = images_together(run) < n.to - i ? images_together(run) : n.to - i;
        fetch_images(j->x, i + images, n.to, images, c.from, run);
        const real *x = side_by_side(j->x, i, images, c.from, run, some);
        const size_t count = run * (size_t)images;
        join_moments(&all, &total, j->cpu->kernels->moments(count, x), (double)count);
    }
    stats[0] = (real)all.mean;
    stats[1] = (real)(1 / sqrt(all.squares / total + (double)j->eps));
    all.squares /= total > 1 ? total - 1 : 1;
    return all;
}

static struct norm_line norm_line(const struct norm *j, int n, int c)
{
    const int set = j->groups ? n * j->groups + c / (j->x.c / j->groups) : c;

    return (struct norm_line){j->stats[2 * set], j->stats[2 * set + 1], j->gamma[c], j->beta[c],
                              j->act};
}

static void apply_plane(const struct norm *j, int n, int c)
{
    const struct norm_line line = norm_line(j, n, c);

    j->cpu->kernels->norm_apply(&line, view_plane(j->x), view_at(j->x, n, c), view_at(j->y, n, c));
}

/* A chunk is one plane, or some where planes are so small that handing them out takes longer. */
static int apply_chunks(struct view x)
{
    const double worth = (double)x.n * x.c * (double)view_plane(x) / APPLY_NUMBERS;

    return worth < 1 ? 1 : worth < x.n * x.c ? (int)worth : x.n * x.c;
}

static void apply_chunk(void *ctx, int chunk, int worker)
{
    const struct norm *j = ctx;
    const struct span planes = span_at(j->x.n * j->x.c, apply_chunks(j->x), chunk);

    (void)worker;
    for (int i = planes.from; i < planes.to; i++) {
        apply_plane(j, i / j->x.c, i % j->x.c);
    }
}

static void fast_norm_apply(struct backend *be, struct view x, int groups, const real *stats,
                            const real *gamma, const real *beta, enum act act, struct view y)
{
    const struct cpu *cpu = be->ctx;
    struct norm j = {.cpu = cpu,
                     .x = x,
                     .y = y,
                     .groups = groups,
                     .stats = stats,
                     .gamma = gamma,
                     .beta = beta,
                     .act = act};

    pool_run(cpu->pool, apply_chunks(x), apply_chunk, &j);
}

static void batch_stats(const struct norm *j, int c)
{
    const struct moments m = set_moments(j, (struct span){0, j->x.n}, (struct span){c, c + 1},
                                         j->new_stats + 2 * (size_t)c);

    if (j->run_mean) {
        real *mean = j->run_mean + c, *var = j->run_var + c;
        *mean = j->momentum * *mean + (1 - j->momentum) * (real)m.mean;
        *var = j->momentum * *var + (1 - j->momentum) * (real)m.squares;
    }
}

static void batch_fwd(void *ctx, int chunk, int worker)
{
    const struct norm *j = ctx;

    (void)worker;
    batch_stats(j, chunk);
    for (int n = 0; n < j->x.n; n++) {
        fetch_images(j->y, n + 1, j->y.n, 1, chunk, view_plane(j->y));
        apply_plane(j, n, chunk);
    }
}

static void group_stats(void *ctx, int chunk, int worker)
{
    const struct norm *j = ctx;
    const int n = chunk / j->groups, width = j->x.c / j->groups;
    const int c = chunk % j->groups * width;

    (void)worker;
    set_moments(j, (struct span){n, n + 1}, (struct span){c, c + width},
                j->new_stats + 2 * (size_t)chunk);
}

static void fast_norm_fwd(struct backend *be, struct view x, int groups, real eps, real momentum,
                          real *run_mean, real *run_var, real *stats, const real *gamma,
                          const real *beta, enum act act, struct view y)
{
    const struct cpu *cpu = be->ctx;
    struct norm j = {.cpu = cpu,
                     .x = x,
                     .y = y,
                     .groups = groups,
                     .eps = eps,
                     .momentum = momentum,
                     .run_mean = run_mean,
                     .run_var = run_var,
                     .new_stats = stats,
                     .stats = stats,
                     .gamma = gamma,
                     .beta = beta,
                     .act = act};

    if (groups == 0) {
        pool_run(cpu->pool, x.c, batch_fwd, &j);
        return;
    }
    pool_run(cpu->pool, x.n * groups, group_stats, &j);
    pool_run(cpu->pool, apply_chunks(x), apply_chunk, &j); /* sets may be fewer than threads */
}

/* sums += those of g and g*xhat over a plane of images that share their statistics. */
static void plane_sums(const struct norm *j, struct span n, int c, double sums[2])
{
    const struct norm_line line = norm_line(j, n.from, c);
    const size_t plane = view_plane(j->x);
    real x[SOME], dy[SOME];

    for (int i = n.from, images; i < n.to; i += images) {
        images = images_together(plane) < n.to - i ? images_together(plane) : n.to - i;
        fetch_images(j->x, i + images, n.to, images, c, plane);
        fetch_images(j->dy, i + images, n.to, images, c, plane);
        j->cpu->kernels->norm_sums(&line, plane * (size_t)images,
                                   side_by_side(j->x, i, images, c, plane, x),
                                   side_by_side(j->dy, i, images, c, plane, dy), sums);
    }
}

/* dx of one plane, from its set's sums of gamma*g and gamma*g*xhat over `count` numbers. */
static void plane_dx(const struct norm *j, int n, int c, const double sums[2], double count)
{
    const struct norm_line line = norm_line(j, n, c);
    const double invstd = (double)line.invstd;
    const real coef[3] = {line.invstd * line.gamma, (real)(-invstd * sums[1] / count),
                          (real)(-invstd * sums[0] / count)};

    j->cpu->kernels->norm_dx(&line, coef, view_plane(j->x), view_at(j->x, n, c),
                             view_at(j->dy, n, c), j->add, view_at(j->dx, n, c));
}

static void batch_bwd(const struct norm *j, int c)
{
    const double gamma = (double)j->gamma[c];
    double sums[2] = {0};

    plane_sums(j, (struct span){0, j->x.n}, c, sums);
    j->dbeta[c] += (real)sums[0];
    j->dgamma[c] += (real)sums[1];
    sums[0] *= gamma;
    sums[1] *= gamma;
    for (int n = 0; j->dx.p && n < j->x.n; n++) {
        fetch_images(j->dx, n + 1, j->x.n, 1, c, view_plane(j->x));
        plane_dx(j, n, c, sums, (double)j->x.n * (double)view_plane(j->x));
    }
}

static void group_bwd(const struct norm *j, int n, struct span channels)
{
    double sums[2] = {0};

    for (int c = channels.from; c < channels.to; c++) {
        double part[2] = {0};
        plane_sums(j, (struct span){n, n + 1}, c, part);
        j->dbeta[c] += (real)part[0];
        j->dgamma[c] += (real)part[1];
        sums[0] += (double)j->gamma[c] * part[0];
        sums[1] += (double)j->gamma[c] * part[1];
    }
    for (int c = channels.from; j->dx.p && c < channels.to; c++) {
        plane_dx(j, n, c, sums, (double)(channels.to - channels.from) * (double)view_plane(j->x));
    }
}

static void bwd_chunk(void *ctx, int chunk, int worker)
{
    const struct norm *j = ctx;

    (void)worker;
    if (!j->groups) {
        batch_bwd(j, chunk);
        return;
    }
    for (int n = 0; n < j->x.n; n++) {
        group_bwd(j, n, norm_channels(j, chunk));
    }
}

static void fast_norm_bwd(struct backend *be, struct view x, int groups, const real *stats,
                          const real *gamma, const real *beta, enum act act, struct view dy,
                          real add, struct view dx, real *dgamma, real *dbeta)
{
    const struct cpu *cpu = be->ctx;
    struct norm j = {.cpu = cpu,
                     .x = x,
                     .dy = dy,
                     .dx = dx,
                     .groups = groups,
                     .add = add,
                     .stats = stats,
                     .gamma = gamma,
                     .beta = beta,
                     .act = act,
                     .dgamma = dgamma,
                     .dbeta = dbeta};

    pool_run(cpu->pool, norm_chunks(&j), bwd_chunk, &j);
}

void fast_norm_entries(struct backend_ops *ops)
{
    ops->norm_fwd = fast_norm_fwd;
    ops->norm_apply = fast_norm_apply;
    ops->norm_bwd = fast_norm_bwd;
}
