/*
 * test_stats.c - percentiles and spread against worked values, the interval of the median against
 * theory, and the end of a warm-up.
 */
#include "base/rng.h"
#include "meter/stats.h"
#include "run.h"

#include <math.h>

static void near(double got, double want, double tolerance)
{
    ck_assert_msg(fabs(got - want) <= tolerance, "%.17g, not %.17g", got, want);
}

/* Percentiles of R's quantile(x, type = 7), which are those of numpy.percentile too. */
START_TEST(percentiles)
{
    static const double ten[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    static const double four[] = {1, 10, 100, 1000};
    near(stats_percentile(ten, 10, 0.5), 5.5, 0);
    near(stats_percentile(ten, 10, 0.9), 9.1, 1e-12);
    near(stats_percentile(ten, 10, 0.95), 9.55, 1e-12);
    near(stats_percentile(ten, 10, 0.99), 9.91, 1e-12);
    near(stats_percentile(ten, 10, 0), 1, 0);
    near(stats_percentile(ten, 10, 1), 10, 0);
    near(stats_percentile(four, 4, 0.5), 55, 1e-12);
    near(stats_percentile(four, 4, 0.25), 7.75, 1e-12);
    near(stats_percentile(four, 1, 0.99), 1, 0);
}
END_TEST

START_TEST(summary)
{
    double v[] = {4, 2, 7, 5, 4, 5, 4, 9}; /* deviation of the sample sqrt(32 / 7) */
    struct summary s;
    ck_assert_int_eq(stats_summarise(v, 8, 1, &s, NULL), VOV_OK);
    ck_assert_int_eq(s.n, 8);
    near(s.min, 2, 0);
    near(s.max, 9, 0);
    near(s.mean, 5, 1e-15);
    near(s.p50, 4.5, 1e-15);
    near(s.cov, sqrt(32.0 / 7) / 5, 1e-15);
    ck_assert(s.median.lo <= s.p50 && s.p50 <= s.median.hi && s.median.lo >= 4 && s.median.hi <= 7);

    struct summary again;
    ck_assert_int_eq(stats_summarise(v, 8, 1, &again, NULL), VOV_OK);
    ck_assert(again.median.lo == s.median.lo && again.median.hi == s.median.hi);

    double one[] = {3};
    ck_assert_int_eq(stats_summarise(one, 1, 1, &s, NULL), VOV_OK);
    near(s.p99, 3, 0);
    near(s.cov, 0, 0);
    near(s.median.lo, 3, 0);
    near(s.median.hi, 3, 0);
}
END_TEST

/* The median of n normal numbers deviates by sqrt(pi / (2 n)), so that the interval is
 * 2 * 1.96 * sqrt(pi / (2 n)) wide, and 95 of 100 hold the true median. */
START_TEST(interval_of_the_median)
{
    enum { N = 401, TRIALS = 200 };
    double width = 0, v[N];
    int holds = 0;
    for (int t = 0; t < TRIALS; t++) {
        struct rng r = rng_open(7, RNG_TEST, (uint64_t)t, 0);
        struct summary s;
        for (int i = 0; i < N; i++) {
            v[i] = 100 + rng_normal(&r);
        }
        ck_assert_int_eq(stats_summarise(v, N, (uint64_t)t, &s, NULL), VOV_OK);
        width += (s.median.hi - s.median.lo) / TRIALS;
        holds += s.median.lo <= 100 && 100 <= s.median.hi;
    }
    near(width, 2 * 1.96 * sqrt(3.14159265 / (2 * N)), 0.02);
    ck_assert_int_ge(holds, 180);
    ck_assert_int_le(holds, 199);
}
END_TEST

START_TEST(interval_of_a_ratio)
{
    enum { N = 300 };
    double a[N], b[N];
    struct rng r = rng_open(8, RNG_TEST, 0, 0);
    struct summary s;
    struct interval ratio;
    for (int i = 0; i < N; i++) {
        a[i] = 30 + rng_normal(&r);
        b[i] = 20 + rng_normal(&r);
    }
    ck_assert_int_eq(stats_summarise(a, N, 1, &s, NULL), VOV_OK);
    ck_assert_int_eq(stats_summarise(b, N, 1, &s, NULL), VOV_OK);
    ck_assert_int_eq(
        stats_ratio((struct stats_samples){a, N}, (struct stats_samples){b, N}, 1, &ratio, NULL),
        VOV_OK);
    ck_assert(ratio.lo < 1.5 && 1.5 < ratio.hi);
    ck_assert(ratio.hi - ratio.lo > 0.01 && ratio.hi - ratio.lo < 0.04);
}
END_TEST

START_TEST(end_of_warm_up)
{
    double v[100];
    for (int i = 0; i < 100; i++) {
        v[i] = i < 30 ? 2 : 1 + 0.001 * (i % 3);
    }
    ck_assert(!stats_settled(v, 39));
    ck_assert(!stats_settled(v, 50)); /* 30..49 against 10..29 */
    ck_assert(stats_settled(v, 70));
    for (int i = 60; i < 80; i++) {
        v[i] = 1.03;
    }
    ck_assert(!stats_settled(v, 80));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {percentiles,         summary,        interval_of_the_median,
                                  interval_of_a_ratio, end_of_warm_up, NULL};
    return run_tests("stats", tests);
}
