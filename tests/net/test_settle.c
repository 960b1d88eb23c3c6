/*
 * test_settle.c - weights that are folded and packed layer by layer, as they come from the file,
 * are those that are folded and packed once all are there: detections agree to the bit. And what is
 * asked of the memory of a detector that will see a few pictures.
 */
#include "base/rng.h"
#include "model/detector.h"
#include "train/checkpoint.h"

#include "unit/pages.h"
#include "unit/run.h"

#include <stdlib.h>
#include <unistd.h>

static const char cfg[] = "tests/cli/tiny.cfg";
enum { W = 90, H = 60 };

/* Norms that change something: a folded layer differs from one that is not. */
static void stir(struct params *p)
{
    for (int i = 0; i < p->n; i++) {
        const struct tensor *t = p->tensor[i];
        const size_t n = shape_count(t->shape);
        real *v = mem_alloc(n, sizeof *v);
        struct rng r = rng_open(7, RNG_TEST, (uint64_t)i, 0);
        ck_assert_ptr_nonnull(v);
        for (size_t k = 0; k < n; k++) {
            v[k] = (real)rng_range(&r, 0.5, 1.5);
        }
        if (t->kind != PARAM_WEIGHT) {
            params_set(p, p->val, t, v);
        }
        mem_free(v);
    }
}

static void look(struct detector *d, struct det_list *dets)
{
    struct image img = {.rgb = mem_alloc(W * H, 3), .width = W, .height = H};
    struct rng r = rng_open(5, RNG_TEST, 0, 0);
    struct err err = {0};

    ck_assert_ptr_nonnull(img.rgb);
    for (int i = 0; i < W * H * 3; i++) {
        img.rgb[i] = (uint8_t)rng_int(&r, 256);
    }
    ck_assert_msg(detector_put(d, 0, &img, &err) == VOV_OK, "%s", err.msg);
    ck_assert_msg(detector_run(d, &err) == VOV_OK, "%s", err.msg);
    ck_assert(detector_get(d, 0, W, H, 0.01, dets, &err) == VOV_OK);
    image_free(&img);
}

START_TEST(layer_by_layer_as_all_at_once)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    static const long long keys[] = {1, 2, 3, 4};
    const struct run_state state = {.class_name = names, .class_key = keys, .n_classes = 4};
    const struct model_options training = {.training = true, .batch = 1}, one = {.batch = 1};
    char path[] = "/tmp/vov-settle-XXXXXX";
    struct backend *be;
    struct model m;
    struct detector whole, layers;
    struct det_list want = {0}, got = {0};
    struct err_list errs = {0};
    struct err err = {0};
    close(mkstemp(path));

    ck_assert(backend_open(NULL, 1, &be, &err) == VOV_OK);
    ck_assert_msg(model_build(cfg, &training, &m, &errs) == VOV_OK, "%s", errs.item[0].msg);
    ck_assert(model_start(&m, be, 3, &err) == VOV_OK);
    stir(&m.exec.params);
    ck_assert_msg(checkpoint_write(path, &m, &state, &err) == VOV_OK, "%s", err.msg);
    ck_assert_msg(detector_of(&whole, &m, 1, be, &err) == VOV_OK, "%s", err.msg);
    ck_assert(detector_take(&whole, &m, &err) == VOV_OK);
    look(&whole, &want);
    ck_assert_msg(detector_open(&layers, cfg, path, &one, be, &errs) == VOV_OK, "%s",
                  errs.item[0].msg);
    look(&layers, &got);

    ck_assert_int_gt(want.n, 0);
    ck_assert_int_eq(got.n, want.n);
    for (int i = 0; i < want.n; i++) {
        ck_assert(got.v[i].class_id == want.v[i].class_id && got.v[i].score == want.v[i].score);
        ck_assert_mem_eq(&got.v[i].box, &want.v[i].box, sizeof want.v[i].box);
    }
    det_free(&want);
    det_free(&got);
    detector_close(&layers);
    detector_close(&whole);
    model_close(&m);
    backend_close(be);
    unlink(path);
}
END_TEST

START_TEST(a_few_pictures_come_in_small_pages)
{
    for (int brief = 0; brief < 2; brief++) {
        const struct model_options opt = {.batch = 64, .brief = brief == 1};
        struct backend *be;
        struct detector d;
        struct err_list errs = {0};
        ck_assert(backend_open(NULL, 1, &be, NULL) == VOV_OK);
        ck_assert_msg(detector_open(&d, cfg, NULL, &opt, be, &errs) == VOV_OK, "%s",
                      errs.item[0].msg);
        ck_assert_uint_gt(d.model.exec.plan.arena_bytes, 3 << 20);
        ck_assert_int_ne(small_pages(d.model.exec.arena), 1 - brief);
        detector_close(&d);
        backend_close(be);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {layer_by_layer_as_all_at_once, a_few_pictures_come_in_small_pages,
                                  NULL};
    return run_tests("settle", tests);
}
