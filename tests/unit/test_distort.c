/*
 * test_distort.c - which changes of colour are chosen, how often and how strong; and what they make
 * of pixels whose result is known.
 */
#include "data/distort.h"

#include "base/mem.h"
#include "run.h"

#include <math.h>
#include <string.h>

enum { DRAWS = 4000 };

static struct distortion choose(const struct distort_options *o, int i)
{
    struct rng r = rng_open(5, RNG_TEST, (uint64_t)i, 0);

    return distort_choose(o, &r);
}

/* SSD: each change in half of the pictures, on its own; brightness always comes first. */
START_TEST(ssd_chooses_each_by_chance)
{
    const struct distort_options o = {.each = 0.5, .saturation = 1, .exposure = 1};
    static const double most[4] = {32, 1.5, 1.5, 36}, least[4] = {-32, 0.5, 0.5, -36};
    int count[4] = {0}, none = 0, contrast_last = 0;

    for (int i = 0; i < DRAWS; i++) {
        const struct distortion d = choose(&o, i);
        none += d.n == 0;
        for (int k = 0; k < d.n; k++) {
            count[d.kind[k]]++;
            ck_assert(d.amount[k] >= least[d.kind[k]] && d.amount[k] <= most[d.kind[k]]);
            ck_assert(k == 0 || d.kind[k] != DISTORT_BRIGHTNESS);
        }
        contrast_last += d.n == 4 && d.kind[3] == DISTORT_CONTRAST;
    }
    for (int kind = 0; kind < 4; kind++) {
        ck_assert_double_eq_tol((double)count[kind] / DRAWS, 0.5, 0.03);
    }
    ck_assert_double_eq_tol((double)none / DRAWS, 1.0 / 16, 0.015);
    ck_assert_double_eq_tol((double)contrast_last / DRAWS, 1.0 / 32, 0.012);
}
END_TEST

/* Darknet: always, the factor as often over 1 as under, within [1/s, s]; s under 1 means the same.
 */
START_TEST(darknet_changes_every_picture)
{
    const struct distort_options o = {.saturation = 1.5, .exposure = 0.75, .hue = 0.1};
    int over[2] = {0}, turned = 0;

    for (int i = 0; i < DRAWS; i++) {
        const struct distortion d = choose(&o, i);
        ck_assert_int_eq(d.n, 3);
        ck_assert(d.kind[0] == DISTORT_SATURATION && d.kind[1] == DISTORT_CONTRAST &&
                  d.kind[2] == DISTORT_HUE);
        ck_assert(d.amount[0] >= 1 / 1.5 && d.amount[0] <= 1.5);
        ck_assert(d.amount[1] >= 0.75 && d.amount[1] <= 1 / 0.75);
        ck_assert(fabs(d.amount[2]) <= 36);
        over[0] += d.amount[0] > 1;
        over[1] += d.amount[1] > 1;
        turned += d.amount[2] > 0;
    }
    ck_assert_double_eq_tol((double)over[0] / DRAWS, 0.5, 0.03);
    ck_assert_double_eq_tol((double)over[1] / DRAWS, 0.5, 0.03);
    ck_assert_double_eq_tol((double)turned / DRAWS, 0.5, 0.03);
}
END_TEST

START_TEST(off_is_off)
{
    const struct distort_options one = {.saturation = 1, .exposure = 1}, zero = {.each = 0};

    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(choose(&one, i).n, 0);
        ck_assert_int_eq(choose(&zero, i).n, 0);
    }
}
END_TEST

static void check(enum distort_kind kind, double amount, const uint8_t in[3], const uint8_t want[3])
{
    const struct distortion d = {.kind = {kind}, .amount = {amount}, .n = 1};
    uint8_t rgb[3];
    const struct image img = {.rgb = rgb, .width = 1, .height = 1};
    struct image out;

    memcpy(rgb, in, sizeof rgb);
    ck_assert(distort_apply(&d, &img, &out));
    ck_assert_mem_eq(rgb, in, sizeof rgb);
    for (int c = 0; c < 3; c++) {
        ck_assert_msg(out.rgb[c] == want[c], "kind %d by %g: channel %d is %d, not %d", kind,
                      amount, c, out.rgb[c], want[c]);
    }
    image_free(&out);
}

START_TEST(pixels_change_as_they_should)
{
    static const uint8_t grey[3] = {90, 90, 90}, red[3] = {200, 0, 0}, mixed[3] = {200, 100, 150};

    check(DISTORT_BRIGHTNESS, 20, mixed, (const uint8_t[]){220, 120, 170});
    check(DISTORT_BRIGHTNESS, -120, mixed, (const uint8_t[]){80, 0, 30});
    check(DISTORT_CONTRAST, 1.5, mixed, (const uint8_t[]){255, 150, 225});
    check(DISTORT_CONTRAST, 0.5, mixed, (const uint8_t[]){100, 50, 75});
    check(DISTORT_SATURATION, 0.5, mixed, (const uint8_t[]){200, 150, 175});
    check(DISTORT_SATURATION, 5, mixed, (const uint8_t[]){200, 0, 100}); /* S is at most 1 */
    check(DISTORT_SATURATION, 1.5, grey, grey);
    check(DISTORT_HUE, 120, red, (const uint8_t[]){0, 200, 0});
    check(DISTORT_HUE, -120, red, (const uint8_t[]){0, 0, 200});
    check(DISTORT_HUE, 180, mixed, (const uint8_t[]){100, 200, 150});
    check(DISTORT_HUE, 30, grey, grey);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {ssd_chooses_each_by_chance, darknet_changes_every_picture,
                                  off_is_off, pixels_change_as_they_should, NULL};
    return run_tests("distort", tests);
}
