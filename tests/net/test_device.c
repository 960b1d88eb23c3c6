/*
 * test_device.c - whole detectors, of one stage and of two, on the device that VOV_TEST_DEVICE
 * names, beside the reference loops: three steps of training give the same gradients and leave the
 * same weights, inference gives the same numbers and what the host finds in them to the bit, and
 * all of it the same bits when it is done again, and by other threads, and on the device that
 * VOV_TEST_SECOND names, in turn with the first. Skipped where no device is named.
 */
#include "net/detections.h"
#include "net/tiny_rcnn.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

enum { STEPS = 3, SEED = 5 };

static const char refinedet[] =
    TINY("[refinedet]\narm=s3,s4,s5\nodm=p3,p4,p5\nsizes=16,28,48\ninter=1\ninter_width=8\n"
         "inter_out=16\n");
static const char *const nets[] = {refinedet, MASK_RCNN};

static struct backend *open_device(const char *name)
{
    struct backend *be;
    struct err err = {0};

    ck_assert_msg(backend_open(name, 1, &be, &err) == VOV_OK, "%s", err.msg);
    return be;
}

static const char *device(void)
{
    return getenv("VOV_TEST_DEVICE");
}

/* Where there is one; else NULL. */
static const char *second(void)
{
    const char *name = getenv("VOV_TEST_SECOND");

    return name == NULL || *name == '\0' ? NULL : name;
}

/* All parameters, or what `which` of them, one behind the other. */
static real *numbers(const struct params *p, real *which, size_t *count)
{
    real *all = calloc(p->count + 1, sizeof *all);

    *count = 0;
    for (int i = 0; i < p->n; i++) {
        params_get(p, which, p->tensor[i], all + *count);
        *count += shape_count(p->tensor[i]->shape);
    }
    return all;
}

static void expect_near(const char *what, const real *want, const real *got, size_t n, double bound)
{
    for (size_t i = 0; i < n; i++) {
        const double d = fabs((double)want[i] - (double)got[i]);
        if (!(d <= bound * (1 + fabs((double)want[i])))) {
            ck_abort_msg("%s: number %zu of %zu is %.7g, on the reference %.7g", what, i, n,
                         (double)got[i], (double)want[i]);
        }
    }
}

/* Of all numbers together. */
static double difference(const real *want, const real *got, size_t n)
{
    double diff = 0, size = 0;

    for (size_t i = 0; i < n; i++) {
        const double d = (double)want[i] - (double)got[i];
        diff += d * d;
        size += (double)want[i] * (double)want[i];
    }
    return sqrt(diff / size);
}

/* A training run of a few steps. */
struct outcome {
    real *weights;
    real *gradient; /* of the first step */
    size_t count;
    double loss[STEPS];
};

/* A run under way. */
struct run {
    struct backend *be;
    struct model m;
    struct sgd sgd;
    struct outcome *out;
};

static void begin(struct run *r, const char *name, const char *cfg, struct outcome *out)
{
    struct err err = {0};

    r->be = open_device(name);
    r->out = out;
    open_text(&r->m, cfg, true);
    ck_assert_msg(model_start(&r->m, r->be, SEED, &err) == VOV_OK, "%s", err.msg);
    ck_assert(sgd_open(&r->sgd, &r->m.exec.params, &r->m.net, &err) == VOV_OK);
}

static void step(struct run *r, int i)
{
    struct params *p = &r->m.exec.params;
    struct err err = {0};

    set_batch(&r->m);
    r->be->ops->block_fill(r->be, p->n_learn, p->grad, 0);
    ck_assert_msg(exec_forward(&r->m.exec, 1, &err) == VOV_OK, "%s", err.msg);
    r->out->loss[i] = loss_of(&r->m);
    ck_assert_msg(exec_backward(&r->m.exec, 1, &err) == VOV_OK, "%s", err.msg);
    if (i == 0) {
        r->out->gradient = numbers(p, p->grad, &r->out->count);
    }
    sgd_set_rate(&r->sgd, 1e-4); /* a ReLU or a hard negative may hang on a last bit */
    sgd_update(&r->sgd, 1, NULL);
}

static void end(struct run *r)
{
    struct params *p = &r->m.exec.params;
    struct err err = {0};

    ck_assert_msg(backend_check(r->be, &err) == VOV_OK, "%s", err.msg);
    r->out->weights = numbers(p, p->val, &r->out->count);
    sgd_close(&r->sgd);
    model_close(&r->m);
    backend_close(r->be);
}

static void train(const char *name, const char *cfg, struct outcome *out)
{
    struct run r;

    begin(&r, name, cfg, out);
    for (int i = 0; i < STEPS; i++) {
        step(&r, i);
    }
    end(&r);
}

static void forget(struct outcome *o)
{
    free(o->weights);
    free(o->gradient);
}

static bool same_weights(const struct outcome *a, const struct outcome *b)
{
    return a->count == b->count &&
           memcmp(a->weights, b->weights, a->count * sizeof *a->weights) == 0;
}

START_TEST(trains_alike)
{
    struct outcome want, got, again;

    train("plain", nets[_i], &want);
    train(device(), nets[_i], &got);
    train(device(), nets[_i], &again);
    for (int i = 0; i < STEPS; i++) {
        ck_assert_double_eq_tol(got.loss[i], want.loss[i], 1e-3 * (1 + want.loss[i]));
    }
    ck_assert(got.count == want.count);
    ck_assert_double_lt(difference(want.gradient, got.gradient, got.count), 1e-4);
    expect_near("weights", want.weights, got.weights, got.count, 1e-4);
    ck_assert_msg(same_weights(&got, &again), "the same run has other bits");
    forget(&want);
    forget(&got);
    forget(&again);
}
END_TEST

struct other_thread {
    struct run *run;
    int step;
};

static void *step_there(void *arg)
{
    const struct other_thread *t = arg;

    step(t->run, t->step);
    return NULL;
}

/* Two devices, each step of each by this thread or another, whose current device is any. */
START_TEST(devices_in_turn)
{
    struct outcome want, got[2];
    struct run r[2];

    train(device(), refinedet, &want);
    begin(&r[0], device(), refinedet, &got[0]);
    begin(&r[1], second(), refinedet, &got[1]);
    for (int i = 0; i < STEPS; i++) {
        for (int k = 0; k < 2; k++) {
            struct other_thread t = {&r[k], i};
            pthread_t thread;
            if (i == 1) {
                ck_assert(pthread_create(&thread, NULL, step_there, &t) == 0);
                pthread_join(thread, NULL);
            } else {
                step(&r[k], i);
            }
        }
    }
    end(&r[0]);
    end(&r[1]);
    for (int k = 0; k < 2; k++) {
        ck_assert_msg(same_weights(&want, &got[k]), "device %d of two has other bits", k);
        forget(&got[k]);
    }
    forget(&want);
}
END_TEST

/* The numbers of one of the head's outputs, to be freed. */
static real *output(const struct model *m, int i)
{
    real *v = calloc(shape_count(m->head.out[i]->shape), sizeof *v);

    exec_get(&m->exec, m->head.out[i], v);
    return v;
}

/* What was found is what the host finds in the other outputs, which are arm_loc, arm_conf, odm_loc
 * and odm_conf. */
static void check_found(const struct model *m)
{
    const struct multibox_detect_desc *d = detect_desc(m);
    const size_t rows = (size_t)d->keep * FOUND_ROW;
    real *out[5];

    for (int i = 0; i < 5; i++) {
        out[i] = output(m, i);
    }
    for (size_t image = 0; image < 2; image++) {
        const size_t first = image * (size_t)d->n_priors;
        const struct multibox_input in = {.arm_loc = out[0] + first * 4,
                                          .arm_conf = out[1] + first * 2,
                                          .loc = out[2] + first * 4,
                                          .conf = out[3] + first * (size_t)d->n_classes};
        real *want = detect_rows(d, &in);
        ck_assert_msg(want[20 * FOUND_ROW + 4] > 0, "too little is found");
        ck_assert_mem_eq(out[4] + image * rows, want, rows * sizeof *want);
        free(want);
    }
    for (int i = 0; i < 5; i++) {
        free(out[i]);
    }
}

/* How an inference is made. algorithm: of the first convolution, where it is not NULL. */
struct inference {
    const char *cfg, *option, *algorithm;
    bool fold;
};

/* All outputs of the head, one behind the other, but for what a RefineDet found, which is checked
 * here. */
static real *infer(const char *name, const struct inference *how, size_t *count)
{
    const char *const set[] = {"net.batch=2", how->option};
    const struct model_options opt = {.batch = 2, .keep_norms = !how->fold, .set = set, .n_set = 2};
    struct backend *be = open_device(name);
    struct err_list errs = {0};
    struct err err = {0};
    struct model m;
    real images[2 * 3 * PIXELS];

    ck_assert(model_build_text("t.cfg", how->cfg, strlen(how->cfg), &opt, &m, &errs) == VOV_OK);
    ck_assert_msg(model_start(&m, be, SEED, &err) == VOV_OK, "%s", err.msg);
    ck_assert(!how->fold || fold_weights(&m.graph, &m.exec.params) == VOV_OK);
    exec_pack(&m.exec);
    draw(images, 0);
    draw(images + 3 * PIXELS, 1);
    exec_set(&m.exec, m.input, images);
    ck_assert_msg(exec_forward(&m.exec, 0, &err) == VOV_OK, "%s", err.msg);
    const struct node *first = m.graph.nodes[0];
    ck_assert(how->algorithm == NULL ||
              strcmp(first->type->algorithm(first, be), how->algorithm) == 0);
    const bool one_stage = how->cfg == refinedet;
    if (one_stage) {
        check_found(&m);
    }
    *count = 0;
    real *all = NULL;
    for (int i = 0; i < (one_stage ? 4 : m.head.n_out); i++) {
        const size_t n = shape_count(m.head.out[i]->shape);
        real *v = output(&m, i);
        all = realloc(all, (*count + n) * sizeof *all);
        memcpy(all + *count, v, n * sizeof *v);
        *count += n;
        free(v);
    }
    model_close(&m);
    backend_close(be);
    return all;
}

START_TEST(infers_alike)
{
    size_t n, m;
    struct inference how = {nets[_i / 2], "net.tf32=0", NULL, _i % 2 == 1};
    real *want = infer("plain", &how, &n);
    how.algorithm = "cudnn";
    real *got = infer(device(), &how, &m);

    ck_assert(n == m && n > 0);
    expect_near("outputs", want, got, n, 1e-4);
    free(want);
    free(got);
}
END_TEST

/* Rounding to 11 bits is asked for and said; without workspace another engine is found. */
START_TEST(options)
{
    size_t n, m;
    real *want = infer("plain", &(struct inference){refinedet, "net.tf32=0", NULL, true}, &n);
    real *tf32 =
        infer(device(), &(struct inference){refinedet, "net.tf32=1", "cudnn tf32", true}, &m);
    real *tight =
        infer(device(), &(struct inference){refinedet, "net.conv_workspace=1", "cudnn", true}, &m);
    const double rounded = difference(want, tf32, n);

    ck_assert_msg(rounded > 1e-5 && rounded < 1e-2, "tf32 differs by %g", rounded);
    expect_near("outputs", want, tight, n, 1e-4);
    free(want);
    free(tf32);
    free(tight);
}
END_TEST

/* The average of a block, which a guard that is not finite leaves as it is. */
static void average(const char *name, const real *w, real *average, size_t n, real guard)
{
    struct backend *be = open_device(name);
    const struct shape all = {1, 1, 1, (int)n}, one = {1, 1, 1, 1};
    const size_t bytes = n * sizeof(real);
    real *block[4];
    const real rate = (real)0.3;
    struct err err = {0};

    for (int i = 0; i < 4; i++) {
        block[i] = be->ops->alloc(be, i < 2 ? bytes : sizeof(real));
        ck_assert_ptr_nonnull(block[i]);
    }
    be->ops->write(be, view_dense(block[0], all), w);
    be->ops->write(be, view_dense(block[1], all), average);
    be->ops->write(be, view_dense(block[2], one), &rate);
    be->ops->write(be, view_dense(block[3], one), &guard);
    be->ops->block_average(be, block[2], block[3], 1, n, block[0], block[1]);
    be->ops->read(be, view_dense(block[1], all), average);
    ck_assert_msg(backend_check(be, &err) == VOV_OK, "%s", err.msg);
    for (int i = 0; i < 4; i++) {
        be->ops->release(be, block[i]);
    }
    backend_close(be);
}

START_TEST(averages_alike)
{
    enum { N = 5000 };
    static real w[N], want[N], got[N], kept[N];

    for (int i = 0; i < N; i++) {
        w[i] = (real)sin(i);
        want[i] = got[i] = kept[i] = (real)cos(i);
    }
    average("plain", w, want, N, 1);
    average(device(), w, got, N, 1);
    expect_near("average", want, got, N, 1e-6);
    ck_assert(memcmp(want, kept, sizeof want) != 0);
    memcpy(got, kept, sizeof got);
    average(device(), w, got, N, (real)INFINITY);
    ck_assert(memcmp(got, kept, sizeof got) == 0);
}
END_TEST

/* One number among those of three views, 16-bit ones too, which are looked at together. */
START_TEST(finds_what_is_not_finite)
{
    static const enum number type[] = {NUMBER_REAL, NUMBER_HALF, NUMBER_REAL};
    struct backend *be = open_device(device());
    struct view v[3];
    struct err err = {0};
    real host[3 * 4 * 5];

    for (int i = 0; i < 3; i++) {
        v[i] = view_dense(be->ops->alloc(be, sizeof host), (struct shape){1, 3, 4, 5});
        v[i].type = type[i];
        ck_assert_ptr_nonnull(v[i].p);
    }
    for (int bad = -1; bad < 3; bad++) {
        for (int i = 0; i < 3; i++) {
            memset(host, 0, sizeof host);
            host[7 * i] = i == bad ? (real)INFINITY : 1;
            be->ops->write(be, v[i], host);
        }
        for (int n = 0; n <= 3; n++) {
            ck_assert_msg(be->ops->finite(be, v, n) == (bad < 0 || bad >= n), "%d of %d", bad, n);
        }
    }
    ck_assert_msg(backend_check(be, &err) == VOV_OK, "%s", err.msg);
    for (int i = 0; i < 3; i++) {
        be->ops->release(be, v[i].p);
    }
    backend_close(be);
}
END_TEST

int main(void)
{
    if (device() == NULL) {
        printf("VOV_TEST_DEVICE names no device\n");
        return 77;
    }
    TCase *t = tcase_create("device"), *training = tcase_create("training");
    Suite *suite = suite_create("device");
    tcase_set_timeout(t, 900);
    tcase_set_timeout(training, 900);
    tcase_add_loop_test(training, trains_alike, 0, 2);
    if (second() != NULL) {
        tcase_add_test(t, devices_in_turn);
    }
    tcase_add_loop_test(t, infers_alike, 0, 4);
    tcase_add_test(t, options);
    tcase_add_test(t, averages_alike);
    tcase_add_test(t, finds_what_is_not_finite);
    suite_add_tcase(suite, training);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
