/*
 * nms_soft.c - linear soft-NMS (Bodla et al. 2017, Eq. 3) on what the greedy thinning left, class
 * by class, in place: the best of the rest is fixed, the others decay, and so on. A detection's
 * place in the list, which breaks ties, waits in `mask`: there are no masks yet.
 */
#include "box.h"
#include "nms.h"

#include <stdlib.h>
#include <string.h>

static bool better(const struct detection *a, const struct detection *b)
{
    return a->score != b->score ? a->score > b->score : a->mask < b->mask;
}

static int compare_score(const void *a, const void *b)
{
    return better(a, b) ? -1 : better(b, a);
}

static int compare_class(const void *va, const void *vb)
{
    const struct detection *a = va, *b = vb;

    if (a->class_id != b->class_id) {
        return a->class_id < b->class_id ? -1 : 1;
    }
    return compare_score(va, vb);
}

static void swap(struct detection *a, struct detection *b)
{
    const struct detection t = *a;

    *a = *b;
    *b = t;
}

struct softening {
    real from, min_score;
};

/* Lowers the scores of v[at..n-1] by their overlap with the box before them; those that fall under
 * min_score are dropped. Returns the new n. */
static int decay(const struct softening *s, struct detection *v, int at, int n)
{
    for (int i = at; i < n;) {
        const real overlap = box_iou(&v[at - 1].box, &v[i].box);

        if (overlap > s->from) {
            v[i].score *= 1 - overlap;
        }
        if (v[i].score < s->min_score) {
            swap(&v[i], &v[--n]);
        } else {
            i++;
        }
    }
    return n;
}

static int soften_class(const struct softening *s, struct detection *v, int n)
{
    for (int i = 0; i < n; i++) {
        int best = i;
        for (int k = i + 1; k < n; k++) {
            best = better(&v[k], &v[best]) ? k : best;
        }
        swap(&v[i], &v[best]);
        n = decay(s, v, i + 1, n);
    }
    return n;
}

/* Where the run of v[at]'s class ends. */
static int class_end(const struct detection *v, int at, int n)
{
    int end = at;

    while (end < n && v[end].class_id == v[at].class_id) {
        end++;
    }
    return end;
}

int nms_soften(struct detection *v, int n, real from, real min_score)
{
    const struct softening s = {from, min_score};
    int kept = 0;

    if (n == 0) {
        return 0; /* v may be NULL */
    }
    for (int i = 0; i < n; i++) {
        v[i].mask = i;
    }
    qsort(v, (size_t)n, sizeof *v, compare_class);
    for (int i = 0; i < n;) {
        const int end = class_end(v, i, n), m = soften_class(&s, v + i, end - i);
        memmove(v + kept, v + i, (size_t)m * sizeof *v);
        kept += m;
        i = end;
    }
    qsort(v, (size_t)kept, sizeof *v, compare_score);
    for (int i = 0; i < kept; i++) {
        v[i].mask = 0;
    }
    return kept;
}
