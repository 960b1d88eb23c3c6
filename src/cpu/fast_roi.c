/*
 * fast_roi.c - two-stage detectors over the threads. RoIAlign finds out once for a region where its
 * samples lie along both axes, and then goes through the channels. Backward a chunk is some
 * channels of one picture, which goes through all of its regions in order: no two chunks touch the
 * same number, and each is summed in one order for any number of threads.
 */
#include "fast.h"

#include "cpu.h"
#include "roi.h"
#include "span.h"

enum { SAMPLES = ROI_ALIGN_MAX_SIZE * ROI_ALIGN_MAX_SAMPLING, CHANNELS = 16 };

struct align {
    const struct roi_align_desc *d;
    const struct view *maps;
    struct view rois, y; /* y: the result, or its gradient */
};

/* The samples of one axis. Those outside read cell 0 with no weight. */
struct taps {
    int a[SAMPLES], b[SAMPLES];
    real ka[SAMPLES], kb[SAMPLES];
};

static void find_taps(const struct roi_align_desc *d, struct roi_axis axis, int n, struct taps *t)
{
    for (int i = 0; i < d->size * d->sampling; i++) {
        const struct roi_tap tap = roi_tap(axis.start + ((real)i + (real)0.5) * axis.step, n);
        t->a[i] = tap.a;
        t->b[i] = tap.b;
        t->ka[i] = tap.inside ? (1 - tap.t) / (real)d->sampling : 0;
        t->kb[i] = tap.inside ? tap.t / (real)d->sampling : 0;
    }
}

/* The region of row r of the result: its level, -1 where the row is not in use, and its samples. */
static int open_region(const struct align *j, int r, struct taps *v, struct taps *u)
{
    const struct roi_align_desc *d = j->d;
    const real *roi = list_row(j->rois, roi_of(d, r));

    if (!(roi[4] > 0)) {
        return -1;
    }
    const int level = roi_level(d, roi);
    find_taps(d, roi_axis(d, roi[1], roi[3], d->scale[level]), j->maps[level].h, v);
    find_taps(d, roi_axis(d, roi[0], roi[2], d->scale[level]), j->maps[level].w, u);
    return level;
}

static void align_channel(const struct roi_align_desc *d, const struct taps *v,
                          const struct taps *u, const real *x, int w, real *y)
{
    const int n = d->sampling;

    for (int ph = 0; ph < d->size; ph++, y += d->size) {
        for (int pw = 0; pw < d->size; pw++) {
            y[pw] = 0;
        }
        for (int p = ph * n; p < (ph + 1) * n; p++) {
            const real *top = x + (size_t)v->a[p] * (size_t)w;
            const real *bottom = x + (size_t)v->b[p] * (size_t)w;
            for (int q = 0; q < d->size * n; q++) {
                const int a = u->a[q], b = u->b[q];
                y[q / n] += u->ka[q] * (v->ka[p] * top[a] + v->kb[p] * bottom[a]) +
                            u->kb[q] * (v->ka[p] * top[b] + v->kb[p] * bottom[b]);
            }
        }
    }
}

static void align_region(void *ctx, int r, int worker)
{
    const struct align *j = ctx;
    struct taps v, u;
    const int level = open_region(j, r, &v, &u);

    (void)worker;
    for (int c = 0; c < j->y.c; c++) {
        real *y = view_at(j->y, r, c);
        if (level >= 0) {
            const struct view map = j->maps[level];
            align_channel(j->d, &v, &u, view_at(map, r / j->d->take, c), map.w, y);
        }
        for (size_t i = 0; level < 0 && i < view_plane(j->y); i++) {
            y[i] = 0;
        }
    }
}

static void fast_roi_align_fwd(struct backend *be, const struct roi_align_desc *d,
                               const struct view *maps, struct view rois, struct view y)
{
    const struct cpu *cpu = be->ctx;
    struct align j = {d, maps, rois, y};

    pool_run(cpu->pool, y.n, align_region, &j);
}

static void spread_channel(const struct roi_align_desc *d, const struct taps *v,
                           const struct taps *u, real *dx, int w, const real *dy)
{
    const int n = d->sampling;

    for (int p = 0; p < d->size * n; p++) {
        const real *g = dy + (ptrdiff_t)(p / n) * d->size;
        real *top = dx + (size_t)v->a[p] * (size_t)w, *bottom = dx + (size_t)v->b[p] * (size_t)w;
        for (int q = 0; q < d->size * n; q++) {
            const real ga = g[q / n] * u->ka[q], gb = g[q / n] * u->kb[q];
            top[u->a[q]] += v->ka[p] * ga;
            top[u->b[q]] += v->ka[p] * gb;
            bottom[u->a[q]] += v->kb[p] * ga;
            bottom[u->b[q]] += v->kb[p] * gb;
        }
    }
}

static void spread_channels(void *ctx, int chunk, int worker)
{
    const struct align *j = ctx;
    const int parts = ceil_div(j->y.c, CHANNELS), image = chunk / parts;
    const int first = chunk % parts * CHANNELS;
    const int end = first + CHANNELS < j->y.c ? first + CHANNELS : j->y.c;
    struct taps v, u;

    (void)worker;
    for (int r = image * j->d->take; r < (image + 1) * j->d->take; r++) {
        const int level = open_region(j, r, &v, &u);
        for (int c = first; c < end && level >= 0 && j->maps[level].p != NULL; c++) {
            const struct view map = j->maps[level];
            spread_channel(j->d, &v, &u, view_at(map, image, c), map.w, view_at(j->y, r, c));
        }
    }
}

static void fast_roi_align_bwd(struct backend *be, const struct roi_align_desc *d, struct view rois,
                               struct view dy, const struct view *dmaps)
{
    const struct cpu *cpu = be->ctx;
    struct align j = {d, dmaps, rois, dy};

    pool_run(cpu->pool, dy.n / d->take * ceil_div(dy.c, CHANNELS), spread_channels, &j);
}

static void proposals_chunk(void *ctx, int chunk, int worker)
{
    (void)worker;
    proposals_part(ctx, chunk);
}

static void fast_proposals(struct backend *be, const struct proposal_desc *d, struct view anchors,
                           struct view logits, struct view deltas, struct view extent,
                           struct view rois, void *scratch)
{
    const struct cpu *cpu = be->ctx;
    struct proposals_call c = {
        .d = d, .logits = logits, .deltas = deltas, .extent = extent, .rois = rois};

    (void)anchors; /* those of d are in reach */
    proposals_begin(&c, scratch);
    pool_run(cpu->pool, logits.n * d->anchors.n_levels, proposals_chunk, &c);
    proposals_end(&c);
}

static void rpn_chunk(void *ctx, int chunk, int worker)
{
    (void)worker;
    rpn_part(ctx, chunk);
}

static void fast_rpn_fwd(struct backend *be, const struct rpn_desc *d, uint64_t node,
                         struct view anchors, struct view logits, struct view deltas,
                         struct view truth, struct view extent, struct view match, real *loss,
                         void *scratch)
{
    const struct cpu *cpu = be->ctx;
    struct rpn_call c = {.d = d,
                         .key = dropout_key(be->key, node),
                         .logits = logits,
                         .deltas = deltas,
                         .truth = truth,
                         .extent = extent,
                         .match = match};

    (void)anchors;
    rpn_begin(&c, scratch);
    pool_run(cpu->pool, logits.n, rpn_chunk, &c);
    rpn_end(&c, loss);
}

void fast_roi_entries(struct backend_ops *ops)
{
    ops->roi_align_fwd = fast_roi_align_fwd;
    ops->roi_align_bwd = fast_roi_align_bwd;
    ops->proposals = fast_proposals;
    ops->rpn_fwd = fast_rpn_fwd;
}
