/*
 * test_wino.c - how far Winograd's convolutions are from sums in double precision, on the inputs
 * that layers have: not negative, filters as He et al. start them. docs/performance.md states these
 * bounds.
 */
#include "cpu_case.h"

struct wino_case {
    enum conv_alg alg;
    int channels;
    double rms, most; /* of the error, in units of the output's root mean square, for float */
};

static const struct wino_case cases[] = {
    {CONV_EXACT, 64, 4e-7, 4e-6}, {CONV_EXACT, 768, 1e-6, 6e-6}, {CONV_F2, 64, 4e-7, 4e-6},
    {CONV_F2, 768, 1.5e-6, 1e-5}, {CONV_F4, 64, 1.2e-6, 1e-5},   {CONV_F4, 768, 4e-6, 3e-5},
    {CONV_F6, 64, 4e-6, 5e-5},    {CONV_F6, 768, 1.2e-5, 1e-4},
};

enum { SIDE = 21, FILTERS = 8 };

struct layer {
    struct view x, y;
    real *w;
};

static real *numbers(size_t n, double scale, bool relu, uint64_t key)
{
    struct rng r = rng_open(3, RNG_TEST, key, n);
    real *p = mem_alloc(n, sizeof *p);

    ck_assert_ptr_nonnull(p);
    for (size_t i = 0; i < n; i++) {
        const double v = rng_normal(&r) * scale;
        p[i] = (real)(relu && v < 0 ? 0 : v);
    }
    return p;
}

static void run(const char *backend, const struct layer *l, enum conv_alg alg)
{
    const struct conv_desc d = {3, 3, 1, 1, 1, 1, alg};
    const struct conv_use use = {.pass = CONV_FWD};
    const struct conv_weight w = {l->w, NULL};
    const struct conv_tail tail = {.act = ACT_LINEAR};
    struct backend *be;
    struct err err = {0};

    ck_assert_int_eq(backend_open(backend, 1, &be, &err), VOV_OK);
    void *scratch = mem_alloc_aligned(be->ops->conv_scratch(be, &d, &use, l->x, l->y));
    ck_assert_ptr_nonnull(scratch);
    be->ops->conv_fwd(be, &d, l->x, w, &tail, l->y, scratch);
    mem_free(scratch);
    backend_close(be);
}

START_TEST(test_accuracy)
{
    const struct wino_case *c = &cases[_i];
    const double unit = sizeof(real) == sizeof(float) ? 1 : 1e-8;
    const struct shape xs = {1, c->channels, SIDE, SIDE}, ys = {1, FILTERS, SIDE, SIDE};
    const size_t n = shape_count(ys), w = (size_t)(c->channels * FILTERS * 9);
    const real zero = 0;
    struct layer l = {view_dense(numbers(shape_count(xs), 1, true, 1), xs),
                      view_dense(numbers(n, 1, false, 2), ys),
                      numbers(w, sqrt(2.0 / (9 * c->channels)), false, 3)};
    double squares = 0, of_error = 0, most = 0;
    real *want = numbers(n, (double)zero, false, 4);

    run("plain", &l, c->alg);
    memcpy(want, l.y.p, n * sizeof *want);
    run("cpu", &l, c->alg);
    for (size_t i = 0; i < n; i++) {
        const double e = fabs((double)l.y.p[i] - (double)want[i]);
        squares += (double)want[i] * (double)want[i];
        of_error += e * e;
        most = e > most ? e : most;
    }
    const double rms = sqrt(of_error / squares);
    most /= sqrt(squares / (double)n);
    ck_assert_msg(rms < c->rms * unit && most < c->most * unit,
                  "algorithm %d, %d channels: error %.2e (root mean square), %.2e (largest)",
                  c->alg, c->channels, rms, most);
    /* A bound that nothing comes near says nothing. */
    ck_assert_msg(rms > c->rms * unit / 20, "algorithm %d, %d channels: the error is only %.2e",
                  c->alg, c->channels, rms);
    mem_free(l.x.p);
    mem_free(l.y.p);
    mem_free(l.w);
    mem_free(want);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("wino");

    tcase_add_loop_test(tests, test_accuracy, 0, (int)(sizeof cases / sizeof *cases));
    return case_main(tests);
}
