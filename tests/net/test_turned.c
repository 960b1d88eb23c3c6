/*
 * test_turned.c - pictures in their shape: a network that takes wide and standing pictures in turn
 * gives to the bit what two networks give that are built for either, with the same parameters; and
 * boxes lie where they lie in the picture.
 */
#include "base/rng.h"
#include "model/detector.h"

#include <check.h>
#include <math.h>
#include <string.h>

enum { WIDE = 96, HIGH = 64, BATCH = 2, BOXES = 32 };

static const char cfg[] = "tests/cli/tiny.cfg";
static const char *const wide_set[] = {"net.fit=pad", "net.width=96", "net.height=64"};
static const char *const tall_set[] = {"net.fit=pad", "net.width=64", "net.height=96"};

static struct backend *be;

static void setup(void)
{
    struct err err = {0};

    ck_assert(backend_open("cpu", 2, &be, &err) == VOV_OK);
}

static void teardown(void)
{
    backend_close(be);
}

static void open_training(struct model *m, const char *const *set, bool one_way)
{
    const struct model_options opt = {
        .training = true, .batch = BATCH, .set = set, .n_set = 3, .one_way = one_way};
    struct err_list errs = {0};
    struct err err = {0};

    ck_assert_msg(model_build(cfg, &opt, m, &errs) == VOV_OK, "%s", errs.item[0].msg);
    ck_assert_msg(model_start(m, be, 5, &err) == VOV_OK, "%s", err.msg);
}

/* A batch of noise with two objects in each picture, through both passes. */
static void step(struct model *m, uint64_t number)
{
    static real images[BATCH * 3 * WIDE * HIGH];
    real truth[BATCH * BOXES * 5] = {0};
    struct rng r = rng_open(9, RNG_TEST, number, 0);
    struct params *p = m->exec.first != NULL ? &m->exec.first->params : &m->exec.params;
    struct err err = {0};

    for (int i = 0; i < BATCH * 3 * WIDE * HIGH; i++) {
        images[i] = (real)rng_normal(&r);
    }
    for (int i = 0; i < BATCH * 2; i++) {
        real *row = truth + (i / 2 * BOXES + i % 2) * 5;
        row[0] = (real)rng_range(&r, 0, 0.5);
        row[1] = (real)rng_range(&r, 0, 0.5);
        row[2] = row[0] + (real)rng_range(&r, 0.2, 0.5);
        row[3] = row[1] + (real)rng_range(&r, 0.2, 0.5);
        row[4] = (real)(1 + rng_int(&r, 4));
    }
    be->ops->block_fill(be, p->n_learn, p->grad, 0);
    exec_set(&m->exec, m->input, images);
    exec_set(&m->exec, m->head.truth, truth);
    ck_assert_msg(exec_train(&m->exec, 1, &err) == VOV_OK, "%s", err.msg);
}

static void same_numbers(struct model *a, struct model *b)
{
    const struct params *p = &a->exec.params, *q = &b->exec.params;
    real v[4], w[4];

    ck_assert_int_gt(a->head.n_loss, 0);
    for (int i = 0; i < a->head.n_loss; i++) {
        const size_t n = shape_count(a->head.loss[i]->shape);
        ck_assert_uint_le(n, 4);
        exec_get(&a->exec, a->head.loss[i], v);
        exec_get(&b->exec, b->head.loss[i], w);
        ck_assert_mem_eq(v, w, n * sizeof *v);
        ck_assert(v[0] > 0);
    }
    ck_assert_uint_eq(p->n_learn, q->n_learn);
    ck_assert_mem_eq(p->grad, q->grad, p->n_learn * sizeof *p->grad);
}

START_TEST(trains_as_two)
{
    struct model both, wide, tall;

    open_training(&both, wide_set, false);
    open_training(&wide, wide_set, true);
    open_training(&tall, tall_set, true);
    ck_assert_ptr_nonnull(both.turned);
    ck_assert(wide.turned == NULL && tall.turned == NULL);
    ck_assert_int_eq(both.turned->input->shape.w, HIGH);
    ck_assert_ptr_eq(both.exec.arena, both.turned->exec.arena);
    ck_assert_ptr_eq(both.exec.params.val, both.turned->exec.params.val);
    for (uint64_t i = 0; i < 6; i++) { /* one, other, other, one, other, one */
        const bool turned = i == 1 || i == 2 || i == 4;
        struct model *alone = turned ? &tall : &wide, *m = model_way(&both, turned);
        step(m, i);
        step(alone, i);
        same_numbers(m, alone);
    }
    model_close(&both);
    model_close(&wide);
    model_close(&tall);
}
END_TEST

static void open_detector(struct detector *d, const char *const *set, bool one_way)
{
    const struct model_options opt = {.batch = 1, .set = set, .n_set = 3, .one_way = one_way};
    struct err_list errs = {0};

    ck_assert_msg(detector_open(d, cfg, NULL, &opt, be, &errs) == VOV_OK, "%s", errs.item[0].msg);
}

static void find(struct detector *d, const struct image *img, struct det_list *dets)
{
    struct err err = {0};

    det_clear(dets);
    ck_assert(detector_put(d, 0, img, &err) == VOV_OK);
    ck_assert(detector_run(d, &err) == VOV_OK);
    ck_assert(detector_get(d, 0, img->width, img->height, 0, dets, &err) == VOV_OK);
}

START_TEST(finds_as_two)
{
    static const int sizes[][2] = {{90, 60}, {50, 70}, {200, 40}, {40, 44}, {64, 64}, {30, 200}};
    struct detector both, wide, tall;
    struct det_list a = {0}, b = {0};

    open_detector(&both, wide_set, false);
    open_detector(&wide, wide_set, true);
    open_detector(&tall, tall_set, true);
    /* Most weights are packed alike for both ways, and there once. */
    const size_t packed = tall.model.exec.plan.pack_bytes; /* 0: OpenBLAS packs nothing */
    ck_assert_uint_le(both.model.turned->exec.plan.pack_bytes, packed / 2);
    ck_assert_uint_eq(both.model.exec.plan.pack_bytes, wide.model.exec.plan.pack_bytes);
    for (int i = 0; i < 12; i++) {
        const int w = sizes[i % 6][0], h = sizes[i % 6][1];
        struct image img = {.rgb = mem_alloc((size_t)w * (size_t)h, 3), .width = w, .height = h};
        struct rng r = rng_open(10, RNG_TEST, (uint64_t)i, 0);
        for (int k = 0; k < w * h * 3; k++) {
            img.rgb[k] = (uint8_t)rng_int(&r, 256);
        }
        find(&both, &img, &a);
        find(h > w ? &tall : &wide, &img, &b);
        ck_assert_int_eq(both.turned, h > w);
        ck_assert_int_gt(a.n, 3);
        ck_assert_int_eq(a.n, b.n);
        for (int k = 0; k < a.n; k++) {
            ck_assert_mem_eq(&a.v[k], &b.v[k], sizeof *a.v);
            ck_assert(a.v[k].box.x1 <= w && a.v[k].box.y1 <= h);
        }
        image_free(&img);
    }
    det_free(&a);
    det_free(&b);
    detector_close(&both);
    detector_close(&wide);
    detector_close(&tall);
}
END_TEST

/* Where a picture comes to lie: shorter side, longer side, rounding, the top left corner. */
START_TEST(sizes)
{
    static const struct {
        int w, h, to_w, to_h;
    } want[] = {
        {640, 480, 1067, 800}, {1000, 500, 1333, 667}, {500, 1000, 667, 1333},
        {800, 800, 800, 800},  {3, 2000, 2, 1333},     {427, 640, 800, 1199},
    };
    struct pixels px = {
        .width = 1344, .height = 800, .std = {1, 1, 1}, .short_side = 800, .long_side = 1333};
    real *planes = mem_alloc((size_t)3 * 1344 * 800, sizeof *planes);

    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        struct image img = {.width = want[i].w, .height = want[i].h};
        struct placing at;
        real part[4];
        const struct pixels in = img.height > img.width ? pixels_turned(&px) : px;
        img.rgb = mem_alloc((size_t)img.width * (size_t)img.height, 3);
        memset(img.rgb, 77, (size_t)img.width * (size_t)img.height * 3);
        ck_assert(image_fit(&img, &in, planes, &at) == VOV_OK);
        ck_assert_int_eq(at.width, want[i].to_w);
        ck_assert_int_eq(at.height, want[i].to_h);
        ck_assert(at.x == 0 && at.y == 0);
        int wrong = 0;
        for (int k = 0; k < in.width * in.height; k++) { /* grey, and 0 beyond */
            const bool inside = k % in.width < at.width && k / in.width < at.height;
            wrong += fabs((double)planes[k] - (inside ? 77 : 0)) > 1e-3;
        }
        ck_assert_int_eq(wrong, 0);
        placing_extent(&at, in.width, in.height, part);
        ck_assert(part[0] == 0 && part[1] == 0);
        ck_assert_double_eq_tol((double)part[2] * in.width, at.width, 1e-3);
        ck_assert_double_eq_tol((double)part[3] * in.height, at.height, 1e-3);
        image_free(&img);
    }
    mem_free(planes);
}
END_TEST

static void refuses(const char *a, const char *b, const char *why)
{
    const char *const set[] = {a, b};
    const struct model_options opt = {.set = set, .n_set = 2};
    struct err_list errs = {0};
    struct model m;

    ck_assert(model_build(cfg, &opt, &m, &errs) == VOV_ECFG);
    ck_assert_msg(strstr(errs.item[0].msg, why) != NULL, "%s", errs.item[0].msg);
    model_close(&m);
}

START_TEST(keys)
{
    refuses("net.short_side=32", "net.width=64", "belong to fit=pad");
    refuses("net.fit=pad", "net.short_side=65", "at most 64");
    refuses("net.fit=pad", "net.short_side=32.5", "whole number");
    refuses("net.fit=pad", "net.long_side=65", "at most 64");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("turned");
    TCase *tc = tcase_create("turned");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, trains_as_two);
    tcase_add_test(tc, finds_as_two);
    tcase_add_test(tc, sizes);
    tcase_add_test(tc, keys);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
