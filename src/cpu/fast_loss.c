/*
 * fast_loss.c - softmax, MultiBox, and the maps and rows of priors, over the threads. Softmax works
 * on strips of pixels, channel by channel, so that its loops run along rows. The other losses are
 * small and stay the reference's.
 */
#include "fast.h"

#include "cpu.h"
#include "det/multibox.h"
#include "plain.h"
#include "strip.h"

#include <math.h>
#include <string.h>

struct softmax {
    const struct cpu *cpu;
    struct view x, y, dy, dx;
    real beta;
};

static int strips(struct view x)
{
    return x.n * strip_count(x);
}

static void softmax_strip(void *ctx, int chunk, int worker)
{
    const struct softmax *j = ctx;
    const struct cpu_kernels *k = j->cpu->kernels;
    const struct strip s = strip_at(j->x, chunk);
    real most[PIXELS], sum[PIXELS] = {0};

    (void)worker;
    memcpy(most, view_at(j->x, s.n, 0) + s.from, s.count * sizeof *most);
    for (int c = 1; c < j->x.c; c++) {
        k->larger(s.count, view_at(j->x, s.n, c) + s.from, most);
    }
    for (int c = 0; c < j->x.c; c++) {
        real *y = view_at(j->y, s.n, c) + s.from;
        k->exp_less(s.count, view_at(j->x, s.n, c) + s.from, most, y);
        k->scale(s.count, 1, y, 1, sum);
    }
    for (size_t i = 0; i < s.count; i++) {
        sum[i] = 1 / sum[i];
    }
    for (int c = 0; c < j->x.c; c++) {
        real *y = view_at(j->y, s.n, c) + s.from;
        k->product(s.count, 1, y, sum, y);
    }
}

static void fast_softmax_fwd(struct backend *be, struct view x, struct view y)
{
    struct softmax j = {.cpu = be->ctx, .x = x, .y = y};

    pool_run(j.cpu->pool, strips(x), softmax_strip, &j);
}

/* dx = y * (dy - sum over c of y*dy) */
static void softmax_bwd_strip(void *ctx, int chunk, int worker)
{
    const struct softmax *j = ctx;
    const struct cpu_kernels *k = j->cpu->kernels;
    const struct strip s = strip_at(j->y, chunk);
    real dot[PIXELS] = {0}, some[PIXELS];

    (void)worker;
    for (int c = 0; c < j->y.c; c++) {
        k->add_product(s.count, 1, view_at(j->y, s.n, c) + s.from, view_at(j->dy, s.n, c) + s.from,
                       dot);
    }
    for (int c = 0; c < j->y.c; c++) {
        const real *y = view_at(j->y, s.n, c) + s.from;
        real *dx = view_at(j->dx, s.n, c) + s.from;
        memcpy(some, view_at(j->dy, s.n, c) + s.from, s.count * sizeof *some);
        k->scale(s.count, -1, dot, 1, some);
        if (j->beta != 0) {
            k->add_product(s.count, 1, y, some, dx);
        } else {
            k->product(s.count, 1, y, some, dx);
        }
    }
}

static void fast_softmax_bwd(struct backend *be, struct view y, struct view dy, real beta,
                             struct view dx)
{
    struct softmax j = {.cpu = be->ctx, .y = y, .dy = dy, .dx = dx, .beta = beta};

    pool_run(j.cpu->pool, strips(y), softmax_bwd_strip, &j);
}

/* Maps and rows of priors: an image's map [c, plane] is its rows [plane, c], transposed. A chunk is
 * eight channels of an image, which the forward pass takes as rows; backward, eight pixels. */
struct rows {
    const struct cpu *cpu;
    struct view map, rows;
    int k, first;
    real beta;
};

static real *image_rows(const struct rows *j, int n)
{
    return view_at(j->rows, n, j->first);
}

static void rows_fwd_channels(void *ctx, int chunk, int worker)
{
    const struct rows *j = ctx;
    const int eights = ceil_div(j->map.c, 8), n = chunk / eights, c = chunk % eights * 8;
    const size_t plane = view_plane(j->map), step = (size_t)j->map.c;
    real *y = image_rows(j, n) + c;
    const real *x[8];

    (void)worker;
    for (int i = 0; i < 8 && c + i < j->map.c; i++) {
        x[i] = view_at(j->map, n, c + i);
    }
    if (c + 8 <= j->map.c) {
        j->cpu->kernels->transpose8(plane, x, step, y);
        return;
    }
    for (size_t p = 0; p < plane; p++, y += step) {
        for (int i = 0; c + i < j->map.c; i++) {
            y[i] = x[i][p];
        }
    }
}

static void fast_prior_rows_fwd(struct backend *be, struct view x, int k, int first, struct view y)
{
    struct rows j = {.cpu = be->ctx, .map = x, .rows = y, .k = k, .first = first};

    pool_run(j.cpu->pool, x.n * ceil_div(x.c, 8), rows_fwd_channels, &j);
}

/* Eight pixels of all channels, some channels at a time: side by side in `some`, then to the map.
 */
static void rows_bwd_pixels(void *ctx, int chunk, int worker)
{
    enum { CHANNELS = 64 };
    const struct rows *j = ctx;
    const size_t plane = view_plane(j->map), row = (size_t)j->map.c;
    const int eights = (int)((plane + 7) / 8), n = chunk / eights;
    const size_t from = (size_t)(chunk % eights) * 8, left = plane - from;
    const size_t count = left < 8 ? left : 8;
    real some[CHANNELS * 8];
    const real *dy[8];

    (void)worker;
    for (int c = 0; c < j->map.c; c += CHANNELS) {
        const int channels = j->map.c - c < CHANNELS ? j->map.c - c : CHANNELS;
        for (size_t i = 0; i < 8; i++) {
            dy[i] = image_rows(j, n) + (from + (i < count ? i : 0)) * row + c;
        }
        j->cpu->kernels->transpose8((size_t)channels, dy, 8, some);
        for (int i = 0; i < channels; i++) {
            real *dx = view_at(j->map, n, c + i) + from;
            for (size_t p = 0; p < count; p++) {
                dx[p] = plain_scaled(j->beta, dx[p]) + some[(size_t)i * 8 + p];
            }
        }
    }
}

static void fast_prior_rows_bwd(struct backend *be, struct view dy, int k, int first, real beta,
                                struct view dx)
{
    struct rows j = {.cpu = be->ctx, .map = dx, .rows = dy, .k = k, .first = first, .beta = beta};

    pool_run(j.cpu->pool, dx.n * (int)((view_plane(dx) + 7) / 8), rows_bwd_pixels, &j);
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

/* Detections: a chunk is one image, a thread has memory for one. */
struct detecting {
    const struct multibox_detect_desc *d;
    struct view loc, conf, arm_loc, arm_conf, found;
    char *memory; /* [threads][image_bytes] */
    size_t image_bytes;
};

static size_t fast_multibox_detect_scratch(struct backend *be, const struct multibox_detect_desc *d,
                                           int n)
{
    const struct cpu *cpu = be->ctx;

    (void)n;
    return (size_t)pool_threads(cpu->pool) * cache_lines(multibox_detect_bytes(d));
}

static void detect_image(void *ctx, int chunk, int worker)
{
    const struct detecting *j = ctx;

    const struct multibox_input in = {.loc = image_of(j->loc, chunk),
                                      .conf = image_of(j->conf, chunk),
                                      .arm_loc = image_of(j->arm_loc, chunk),
                                      .arm_conf = image_of(j->arm_conf, chunk)};

    multibox_detect(j->d, &in, view_at(j->found, chunk * j->d->keep, 0),
                    j->memory + (size_t)worker * j->image_bytes);
}

static void fast_multibox_detect(struct backend *be, const struct multibox_detect_desc *d,
                                 struct view priors, struct view loc, struct view conf,
                                 struct view arm_loc, struct view arm_conf, struct view found,
                                 void *scratch)
{
    const struct cpu *cpu = be->ctx;
    struct detecting j = {.d = d,
                          .loc = loc,
                          .conf = conf,
                          .arm_loc = arm_loc,
                          .arm_conf = arm_conf,
                          .found = found,
                          .memory = scratch,
                          .image_bytes = cache_lines(multibox_detect_bytes(d))};

    (void)priors; /* d has them too */
    pool_run(cpu->pool, loc.n, detect_image, &j);
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
    ops->multibox_detect = fast_multibox_detect;
    ops->multibox_detect_scratch = fast_multibox_detect_scratch;
}
