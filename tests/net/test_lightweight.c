/*
 * test_lightweight.c - the paper's lightweight detectors as they are published, at 300 and 304
 * pixels: a training step reaches every parameter, and over some steps on one batch the loss falls.
 */
#include "model/model.h"
#include "net/gradients.h"
#include "train/sgd.h"

#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 2, STEPS = 6, BOXES = 7 };

static const char *const cfgs[] = {
    "cfg/detect/dsod300-vovnet27s.cfg",  "cfg/detect/dsod300-vovnet27s-bottleneck.cfg",
    "cfg/detect/dsod300-densenet67.cfg", "cfg/detect/ssd300-mobilenet.cfg",
    "cfg/detect/pelee304.cfg",
};

/* A box or more for the priors of each level, as parts of the picture. */
static const real boxes[BOXES][4] = {
    {0.04, 0.05, 0.15, 0.16}, {0.70, 0.05, 0.92, 0.25}, {0.02, 0.55, 0.40, 0.93},
    {0.42, 0.40, 0.97, 0.95}, {0.00, 0.00, 0.69, 0.69}, {0.10, 0.12, 0.82, 0.84},
    {0.03, 0.03, 0.96, 0.97},
};

/* Boxes of growing brightness, the large ones behind; other classes in the second picture. */
static void set_batch(struct model *m)
{
    const struct shape s = m->input->shape;
    const int rows = m->head.truth->shape.c;
    real *x = mem_alloc(shape_count(s), sizeof *x);
    real *truth = mem_alloc(shape_count(m->head.truth->shape), sizeof *truth);

    ck_assert(x != NULL && truth != NULL && rows >= BOXES);
    memset(truth, 0, shape_count(m->head.truth->shape) * sizeof *truth);
    for (int i = 0; i < BATCH * BOXES; i++) {
        real *t = truth + (ptrdiff_t)(i / BOXES * rows + i % BOXES) * 5;
        memcpy(t, boxes[i % BOXES], sizeof boxes[0]);
        t[4] = (real)(1 + i % 20);
    }
    for (size_t i = 0; i < shape_count(s); i++) {
        const real u = ((real)(i % (size_t)s.w) + (real)0.5) / (real)s.w;
        const real v = ((real)(i / (size_t)s.w % (size_t)s.h) + (real)0.5) / (real)s.h;
        x[i] = (u - v) / 2;
        for (int k = BOXES; k-- > 0;) {
            const real *b = boxes[k];
            if (u > b[0] && v > b[1] && u < b[2] && v < b[3]) {
                x[i] = (real)(k + 1) / BOXES - (real)(i * 7919 % 13) / 40;
            }
        }
    }
    exec_set(&m->exec, m->input, x);
    exec_set(&m->exec, m->head.truth, truth);
    mem_free(x);
    mem_free(truth);
}

/* Of boxes and of classes, over as many objects as there are or more. */
static double loss_of(const struct model *m)
{
    real v[3];

    ck_assert_int_eq(m->head.n_loss, 1);
    exec_get(&m->exec, m->head.loss[0], v);
    ck_assert(isfinite(v[0]) && isfinite(v[1]) && v[0] > 0 && v[1] > 0 && v[2] >= BATCH * BOXES);
    return (double)v[0] + (double)v[1];
}

START_TEST(learns)
{
    const struct model_options opt = {.training = true, .batch = BATCH};
    struct backend *be;
    struct model m;
    struct err_list errs = {0};
    struct err err = {0};
    struct sgd sgd;
    double loss[STEPS];

    ck_assert(backend_open("cpu", 0, &be, &err) == VOV_OK);
    ck_assert_msg(model_build(cfgs[_i], &opt, &m, &errs) == VOV_OK, "%s", errs.item[0].msg);
    ck_assert_msg(model_start(&m, be, 1, &err) == VOV_OK, "%s", err.msg);
    const struct params *p = &m.exec.params;
    ck_assert(sgd_open(&sgd, &m.exec.params, &m.net, &err) == VOV_OK);
    for (int i = 0; i < STEPS; i++) {
        set_batch(&m);
        be->ops->block_fill(be, p->n_learn, p->grad, 0);
        ck_assert_msg(exec_forward(&m.exec, (uint64_t)i, &err) == VOV_OK, "%s", err.msg);
        ck_assert_msg(exec_backward(&m.exec, (uint64_t)i, &err) == VOV_OK, "%s", err.msg);
        loss[i] = loss_of(&m);
        if (i == 0) {
            expect_gradients(p);
        }
        sgd_set_rate(&sgd, 0.01);
        sgd_update(&sgd, 1, NULL);
    }
    ck_assert_msg(loss[STEPS - 1] < 0.8 * loss[0], "%s: loss %g, then %g", cfgs[_i], loss[0],
                  loss[STEPS - 1]);
    sgd_close(&sgd);
    model_close(&m);
    backend_close(be);
}
END_TEST

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool slow = true;
#else
static const bool slow = false;
#endif

int main(void)
{
    if (slow) {
        printf("skipped: 500 GFLOP are too many for a sanitizer\n");
        return 77;
    }
    Suite *suite = suite_create("lightweight detectors");
    TCase *tc = tcase_create("cfg/detect");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, learns, 0, sizeof cfgs / sizeof cfgs[0]);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
