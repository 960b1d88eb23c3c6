/*
 * test_cpu_conv.c - the fast convolution and matrix product against the reference loops, over
 * shapes that meet every path: odd sizes, single pixels, strides, dilation, groups, depthwise, wide
 * and tiny pictures, more than one chunk in each direction.
 */
#include "cpu_case.h"

#include "cpu/conv_chunks.h"

struct conv_case {
    const char *name;
    struct conv_desc d;
    int n, in_c, h, w, out_c;
    int extra; /* channels beside the slices */
    real beta;
    enum act act;
    enum { NONE, BIAS = 1, PLUS = 2, BOTH = 3 } tail; /* PLUS: another tensor before act */
};

struct conv_run {
    const struct conv_case *c;
    enum conv_alg alg;
    bool packed; /* weights are prepared */
    enum conv_pass pass;
    struct view x, y;
    int ix, iy, iw, ib, ia; /* buffers */
};

/* kh, kw, stride, pad, dilation, groups */
#define D(...)                                                                                     \
    {                                                                                              \
        __VA_ARGS__, CONV_AUTO                                                                     \
    }

static const struct conv_case cases[] = {
    /* name, {kh kw stride pad dilation groups}, n in h w out, extra, beta, act, tail */
    {"3x3", D(3, 3, 1, 1, 1, 1), 2, 5, 9, 11, 7, 0, 0, ACT_RELU, BOTH},
    {"3x3 slice", D(3, 3, 1, 1, 1, 1), 3, 17, 14, 13, 19, 2, 1, ACT_LEAKY, NONE},
    {"1x1", D(1, 1, 1, 0, 1, 1), 2, 37, 17, 5, 33, 0, 0, ACT_LINEAR, BIAS},
    {"1x1 slice", D(1, 1, 1, 0, 1, 1), 3, 300, 5, 5, 20, 1, 0, ACT_MISH, BOTH},
    {"1x1 of 1x1", D(1, 1, 1, 0, 1, 1), 5, 40, 1, 1, 50, 0, 1, ACT_LINEAR, BOTH},
    {"3x3 of 1x1", D(3, 3, 1, 1, 1, 1), 19, 6, 1, 1, 5, 1, 0, ACT_SWISH, BIAS},
    {"3x3 of 2x3", D(3, 3, 1, 1, 1, 1), 11, 33, 2, 3, 13, 0, 1, ACT_LINEAR, PLUS},
    {"stride 2", D(3, 3, 2, 1, 1, 1), 2, 18, 15, 12, 10, 1, 0, ACT_RELU6, BIAS},
    {"stride 2 even", D(3, 3, 2, 1, 1, 1), 1, 40, 16, 16, 24, 0, 1, ACT_LINEAR, NONE},
    {"1x1 stride 2", D(1, 1, 2, 0, 1, 1), 2, 20, 9, 8, 21, 0, 0, ACT_LINEAR, BOTH},
    {"1x1 stride 2 add", D(1, 1, 2, 0, 1, 1), 2, 20, 9, 8, 21, 1, 1, ACT_LINEAR, BIAS},
    {"1x1 pad", D(1, 1, 1, 2, 1, 1), 1, 13, 4, 5, 8, 0, 0, ACT_LINEAR, BIAS},
    {"stride 3 of 5x5", D(5, 5, 3, 2, 1, 1), 2, 4, 17, 19, 6, 0, 0, ACT_LOGISTIC, BIAS},
    {"stride 4 of 3x3", D(3, 3, 4, 0, 1, 1), 2, 14, 19, 22, 6, 0, 0, ACT_LINEAR, BIAS},
    {"dilation 2", D(3, 3, 1, 2, 2, 1), 2, 16, 12, 10, 9, 0, 1, ACT_LINEAR, BIAS},
    {"dilation 3 stride 2", D(3, 3, 2, 3, 3, 1), 2, 13, 13, 14, 8, 1, 0, ACT_LINEAR, NONE},
    {"dilation 2 stride 2", D(3, 3, 2, 2, 2, 1), 1, 13, 13, 14, 8, 0, 0, ACT_LINEAR, NONE},
    {"dilation 4 stride 6", D(3, 2, 6, 5, 4, 1), 1, 3, 23, 24, 8, 0, 0, ACT_LINEAR, NONE},
    {"stem 7x7", D(7, 7, 2, 3, 1, 1), 2, 3, 33, 29, 20, 0, 0, ACT_RELU, NONE},
    {"stem 3x3", D(3, 3, 2, 1, 1, 1), 1, 3, 40, 300, 32, 0, 0, ACT_RELU, BIAS},
    {"one channel", D(3, 3, 1, 1, 1, 1), 2, 1, 10, 10, 1, 0, 0, ACT_HSIGMOID, BIAS},
    {"tall kernel", D(5, 1, 1, 2, 1, 1), 2, 6, 8, 9, 5, 0, 0, ACT_LINEAR, BIAS},
    {"flat kernel", D(1, 3, 1, 1, 1, 1), 2, 14, 8, 9, 5, 0, 1, ACT_LINEAR, BIAS},
    {"no padding", D(3, 3, 1, 0, 1, 1), 2, 14, 8, 9, 5, 0, 0, ACT_LINEAR, BIAS},
    {"much padding", D(3, 3, 1, 4, 1, 1), 2, 14, 3, 4, 5, 1, 0, ACT_LINEAR, BIAS},
    {"groups", D(3, 3, 1, 1, 1, 3), 2, 42, 9, 8, 12, 1, 1, ACT_RELU, BIAS},
    {"groups stride 2", D(3, 3, 2, 1, 1, 4), 2, 16, 9, 8, 12, 0, 0, ACT_RELU, BOTH},
    {"depthwise", D(3, 3, 1, 1, 1, 13), 2, 13, 9, 40, 13, 1, 0, ACT_RELU6, BOTH},
    {"depthwise add", D(3, 3, 1, 1, 1, 13), 2, 13, 9, 10, 13, 0, 1, ACT_LINEAR, NONE},
    {"depthwise stride 2", D(5, 5, 2, 2, 1, 9), 3, 9, 11, 12, 9, 0, 0, ACT_SWISH, NONE},
    {"depthwise dilation", D(3, 3, 1, 2, 2, 9), 3, 9, 1, 2, 9, 0, 0, ACT_SWISH, NONE},
    {"many channels", D(3, 3, 1, 1, 1, 1), 1, 130, 7, 7, 210, 0, 0, ACT_RELU, BOTH},
    {"many positions", D(3, 3, 1, 1, 1, 1), 2, 20, 40, 41, 30, 0, 0, ACT_RELU, BIAS},
    {"very wide", D(3, 3, 1, 1, 1, 1), 1, 4, 3, 1500, 7, 0, 0, ACT_LINEAR, BIAS},
    {"tiles of two images", D(3, 3, 1, 1, 1, 1), 5, 24, 14, 14, 36, 1, 1, ACT_RELU, BOTH},
    {"tiles and a rest", D(3, 3, 1, 1, 1, 1), 3, 20, 7, 29, 17, 0, 0, ACT_MISH, BOTH},
    {"tiles without padding", D(3, 3, 1, 0, 1, 1), 1, 16, 30, 27, 40, 1, 1, ACT_LINEAR, BIAS},
    {"tiles, full correlation", D(3, 3, 1, 2, 1, 1), 2, 16, 12, 27, 40, 1, 0, ACT_RELU, PLUS},
    {"wide tiles", D(3, 3, 1, 1, 1, 1), 1, 5, 9, 410, 18, 0, 1, ACT_RELU, BOTH},
    {"long k", D(1, 1, 1, 0, 1, 1), 1, 1000, 6, 6, 18, 0, 0, ACT_LINEAR, BIAS},
    {"V beyond the second cache", D(1, 1, 1, 0, 1, 1), 1, 4100, 7, 7, 70, 0, 0, ACT_RELU, BOTH},
    {"tiles beyond it", D(3, 3, 1, 1, 1, 1), 1, 256, 14, 14, 34, 0, 0, ACT_RELU, BIAS},
};

static int out_size(int in, int k, const struct conv_desc *d)
{
    return (in + 2 * d->pad - d->dilation * (k - 1) - 1) / d->stride + 1;
}

/* NULL where the backend prepares nothing. */
static void *prepare(struct backend *be, const struct conv_desc *d, const struct conv_run *r,
                     const real *w)
{
    const size_t bytes = be->ops->conv_pack_bytes(be, d, r->pass, r->x, r->y);
    void *packed = bytes > 0 ? mem_alloc_aligned(bytes) : NULL;

    if (packed != NULL) {
        be->ops->conv_pack(be, d, r->pass, r->x, r->y, w, NULL, packed);
    }
    return packed;
}

static void run_conv(struct backend *be, const void *args, real *const buf[])
{
    const struct conv_run *r = args;
    struct conv_desc desc = r->c->d, *d = &desc;
    const struct view x = case_bind(r->x, buf[r->ix]), y = case_bind(r->y, buf[r->iy]);
    real *w = buf[r->iw], *bias = r->c->tail & BIAS ? buf[r->ib] : NULL;
    struct conv_weight weight = {w, NULL};
    const struct conv_use use = {
        .pass = r->pass,
        .bias = bias != NULL,
        .act = r->c->act,
        .add = r->c->beta != 0,
        .packed = r->packed,
        .plus = r->pass == CONV_FWD && r->c->tail & PLUS ? r->y : (struct view){0}};
    desc.alg = r->alg;
    void *packed = r->packed ? prepare(be, d, r, w) : NULL;
    if (packed != NULL) {
        weight = (struct conv_weight){NULL, packed};
    }
    const size_t bytes = be->ops->conv_scratch(be, d, &use, x, y);
    unsigned char *scratch = mem_alloc_aligned(bytes + 64);

    ck_assert_ptr_nonnull(scratch);
    memset(scratch, 0xff, bytes); /* NaN */
    memset(scratch + bytes, 0x5a, 64);
    if (r->pass == CONV_FWD) {
        const struct view add = r->c->tail & PLUS ? case_bind(r->y, buf[r->ia]) : (struct view){0};
        const struct conv_tail tail = {.bias = bias, .add = add, .act = r->c->act};
        be->ops->conv_fwd(be, d, x, weight, &tail, y, scratch);
    } else if (r->pass == CONV_BWD_DATA) {
        be->ops->conv_bwd_data(be, d, weight, y, r->c->beta, x, scratch);
    } else {
        be->ops->conv_bwd_weight(be, d, x, y, w, bias, scratch);
    }
    for (int i = 0; i < 64; i++) {
        ck_assert_msg(scratch[bytes + (size_t)i] == 0x5a, "%s: wrote behind its scratch",
                      r->c->name);
    }
    mem_free(scratch);
    mem_free(packed);
}

/* Rounding errors of a sum grow with the square root of its terms, as the sum itself does. What
 * Winograd's transforms add is measured in test_wino.c. */
static double tolerance(const struct conv_case *c, struct shape out, enum conv_pass pass,
                        enum conv_alg alg)
{
    const double taps = c->d.kh * c->d.kw, positions = (double)out.n * out.h * out.w;
    const double terms = pass == CONV_FWD        ? c->in_c * taps
                         : pass == CONV_BWD_DATA ? out.c * taps
                                                 : positions;

    const double more = alg == CONV_F6 || alg == CONV_AUTO ? 10 : alg == CONV_F4 ? 4 : 1;

    return more * (sizeof(real) == sizeof(float) ? 4e-6 : 1e-14) * sqrt(terms);
}

static void check_pass(const struct conv_case *c, enum conv_pass pass, enum conv_alg alg,
                       bool packed)
{
    struct conv_run r = {.c = c, .pass = pass, .alg = alg, .packed = packed};
    const struct shape out = {c->n, c->out_c, out_size(c->h, c->d.kh, &c->d),
                              out_size(c->w, c->d.kw, &c->d)};
    struct cpu_case t = {
        .name = c->name, .run = run_conv, .args = &r, .tolerance = tolerance(c, out, pass, alg)};

    r.x = case_view(&t, (struct shape){c->n, c->in_c, c->h, c->w}, c->extra, &r.ix);
    r.y = case_view(&t, out, c->extra, &r.iy);
    r.iw = case_buffer(&t, (size_t)c->out_c * (size_t)(c->in_c / c->d.groups * c->d.kh * c->d.kw));
    r.ib = case_buffer(&t, (size_t)c->out_c);
    r.ia = case_buffer(&t, t.size[r.iy]);
    if (pass == CONV_FWD) {
        case_fill(r.y, (real)NAN);
    } else if (pass == CONV_BWD_DATA && c->beta == 0) {
        case_fill(r.x, (real)NAN);
    }
    case_check(&t);
}

START_TEST(test_forward)
{
    check_pass(&cases[_i], CONV_FWD, CONV_AUTO, false);
}
END_TEST

START_TEST(test_backward_data)
{
    check_pass(&cases[_i], CONV_BWD_DATA, CONV_AUTO, false);
}
END_TEST

START_TEST(test_backward_weight)
{
    check_pass(&cases[_i], CONV_BWD_WEIGHT, CONV_AUTO, false);
}
END_TEST

/* Each algorithm where it fits, with prepared weights and without. */
START_TEST(test_algorithms)
{
    const struct conv_desc *d = &cases[_i].d;

    if (d->kh != 3 || d->kw != 3 || d->stride != 1 || d->dilation != 1) {
        return;
    }
    for (int alg = CONV_EXACT; alg <= CONV_F6; alg++) {
        for (int packed = 0; packed < 2; packed++) {
            check_pass(&cases[_i], CONV_FWD, (enum conv_alg)alg, packed != 0);
            check_pass(&cases[_i], CONV_BWD_DATA, (enum conv_alg)alg, packed != 0);
        }
        check_pass(&cases[_i], CONV_BWD_WEIGHT, (enum conv_alg)alg, false);
    }
}
END_TEST

/* A picture's 3x3 convolution with AVX-512's costs. */
static const char *algorithm(struct backend *be, int batch, int channels, int size)
{
    const struct conv_desc d = {3, 3, 1, 1, 1, 1, CONV_AUTO};
    const struct view x = view_dense(NULL, (struct shape){batch, channels, size, size});

    return be->ops->conv_algorithm(be, &d, CONV_FWD, x, x);
}

START_TEST(test_choice)
{
    struct backend *be = case_open("cpu", 1);

    ((struct cpu *)be->ctx)->kernels = &kernels_wide;
    ck_assert_str_eq(algorithm(be, 1, 64, 56), "f4");
    ck_assert_str_eq(algorithm(be, 1, 192, 14), "f4");
    ck_assert_str_eq(algorithm(be, 1, 256, 14), "f2"); /* F4's filters are 9 MiB */
    ck_assert_str_eq(algorithm(be, 8, 256, 14), "f4");
    ck_assert_str_eq(algorithm(be, 1, 512, 7), "f2");
    backend_close(be);
}
END_TEST

/* Seven rows of seven units, 256 panels; V has `v` bytes of each unit. */
static struct chunks plan_of(int threads, size_t v)
{
    const struct chunks_limit limit = {.units = 56,
                                       .panels = 2,
                                       .multiple = 2,
                                       .v = v,
                                       .sums = 64,
                                       .large_v = 1000,
                                       .most_sums = 49 * 64 * 16};
    return chunks_plan(threads, limit, 1, 7, 7, 256);
}

START_TEST(test_chunks)
{
    const struct chunks small = plan_of(1, 8), large = plan_of(1, 40), two = plan_of(2, 8);

    ck_assert_int_eq(small.job_panels, 2);
    ck_assert_int_eq(large.job_panels, 16);
    ck_assert_int_eq(large.jobs, 16);
    ck_assert(!two.shared); /* four rows and three are better */
    ck_assert_int_eq(two.row_chunks, 2);
    ck_assert_int_eq(two.rows_most, 4);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("conv");
    const int n = (int)(sizeof cases / sizeof *cases);

    tcase_add_loop_test(tests, test_forward, 0, n);
    tcase_add_loop_test(tests, test_backward_data, 0, n);
    tcase_add_loop_test(tests, test_backward_weight, 0, n);
    tcase_add_loop_test(tests, test_algorithms, 0, n);
    tcase_add_test(tests, test_choice);
    tcase_add_test(tests, test_chunks);
    return case_main(tests);
}
