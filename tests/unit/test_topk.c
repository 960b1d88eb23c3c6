/*
 * test_topk.c - right answers are counted; ties are never right by chance.
 */
#include "eval/topk.h"
#include "run.h"

#include <math.h>

START_TEST(counts)
{
    const real score[7] = {0.1f, 0.3f, 0.05f, 0.2f, 0.15f, 0.12f, 0.08f};
    struct topk t = {0};

    for (int label = 0; label < 7; label++) {
        topk_add(&t, score, 7, label);
    }
    ck_assert_int_eq(t.n, 7);
    ck_assert_int_eq(t.top1, 1);
    ck_assert_int_eq(t.top5, 5);
    ck_assert_double_eq_tol(topk_top1(&t), 1.0 / 7, 1e-12);
    ck_assert_double_eq_tol(topk_top5(&t), 5.0 / 7, 1e-12);
}
END_TEST

START_TEST(ties_and_nan)
{
    const real same[6] = {1, 1, 1, 1, 1, 1},
               bad[6] = {(real)NAN, (real)NAN, (real)NAN, (real)NAN, (real)NAN, (real)NAN};
    struct topk t = {0};

    topk_add(&t, same, 6, 2);
    topk_add(&t, bad, 6, 0);
    ck_assert_int_eq(t.n, 2);
    ck_assert_int_eq(t.top1, 0);
    ck_assert_int_eq(t.top5, 0);
}
END_TEST

START_TEST(nothing)
{
    const struct topk t = {0};

    ck_assert(topk_top1(&t) == 0 && topk_top5(&t) == 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {counts, ties_and_nan, nothing, NULL};

    return run_tests("topk", tests);
}
