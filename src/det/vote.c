/*
 * vote.c - see vote.h. Detections are sorted by class and score; of each class the best one left
 * gathers the votes, and all that voted are taken away.
 */
#include "vote.h"

#include "base/mem.h"
#include "box.h"

#include <stdlib.h>

struct entry {
    struct detection d;
    int at; /* in the list, which breaks ties */
};

static int compare_score(const void *va, const void *vb)
{
    const struct entry *a = va, *b = vb;

    if (a->d.score != b->d.score) {
        return a->d.score > b->d.score ? -1 : 1;
    }
    if (a->d.class_id != b->d.class_id) {
        return a->d.class_id < b->d.class_id ? -1 : 1;
    }
    return a->at < b->at ? -1 : a->at > b->at;
}

static int compare_class(const void *va, const void *vb)
{
    const struct entry *a = va, *b = vb;

    if (a->d.class_id != b->d.class_id) {
        return a->d.class_id < b->d.class_id ? -1 : 1;
    }
    return compare_score(va, vb);
}

/* Sums of sides times scores, and of scores. */
struct ballot {
    double x0, y0, x1, y1, score;
    int n;
};

static void cast(struct ballot *b, const struct detection *d)
{
    const double s = (double)d->score;

    b->x0 += s * (double)d->box.x0;
    b->y0 += s * (double)d->box.y0;
    b->x1 += s * (double)d->box.x1;
    b->y1 += s * (double)d->box.y1;
    b->score += s;
    b->n++;
}

static struct box mean(const struct ballot *b)
{
    return (struct box){(real)(b->x0 / b->score), (real)(b->y0 / b->score),
                        (real)(b->x1 / b->score), (real)(b->y1 / b->score)};
}

/* One object: v[0], which no other of the n entries of its class is better than. What it was made
 * of goes to `out`, the others stay in v, in their order; *left is how many. False: no memory. */
static bool one_object(struct entry *v, int n, const struct vote_desc *d, struct det_list *out,
                       int *left)
{
    struct detection best = v[0].d;
    struct ballot ballot = {0};

    *left = 0;
    cast(&ballot, &best);
    for (int i = 1; i < n; i++) {
        const real overlap = box_iou(&best.box, &v[i].d.box);
        struct detection voter = v[i].d;
        if (!(overlap >= d->iou)) {
            v[(*left)++] = v[i];
            continue;
        }
        cast(&ballot, &voter);
        voter.score *= 1 - overlap;
        if (voter.score >= d->min_score && !det_add(out, voter)) {
            return false;
        }
    }
    if (ballot.n > 1 && ballot.score > 0) {
        best.box = mean(&ballot);
    }
    return det_add(out, best);
}

/* One class, sorted. */
static bool one_class(struct entry *v, int n, const struct vote_desc *d, struct det_list *out)
{
    while (n > 0) {
        if (!one_object(v, n, d, out, &n)) {
            return false;
        }
    }
    return true;
}

static bool all_classes(struct entry *v, int n, const struct vote_desc *d, struct det_list *out)
{
    for (int i = 0, end = 0; i < n; i = end) {
        while (end < n && v[end].d.class_id == v[i].d.class_id) {
            end++;
        }
        if (!one_class(v + i, end - i, d, out)) {
            return false;
        }
    }
    return true;
}

/* v has room for them. */
static void sort(struct entry *v, struct det_list *l, int (*compare)(const void *, const void *))
{
    for (int i = 0; i < l->n; i++) {
        v[i] = (struct entry){l->v[i], i};
    }
    qsort(v, (size_t)l->n, sizeof *v, compare);
}

enum vov_status vote_by_class(struct det_list *l, const struct vote_desc *d, struct err *err)
{
    struct entry *v = mem_alloc((size_t)l->n, sizeof *v);
    struct det_list out = {0};

    if (v == NULL) {
        return err_nomem(err, (size_t)l->n * sizeof *v);
    }
    sort(v, l, compare_class);
    if (!all_classes(v, l->n, d, &out)) {
        mem_free(v);
        det_free(&out);
        return err_nomem(err, (size_t)l->n * sizeof *v);
    }
    sort(v, &out, compare_score); /* each box gave one detection at most */
    for (int i = 0; i < out.n; i++) {
        out.v[i] = v[i].d;
    }
    mem_free(v);
    det_free(l);
    *l = out;
    return VOV_OK;
}
