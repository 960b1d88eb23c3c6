/*
 * test_connections.c - the means of weights between the layers of dense and OSA blocks, against
 * weights that were set by hand.
 */
#include "model/connections.h"
#include "unit/run.h"

#include <stdlib.h>
#include <string.h>

static const char text[] = "[net]\nwidth=16\nheight=16\nclasses=3\n"
                           "[convolutional]\nname=stem\nfilters=4\nactivation=linear\n"
                           "[dense]\nname=dense\nlayers=3\ngrowth=2\nbottleneck=0\n"
                           "[transition]\nname=tr\nreduction=1\n"
                           "[osa]\nname=osa\nlayers=2\nwidth=3\nout=5\n"
                           "[global_avgpool]\n[connected]\nactivation=linear\n[softmax]\n";

static void open_net(struct model *m, struct backend **be, const char *cfg)
{
    const struct model_options opt = {.keep_norms = true};
    struct err_list errs = {0};
    struct err err = {0};

    ck_assert_msg(model_build_text("t.cfg", cfg, strlen(cfg), &opt, m, &errs) == VOV_OK, "%s",
                  errs.item[0].msg);
    ck_assert(backend_open("plain", 1, be, &err) == VOV_OK);
    ck_assert(model_start(m, *be, 3, &err) == VOV_OK);
}

/* The weight from input channel c is +-value[c], by turns. */
static void set_weight(struct model *m, const char *name, const double *value)
{
    struct params *p = &m->exec.params;
    struct tensor *t = params_find(p, name);

    ck_assert_msg(t != NULL, "no parameter %s", name);
    const struct shape s = t->shape;
    const int taps = s.h * s.w;
    real *v = malloc(shape_count(s) * sizeof *v);
    for (int i = 0; i < s.n * s.c * taps; i++) {
        v[i] = (real)(value[i / taps % s.c] * (i % 2 == 0 ? 1 : -1));
    }
    params_set(p, p->val, t, v);
    free(v);
}

static const struct connection_block *block(const struct connections *c, const char *name)
{
    for (int i = 0; i < c->n; i++) {
        if (strcmp(c->block[i].name, name) == 0) {
            return &c->block[i];
        }
    }
    ck_abort_msg("no block %s", name);
    return NULL;
}

static double mean(const struct connection_block *b, int target, int source)
{
    return b->mean[target * b->n_sources + source];
}

START_TEST(dense_block)
{
    struct model m;
    struct backend *be;
    struct connections c;
    struct err err = {0};

    open_net(&m, &be, text);
    set_weight(&m, "dense/layer2/conv/weight", (const double[]){1, 1, 1, 3, 4, 2});
    set_weight(&m, "tr/conv/weight", (const double[]){1, 2, 3, 4, 0, 0, 8, 8, 1, 1});
    ck_assert(connections_find(&m, &c, &err) == VOV_OK);
    ck_assert_int_eq(c.n, 2);
    const struct connection_block *b = block(&c, "dense");
    ck_assert_int_eq(b->n_sources, 4);
    ck_assert_int_eq(b->n_targets, 4);
    ck_assert_str_eq(b->source[0], "stem");
    ck_assert_str_eq(b->source[2], "dense/layer2/conv");
    ck_assert_str_eq(b->target[3], "tr/conv");
    ck_assert(mean(b, 0, 0) > 0 && mean(b, 0, 1) < 0 && mean(b, 0, 3) < 0);
    ck_assert_double_eq_tol(mean(b, 1, 0), 1.5, 1e-6);
    ck_assert_double_eq_tol(mean(b, 1, 1), 3, 1e-6);
    ck_assert(mean(b, 1, 2) < 0);
    ck_assert_double_eq_tol(mean(b, 3, 0), 2.5, 1e-6);
    ck_assert(mean(b, 3, 1) == 0);
    ck_assert_double_eq_tol(b->part[3 * 4 + 0], 2.5 / 8, 1e-6);
    ck_assert_double_eq_tol(b->part[3 * 4 + 2], 1, 1e-6);
    connections_free(&c);
    model_close(&m);
    backend_close(be);
}
END_TEST

/* Its chain has one source each; the last layer has all. */
START_TEST(osa_block)
{
    struct model m;
    struct backend *be;
    struct connections c;
    struct err err = {0};

    open_net(&m, &be, text);
    set_weight(&m, "osa/mix/weight",
               (const double[]){2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 4, 4, 4, 1, 1, 1});
    ck_assert(connections_find(&m, &c, &err) == VOV_OK);
    const struct connection_block *b = block(&c, "osa");
    ck_assert_int_eq(b->n_sources, 3);
    ck_assert_int_eq(b->n_targets, 3);
    for (int t = 0; t < 2; t++) {
        for (int s = 0; s < 3; s++) {
            ck_assert((b->part[t * 3 + s] == 1) == (s == t) && (mean(b, t, s) < 0) == (s != t));
        }
    }
    ck_assert_double_eq_tol(b->part[6], 0.5, 1e-6);
    ck_assert_double_eq_tol(b->part[7], 1, 1e-6);
    ck_assert_double_eq_tol(b->part[8], 0.25, 1e-6);
    connections_free(&c);
    model_close(&m);
    backend_close(be);
}
END_TEST

START_TEST(no_block)
{
    struct model m;
    struct backend *be;
    struct connections c;
    struct err err = {0};

    open_net(&m, &be, "[net]\nwidth=4\nheight=4\n[convolutional]\nfilters=2\n");
    ck_assert(connections_find(&m, &c, &err) == VOV_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.msg, "no layer reads"));
    connections_free(&c);
    model_close(&m);
    backend_close(be);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {dense_block, osa_block, no_block, NULL};

    return run_tests("connections", tests);
}
