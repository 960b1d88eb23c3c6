/*
 * test_mask_paste.c - masks pasted into pictures: pixel by pixel as the definition says, what
 * PyTorch makes of the same masks (scripts/golden/mask_paste.py), and odd boxes.
 */
#include "det/mask_paste.h"

#include "base/mem.h"
#include "base/rng.h"
#include "io/safetensors.h"
#include "run.h"

#include <math.h>
#include <string.h>

enum { SIDE = 7, H = 23, W = 31 };

static struct rle paste(const real *mask, int side, struct box b, int h, int w)
{
    struct rle m;
    struct err err = {0};

    ck_assert_int_eq(mask_paste(mask, side, &b, h, w, &m, &err), VOV_OK);
    return m;
}

/* A cell, 0 beyond the grid. */
static double cell(const real *mask, int x, int y)
{
    return x >= 0 && y >= 0 && x < SIDE && y < SIDE ? (double)mask[y * SIDE + x] : 0;
}

static double chance(const real *mask, struct box b, int x, int y)
{
    const double u = (x + 0.5 - (double)b.x0) / (double)(b.x1 - b.x0) * SIDE - 0.5;
    const double v = (y + 0.5 - (double)b.y0) / (double)(b.y1 - b.y0) * SIDE - 0.5;
    const int i = (int)floor(u), j = (int)floor(v);
    const double s = u - i, t = v - j;

    return (1 - t) * ((1 - s) * cell(mask, i, j) + s * cell(mask, i + 1, j)) +
           t * ((1 - s) * cell(mask, i, j + 1) + s * cell(mask, i + 1, j + 1));
}

START_TEST(as_defined)
{
    static const int all[4] = {0, 0, W, H};
    uint8_t got[H * W];
    int n = 0, wrong = 0;

    for (int k = 0; k < 200; k++) {
        struct rng r = rng_open(6, RNG_TEST, (uint64_t)k, 0);
        real mask[SIDE * SIDE];
        const double x = rng_range(&r, -9, 25), y = rng_range(&r, -9, 20);
        const struct box b = {(real)x, (real)y, (real)(x + rng_range(&r, 0.1, 40)),
                              (real)(y + rng_range(&r, 0.1, 30))};
        for (int i = 0; i < SIDE * SIDE; i++) {
            mask[i] = (real)rng_uniform(&r);
        }
        struct rle m = paste(mask, SIDE, b, H, W);
        rle_spread(&m, all, got);
        for (int i = 0; i < H * W; i++) {
            const double want = chance(mask, b, i % W, i / W);
            if (fabs(want - 0.5) > 1e-4) {
                wrong += got[i] != (want >= 0.5);
                n += got[i];
            }
        }
        rle_free(&m);
    }
    ck_assert_int_eq(wrong, 0);
    ck_assert_int_gt(n, 5000);
}
END_TEST

/* A grid of ones is its box: the pixels whose centres it holds. Runs go on from column to column,
 * so the string is that of the same mask drawn as a polygon. */
START_TEST(a_full_box)
{
    static const double corners[] = {4, 0, 20, 0, 20, H, 4, H};
    real ones[SIDE * SIDE];
    struct err err = {0};
    struct rle m, same;
    struct buf a = {0}, b = {0};

    for (int i = 0; i < SIDE * SIDE; i++) {
        ones[i] = 1;
    }
    m = paste(ones, SIDE, (struct box){(real)3.7, 0, (real)20.4, H}, H, W);
    ck_assert_int_eq(m.n, 3);
    ck_assert_int_eq(rle_from_polygon(corners, 8, H, W, &same, &err), VOV_OK);
    rle_to_string(&m, &a);
    rle_to_string(&same, &b);
    ck_assert_str_eq(a.p, b.p);
    buf_free(&a);
    buf_free(&b);
    rle_free(&m);
    rle_free(&same);
    m = paste(ones, SIDE, (struct box){-5, -5, W + 5, H + 5}, H, W);
    ck_assert_int_eq(m.n, 2);
    ck_assert_uint_eq(m.run[0], 0);
    ck_assert_uint_eq(m.run[1], H * W);
    rle_free(&m);
}
END_TEST

START_TEST(odd_boxes)
{
    const real nan = (real)NAN, inf = (real)INFINITY, far = (real)1e30;
    const struct box boxes[] = {{5, 5, 5, 9},           {9, 5, 5, 9},
                                {nan, 1, 5, 9},         {1, 1, nan, 9},
                                {-inf, -inf, inf, inf}, {far, far, 2 * far, 2 * far},
                                {-20, -20, -10, -10},   {W + 1, 2, W + 9, 9}};
    real ones[SIDE * SIDE];
    struct err err = {0};
    struct rle m;

    for (int i = 0; i < SIDE * SIDE; i++) {
        ones[i] = 1;
    }
    for (size_t i = 0; i < sizeof boxes / sizeof *boxes; i++) {
        m = paste(ones, SIDE, boxes[i], H, W);
        double sum = 0;
        for (int k = 0; k < m.n; k++) {
            sum += m.run[k];
        }
        ck_assert_double_eq(sum, H * W);
        ck_assert_msg(i == 4 || m.n == 1, "box %zu has pixels", i);
        rle_free(&m);
    }
    const struct box b = {2, 2, 9, 9};
    ck_assert_int_eq(mask_paste(ones, SIDE, &b, RLE_MAX_SIDE + 1, 5, &m, &err), VOV_EFORMAT);
    for (int n = 1; n <= 3; n++) {
        mem_fail_after(n);
        ck_assert_int_eq(mask_paste(ones, SIDE, &b, H, W, &m, &err), VOV_ENOMEM);
        mem_fail_after(0);
    }
}
END_TEST

static const struct st_tensor *find(const struct safetensors *st, const char *name, real **v)
{
    const struct st_tensor *t = safetensors_find(st, name);
    struct err err = {0};

    ck_assert_ptr_nonnull(t);
    *v = mem_alloc(t->count, sizeof **v);
    ck_assert_ptr_nonnull(*v);
    ck_assert_int_eq(safetensors_numbers(t, *v, &err), VOV_OK);
    return t;
}

/* Our pixels of one mask against the reference's chances; those within rounding of a half may go
 * either way. Returns the overlap with the mask that torchvision's rounding gives. */
static double compare(const uint8_t *got, const real *want, const real *rounded, size_t n)
{
    double both = 0, any = 0;
    int wrong = 0;

    for (size_t i = 0; i < n; i++) {
        wrong += fabs((double)want[i] - 0.5) > 1e-5 && got[i] != (want[i] >= (real)0.5);
        both += got[i] && rounded[i] > 0;
        any += got[i] || rounded[i] > 0;
    }
    ck_assert_int_eq(wrong, 0);
    return both / any;
}

START_TEST(as_pytorch)
{
    struct safetensors st;
    struct err err = {0};
    real *boxes, *masks, *want, *rounded;

    ck_assert_int_eq(safetensors_read("tests/golden/mask_paste.safetensors", &st, &err), VOV_OK);
    find(&st, "boxes", &boxes);
    find(&st, "rounded", &rounded);
    const int side = (int)find(&st, "masks", &masks)->dim[1];
    const struct st_tensor *t = find(&st, "chance", &want);
    const int n = (int)t->dim[0], h = (int)t->dim[1], w = (int)t->dim[2], all[] = {0, 0, w, h};
    const size_t pixels = (size_t)h * (size_t)w;
    uint8_t *got = mem_alloc(pixels, 1);
    for (int i = 0; i < n; i++) {
        const real *b = boxes + (ptrdiff_t)i * 4;
        struct rle m = paste(masks + (ptrdiff_t)i * side * side, side,
                             (struct box){b[0], b[1], b[2], b[3]}, h, w);
        rle_spread(&m, all, got);
        const double iou =
            compare(got, want + (size_t)i * pixels, rounded + (size_t)i * pixels, pixels);
        const bool large = b[2] - b[0] > 25 && b[3] - b[1] > 25; /* a pixel weighs little */
        ck_assert_msg(!large || iou > 0.8, "mask %d and torchvision's overlap by %.3f", i, iou);
        rle_free(&m);
    }
    ck_assert_int_eq(n, 6);
    mem_free(boxes);
    mem_free(masks);
    mem_free(want);
    mem_free(rounded);
    mem_free(got);
    safetensors_free(&st);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {as_defined, a_full_box, odd_boxes, as_pytorch, NULL};
    return run_tests("mask paste", tests);
}
