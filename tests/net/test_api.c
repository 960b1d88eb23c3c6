/*
 * test_api.c - vov.h finds what the detector behind it finds, refuses misuse with a message, and
 * runs networks that do not detect.
 */
#include "vov.h"

#include "base/file.h"
#include "det/mask_paste.h"
#include "model/detector.h"
#include "train/checkpoint.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char cfg_file[] = "tests/cli/tiny.cfg";
static char weights[80];

/* A variance that cannot be, in the parameters of a net. */
static void spoil(struct params *p)
{
    const real minus[1024] = {-1, -1};
    int i = 0;
    while (strcmp(p->tensor[i]->name, "s3/conv1/norm/var") != 0) {
        i++;
        ck_assert_int_lt(i, p->n);
    }
    params_set(p, p->val, p->tensor[i], minus);
}

/* Random weights of the tiny net, with class names, as a checkpoint. */
static void save(bool spoilt)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    static const long long keys[] = {1, 2, 3, 4};
    const struct run_state s = {.class_name = names, .class_key = keys, .n_classes = 4};
    const struct model_options opt = {.training = true, .batch = 1};
    struct backend *be;
    struct model m;
    struct err_list errs = {0};
    struct err err = {0};
    snprintf(weights, sizeof weights, "/tmp/vov-test-%ld.safetensors", (long)getpid());
    ck_assert(backend_open(NULL, 1, &be, &err) == VOV_OK);
    ck_assert_msg(model_build(cfg_file, &opt, &m, &errs) == VOV_OK, "%s", errs.item[0].msg);
    ck_assert(model_start(&m, be, 3, &err) == VOV_OK);
    if (spoilt) {
        spoil(&m.exec.params);
    }
    ck_assert_msg(checkpoint_write(weights, &m, &s, &err) == VOV_OK, "%s", err.msg);
    model_close(&m);
    backend_close(be);
}

static void setup(void)
{
    save(false);
}

static void teardown(void)
{
    unlink(weights);
}

enum { W = 70, H = 50, N = 5 };
static uint8_t pixels[N][H * (W + 3) * 3];

/* N pictures of noise, rows 9 bytes longer than they need be. */
static void draw(struct vov_image im[N])
{
    uint32_t r = 1;
    for (int i = 0; i < N; i++) {
        for (size_t k = 0; k < sizeof pixels[i]; k++) {
            r = r * 1664525u + 1013904223u;
            pixels[i][k] = (uint8_t)(r >> 24);
        }
        im[i] = (struct vov_image){pixels[i], W, H, 3, (W + 3) * 3};
    }
}

enum { BATCH = 2 };

/* The same through the detector itself, in batches of equal size: which kernels are the fastest,
 * and so the last bits, may depend on that. */
static void expect(const char *cfg, const char *file, const struct vov_image *im,
                   struct det_list *dets)
{
    const struct model_options opt = {.batch = BATCH};
    struct backend *be;
    struct detector d;
    struct err_list errs = {0};
    struct err err = {0};
    uint8_t rgb[W * H * 3];
    struct image img = {.rgb = rgb, .width = W, .height = H};
    for (int y = 0; y < H; y++) {
        memcpy(rgb + (ptrdiff_t)y * W * 3, im->pixels + (size_t)y * im->row_bytes, W * 3);
    }
    ck_assert(backend_open(NULL, 1, &be, &err) == VOV_OK);
    ck_assert_msg(detector_open(&d, cfg, file, &opt, be, &errs) == VOV_OK, "%s", errs.item[0].msg);
    ck_assert(detector_put(&d, 0, &img, &err) == VOV_OK);
    ck_assert(detector_run(&d, &err) == VOV_OK);
    ck_assert(detector_get(&d, 0, W, H, 0.02, dets, &err) == VOV_OK);
    detector_close(&d);
    backend_close(be);
}

START_TEST(finds_what_the_detector_finds)
{
    struct vov_image im[N];
    struct vov_options o = {.size = sizeof o, .batch = BATCH, .threads = 2};
    struct vov_error error;
    struct det_list want = {0};
    vov_model *m;
    vov_result *r;
    draw(im);
    ck_assert_msg(vov_open(&m, cfg_file, weights, &o, &error) == VOV_OK, "%s", error.text);
    ck_assert_str_eq(vov_class_name(m, 3), "d");
    ck_assert_ptr_null(vov_class_name(m, 4));
    ck_assert_msg(vov_detect(m, im, N, 0.02f, &r, &error) == VOV_OK, "%s", error.text);
    for (int i = 0; i < N; i++) {
        det_clear(&want);
        expect(cfg_file, weights, &im[i], &want);
        ck_assert_int_gt(want.n, 0);
        ck_assert_int_eq((int)vov_result_count(r, i), want.n);
        for (int k = 0; k < want.n; k++) {
            const struct vov_detection *d = vov_result_get(r, i, (size_t)k);
            const struct detection *e = &want.v[k];
            ck_assert(d->class_id == e->class_id && d->score == (float)e->score);
            ck_assert(d->x0 == (float)e->box.x0 && d->y1 == (float)e->box.y1);
        }
    }
    ck_assert(vov_result_count(r, N) == 0 && vov_result_get(r, 0, 100000) == NULL);
    vov_result_free(r);
    vov_close(m);
    det_free(&want);
}
END_TEST

/* Random weights find masks of a sort: those of the detector, as the pixels that a box touches. */
START_TEST(finds_masks)
{
    static const char cfg[] = "cfg/detect/maskrcnn-small.cfg";
    static uint8_t inside[W * H];
    struct vov_image im[N];
    struct vov_error error;
    struct err err = {0};
    struct det_list want = {0};
    struct rle mask;
    vov_model *m;
    vov_result *r;
    int pixels_in = 0;
    draw(im);
    ck_assert_msg(vov_open(&m, cfg, NULL, NULL, &error) == VOV_OK, "%s", error.text);
    ck_assert_msg(vov_detect(m, im, 1, 0.02f, &r, &error) == VOV_OK, "%s", error.text);
    expect(cfg, NULL, &im[0], &want);
    ck_assert_int_gt(want.n, 0);
    ck_assert_int_eq((int)vov_result_count(r, 0), want.n);
    for (int k = 0; k < want.n; k++) {
        const struct vov_detection *d = vov_result_get(r, 0, (size_t)k);
        const int rect[4] = {(int)d->x0, (int)d->y0, d->mask_width, d->mask_height};
        ck_assert_int_eq(rect[0] + rect[2], (int)ceilf(d->x1));
        ck_assert_int_eq(rect[1] + rect[3], (int)ceilf(d->y1));
        ck_assert(mask_paste(det_mask(&want, &want.v[k]), want.mask_side, &want.v[k].box, H, W,
                             &mask, &err) == VOV_OK);
        rle_spread(&mask, rect, inside);
        ck_assert_mem_eq(d->mask, inside, (size_t)rect[2] * (size_t)rect[3]);
        pixels_in += (int)rle_area(&mask);
        rle_free(&mask);
    }
    ck_assert_int_gt(pixels_in, 0);
    vov_result_free(r);
    vov_close(m);
    det_free(&want);
}
END_TEST

/* NaN passes no comparison: without a check such a net would find nothing, and say so. */
START_TEST(outputs_that_are_not_finite_are_an_error)
{
    struct vov_image im[N];
    struct vov_options o = {.size = sizeof o, .batch = 1, .threads = 1};
    struct vov_error error;
    vov_model *m;
    vov_result *r = NULL;
    save(true);
    draw(im);
    ck_assert_msg(vov_open(&m, cfg_file, weights, &o, &error) == VOV_OK, "%s", error.text);
    ck_assert_int_eq(vov_detect(m, im, 1, 0.02f, &r, &error), VOV_ENONFINITE);
    ck_assert_ptr_null(r);
    ck_assert_msg(strstr(error.text, "not finite, first in s3/conv1") != NULL, "%s", error.text);
    vov_close(m);
}
END_TEST

START_TEST(refuses_misuse)
{
    struct vov_image im[N];
    struct vov_options o = {.size = sizeof o, .batch = 1, .threads = 1};
    struct vov_error error;
    vov_model *m = NULL;
    vov_result *r;
    draw(im);
    ck_assert(vov_open(&m, "no.cfg", NULL, &o, &error) == VOV_ECFG && m == NULL);
    ck_assert(error.code == VOV_ECFG && strstr(error.text, "no.cfg") != NULL);
    ck_assert(vov_open(&m, weights, NULL, NULL, NULL) != VOV_OK); /* nobody wants to know why */
    ck_assert(vov_open(&m, cfg_file, cfg_file, &o, &error) == VOV_EFORMAT);
    o.device = "abacus";
    ck_assert(vov_open(&m, cfg_file, weights, &o, &error) != VOV_OK);
    o.device = NULL;
    o.size = 3;
    ck_assert(vov_open(&m, cfg_file, weights, &o, &error) == VOV_EARG);
    o.size = sizeof o;
    ck_assert(vov_open(&m, cfg_file, weights, &o, &error) == VOV_OK);
    im[0].row_bytes = W;
    ck_assert(vov_detect(m, im, 1, 0.5f, &r, &error) == VOV_EARG && r == NULL);
    ck_assert(strstr(error.text, "row_bytes") != NULL);
    im[1].channels = 2;
    ck_assert(vov_detect(m, &im[1], 1, 0.5f, &r, &error) == VOV_EARG);
    ck_assert(vov_detect(m, im, 0, 0.5f, &r, &error) == VOV_EARG);
    ck_assert(vov_detect(NULL, im, 1, 0.5f, &r, &error) == VOV_EARG);
    vov_close(m);
    vov_close(NULL);
    vov_result_free(NULL);
}
END_TEST

/* An error in a cfg has its place. */
START_TEST(places)
{
    char path[90];
    struct err err = {0};
    struct vov_error error;
    vov_model *m;
    snprintf(path, sizeof path, "%s.cfg", weights);
    static const char text[] = "[net]\nwidth=8\nheight=8\n[osa]\nwidht=3\n";
    ck_assert(file_write(path, text, sizeof text - 1, &err) == VOV_OK);
    ck_assert(vov_open(&m, path, NULL, NULL, &error) == VOV_ECFG);
    ck_assert_str_eq(error.file, path);
    ck_assert_int_eq(error.line, 5);
    ck_assert_int_eq(error.column, 1);
    unlink(path);
}
END_TEST

START_TEST(named_tensors)
{
    static float in[3 * 64 * 64];
    const int shape[4] = {1, 3, 64, 64}, wrong[4] = {1, 3, 64, 65};
    struct vov_error error;
    vov_model *m;
    const float *out;
    int got[4];
    ck_assert(vov_open(&m, cfg_file, weights, NULL, &error) == VOV_OK);
    ck_assert(vov_set_input(m, "input", in, wrong, &error) == VOV_ESHAPE);
    ck_assert(vov_set_input(m, "picture", in, shape, &error) == VOV_EARG);
    ck_assert(vov_set_input(m, NULL, in, shape, &error) == VOV_OK);
    ck_assert(vov_run(m, &error) == VOV_OK);
    ck_assert(vov_get_output(m, "nothing", &out, got, &error) == VOV_EARG);
    ck_assert_msg(vov_get_output(m, NULL, &out, got, &error) == VOV_OK, "%s", error.text);
    ck_assert(got[0] == 1 && got[1] > 0);
    for (size_t i = 0; i < (size_t)got[1] * (size_t)got[2] * (size_t)got[3]; i++) {
        ck_assert(out[i] - out[i] == 0);
    }
    vov_close(m);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("api");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, finds_what_the_detector_finds);
    tcase_add_test(tc, finds_masks);
    tcase_add_test(tc, outputs_that_are_not_finite_are_an_error);
    tcase_add_test(tc, refuses_misuse);
    tcase_add_test(tc, places);
    tcase_add_test(tc, named_tensors);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
