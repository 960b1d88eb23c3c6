/*
 * fast_loss.c - softmax, MultiBox, and the maps and rows of priors, over the threads. Softmax works
 * on strips of pixels, channel by channel, so that its loops run along rows. The other losses are
 * small and stay the reference's.
 */
#include "fast.h"

#include "cpu.h"
#include "det/multibox.h"
#include "plain.h"
#include "product.h"

#include <math.h>

/* Pixels of a strip. */
enum { PIXELS = 256 };

struct softmax {
    const struct cpu *cpu;
    struct view x, y, dy, dx;
    real beta;
};

static int strips(struct view x)
{
    return (int)((view_plane(x) + PIXELS - 1) / PIXELS);
}

struct strip {
    int n;
    size_t from, count;
};

static struct strip strip_at(struct view x, int chunk)
{
    const size_t from = (size_t)(chunk % strips(x)) * PIXELS, left = view_plane(x) - from;

    return (struct strip){chunk / strips(x), from, left < PIXELS ? left : PIXELS};
}

static void softmax_chunk(void *ctx, int chunk, int worker)
{
    const struct softmax *j = ctx;
    const struct strip s = strip_at(j->x, chunk);
    real most[PIXELS], sum[PIXELS] = {0};

    (void)worker;
    for (int c = 0; c < j->x.c; c++) {
        const real *x = view_at(j->x, s.n, c) + s.from;
        for (size_t i = 0; i < s.count; i++) {
            most[i] = c == 0 || x[i] > most[i] ? x[i] : most[i];
        }
    }
    for (int c = 0; c < j->x.c; c++) {
        real *y = view_at(j->y, s.n, c) + s.from;
        j->cpu->kernels->exp_less(s.count, view_at(j->x, s.n, c) + s.from, most, y);
        for (size_t i = 0; i < s.count; i++) {
            sum[i] += y[i];
        }
    }
    for (int c = 0; c < j->x.c; c++) {
        real *y = view_at(j->y, s.n, c) + s.from;
        for (size_t i = 0; i < s.count; i++) {
            y[i] /= sum[i];
        }
    }
}

static void fast_softmax_fwd(struct backend *be, struct view x, struct view y)
{
    struct softmax j = {.cpu = be->ctx, .x = x, .y = y};

    pool_run(j.cpu->pool, x.n * strips(x), softmax_chunk, &j);
}

static void softmax_bwd_chunk(void *ctx, int chunk, int worker)
{
    const struct softmax *j = ctx;
    const struct strip s = strip_at(j->y, chunk);
    real dot[PIXELS] = {0};

    (void)worker;
    for (int c = 0; c < j->y.c; c++) {
        const real *y = view_at(j->y, s.n, c) + s.from, *dy = view_at(j->dy, s.n, c) + s.from;
        for (size_t i = 0; i < s.count; i++) {
            dot[i] += y[i] * dy[i];
        }
    }
    for (int c = 0; c < j->y.c; c++) {
        const real *y = view_at(j->y, s.n, c) + s.from, *dy = view_at(j->dy, s.n, c) + s.from;
        real *dx = view_at(j->dx, s.n, c) + s.from;
        for (size_t i = 0; i < s.count; i++) {
            dx[i] = plain_scaled(j->beta, dx[i]) + y[i] * (dy[i] - dot[i]);
        }
    }
}

static void fast_softmax_bwd(struct backend *be, struct view y, struct view dy, real beta,
                             struct view dx)
{
    struct softmax j = {.cpu = be->ctx, .y = y, .dy = dy, .dx = dx, .beta = beta};

    pool_run(j.cpu->pool, y.n * strips(y), softmax_bwd_chunk, &j);
}

/* Maps and rows of priors: a chunk is one image. */
struct rows {
    struct view map, rows;
    int k, first;
    real beta;
};

static void rows_fwd_image(void *ctx, int chunk, int worker)
{
    const struct rows *j = ctx;
    const int anchors = j->map.c / j->k;

    (void)worker;
    for (int c = 0; c < j->map.c; c++) {
        const real *x = view_at(j->map, chunk, c);
        real *y = view_at(j->rows, chunk, j->first + c / j->k) + c % j->k;
        for (size_t i = 0; i < view_plane(j->map); i++, y += anchors * j->k) {
            *y = x[i];
        }
    }
}

static void fast_prior_rows_fwd(struct backend *be, struct view x, int k, int first, struct view y)
{
    const struct cpu *cpu = be->ctx;
    struct rows j = {.map = x, .rows = y, .k = k, .first = first};

    pool_run(cpu->pool, x.n, rows_fwd_image, &j);
}

static void rows_bwd_image(void *ctx, int chunk, int worker)
{
    const struct rows *j = ctx;
    const int anchors = j->map.c / j->k;

    (void)worker;
    for (int c = 0; c < j->map.c; c++) {
        real *dx = view_at(j->map, chunk, c);
        const real *dy = view_at(j->rows, chunk, j->first + c / j->k) + c % j->k;
        for (size_t i = 0; i < view_plane(j->map); i++, dy += anchors * j->k) {
            dx[i] = plain_scaled(j->beta, dx[i]) + *dy;
        }
    }
}

static void fast_prior_rows_bwd(struct backend *be, struct view dy, int k, int first, real beta,
                                struct view dx)
{
    const struct cpu *cpu = be->ctx;
    struct rows j = {.map = dx, .rows = dy, .k = k, .first = first, .beta = beta};

    pool_run(cpu->pool, dx.n, rows_bwd_image, &j);
}

/* MultiBox: a chunk is one image; its sums wait in the scratch, for the caller to add in order. */
struct multibox {
    const struct multibox_desc *d;
    struct view loc, conf, arm_loc, arm_conf, truth, match, dloc, dconf;
    real gain, positives, beta_loc, beta_conf;
    double (*part)[3]; /* [n] */
    char *memory;      /* [n][image_bytes] */
    size_t image_bytes;
};

static size_t multibox_image_bytes(const struct multibox_desc *d, struct view truth)
{
    return cache_lines(multibox_scratch_bytes(d, truth.c));
}

static size_t fast_multibox_scratch(struct backend *be, const struct multibox_desc *d,
                                    struct view conf, struct view truth)
{
    (void)be;
    return cache_lines((size_t)conf.n * 3 * sizeof(double)) +
           (size_t)conf.n * multibox_image_bytes(d, truth);
}

static real *image_of(struct view v, int n)
{
    return v.p ? view_at(v, n, 0) : NULL;
}

static void multibox_fwd_image(void *ctx, int chunk, int worker)
{
    const struct multibox *j = ctx;

    const struct multibox_input in = {.loc = image_of(j->loc, chunk),
                                      .conf = image_of(j->conf, chunk),
                                      .arm_loc = image_of(j->arm_loc, chunk),
                                      .arm_conf = image_of(j->arm_conf, chunk),
                                      .truth = image_of(j->truth, chunk),
                                      .max_truth = j->truth.c};

    (void)worker;
    multibox_match(j->d, &in, image_of(j->match, chunk), j->part[chunk],
                   j->memory + (size_t)chunk * j->image_bytes);
}

static void fast_multibox_fwd(struct backend *be, const struct multibox_desc *d, struct view priors,
                              struct view loc, struct view conf, struct view arm_loc,
                              struct view arm_conf, struct view truth, struct view match,
                              real *loss, void *scratch)
{
    const struct cpu *cpu = be->ctx;
    struct multibox j = {.d = d,
                         .loc = loc,
                         .conf = conf,
                         .arm_loc = arm_loc,
                         .arm_conf = arm_conf,
                         .truth = truth,
                         .match = match,
                         .part = scratch,
                         .image_bytes = multibox_image_bytes(d, truth)};
    double total[3] = {0};

    (void)priors; /* d has them too */
    j.memory = (char *)scratch + cache_lines((size_t)loc.n * 3 * sizeof(double));
    pool_run(cpu->pool, loc.n, multibox_fwd_image, &j);
    for (int n = 0; n < loc.n; n++) {
        for (int k = 0; k < 3; k++) {
            total[k] += j.part[n][k];
        }
    }
    loss[0] = (real)(total[0] / fmax(1, total[2]));
    loss[1] = (real)(total[1] / fmax(1, total[2]));
    loss[2] = (real)total[2];
}

static void multibox_bwd_image(void *ctx, int chunk, int worker)
{
    const struct multibox *j = ctx;

    const struct multibox_input in = {.loc = image_of(j->loc, chunk),
                                      .conf = image_of(j->conf, chunk)};
    const struct multibox_output out = {.dloc = image_of(j->dloc, chunk),
                                        .dconf = image_of(j->dconf, chunk),
                                        .beta_loc = j->beta_loc,
                                        .beta_conf = j->beta_conf};

    (void)worker;
    multibox_grad(j->d, &in, image_of(j->match, chunk), j->gain, j->positives, &out);
}

static void fast_multibox_bwd(struct backend *be, const struct multibox_desc *d, struct view loc,
                              struct view conf, struct view match, const real *loss, real gain,
                              real beta_loc, struct view dloc, real beta_conf, struct view dconf)
{
    const struct cpu *cpu = be->ctx;
    struct multibox j = {.d = d,
                         .loc = loc,
                         .conf = conf,
                         .match = match,
                         .dloc = dloc,
                         .dconf = dconf,
                         .gain = gain,
                         .positives = loss[2],
                         .beta_loc = beta_loc,
                         .beta_conf = beta_conf};

    pool_run(cpu->pool, loc.n, multibox_bwd_image, &j);
}

void fast_loss_entries(struct backend_ops *ops)
{
    ops->softmax_fwd = fast_softmax_fwd;
    ops->softmax_bwd = fast_softmax_bwd;
    ops->prior_rows_fwd = fast_prior_rows_fwd;
    ops->prior_rows_bwd = fast_prior_rows_bwd;
    ops->multibox_scratch = fast_multibox_scratch;
    ops->multibox_fwd = fast_multibox_fwd;
    ops->multibox_bwd = fast_multibox_bwd;
}
