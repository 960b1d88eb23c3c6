/*
 * bench_basic.c - speed of everything that is not a product: what each operation moves in GB/s (the
 * bytes that it must read and write), and how much of a plain copy's speed that is, timed in turns
 * with a copy of as many bytes; then how long it takes to hand a job to the threads. Medians.
 * `bench_basic [THREADS [BATCH [NAME]]]`.
 */
#include "backend/backend.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/rng.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUFFERS = 5, ROUNDS = 15, NUMBERS = 24 << 20 };

struct bench {
    struct backend *be;
    int batch;
    const char *only;       /* NULL: all */
    real *buf[BUFFERS];     /* NUMBERS each, around 0 */
    real *small;            /* some more, for what channels have */
    struct view v[BUFFERS]; /* of the current case */
    struct shape shape;     /* of v[0] */
    struct pool_desc window;
    enum act act;
};

static real *numbers(size_t n)
{
    struct rng r = rng_open(1, RNG_TEST, n, 0);
    real *p = mem_block_alloc(n * sizeof *p), period[4096];

    for (int i = 0; i < 4096; i++) {
        period[i] = (real)rng_normal(&r);
    }
    for (size_t i = 0; p && i < n; i++) {
        p[i] = period[i * 61 % 4093];
    }
    return p;
}

static struct view view(const struct bench *b, int buffer, int c, int h, int w)
{
    const struct shape s = {b->batch, c, h, w};

    return view_dense(b->buf[buffer], s);
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* y = x, so that about `bytes` are moved; returns how many are. */
static double copy_bytes(const struct bench *b, double bytes)
{
    const double wanted = bytes / 2 / sizeof(real) / 1024 + 1;
    const struct shape s = {1, wanted > NUMBERS / 1024 ? NUMBERS / 1024 : (int)wanted, 32, 32};

    b->be->ops->copy(b->be, view_dense(b->buf[BUFFERS - 2], s), 0,
                     view_dense(b->buf[BUFFERS - 1], s));
    return 2.0 * (double)shape_count(s) * sizeof(real);
}

typedef void (*run_fn)(const struct bench *b);

/* bytes: what must be moved. */
static void time_case(const struct bench *b, const char *name, run_fn run, double bytes)
{
    double own[ROUNDS], copy[ROUNDS], copied = 0;
    const int times = bytes < 4e6 ? (int)(4e6 / bytes) : 1;

    if (b->only && !strstr(name, b->only)) {
        return;
    }
    run(b);
    for (int i = 0; i < ROUNDS; i++) {
        const double t0 = clock_now();
        for (int k = 0; k < times; k++) {
            run(b);
        }
        const double t1 = clock_now();
        for (int k = 0; k < times; k++) {
            copied = copy_bytes(b, bytes);
        }
        own[i] = (t1 - t0) / times;
        copy[i] = (clock_now() - t1) / times * bytes / copied;
    }
    qsort(own, ROUNDS, sizeof *own, compare);
    qsort(copy, ROUNDS, sizeof *copy, compare);
    printf("%-26s %9.1f us %7.1f GB/s  copy %6.1f GB/s  %4.2f\n", name, own[ROUNDS / 2] * 1e6,
           bytes / own[ROUNDS / 2] / 1e9, bytes / copy[ROUNDS / 2] / 1e9,
           copy[ROUNDS / 2] / own[ROUNDS / 2]);
    fflush(stdout);
}

static double bytes_of(struct view v)
{
    return (double)v.n * v.c * (double)view_plane(v) * sizeof(real);
}

static void run_maxpool(const struct bench *b)
{
    b->be->ops->maxpool_fwd(b->be, &b->window, b->v[0], b->v[1], (struct view){0});
}

static void run_maxpool_argmax(const struct bench *b)
{
    b->be->ops->maxpool_fwd(b->be, &b->window, b->v[0], b->v[1], b->v[2]);
}

static void run_maxpool_bwd(const struct bench *b)
{
    b->be->ops->maxpool_bwd(b->be, &b->window, b->v[2], b->v[1], 0, b->v[0]);
}

static void run_avgpool(const struct bench *b)
{
    b->be->ops->avgpool_fwd(b->be, &b->window, b->v[0], b->v[1]);
}

static void run_avgpool_bwd(const struct bench *b)
{
    b->be->ops->avgpool_bwd(b->be, &b->window, b->v[1], 0, b->v[0]);
}

static void bench_pool(struct bench *b, const char *what, struct pool_desc d, int c, int size,
                       int out)
{
    char name[64];
    const struct pool_desc whole = {size, size, 0};

    b->window = d.size > 0 ? d : whole;
    b->v[0] = view(b, 0, c, size, size);
    b->v[1] = view(b, 1, c, out, out);
    b->v[2] = view(b, 2, c, out, out);
    const double in = bytes_of(b->v[0]), small = bytes_of(b->v[1]);
    snprintf(name, sizeof name, "avgpool %s", what);
    time_case(b, name, run_avgpool, in + small);
    snprintf(name, sizeof name, "avgpool %s back", what);
    time_case(b, name, run_avgpool_bwd, in + small);
    if (d.size > 0) {
        snprintf(name, sizeof name, "maxpool %s", what);
        time_case(b, name, run_maxpool, in + small);
        snprintf(name, sizeof name, "maxpool %s argmax", what);
        time_case(b, name, run_maxpool_argmax, in + 2 * small);
        snprintf(name, sizeof name, "maxpool %s back", what);
        time_case(b, name, run_maxpool_bwd, in + 2 * small);
    }
}

static void run_act(const struct bench *b)
{
    b->be->ops->act_fwd(b->be, b->act, b->v[0], b->v[1]);
}

static void run_act_bwd(const struct bench *b)
{
    b->be->ops->act_bwd(b->be, b->act, b->v[0], b->v[0], b->v[1], 0, b->v[2]);
}

static void bench_act(struct bench *b, int c, int size)
{
    static const char *const act[ACT_COUNT] = {"linear",   "relu",     "leaky", "relu6",
                                               "logistic", "hsigmoid", "mish",  "swish"};
    char name[64];

    for (int i = 0; i < 3; i++) {
        b->v[i] = view(b, i, c, size, size);
    }
    for (int i = ACT_RELU; i < ACT_COUNT; i++) {
        b->act = (enum act)i;
        snprintf(name, sizeof name, "%s", act[i]);
        time_case(b, name, run_act, 2 * bytes_of(b->v[0]));
        snprintf(name, sizeof name, "%s back", act[i]);
        time_case(b, name, run_act_bwd, 3 * bytes_of(b->v[0]));
    }
}

static void run_add(const struct bench *b)
{
    b->be->ops->add(b->be, ACT_RELU, b->v[0], b->v[1], b->v[2]);
}

static void run_affine(const struct bench *b)
{
    b->be->ops->affine(b->be, b->small, b->small + 4096, ACT_RELU, b->v[0], b->v[2]);
}

static void run_copy_add(const struct bench *b)
{
    b->be->ops->copy(b->be, b->v[0], 1, b->v[2]);
}

static void run_fill(const struct bench *b)
{
    b->be->ops->fill(b->be, b->v[2], 0);
}

static void run_dropout(const struct bench *b)
{
    b->be->ops->dropout(b->be, 7, (real)0.5, b->v[0], 0, b->v[2]);
}

static void run_sum(const struct bench *b)
{
    b->be->ops->channel_sum(b->be, b->v[0], b->small);
}

static void run_scale(const struct bench *b)
{
    b->be->ops->mul_channel_fwd(b->be, b->v[0], view(b, 3, b->v[0].c, 1, 1), b->v[2]);
}

static void run_scale_bwd(const struct bench *b)
{
    b->be->ops->mul_channel_bwd(b->be, b->v[0], view(b, 3, b->v[0].c, 1, 1), b->v[1], 0, b->v[2], 0,
                                view(b, 4, b->v[0].c, 1, 1));
}

static void bench_basic(struct bench *b, int c, int size)
{
    for (int i = 0; i < 3; i++) {
        b->v[i] = view(b, i, c, size, size);
    }
    const double bytes = bytes_of(b->v[0]);
    time_case(b, "add + relu", run_add, 3 * bytes);
    time_case(b, "affine + relu", run_affine, 2 * bytes);
    time_case(b, "y += x", run_copy_add, 3 * bytes);
    time_case(b, "fill", run_fill, bytes);
    time_case(b, "dropout", run_dropout, 2 * bytes);
    time_case(b, "sum of channels", run_sum, bytes);
    time_case(b, "scale of channels", run_scale, 2 * bytes);
    time_case(b, "scale of channels back", run_scale_bwd, 3 * bytes);
}

static void run_norm(const struct bench *b)
{
    real *c = b->small;

    b->be->ops->norm_fwd(b->be, b->v[0], 0, (real)1e-5, (real)0.9, c + 24576, c + 28672, c + 8192,
                         c, c + 4096, ACT_RELU, b->v[1]);
}

static void run_apply(const struct bench *b)
{
    real *c = b->small;

    b->be->ops->norm_apply(b->be, b->v[0], 0, c + 8192, c, c + 4096, ACT_RELU, b->v[1]);
}

static void run_norm_bwd(const struct bench *b)
{
    real *c = b->small;

    b->be->ops->norm_bwd(b->be, b->v[0], 0, c + 8192, c, c + 4096, ACT_RELU, b->v[1], 0, b->v[2],
                         c + 16384, c + 20480);
}

static void bench_norm(struct bench *b, const char *what, int c, int size)
{
    char name[64];

    for (int i = 0; i < 3; i++) {
        b->v[i] = view(b, i, c, size, size);
    }
    const double bytes = bytes_of(b->v[0]);
    snprintf(name, sizeof name, "norm %s", what);
    time_case(b, name, run_norm, 2 * bytes);
    snprintf(name, sizeof name, "norm %s apply", what);
    time_case(b, name, run_apply, 2 * bytes);
    snprintf(name, sizeof name, "norm %s back", what);
    time_case(b, name, run_norm_bwd, 3 * bytes);
}

static void run_l2(const struct bench *b)
{
    b->be->ops->l2norm_fwd(b->be, b->v[0], b->small, (real)1e-10, b->v[1]);
}

static void run_l2_bwd(const struct bench *b)
{
    b->be->ops->l2norm_bwd(b->be, b->v[0], b->small, (real)1e-10, b->v[1], 0, b->v[2],
                           b->small + 4096);
}

static void run_softmax(const struct bench *b)
{
    b->be->ops->softmax_fwd(b->be, b->v[0], b->v[1]);
}

static void run_softmax_bwd(const struct bench *b)
{
    b->be->ops->softmax_bwd(b->be, b->v[0], b->v[1], 0, b->v[2]);
}

static void bench_channels(struct bench *b, int c, int size)
{
    for (int i = 0; i < 3; i++) {
        b->v[i] = view(b, i, c, size, size);
    }
    const double bytes = bytes_of(b->v[0]);
    time_case(b, "l2norm", run_l2, 2 * bytes);
    time_case(b, "l2norm back", run_l2_bwd, 3 * bytes);
    time_case(b, "softmax", run_softmax, 2 * bytes);
    time_case(b, "softmax back", run_softmax_bwd, 3 * bytes);
}

static void run_nearest(const struct bench *b)
{
    b->be->ops->resize_fwd(b->be, false, b->v[0], b->v[1]);
}

static void run_nearest_bwd(const struct bench *b)
{
    b->be->ops->resize_bwd(b->be, false, b->v[1], 0, b->v[0]);
}

static void run_bilinear(const struct bench *b)
{
    b->be->ops->resize_fwd(b->be, true, b->v[0], b->v[1]);
}

static void run_bilinear_bwd(const struct bench *b)
{
    b->be->ops->resize_bwd(b->be, true, b->v[1], 0, b->v[0]);
}

static void bench_resize(struct bench *b, int c, int in, int out)
{
    b->v[0] = view(b, 0, c, in, in);
    b->v[1] = view(b, 1, c, out, out);
    const double bytes = bytes_of(b->v[0]) + bytes_of(b->v[1]);
    time_case(b, "nearest x2", run_nearest, bytes);
    time_case(b, "nearest x2 back", run_nearest_bwd, bytes);
    time_case(b, "bilinear x2", run_bilinear, bytes);
    time_case(b, "bilinear x2 back", run_bilinear_bwd, bytes);
}

static void run_rows(const struct bench *b)
{
    b->be->ops->prior_rows_fwd(b->be, b->v[0], 81, 0, b->v[1]);
}

static void run_rows_bwd(const struct bench *b)
{
    b->be->ops->prior_rows_bwd(b->be, b->v[1], 81, 0, 0, b->v[0]);
}

static void bench_rows(struct bench *b, int anchors, int size)
{
    b->v[0] = view(b, 0, anchors * 81, size, size);
    b->v[1] = view(b, 1, anchors * size * size, 81, 1);
    time_case(b, "rows of priors", run_rows, 2 * bytes_of(b->v[0]));
    time_case(b, "rows of priors back", run_rows_bwd, 2 * bytes_of(b->v[0]));
}

enum { PARAMETERS = 22600000 };

static void run_sgd(const struct bench *b)
{
    const struct sgd_desc d = {
        .rate = b->small, .rate_factor = 1, .momentum = (real)0.9, .decay = (real)1e-6, .scale = 1};

    b->be->ops->sgd(b->be, &d, PARAMETERS, b->buf[0], b->buf[1], b->buf[2]);
}

static void run_block_fill(const struct bench *b)
{
    b->be->ops->block_fill(b->be, PARAMETERS, b->buf[2], 0);
}

static void run_sumsq(const struct bench *b)
{
    b->be->ops->block_norm(b->be, PARAMETERS, b->buf[1], b->small);
}

static void bench_parameters(const struct bench *b)
{
    const double bytes = (double)PARAMETERS * sizeof(real);

    time_case(b, "sgd", run_sgd, 5 * bytes);
    time_case(b, "gradients to 0", run_block_fill, bytes);
    time_case(b, "sum of squares", run_sumsq, bytes);
}

static void nothing(void *ctx, int chunk, int worker)
{
    (void)ctx, (void)chunk, (void)worker;
}

/* From a job's begin until its last thread has left, with `gap` microseconds before it. */
static void bench_job(struct pool *pool, const char *name, unsigned gap)
{
    enum { JOBS = 401 };
    double t[JOBS];

    for (int i = 0; i < JOBS; i++) {
        if (gap > 0) {
            usleep(gap);
        }
        const double start = clock_now();
        pool_run(pool, pool_threads(pool), nothing, NULL);
        t[i] = clock_now() - start;
    }
    qsort(t, JOBS, sizeof *t, compare);
    printf("%-26s %9.2f us, 95 of 100 under %.2f us\n", name, t[JOBS / 2] * 1e6,
           t[JOBS * 95 / 100] * 1e6);
}

static void bench_threads(int threads)
{
    struct pool *pool;

    if (pool_open(threads, &pool, NULL) == VOV_OK) {
        bench_job(pool, "a job, one after another", 0);
        bench_job(pool, "a job, sleepers to wake", 500);
        pool_close(pool);
    }
}

static void bench_all(struct bench *b)
{
    bench_basic(b, 256, 56);
    bench_act(b, 256, 56);
    bench_norm(b, "64 @112", 64, 112);
    bench_norm(b, "128 @56", 128, 56);
    bench_norm(b, "512 @28", 512, 28);
    bench_norm(b, "1024 @7", 1024, 7);
    bench_pool(b, "3x3 s2 @112", (struct pool_desc){3, 2, 0}, 128, 112, 56);
    bench_pool(b, "2x2 s2 @104", (struct pool_desc){2, 2, 0}, 64, 104, 52);
    bench_pool(b, "5x5 s1 @13", (struct pool_desc){5, 1, 2}, 512, 13, 13);
    bench_pool(b, "global @14", (struct pool_desc){0, 0, 0}, 768, 14, 1);
    bench_resize(b, 128, 26, 52);
    bench_channels(b, 512, 40);
    bench_rows(b, 3, 40);
    bench_parameters(b);
}

int main(int argc, char **argv)
{
    const int threads = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 1;
    struct bench b = {.batch = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 1,
                      .only = argc > 3 ? argv[3] : NULL,
                      .small = numbers(1 << 15)};
    struct err err = {0};

    if (backend_open("cpu", threads, &b.be, &err) != VOV_OK) {
        err_print(&err, stderr);
        return 1;
    }
    for (int i = 0; i < BUFFERS; i++) {
        b.buf[i] = numbers(NUMBERS);
    }
    printf("%s, %d threads, batch %d\n", b.be->isa, threads, b.batch);
    bench_all(&b);
    if (!b.only) {
        bench_threads(threads);
    }
    for (int i = 0; i < BUFFERS; i++) {
        mem_block_free(b.buf[i]);
    }
    mem_block_free(b.small);
    backend_close(b.be);
    return 0;
}
