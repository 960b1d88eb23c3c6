/*
 * proposal.c - what the region proposal network found, as boxes: the best anchors of each level,
 * moved, cut off at the picture's edge, and thinned out (Ren et al. 2015, 3.1; docs/mask-rcnn.md).
 *
 * Nothing but the best `before` scores is sorted. Thinning compares a box with those that stand,
 * eight at a time and without a branch, which the compiler turns into vectors.
 */
#include "box.h"
#include "coder.h"
#include "pick.h"
#include "roi_part.h"

/* The log of a box's side over its anchor's is cut off at that of 1000 / 16, as detectron2 does. */
static const real most_growth = (real)4.135166556742356;

struct box roi_extent(const real *parts, int width, int height)
{
    const real w = (real)width, h = (real)height;

    if (parts != NULL && parts[2] > parts[0] && parts[3] > parts[1]) {
        const struct box b = {parts[0] * w, parts[1] * h, parts[2] * w, parts[3] * h};
        return box_clip(b, w, h);
    }
    return (struct box){0, 0, w, h};
}

/* NaN becomes lo. */
static real between(real v, real lo, real hi)
{
    if (!(v > lo)) {
        return lo;
    }
    return v < hi ? v : hi;
}

struct box roi_move(const struct box *from, const real t[4], const real variance[4],
                    const struct box *extent)
{
    const real most_w = most_growth / variance[2], most_h = most_growth / variance[3];
    const real s[4] = {t[0], t[1], t[2] > most_w ? most_w : t[2], t[3] > most_h ? most_h : t[3]};
    const struct box b = box_decode(from, s, variance);

    return (struct box){
        between(b.x0, extent->x0, extent->x1), between(b.y0, extent->y0, extent->y1),
        between(b.x1, extent->x0, extent->x1), between(b.y1, extent->y0, extent->y1)};
}

/* Boxes that stand, by side. */
enum { STRIDE = 8 };
struct standing {
    real *x0, *y0, *x1, *y1, *area; /* [a multiple of STRIDE] */
    int n;
};

/* Whether b overlaps one of eight by more than iou. */
static bool overlaps_some(const struct standing *s, int at, const struct box *b, real area,
                          real iou)
{
    int any = 0;

    for (int i = at; i < at + STRIDE; i++) {
        const real x0 = s->x0[i] > b->x0 ? s->x0[i] : b->x0;
        const real y0 = s->y0[i] > b->y0 ? s->y0[i] : b->y0;
        const real x1 = s->x1[i] < b->x1 ? s->x1[i] : b->x1;
        const real y1 = s->y1[i] < b->y1 ? s->y1[i] : b->y1;
        const real w = x1 > x0 ? x1 - x0 : 0, h = y1 > y0 ? y1 - y0 : 0;
        any |= w * h > iou * (area + s->area[i] - w * h);
    }
    return any != 0;
}

static bool overlaps(const struct standing *s, const struct box *b, real iou)
{
    const real area = box_area(b);

    for (int i = 0; i < s->n; i += STRIDE) {
        if (overlaps_some(s, i, b, area, iou)) {
            return true;
        }
    }
    return false;
}

static void stand(struct standing *s, const struct box *b)
{
    const int i = s->n++;

    if (i % STRIDE == 0) { /* the rest of the eight: boxes of no area, which overlap nothing */
        for (int k = i; k < i + STRIDE; k++) {
            s->x0[k] = s->y0[k] = s->x1[k] = s->y1[k] = s->area[k] = 0;
        }
    }
    s->x0[i] = b->x0;
    s->y0[i] = b->y0;
    s->x1[i] = b->x1;
    s->y1[i] = b->y1;
    s->area[i] = box_area(b);
}

static int first_of(const struct anchors *a, int level)
{
    return level > 0 ? a->end[level - 1] : 0;
}

int proposal_room(const struct proposal_desc *d, int level)
{
    const int anchors = d->anchors.end[level] - first_of(&d->anchors, level);
    const int most = d->before < d->after ? d->before : d->after;

    return anchors < most ? anchors : most;
}

static size_t standing_rows(const struct proposal_desc *d)
{
    return ((size_t)d->after + STRIDE - 1) / STRIDE * STRIDE;
}

size_t proposal_scratch_bytes(const struct proposal_desc *d)
{
    return (size_t)d->before * sizeof(struct pick) + 5 * standing_rows(d) * sizeof(real);
}

static struct standing standing_at(const struct proposal_desc *d, real *memory)
{
    const size_t n = standing_rows(d);

    return (struct standing){memory, memory + n, memory + 2 * n, memory + 3 * n, memory + 4 * n, 0};
}

void proposal_level(const struct proposal_desc *d, int level, const struct proposal_input *in,
                    struct proposals *out, void *scratch)
{
    static const real one[4] = {1, 1, 1, 1};
    struct picks best = {.v = scratch, .most = d->before};
    struct standing s = standing_at(d, (real *)(void *)(best.v + d->before));
    const int room = proposal_room(d, level);

    for (int i = first_of(&d->anchors, level); i < d->anchors.end[level]; i++) {
        const real x = in->logits[i];
        const uint64_t key = pick_key((double)x);
        if (!picks_refuse(&best, key) && x == x) { /* no NaN */
            picks_offer(&best, key, i);
        }
    }
    picks_sort(&best);
    out->n = 0;
    for (int k = 0; k < best.n && out->n < room; k++) {
        const int i = best.v[k].index;
        const struct box b =
            roi_move(&d->anchors.box[i], in->deltas + (size_t)i * 4, one, &in->extent);
        const bool large = b.x1 - b.x0 > 0 && b.x1 - b.x0 >= d->min_side && b.y1 - b.y0 > 0 &&
                           b.y1 - b.y0 >= d->min_side;
        if (large && !overlaps(&s, &b, d->iou)) {
            stand(&s, &b);
            out->box[out->n] = b;
            out->score[out->n++] = in->logits[i];
        }
    }
}

int proposal_rooms(const struct proposal_desc *d)
{
    int sum = 0;

    for (int i = 0; i < d->anchors.n_levels; i++) {
        sum += proposal_room(d, i);
    }
    return sum;
}

size_t proposal_merge_scratch_bytes(const struct proposal_desc *d)
{
    return (size_t)d->keep * sizeof(struct pick);
}

/* Of pictures from..to - 1. An index is picture and level, times `after`, plus place. */
static void offer_all(const struct proposal_desc *d, const struct proposals *list, int from, int to,
                      struct picks *best)
{
    const int levels = d->anchors.n_levels;

    for (int i = from * levels; i < to * levels; i++) {
        for (int k = 0; k < list[i].n; k++) {
            picks_offer(best, pick_key((double)list[i].score[k]), i * d->after + k);
        }
    }
    picks_sort(best);
}

/* A probability, but never the 0 that ends a list. */
static real score_of(real logit)
{
    const real p = 1 / (1 + exp(-logit));

    return p > (real)1e-30 ? p : (real)1e-30;
}

/* The rows of one picture from the best of all, which may hold those of others too. */
static void write_rows(const struct proposal_desc *d, const struct proposals *list, int image,
                       const struct picks *best, real *rois)
{
    const int levels = d->anchors.n_levels;
    int n = 0;

    for (int i = 0; i < best->n; i++) {
        const int from = best->v[i].index / d->after, k = best->v[i].index % d->after;
        if (from / levels == image) {
            const struct box *b = &list[from].box[k];
            const real row[ROI_ROW] = {b->x0, b->y0, b->x1, b->y1, score_of(list[from].score[k])};
            memcpy(rois + (size_t)n++ * ROI_ROW, row, sizeof row);
        }
    }
    memset(rois + (size_t)n * ROI_ROW, 0, (size_t)(d->keep - n) * ROI_ROW * sizeof *rois);
}

void proposal_merge(const struct proposal_desc *d, const struct proposals *list, int images,
                    real *rois, void *scratch)
{
    const int together = d->per_batch ? images : 1;

    for (int from = 0; from < images; from += together) {
        struct picks best = {.v = scratch, .most = d->keep};
        offer_all(d, list, from, from + together, &best);
        for (int i = from; i < from + together; i++) {
            write_rows(d, list, i, &best, rois + (size_t)i * (size_t)d->keep * ROI_ROW);
        }
    }
}
