/*
 * test_refinedet.c - the head of RefineDet: it learns two pictures and finds their boxes again; any
 * number of levels works; what the keys refuse; its detections against those by the paper's words,
 * and of numbers that no net should give.
 */
#include "data/image.h"
#include "det/coder.h"
#include "net/detections.h"
#include "net/scene.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char tiny_cfg[] =
    TINY("[refinedet]\narm=s3,s4,s5\nodm=p3,p4,p5\nsizes=16,28,48\ninter=1\ninter_width=8\n"
         "inter_out=16\n");

START_TEST(learns_and_finds)
{
    expect_learns(tiny_cfg, 150);
}
END_TEST

/* Nothing in the pictures: no loss, no gradient, no division by nothing. */
START_TEST(pictures_without_boxes)
{
    const real none[2 * 4 * 5] = {0};
    struct backend *be;
    struct model m;
    struct err err = {0};

    ck_assert(backend_open("cpu", 1, &be, &err) == VOV_OK);
    open_text(&m, tiny_cfg, true);
    ck_assert(model_start(&m, be, 5, &err) == VOV_OK);
    set_batch(&m);
    exec_set(&m.exec, m.head.truth, none);
    ck_assert(exec_forward(&m.exec, 0, &err) == VOV_OK);
    ck_assert(exec_backward(&m.exec, 0, &err) == VOV_OK);
    for (int i = 0; i < m.head.n_loss; i++) {
        real v[3];

        exec_get(&m.exec, m.head.loss[i], v);
        ck_assert(v[0] == 0 && v[1] == 0 && v[2] == 0);
    }
    real norm = 1;
    be->ops->block_norm(be, m.exec.params.n_learn, m.exec.params.grad, &norm);
    ck_assert(norm == 0);
    model_close(&m);
    backend_close(be);
}
END_TEST

/* In a training graph the losses know them, else what is found. */
static const struct box *priors_of(const struct model *m, int *n)
{
    const struct node *loss = graph_find(&m->graph, "refinedet1/arm_loss");
    const struct multibox_attr *a = loss != NULL ? loss->attr : NULL;

    *n = a != NULL ? a->d.n_priors : detect_desc(m)->n_priors;
    ck_assert_int_eq(m->head.n_out, a != NULL ? 4 : 5);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(m->head.out[i]->shape.c, *n);
    }
    return a != NULL ? a->d.priors : detect_desc(m)->priors;
}

static int n_priors(const struct model *m)
{
    int n;

    priors_of(m, &n);
    return n;
}

START_TEST(any_number_of_levels)
{
    static const struct {
        const char *cfg;
        int priors;
    } want[] = {
        {TINY("[refinedet]\narm=s5\nodm=p5\n"), 3 * 4},
        {TINY("[refinedet]\narm=s4,s5\nodm=p4,p5\n"), 3 * 20},
        {TINY("[refinedet]\narm=s3,s4,s5\nodm=p3,p4,p5\nratios=1,2\n"), 2 * 84},
    };

    for (int i = 0; i < 3; i++) {
        struct model m;

        open_text(&m, want[i].cfg, _i == 1);
        ck_assert_int_eq(n_priors(&m), want[i].priors);
        ck_assert_int_eq(m.head.out[3]->shape.h, 3);
        model_close(&m);
    }
}
END_TEST

/* The paper's: 6375 and 16320, squares of 4 times the stride, ratios 1, 2, 1/2. */
START_TEST(priors_of_the_paper)
{
    static const struct {
        const char *cfg;
        int size, priors;
    } want[] = {{"cfg/detect/refinedet320-vovnet39.cfg", 320, 6375},
                {"cfg/detect/refinedet320-densenet201.cfg", 320, 6375},
                {"cfg/detect/refinedet512-resnet101.cfg", 512, 16320}};
    const struct model_options opt = {0};
    struct err_list errs = {0};
    struct model m;

    ck_assert_msg(model_build(want[_i].cfg, &opt, &m, &errs) == VOV_OK, "%s", errs.item[0].msg);
    int n;
    const struct box *p = priors_of(&m, &n), *last = p + want[_i].priors - 3;
    const double size = want[_i].size;
    ck_assert_int_eq(n, want[_i].priors);
    ck_assert_double_eq_tol((double)p[0].x0 * size, 4 - 16, 1e-3);
    ck_assert_double_eq_tol((double)p[0].y1 * size, 4 + 16, 1e-3);
    ck_assert_double_eq_tol((double)(p[1].x1 - p[1].x0) * size, 32 * sqrt(2), 1e-3);
    ck_assert_double_eq_tol((double)(p[2].y1 - p[2].y0) * size, 32 * sqrt(2), 1e-3);
    ck_assert_double_eq_tol((double)(last->x0 + last->x1) / 2 * size, size - 32, 1e-3);
    ck_assert_double_eq_tol((double)(last->x1 - last->x0) * size, 256, 1e-3);
    model_close(&m);
}
END_TEST

#define HEAD "[refinedet]\narm=s3,s4\nodm=p3,p4\n"

START_TEST(refused)
{
    static const struct {
        const char *cfg, *part;
    } want[] = {
        {TINY("[refinedet]\narm=s3,s4\nodm=p3\n"), "as many levels in odm as in arm"},
        {TINY("[refinedet]\narm=s3,s4\nodm=p4,p3\n"), "level s3 is 8x8 but p4 is 4x4"},
        {TINY("[refinedet]\narm=s3,s7\nodm=p3,p4\n"), "did you mean 's"},
        {TINY("[refinedet]\narm=s3,s3,s3,s3,s3,s3,s3,s3,s3\nodm=p3,p3,p3,p3,p3,p3,p3,p3,p3\n"),
         "1 to 8 levels, not 9"},
        {TINY(HEAD "sizes=16\n"), "1 sizes for 2 levels"},
        {TINY(HEAD "sizes=0,3\n"), "sizes must be between 1"},
        {TINY(HEAD "ratios=1,-2\n"), "ratios must be between"},
        {TINY(HEAD "ratios=1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1\n"),
         "1 to 32 ratios, not 33"},
        {TINY(HEAD "top_k=0\n"), "top_k must be between"},
        {TINY(HEAD HEAD), "a network has one head"},
        {TINY("[refinedet]\narm=s3\n"), "odm"},
        {"[net]\nwidth=64\nheight=64\n[conv]\nname=a\n[tcb]\nname=p\n[refinedet]\narm=a\nodm=p\n",
         "wants classes= in [net]"},
    };
    const char *const text = want[_i].cfg;
    const struct model_options opt = {.training = true};
    struct err_list errs = {0};
    struct model m;

    ck_assert(model_build_text("t.cfg", text, strlen(text), &opt, &m, &errs) != VOV_OK);
    ck_assert_msg(errs.n == 1 && strstr(errs.item[0].msg, want[_i].part) != NULL,
                  "'%s' has no '%s'", errs.item[0].msg, want[_i].part);
    ck_assert_int_gt(errs.item[0].at.line, 1);
    model_close(&m);
}
END_TEST

/* Inputs that do not halve evenly: both sizes, and one that does. */
START_TEST(uneven_sizes)
{
    static const struct {
        int width, height;
        const char *part;
    } want[] = {
        {72, 64, "is 5x4, and top, which is 3x2, doubles to 6x4"},
        {72, 64, "width=64, height=64"},
        {64, 100, "width=64, height=96"},
        {240, 640, "is 15x40, and top, which is 8x20, doubles to 16x40"},
        {200, 600, "width=192, height=608"},
    };
    const char *const text = TINY(HEAD);
    struct err_list errs = {0};
    struct model m;
    const struct model_options opt = {.width = want[_i].width, .height = want[_i].height};

    ck_assert(model_build_text("t.cfg", text, strlen(text), &opt, &m, &errs) == VOV_ESHAPE);
    ck_assert_msg(strstr(errs.item[0].msg, want[_i].part) != NULL, "'%s' has no '%s'",
                  errs.item[0].msg, want[_i].part);
    model_close(&m);
}
END_TEST

enum { P = 300, C = 6, IMAGES = 2 };

struct case_data {
    struct multibox_detect_desc d;
    struct box prior[P];
    real arm_loc[IMAGES * P * 4], arm_conf[IMAGES * P * 2];
    real odm_loc[IMAGES * P * 4], odm_conf[IMAGES * P * C];
    uint32_t state;
};

static double uniform(struct case_data *c, double lo, double hi)
{
    c->state = c->state * 1664525u + 1013904223u;
    return lo + (hi - lo) * (c->state >> 8) / (1 << 24);
}

static void fill(struct case_data *c, real *v, int n, double size)
{
    for (int i = 0; i < n; i++) {
        v[i] = (real)uniform(c, -size, size);
    }
}

static struct case_data *make_case(uint32_t seed)
{
    struct case_data *c = mem_alloc(1, sizeof *c);

    ck_assert_ptr_nonnull(c);
    c->state = seed;
    for (int p = 0; p < P; p++) {
        const double x = uniform(c, 0, 1), y = uniform(c, 0, 1), s = uniform(c, 0.05, 0.3);
        c->prior[p] = (struct box){(real)x, (real)y, (real)(x + s), (real)(y + s)};
    }
    c->d = (struct multibox_detect_desc){.priors = c->prior,
                                         .n_priors = P,
                                         .n_classes = C,
                                         .arm_threshold = (real)0.3,
                                         .variance = {(real)0.1, (real)0.1, (real)0.2, (real)0.2},
                                         .min_score = (real)0.2,
                                         .iou = (real)0.45,
                                         .top_k = 40,
                                         .keep = 90};
    fill(c, c->arm_loc, IMAGES * P * 4, 2);
    fill(c, c->arm_conf, IMAGES * P * 2, 1.5);
    fill(c, c->odm_loc, IMAGES * P * 4, 2);
    fill(c, c->odm_conf, IMAGES * P * C, 2);
    return c;
}

/* Detections of one picture of it. */
static void detect(const struct case_data *c, int image, struct det_list *dets)
{
    const size_t first = (size_t)image * P;
    const struct multibox_input in = {.loc = c->odm_loc + first * 4,
                                      .conf = c->odm_conf + first * C,
                                      .arm_loc = c->arm_loc + first * 4,
                                      .arm_conf = c->arm_conf + first * 2};
    real *found = detect_rows(&c->d, &in);

    for (int i = 0; i < c->d.keep && found[i * FOUND_ROW + 4] > 0; i++) {
        const real *r = found + (ptrdiff_t)i * FOUND_ROW;
        ck_assert(det_add(dets, (struct detection){{r[0], r[1], r[2], r[3]}, r[4], (int)r[5], 0}));
    }
    free(found);
}

/* Softmax of one row in full. */
static double probability(const real *x, int n, int k)
{
    double sum = 0;

    for (int i = 0; i < n; i++) {
        sum += exp((double)x[i]);
    }
    return exp((double)x[k]) / sum;
}

static struct box twice_refined(const struct case_data *c, size_t row)
{
    const struct box once = box_decode(&c->prior[row % P], c->arm_loc + row * 4, c->d.variance);

    return box_decode(&once, c->odm_loc + row * 4, c->d.variance);
}

static int falling(const void *a, const void *b)
{
    const struct detection *x = a, *y = b;

    return (x->score < y->score) - (x->score > y->score);
}

/* All boxes of a class over the threshold, sorted; then those that no better one covers. */
static int reference_class(const struct case_data *c, int image, int k, double least,
                           struct detection *found)
{
    struct detection all[P];
    int n = 0, kept = 0;

    for (size_t row = (size_t)image * P; row < (size_t)(image + 1) * P; row++) {
        const bool alive = probability(c->arm_conf + row * 2, 2, 1) >= (double)c->d.arm_threshold;
        const double score = alive ? probability(c->odm_conf + row * C, C, k) : 0;

        if (score > least) {
            all[n++] = (struct detection){twice_refined(c, row), (real)score, k - 1, 0};
        }
    }
    qsort(all, (size_t)n, sizeof *all, falling);
    for (int i = 0; i < n && i < c->d.top_k; i++) {
        bool covered = false;
        for (int j = 0; j < kept; j++) {
            covered |= box_iou(&found[j].box, &all[i].box) > c->d.iou;
        }
        if (!covered) {
            found[kept++] = all[i];
        }
    }
    return kept;
}

START_TEST(decodes_as_the_paper_says)
{
    static struct detection want[P * C];
    const int image = _i % IMAGES;
    struct case_data *c = make_case((uint32_t)_i * 31 + 1);
    struct det_list got = {0};
    int n = 0;

    c->d.min_score = _i % 3 == 0 ? (real)0.3 : (real)0.2;
    for (int k = 1; k < C; k++) {
        n += reference_class(c, image, k, (double)c->d.min_score, want + n);
    }
    qsort(want, (size_t)n, sizeof *want, falling);
    n = n < c->d.keep ? n : c->d.keep;
    detect(c, image, &got);
    ck_assert_int_gt(n, 20);
    ck_assert_int_eq(got.n, n);
    for (int i = 0; i < n; i++) {
        ck_assert_int_eq(got.v[i].class_id, want[i].class_id);
        ck_assert_double_eq_tol((double)got.v[i].score, (double)want[i].score, 1e-6);
        ck_assert(memcmp(&got.v[i].box, &want[i].box, sizeof want[i].box) == 0);
    }
    det_free(&got);
    mem_free(c);
}
END_TEST

/* Soft-NMS lowers scores and drops nothing that stays over the threshold, nor anything that is not
 * asked for. */
START_TEST(softens)
{
    enum { CLASSES = 3, SOME = 84 * 3 };
    struct case_data *c = make_case(77);
    const struct multibox_input in = {
        .loc = c->odm_loc, .conf = c->odm_conf, .arm_loc = c->arm_loc, .arm_conf = c->arm_conf};
    struct det_list hard = {0}, soft = {0}, good = {0};
    struct model m;
    int lower = 0;

    open_text(&m, TINY("[refinedet]\narm=s3,s4,s5\nodm=p3,p4,p5\nsoft_nms=0.1\nconf_thresh=0.2\n"),
              false);
    ck_assert_int_eq(n_priors(&m), SOME);
    ck_assert_int_eq(detect_desc(&m)->n_classes, CLASSES);
    detect_outputs(&m, &in, 0, &soft);
    detect_outputs(&m, &in, 0.5, &good);
    m.head.thin->soft = 0;
    detect_outputs(&m, &in, 0, &hard);
    ck_assert(good.n > 0 && good.n < soft.n && soft.n <= hard.n);
    for (int i = 0; i < soft.n; i++) {
        ck_assert(soft.v[i].score >= (real)0.2);
        ck_assert(i == 0 || soft.v[i].score <= soft.v[i - 1].score);
        lower += soft.v[i].score < hard.v[i].score;
    }
    ck_assert_int_gt(lower, 0);
    ck_assert(good.v[good.n - 1].score >= (real)0.5);
    model_close(&m);
    det_free(&hard);
    det_free(&soft);
    det_free(&good);
    mem_free(c);
}
END_TEST

/* Not-a-number and infinity in any output: no crash, and nothing of them comes out. */
START_TEST(survives_wild_numbers)
{
    const real wild[] = {(real)NAN, (real)INFINITY, -(real)INFINITY, (real)1e30, (real)-1e30};
    struct case_data *c = make_case(5);
    real *const block[] = {c->arm_loc, c->arm_conf, c->odm_loc, c->odm_conf};
    const int size[] = {P * 4, P * 2, P * 4, P * C};
    struct det_list got = {0};

    for (int i = 0; i < size[_i]; i++) {
        if (uniform(c, 0, 1) < 0.5) {
            block[_i][i] = wild[(int)uniform(c, 0, 5)];
        }
    }
    detect(c, 0, &got);
    for (int i = 0; i < got.n; i++) {
        const struct detection *d = &got.v[i];

        ck_assert(d->score >= 0 && d->score <= 1);
        ck_assert(isfinite(d->box.x0) && isfinite(d->box.y0) && isfinite(d->box.x1) &&
                  isfinite(d->box.y1));
    }
    det_free(&got);
    mem_free(c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("refinedet");
    TCase *t = tcase_create("refinedet");

    tcase_set_timeout(t, 120);
    tcase_add_test(t, learns_and_finds);
    tcase_add_test(t, pictures_without_boxes);
    tcase_add_loop_test(t, any_number_of_levels, 0, 2);
    tcase_add_loop_test(t, priors_of_the_paper, 0, 3);
    tcase_add_loop_test(t, refused, 0, 12);
    tcase_add_loop_test(t, uneven_sizes, 0, 5);
    tcase_add_loop_test(t, decodes_as_the_paper_says, 0, 12);
    tcase_add_test(t, softens);
    tcase_add_loop_test(t, survives_wild_numbers, 0, 4);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
