/* roi.c - see roi.h. */
#include "roi.h"

#include "base/rng.h"
#include "span.h"

#include <math.h>
#include <tgmath.h>

static const real *image_row(struct view v, int n)
{
    return v.p != NULL ? view_at(v, n, 0) : NULL;
}

static size_t rooms(const struct proposal_desc *d, int n)
{
    return (size_t)n * (size_t)proposal_rooms(d);
}

static size_t lists(const struct proposal_desc *d, int n)
{
    return (size_t)n * (size_t)d->anchors.n_levels;
}

size_t proposals_bytes(const struct proposal_desc *d, int n)
{
    return cache_lines(lists(d, n) * sizeof(struct proposals)) +
           cache_lines(rooms(d, n) * sizeof(struct box)) + cache_lines(rooms(d, n) * sizeof(real)) +
           cache_lines(proposal_merge_scratch_bytes(d)) +
           lists(d, n) * cache_lines(proposal_scratch_bytes(d));
}

void proposals_begin(struct proposals_call *c, void *scratch)
{
    const struct proposal_desc *d = c->d;
    const int n = c->logits.n;
    char *at = scratch;

    c->list = scratch;
    at += cache_lines(lists(d, n) * sizeof *c->list);
    struct box *box = (struct box *)(void *)at;
    at += cache_lines(rooms(d, n) * sizeof *box);
    real *score = (real *)(void *)at;
    at += cache_lines(rooms(d, n) * sizeof *score);
    c->merge = at;
    c->memory = at + cache_lines(proposal_merge_scratch_bytes(d));
    for (int i = 0; i < (int)lists(d, n); i++) {
        c->list[i] = (struct proposals){box, score, 0};
        box += proposal_room(d, i % d->anchors.n_levels);
        score += proposal_room(d, i % d->anchors.n_levels);
    }
}

void proposals_part(const struct proposals_call *c, int part)
{
    const struct proposal_desc *d = c->d;
    const int image = part / d->anchors.n_levels;
    const struct proposal_input in = {
        .logits = view_at(c->logits, image, 0),
        .deltas = view_at(c->deltas, image, 0),
        .extent = roi_extent(image_row(c->extent, image), d->anchors.width, d->anchors.height),
    };

    proposal_level(d, part % d->anchors.n_levels, &in, &c->list[part],
                   c->memory + (size_t)part * cache_lines(proposal_scratch_bytes(d)));
}

void proposals_end(const struct proposals_call *c)
{
    proposal_merge(c->d, c->list, c->logits.n, c->rois.p, c->merge);
}

size_t rpn_bytes(const struct rpn_desc *d, struct view truth)
{
    const size_t n = (size_t)truth.n;

    return cache_lines(n * 4 * sizeof(double)) + n * cache_lines(rpn_scratch_bytes(d, truth.c));
}

void rpn_begin(struct rpn_call *c, void *scratch)
{
    c->sum = scratch;
    c->memory = (char *)scratch + cache_lines((size_t)c->logits.n * sizeof *c->sum);
}

void rpn_part(const struct rpn_call *c, int image)
{
    const struct anchors *a = &c->d->anchors;
    const struct rpn_input in = {
        .truth = view_at(c->truth, image, 0),
        .max_truth = c->truth.c,
        .extent = roi_extent(image_row(c->extent, image), a->width, a->height),
        .key = rng_at(c->key, (uint64_t)image + 1),
    };
    double *sum = c->sum[image];
    real *match = view_at(c->match, image, 0);
    int counts[2];

    rpn_match(c->d, &in, match, counts,
              c->memory + (size_t)image * cache_lines(rpn_scratch_bytes(c->d, c->truth.c)));
    rpn_losses(c->d, view_at(c->logits, image, 0), view_at(c->deltas, image, 0), match, sum);
    sum[2] = counts[0];
    sum[3] = counts[1];
}

void rpn_end(const struct rpn_call *c, real *loss)
{
    double total[4] = {0};

    for (int i = 0; i < c->logits.n; i++) {
        for (int k = 0; k < 4; k++) {
            total[k] += c->sum[i][k];
        }
    }
    for (int k = 0; k < 4; k++) {
        loss[k] = (real)(k < 2 ? total[k] / fmax(1, total[3]) : total[k]);
    }
}

int roi_level(const struct roi_align_desc *d, const real *roi)
{
    const real area = (roi[2] - roi[0]) * (roi[3] - roi[1]);
    int level = d->n_levels - 1;

    while (level > 0 && !(area >= roi_level_area(d, level))) {
        level--;
    }
    return level;
}

struct roi_axis roi_axis(const struct roi_align_desc *d, real lo, real hi, real scale)
{
    const real shift = d->aligned ? (real)0.5 : 0;
    real size = hi * scale - lo * scale;

    if (!d->aligned && size < 1) {
        size = 1;
    }
    return (struct roi_axis){lo * scale - shift, size / (real)(d->size * d->sampling)};
}

struct roi_tap roi_tap(real at, int n)
{
    struct roi_tap tap = {.inside = at >= -1 && at <= (real)n};

    if (!tap.inside) {
        return tap;
    }
    const real v = at > 0 ? at : 0;
    tap.a = (int)v;
    if (tap.a >= n - 1) {
        tap.a = tap.b = n - 1;
        return tap;
    }
    tap.b = tap.a + 1;
    tap.t = v - (real)tap.a;
    return tap;
}
