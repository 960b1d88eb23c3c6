/*
 * test_sections.c - a network of all sections, run: folding norms away changes nothing, nor does
 * the backend or the plan; in training every parameter gets a gradient, and following it lowers the
 * loss.
 */
#include "base/rng.h"
#include "model/model.h"
#include "unit/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 4, CLASSES = 4 };

static const char *const all_sections =
    "[net]\nwidth=56\nheight=40\nclasses=4\n"
    "[stem]\nchannels=8,8,12\nstrides=2,1,1\ndepthwise=1\n"
    "[maxpool]\nsize=3\nstride=2\npadding=0\nceil=1\n"
    "[osa]\nname=stage2\nlayers=3\nwidth=8\nout=12\nrepeat=2\nidentity=rest\nese=all\n"
    "[osa]\nname=stage3\nlayers=2\nwidth=6\nout=12\ndepthwise=1\nbottleneck=1\nidentity=all\n"
    "[route]\nfrom=stage2,stage3\ngroups=2\ngroup_id=1\n"
    "[dense]\nlayers=3\ngrowth=4\n"
    "[transition]\nname=tap\npool=0\n"
    "[downsample]\nwidth=3\n"
    "[two_way_dense]\nlayers=2\ngrowth=4\nbottleneck=1\n"
    "[pad_channels]\nbefore=1\nafter=2\n"
    "[upsample]\nstride=2\n"
    "[convolutional]\nfilters=8\nactivation=relu\n"
    "[maxpool]\nsize=2\nstride=2\n"
    "[bottleneck]\nname=res\nwidth=4\nrepeat=2\n"
    "[tcb]\nname=top\nchannels=8\n"
    "[tcb]\nfrom=tap\ntop=top\nchannels=8\n"
    "[shortcut]\nfrom=-1\nactivation=leaky\n"
    "[convolutional]\nname=side\nfilters=8\nsize=3\npad=1\nnorm=group\nnorm_groups=4\n"
    "activation=mish\n"
    "[l2norm]\n"
    "[deconvolutional]\nfilters=6\nsize=4\nstride=2\npadding=1\nbatch_normalize=1\n"
    "activation=swish\n"
    "[bilinear]\nlike=side\n"
    "[upsample]\nstride=2\n"
    "[avgpool]\nsize=2\n"
    "[ese]\n"
    "[batchnorm]\nactivation=relu6\n"
    "[groupnorm]\ngroups=3\nactivation=hard_sigmoid\n"
    "[dropout]\nprobability=0.1\n"
    "[global_avgpool]\n"
    "[connected]\noutput=16\nbatch_normalize=1\nactivation=leaky\n"
    "[connected]\nactivation=linear\n"
    "[softmax]\n";

static void open_net(struct model *m, struct backend **be, const char *device,
                     const struct model_options *opt)
{
    struct err_list errs = {0};
    struct err err = {0};

    ck_assert_msg(model_build_text("all.cfg", all_sections, strlen(all_sections), opt, m, &errs) ==
                      VOV_OK,
                  "%s", errs.item[0].msg);
    ck_assert_int_eq(backend_open(device, 2, be, &err), VOV_OK);
    ck_assert_msg(model_start(m, *be, 3, &err) == VOV_OK, "%s", err.msg);
}

static void close_net(struct model *m, struct backend *be)
{
    model_close(m);
    backend_close(be);
}

/* Running statistics and norms other than those of a new network, equal in all networks. */
static void disturb(struct params *p)
{
    for (int i = 0; i < p->n; i++) {
        const struct tensor *t = p->tensor[i];
        const size_t n = shape_count(t->shape);
        struct rng r = rng_open(5, RNG_TEST, strlen(t->name), n);
        real *v;

        if (t->kind == PARAM_WEIGHT) {
            continue;
        }
        v = calloc(n, sizeof *v);
        for (size_t k = 0; k < n; k++) {
            const bool about_one = t->kind == PARAM_VAR || t->kind == PARAM_GAMMA;

            v[k] = (real)(about_one ? rng_range(&r, 0.5, 1.5) : rng_range(&r, -0.3, 0.3));
        }
        params_set(p, p->val, t, v);
        free(v);
    }
}

static void fill_input(struct model *m)
{
    const size_t n = shape_count(m->input->shape);
    struct rng r = rng_open(6, RNG_TEST, 0, 0);
    real *v = calloc(n, sizeof *v);

    for (size_t k = 0; k < n; k++) {
        v[k] = (real)rng_normal(&r);
    }
    exec_set(&m->exec, m->input, v);
    free(v);
}

static void probabilities(const char *device, bool keep_norms, real out[BATCH * CLASSES])
{
    const struct model_options opt = {.keep_norms = keep_norms, .batch = BATCH};
    struct backend *be;
    struct model m;
    struct err err = {0};

    open_net(&m, &be, device, &opt);
    disturb(&m.exec.params);
    ck_assert_int_eq(fold_weights(&m.graph, &m.exec.params), VOV_OK);
    fill_input(&m);
    ck_assert_msg(exec_forward(&m.exec, 1, &err) == VOV_OK, "%s", err.msg);
    exec_get(&m.exec, m.head.out[0], out);
    close_net(&m, be);
}

/* A kernel that a table lacks would be called all the same; the last ones are optional. */
START_TEST(tables_are_full)
{
    static const char *const device[] = {"cpu", "plain"};
    void (*entry)(void);

    for (int d = 0; d < 2; d++) {
        struct backend *be;
        struct err err = {0};
        const char *at;

        ck_assert_int_eq(backend_open(device[d], 1, &be, &err), VOV_OK);
        at = (const char *)be->ops;
        for (size_t i = 0; i < offsetof(struct backend_ops, stage_pictures); i += sizeof entry) {
            memcpy(&entry, at + i, sizeof entry);
            ck_assert_msg(entry != NULL, "%s: entry %zu is missing", device[d], i / sizeof entry);
        }
        backend_close(be);
    }
}
END_TEST

START_TEST(folding_and_backends)
{
    static const struct {
        const char *device;
        bool keep_norms;
    } other[] = {{"cpu", false}, {"plain", true}, {"plain", false}};
    real want[BATCH * CLASSES], got[BATCH * CLASSES];

    probabilities("cpu", true, want);
    for (int i = 0; i < BATCH; i++) {
        double sum = 0;

        for (int k = 0; k < CLASSES; k++) {
            sum += (double)want[i * CLASSES + k];
        }
        ck_assert_double_eq_tol(sum, 1, 1e-5);
    }
    ck_assert(fabs((double)(want[0] - want[CLASSES])) > 1e-6); /* the pictures differ */
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
        probabilities(other[i].device, other[i].keep_norms, got);
        for (int k = 0; k < BATCH * CLASSES; k++) {
            ck_assert_double_eq_tol((double)got[k], (double)want[k], 2e-5);
        }
    }
}
END_TEST

static double loss_of(struct model *m)
{
    struct err err = {0};
    real loss;

    ck_assert_msg(exec_forward(&m->exec, 1, &err) == VOV_OK, "%s", err.msg);
    exec_get(&m->exec, m->head.loss[0], &loss);
    return (double)loss;
}

static double norm_of(const struct params *p, const struct tensor *t)
{
    const size_t n = shape_count(t->shape);
    real *v = calloc(n, sizeof *v);
    double sum = 0;

    params_get(p, p->grad, t, v);
    for (size_t k = 0; k < n; k++) {
        sum += (double)v[k] * (double)v[k];
    }
    free(v);
    return sqrt(sum);
}

/* -ln(1/4) to begin with; then a step of plain descent. */
START_TEST(every_parameter_learns)
{
    const struct model_options opt = {.training = true, .batch = BATCH};
    const real rate = (real)0.00005;
    const struct sgd_desc step = {.rate = &rate, .rate_factor = 1, .scale = 1};
    const real label[BATCH] = {1, 3, 0, 2};
    struct backend *be;
    struct model m;
    struct params *p = &m.exec.params;
    struct err err = {0};
    double before;

    open_net(&m, &be, "cpu", &opt);
    fill_input(&m);
    exec_set(&m.exec, m.head.truth, label);
    before = loss_of(&m);
    ck_assert(before > 0.5 && before < 4);
    ck_assert_msg(exec_backward(&m.exec, 1, &err) == VOV_OK, "%s", err.msg);
    ck_assert_ptr_null(exec_find_nonfinite(&m.exec, 1));
    for (int i = 0; i < p->n; i++) {
        if (p->tensor[i]->kind != PARAM_MEAN && p->tensor[i]->kind != PARAM_VAR) {
            ck_assert_msg(norm_of(p, p->tensor[i]) > 1e-9, "%s has no gradient",
                          p->tensor[i]->name);
        }
    }
    fill_input(&m);
    exec_set(&m.exec, m.head.truth, label);
    be->ops->sgd(be, &step, p->n_learn, p->val, p->grad, p->mom);
    ck_assert_double_lt(loss_of(&m), before - 1e-5);
    close_net(&m, be);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {tables_are_full, folding_and_backends, every_parameter_learns,
                                  NULL};

    return run_tests("sections", tests);
}
