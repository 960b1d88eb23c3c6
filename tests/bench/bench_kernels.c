/*
 * bench_kernels.c - speed of the convolution and norm kernels on VoVNet's layers. Prints, for each,
 * the best of some repetitions in GF/s (2 operations for each multiply-add) or GB/s (bytes that
 * must be read and written). `bench_kernels [THREADS [BATCH [NAME]]]`.
 */
#include "backend/backend.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"

#include <stdlib.h>
#include <string.h>

struct layer {
    const char *name;
    int in_c, size, out_c, k, stride;
};

static const struct layer layers[] = {
    {"stem 3->64 s2 @224", 3, 224, 64, 3, 2},    {"3x3 64->64 @112", 64, 112, 64, 3, 1},
    {"3x3 64->128 s2 @112", 64, 112, 128, 3, 2}, {"3x3 128->128 @56", 128, 56, 128, 3, 1},
    {"1x1 768->256 @56", 768, 56, 256, 1, 1},    {"3x3 256->160 @28", 256, 28, 160, 3, 1},
    {"3x3 160->160 @28", 160, 28, 160, 3, 1},    {"1x1 1056->512 @28", 1056, 28, 512, 1, 1},
    {"3x3 192->192 @14", 192, 14, 192, 3, 1},    {"1x1 1472->768 @14", 1472, 14, 768, 1, 1},
    {"3x3 224->224 @7", 224, 7, 224, 3, 1},      {"1x1 1888->1024 @7", 1888, 7, 1024, 1, 1},
    {"3x3 32->32 @80", 32, 80, 32, 3, 1},        {"1x1 96->48 @80", 96, 80, 48, 1, 1},
};

struct tensors {
    struct view x, y;
    real *w, *bias;
    void *scratch, *packed; /* packed: of the forward pass */
};

static real *numbers(size_t n)
{
    struct rng r = rng_open(1, RNG_TEST, n, 0);
    real *p = mem_block_alloc(n * sizeof *p);

    for (size_t i = 0; p && i < n; i++) {
        p[i] = (real)rng_normal(&r);
    }
    return p;
}

static void run_pass(struct backend *be, const struct conv_desc *d, enum conv_pass pass,
                     const struct tensors *t)
{
    const struct conv_weight w = {t->w, pass == CONV_FWD ? t->packed : NULL};
    const struct conv_tail tail = {.bias = t->bias, .act = ACT_RELU};

    if (pass == CONV_FWD) {
        be->ops->conv_fwd(be, d, t->x, w, &tail, t->y, t->scratch);
    } else if (pass == CONV_BWD_DATA) {
        be->ops->conv_bwd_data(be, d, w, t->y, 0, t->x, t->scratch);
    } else {
        be->ops->conv_bwd_weight(be, d, t->x, t->y, t->w, NULL, t->scratch);
    }
}

/* Best seconds of about half a second of repetitions. */
static double time_pass(struct backend *be, const struct conv_desc *d, enum conv_pass pass,
                        const struct tensors *t)
{
    const double start = clock_now();
    double best = 1e9;

    run_pass(be, d, pass, t);
    for (int i = 0; i < 5 || (clock_now() - start < 0.4 && i < 500); i++) {
        const double from = clock_now();
        run_pass(be, d, pass, t);
        const double seconds = clock_now() - from;
        best = seconds < best ? seconds : best;
    }
    return best;
}

static void bench_conv(struct backend *be, const struct layer *l, int batch, enum conv_alg alg)
{
    const struct conv_desc d = {l->k, l->k, l->stride, l->k / 2, 1, 1, alg};
    const int out = (l->size + 2 * d.pad - l->k) / l->stride + 1;
    const struct shape xs = {batch, l->in_c, l->size, l->size}, ys = {batch, l->out_c, out, out};
    const double flops = 2.0 * (double)shape_count(ys) * l->in_c * l->k * l->k;
    struct tensors t = {.x = view_dense(numbers(shape_count(xs)), xs),
                        .y = view_dense(numbers(shape_count(ys)), ys),
                        .w = numbers((size_t)l->out_c * (size_t)(l->in_c * l->k * l->k)),
                        .bias = numbers((size_t)l->out_c)};

    const size_t packed = be->ops->conv_pack_bytes(be, &d, CONV_FWD, t.x, t.y);

    if (packed > 0) {
        t.packed = mem_block_alloc(packed);
        be->ops->conv_pack(be, &d, CONV_FWD, t.x, t.y, t.w, NULL, t.packed);
    }
    printf("%-22s", l->name);
    for (int pass = CONV_FWD; pass <= CONV_BWD_WEIGHT; pass++) {
        t.scratch = mem_block_alloc(be->ops->conv_scratch(
            be, &d, &(struct conv_use){.pass = (enum conv_pass)pass}, t.x, t.y));
        printf(" %9s %6.1f", be->ops->conv_algorithm(be, &d, (enum conv_pass)pass, t.x, t.y),
               flops / time_pass(be, &d, (enum conv_pass)pass, &t) / 1e9);
        fflush(stdout);
        mem_block_free(t.scratch);
    }
    printf("\n");
    mem_block_free(t.x.p);
    mem_block_free(t.y.p);
    mem_block_free(t.w);
    mem_block_free(t.bias);
    mem_block_free(t.packed);
}

static void bench_norm(struct backend *be, struct shape s)
{
    const double bytes = (double)shape_count(s) * sizeof(real);
    const struct view x = view_dense(numbers(shape_count(s)), s);
    const struct view y = view_dense(numbers(shape_count(s)), s);
    real *c = numbers((size_t)s.c * 8);
    double best[3] = {1e9, 1e9, 1e9};

    for (int i = 0; i < 20; i++) {
        double at[4];
        at[0] = clock_now();
        be->ops->norm_fwd(be, x, 0, (real)1e-5, (real)0.9, c, c + s.c, c + 2 * s.c, c + 4 * s.c,
                          c + 5 * s.c, ACT_RELU, y);
        at[1] = clock_now();
        be->ops->norm_apply(be, x, 0, c + 2 * s.c, c + 4 * s.c, c + 5 * s.c, ACT_RELU, y);
        at[2] = clock_now();
        be->ops->norm_bwd(be, x, 0, c + 2 * s.c, c + 4 * s.c, c + 5 * s.c, ACT_RELU, y, 0, y,
                          c + 6 * s.c, c + 7 * s.c);
        at[3] = clock_now();
        for (int k = 0; k < 3; k++) {
            best[k] = at[k + 1] - at[k] < best[k] ? at[k + 1] - at[k] : best[k];
        }
    }
    printf("norm %d x %d @%d: GB/s: forward %.1f, apply %.1f, backward %.1f\n", s.n, s.c, s.h,
           2 * bytes / best[0] / 1e9, 2 * bytes / best[1] / 1e9, 3 * bytes / best[2] / 1e9);
    mem_block_free(x.p);
    mem_block_free(y.p);
    mem_block_free(c);
}

int main(int argc, char **argv)
{
    const int threads = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 1;
    const int batch = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 1;
    struct backend *be;
    struct err err = {0};

    if (backend_open("cpu", threads, &be, &err) != VOV_OK) {
        err_print(&err, stderr);
        return 1;
    }
    printf("%d threads, batch %d; GF/s:  forward    data  weight\n", threads, batch);
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        if (argc < 4 || strstr(layers[i].name, argv[3])) {
            bench_conv(be, &layers[i], batch,
                       argc > 4 ? (enum conv_alg)strtol(argv[4], NULL, 10) : CONV_AUTO);
        }
    }
    if (argc < 4) {
        bench_norm(be, (struct shape){batch, 128, 56, 56});
        bench_norm(be, (struct shape){batch, 512, 28, 28});
    }
    backend_close(be);
    return 0;
}
