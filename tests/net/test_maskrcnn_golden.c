/*
 * test_maskrcnn_golden.c - a small Mask R-CNN gives what torchvision's parts give on the same
 * weights, as scripts/golden/maskrcnn.py puts them together: proposals, detections, masks, the five
 * losses, the gradient of every parameter; and RoIAlign of both kinds with its gradient.
 * tests/golden/maskrcnn.safetensors has the cfg, weights, two pictures, and the results, made in
 * double precision.
 */
#include "heads/rcnn.h"
#include "model/model.h"
#include "net/golden.h"
#include "ops/ops.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char golden_path[] = "tests/golden/maskrcnn.safetensors";
enum { BATCH = 2, SIZE = 64 };

static struct safetensors golden;
static struct backend *be;
static struct model m;

static void set_input(const struct tensor *t, const char *name)
{
    size_t count = 0;
    real *v = golden_numbers(&golden, "", name, &count),
         *all = mem_alloc(shape_count(t->shape), sizeof *all);

    for (size_t i = 0; i < shape_count(t->shape); i++) {
        all[i] = v[i % count]; /* both pictures have the same grids */
    }
    exec_set(&m.exec, t, all);
    mem_free(all);
    mem_free(v);
}

static void set_params(void)
{
    const struct params *p = &m.exec.params;
    int n = 0;

    for (int i = 0; i < p->n; i++) {
        const struct tensor *t = p->tensor[i];
        size_t count = 0;
        real *v = golden_numbers(&golden, "param/", t->name, &count);

        ck_assert_msg(count == shape_count(t->shape), "%s has %zu numbers", t->name, count);
        params_set(p, p->val, t, v);
        mem_free(v);
    }
    for (int i = 0; i < golden.n; i++) {
        n += strncmp(golden.tensor[i].name, "param/", 6) == 0;
    }
    ck_assert_int_eq(n, p->n);
}

static void open_golden(const char *device)
{
    struct err err = {0};

    ck_assert_msg(safetensors_read(golden_path, &golden, &err) == VOV_OK, "%s", err.msg);
    ck_assert_msg(backend_open(device, 1, &be, &err) == VOV_OK, "%s", err.msg);
}

static void start(bool training, const char *device)
{
    const struct model_options opt = {.training = training, .batch = BATCH};
    struct err_list errs = {0};
    struct err err = {0};

    open_golden(device);
    const char *cfg = safetensors_meta(&golden, "cfg");
    ck_assert_ptr_nonnull(cfg);
    ck_assert_msg(model_build_text("golden.cfg", cfg, strlen(cfg), &opt, &m, &errs) == VOV_OK, "%s",
                  errs.item[0].msg);
    const struct node *n = graph_find(&m.graph, "rpn/proposals");
    ck_assert_ptr_nonnull(n);
    n->out[0]->flags |= T_KEEP;
    ck_assert_msg(model_start(&m, be, 1, &err) == VOV_OK, "%s", err.msg);
    set_params();
    set_input(m.input, "image");
}

static void stop(void)
{
    model_close(&m);
    backend_close(be);
    safetensors_free(&golden);
}

static void check_proposals(void)
{
    const struct tensor *t = graph_find(&m.graph, "rpn/proposals")->out[0];
    const size_t rows = (size_t)t->shape.n;
    real *got = mem_alloc(rows * ROI_ROW, sizeof *got);
    size_t count = 0;
    real *want = golden_numbers(&golden, "", "proposals", &count);

    ck_assert(count == rows * 4);
    exec_get(&m.exec, t, got);
    for (size_t i = 0; i < rows; i++) {
        ck_assert(got[i * ROI_ROW + 4] > 0);
        memmove(got + i * 4, got + i * ROI_ROW, 4 * sizeof *got);
    }
    expect_near("proposals", got, want, count, 1e-5);
    mem_free(got);
    mem_free(want);
}

/* Of one picture: rows of image, class, score, corners from row on, and masks. */
static void check_found(int image, const real *rows, size_t n, const real *masks, size_t cells)
{
    const struct placing where = {.scale_x = 1, .scale_y = 1};
    struct det_list dets = {0};
    struct err err = {0};

    ck_assert(model_detect(&m, image, &where, SIZE, SIZE, 0, &dets, &err) == VOV_OK);
    ck_assert_int_eq(dets.n, (int)n);
    ck_assert_uint_eq((size_t)dets.mask_side * (size_t)dets.mask_side, cells);
    for (size_t i = 0; i < n; i++) {
        const struct detection *d = &dets.v[i];
        const real got[7] = {(real)image,      (real)d->class_id, d->score,        d->box.x0 / SIZE,
                             d->box.y0 / SIZE, d->box.x1 / SIZE,  d->box.y1 / SIZE};

        expect_near("a detection", got, rows + i * 7, 7, 2e-5);
        expect_near("a mask", dets.mask + (size_t)(d->mask - 1) * cells, masks + i * cells, cells,
                    2e-5);
    }
    det_free(&dets);
}

START_TEST(inference)
{
    size_t count = 0, n_masks = 0, first = 0;
    struct err err = {0};

    start(false, _i == 1 ? "plain" : "cpu");
    ck_assert_msg(exec_forward(&m.exec, 1, &err) == VOV_OK, "%s", err.msg);
    check_proposals();
    real *rows = golden_numbers(&golden, "", "detections", &count),
         *masks = golden_numbers(&golden, "", "masks", &n_masks);
    const size_t all = count / 7, cells = n_masks / all;
    ck_assert(all >= 10);
    for (int image = 0; image < BATCH; image++) {
        size_t n = 0;
        while (first + n < all && (int)rows[(first + n) * 7] == image) {
            n++;
        }
        check_found(image, rows + first * 7, n, masks + first * cells, cells);
        first += n;
    }
    mem_free(rows);
    mem_free(masks);
    stop();
}
END_TEST

/* Objectness, boxes of anchors, classes, boxes of regions, masks; and how many there were. */
static void check_losses(void)
{
    real got[5], v[4], counts[2];
    size_t count = 0;
    real *want = golden_numbers(&golden, "", "losses", &count),
         *want_counts = golden_numbers(&golden, "", "counts", &count);

    ck_assert_int_eq(m.head.n_loss, 3);
    for (int i = 0; i < 3; i++) {
        exec_get(&m.exec, m.head.loss[i], v);
        memcpy(got + (ptrdiff_t)2 * i, v, (i < 2 ? 2 : 1) * sizeof *v);
        counts[0] = i == 1 ? v[3] : counts[0];
        counts[1] = i == 2 ? v[1] : 0;
    }
    expect_near("losses", got, want, 5, 1e-5);
    expect_near("counts", counts, want_counts, 2, 0);
    mem_free(want);
    mem_free(want_counts);
}

START_TEST(training)
{
    const struct params *p = &m.exec.params;
    struct err err = {0};

    start(true, _i == 1 ? "plain" : "cpu");
    set_input(m.head.truth, "truth");
    set_input(m.head.truth_masks, "truth_masks");
    ck_assert_msg(exec_forward(&m.exec, 1, &err) == VOV_OK, "%s", err.msg);
    ck_assert_msg(exec_backward(&m.exec, 1, &err) == VOV_OK, "%s", err.msg);
    check_losses();
    for (int i = 0; i < p->n; i++) {
        size_t count = 0;
        real *want = golden_numbers(&golden, "grad/", p->tensor[i]->name, &count);
        real *got = mem_alloc(count, sizeof *got);

        params_get(p, p->grad, p->tensor[i], got);
        expect_near(p->tensor[i]->name, got, want, count, 1e-4);
        mem_free(got);
        mem_free(want);
    }
    stop();
}
END_TEST

/* Rows of regions for two pictures from rows of picture and corners: all have a row on both, in
 * use on one. */
static void regions(const real *boxes, size_t n, real *rows)
{
    for (size_t i = 0; i < BATCH * n; i++) {
        const real *box = boxes + i % n * 5;
        const size_t first = (int)(i / n) == (int)box[0] ? 1 : 0;

        memcpy(rows + i * ROI_ROW, box + 1, 4 * sizeof *rows);
        rows[i * ROI_ROW + 4] = (real)first;
    }
}

/* Row i of torchvision's in a tensor with all rows for each picture. */
static void spread(const real *boxes, const real *dense, size_t n, size_t each, real *rows)
{
    memset(rows, 0, BATCH * n * each * sizeof *rows);
    for (size_t i = 0; i < n; i++) {
        memcpy(rows + ((size_t)boxes[i * 5] * n + i) * each, dense + i * each, each * sizeof *rows);
    }
}

START_TEST(roi_align)
{
    const char *kind = _i % 2 == 1 ? "align/1/" : "align/0/";
    size_t n_map, n_boxes, n_y, n_dx;

    open_golden(_i / 2 == 1 ? "plain" : "cpu");
    real *x = golden_numbers(&golden, "align/", "map", &n_map),
         *boxes = golden_numbers(&golden, "align/", "boxes", &n_boxes);
    real *y = golden_numbers(&golden, kind, "y", &n_y),
         *dy = golden_numbers(&golden, kind, "dy", &n_y);
    real *dx = golden_numbers(&golden, kind, "dx", &n_dx);
    const size_t n = n_boxes / 5, each = n_y / n;
    real *rows = mem_alloc(BATCH * n * ROI_ROW, sizeof *rows);
    real *got = mem_alloc(BATCH * n_y, sizeof *got), *want = mem_alloc(BATCH * n_y, sizeof *want);
    real *grad = mem_alloc(n_dx, sizeof *grad);
    const struct roi_align_desc d = {.size = 5,
                                     .sampling = 2,
                                     .aligned = _i % 2 == 1,
                                     .canonical = 224,
                                     .first_level = 3,
                                     .n_levels = 1,
                                     .scale = {(real)0.125},
                                     .rows = (int)n,
                                     .take = (int)n};
    const struct shape list = {(int)(BATCH * n), ROI_ROW, 1, 1}, out = {list.n, 3, 5, 5};
    const struct shape map = {BATCH, 3, 9, 12};

    ck_assert(n_map == shape_count(map) && n_dx == n_map && each == 75);
    regions(boxes, n, rows);
    be->ops->roi_align_fwd(be, &d, &(const struct view){x, 2, 3, 9, 12, 0, 3, NUMBER_REAL},
                           view_dense(rows, list), view_dense(got, out));
    spread(boxes, y, n, each, want);
    expect_near("roi align", got, want, BATCH * n_y, 1e-5);
    spread(boxes, dy, n, each, want);
    const struct view dmap = view_dense(grad, map);
    be->ops->roi_align_bwd(be, &d, view_dense(rows, list), view_dense(want, out), &dmap);
    expect_near("gradient of roi align", grad, dx, n_dx, 1e-5);
    real *const all[] = {x, boxes, y, dy, dx, rows, got, want, grad};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        mem_free(all[i]);
    }
    backend_close(be);
    safetensors_free(&golden);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("maskrcnn golden");
    TCase *t = tcase_create("maskrcnn golden");

    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, inference, 0, 2);
    tcase_add_loop_test(t, training, 0, 2);
    tcase_add_loop_test(t, roi_align, 0, 4);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
