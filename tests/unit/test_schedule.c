/*
 * test_schedule.c - the learning rate of each policy against its formula, by hand.
 */
#include "train/schedule.h"

#include <check.h>
#include <math.h>

static struct net_config base(enum lr_policy policy)
{
    return (struct net_config){.learning_rate = 0.1,
                               .policy = (int)policy,
                               .max_batches = 1000,
                               .burn_in_power = 4,
                               .scale = 0.5,
                               .step = 100,
                               .gamma = 0.99,
                               .power = 2};
}

static double rate(const struct net_config *n, long per_epoch, long t)
{
    struct schedule s;
    struct err err = {0};
    ck_assert(schedule_init(&s, n, per_epoch, &err) == VOV_OK);
    return schedule_rate(&s, t);
}

static void near(double found, double wanted)
{
    ck_assert_msg(fabs(found - wanted) <= 1e-12 * fabs(wanted) + 1e-15, "%.15g, not %.15g", found,
                  wanted);
}

START_TEST(policies)
{
    struct net_config n = base(LR_CONSTANT);
    near(rate(&n, 10, 1), 0.1);
    near(rate(&n, 10, 999), 0.1);
    n = base(LR_STEP);
    near(rate(&n, 10, 99), 0.1);
    near(rate(&n, 10, 100), 0.05);
    near(rate(&n, 10, 350), 0.0125);
    n = base(LR_EXP);
    near(rate(&n, 10, 7), 0.1 * pow(0.99, 7));
    n = base(LR_POLY);
    near(rate(&n, 10, 250), 0.1 * 0.75 * 0.75);
    near(rate(&n, 10, 1000), 0);
    n = base(LR_SIGMOID);
    near(rate(&n, 10, 100), 0.05);
    near(rate(&n, 10, 110), 0.1 / (1 + exp(9.9)));
}
END_TEST

START_TEST(steps)
{
    double at[] = {400, 450}, by[] = {0.1, 0.2};
    struct net_config n = base(LR_STEPS);
    n.steps = (struct real_list){at, 2};
    near(rate(&n, 10, 399), 0.1);
    near(rate(&n, 10, 400), 0.01);
    near(rate(&n, 10, 450), 0.001); /* without scales 0.1 each */
    n.scales = (struct real_list){by, 2};
    near(rate(&n, 10, 450), 0.002);
}
END_TEST

START_TEST(epochs)
{
    double at[] = {2, 3};
    struct net_config n = base(LR_STEPS);
    struct schedule s;
    struct err err = {0};
    n.steps = (struct real_list){at, 2};
    n.epochs = 3.5;
    ck_assert(schedule_init(&s, &n, 25, &err) == VOV_OK);
    ck_assert_int_eq(s.total, 88); /* 87.5 rounded up */
    near(schedule_rate(&s, 49), 0.1);
    near(schedule_rate(&s, 50), 0.01);
    near(schedule_rate(&s, 75), 0.001);
}
END_TEST

START_TEST(burn_in)
{
    struct net_config n = base(LR_COSINE);
    n.burn_in = 100;
    near(rate(&n, 10, 50), 0.1 * pow(0.5, 4));
    n.burn_in_power = 1;
    near(rate(&n, 10, 1), 0.001);
    near(rate(&n, 10, 99), 0.099);
    near(rate(&n, 10, 101), 0.1); /* the cosine begins behind it */
    near(rate(&n, 10, 551), 0.05);
    ck_assert(rate(&n, 10, 1000) > 0);
    ck_assert(rate(&n, 10, 1000) < 1e-6);
    ck_assert(rate(&n, 10, 5000) >= 0);
}
END_TEST

START_TEST(no_end)
{
    struct net_config n = base(LR_CONSTANT);
    struct schedule s;
    struct err err = {0};
    n.max_batches = 0;
    ck_assert(schedule_init(&s, &n, 25, &err) == VOV_ECFG);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schedule");
    TCase *tc = tcase_create("all");
    tcase_add_test(tc, policies);
    tcase_add_test(tc, steps);
    tcase_add_test(tc, epochs);
    tcase_add_test(tc, burn_in);
    tcase_add_test(tc, no_end);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
