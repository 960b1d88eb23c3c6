/*
 * test_refinedet_golden.c - a small RefineDet gives what an implementation in PyTorch gives, which
 * scripts/golden/refinedet.py holds: outputs with and without folded norms, detections, all losses,
 * the gradient of every parameter, the running statistics. tests/golden/refinedet.safetensors has
 * the network's cfg, its weights, two pictures, and the results, made in double precision.
 */
#include "heads/head.h"
#include "model/model.h"
#include "net/golden.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char golden_path[] = "tests/golden/refinedet.safetensors";

static struct safetensors golden;
static struct backend *be;
static struct model m;

static void set_params(void)
{
    const struct params *p = &m.exec.params;
    int n = 0;

    for (int i = 0; i < p->n; i++) {
        const struct tensor *t = p->tensor[i];
        size_t count = 0;

        if ((t->flags & T_DERIVED) != 0) {
            continue;
        }
        real *v = golden_numbers(&golden, "param/", t->name, &count);
        ck_assert_msg(count == shape_count(t->shape), "%s has %zu numbers", t->name, count);
        params_set(p, p->val, t, v);
        mem_free(v);
        n++;
    }
    for (int i = 0; i < golden.n; i++) {
        n -= strncmp(golden.tensor[i].name, "param/", 6) == 0;
    }
    ck_assert_msg(n == 0, "the net lacks %d parameters of the file", -n);
}

static void start(bool training, bool keep_norms, const char *device)
{
    const struct model_options opt = {.training = training, .keep_norms = keep_norms, .batch = 2};
    struct err_list errs = {0};
    struct err err = {0};
    size_t count = 0;

    ck_assert_msg(safetensors_read(golden_path, &golden, &err) == VOV_OK, "%s", err.msg);
    const char *cfg = safetensors_meta(&golden, "cfg");
    ck_assert_ptr_nonnull(cfg);
    ck_assert_msg(backend_open(device, 1, &be, &err) == VOV_OK, "%s", err.msg);
    ck_assert_msg(model_build_text("golden.cfg", cfg, strlen(cfg), &opt, &m, &errs) == VOV_OK, "%s",
                  errs.item[0].msg);
    ck_assert_msg(model_start(&m, be, 1, &err) == VOV_OK, "%s", err.msg);
    set_params();
    ck_assert(training || keep_norms || fold_weights(&m.graph, &m.exec.params) == VOV_OK);
    real *image = golden_numbers(&golden, "", "image", &count);
    ck_assert(count == shape_count(m.input->shape));
    exec_set(&m.exec, m.input, image);
    mem_free(image);
}

static void stop(void)
{
    model_close(&m);
    backend_close(be);
    safetensors_free(&golden);
}

static void check_outputs(void)
{
    static const char *const name[] = {"arm_loc", "arm_conf", "odm_loc", "odm_conf"};

    ck_assert_int_eq(m.head.n_out, 5);
    for (int i = 0; i < 4; i++) {
        const size_t n = shape_count(m.head.out[i]->shape);
        size_t count = 0;
        real *want = golden_numbers(&golden, "out/", name[i], &count),
             *got = mem_alloc(n, sizeof *got);

        ck_assert(count == n);
        exec_get(&m.exec, m.head.out[i], got);
        expect_near(name[i], got, want, n, 1e-5);
        mem_free(want);
        mem_free(got);
    }
}

/* Detections of both pictures, against rows of image, class, score, corners. */
static void check_detections(void)
{
    const real *out[5] = {NULL, NULL, NULL, NULL, m.host_out[4]};
    size_t count = 0, row = 0;
    struct err err = {0};
    real *want = golden_numbers(&golden, "", "detections", &count);

    exec_get(&m.exec, m.head.out[4], m.host_out[4]);
    for (int image = 0; image < 2; image++) {
        struct det_list dets = {0};

        ck_assert(m.head.type->decode(&m.head, out, image, 0, &dets, &err) == VOV_OK);
        ck_assert_int_ge(dets.n, 10);
        for (int i = 0; i < dets.n; i++, row++) {
            const struct detection *d = &dets.v[i];
            const real got[7] = {(real)image, (real)d->class_id, d->score, d->box.x0,
                                 d->box.y0,   d->box.x1,         d->box.y1};

            ck_assert(row < count / 7);
            expect_near("a detection", got, want + row * 7, 7, 2e-5);
        }
        det_free(&dets);
    }
    ck_assert(row == count / 7);
    mem_free(want);
}

START_TEST(inference)
{
    start(false, _i == 1, _i == 2 ? "plain" : "cpu");
    struct err err = {0};
    ck_assert_msg(exec_forward(&m.exec, 1, &err) == VOV_OK, "%s", err.msg);
    check_outputs();
    check_detections();
    stop();
}
END_TEST

static void check_losses(void)
{
    static const char *const name[] = {"arm_loss", "odm_loss"};

    ck_assert_int_eq(m.head.n_loss, 2);
    for (int i = 0; i < 2; i++) {
        real got[3];
        size_t count = 0;
        real *want = golden_numbers(&golden, "", name[i], &count);

        ck_assert(count == 3);
        exec_get(&m.exec, m.head.loss[i], got);
        expect_near(name[i], got, want, 2, 1e-5);
        ck_assert_msg(got[2] == want[2] && got[2] > 2, "%g positives", (double)got[2]);
        mem_free(want);
    }
}

/* Gradients, or running statistics after the step. Says how many parameters there were. */
static int check_params(const char *kind, real *block, double tolerance)
{
    const struct params *p = &m.exec.params;
    int n = 0;

    for (int i = 0; i < p->n; i++) {
        size_t count = 0;
        real *want = golden_maybe(&golden, kind, p->tensor[i]->name, &count);

        if (want != NULL) {
            real *got = mem_alloc(count, sizeof *got);
            params_get(p, block, p->tensor[i], got);
            expect_near(p->tensor[i]->name, got, want, count, tolerance);
            mem_free(got);
            n++;
        }
        mem_free(want);
    }
    return n;
}

START_TEST(training)
{
    static const char *const part[] = {"arm_loc", "arm_conf", NULL, "odm_loc", "odm_conf", NULL};
    struct err err = {0};
    size_t count = 0;
    int learn = 0;

    start(true, true, _i == 1 ? "plain" : "cpu");
    real *truth = golden_numbers(&golden, "", "truth", &count);
    ck_assert(count == shape_count(m.head.truth->shape));
    exec_set(&m.exec, m.head.truth, truth);
    mem_free(truth);
    ck_assert_msg(exec_forward(&m.exec, 1, &err) == VOV_OK, "%s", err.msg);
    ck_assert_msg(exec_backward(&m.exec, 1, &err) == VOV_OK, "%s", err.msg);
    check_losses();
    for (int i = 0; i < 6; i++) {
        ck_assert(part[i] == NULL ? m.head.part[i] == NULL : !strcmp(part[i], m.head.part[i]));
    }
    for (int i = 0; i < m.exec.params.n; i++) {
        learn += param_learns(m.exec.params.tensor[i]);
    }
    ck_assert_int_eq(check_params("grad/", m.exec.params.grad, 1e-4), learn);
    ck_assert_int_eq(check_params("after/", m.exec.params.val, 1e-5), m.exec.params.n - learn);
    stop();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("refinedet golden");
    TCase *t = tcase_create("refinedet golden");

    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, inference, 0, 3);
    tcase_add_loop_test(t, training, 0, 2);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
