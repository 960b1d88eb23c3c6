/*
 * test_ssd.c - the head of SSD: it learns two pictures and finds their boxes again; its priors are
 * the published ones in SSD's order; its decoder against one that follows the paper word by word;
 * what the keys refuse.
 */
#include "base/rng.h"
#include "det/coder.h"
#include "net/detections.h"
#include "net/scene.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char tiny_cfg[] =
    TINY("[downsample]\nname=s6\nwidth=16\n"
         "[ssd]\nlevels=s3,s4,s5\nsizes=14,24,40,64\npriors=4,6,4\nbatch_normalize=1\nl2norm=20\n");

START_TEST(learns_and_finds)
{
    expect_learns(tiny_cfg, 300);
}
END_TEST

START_TEST(learns_with_bias)
{
    expect_learns(TINY("[ssd]\nlevels=s3,s4,s5\nsizes=14,24,40,64\npriors=3\nsize=1\n"), 150);
}
END_TEST

static void open_file(struct model *m, const char *cfg)
{
    const struct model_options opt = {0};
    struct err_list errs = {0};

    ck_assert_msg(model_build(cfg, &opt, m, &errs) == VOV_OK, "%s", errs.item[0].msg);
}

START_TEST(numbers_of_priors)
{
    static const struct {
        const char *cfg;
        int priors;
    } want[] = {
        {"cfg/detect/dsod300-densenet67.cfg", 8744},
        {"cfg/detect/dsod300-vovnet27s.cfg", 8108},
        {"cfg/detect/ssd300-mobilenet.cfg", 1917},
        {"cfg/detect/pelee304.cfg", 6 * (2 * 361 + 100 + 25 + 9 + 1)},
    };
    struct model m;

    open_file(&m, want[_i].cfg);
    ck_assert_int_eq(m.head.n_out, 3);
    ck_assert_int_eq(m.head.out[2]->shape.n, 200);
    ck_assert_int_eq(m.head.out[0]->shape.c, want[_i].priors);
    ck_assert_int_eq(m.head.out[1]->shape.c, want[_i].priors);
    ck_assert_int_eq(m.head.out[1]->shape.h, 21);
    model_close(&m);
}
END_TEST

/* What the decoder makes of one prior whose class 1 is certain: with no offsets, the prior itself.
 * `at` counts priors. */
static struct box prior_at(const struct model *m, int at)
{
    const int n = m->head.out[0]->shape.c, classes = m->head.out[1]->shape.h;
    real *loc = calloc((size_t)n * 4, sizeof(real));
    real *conf = calloc((size_t)n * (size_t)classes, sizeof(real));
    struct det_list dets = {0};

    for (int i = 0; i < n; i++) {
        conf[(size_t)i * (size_t)classes] = 50;
    }
    conf[(size_t)at * (size_t)classes + 1] = 100;
    detect_outputs(m, &(struct multibox_input){.loc = loc, .conf = conf}, 0.5, &dets);
    ck_assert_int_eq(dets.n, 1);
    ck_assert_int_eq(dets.v[0].class_id, 0);
    const struct box b = dets.v[0].box;
    det_free(&dets);
    free(loc);
    free(conf);
    return b;
}

static void expect_prior(const struct model *m, int at, const double want[4])
{
    const struct box b = prior_at(m, at);
    const double size = m->net.width;
    const double got[] = {(double)(b.x0 + b.x1) / 2 * size, (double)(b.y0 + b.y1) / 2 * size,
                          (double)(b.x1 - b.x0) * size, (double)(b.y1 - b.y0) * size};

    for (int i = 0; i < 4; i++) {
        ck_assert_msg(fabs(got[i] - want[i]) < 1e-3, "prior %d: number %d is %g, not %g", at, i,
                      got[i], want[i]);
    }
}

/* Centre x, y, width, height in pixels, by the SSD paper's rule with DSOD's sizes and steps. */
START_TEST(priors_of_dsod)
{
    const int second = 38 * 38 * 4;
    struct model m;

    open_file(&m, "cfg/detect/dsod300-densenet67.cfg");
    expect_prior(&m, 0, (double[]){4, 4, 30, 30});
    expect_prior(&m, 1, (double[]){4, 4, sqrt(30 * 60), sqrt(30 * 60)});
    expect_prior(&m, 2, (double[]){4, 4, 30 * sqrt(2), 30 / sqrt(2)});
    expect_prior(&m, 3, (double[]){4, 4, 30 / sqrt(2), 30 * sqrt(2)});
    expect_prior(&m, 4, (double[]){12, 4, 30, 30});
    expect_prior(&m, second + 4, (double[]){8, 8, 60 * sqrt(3), 60 / sqrt(3)});
    expect_prior(&m, second + 5, (double[]){8, 8, 60 / sqrt(3), 60 * sqrt(3)});
    expect_prior(&m, second + 19 * 6, (double[]){8, 24, 60, 60});
    expect_prior(&m, 8743, (double[]){450, 450, 264 / sqrt(2), 264 * sqrt(2)});
    model_close(&m);
}
END_TEST

START_TEST(priors_without_second_square)
{
    struct model m;

    open_file(&m, "cfg/detect/ssd300-mobilenet.cfg");
    const double step = 300.0 / 19, half = step / 2;
    expect_prior(&m, 0, (double[]){half, half, 60, 60});
    expect_prior(&m, 1, (double[]){half, half, 60 * sqrt(2), 60 / sqrt(2)});
    expect_prior(&m, 2, (double[]){half, half, 60 / sqrt(2), 60 * sqrt(2)});
    expect_prior(&m, 3, (double[]){half + step, half, 60, 60});
    model_close(&m);
}
END_TEST

enum { WIDE = 3, OTHERS = 2 };

/* Two images of random numbers: the detections of the second, against softmax and boxes worked out
 * by the formulas. */
START_TEST(decoder)
{
    struct model m;
    struct det_list dets = {0};
    struct rng r = rng_open(11, RNG_TEST, 0, 0);

    open_text(&m, TINY("[ssd]\nlevels=s5\nsizes=30,60\npriors=2\nnms_thresh=1\n"), false);
    const int n = m.head.out[0]->shape.c;
    ck_assert_int_eq(n, 2 * 4);
    real loc[2 * 8 * 4], conf[2 * 8 * WIDE];
    for (int i = 0; i < 2 * 8 * 4; i++) {
        loc[i] = (real)(rng_range(&r, -1, 1));
    }
    for (int i = 0; i < 2 * 8 * WIDE; i++) {
        conf[i] = (real)(rng_range(&r, -3, 3));
    }
    const struct multibox_input second = {.loc = loc + n * 4, .conf = conf + n * WIDE};
    detect_outputs(&m, &second, 0.2, &dets);
    int want = 0;
    for (int p = 0; p < n; p++) {
        const real *c = conf + (8 + p) * WIDE, *l = loc + (8 + p) * 4;
        const double size = p % 2 == 0 ? 30 : sqrt(30 * 60);
        const double cx = (p / 2 % 2 + 0.5) * 32 + 0.1 * (double)l[0] * size;
        const double w = size * exp(0.2 * (double)l[2]);
        const double sum = exp((double)c[0]) + exp((double)c[1]) + exp((double)c[2]);
        for (int k = 1; k < WIDE; k++) {
            const double score = exp((double)c[k]) / sum;
            bool found = score <= 0.2;
            want += !found;
            for (int i = 0; i < dets.n; i++) {
                const struct detection *d = &dets.v[i];
                found |= d->class_id == k - 1 && fabs((double)d->score - score) < 1e-5 &&
                         fabs((double)d->box.x0 * 64 - (cx - w / 2)) < 1e-3 &&
                         fabs((double)d->box.x1 * 64 - (cx + w / 2)) < 1e-3;
            }
            ck_assert_msg(found, "class %d of prior %d", k, p);
        }
    }
    ck_assert_int_eq(dets.n, want);
    ck_assert_int_gt(want, 4);
    det_free(&dets);
    model_close(&m);
}
END_TEST

/* Numbers that no net should give: no detection, no crash. */
START_TEST(not_finite)
{
    struct model m;
    struct det_list dets = {0};
    real loc[8 * 4] = {0}, conf[8 * WIDE] = {0};

    open_text(&m, TINY("[ssd]\nlevels=s5\nsizes=30,60\npriors=2\n"), false);
    for (int i = 0; i < 8; i++) {
        conf[i * WIDE + 1] = i % 2 == 0 ? 20 : (real)NAN;
        loc[i * 4 + OTHERS] = i % 2 == 0 ? (real)INFINITY : 0;
    }
    detect_outputs(&m, &(struct multibox_input){.loc = loc, .conf = conf}, 0, &dets);
    for (int i = 0; i < dets.n; i++) {
        ck_assert(isfinite(dets.v[i].box.x1) && isfinite(dets.v[i].score));
    }
    det_free(&dets);
    model_close(&m);
}
END_TEST

START_TEST(refused)
{
    static const struct {
        const char *cfg, *part;
    } want[] = {
        {TINY("[ssd]\nlevels=s3,s4\nsizes=1,2\n"), "2 sizes; for 2 levels it wants 3"},
        {TINY("[ssd]\nlevels=s3,s4\nsizes=1,2,3\npriors=6,6,6\n"), "it wants 1 or 2"},
        {TINY("[ssd]\nlevels=s3,s4\nsizes=1,2,3\npriors=7\n"), "priors must be between 1 and 6"},
        {TINY("[ssd]\nlevels=s3,s4\nsizes=1,2,3\nsteps=8,8,8\n"), "3 steps; for 2"},
        {TINY("[ssd]\nlevels=s3,x4\nsizes=1,2,3\n"), "x4"},
        {TINY("[ssd]\nlevels=s3\nsizes=1,2\n[ssd]\nlevels=s3\nsizes=1,2\n"), "one head"},
        {TINY("[ssd]\nlevels=s3\nsize=1,2\n"), "size"},
        {TINY("[two_way_dense]\nlayers=1\ngrowth=5\n[ssd]\nlevels=-1\nsizes=1,2\n"),
         "wants an even growth"},
        {"[net]\nwidth=64\nheight=64\n[conv]\nname=a\n[ssd]\nlevels=a\nsizes=8,9\n",
         "wants classes= in [net]"},
    };
    const char *const text = want[_i].cfg;
    const struct model_options opt = {.training = true};
    struct err_list errs = {0};
    struct model m;

    ck_assert(model_build_text("t.cfg", text, strlen(text), &opt, &m, &errs) != VOV_OK);
    ck_assert_msg(errs.n >= 1 && strstr(errs.item[0].msg, want[_i].part) != NULL,
                  "'%s' has no '%s'", errs.item[0].msg, want[_i].part);
    ck_assert_int_gt(errs.item[0].at.line, 1);
    model_close(&m);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ssd");
    TCase *c = tcase_create("head");

    tcase_set_timeout(c, 120);
    tcase_add_test(c, learns_and_finds);
    tcase_add_test(c, learns_with_bias);
    tcase_add_loop_test(c, numbers_of_priors, 0, 4);
    tcase_add_test(c, priors_of_dsod);
    tcase_add_test(c, priors_without_second_square);
    tcase_add_test(c, decoder);
    tcase_add_test(c, not_finite);
    tcase_add_loop_test(c, refused, 0, 9);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
