/*
 * nms.c - non-maximum suppression by class.
 *
 * The greedy thinning takes scores of all classes from the best on, holds each box against the kept
 * ones of its class, and ends when `keep` are kept: what comes later changes nothing before it. So
 * the scores need not be sorted, but only batch by batch as they are wanted: the best of the rest
 * are brought to the front by quickselect (Hoare 1961), without a branch, as no processor could
 * foretell it.
 */
#include "nms.h"

#include "box.h"

#include <stdlib.h>

enum { NONE = -1 };

struct class_state {
    int n_seen;    /* best first */
    int last_kept; /* NONE: none is */
};

struct kept {
    struct box box;
    int before; /* of the same class */
};

struct thinning {
    const struct nms_desc *d;
    const struct nms_input *in;
    struct class_state *of_class; /* [classes] */
    struct kept *kept;            /* [keep] */
    int n_kept;
    struct nms_work work;
};

size_t nms_bytes(const struct nms_desc *d)
{
    return (size_t)d->keep * sizeof(struct kept) + (size_t)d->classes * sizeof(struct class_state);
}

static int falling(const void *va, const void *vb)
{
    const uint64_t a = *(const uint64_t *)va, b = *(const uint64_t *)vb;

    return (a < b) - (a > b);
}

static void swap(uint64_t *a, uint64_t *b)
{
    const uint64_t t = *a;

    *a = *b;
    *b = t;
}

/* The middle one of the first, the middle and the last goes to v[0]. */
static void pivot_first(uint64_t *v, int n)
{
    uint64_t *a = v, *b = v + n / 2, *c = v + n - 1;
    const bool ab = *a > *b, bc = *b > *c, ac = *a > *c;

    swap(v, ab == bc ? b : ab == ac ? c : a);
}

/* Moves what is larger than v[0] before it; returns where v[0] is then. */
static int partition(uint64_t *v, int n)
{
    const uint64_t pivot = v[0];
    int last = 0;

    for (int i = 1; i < n; i++) {
        const uint64_t e = v[i];
        v[i] = v[last + 1];
        v[last + 1] = e;
        last += e > pivot;
    }
    swap(&v[0], &v[last]);
    return last;
}

/* The largest k of v come first, in any order. 0 < k <= n. */
static void largest_first(uint64_t *v, int n, int k)
{
    while (n > 1) {
        pivot_first(v, n);
        const int at = partition(v, n);
        if (at == k - 1) {
            return;
        }
        if (at > k - 1) {
            n = at;
        } else {
            v += at + 1;
            n -= at + 1;
            k -= at + 1;
        }
    }
}

static bool stays(struct thinning *t, const struct box *box, struct class_state *c)
{
    if (c->n_seen++ >= t->d->top_k) {
        return false;
    }
    t->work.looked_at++;
    for (int i = c->last_kept; i != NONE; i = t->kept[i].before) {
        t->work.overlaps++;
        if (box_iou(&t->kept[i].box, box) > t->d->iou) {
            return false;
        }
    }
    return true;
}

static void look_at(struct thinning *t, uint64_t key, real *found)
{
    const uint32_t place = UINT32_MAX - (uint32_t)key, bits = (uint32_t)(key >> 32);
    const int class_id = (int)(place % (uint32_t)t->d->classes);
    const struct box *b = &t->in->box[place / (uint32_t)t->d->classes];
    struct class_state *c = &t->of_class[class_id];
    float score;

    if (!stays(t, b, c)) {
        return;
    }
    memcpy(&score, &bits, sizeof score);
    memcpy(found + (size_t)t->n_kept * FOUND_ROW,
           (const real[FOUND_ROW]){b->x0, b->y0, b->x1, b->y1, (real)score, (real)class_id},
           FOUND_ROW * sizeof *found);
    t->kept[t->n_kept] = (struct kept){*b, c->last_kept};
    c->last_kept = t->n_kept++;
}

int nms_thin(const struct nms_desc *d, const struct nms_input *in, real *found, void *memory)
{
    struct thinning t = {.d = d, .in = in, .kept = memory};
    const int n = in->n, keep = d->keep;

    t.of_class = (struct class_state *)(void *)(t.kept + keep);
    for (int c = 0; c < d->classes; c++) {
        t.of_class[c] = (struct class_state){0, NONE};
    }
    for (int from = 0, batch = 0; from < n && t.n_kept < keep; from += batch) {
        uint64_t *v = in->key + from;
        batch = n - from <= keep || from > n / 2 ? n - from : keep > from ? keep : from;
        largest_first(v, n - from, batch);
        qsort(v, (size_t)batch, sizeof *v, falling);
        for (int i = 0; i < batch && t.n_kept < keep; i++) {
            look_at(&t, v[i], found);
        }
    }
    if (in->work != NULL) {
        in->work->overlaps += t.work.overlaps;
        in->work->looked_at += t.work.looked_at;
    }
    return t.n_kept;
}
