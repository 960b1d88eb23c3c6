/*
 * test_refinedet512.c - RefineDet512 on VoVNet-39 as it is published, with photographs of COCO: a
 * training step reaches every parameter, and the network then looks at one of them at 512x512.
 */
#include "base/file.h"
#include "data/loader.h"
#include "model/detector.h"
#include "net/gradients.h"
#include "train/sgd.h"

#include <check.h>
#include <math.h>
#include <stdio.h>

static const char cfg[] = "cfg/detect/refinedet512-vovnet39.cfg";
static const char photographs[] = "../shared/data/coco_mini/val.json";

/* The four losses. */
static void check_losses(const struct model *m)
{
    ck_assert_int_eq(m->head.n_loss, 2);
    for (int i = 0; i < m->head.n_loss; i++) {
        real v[3];
        exec_get(&m->exec, m->head.loss[i], v);
        ck_assert(isfinite(v[0]) && isfinite(v[1]) && v[0] > 0 && v[1] > 0);
    }
}

/* One step on the first picture of the loader. */
static void train_step(struct model *m, struct backend *be, const struct dataset *data)
{
    const struct loader_options opt = {.pixels = model_pixels(m),
                                       .batch = 1,
                                       .max_boxes = m->net.max_boxes,
                                       .train = true,
                                       .seed = 1,
                                       .max_skipped = 0};
    struct loader *loader;
    struct batch *b;
    struct err err = {0};
    struct sgd sgd;
    struct params *p = &m->exec.params;

    ck_assert_msg(loader_open(data, &opt, 0, &loader, &err) == VOV_OK, "%s", err.msg);
    ck_assert_msg(loader_next(loader, &b, &err) == VOV_OK, "%s", err.msg);
    ck_assert(sgd_open(&sgd, p, &m->net, &err) == VOV_OK);
    be->ops->block_fill(be, p->n_learn, p->grad, 0);
    exec_set(&m->exec, m->input, b->images);
    exec_set(&m->exec, m->head.truth, b->truth);
    ck_assert_msg(exec_forward(&m->exec, 1, &err) == VOV_OK, "%s", err.msg);
    ck_assert_msg(exec_backward(&m->exec, 1, &err) == VOV_OK, "%s", err.msg);
    check_losses(m);
    expect_gradients(p);
    sgd_set_rate(&sgd, 0.001);
    sgd_update(&sgd, 1, NULL);
    sgd_close(&sgd);
    loader_close(loader);
}

/* Boxes lie in the picture, best first. */
static void look(const struct model *m, struct backend *be, const char *path)
{
    struct image img = {0};
    struct detector d;
    struct det_list l = {0};
    struct err err = {0};

    ck_assert_msg(image_read(path, NULL, &img, &err) == VOV_OK, "%s", err.msg);
    ck_assert_msg(detector_of(&d, m, 1, be, &err) == VOV_OK, "%s", err.msg);
    ck_assert(detector_take(&d, m, &err) == VOV_OK);
    ck_assert(detector_put(&d, 0, &img, &err) == VOV_OK);
    ck_assert(detector_run(&d, &err) == VOV_OK);
    ck_assert(detector_get(&d, 0, img.width, img.height, 0, &l, &err) == VOV_OK);
    ck_assert_int_gt(l.n, 0);
    ck_assert_int_le(l.n, 500);
    for (int i = 0; i < l.n; i++) {
        const struct box b = l.v[i].box;
        ck_assert(0 <= b.x0 && b.x0 < b.x1 && b.x1 <= (real)img.width);
        ck_assert(0 <= b.y0 && b.y0 < b.y1 && b.y1 <= (real)img.height);
        ck_assert(i == 0 || l.v[i].score <= l.v[i - 1].score);
        ck_assert(l.v[i].class_id >= 0 && l.v[i].class_id < 80);
    }
    det_free(&l);
    image_free(&img);
    detector_close(&d);
}

START_TEST(photographs_at_512)
{
    const struct model_options opt = {.training = true, .batch = 1};
    const struct dataset_options how = {0};
    struct dataset data = {0};
    struct backend *be;
    struct model m;
    struct err_list errs = {0};
    struct err err = {0};

    ck_assert_msg(coco_read(photographs, &how, &data, &err) == VOV_OK, "%s", err.msg);
    ck_assert(backend_open("cpu", 0, &be, &err) == VOV_OK);
    ck_assert_msg(model_build(cfg, &opt, &m, &errs) == VOV_OK, "%s", errs.item[0].msg);
    ck_assert_msg(model_start(&m, be, 1, &err) == VOV_OK, "%s", err.msg);
    train_step(&m, be, &data);
    look(&m, be, data.item[0].path);
    model_close(&m);
    backend_close(be);
    dataset_free(&data);
}
END_TEST

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool slow = true;
#else
static const bool slow = false;
#endif

int main(void)
{
    if (slow || !file_exists(photographs)) {
        printf("skipped: %s\n", slow ? "170 GFLOP are too many for a sanitizer" : photographs);
        return 77;
    }
    Suite *suite = suite_create("refinedet512");
    TCase *tc = tcase_create("photographs");
    tcase_set_timeout(tc, 300);
    tcase_add_test(tc, photographs_at_512);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
