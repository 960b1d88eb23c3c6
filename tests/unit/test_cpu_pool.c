/*
 * test_cpu_pool.c - pooling and resizing against the reference loops: windows that reach over the
 * edges, ceil mode's last window, windows wholly outside, ties, slices, odd ratios, wide rows.
 */
#include "cpu_case.h"

enum pool_kind { MAX_POOL, AVG_POOL, RESIZE };

struct pool_call {
    const char *name;
    enum pool_kind kind;
    struct pool_desc d;
    bool bilinear;
    int n, c, h, w, out_h, out_w;

    bool backward, no_argmax;
    real beta;
    struct view x, y, argmax;
};

static const struct pool_call calls[] = {
    {.name = "max 2",
     .kind = MAX_POOL,
     .d = {2, 2, 0},
     .n = 2,
     .c = 5,
     .h = 8,
     .w = 6,
     .out_h = 4,
     .out_w = 3},
    {.name = "max 3 s2",
     .kind = MAX_POOL,
     .d = {3, 2, 1},
     .n = 1,
     .c = 3,
     .h = 15,
     .w = 14,
     .out_h = 8,
     .out_w = 7},
    {.name = "max 3 s2 ceil",
     .kind = MAX_POOL,
     .d = {3, 2, 0},
     .n = 1,
     .c = 3,
     .h = 16,
     .w = 14,
     .out_h = 8,
     .out_w = 7},
    {.name = "max 3 s2 in place",
     .kind = MAX_POOL,
     .d = {3, 2, 1},
     .n = 2,
     .c = 3,
     .h = 9,
     .w = 45,
     .out_h = 5,
     .out_w = 23},
    {.name = "max 2 s1",
     .kind = MAX_POOL,
     .d = {2, 1, 0},
     .n = 2,
     .c = 3,
     .h = 13,
     .w = 13,
     .out_h = 13,
     .out_w = 13},
    {.name = "max 13",
     .kind = MAX_POOL,
     .d = {13, 1, 6},
     .n = 1,
     .c = 3,
     .h = 9,
     .w = 9,
     .out_h = 9,
     .out_w = 9},
    {.name = "max of one",
     .kind = MAX_POOL,
     .d = {1, 1, 0},
     .n = 3,
     .c = 3,
     .h = 1,
     .w = 1,
     .out_h = 1,
     .out_w = 1},
    {.name = "max outside",
     .kind = MAX_POOL,
     .d = {2, 2, 2},
     .n = 1,
     .c = 2,
     .h = 4,
     .w = 5,
     .out_h = 4,
     .out_w = 5},
    {.name = "max wide",
     .kind = MAX_POOL,
     .d = {3, 1, 1},
     .n = 1,
     .c = 1,
     .h = 3,
     .w = 700,
     .out_h = 3,
     .out_w = 700},
    {.name = "max many",
     .kind = MAX_POOL,
     .d = {3, 2, 1},
     .n = 3,
     .c = 90,
     .h = 24,
     .w = 25,
     .out_h = 12,
     .out_w = 13},
    {.name = "max 5 s3 wide",
     .kind = MAX_POOL,
     .d = {5, 3, 2},
     .n = 1,
     .c = 2,
     .h = 11,
     .w = 1000,
     .out_h = 4,
     .out_w = 334},
    {.name = "max of the largest windows",
     .kind = MAX_POOL,
     .d = {MAXPOOL_MOST, MAXPOOL_MOST, MAXPOOL_MOST - 1},
     .n = 1,
     .c = 1,
     .h = 3,
     .w = 10000,
     .out_h = 1,
     .out_w = 10},
    {.name = "avg 2",
     .kind = AVG_POOL,
     .d = {2, 2, 0},
     .n = 2,
     .c = 5,
     .h = 8,
     .w = 6,
     .out_h = 4,
     .out_w = 3},
    {.name = "avg 2 of whole rows and rests",
     .kind = AVG_POOL,
     .d = {2, 2, 0},
     .n = 2,
     .c = 3,
     .h = 6,
     .w = 44,
     .out_h = 3,
     .out_w = 22},
    {.name = "avg 3 s2",
     .kind = AVG_POOL,
     .d = {3, 2, 1},
     .n = 1,
     .c = 3,
     .h = 15,
     .w = 14,
     .out_h = 8,
     .out_w = 7},
    {.name = "avg outside",
     .kind = AVG_POOL,
     .d = {2, 2, 2},
     .n = 1,
     .c = 2,
     .h = 4,
     .w = 5,
     .out_h = 4,
     .out_w = 5},
    {.name = "avg global",
     .kind = AVG_POOL,
     .d = {31, 31, 0},
     .n = 3,
     .c = 40,
     .h = 31,
     .w = 17,
     .out_h = 1,
     .out_w = 1},
    {.name = "avg of windows too large for a line",
     .kind = AVG_POOL,
     .d = {1500, 700, 300},
     .n = 1,
     .c = 2,
     .h = 9,
     .w = 2000,
     .out_h = 1,
     .out_w = 4},
    {.name = "avg wide",
     .kind = AVG_POOL,
     .d = {2, 2, 0},
     .n = 1,
     .c = 2,
     .h = 5,
     .w = 701,
     .out_h = 3,
     .out_w = 351},
    {.name = "avg 3 s3",
     .kind = AVG_POOL,
     .d = {3, 3, 0},
     .n = 2,
     .c = 3,
     .h = 19,
     .w = 17,
     .out_h = 6,
     .out_w = 5},
    {.name = "avg 5 s1",
     .kind = AVG_POOL,
     .d = {5, 1, 2},
     .n = 1,
     .c = 3,
     .h = 13,
     .w = 13,
     .out_h = 13,
     .out_w = 13},
    {.name = "nearest 3",
     .kind = RESIZE,
     .n = 1,
     .c = 3,
     .h = 6,
     .w = 11,
     .out_h = 18,
     .out_w = 33},
    {.name = "nearest down",
     .kind = RESIZE,
     .n = 1,
     .c = 2,
     .h = 5,
     .w = 9001,
     .out_h = 2,
     .out_w = 5},
    {.name = "bilinear down",
     .kind = RESIZE,
     .bilinear = true,
     .n = 1,
     .c = 2,
     .h = 7,
     .w = 9001,
     .out_h = 3,
     .out_w = 7},
    {.name = "bilinear 2 of one row",
     .kind = RESIZE,
     .bilinear = true,
     .n = 2,
     .c = 3,
     .h = 1,
     .w = 23,
     .out_h = 5,
     .out_w = 46},
    {.name = "nearest 2", .kind = RESIZE, .n = 2, .c = 3, .h = 5, .w = 4, .out_h = 10, .out_w = 8},
    {.name = "nearest odd", .kind = RESIZE, .n = 2, .c = 3, .h = 5, .w = 4, .out_h = 7, .out_w = 3},
    {.name = "bilinear 2",
     .kind = RESIZE,
     .bilinear = true,
     .n = 2,
     .c = 3,
     .h = 5,
     .w = 4,
     .out_h = 10,
     .out_w = 8},
    {.name = "bilinear odd",
     .kind = RESIZE,
     .bilinear = true,
     .n = 2,
     .c = 3,
     .h = 7,
     .w = 9,
     .out_h = 4,
     .out_w = 20},
    {.name = "bilinear of one",
     .kind = RESIZE,
     .bilinear = true,
     .n = 2,
     .c = 3,
     .h = 1,
     .w = 1,
     .out_h = 4,
     .out_w = 5},
    {.name = "bilinear wide",
     .kind = RESIZE,
     .bilinear = true,
     .n = 1,
     .c = 2,
     .h = 2,
     .w = 300,
     .out_h = 3,
     .out_w = 601},
};
enum { CALLS = sizeof calls / sizeof *calls };

static void run_forward(const struct pool_call *c, struct backend *be, struct view x, struct view y,
                        struct view argmax)
{
    const struct view none = {0};

    if (c->kind == MAX_POOL) {
        be->ops->maxpool_fwd(be, &c->d, x, y, c->no_argmax ? none : argmax);
    } else if (c->kind == AVG_POOL) {
        be->ops->avgpool_fwd(be, &c->d, x, y);
    } else {
        be->ops->resize_fwd(be, c->bilinear, x, y);
    }
}

static void run_pool(struct backend *be, const void *args, real *const buf[])
{
    const struct pool_call *c = args;
    const struct view x = case_bind(c->x, buf[0]), y = case_bind(c->y, buf[1]);
    const struct view argmax = case_bind(c->argmax, buf[2]);

    if (!c->backward) {
        run_forward(c, be, x, y, argmax);
    } else if (c->kind == MAX_POOL) {
        be->ops->maxpool_bwd(be, &c->d, argmax, y, c->beta, x);
    } else if (c->kind == AVG_POOL) {
        be->ops->avgpool_bwd(be, &c->d, y, c->beta, x);
    } else {
        be->ops->resize_bwd(be, c->bilinear, y, c->beta, x);
    }
}

static void check(struct pool_call c, int extra)
{
    struct cpu_case t = {.name = c.name, .run = run_pool, .args = &c, .tolerance = 1e-5};
    const struct shape out = {c.n, c.c, c.out_h, c.out_w};
    int index;

    c.x = case_view(&t, (struct shape){c.n, c.c, c.h, c.w}, extra, &index);
    c.y = case_view(&t, out, extra, &index);
    c.argmax = case_view(&t, out, 0, &index);
    for (size_t i = 0; i < t.size[0]; i++) {
        t.start[0][i] = (real)round(4 * (double)t.start[0][i]); /* there will be ties */
    }
    if (c.backward && c.kind == MAX_POOL) {
        struct backend *plain = case_open("plain", 1);
        real *y = mem_alloc(t.size[1], sizeof *y);
        plain->ops->maxpool_fwd(plain, &c.d, c.x, case_bind(c.y, y), c.argmax);
        mem_free(y);
        backend_close(plain);
    }
    if (!c.backward) {
        case_fill(c.y, (real)NAN);
    } else if (c.beta == 0) {
        case_fill(c.x, (real)NAN);
    }
    case_check(&t);
}

START_TEST(test_pool)
{
    struct pool_call c = calls[_i];

    check(c, 1);
    c.no_argmax = true;
    check(c, 0);
    c.backward = true;
    check(c, 1);
    c.beta = 1;
    check(c, 0);
}
END_TEST

/* What the picture says: not only that two loops agree. */
START_TEST(test_values)
{
    struct backend *be = case_open("cpu", 1);
    const struct pool_desc d = {2, 2, 1};
    real x[6] = {1, 2, (real)NAN, 2, 2, 0}, y[4], at[4], wide[4];
    const struct shape in = {1, 1, 2, 3}, out = {1, 1, 2, 2};

    be->ops->maxpool_fwd(be, &d, view_dense(x, in), view_dense(y, out), view_dense(at, out));
    ck_assert(y[0] == 1 && at[0] == 0);
    ck_assert(isnan((double)y[1]) && at[1] == 2);
    ck_assert(y[2] == 2 && at[2] == 3);
    ck_assert(y[3] == 2 && at[3] == 4);
    be->ops->maxpool_fwd(be, &d, view_dense(x, in), view_dense(y, out), (struct view){0});
    ck_assert(y[0] == 1 && isnan((double)y[1]) && y[2] == 2 && y[3] == 2);
    be->ops->resize_fwd(be, true, view_dense(x, (struct shape){1, 1, 1, 2}),
                        view_dense(wide, (struct shape){1, 1, 1, 4}));
    ck_assert(wide[0] == 1 && wide[1] == (real)1.25 && wide[2] == (real)1.75 && wide[3] == 2);
    backend_close(be);
}
END_TEST

/* Windows of nothing but -infinity, and NaN among them, at edges and far from them. */
START_TEST(test_extremes)
{
    enum { H = 7, W = 45, OUT_H = 4, OUT_W = 23 };
    const struct shape in = {1, 1, H, W}, out = {1, 1, OUT_H, OUT_W};
    const struct pool_desc d = {3, 2, 1};
    struct backend *be[2] = {case_open("plain", 1), case_open("cpu", 1)};
    real x[H * W], y[2][OUT_H * OUT_W], at[2][OUT_H * OUT_W];

    for (int i = 0; i < H * W; i++) {
        x[i] = i % 17 == 5 ? (real)NAN : i % 29 == 3 ? (real)i : -(real)INFINITY;
    }
    for (int k = 0; k < 2; k++) {
        be[k]->ops->maxpool_fwd(be[k], &d, view_dense(x, in), view_dense(y[k], out),
                                view_dense(at[k], out));
        backend_close(be[k]);
    }
    for (int i = 0; i < OUT_H * OUT_W; i++) {
        ck_assert(at[0][i] == at[1][i]);
        ck_assert(y[0][i] == y[1][i] || (isnan((double)y[0][i]) && isnan((double)y[1][i])));
    }
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("pool");

    tcase_add_loop_test(tests, test_pool, 0, CALLS);
    tcase_add_test(tests, test_values);
    tcase_add_test(tests, test_extremes);
    return case_main(tests);
}
