/*
 * nms.c - non-maximum suppression by class. Detections are sorted by class, then score; each
 * class is a run that is thinned in place; the rest is sorted by score.
 */
#include "nms.h"

#include "base/mem.h"
#include "box.h"

#include <stdlib.h>
#include <string.h>

/* A detection with the place where it stood, which breaks ties. */
struct entry {
    struct detection d;
    int order;
};

static int by_score(const struct entry *a, const struct entry *b)
{
    if (a->d.score != b->d.score) {
        return a->d.score > b->d.score ? -1 : 1;
    }
    return (a->order > b->order) - (a->order < b->order);
}

static int compare_score(const void *a, const void *b)
{
    return by_score(a, b);
}

static int compare_class(const void *va, const void *vb)
{
    const struct entry *a = va, *b = vb;

    if (a->d.class_id != b->d.class_id) {
        return a->d.class_id < b->d.class_id ? -1 : 1;
    }
    return by_score(a, b);
}

/* One class, sorted by score: moves what stays to the front and says how many. */
static int thin_greedy(struct entry *v, int n, real iou)
{
    int kept = 0;

    for (int i = 0; i < n; i++) {
        bool stays = true;
        for (int k = 0; k < kept && stays; k++) {
            stays = !(box_iou(&v[k].d.box, &v[i].d.box) > iou);
        }
        if (stays) {
            v[kept++] = v[i];
        }
    }
    return kept;
}

static void swap(struct entry *a, struct entry *b)
{
    const struct entry t = *a;

    *a = *b;
    *b = t;
}

/* Lowers the scores of v[from..n-1] by their overlap with the box before them; those that fall
 * under min_score are dropped. Returns the new n. */
static int decay(struct entry *v, int from, int n, const struct nms_desc *d)
{
    for (int i = from; i < n;) {
        const real overlap = box_iou(&v[from - 1].d.box, &v[i].d.box);

        if (overlap > d->soft) {
            v[i].d.score *= 1 - overlap;
        }
        if (v[i].d.score < d->min_score) {
            swap(&v[i], &v[--n]);
        } else {
            i++;
        }
    }
    return n;
}

/* One class: the best of the rest is fixed, the others decay, and so on. */
static int thin_soft(struct entry *v, int n, const struct nms_desc *d)
{
    for (int i = 0; i < n; i++) {
        int best = i;
        for (int k = i + 1; k < n; k++) {
            best = by_score(&v[k], &v[best]) < 0 ? k : best;
        }
        swap(&v[i], &v[best]);
        n = decay(v, i + 1, n, d);
    }
    return n;
}

/* Where the run of v[from]'s class ends. */
static int class_end(const struct entry *v, int from, int n)
{
    int end = from;

    while (end < n && v[end].d.class_id == v[from].d.class_id) {
        end++;
    }
    return end;
}

/* Thins every class of v, sorted by class; what stays moves to the front. */
static int thin_all(struct entry *v, int n, const struct nms_desc *d, bool soft)
{
    int kept = 0;

    qsort(v, (size_t)n, sizeof *v, compare_class);
    for (int i = 0; i < n;) {
        const int end = class_end(v, i, n);
        int m = d->top_k > 0 && d->top_k < end - i ? d->top_k : end - i;

        m = soft ? thin_soft(v + i, m, d) : thin_greedy(v + i, m, d->iou);
        memmove(v + kept, v + i, (size_t)m * sizeof *v);
        kept += m;
        i = end;
    }
    qsort(v, (size_t)kept, sizeof *v, compare_score);
    return kept;
}

enum vov_status nms_by_class(struct det_list *l, const struct nms_desc *d, struct err *err)
{
    if (l->n == 0) {
        return VOV_OK;
    }
    struct entry *v = mem_alloc((size_t)l->n, sizeof *v);
    if (!v) {
        return err_nomem(err, (size_t)l->n * sizeof *v);
    }
    for (int i = 0; i < l->n; i++) {
        v[i] = (struct entry){l->v[i], i};
    }
    int n = thin_all(v, l->n, d, false);
    n = d->keep > 0 && d->keep < n ? d->keep : n;
    if (d->soft > 0) {
        n = thin_all(v, n, d, true);
    }
    for (int i = 0; i < n; i++) {
        l->v[i] = v[i].d;
    }
    l->n = n;
    mem_free(v);
    return VOV_OK;
}
