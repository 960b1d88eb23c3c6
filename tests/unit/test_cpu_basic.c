/*
 * test_cpu_basic.c - the fast kernels that work number by number, and the sums by channel, against
 * the reference loops, on slices inside wider buffers, with beta 0 over NaN and beta 1.
 */
#include "cpu_case.h"

enum { MAX_VIEWS = 5 };

/* One call: its views, each in a buffer of its own number, and its settings. */
struct call {
    struct cpu_case t;
    struct view v[MAX_VIEWS];
    int n_views;
    enum act act;
    real beta;
};

static const struct shape shapes[] = {
    {1, 1, 1, 1}, {2, 3, 5, 7}, {3, 5, 1, 1}, {1, 70, 13, 37}, {2, 17, 50, 41},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static void call_open(struct call *c, const char *name, case_fn run, real beta)
{
    *c = (struct call){.beta = beta};
    c->t = (struct cpu_case){.name = name, .run = run, .args = c, .tolerance = 3e-6};
}

static struct view call_view(struct call *c, struct shape s, int extra)
{
    int index;

    c->v[c->n_views] = case_view(&c->t, s, extra, &index);
    ck_assert_int_eq(index, c->n_views);
    return c->v[c->n_views++];
}

/* An output: NaN where beta is 0. */
static void call_output(struct call *c, struct shape s, int extra, real beta)
{
    const struct view v = call_view(c, s, extra);

    if (beta == 0) {
        case_fill(v, (real)NAN);
    }
}

static struct view bound(const struct call *c, int i, real *const buf[])
{
    return case_bind(c->v[i], buf[i]);
}

static void run_fill(struct backend *be, const void *args, real *const buf[])
{
    be->ops->fill(be, bound(args, 0, buf), (real)1.5);
}

static void run_copy(struct backend *be, const void *args, real *const buf[])
{
    const struct call *c = args;

    be->ops->copy(be, bound(c, 0, buf), c->beta, bound(c, 1, buf));
}

static void run_add(struct backend *be, const void *args, real *const buf[])
{
    const struct call *c = args;

    be->ops->add(be, c->act, bound(c, 0, buf), bound(c, 1, buf), bound(c, 2, buf));
}

static void run_act_fwd(struct backend *be, const void *args, real *const buf[])
{
    const struct call *c = args;

    be->ops->act_fwd(be, c->act, bound(c, 0, buf), bound(c, 1, buf));
}

static void run_act_in_place(struct backend *be, const void *args, real *const buf[])
{
    const struct call *c = args;

    be->ops->act_fwd(be, c->act, bound(c, 0, buf), bound(c, 0, buf));
}

/* The view that the derivative does not need is not given. */
static void run_act_bwd(struct backend *be, const void *args, real *const buf[])
{
    const struct call *c = args;
    const struct view none = {0}, known = bound(c, 0, buf);
    const bool output = act_from_output(c->act);

    be->ops->act_bwd(be, c->act, output ? none : known, output ? known : none, bound(c, 1, buf),
                     c->beta, bound(c, 2, buf));
}

static void run_mul_channel_fwd(struct backend *be, const void *args, real *const buf[])
{
    be->ops->mul_channel_fwd(be, bound(args, 0, buf), bound(args, 1, buf), bound(args, 2, buf));
}

static void run_mul_channel_bwd(struct backend *be, const void *args, real *const buf[])
{
    const struct call *c = args;

    be->ops->mul_channel_bwd(be, bound(c, 0, buf), bound(c, 1, buf), bound(c, 2, buf), c->beta,
                             bound(c, 3, buf), c->beta, bound(c, 4, buf));
}

static void run_dropout(struct backend *be, const void *args, real *const buf[])
{
    const struct call *c = args;

    be->ops->begin(be, 99);
    be->ops->dropout(be, 7, (real)0.3, bound(c, 0, buf), c->beta, bound(c, 1, buf));
}

static void run_affine(struct backend *be, const void *args, real *const buf[])
{
    const struct call *c = args;

    be->ops->affine(be, c->beta != 0 ? buf[2] : NULL, c->beta != 0 ? NULL : buf[3], c->act,
                    bound(c, 0, buf), bound(c, 1, buf));
}

static void run_channel_sum(struct backend *be, const void *args, real *const buf[])
{
    be->ops->channel_sum(be, bound(args, 0, buf), buf[1]);
}

/* One input, one output. */
static void check_map(const char *name, case_fn run, struct shape s, enum act act, real beta)
{
    struct call c;

    call_open(&c, name, run, beta);
    c.act = act;
    call_view(&c, s, 1);
    call_output(&c, s, 2, beta);
    case_buffer(&c.t, (size_t)s.c);
    case_buffer(&c.t, (size_t)s.c);
    case_check(&c.t);
}

/* Two inputs, one output. */
static void check_pair(const char *name, case_fn run, struct shape s, enum act act, real beta)
{
    struct call c;

    call_open(&c, name, run, beta);
    c.act = act;
    call_view(&c, s, 0);
    call_view(&c, s, 1);
    call_output(&c, s, 2, beta);
    case_check(&c.t);
}

START_TEST(test_maps)
{
    const struct shape s = shapes[_i];

    check_map("fill", run_fill, s, ACT_LINEAR, 0);
    for (int beta = 0; beta < 2; beta++) {
        check_map("copy", run_copy, s, ACT_LINEAR, (real)beta);
        check_map("dropout", run_dropout, s, ACT_LINEAR, (real)beta);
        check_map("affine", run_affine, s, ACT_LEAKY, (real)beta);
    }
    check_map("act in place", run_act_in_place, s, ACT_SWISH, 0);
}
END_TEST

START_TEST(test_activations)
{
    const enum act act = (enum act)_i;

    for (int i = 0; i < SHAPES; i++) {
        check_map("act_fwd", run_act_fwd, shapes[i], act, 0);
        check_map("affine", run_affine, shapes[i], act, 1);
        check_pair("add", run_add, shapes[i], act, 0);
        check_pair("act_bwd", run_act_bwd, shapes[i], act, 0);
        check_pair("act_bwd add", run_act_bwd, shapes[i], act, 1);
    }
}
END_TEST

/* Far out, where exp over- or underflows, and at what is no number. */
START_TEST(test_activations_far)
{
    static const double at[] = {0,  -0.0, 1e-30, 3,   -3,   6,    19,  21,  -21,
                                40, -40,  87,    -87, 88.5, -104, 1e4, -1e4};
    enum { N = sizeof at / sizeof *at };
    struct backend *plain = case_open("plain", 1), *cpu = case_open("cpu", 1);
    const struct shape s = {1, 1, 1, N + 1};
    real x[N + 1], want[N + 1], got[N + 1];

    for (int i = 0; i < N; i++) {
        x[i] = (real)at[i];
    }
    x[N] = (real)NAN;
    plain->ops->act_fwd(plain, (enum act)_i, view_dense(x, s), view_dense(want, s));
    cpu->ops->act_fwd(cpu, (enum act)_i, view_dense(x, s), view_dense(got, s));
    for (int i = 0; i < N; i++) {
        ck_assert_msg(fabs((double)(got[i] - want[i])) <= 1e-6 * fabs((double)want[i]) + 1e-30,
                      "activation %d at %g: %g, reference %g", _i, at[i], (double)got[i],
                      (double)want[i]);
    }
    ck_assert_msg(isnan((double)got[N]) && isnan((double)want[N]), "activation %d hides NaN", _i);
    backend_close(plain);
    backend_close(cpu);
}
END_TEST

START_TEST(test_channels)
{
    const struct shape s = shapes[_i], one = {s.n, s.c, 1, 1};
    struct call c;

    call_open(&c, "mul_channel_fwd", run_mul_channel_fwd, 0);
    call_view(&c, s, 1);
    call_view(&c, one, 0);
    call_output(&c, s, 0, 0);
    case_check(&c.t);
    for (int beta = 0; beta < 2; beta++) {
        call_open(&c, "mul_channel_bwd", run_mul_channel_bwd, (real)beta);
        c.t.tolerance = 5e-5;
        call_view(&c, s, 1);
        call_view(&c, one, 1);
        call_view(&c, s, 0);
        call_output(&c, s, 2, c.beta);
        call_output(&c, one, 1, c.beta);
        case_check(&c.t);
    }
    call_open(&c, "channel_sum", run_channel_sum, 0);
    c.t.tolerance = 5e-5;
    call_view(&c, s, 1);
    case_buffer(&c.t, (size_t)s.c);
    case_check(&c.t);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("basic");

    tcase_add_loop_test(tests, test_maps, 0, SHAPES);
    tcase_add_loop_test(tests, test_activations, 0, ACT_COUNT);
    tcase_add_loop_test(tests, test_activations_far, 0, ACT_COUNT);
    tcase_add_loop_test(tests, test_channels, 0, SHAPES);
    return case_main(tests);
}
