/*
 * nms_soft.c - linear soft-NMS (Bodla et al. 2017, Eq. 3) on what the greedy thinning left: classes
 * are runs of the sorted list that are thinned in place.
 */
#include "nms_soft.h"

#include "box.h"

#include <stdlib.h>
#include <string.h>

static bool better(const struct nms_entry *a, const struct nms_entry *b)
{
    if (a->d.score != b->d.score) {
        return a->d.score > b->d.score;
    }
    return a->box != b->box ? a->box < b->box : a->d.class_id < b->d.class_id;
}

static int compare_score(const void *a, const void *b)
{
    return better(a, b) ? -1 : better(b, a);
}

static int compare_class(const void *va, const void *vb)
{
    const struct nms_entry *a = va, *b = vb;

    if (a->d.class_id != b->d.class_id) {
        return a->d.class_id < b->d.class_id ? -1 : 1;
    }
    return compare_score(va, vb);
}

static void swap(struct nms_entry *a, struct nms_entry *b)
{
    const struct nms_entry t = *a;

    *a = *b;
    *b = t;
}

/* Lowers the scores of v[from..n-1] by their overlap with the box before them; those that fall
 * under min_score are dropped. Returns the new n. */
static int decay(struct nms_entry *v, int from, int n, const struct nms_desc *d)
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
static int thin_class(struct nms_entry *v, int n, const struct nms_desc *d)
{
    for (int i = 0; i < n; i++) {
        int best = i;
        for (int k = i + 1; k < n; k++) {
            best = better(&v[k], &v[best]) ? k : best;
        }
        swap(&v[i], &v[best]);
        n = decay(v, i + 1, n, d);
    }
    return n;
}

/* Where the run of v[from]'s class ends. */
static int class_end(const struct nms_entry *v, int from, int n)
{
    int end = from;

    while (end < n && v[end].d.class_id == v[from].d.class_id) {
        end++;
    }
    return end;
}

int nms_thin_soft(struct nms_entry *v, int n, const struct nms_desc *d)
{
    int kept = 0;

    qsort(v, (size_t)n, sizeof *v, compare_class);
    for (int i = 0; i < n;) {
        const int end = class_end(v, i, n), m = thin_class(v + i, end - i, d);
        memmove(v + kept, v + i, (size_t)m * sizeof *v);
        kept += m;
        i = end;
    }
    qsort(v, (size_t)kept, sizeof *v, compare_score);
    return kept;
}
