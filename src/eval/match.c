/*
 * match.c - greedy by score: each detection takes the truth of the largest overlap that is still
 * free; a truth to be ignored (a crowd, or one of another size class) only when no other is left,
 * and a crowd is never used up. What took an ignored truth is ignored, and so is what took none and
 * is itself of another size class.
 */
#include "match.h"

#include "base/mem.h"

static const double area_from[COCO_AREAS] = {0, 0, 32 * 32, 96 * 96};
static const double area_to[COCO_AREAS] = {1e10, 32 * 32, 96 * 96, 1e10};

void matcher_init(struct matcher *m)
{
    *m = (struct matcher){0};
    for (int i = 0; i < COCO_IOUS; i++) {
        m->iou[i] = i < COCO_IOUS - 1 ? i * ((0.95 - 0.5) / (COCO_IOUS - 1)) + 0.5 : 0.95;
    }
}

void matcher_free(struct matcher *m)
{
    mem_free(m->table);
    mem_free(m->order);
    mem_free(m->ignore);
    mem_free(m->taken);
}

static enum vov_status reserve(struct matcher *m, int n_truth, int n_found, struct err *err)
{
    const size_t n = (size_t)n_truth, cells = n * (size_t)n_found;

    if (cells > m->table_cap) {
        double *table = mem_resize(m->table, cells, sizeof *table);
        if (!table) {
            return err_nomem(err, cells * sizeof *table);
        }
        m->table = table;
        m->table_cap = cells;
    }
    if (n_truth > m->truth_cap) {
        matcher_free(&(struct matcher){.order = m->order, .ignore = m->ignore, .taken = m->taken});
        m->order = mem_alloc(n, sizeof *m->order);
        m->ignore = mem_alloc(n, sizeof *m->ignore);
        m->taken = mem_alloc(n, sizeof *m->taken);
        m->truth_cap = n_truth;
        if (!m->order || !m->ignore || !m->taken) {
            m->truth_cap = 0;
            return err_nomem(err, n * sizeof *m->order);
        }
    }
    return VOV_OK;
}

static bool outside(double area, int size)
{
    return area < area_from[size] || area > area_to[size];
}

/* Fills order[] and ignore[] for a size class; how many are to be found. */
static int sort_truth(struct matcher *m, const struct pair_truth *truth, int n, int size)
{
    int wanted = 0, at = 0;

    for (int i = 0; i < n; i++) {
        m->ignore[i] = truth[i].crowd || outside(truth[i].area, size);
        wanted += !m->ignore[i];
    }
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < n; i++) {
            if (m->ignore[i] == (pass == 1)) {
                m->order[at++] = i;
            }
        }
    }
    return wanted;
}

/* The truth for one detection with these overlaps, or -1. */
static int choose(const struct matcher *m, const struct pair_picture *p, const double *row,
                  double threshold)
{
    double best = threshold < 1 - 1e-10 ? threshold : 1 - 1e-10;
    int chosen = -1;

    for (int k = 0; k < p->n_truth; k++) {
        const int i = m->order[k];
        if (m->taken[i] && !p->truth[i].crowd) {
            continue;
        }
        if (chosen >= 0 && !m->ignore[chosen] && m->ignore[i]) {
            break;
        }
        if (row[i] >= best) {
            best = row[i];
            chosen = i;
        }
    }
    return chosen;
}

static void pair_at(struct matcher *m, const struct pair_picture *p, int size, int threshold,
                    struct verdict *v)
{
    const uint16_t bit = (uint16_t)(1u << threshold);

    for (int i = 0; i < p->n_truth; i++) {
        m->taken[i] = false;
    }
    for (int d = 0; d < p->n_found; d++) {
        const double *row = m->table + (size_t)d * (size_t)p->n_truth;
        const int i = choose(m, p, row, m->iou[threshold]);
        if (i >= 0) {
            m->taken[i] = true;
            v[d].hit[size] |= bit;
        }
        if (i >= 0 ? m->ignore[i] : outside(p->found[d].area, size)) {
            v[d].ignored[size] |= bit;
        }
    }
}

/* Of masks, or of a mask and one that its file gives in another size than the picture has. */
static double mask_iou(const struct pair_found *d, const struct pair_truth *t)
{
    const bool one_size = d->mask->h == t->mask->h && d->mask->w == t->mask->w;

    return one_size ? rle_iou(d->mask, t->mask, t->crowd) : 0;
}

static void fill_table(struct matcher *m, bool segm, const struct pair_picture *p)
{
    double *cell = m->table;

    for (int d = 0; d < p->n_found; d++) {
        for (int i = 0; i < p->n_truth; i++) {
            const struct pair_truth *t = &p->truth[i];
            const double box = box_iou_xywh(p->found[d].box, t->box, t->crowd);
            *cell++ = segm && box > 0 ? mask_iou(&p->found[d], t) : box;
        }
    }
}

/* Where the picture's verdicts begin, NULL: no memory. */
static struct verdict *add_verdicts(struct tally *t, const struct pair_found *found, int n)
{
    for (int d = 0; d < n; d++) {
        if (!VEC_GROW(t->v, t->n, t->cap)) {
            return NULL;
        }
        t->v[t->n++] = (struct verdict){.score = found[d].score, .rank = d};
    }
    return t->v + t->n - n;
}

enum vov_status matcher_add(struct matcher *m, bool segm, const struct pair_picture *p,
                            struct tally *t, struct err *err)
{
    struct verdict *v = NULL;

    TRY(reserve(m, p->n_truth, p->n_found, err));
    fill_table(m, segm, p);
    if (p->n_found > 0) {
        v = add_verdicts(t, p->found, p->n_found);
        if (!v) {
            return err_nomem(err, (size_t)t->cap * 2 * sizeof *t->v);
        }
    }
    for (int size = 0; size < COCO_AREAS; size++) {
        t->wanted[size] += sort_truth(m, p->truth, p->n_truth, size);
        for (int k = 0; v && k < COCO_IOUS; k++) {
            pair_at(m, p, size, k, v);
        }
    }
    return VOV_OK;
}
