/*
 * test_mask.c - annotated masks as grids over boxes: areas by hand, polygons against the same shape
 * as run lengths, several polygons as their union; and a mask through crop, scale and mirror
 * against the polygon that went the same way.
 */
#include "data/mask_grid.h"

#include "base/mem.h"
#include "base/rng.h"
#include "data/augment.h"
#include "det/rle.h"
#include "run.h"

#include <math.h>
#include <string.h>

enum { SIDE = 28, CELLS = SIDE * SIDE };

static struct seg polygon(double *xy, int *n)
{
    static double *poly[1];

    poly[0] = xy;
    return (struct seg){.poly = poly, .poly_len = n, .n_poly = 1};
}

static void make(const struct seg *s, struct box part, bool mirror, int side, real *out)
{
    struct err err = {0};

    ck_assert_int_eq(mask_grid(s, &part, mirror, side, out, &err), VOV_OK);
}

static double sum(const real *v, int n)
{
    double s = 0;

    for (int i = 0; i < n; i++) {
        s += (double)v[i];
    }
    return s;
}

/* A triangle's lower left half of a box covers each cell by what can be said without a computer. */
START_TEST(a_triangle)
{
    double xy[] = {10, 20, 10, 24, 18, 24};
    int n = 6;
    const struct seg s = polygon(xy, &n);
    real out[16];

    make(&s, (struct box){10, 20, 18, 24}, false, 4, out);
    for (int y = 0; y < 4; y++) {
        for (int x = 0; x < 4; x++) {
            const double want = x < y ? 1 : x == y ? 0.5 : 0;
            ck_assert_double_eq_tol((double)out[y * 4 + x], want, 1e-6);
        }
    }
    make(&s, (struct box){10, 20, 18, 24}, true, 4, out);
    for (int y = 0; y < 4; y++) {
        for (int x = 0; x < 4; x++) {
            const double want = 3 - x < y ? 1 : 3 - x == y ? 0.5 : 0;
            ck_assert_double_eq_tol((double)out[y * 4 + x], want, 1e-6);
        }
    }
}
END_TEST

/* Columns of a 3 x 4 picture: pixels (0,1) (0,2); (1,2); (2,0) (2,1) (2,2) (2,3). */
START_TEST(runs_are_exact)
{
    unsigned run[] = {1, 2, 3, 1, 1, 4};
    const struct seg s = {.height = 4, .width = 3, .rle = run, .n_rle = 6};
    static const real want[] = {0, 0, 1, 1, 0, 1, 1, 1, 1, 0, 0, 1};
    real fine[36], two[4];

    make(&s, (struct box){0, 0, 3, 3}, false, 6, fine); /* two cells a pixel */
    for (int i = 0; i < 36; i++) {
        ck_assert_double_eq_tol((double)fine[i], (double)want[i / 12 * 3 + i % 6 / 2], 1e-6);
    }
    make(&s, (struct box){0, 0, 3, 3}, false, 2, two); /* cells of one and a half pixels */
    ck_assert_double_eq_tol((double)two[0] * 2.25, 0.5, 1e-6);
    ck_assert_double_eq_tol((double)two[1] * 2.25, 1.5, 1e-6);
    ck_assert_double_eq_tol((double)two[2] * 2.25, 0.5 + 1 + 0.5, 1e-6);
    ck_assert_double_eq_tol((double)two[3] * 2.25, 0.5 + 1 + 0.5, 1e-6);
}
END_TEST

/* Overlapping polygons count once, a hole that a polygon draws over itself stays open. */
START_TEST(polygons_unite)
{
    double a[] = {0, 0, 4, 0, 4, 4, 0, 4}, b[] = {2, 2, 6, 2, 6, 6, 2, 6};
    double ring[] = {0, 0, 8, 0, 8, 8, 0, 8, 0, 0, 2, 2, 6, 2, 6, 6, 2, 6, 2, 2};
    double *poly[] = {a, b};
    int len[] = {8, 8}, ring_len = 20;
    const struct seg two = {.poly = poly, .poly_len = len, .n_poly = 2};
    const struct seg one = polygon(ring, &ring_len);
    real out[64];

    make(&two, (struct box){0, 0, 8, 8}, false, 8, out);
    ck_assert_double_eq_tol(sum(out, 64), 16 + 16 - 4, 1e-4);
    ck_assert_double_eq_tol((double)out[2 * 8 + 2], 1, 1e-6);
    make(&one, (struct box){0, 0, 8, 8}, false, 8, out);
    ck_assert_double_eq_tol(sum(out, 64), 64 - 16, 1e-4);
    ck_assert_double_eq_tol((double)out[4 * 8 + 4], 0, 1e-6);
}
END_TEST

/* Hostile coordinates give numbers between 0 and 1, and nothing fills everything. */
START_TEST(odd_masks)
{
    double wild[] = {-1e308, 3, 1e308, -1e308, 5, 1e308, 1e-308, 2};
    int n = 8;
    const struct seg s = polygon(wild, &n), empty = {0};
    real out[CELLS];

    make(&s, (struct box){0, 0, 9, 9}, false, SIDE, out);
    int beyond = 0;
    for (int i = 0; i < CELLS; i++) {
        beyond += !(out[i] >= 0 && out[i] <= 1);
    }
    ck_assert_int_eq(beyond, 0);
    make(&empty, (struct box){0, 0, 9, 9}, false, SIDE, out);
    ck_assert_double_eq(sum(out, CELLS), 0);
    make(NULL, (struct box){0, 0, 9, 9}, false, SIDE, out);
    ck_assert_double_eq(sum(out, CELLS), CELLS);
    mem_fail_after(1);
    struct err err = {0};
    const struct box part = {0, 0, 9, 9};
    ck_assert_int_eq(mask_grid(&s, &part, false, SIDE, out, &err), VOV_ENOMEM);
    mem_fail_after(0);
}
END_TEST

/* A star somewhere in a picture of 60 x 50. */
static void random_star(struct rng *r, double *xy, int points)
{
    const double x = rng_range(r, 5, 55), y = rng_range(r, 5, 45), size = rng_range(r, 4, 30);

    for (int i = 0; i < points; i++) {
        const double radius = size * rng_range(r, 0.3, 1), turn = 2 * M_PI * i / points;
        xy[2 * i] = fmin(60, fmax(0, x + radius * cos(turn)));
        xy[2 * i + 1] = fmin(50, fmax(0, y + radius * sin(turn)));
    }
}

static struct box bounds(const double *xy, int n)
{
    struct box b = {1e9f, 1e9f, -1e9f, -1e9f};

    for (int i = 0; i < n; i += 2) {
        b.x0 = (real)fmin((double)b.x0, xy[i]);
        b.x1 = (real)fmax((double)b.x1, xy[i]);
        b.y0 = (real)fmin((double)b.y0, xy[i + 1]);
        b.y1 = (real)fmax((double)b.y1, xy[i + 1]);
    }
    return b;
}

/* What augmentation makes of a picture's mask, against the polygon that was moved into the input
 * point by point and drawn over the truth row's box there. */
static void follow(bool letterbox, double flip)
{
    enum { W = 80, H = 64, POINTS = 9, ROWS = 2 };
    static real planes[3 * W * H], masks[ROWS * CELLS], want[CELLS];
    const struct augment a = {.crop = 1, .expand = 0.5, .max_expand = 2, .flip = flip};
    const struct pixels px = {.width = W, .height = H, .std = {1, 1, 1}, .letterbox = letterbox};
    struct image img = {.rgb = mem_alloc(60 * 50, 3), .width = 60, .height = 50};
    struct err err = {0};
    int seen = 0;

    for (int i = 0; i < 200; i++) {
        struct rng r = rng_open(3, RNG_TEST, (uint64_t)i, 0);
        double xy[2 * POINTS];
        int n = 2 * POINTS;
        real rows[5 * ROWS];
        struct placing at;
        random_star(&r, xy, POINTS);
        struct seg seg = polygon(xy, &n);
        struct truth t = {.box = bounds(xy, n), .seg = &seg};
        const struct item it = {.truth = &t, .n_truth = 1};
        const struct sample out = {.planes = planes,
                                   .truth = rows,
                                   .masks = masks,
                                   .max_boxes = ROWS,
                                   .mask_side = SIDE,
                                   .where = &at};
        ck_assert_int_eq(augment_apply(&a, &r, &img, &it, &px, &out, &err), VOV_OK);
        if (rows[4] <= 0) {
            continue;
        }
        for (int k = 0; k < n; k += 2) {
            const double x = xy[k] * at.scale_x + at.off_x;
            xy[k] = flip > 0 ? 2 * at.x + at.width - x : x;
            xy[k + 1] = xy[k + 1] * at.scale_y + at.off_y;
        }
        make(&seg, (struct box){rows[0] * W, rows[1] * H, rows[2] * W, rows[3] * H}, false, SIDE,
             want);
        double worst = 0;
        for (int k = 0; k < CELLS; k++) {
            worst = fmax(worst, fabs((double)masks[k] - (double)want[k]));
        }
        ck_assert_double_le(worst, 0.02);
        ck_assert_double_eq(sum(masks + CELLS, CELLS), 0);
        seen++;
    }
    ck_assert_int_gt(seen, 100);
    image_free(&img);
}

START_TEST(masks_follow_pictures)
{
    follow(false, 0);
    follow(false, 1);
    follow(true, 0);
    follow(true, 1);
}
END_TEST

/* Of a mask that a window cuts, the grid lies over what is left of the box. */
START_TEST(cut_masks)
{
    double xy[] = {0, 0, 20, 0, 20, 10, 0, 10}, low[] = {10, 0, 20, 0, 20, 5, 10, 5};
    int n = 8;
    real whole[CELLS], part[4];
    const struct seg s = polygon(xy, &n);

    make(&s, (struct box){5, 5, 15, 9}, false, SIDE, whole);
    ck_assert_double_eq_tol(sum(whole, CELLS), CELLS, 1e-3);
    const struct seg corner = polygon(low, &n);
    make(&corner, (struct box){5, 0, 15, 10}, false, 2, part);
    ck_assert_double_eq_tol((double)part[1], 1, 1e-6);
    ck_assert_double_eq_tol(sum(part, 4), 1, 1e-6);
}
END_TEST

/* The same shape as a polygon and as COCO's tools draw it: cells differ by the pixels' edges. */
START_TEST(polygons_and_runs_agree)
{
    double worst = 0;

    for (int i = 0; i < 50; i++) {
        struct rng r = rng_open(4, RNG_TEST, (uint64_t)i, 0);
        double xy[22];
        int n = 22;
        struct rle m;
        struct err err = {0};
        real a[CELLS], b[CELLS];
        random_star(&r, xy, 11);
        const struct box box = {0, 0, 60, 50};
        const struct seg s = polygon(xy, &n);
        ck_assert_int_eq(rle_from_polygon(xy, n, 50, 60, &m, &err), VOV_OK);
        const struct seg runs = {.height = 50, .width = 60, .rle = m.run, .n_rle = m.n};
        make(&s, box, i % 2 == 0, SIDE, a);
        make(&runs, box, i % 2 == 0, SIDE, b);
        worst = fmax(worst, fabs(sum(a, CELLS) - sum(b, CELLS)) / CELLS * 3000);
        rle_free(&m);
    }
    ck_assert_double_lt(worst, 60); /* pixels, of shapes with an outline of up to 200 */
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_triangle,
                                  runs_are_exact,
                                  polygons_unite,
                                  odd_masks,
                                  masks_follow_pictures,
                                  cut_masks,
                                  polygons_and_runs_agree,
                                  NULL};
    return run_tests("mask", tests);
}
