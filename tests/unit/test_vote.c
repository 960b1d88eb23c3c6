/*
 * test_vote.c - box voting by hand, and against the definition worked out with marks instead of
 * sorted runs.
 */
#include "base/mem.h"
#include "base/rng.h"
#include "det/box.h"
#include "det/vote.h"
#include "run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void put(struct det_list *l, int class_id, double score, struct box box)
{
    ck_assert(
        det_add(l, (struct detection){.box = box, .score = (real)score, .class_id = class_id}));
}

/* Overlaps of the first with the others: 0.6, 1/3, and 1 of another class. */
START_TEST(by_hand)
{
    const struct vote_desc d = {.iou = (real)0.45, .min_score = (real)0.1};
    struct det_list l = {0};

    put(&l, 0, 0.4, (struct box){2, 0, 10, 12});
    put(&l, 0, 0.8, (struct box){0, 0, 10, 10});
    put(&l, 0, 0.3, (struct box){5, 0, 15, 10});
    put(&l, 1, 0.5, (struct box){0, 0, 10, 10});
    const double iou = 80.0 / (100 + 96 - 80);
    ck_assert(vote_by_class(&l, &d, NULL) == VOV_OK);
    ck_assert_int_eq(l.n, 4);
    ck_assert(l.v[0].class_id == 0 && l.v[0].score == (real)0.8);
    ck_assert_double_eq_tol((double)l.v[0].box.x0, 2 * 0.4 / 1.2, 1e-6);
    ck_assert_double_eq_tol((double)l.v[0].box.y1, (10 * 0.8 + 12 * 0.4) / 1.2, 1e-6);
    ck_assert(l.v[1].class_id == 1 && l.v[1].box.x1 == 10);
    ck_assert(l.v[2].score == (real)0.3 && l.v[2].box.x0 == 5);
    ck_assert_double_eq_tol((double)l.v[3].score, 0.4 * (1 - iou), 1e-6);
    ck_assert(l.v[3].box.x0 == 2 && l.v[3].box.y1 == 12);
    det_free(&l);
}
END_TEST

/* What has no voters keeps every bit, in the order of scores; nothing gives nothing. */
START_TEST(alone)
{
    const struct vote_desc d = {.iou = (real)0.45, .min_score = (real)0.01};
    struct det_list l = {0};

    ck_assert(vote_by_class(&l, &d, NULL) == VOV_OK);
    ck_assert_int_eq(l.n, 0);
    const struct box flat = {3, 3, 3, 9}, far = {(real)50.1, (real)7.3, (real)61.7, (real)9.9};
    put(&l, 2, 0.1, flat);
    put(&l, 2, 0.7, far);
    put(&l, 2, 0.1, flat); /* without area: it overlaps nothing, not even its like */
    ck_assert(vote_by_class(&l, &d, NULL) == VOV_OK);
    ck_assert_int_eq(l.n, 3);
    ck_assert_mem_eq(&l.v[0].box, &far, sizeof far);
    ck_assert_mem_eq(&l.v[1].box, &flat, sizeof flat);
    ck_assert_mem_eq(&l.v[2].box, &flat, sizeof flat);
    det_free(&l);
}
END_TEST

enum { MANY = 600, CLASSES = 3 };

/* The place of the best box that is left, or -1. */
static int best_left(const struct det_list *l, const bool *gone)
{
    int best = -1;

    for (int i = 0; i < l->n; i++) {
        best = !gone[i] && (best < 0 || l->v[i].score > l->v[best].score) ? i : best;
    }
    return best;
}

/* The definition: as long as an unmarked box is left, the best one and all that it overlaps enough
 * are marked and give their mean; those with a score left over give themselves. */
static int vote_plainly(const struct det_list *l, const struct vote_desc *d, struct detection *out)
{
    bool gone[MANY] = {false};
    int n = 0;

    for (int best = best_left(l, gone); best >= 0; best = best_left(l, gone)) {
        const struct box b = l->v[best].box;
        const double s = (double)l->v[best].score;
        double sum[5] = {s, s * (double)b.x0, s * (double)b.y0, s * (double)b.x1, s * (double)b.y1};
        struct detection *mean = &out[n++];
        *mean = l->v[best];
        gone[best] = true;
        for (int i = 0; i < l->n; i++) {
            const struct detection v = l->v[i];
            const real iou = box_iou(&b, &v.box);
            const double side[5] = {1, (double)v.box.x0, (double)v.box.y0, (double)v.box.x1,
                                    (double)v.box.y1};
            if (gone[i] || v.class_id != mean->class_id || iou < d->iou) {
                continue;
            }
            gone[i] = true;
            for (int k = 0; k < 5; k++) {
                sum[k] += (double)v.score * side[k];
            }
            if (v.score * (1 - iou) >= d->min_score) {
                out[n] = v;
                out[n++].score = v.score * (1 - iou);
            }
        }
        mean->box = (struct box){(real)(sum[1] / sum[0]), (real)(sum[2] / sum[0]),
                                 (real)(sum[3] / sum[0]), (real)(sum[4] / sum[0])};
    }
    return n;
}

static int by_score(const void *va, const void *vb)
{
    const struct detection *a = va, *b = vb;

    return a->score != b->score ? (a->score > b->score ? -1 : 1) : memcmp(a, b, sizeof *a);
}

START_TEST(a_crowd)
{
    const struct vote_desc d = {.iou = (real)0.45, .min_score = (real)0.2};
    static struct detection want[2 * MANY];
    struct rng r = rng_open(7, RNG_TEST, 0, 0);

    for (int round = 0; round < 10; round++) {
        struct det_list l = {0};
        for (int i = 0; i < MANY; i++) {
            const real x = (real)(20 * rng_int(&r, 5) + rng_normal(&r));
            const real y = (real)(20 * rng_int(&r, 5) + rng_normal(&r));
            const struct box b = {x, y, x + (real)rng_range(&r, 8, 20), y + 15};
            put(&l, rng_int(&r, CLASSES), rng_uniform(&r), b);
        }
        const int n = vote_plainly(&l, &d, want);
        ck_assert(vote_by_class(&l, &d, NULL) == VOV_OK);
        ck_assert_int_eq(l.n, n);
        ck_assert_int_lt(n, MANY);
        qsort(want, (size_t)n, sizeof *want, by_score);
        for (int i = 0; i < n; i++) {
            ck_assert(l.v[i].score == want[i].score && l.v[i].class_id == want[i].class_id);
            ck_assert_double_eq_tol((double)l.v[i].box.x0, (double)want[i].box.x0, 1e-4);
            ck_assert_double_eq_tol((double)l.v[i].box.y0, (double)want[i].box.y0, 1e-4);
            ck_assert_double_eq_tol((double)l.v[i].box.x1, (double)want[i].box.x1, 1e-4);
            ck_assert_double_eq_tol((double)l.v[i].box.y1, (double)want[i].box.y1, 1e-4);
        }
        det_free(&l);
    }
}
END_TEST

int main(void)
{
    return run_tests("vote", (const TTest *const[]){by_hand, alone, a_crowd, NULL});
}
