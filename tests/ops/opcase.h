/*
 * opcase.h - what an operation must fulfil. A case is an op, its settings and the shapes of its
 * inputs; op_check() builds small nets around it,
 *
 *     source x ... -> op -> probe                            dense
 *     [a x b] -> probe, x -> op -> y, [c y d] -> probe       wide: x and y are slices of others
 *
 * where a source is a parameter that is the value of a tensor, and a probe the sum of r * y with
 * fixed random r, and demands that
 *
 *   - the fast backend gives what the plain one does: values, gradients, running statistics;
 *   - 1 and 2 threads give the same bits;
 *   - in wide buffers y is the same, its neighbours are untouched, and gradients are added to what
 *     is there (the probe of [a x b] comes first in the backward pass);
 *   - in the build with real = double, gradients are those of finite differences, for each number;
 *   - every allocation may fail.
 *
 * All of it runs with VOV_POISON: memory is NaN before it is written and after its last use. With
 * VOV_TEST_DEVICE=cuda in the environment that device takes the fast backend's place, and two runs
 * must give the same bits; with VOV_TEST_NUMBER=half or bf16 it keeps its tensors so.
 */
#ifndef VOV_OPCASE_H
#define VOV_OPCASE_H

#include "base/mem.h"
#include "graph/exec.h"
#include "probe.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CASE_MAX_IN = 5 };

struct op_case {
    const char *name;
    const struct op_type *type;
    const void *attr;
    int n_in;
    struct shape in[CASE_MAX_IN];
    unsigned fixed; /* bit i: input i is no source: it gets its numbers from fill() */
    void (*fill)(int input, struct shape s, real *v);
    double weight; /* of a loss op; 0: 1 */
    double bound;  /* of the relative difference between backends; 0: 1e-5 */
};

/* ---- running a graph ---- */

/* A net at work, and what it gave. */
struct case_net {
    struct graph g;
    struct exec e;
    struct tensor *y;               /* the op's output, or the wide buffer around it; kept */
    int y_first, y_c;               /* where the op's output is in it */
    struct tensor *in[CASE_MAX_IN]; /* fixed ones only */
    double loss;
};

/* [pad of 2 channels, x, pad of 1]. */
static enum vov_status add_wide(struct graph *g, const char *name, struct tensor *x,
                                struct tensor **out, struct err *err)
{
    struct shape s = x->shape;
    struct tensor *part[3] = {NULL, x, NULL};
    char pad[64];
    s.c = 2;
    snprintf(pad, sizeof pad, "%s_before", name);
    TRY(add_source(g, pad, s, &part[0], err));
    s.c = 1;
    snprintf(pad, sizeof pad, "%s_behind", name);
    TRY(add_source(g, pad, s, &part[2], err));
    return graph_add(g, &op_concat, name, NULL, part, 3, out, err);
}

static enum vov_status add_inputs(const struct op_case *c, struct case_net *net, struct tensor **in,
                                  struct err *err)
{
    for (int i = 0; i < c->n_in; i++) {
        char name[16];
        snprintf(name, sizeof name, "x%d", i);
        if ((c->fixed >> i & 1) != 0) {
            in[i] = net->in[i] = graph_input(&net->g, name, c->in[i]);
        } else {
            TRY(add_source(&net->g, name, c->in[i], &in[i], err));
        }
    }
    return VOV_OK;
}

static enum vov_status add_output(struct case_net *net, struct tensor *y, bool wide,
                                  struct err *err)
{
    net->y = y;
    net->y_c = y->shape.c;
    if ((y->flags & T_LOSS) != 0) {
        return VOV_OK;
    }
    if (wide) {
        TRY(add_wide(&net->g, "y", y, &net->y, err));
        net->y_first = 2;
    }
    net->y->flags |= T_KEEP;
    return add_probe(&net->g, net->y, err);
}

static enum vov_status case_build(const struct op_case *c, bool training, bool wide,
                                  struct case_net *net, struct err *err)
{
    struct tensor *in[CASE_MAX_IN], *out[OP_MAX_OUT];
    *net = (struct case_net){0};
    graph_init(&net->g, training);
    TRY(add_inputs(c, net, in, err));
    TRY(graph_add(&net->g, c->type, "op", c->attr, in, c->n_in, out, err));
    TRY(add_output(net, out[0], wide, err));
    for (int i = 0; wide && i < c->n_in; i++) {
        struct tensor *around;
        if ((c->fixed >> i & 1) == 0) {
            TRY(add_wide(&net->g, "x", in[i], &around, err));
            TRY(add_probe(&net->g, around, err));
        }
    }
    return VOV_OK;
}

static void case_close(struct case_net *net)
{
    exec_close(&net->e);
    graph_free(&net->g);
}

/* Random parameters of sensible sizes, from their names. */
static void fill_params(struct case_net *net)
{
    struct params *p = &net->e.params;
    for (int i = 0; i < p->n; i++) {
        const struct tensor *t = p->tensor[i];
        uint64_t key = 1;
        for (const char *s = t->name; *s != '\0'; s++) {
            key = key * 131 + (unsigned char)*s;
        }
        struct rng r = rng_open(5, RNG_TEST, key, 0);
        real *value = calloc(shape_count(t->shape), sizeof *value);
        for (size_t k = 0; k < shape_count(t->shape); k++) {
            const double v = rng_normal(&r);
            value[k] = (real)(t->kind == PARAM_VAR     ? 0.5 + v * v
                              : t->kind == PARAM_GAMMA ? 1 + 0.3 * v
                                                       : v);
        }
        params_set(p, p->val, t, value);
        free(value);
    }
}

static void fill_inputs(const struct op_case *c, struct case_net *net)
{
    for (int i = 0; i < c->n_in; i++) {
        if (net->in[i] != NULL) {
            real *v = calloc(shape_count(c->in[i]) + 1, sizeof *v);
            c->fill(i, c->in[i], v);
            exec_set(&net->e, net->in[i], v);
            free(v);
        }
    }
}

/* All losses, weighted as the backward pass weights them. */
static double total_loss(const struct op_case *c, const struct case_net *net)
{
    double sum = 0;
    for (int i = 0; i < net->g.n_nodes; i++) {
        const struct node *n = net->g.nodes[i];
        if ((n->out[0]->flags & T_LOSS) != 0) {
            const bool probe = n->type == &op_probe;
            real v[4] = {0};
            exec_get(&net->e, n->out[0], v);
            const double value = (double)v[0] + (n->out[0]->shape.c > 2 ? (double)v[1] : 0);
            sum += value * (probe || c->weight == 0 ? 1 : c->weight);
        }
    }
    return sum;
}

enum { CASE_KEY = 77 };

static void case_forward(const struct op_case *c, struct case_net *net)
{
    struct err err = {0};
    fill_inputs(c, net);
    ck_assert_msg(exec_forward(&net->e, CASE_KEY, &err) == VOV_OK, "%s: %s", c->name, err.msg);
    net->loss = total_loss(c, net);
}

/* What the tested device keeps in its tensors. */
static enum number case_number(const struct backend *be)
{
    const char *name = getenv("VOV_TEST_NUMBER");
    if (name == NULL || !be->half) {
        return NUMBER_REAL;
    }
    return strcmp(name, "bf16") == 0 ? NUMBER_BF16 : NUMBER_HALF;
}

/* Opens, fills, and runs both passes (the forward one in inference). */
static void case_run(const struct op_case *c, struct backend *be, bool training, bool wide,
                     struct case_net *net)
{
    struct err err = {0};
    const struct plan_options opt = {.again = training, .reuse = true};
    ck_assert_msg(case_build(c, training, wide, net, &err) == VOV_OK, "%s: %s", c->name, err.msg);
    if (case_number(be) != NUMBER_REAL) {
        ck_assert(graph_narrow(&net->g, case_number(be), &op_convert, &err) == VOV_OK);
    }
    ck_assert_msg(exec_open(&net->g, be, &opt, &net->e, &err) == VOV_OK, "%s: %s", c->name,
                  err.msg);
    fill_params(net);
    case_forward(c, net);
    if (training) {
        ck_assert_msg(exec_backward(&net->e, CASE_KEY, &err) == VOV_OK, "%s: %s", c->name, err.msg);
    }
}

/* ---- comparing ---- */

static void compare(const struct op_case *c, const char *what, const real *want, const real *got,
                    size_t n)
{
    double diff = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = (double)want[i] - (double)got[i];
        diff += d * d;
        size += (double)want[i] * (double)want[i];
    }
    const char *number = getenv("VOV_TEST_NUMBER");
    const double rounding = number == NULL ? 0 : strcmp(number, "bf16") == 0 ? 3e-2 : 2e-3;
    const double bound = (c->bound > 0 ? c->bound : 1e-5) + rounding;
    if (!(sqrt(diff) <= bound * sqrt(size) + 1e-12)) {
        ck_abort_msg("%s: %s differ by %.3g of %.3g", c->name, what, sqrt(diff), sqrt(size));
    }
}

/* The channels of y that the op wrote, dense; to be freed. */
static real *copy_output(const struct case_net *net)
{
    const struct shape s = net->y->shape;
    const size_t plane = (size_t)s.h * (size_t)s.w, own = (size_t)net->y_c * plane;
    real *all = calloc(shape_count(s) + 1, sizeof *all);
    real *out = calloc((size_t)s.n * own + 1, sizeof *out);
    exec_get(&net->e, net->y, all);
    for (int i = 0; i < s.n; i++) {
        memcpy(out + (size_t)i * own,
               all + ((size_t)i * (size_t)s.c + (size_t)net->y_first) * plane, own * sizeof *out);
    }
    free(all);
    return out;
}

static void compare_outputs(const struct op_case *c, const char *what, const struct case_net *want,
                            const struct case_net *got)
{
    const struct shape s = want->y->shape;
    real *a = copy_output(want), *b = copy_output(got);
    compare(c, what, a, b, (size_t)s.n * (size_t)want->y_c * (size_t)s.h * (size_t)s.w);
    free(a);
    free(b);
}

static void compare_param(const struct op_case *c, const struct tensor *t, const struct params *p,
                          real *want, const struct params *q, real *got)
{
    const size_t n = shape_count(t->shape);
    real *a = calloc(2 * n, sizeof *a);
    params_get(p, want, t, a);
    params_get(q, got, t, a + n);
    compare(c, t->name, a, a + n, n);
    free(a);
}

/* Values (running statistics among them) and gradients of all parameters, sources included. */
static void compare_params(const struct op_case *c, const struct case_net *want,
                           const struct case_net *got)
{
    const struct params *p = &want->e.params, *q = &got->e.params;
    ck_assert_msg(p->count == q->count, "%s: parameters", c->name);
    for (int i = 0; i < p->n; i++) {
        const struct tensor *t = p->tensor[i];
        compare_param(c, t, p, p->val, q, q->val);
        if (p->grad != NULL) {
            compare_param(c, t, p, p->grad, q, q->grad);
        }
    }
}

/* The pads beside y keep their values, those beside x and y get the probe's gradient and no more.
 */
static void check_pads(const struct op_case *c, const struct case_net *net)
{
    for (int i = 0; i < net->g.n_nodes; i++) {
        const struct node *n = net->g.nodes[i];
        if (n->type != &op_concat || n->n_in != 3 || strcmp(n->name, "op") == 0) {
            continue;
        }
        const struct node *probe = NULL;
        for (int k = i; k < net->g.n_nodes && probe == NULL; k++) {
            probe = net->g.nodes[k]->in[0] == n->out[0] ? net->g.nodes[k] : NULL;
        }
        const size_t plane = view_plane(n->out[0]->val);
        const size_t each = plane * (size_t)n->out[0]->shape.c;
        const struct tensor *t = n->in[0]->producer->param[0];
        real *grad = host_copy(net->e.be, t->grad);
        for (size_t image = 0; image < (size_t)n->out[0]->shape.n; image++) {
            for (size_t k = 0; k < 2 * plane; k++) {
                ck_assert_msg(grad[image * 2 * plane + k] == probe_weight(probe, image * each + k),
                              "%s: gradient of the pad before %s", c->name, n->in[1]->name);
            }
        }
        free(grad);
    }
}

static void check_numeric(const struct op_case *c, struct case_net *net)
{
    struct params *p = &net->e.params;
    for (int i = 0; i < p->n; i++) {
        const struct tensor *t = p->tensor[i];
        for (size_t k = 0; param_learns(t) && k < shape_count(t->shape); k++) {
            real *v = t->val.p + k;
            const real old = *v, step = (real)1e-5;
            const double got = (double)t->grad.p[k];
            *v = old + step;
            case_forward(c, net);
            const double up = net->loss;
            *v = old - step;
            case_forward(c, net);
            const double want = (up - net->loss) / (2 * (double)step);
            *v = old;
            if (!(fabs(got - want) <= 1e-6 * (fabs(got) + fabs(want)) + 2e-8)) {
                ck_abort_msg("%s: gradient of %s[%zu] is %.12g, by differences %.12g", c->name,
                             t->name, k, got, want);
            }
        }
    }
}

static struct backend *case_backend(const char *name, int threads)
{
    struct backend *be;
    struct err err = {0};
    ck_assert_msg(backend_open(name, threads, &be, &err) == VOV_OK, "%s", err.msg);
    return be;
}

/* What is tested: the device that was asked for, or the fast backend. */
static struct backend *case_tested(int threads)
{
    const char *device = getenv("VOV_TEST_DEVICE");
    return case_backend(device != NULL ? device : "cpu", threads);
}

static void check_bits(const struct op_case *c, const struct case_net *a, const struct case_net *b)
{
    const struct params *p = &a->e.params, *q = &b->e.params;
    ck_assert_msg(memcmp(&a->loss, &b->loss, sizeof a->loss) == 0, "%s: loss %.17g, %.17g", c->name,
                  a->loss, b->loss);
    for (int i = 0; i < p->n; i++) {
        const struct tensor *t = p->tensor[i];
        real *const block[2][2] = {{p->val, q->val}, {p->grad, q->grad}};
        for (int k = 0; k < 2 && block[k][0] != NULL; k++) {
            real *one = host_copy(p->be, view_dense(block[k][0] + t->offset, t->shape));
            real *two = host_copy(q->be, view_dense(block[k][1] + t->offset, t->shape));
            ck_assert_msg(memcmp(one, two, shape_count(t->shape) * sizeof *one) == 0,
                          "%s: %s of %s differ in bits", c->name, k == 0 ? "values" : "gradients",
                          t->name);
            free(one);
            free(two);
        }
    }
}

/* Training, dense or wide, on all backends. */
static void check_training(const struct op_case *c, bool wide)
{
    struct backend *be[3] = {case_backend("plain", 1), case_tested(1), case_tested(2)};
    struct case_net net[3];
    for (int i = 0; i < 3; i++) {
        case_run(c, be[i], true, wide, &net[i]);
    }
    compare_outputs(c, wide ? "wide outputs" : "outputs", &net[0], &net[1]);
    compare_params(c, &net[0], &net[1]);
    check_bits(c, &net[1], &net[2]);
    if (wide) {
        check_pads(c, &net[0]);
        if (case_number(be[1]) == NUMBER_REAL) { /* exact numbers, which narrow ones are not */
            check_pads(c, &net[1]);
        }
    }
    if (sizeof(real) == sizeof(double)) {
        check_numeric(c, &net[0]);
    }
    for (int i = 0; i < 3; i++) {
        case_close(&net[i]);
        backend_close(be[i]);
    }
}

/* Inference, and dense against wide. */
static void check_inference(const struct op_case *c)
{
    struct backend *plain = case_backend("plain", 1), *fast = case_tested(2);
    struct case_net want, got, wide;
    case_run(c, plain, false, false, &want);
    case_run(c, fast, false, false, &got);
    case_run(c, fast, false, true, &wide);
    compare_outputs(c, "inference outputs", &want, &got);
    compare_outputs(c, "inference outputs in a wide buffer", &want, &wide);
    case_close(&want);
    case_close(&got);
    case_close(&wide);
    backend_close(plain);
    backend_close(fast);
}

/* Building and planning with the i-th allocation failing, for every i. */
static void check_memory_failures(const struct op_case *c)
{
    struct backend *be = case_backend("plain", 1);
    const struct plan_options opt = {.again = true, .reuse = true};
    enum vov_status status = VOV_ENOMEM;
    for (long i = 1; status != VOV_OK; i++) {
        struct case_net net;
        struct err err = {0};
        ck_assert_msg(i < 10000, "%s: never enough memory", c->name);
        mem_fail_after(i);
        status = case_build(c, true, true, &net, &err);
        if (status == VOV_OK) {
            status = exec_open(&net.g, be, &opt, &net.e, &err);
        }
        mem_fail_after(0);
        ck_assert_msg(status == VOV_OK || status == VOV_ENOMEM, "%s: %d %s", c->name, (int)status,
                      err.msg);
        case_close(&net);
    }
    backend_close(be);
}

static void op_check(const struct op_case *c)
{
    setenv("VOV_POISON", "1", 1);
    check_training(c, false);
    check_training(c, true);
    check_inference(c);
    check_memory_failures(c);
}

/* A case that must be refused with a message that holds `text`, the node's name in front. */
struct op_bad {
    struct op_case c;
    const char *text;
};

static void op_refuse(const struct op_bad *bad)
{
    struct case_net net;
    struct err err = {0};
    const enum vov_status status = case_build(&bad->c, true, false, &net, &err);
    ck_assert_msg(status != VOV_OK, "%s: not refused", bad->c.name);
    ck_assert_msg(strstr(err.msg, bad->text) != NULL, "%s: \"%s\" instead of \"%s\"", bad->c.name,
                  err.msg, bad->text);
    ck_assert_msg(strncmp(err.msg, "op: ", 4) == 0, "%s: \"%s\" names no node", bad->c.name,
                  err.msg);
    case_close(&net);
}

/* The program: checks every entry of the file's cases[] and bad[], each in a process of its own. */
#define OP_MAIN(name)                                                                              \
    START_TEST(check_case)                                                                         \
    {                                                                                              \
        op_check(&cases[_i]);                                                                      \
    }                                                                                              \
    END_TEST                                                                                       \
    START_TEST(check_bad)                                                                          \
    {                                                                                              \
        op_refuse(&bad[_i]);                                                                       \
    }                                                                                              \
    END_TEST                                                                                       \
    int main(void)                                                                                 \
    {                                                                                              \
        TCase *tests = tcase_create(name);                                                         \
        Suite *suite = suite_create(name);                                                         \
        tcase_set_timeout(tests, 120);                                                             \
        tcase_add_loop_test(tests, check_case, 0, (int)(sizeof cases / sizeof cases[0]));          \
        tcase_add_loop_test(tests, check_bad, 0, (int)(sizeof bad / sizeof bad[0]));               \
        suite_add_tcase(suite, tests);                                                             \
        SRunner *runner = srunner_create(suite);                                                   \
        srunner_run_all(runner, CK_NORMAL);                                                        \
        const int failed = srunner_ntests_failed(runner);                                          \
        srunner_free(runner);                                                                      \
        return failed > 0;                                                                         \
    }

#endif
