/*
 * test_det.c - boxes, their code, priors and non-maximum suppression, by hand and against plain
 * loops.
 */
#include "base/mem.h"
#include "det/box.h"
#include "det/coder.h"
#include "det/nms.h"
#include "det/prior.h"
#include "det/same_exp.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

static double uniform(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) / (double)(1 << 24);
}

START_TEST(overlaps)
{
    const struct box a = {0, 0, 2, 2}, b = {1, 1, 3, 3}, flat = {1, 1, 1, 5}, away = {2, 0, 3, 1};
    const struct box none = {(real)NAN, 0, 2, 2}, wide = {-(real)INFINITY, 0, (real)INFINITY, 1};

    ck_assert_double_eq_tol((double)box_iou(&a, &b), 1.0 / 7, 1e-6);
    ck_assert_double_eq((double)box_iou(&a, &a), 1);
    ck_assert_double_eq((double)box_iou(&a, &flat), 0);
    ck_assert_double_eq((double)box_iou(&a, &away), 0);
    ck_assert_double_eq((double)box_iou(&flat, &flat), 0);
    ck_assert(!(box_iou(&none, &a) > 0.5f));
    ck_assert(!(box_iou(&wide, &wide) > 0));
    const struct box c = box_clip((struct box){-1, (real)NAN, 5, 2}, 3, 4);
    ck_assert(c.x0 == 0 && c.y0 == 0 && c.x1 == 3 && c.y1 == 2);
}
END_TEST

START_TEST(coding)
{
    const real variance[] = {0.1f, 0.1f, 0.2f, 0.2f};
    const struct box anchor = {0.1f, 0.2f, 0.3f, 0.6f}, box = {0.15f, 0.1f, 0.55f, 0.4f};
    real t[4];

    box_encode(&anchor, &box, variance, t);
    ck_assert_double_eq_tol((double)t[0], 0.15 / 0.2 / 0.1, 1e-5);
    ck_assert_double_eq_tol((double)t[1], -0.15 / 0.4 / 0.1, 1e-5);
    ck_assert_double_eq_tol((double)t[2], log(2) / 0.2, 1e-5);
    ck_assert_double_eq_tol((double)t[3], log(0.75) / 0.2, 1e-5);
    const struct box back = box_decode(&anchor, t, variance);
    ck_assert_double_eq_tol((double)back.x0, (double)box.x0, 1e-6);
    ck_assert_double_eq_tol((double)back.y1, (double)box.y1, 1e-6);
}
END_TEST

/* RefineDet320's four levels: 6375 boxes in the order row, column, ratio. */
START_TEST(priors)
{
    static struct box out[6375];
    int n = 0;

    for (int i = 0; i < 4; i++) {
        const int cells = 40 >> i, step = 8 << i;
        const struct prior_shape shape[] = {prior_shape(4 * step, 1), prior_shape(4 * step, 2),
                                            prior_shape(4 * step, 0.5)};
        const struct prior_level l = {cells, cells, step, step, shape, 3};
        prior_fill(&l, 320, 320, out + n);
        n += prior_count(&l);
    }
    ck_assert_int_eq(n, 6375);
    ck_assert_double_eq_tol((double)out[0].x0 * 320, 4 - 16, 1e-4);
    ck_assert_double_eq_tol((double)(out[1].x1 - out[1].x0) * 320, 32 * sqrt(2), 1e-4);
    ck_assert_double_eq_tol((double)(out[1].y1 - out[1].y0) * 320, 32 / sqrt(2), 1e-4);
    ck_assert_double_eq_tol((double)(out[2].y1 - out[2].y0) * 320, 32 * sqrt(2), 1e-4);
    ck_assert_double_eq_tol((double)out[3].x0 * 320, 12 - 16, 1e-4);
    ck_assert_double_eq_tol((double)out[120].y0 * 320, 12 - 16, 1e-4);
    ck_assert_double_eq_tol((double)out[6372].x1 * 320, 288 + 128, 1e-3);
}
END_TEST

/* Thins l out: nms_thin on all of its boxes, numbered as they stand. */
static struct nms_work thin(struct det_list *l, const struct nms_desc *d)
{
    struct box *box = calloc((size_t)l->n + 1, sizeof *box);
    uint64_t *key = calloc((size_t)l->n + 1, sizeof *key);
    real *found = calloc((size_t)d->keep, FOUND_ROW * sizeof *found);
    void *memory = malloc(nms_bytes(d));
    struct nms_work work = {0};
    const struct nms_input in = {box, key, l->n, &work};

    for (int i = 0; i < l->n; i++) {
        box[i] = l->v[i].box;
        key[i] = nms_key(l->v[i].score, (uint32_t)(i * d->classes + l->v[i].class_id));
    }
    l->n = nms_thin(d, &in, found, memory);
    for (int i = 0; i < l->n; i++) {
        const real *row = found + (ptrdiff_t)i * FOUND_ROW;
        l->v[i] = (struct detection){{row[0], row[1], row[2], row[3]}, row[4], (int)row[5], 0};
    }
    free(box);
    free(key);
    free(found);
    free(memory);
    return work;
}

static void add(struct det_list *l, double x, double score, int class_id)
{
    const struct box b = {(real)x, 0, (real)x + 1, 1};
    ck_assert(det_add(l, (struct detection){b, (real)score, class_id, 0}));
}

START_TEST(greedy)
{
    const struct nms_desc d = {2, 0.45f, 100, 100};
    struct det_list l = {0};

    add(&l, 0.2, 0.5, 0); /* IoU 2/3 with the best: goes */
    add(&l, 0, 0.9, 0);
    add(&l, 0.2, 0.6, 1); /* of another class */
    add(&l, 0.6, 0.4, 0); /* overlaps only what went */
    add(&l, 5, 0.6, 1);   /* equal scores keep their order */
    thin(&l, &d);
    ck_assert_int_eq(l.n, 4);
    ck_assert_double_eq_tol((double)l.v[0].score, 0.9, 1e-6);
    ck_assert(l.v[1].class_id == 1 && l.v[1].box.x0 < 1);
    ck_assert(l.v[2].class_id == 1 && l.v[2].box.x0 == 5);
    ck_assert_double_eq_tol((double)l.v[3].score, 0.4, 1e-6);
    det_free(&l);
}
END_TEST

START_TEST(limits)
{
    const struct nms_desc d = {2, 0.5f, 3, 4};
    struct det_list l = {0};

    for (int i = 0; i < 20; i++) {
        add(&l, i * 2, 0.1 + i * 0.01, i % 2);
    }
    thin(&l, &d);
    ck_assert_int_eq(l.n, 4);
    for (int i = 0; i < 4; i++) {
        ck_assert_double_eq_tol((double)l.v[i].score, 0.29 - i * 0.01, 1e-6);
    }
    l.n = 0;
    thin(&l, &d);
    det_free(&l);
}
END_TEST

START_TEST(soft)
{
    struct det_list l = {0};

    add(&l, 0, 0.9, 0);
    add(&l, 0.5, 0.8, 0);   /* IoU 1/3: 0.8 * 2/3 */
    add(&l, 0.25, 0.6, 0);  /* IoU 0.6 with both: 0.6 * 0.4 = 0.24 goes at once */
    add(&l, 0.75, 0.53, 0); /* 1/7 with the first, 0.6 with the second: 0.21 goes */
    add(&l, 0.75, 0.7, 1);
    ck_assert_int_eq(nms_soften(NULL, 0, 0.3f, 0.25f), 0);
    l.n = nms_soften(l.v, l.n, 0.3f, 0.25f);
    ck_assert_int_eq(l.n, 3);
    ck_assert_double_eq_tol((double)l.v[0].score, 0.9, 1e-6);
    ck_assert_double_eq_tol((double)l.v[1].score, 0.7, 1e-6);
    ck_assert_double_eq_tol((double)l.v[2].score, 0.8 * 2 / 3, 1e-6);
    det_free(&l);
}
END_TEST

/* Against the plain definition: a box stays unless a better one of its class that stays overlaps
 * it by more. Scores on a coarse grid tie. */
START_TEST(greedy_random)
{
    uint32_t state = 5;

    for (int round = 0; round < 50; round++) {
        const struct nms_desc d = {3, 0.3f, 100, 100};
        struct det_list l = {0};
        struct detection in[80];
        bool stays[80];
        int order[80], n = 0;
        for (int i = 0; i < 80; i++) {
            add(&l, floor(uniform(&state) * 20) / 4, floor(uniform(&state) * 8) / 8,
                (int)(uniform(&state) * 3));
            in[i] = l.v[i];
        }
        for (int s = 8; s >= 0; s--) {
            for (int i = 0; i < 80; i++) {
                if (in[i].score == (real)(s / 8.0)) {
                    stays[n] = true;
                    for (int k = 0; k < n; k++) {
                        const struct detection *o = &in[order[k]];
                        stays[n] = stays[n] && !(stays[k] && o->class_id == in[i].class_id &&
                                                 box_iou(&o->box, &in[i].box) > d.iou);
                    }
                    order[n++] = i;
                }
            }
        }
        thin(&l, &d);
        int at = 0;
        for (int k = 0; k < n; k++) {
            if (stays[k]) {
                ck_assert_int_lt(at, l.n);
                ck_assert(l.v[at].box.x0 == in[order[k]].box.x0);
                ck_assert_int_eq(l.v[at].class_id, in[order[k]].class_id);
                at++;
            }
        }
        ck_assert_int_eq(at, l.n);
        det_free(&l);
    }
}
END_TEST

/* By falling score, first come first. */
static int compare_detections(const void *va, const void *vb)
{
    const struct detection *const *a = va, *const *b = vb;

    if ((*a)->score != (*b)->score) {
        return (*a)->score > (*b)->score ? -1 : 1;
    }
    return (*a > *b) - (*a < *b);
}

/* The definition of nms_thin. */
static int thin_plainly(const struct det_list *l, const struct nms_desc *d,
                        const struct detection **out)
{
    const struct detection **sorted = mem_alloc((size_t)l->n, sizeof *sorted);
    int *of_class = mem_alloc((size_t)d->classes, sizeof *of_class), n = 0;

    for (int i = 0; i < l->n; i++) {
        sorted[i] = &l->v[i];
    }
    qsort(sorted, (size_t)l->n, sizeof *sorted, compare_detections);
    for (int i = 0; i < l->n && n < d->keep; i++) {
        bool stays = of_class[sorted[i]->class_id]++ < d->top_k;
        for (int k = 0; k < n && stays; k++) {
            stays = out[k]->class_id != sorted[i]->class_id ||
                    !(box_iou(&out[k]->box, &sorted[i]->box) > d->iou);
        }
        if (stays) {
            out[n++] = sorted[i];
        }
    }
    mem_free(sorted);
    mem_free(of_class);
    return n;
}

static bool same_detection(const struct detection *a, const struct detection *b)
{
    return a->box.x0 == b->box.x0 && a->box.y0 == b->box.y0 && a->box.x1 == b->box.x1 &&
           a->box.y1 == b->box.y1 && a->score == b->score && a->class_id == b->class_id;
}

enum { CROWD = 30000, CROWD_CLASSES = 7, CROWD_TOP = 50, CROWD_KEEP = 40 };

/* A detector that has learned nothing: many more come than can matter, in random, rising or falling
 * order, many with equal scores. The work does not grow with them. */
START_TEST(crowd)
{
    const struct nms_desc d = {CROWD_CLASSES, 0.4f, CROWD_TOP, CROWD_KEEP};
    uint32_t state = 11;

    for (int order = -1; order <= 1; order++) {
        struct det_list l = {0}, got = {0};
        const struct detection *want[CROWD_KEEP];
        for (int i = 0; i < CROWD; i++) {
            const double noise = uniform(&state), rank = order < 0 ? CROWD - i : order * i;
            const double score = order ? rank / CROWD : floor(noise * 500) / 500;
            add(&l, uniform(&state) * 30, score, (int)(uniform(&state) * CROWD_CLASSES));
            ck_assert(det_add(&got, l.v[i]));
        }
        const struct nms_work work = thin(&got, &d);
        ck_assert_uint_le(work.looked_at, CROWD_CLASSES * CROWD_TOP);
        ck_assert_uint_le(work.overlaps, CROWD_TOP * CROWD_KEEP);
        ck_assert_int_eq(got.n, thin_plainly(&l, &d, want));
        ck_assert_int_gt(got.n, 0);
        for (int i = 0; i < got.n; i++) {
            ck_assert(same_detection(&got.v[i], want[i]));
        }
        det_free(&l);
        det_free(&got);
    }
}
END_TEST

/* Of one box, equal scores: the smaller class first; of two boxes the earlier. */
START_TEST(ties)
{
    const struct nms_desc d = {3, 0.5f, 1, 9};
    struct det_list l = {0};

    add(&l, 0, 0.5, 2);
    add(&l, 4, 0.5, 1);
    add(&l, 8, 0.5, 1); /* behind the top_k of its class */
    ck_assert_uint_gt(nms_key((real)0.5, 1), nms_key((real)0.5, 2));
    ck_assert_uint_gt(nms_key((real)0.51, 2), nms_key((real)0.5, 0));
    thin(&l, &d);
    ck_assert_int_eq(l.n, 2);
    ck_assert(l.v[0].class_id == 2 && l.v[1].box.x0 == 4);
    det_free(&l);
}
END_TEST

/* e^x as all devices compute it, beside libm's. */
START_TEST(exponent)
{
    for (int i = -69 * 512; i <= 88 * 512; i++) {
        const double x = i / 512.0, got = (double)same_expf((float)x);
        ck_assert_msg(fabs(got / exp(x) - 1) < 3e-7, "exp(%g) is %g", x, got);
    }
    ck_assert(same_expf(0) == 1);
    ck_assert(same_expf(-69.5f) == 0 && same_expf(-INFINITY) == 0 && same_expf(-1e30f) == 0);
    ck_assert(isinf(same_expf(89)) && isinf(same_expf(INFINITY)) && isnan(same_expf(NAN)));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("det");
    TCase *tc = tcase_create("all");

    tcase_add_test(tc, overlaps);
    tcase_add_test(tc, coding);
    tcase_add_test(tc, priors);
    tcase_add_test(tc, greedy);
    tcase_add_test(tc, limits);
    tcase_add_test(tc, soft);
    tcase_add_test(tc, greedy_random);
    tcase_add_test(tc, crowd);
    tcase_add_test(tc, ties);
    tcase_add_test(tc, exponent);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
