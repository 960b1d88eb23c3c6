/*
 * test_rng.c - random numbers: known answers, independence of key and order, and the moments and
 * frequencies that they should have.
 */
#include "base/rng.h"
#include "run.h"

#include <math.h>
#include <stdlib.h>

START_TEST(known_answers)
{
    /* Worked out in Python from the definition in rng.c, whose mix gives SplitMix64's published
     * first number, 6457827717110365317, for the seed 1234567. */
    static const uint32_t wanted[] = {0x9895c18f, 0x655e34bf, 0x0f341b65, 0x0d99622f};
    struct rng r = rng_open(1, RNG_TEST, 2, 3);
    for (int i = 0; i < 4; i++) {
        ck_assert_uint_eq(rng_u32(&r), wanted[i]);
    }
}
END_TEST

START_TEST(same_key_same_numbers)
{
    struct rng a = rng_open(7, RNG_AUGMENT, 3, 9), b = rng_open(7, RNG_AUGMENT, 3, 9);
    for (int i = 0; i < 100; i++) {
        ck_assert_uint_eq(rng_u32(&a), rng_u32(&b));
    }
    struct rng c = b; /* a copy is a place to return to */
    const double x = rng_normal(&b);
    ck_assert(x == rng_normal(&c));
}
END_TEST

/* Correlation of two streams of n numbers. */
static double correlation(struct rng a, struct rng b, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        sum += (rng_uniform(&a) - 0.5) * (rng_uniform(&b) - 0.5);
    }
    return sum / n * 12;
}

START_TEST(neighbouring_keys_are_independent)
{
    const int n = 100000;
    const double limit = 4.5 / sqrt(n);
    const struct rng base = rng_open(5, RNG_TEST, 5, 5);
    ck_assert(fabs(correlation(base, rng_open(6, RNG_TEST, 5, 5), n)) < limit);
    ck_assert(fabs(correlation(base, rng_open(5, RNG_DRAW, 5, 5), n)) < limit);
    ck_assert(fabs(correlation(base, rng_open(5, RNG_TEST, 6, 5), n)) < limit);
    ck_assert(fabs(correlation(base, rng_open(5, RNG_TEST, 5, 6), n)) < limit);
    struct rng later = base;
    rng_u32(&later);
    ck_assert(fabs(correlation(base, later, n)) < limit);
    /* a and b are not exchangeable */
    struct rng x = rng_open(1, RNG_TEST, 2, 3), y = rng_open(1, RNG_TEST, 3, 2);
    ck_assert(rng_u32(&x) != rng_u32(&y));
}
END_TEST

START_TEST(every_bit_is_fair)
{
    const int n = 100000;
    int ones[32] = {0};
    /* One number each of many streams: bias between keys, not only within one. */
    for (int i = 0; i < n; i++) {
        struct rng r = rng_open(1, RNG_TEST, (uint64_t)i, 0);
        const uint32_t v = rng_u32(&r);
        for (int bit = 0; bit < 32; bit++) {
            ones[bit] += v >> bit & 1;
        }
    }
    for (int bit = 0; bit < 32; bit++) {
        ck_assert(fabs(ones[bit] - n / 2.0) < 4.5 * sqrt(n) / 2);
    }
}
END_TEST

START_TEST(integers_without_bias)
{
    const int n = 300000;
    int count[7] = {0};
    struct rng r = rng_open(2, RNG_TEST, 0, 0);
    for (int i = 0; i < n; i++) {
        const int v = rng_int(&r, 7);
        ck_assert(v >= 0 && v < 7);
        count[v]++;
    }
    double chi2 = 0;
    for (int i = 0; i < 7; i++) {
        chi2 += pow(count[i] - n / 7.0, 2) / (n / 7.0);
    }
    ck_assert(chi2 < 27.9); /* 6 degrees of freedom, p = 1e-4 */
    ck_assert_int_eq(rng_int(&r, 1), 0);
    /* A range that does not divide 2^32 well: the mean shows an unfair third. */
    double mean = 0;
    for (int i = 0; i < n; i++) {
        mean += rng_int(&r, 0x60000000) / (double)0x60000000 / n;
    }
    ck_assert(fabs(mean - 0.5) < 4.5 / sqrt(12.0 * n));
}
END_TEST

START_TEST(normal_and_uniform_moments)
{
    const int n = 400000;
    double m1 = 0, m2 = 0, m4 = 0, u = 0;
    struct rng r = rng_open(3, RNG_TEST, 0, 0);
    for (int i = 0; i < n; i++) {
        const double x = rng_normal(&r);
        m1 += x / n;
        m2 += x * x / n;
        m4 += x * x * x * x / n;
        const double v = rng_range(&r, -1, 3);
        ck_assert(v >= -1 && v < 3);
        u += v / n;
    }
    ck_assert(fabs(m1) < 4.5 / sqrt(n));
    ck_assert(fabs(m2 - 1) < 4.5 * sqrt(2.0 / n));
    ck_assert(fabs(m4 - 3) < 4.5 * sqrt(96.0 / n));
    ck_assert(fabs(u - 1) < 4.5 * 4 / sqrt(12.0 * n));
}
END_TEST

START_TEST(shuffle_is_a_permutation)
{
    int first[5] = {0};
    for (int round = 0; round < 50000; round++) {
        int v[5] = {0, 1, 2, 3, 4};
        struct rng r = rng_open(4, RNG_ORDER, (uint64_t)round, 0);
        rng_shuffle(&r, v, 5);
        int seen = 0;
        for (int i = 0; i < 5; i++) {
            seen |= 1 << v[i];
        }
        ck_assert_int_eq(seen, 31);
        first[v[0]]++;
    }
    for (int i = 0; i < 5; i++) {
        ck_assert(abs(first[i] - 10000) < 450);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {known_answers,
                                  same_key_same_numbers,
                                  neighbouring_keys_are_independent,
                                  every_bit_is_fair,
                                  integers_without_bias,
                                  normal_and_uniform_moments,
                                  shuffle_is_a_permutation,
                                  NULL};
    return run_tests("rng", tests);
}
