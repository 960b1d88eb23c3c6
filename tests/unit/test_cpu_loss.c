/*
 * test_cpu_loss.c - softmax, losses, prior rows, the dense product and the optimizer against the
 * reference loops, and some against numbers worked out by hand.
 */
#include "cpu_case.h"

#include "det/multibox.h"

static const struct shape shapes[] = {{1, 1, 1, 1}, {2, 3, 5, 7}, {5, 4, 1, 1}, {1, 21, 20, 33}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

struct loss_call {
    struct view v[4];
    real beta;
};

static struct view at(const struct loss_call *c, int i, real *const buf[])
{
    return case_bind(c->v[i], buf[i]);
}

static void run_softmax_fwd(struct backend *be, const void *args, real *const buf[])
{
    be->ops->softmax_fwd(be, at(args, 0, buf), at(args, 1, buf));
}

static void run_softmax_bwd(struct backend *be, const void *args, real *const buf[])
{
    const struct loss_call *c = args;

    be->ops->softmax_bwd(be, at(c, 0, buf), at(c, 1, buf), c->beta, at(c, 2, buf));
}

static void run_softmax_loss(struct backend *be, const void *args, real *const buf[])
{
    const struct loss_call *c = args;

    be->ops->softmax_loss_fwd(be, at(c, 0, buf), at(c, 3, buf), buf[1]);
    be->ops->softmax_loss_bwd(be, at(c, 0, buf), at(c, 3, buf), (real)0.7, c->beta, at(c, 2, buf));
}

static void run_smooth_l1(struct backend *be, const void *args, real *const buf[])
{
    const struct loss_call *c = args;
    const struct view weight = at(c, 0, buf);

    be->ops->smooth_l1_fwd(be, at(c, 0, buf), at(c, 1, buf), weight, (real)0.3, 5, buf[3]);
    be->ops->smooth_l1_bwd(be, at(c, 0, buf), at(c, 1, buf), weight, (real)0.3, 5, (real)0.7,
                           c->beta, at(c, 2, buf));
}

/* Views 0, 1, 2 of shape s, and view 3: labels from -1 on. */
static void check(const char *name, case_fn run, struct shape s, real beta)
{
    struct loss_call c = {.beta = beta};
    struct cpu_case t = {.name = name, .run = run, .args = &c, .tolerance = 1e-5};
    const struct shape one = {s.n, 1, s.h, s.w};
    int index;

    for (int i = 0; i < 4; i++) {
        c.v[i] = case_view(&t, i < 3 ? s : one, i == 3 ? 0 : i, &index);
    }
    for (size_t i = 0; i < t.size[3]; i++) {
        t.start[3][i] = (real)((int)(i * 7 % (size_t)(s.c + 1)) - 1);
    }
    if (beta == 0) {
        case_fill(c.v[2], (real)NAN);
    }
    case_check(&t);
}

START_TEST(test_losses)
{
    for (int beta = 0; beta < 2; beta++) {
        check("softmax", run_softmax_fwd, shapes[_i], (real)beta);
        check("softmax backward", run_softmax_bwd, shapes[_i], (real)beta);
        check("softmax loss", run_softmax_loss, shapes[_i], (real)beta);
        check("smooth l1", run_smooth_l1, shapes[_i], (real)beta);
    }
}
END_TEST

/* Logits far apart, a label that is not counted, and one that does not exist. */
START_TEST(test_loss_values)
{
    struct backend *be = case_open("cpu", 1);
    struct err err = {0};
    real x[4] = {500, 0, 0, 0}, label[2] = {1, -1}, loss = 0, dx[4];
    const struct view vx = view_dense(x, (struct shape){2, 2, 1, 1});
    const struct view vl = view_dense(label, (struct shape){2, 1, 1, 1});

    be->ops->softmax_loss_fwd(be, vx, vl, &loss);
    ck_assert(loss == 500);
    be->ops->softmax_loss_bwd(be, vx, vl, 1, 0, view_dense(dx, (struct shape){2, 2, 1, 1}));
    ck_assert(dx[0] == 1 && dx[1] == -1 && dx[2] == 0 && dx[3] == 0);
    ck_assert(backend_check(be, &err) == VOV_OK);
    label[1] = 2;
    be->ops->softmax_loss_fwd(be, vx, vl, &loss);
    ck_assert(backend_check(be, &err) == VOV_EARG);
    ck_assert(strstr(err.msg, "label 2") != NULL);
    ck_assert(backend_check(be, NULL) == VOV_OK);
    backend_close(be);
}
END_TEST

struct rows_call {
    struct view map, rows;
    int k, first;
    real beta;
    bool backward;
};

static void run_rows(struct backend *be, const void *args, real *const buf[])
{
    const struct rows_call *c = args;
    const struct view map = case_bind(c->map, buf[0]), rows = case_bind(c->rows, buf[1]);

    if (c->backward) {
        be->ops->prior_rows_bwd(be, rows, c->k, c->first, c->beta, map);
    } else {
        be->ops->prior_rows_fwd(be, map, c->k, c->first, rows);
    }
}

START_TEST(test_prior_rows)
{
    for (int i = 0; i < 3; i++) {
        struct rows_call c = {.k = 4, .first = 11, .backward = i > 0, .beta = i > 1 ? 1 : 0};
        struct cpu_case t = {.name = "prior rows", .run = run_rows, .args = &c, .tolerance = 1e-6};
        int index;
        c.map = case_view(&t, (struct shape){3, 12, 5, 6}, 1, &index);
        c.rows = case_view(&t, (struct shape){3, 11 + 90 + 7, 4, 1}, 0, &index);
        if (i == 1) {
            case_fill(c.map, (real)NAN);
        }
        case_check(&t);
    }
}
END_TEST

struct gemm_call {
    int m, n, k;
    bool ta, tb;
    real beta;
};

static void run_gemm(struct backend *be, const void *args, real *const buf[])
{
    const struct gemm_call *g = args;
    const int lda = (g->ta ? g->m : g->k) + 3, ldb = (g->tb ? g->k : g->n) + 1;

    be->ops->gemm(be, g->ta, g->tb, g->m, g->n, g->k, buf[0], lda, buf[1], ldb, g->beta, buf[2],
                  g->n + 2);
}

START_TEST(test_gemm)
{
    static const struct gemm_call sizes[] = {
        {.m = 1, .n = 1, .k = 1},     {.m = 5, .n = 40, .k = 33},   {.m = 8, .n = 10, .k = 5000},
        {.m = 150, .n = 7, .k = 20},  {.m = 1, .n = 300, .k = 257}, {.m = 70, .n = 700, .k = 90},
        {.m = 300, .n = 31, .k = 64},
    };

    for (int i = 0; i < 8; i++) {
        struct gemm_call g = sizes[_i];
        struct cpu_case t = {.name = "gemm", .run = run_gemm, .args = &g};
        t.tolerance = 4e-6 * sqrt(g.k);
        g.ta = i & 1;
        g.tb = i & 2;
        g.beta = i & 4 ? 1 : 0;
        case_buffer(&t, (size_t)(g.ta ? g.k * (g.m + 3) : g.m * (g.k + 3)));
        case_buffer(&t, (size_t)(g.tb ? g.n * (g.k + 1) : g.k * (g.n + 1)));
        case_buffer(&t, (size_t)(g.m * (g.n + 2)));
        if (g.beta == 0) {
            for (int r = 0; r < g.m; r++) {
                t.start[2][(size_t)r * (size_t)(g.n + 2)] = (real)NAN;
            }
        }
        case_check(&t);
    }
}
END_TEST

static void run_sgd(struct backend *be, const void *args, real *const buf[])
{
    const real rate = (real)0.2, guard[3] = {4, 0, -7};
    const struct sgd_desc d = {.rate = &rate,
                               .rate_factor = (real)0.5,
                               .momentum = (real)0.9,
                               .decay = (real)1e-2,
                               .nesterov = *(const bool *)args,
                               .scale = (real)0.5,
                               .clip = *(const bool *)args ? 1 : 3, /* shortens, or does not */
                               .guard = guard,
                               .n_guard = 3};

    be->ops->sgd(be, &d, 200000, buf[0], buf[1], buf[2]);
    be->ops->block_fill(be, 150000, buf[1], 3);
    be->ops->block_norm(be, 200000, buf[2], &buf[3][0]);
    be->ops->block_norm(be, 7, buf[2], &buf[3][1]);
}

static void run_average(struct backend *be, const void *args, real *const buf[])
{
    const real rate = (real)0.3, guard[2] = {4, 0};

    (void)args;
    be->ops->block_average(be, &rate, guard, 2, 200000, buf[0], buf[1]);
}

START_TEST(test_average)
{
    struct cpu_case t = {.name = "average", .run = run_average, .tolerance = 1e-6};
    case_buffer(&t, 200001);
    case_buffer(&t, 200001);
    case_check(&t);
}
END_TEST

START_TEST(test_optim)
{
    for (int nesterov = 0; nesterov < 2; nesterov++) {
        const bool arg = nesterov;
        struct cpu_case t = {.name = "sgd", .run = run_sgd, .args = &arg, .tolerance = 1e-6};
        for (int i = 0; i < 3; i++) {
            case_buffer(&t, 200001);
        }
        case_buffer(&t, 2);
        case_check(&t);
    }
}
END_TEST

/* One number that is not finite, and nothing changes; clipping and the rate by hand. */
START_TEST(test_guard)
{
    static const char *const device[] = {"plain", "cpu"};
    for (int i = 0; i < 2; i++) {
        struct backend *be = case_open(device[i], 1);
        const real rate = (real)0.5;
        real guard[2] = {8, (real)NAN}, w = 1, m = 3;
        const real g = 4;
        const struct sgd_desc d = {.rate = &rate,
                                   .rate_factor = 2,
                                   .momentum = 1,
                                   .scale = (real)0.5,
                                   .clip = 2,
                                   .guard = guard,
                                   .n_guard = 2};
        be->ops->sgd(be, &d, 1, &w, &g, &m);
        ck_assert(w == 1 && m == 3);
        guard[1] = (real)INFINITY;
        be->ops->sgd(be, &d, 1, &w, &g, &m);
        ck_assert(w == 1 && m == 3);
        guard[1] = 0; /* the norm is 4 after scaling, 2 times the limit: g counts a quarter */
        be->ops->sgd(be, &d, 1, &w, &g, &m);
        ck_assert(w == -3 && m == 4);

        real average = 1; /* of which half goes to 5 */
        w = 5;
        be->ops->block_average(be, &rate, guard, 2, 1, &w, &average);
        ck_assert(average == 3 && w == 5);
        guard[0] = (real)NAN;
        be->ops->block_average(be, &rate, guard, 2, 1, &w, &average);
        ck_assert(average == 3);
        backend_close(be);
    }
}
END_TEST

START_TEST(test_norm_values)
{
    struct backend *be = case_open("cpu", 2);
    real x[3] = {(real)3e30, 4, 0}, norm;

    be->ops->block_norm(be, 3, x, &norm);
    ck_assert(fabs((double)norm / 3e30 - 1) < 1e-6);
    x[1] = (real)NAN;
    be->ops->block_norm(be, 3, x, &norm);
    ck_assert(isnan(norm));
    x[1] = (real)INFINITY;
    be->ops->block_norm(be, 3, x, &norm);
    ck_assert(isinf(norm));
    backend_close(be);
}
END_TEST

enum { PRIORS = 40, CLASSES = 3, TRUTHS = 4, IMAGES = 3 };

static void run_multibox(struct backend *be, const void *args, real *const buf[])
{
    const struct multibox_desc *d = args;
    const struct view loc = view_dense(buf[0], (struct shape){IMAGES, PRIORS, 4, 1});
    const struct view conf = view_dense(buf[1], (struct shape){IMAGES, PRIORS, CLASSES, 1});
    const struct view truth = view_dense(buf[2], (struct shape){IMAGES, TRUTHS, 5, 1});
    const struct view match = view_dense(buf[3], (struct shape){IMAGES, PRIORS, 5, 1});
    const struct view none = {0};
    void *scratch = mem_alloc_aligned(be->ops->multibox_scratch(be, d, conf, truth));

    be->ops->multibox_fwd(be, d, none, loc, conf, none, none, truth, match, buf[4], scratch);
    be->ops->multibox_bwd(be, d, loc, conf, match, buf[4], (real)0.5, 0,
                          view_dense(buf[5], (struct shape){IMAGES, PRIORS, 4, 1}), 1,
                          view_dense(buf[6], (struct shape){IMAGES, PRIORS, CLASSES, 1}));
    mem_free(scratch);
}

/* A row of priors along the picture; two objects in the first image, one in the last. */
START_TEST(test_multibox)
{
    static const real truth[IMAGES * TRUTHS * 5] = {(real)0.1,
                                                    (real)0.1,
                                                    (real)0.3,
                                                    (real)0.3,
                                                    1,
                                                    (real)0.5,
                                                    (real)0.1,
                                                    (real)0.7,
                                                    (real)0.3,
                                                    2,
                                                    [2 * TRUTHS * 5] = (real)0.2,
                                                    (real)0.1,
                                                    (real)0.4,
                                                    (real)0.35,
                                                    1};
    struct box priors[PRIORS];
    struct multibox_desc d = {.priors = priors,
                              .n_priors = PRIORS,
                              .n_classes = CLASSES,
                              .match_iou = (real)0.5,
                              .neg_iou = (real)0.5,
                              .neg_ratio = 3,
                              .arm_threshold = (real)0.01,
                              .variance = {(real)0.1, (real)0.1, (real)0.2, (real)0.2}};
    struct cpu_case t = {.name = "multibox", .run = run_multibox, .args = &d, .tolerance = 1e-6};

    for (int i = 0; i < PRIORS; i++) {
        const real x = (real)i / PRIORS;
        priors[i] = (struct box){x, (real)0.1, x + (real)0.2, (real)0.3};
    }
    case_buffer(&t, (size_t)IMAGES * PRIORS * 4);
    case_buffer(&t, (size_t)IMAGES * PRIORS * CLASSES);
    case_buffer(&t, (size_t)IMAGES * TRUTHS * 5);
    case_buffer(&t, (size_t)IMAGES * PRIORS * 5);
    case_buffer(&t, 3);
    case_buffer(&t, (size_t)IMAGES * PRIORS * 4);
    case_buffer(&t, (size_t)IMAGES * PRIORS * CLASSES);
    memcpy(t.start[2], truth, sizeof truth);
    case_check(&t);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("loss");

    tcase_add_loop_test(tests, test_losses, 0, SHAPES);
    tcase_add_test(tests, test_loss_values);
    tcase_add_test(tests, test_prior_rows);
    tcase_add_loop_test(tests, test_gemm, 0, 7);
    tcase_add_test(tests, test_optim);
    tcase_add_test(tests, test_average);
    tcase_add_test(tests, test_guard);
    tcase_add_test(tests, test_norm_values);
    tcase_add_test(tests, test_multibox);
    return case_main(tests);
}
