/*
 * test_loss_scale.c - the factor of the losses in fp16: halved at once, doubled after a while,
 * within its bounds; with other precisions it is 1 and stays so.
 */
#include "train/loss_scale.h"

#include <check.h>

static const struct net_config half = {
    .precision = PRECISION_FP16, .loss_scale = 1024, .loss_scale_steps = 3};

START_TEST(follows)
{
    struct loss_scale s = loss_scale_first(&half);
    ck_assert_double_eq(s.value, 1024);
    ck_assert(loss_scale_follow(&s, &half, true));
    ck_assert_double_eq(s.value, 512);
    for (int i = 0; i < 2; i++) {
        ck_assert(!loss_scale_follow(&s, &half, false));
    }
    ck_assert(loss_scale_follow(&s, &half, false));
    ck_assert_double_eq(s.value, 1024);
    ck_assert(!loss_scale_follow(&s, &half, false));
    ck_assert(loss_scale_follow(&s, &half, true)); /* and the count begins anew */
    ck_assert(!loss_scale_follow(&s, &half, false));
    ck_assert(!loss_scale_follow(&s, &half, false));
    ck_assert_double_eq(s.value, 512);
}
END_TEST

START_TEST(has_bounds)
{
    struct loss_scale s = loss_scale_first(&half);
    for (int i = 0; i < 10; i++) {
        ck_assert(loss_scale_follow(&s, &half, true));
    }
    ck_assert_double_eq(s.value, 1);
    ck_assert(!loss_scale_follow(&s, &half, true));
    ck_assert_double_eq(s.value, 1);
    for (int i = 0; i < 100; i++) {
        loss_scale_follow(&s, &half, false);
    }
    ck_assert_double_eq(s.value, 1 << 24);
}
END_TEST

START_TEST(never_doubled)
{
    struct net_config net = half;
    net.loss_scale_steps = 0;
    struct loss_scale s = loss_scale_first(&net);
    for (int i = 0; i < 10; i++) {
        ck_assert(!loss_scale_follow(&s, &net, false));
    }
}
END_TEST

START_TEST(other_precisions)
{
    for (int p = PRECISION_FP32; p <= PRECISION_BF16; p++) {
        struct net_config net = half;
        net.precision = p;
        struct loss_scale s = loss_scale_first(&net);
        ck_assert(loss_scale_follow(&s, &net, true) == (p == PRECISION_FP16));
        ck_assert_double_eq(s.value, p == PRECISION_FP16 ? 512 : 1);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loss scale");
    TCase *t = tcase_create("all");
    tcase_add_test(t, follows);
    tcase_add_test(t, has_bounds);
    tcase_add_test(t, never_doubled);
    tcase_add_test(t, other_precisions);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
