/*
 * test_roi.c - what two-stage detectors decide where rounding could: cells of a mask that are half
 * an object's, and regions at the edge of two levels.
 */
#include "base/rng.h"
#include "cpu/roi.h"
#include "run.h"

enum { SIDE = 12, SIZE = 6, NONE = 5 };

/* All but the grid's first five columns are object, and the region is the truth's box: the third
 * column of cells is half object, wherever the box lies. */
START_TEST(halves_are_objects)
{
    real grid[SIDE * SIDE], target[SIZE * SIZE];
    struct rng r = rng_open(1, RNG_TEST, 0, 0);

    for (int i = 0; i < SIDE * SIDE; i++) {
        grid[i] = i % SIDE < NONE ? 0 : 1;
    }
    for (int k = 0; k < 500; k++) {
        const real x = (real)rng_range(&r, 0, 1300), y = (real)rng_range(&r, 0, 800);
        const struct box b = {x, y, x + (real)rng_range(&r, 5, 300),
                              y + (real)rng_range(&r, 5, 300)};
        mask_target(&(const struct mask_grid){grid, SIDE, b}, &b, SIZE, target);
        for (int i = 0; i < SIZE * SIZE; i++) {
            ck_assert_msg(target[i] == (i % SIZE < 2 ? 0 : 1), "box %d, cell %d", k, i);
        }
    }
}
END_TEST

/* A square of the canonical size belongs to the level of stride 16, one a little smaller to the one
 * before; on each level. */
START_TEST(levels_begin_at_their_size)
{
    static const real canonical[] = {224, 64, 100, 37};

    for (int i = 0; i < 4; i++) {
        const struct roi_align_desc d = {
            .canonical = canonical[i], .first_level = 2, .n_levels = 4};
        for (int level = 1; level < 4; level++) {
            const real side = canonical[i] * (real)ldexp(1, level - 2);
            const real less = side * (real)0.99999;
            ck_assert_int_eq(roi_level(&d, (const real[]){0, 0, side, side}), level);
            ck_assert_int_eq(roi_level(&d, (const real[]){0, 0, less, less}), level - 1);
        }
        ck_assert_int_eq(roi_level(&d, (const real[]){5, 5, 5, 5}), 0);
        ck_assert_int_eq(roi_level(&d, (const real[]){0, 0, 5000, 5000}), 3);
        ck_assert_int_eq(roi_level(&d, (const real[]){0, 0, (real)NAN, 9}), 0);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {halves_are_objects, levels_begin_at_their_size, NULL};

    return run_tests("roi", tests);
}
