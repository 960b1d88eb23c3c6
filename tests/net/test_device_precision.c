/*
 * test_device_precision.c - runs with tensors of 16 bits on the device that VOV_TEST_DEVICE names:
 * weights stay near those of fp32; gradients that overflow make the loss scale fall, and it rises
 * again; a resumed run goes on with it. Other devices refuse, which is tested everywhere, and GPUs
 * without bf16 that alone.
 */
#include "squares.h"

#include <dlfcn.h>
#include <math.h>

static struct dataset data;

static void setup(void)
{
    squares_make(&data, 6);
}

static void teardown(void)
{
    squares_remove(&data);
}

static const char *device(void)
{
    return getenv("VOV_TEST_DEVICE");
}

/* Three updates of two pictures. */
#define SHORT "net.batch=2", "net.subdivisions=1", "net.max_batches=3"

/* All weights of a run's last checkpoint, or all momentum, one tensor behind the other. */
static double *numbers(const char *out, bool momentum, size_t *n)
{
    char path[140];
    struct safetensors st;
    struct err err = {0};
    double *all = NULL;
    snprintf(path, sizeof path, "%s/%s/last.safetensors", squares_dir, out);
    ck_assert_msg(safetensors_read(path, &st, &err) == VOV_OK, "%s", err.msg);
    *n = 0;
    for (int i = 0; i < st.n; i++) {
        const struct st_tensor *t = &st.tensor[i];
        if ((strncmp(t->name, WEIGHTS_MOMENTUM, strlen(WEIGHTS_MOMENTUM)) == 0) != momentum) {
            continue;
        }
        real *v = calloc(t->count, sizeof *v);
        all = realloc(all, (*n + t->count) * sizeof *all);
        ck_assert(safetensors_numbers(t, v, &err) == VOV_OK);
        for (size_t k = 0; k < t->count; k++) {
            all[(*n)++] = (double)v[k];
        }
        free(v);
    }
    safetensors_free(&st);
    return all;
}

/* The length of the difference of two runs' numbers in parts of the first one's. */
static double distance(const char *a, const char *b, bool momentum)
{
    size_t n, m;
    double *x = numbers(a, momentum, &n), *y = numbers(b, momentum, &m), diff = 0, size = 0;
    ck_assert(n == m && n > 0);
    for (size_t i = 0; i < n; i++) {
        diff += (x[i] - y[i]) * (x[i] - y[i]);
        size += x[i] * x[i];
    }
    free(x);
    free(y);
    return sqrt(diff / size);
}

static void run(const char *out, const char *precision, struct session s)
{
    struct err err = {0};
    s.out = out;
    s.device = device();
    s.threads = 1;
    s.set[s.n_set++] = precision;
    ck_assert_msg(squares_run(&s, &data, &err) == VOV_OK, "%s: %s", precision, err.msg);
}

static bool has_bf16(void)
{
    struct backend *be;
    struct err err = {0};
    ck_assert_msg(backend_open(device(), 1, &be, &err) == VOV_OK, "%s", err.msg);
    const bool has = be->bf16;
    backend_close(be);
    return has;
}

/* Three updates at a small rate: what differs is rounding to 11 and 8 bits, and what hangs on it,
 * as a ReLU that opens or not. The momentum, the sum of the gradients, shows that most. */
START_TEST(trains_near_fp32)
{
    static const struct {
        const char *name, *set;
        double weights, momentum;
    } how[] = {{"half", "net.precision=fp16", 3e-4, 0.2}, {"bf", "net.precision=bf16", 2e-3, 0.6}};
    const struct session s = {.set = {SHORT, "net.loss_scale=128", "net.learning_rate=4e-4"},
                              .n_set = 5};
    run("full", "net.precision=fp32", s);
    for (int i = 0; i < 1 + has_bf16(); i++) {
        run(how[i].name, how[i].set, s);
        const double w = distance("full", how[i].name, false);
        const double m = distance("full", how[i].name, true);
        ck_assert_msg(w > 0 && w < how[i].weights, "%s: weights differ by %g", how[i].set, w);
        ck_assert_msg(m > 0 && m < how[i].momentum, "%s: momentum differs by %g", how[i].set, m);
    }
}
END_TEST

static double scale_of(const char *out)
{
    char path[140];
    struct safetensors st;
    struct run_state s;
    struct err err = {0};
    snprintf(path, sizeof path, "%s/%s/last.safetensors", squares_dir, out);
    ck_assert_msg(safetensors_read(path, &st, &err) == VOV_OK, "%s", err.msg);
    ck_assert_msg(checkpoint_state(&st, path, &s, &err) == VOV_OK, "%s", err.msg);
    safetensors_free(&st);
    return s.scale.value;
}

/* What was remarked. */
struct remarks {
    int overflows;
};

static void remark(void *user, int level, const char *text)
{
    struct remarks *r = user;
    (void)level;
    r->overflows += strstr(text, "gradients overflow in fp16") != NULL;
}

/* Of a run whose updates were all left out: parameters and their average are the first ones, and
 * so is the average of the running statistics, which passes moved. */
static void expect_average_waits(const char *out)
{
    char path[140], key[200];
    struct safetensors st;
    struct err err = {0};
    int learn = 0, follow = 0;
    snprintf(path, sizeof path, "%s/%s/last.safetensors", squares_dir, out);
    ck_assert_msg(safetensors_read(path, &st, &err) == VOV_OK, "%s", err.msg);
    for (int i = 0; i < st.n; i++) {
        const struct st_tensor *t = &st.tensor[i];
        snprintf(key, sizeof key, WEIGHTS_UNAVERAGED "%s", t->name);
        const struct st_tensor *now = safetensors_find(&st, key);
        snprintf(key, sizeof key, WEIGHTS_MOMENTUM "%s", t->name);
        const bool learns = safetensors_find(&st, key) != NULL;
        if (now != NULL) {
            real a[9 * 64 * 64], b[9 * 64 * 64];
            ck_assert(t->count <= 9 * 64 * 64 && t->count == now->count);
            ck_assert(safetensors_numbers(t, a, &err) == VOV_OK &&
                      safetensors_numbers(now, b, &err) == VOV_OK);
            const bool same = memcmp(a, b, t->count * sizeof *a) == 0;
            ck_assert_msg(same == learns, "%s", t->name);
            learn += learns;
            follow += !learns;
        }
    }
    ck_assert(learn > 0 && follow > 0);
    safetensors_free(&st);
}

/* 2^59 is too much for gradients of 16 bits, and each update that finds it so makes none. */
START_TEST(scale_falls)
{
    struct remarks r = {0};
    const struct log log = {remark, &r};
    size_t n;
    run("falls", "net.precision=fp16",
        (struct session){.set = {SHORT, "net.loss_scale=576460752303423488", "net.ema=0.5"},
                         .n_set = 5,
                         .log = &log});
    ck_assert_int_eq(r.overflows, 3);
    ck_assert_double_eq(scale_of("falls"), ldexp(1, 56));
    double *momentum = numbers("falls", true, &n);
    for (size_t i = 0; i < n; i++) {
        ck_assert_msg(!(momentum[i] < 0 || momentum[i] > 0), "an update was made");
    }
    free(momentum);
    expect_average_waits("falls");
}
END_TEST

static enum vov_status stop_now(void *user, struct trainer *t, struct err *err)
{
    sig_atomic_t *stop = user;
    (void)err;
    *stop = t->state.iteration == 2;
    return VOV_OK;
}

/* Doubled at updates 2 and 4 of 5, whether the run stops at 3 or not. */
START_TEST(scale_rises_and_resumes)
{
    sig_atomic_t stop = 0;
    const struct hook hook = {.step = stop_now, .user = &stop};
    struct session s = {.set = {"net.batch=2", "net.subdivisions=1", "net.max_batches=5",
                                "net.loss_scale=64", "net.loss_scale_steps=2", "net.ema=0.9"},
                        .n_set = 6};
    struct err err = {0};
    run("whole", "net.precision=fp16", s);
    ck_assert_double_eq(scale_of("whole"), 4 * 64);

    struct session part = s;
    part.hook = &hook;
    part.stop = &stop;
    part.out = "part";
    part.device = device();
    part.threads = 1;
    part.set[part.n_set++] = "net.precision=fp16";
    ck_assert(squares_run(&part, &data, &err) == VOV_EINTERRUPTED);
    ck_assert_double_eq(scale_of("part"), 2 * 64);
    s.resume = true;
    run("part", "net.precision=fp16", s);
    ck_assert_double_eq(scale_of("part"), 4 * 64);
    ck_assert(!(distance("whole", "part", false) > 0));
}
END_TEST

/* The CPU computes with 32 bits and says so. */
START_TEST(refused_elsewhere)
{
    struct err err = {0};
    struct session s = {
        .out = "cpu", .device = "cpu", .threads = 1, .set = {"net.precision=bf16"}, .n_set = 1};
    ck_assert(squares_run(&s, &data, &err) == VOV_EDEVICE);
    ck_assert_msg(strstr(err.msg, "precision=bf16 needs --device cuda") != NULL, "%s", err.msg);
    ck_assert_msg(strstr(err.msg, "--set net.precision=fp32") != NULL, "%s", err.msg);
}
END_TEST

/* From compute capability 8.0 on GPUs have bf16; the simulated one is made to be older. */
START_TEST(refused_by_older_ones)
{
    struct err err = {0};
    struct session s = {
        .out = "old", .device = device(), .threads = 1, .set = {SHORT, "net.precision=bf16"}};
    void *library = dlopen("libcudart.so.13", RTLD_NOW);
    void (*set_compute)(int compute) = NULL;
    if (library != NULL) {
        *(void **)&set_compute = dlsym(library, "cusim_set_compute");
    }
    if (set_compute != NULL) {
        set_compute(75);
    }
    if (has_bf16()) {
        return; /* a real GPU, and no older one */
    }
    s.n_set = 4;
    ck_assert(squares_run(&s, &data, &err) == VOV_EDEVICE);
    ck_assert_msg(strstr(err.msg, "precision=bf16 needs a GPU of compute capability 8.0") != NULL &&
                      strstr(err.msg, "this is GPU ") != NULL && strstr(err.msg, " 7.5;") != NULL &&
                      strstr(err.msg, "--set net.precision=fp16") != NULL,
                  "%s", err.msg);
    s.n_set = 3;
    run("new", "net.precision=fp16", s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("device precision");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 300);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, refused_elsewhere);
    if (device() != NULL) {
        tcase_add_test(t, refused_by_older_ones);
        tcase_add_test(t, trains_near_fp32);
        tcase_add_test(t, scale_falls);
        tcase_add_test(t, scale_rises_and_resumes);
    }
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
