/*
 * precision.c - the precision-recall curve of one class, as COCO reads it: detections of all
 * pictures by falling score, precision made to fall with recall, and read at 101 recalls.
 */
#include "precision.h"

#include "base/mem.h"

#include <float.h>
#include <stdlib.h>

enum { AT_50 = 0, AT_75 = 5 };

/* Verdicts were added picture by picture; their place breaks ties. */
struct ranked {
    struct verdict v;
    int place;
};

static int compare(const void *va, const void *vb)
{
    const struct ranked *a = va, *b = vb;

    if (a->v.score != b->v.score) {
        return a->v.score > b->v.score ? -1 : 1;
    }
    return (a->place > b->place) - (a->place < b->place);
}

static enum vov_status sort_verdicts(struct tally *t, struct err *err)
{
    const size_t n = (size_t)t->n;
    struct ranked *r = mem_alloc(n, sizeof *r);

    if (!r) {
        return err_nomem(err, n * sizeof *r);
    }
    for (size_t i = 0; i < n; i++) {
        r[i] = (struct ranked){t->v[i], (int)i};
    }
    qsort(r, n, sizeof *r, compare);
    for (size_t i = 0; i < n; i++) {
        t->v[i] = r[i].v;
    }
    mem_free(r);
    return VOV_OK;
}

/* Precision at each of the 101 recalls for one size class and threshold; returns the mean. */
static double read_curve(const struct tally *t, int size, int threshold, double *curve,
                         double out[COCO_RECALLS])
{
    const double wanted = (double)t->wanted[size];
    double *recall = curve, *precision = curve + t->n;
    double right = 0, wrong = 0, sum = 0;

    for (int i = 0; i < t->n; i++) {
        const bool counts = !(t->v[i].ignored[size] >> threshold & 1);
        const bool hit = t->v[i].hit[size] >> threshold & 1;
        right += counts && hit;
        wrong += counts && !hit;
        recall[i] = right / wanted;
        precision[i] = right / (right + wrong + DBL_EPSILON);
    }
    for (int i = t->n - 2; i >= 0; i--) {
        precision[i] = precision[i] > precision[i + 1] ? precision[i] : precision[i + 1];
    }
    for (int k = 0, i = 0; k < COCO_RECALLS; k++) {
        const double at = k < COCO_RECALLS - 1 ? k * 0.01 : 1;
        while (i < t->n && recall[i] < at) {
            i++;
        }
        out[k] = i < t->n ? precision[i] : 0;
        sum += out[k];
    }
    return sum / COCO_RECALLS;
}

/* Mean over the thresholds of the share of truths found by the first `most` of each picture. */
static double mean_recall(const struct tally *t, int size, int most)
{
    double sum = 0;

    for (int i = 0; i < t->n; i++) {
        const struct verdict *v = &t->v[i];
        for (unsigned right = v->hit[size] & ~(unsigned)v->ignored[size]; right;
             right &= right - 1) {
            sum += v->rank < most;
        }
    }
    return sum / (double)t->wanted[size] / COCO_IOUS;
}

/* Average precision of one size class; by[] gets it for each threshold. */
static double mean_precision(const struct tally *t, int size, double *curve, double by[COCO_IOUS],
                             double first[COCO_RECALLS])
{
    double unused[COCO_RECALLS], sum = 0;

    for (int k = 0; k < COCO_IOUS; k++) {
        by[k] = read_curve(t, size, k, curve, k == AT_50 ? first : unused);
        sum += by[k];
    }
    return sum / COCO_IOUS;
}

static void clear(struct coco_class *c)
{
    *c = (struct coco_class){-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, {0}};
    for (int i = 0; i < COCO_RECALLS; i++) {
        c->precision50[i] = -1;
    }
}

enum vov_status precision_of_class(struct tally *t, struct coco_class *c, struct err *err)
{
    double *const ap[COCO_AREAS] = {&c->ap, &c->aps, &c->apm, &c->apl};
    double *const ar[COCO_AREAS] = {&c->ar100, &c->ars, &c->arm, &c->arl};
    double by[COCO_IOUS], unused[COCO_RECALLS];

    clear(c);
    c->n_truth = t->wanted[0];
    if (t->n > 0) {
        TRY(sort_verdicts(t, err));
    }
    double *curve = mem_alloc((size_t)t->n * 2 + 1, sizeof *curve);
    if (!curve) {
        return err_nomem(err, (size_t)t->n * 2 * sizeof *curve);
    }
    for (int size = COCO_AREAS - 1; size >= 0; size--) {
        if (t->wanted[size] > 0) {
            *ap[size] = mean_precision(t, size, curve, by, size == 0 ? c->precision50 : unused);
            *ar[size] = mean_recall(t, size, COCO_MOST);
        }
    }
    if (t->wanted[0] > 0) {
        c->ap50 = by[AT_50];
        c->ap75 = by[AT_75];
        c->ar1 = mean_recall(t, 0, 1);
        c->ar10 = mean_recall(t, 0, 10);
    }
    mem_free(curve);
    return VOV_OK;
}
