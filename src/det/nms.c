/*
 * nms.c - non-maximum suppression by class.
 *
 * Each class has a bin. When it holds twice as many scores as may take part (top_k), the better
 * half stays (quickselect, Hoare 1961), and the worst of that is what later ones must beat: n
 * scores cost O(n), and most of them one comparison.
 *
 * The greedy thinning takes scores of all classes from the best on, holds each box against the kept
 * ones of its class, and ends when `keep` are kept: what comes later changes nothing before it. So
 * the scores need not be sorted, but only batch by batch as they are wanted.
 */
#include "nms.h"

#include "base/mem.h"
#include "box.h"
#include "nms_soft.h"

#include <limits.h>
#include <stdlib.h>

struct score {
    real score;
    int box, class_id;
};

/* A class: at most 2*top_k scores, unless all may take part. */
struct bin {
    struct score *v;
    int n, cap;
    struct score worst; /* of the best top_k, when `cut` */
    bool cut;

    int n_seen; /* by the greedy thinning, best first */
    struct box *kept;
    int n_kept, kept_cap;
};

struct nms {
    struct nms_desc d;
    const struct box *boxes;
    struct bin *bins; /* [classes], as floors */
    real *floors;
    int classes;
    struct nms_work work;
};

void nms_close(struct nms *nms)
{
    if (!nms) {
        return;
    }
    for (int c = 0; c < nms->classes; c++) {
        mem_free(nms->bins[c].v);
        mem_free(nms->bins[c].kept);
    }
    mem_free(nms->bins);
    mem_free(nms->floors);
    mem_free(nms);
}

enum vov_status nms_open(const struct nms_desc *d, int classes, const struct box *boxes,
                         struct nms **nms, struct err *err)
{
    struct nms *m = mem_alloc(1, sizeof *m);

    *nms = m;
    if (m) {
        *m = (struct nms){.d = *d,
                          .boxes = boxes,
                          .bins = mem_alloc((size_t)classes, sizeof *m->bins),
                          .floors = mem_alloc((size_t)classes, sizeof *m->floors)};
    }
    if (!m || !m->bins || !m->floors) {
        nms_close(m);
        *nms = NULL;
        return err_nomem(err, (size_t)classes * sizeof *m->bins);
    }
    m->classes = classes;
    return VOV_OK;
}

/* Without a branch, as no processor could foretell it. */
static inline bool better(const struct score *a, const struct score *b)
{
    const bool tie = a->score == b->score, before = a->box < b->box;
    const bool same_box = a->box == b->box, smaller = a->class_id < b->class_id;

    return (a->score > b->score) | (tie & (before | (same_box & smaller)));
}

static int compare(const void *a, const void *b)
{
    return better(a, b) ? -1 : better(b, a);
}

static void swap(struct score *a, struct score *b)
{
    const struct score t = *a;

    *a = *b;
    *b = t;
}

/* The middle one of the first, the middle and the last goes to v[0]. */
static void pivot_first(struct score *v, int n)
{
    struct score *a = v, *b = v + n / 2, *c = v + n - 1;
    const bool ab = better(a, b), bc = better(b, c), ac = better(a, c);

    swap(v, ab == bc ? b : ab == ac ? c : a);
}

/* Moves what is better than v[0] before it; returns where v[0] is then. */
static int partition(struct score *v, int n)
{
    const struct score pivot = v[0];
    int last = 0;

    for (int i = 1; i < n; i++) {
        const struct score e = v[i];
        v[i] = v[last + 1];
        v[last + 1] = e;
        last += better(&e, &pivot);
    }
    swap(&v[0], &v[last]);
    return last;
}

/* The best k of v come first, in any order; v[k-1] is the worst of them. 0 < k <= n. */
static void best_first(struct score *v, int n, int k)
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

/* Leaves the best top_k of a full bin. */
static void cut_bin(struct nms *nms, int class_id)
{
    struct bin *b = &nms->bins[class_id];
    const int top_k = nms->d.top_k;

    best_first(b->v, b->n, top_k);
    b->n = top_k;
    b->worst = b->v[top_k - 1];
    b->cut = true;
    nms->floors[class_id] = b->worst.score;
}

bool nms_add(struct nms *nms, int box, int class_id, real score)
{
    struct bin *b = &nms->bins[class_id];
    const struct score e = {score, box, class_id};

    if (b->cut && !better(&e, &b->worst)) {
        return true;
    }
    if (nms->d.top_k > 0 && b->n / 2 >= nms->d.top_k) {
        cut_bin(nms, class_id);
    }
    if (!VEC_GROW(b->v, b->n, b->cap)) {
        return false;
    }
    b->v[b->n++] = e;
    return true;
}

const real *nms_floors(const struct nms *nms)
{
    return nms->floors;
}

struct nms_work nms_work(const struct nms *nms)
{
    return nms->work;
}

static bool stays(struct nms *nms, const struct score *s)
{
    struct bin *b = &nms->bins[s->class_id];
    const struct box *box = &nms->boxes[s->box];

    if (nms->d.top_k > 0 && b->n_seen++ >= nms->d.top_k) {
        return false;
    }
    nms->work.looked_at++;
    for (int i = 0; i < b->n_kept; i++) {
        nms->work.overlaps++;
        if (box_iou(&b->kept[i], box) > nms->d.iou) {
            return false;
        }
    }
    return true;
}

static bool keep(struct nms *nms, const struct score *s)
{
    struct bin *b = &nms->bins[s->class_id];

    if (!VEC_GROW(b->kept, b->n_kept, b->kept_cap)) {
        return false;
    }
    b->kept[b->n_kept++] = nms->boxes[s->box];
    return true;
}

/* Moves the best of v that overlap no better one to its front, `most` of them; returns how many, or
 * -1 when memory ran out. */
static int thin_greedy(struct nms *nms, struct score *v, int n, int most)
{
    int n_kept = 0;

    for (int from = 0, batch = 0; from < n && n_kept < most; from += batch) {
        batch = n - from <= most || from > n / 2 ? n - from : most > from ? most : from;
        best_first(v + from, n - from, batch);
        qsort(v + from, (size_t)batch, sizeof *v, compare);
        for (int i = from; i < from + batch && n_kept < most; i++) {
            if (!stays(nms, &v[i])) {
                continue;
            }
            if (!keep(nms, &v[i])) {
                return -1;
            }
            v[n_kept++] = v[i];
        }
    }
    return n_kept;
}

/* The first n of `kept` at the end of l. */
static enum vov_status hand_over(const struct nms *nms, const struct score *kept, int n,
                                 struct det_list *l, struct err *err)
{
    struct nms_entry *v = mem_alloc((size_t)n, sizeof *v);
    const int before = l->n;

    if (!v) {
        return err_nomem(err, (size_t)n * sizeof *v);
    }
    for (int i = 0; i < n; i++) {
        const struct score s = kept[i];
        v[i] = (struct nms_entry){{nms->boxes[s.box], s.score, s.class_id, 0}, s.box};
    }
    if (nms->d.soft > 0) {
        n = nms_thin_soft(v, n, &nms->d);
    }
    for (int i = 0; i < n; i++) {
        if (!det_add(l, v[i].d)) {
            l->n = before;
            mem_free(v);
            return err_nomem(err, sizeof(struct detection));
        }
    }
    mem_free(v);
    return VOV_OK;
}

/* All bins' scores in a row, which has room for them. */
static void gather(const struct nms *nms, struct score *all)
{
    for (int c = 0; c < nms->classes; c++) {
        const struct bin *b = &nms->bins[c];
        for (int i = 0; i < b->n; i++) {
            *all++ = b->v[i];
        }
    }
}

enum vov_status nms_finish(struct nms *nms, struct det_list *l, struct err *err)
{
    size_t total = 0;

    for (int c = 0; c < nms->classes; c++) {
        total += (size_t)nms->bins[c].n;
    }
    const int most = nms->d.keep > 0 && (size_t)nms->d.keep < total ? nms->d.keep : (int)total;
    struct score *all = total > INT_MAX ? NULL : mem_alloc(total, sizeof *all);
    if (!all) {
        return err_nomem(err, total * sizeof *all);
    }
    gather(nms, all);
    const int n = thin_greedy(nms, all, (int)total, most);
    const enum vov_status status =
        n < 0 ? err_nomem(err, sizeof(struct box)) : hand_over(nms, all, n, l, err);
    mem_free(all);
    return status;
}

static enum vov_status thin_list(const struct det_list *l, struct nms *nms, struct det_list *out,
                                 struct err *err)
{
    for (int i = 0; i < l->n; i++) {
        if (!nms_add(nms, i, l->v[i].class_id, l->v[i].score)) {
            return err_nomem(err, sizeof(struct score));
        }
    }
    return nms_finish(nms, out, err);
}

enum vov_status nms_by_class(struct det_list *l, const struct nms_desc *d, struct err *err)
{
    struct box *boxes = mem_alloc((size_t)l->n, sizeof *boxes);
    struct det_list out = {0};
    struct nms *nms = NULL;
    int most = 0;

    if (!boxes) {
        return err_nomem(err, (size_t)l->n * sizeof *boxes);
    }
    for (int i = 0; i < l->n; i++) {
        boxes[i] = l->v[i].box;
        most = l->v[i].class_id > most ? l->v[i].class_id : most;
    }
    enum vov_status status = nms_open(d, most + 1, boxes, &nms, err);
    if (status == VOV_OK) {
        status = thin_list(l, nms, &out, err);
    }
    if (status == VOV_OK) {
        det_free(l);
        *l = out;
    } else {
        det_free(&out);
    }
    nms_close(nms);
    mem_free(boxes);
    return status;
}
