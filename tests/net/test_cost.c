/*
 * test_cost.c - every network of cfg/backbone, cfg/cifar and cfg/detect costs what its paper says:
 * parameters, multiply-adds, memory access cost, batch norm elements, activations. Exact figures
 * come from costs.h, which an independent script makes; the rounded ones that the paper and public
 * tables print are checked to the digits that they print.
 */
#include "costs.h"

#include "model/model.h"
#include "ops/ops.h"

#include <check.h>
#include <math.h>
#include <string.h>

struct totals {
    struct op_cost cost;
    long long params, activations, fc_mac;
    int nodes;
};

static void split(char *text, const char **word, int *n)
{
    char *rest = text;

    *n = 0;
    for (char *w = strsep(&rest, " "); w != NULL; w = strsep(&rest, " ")) {
        if (w[0] != '\0') {
            word[(*n)++] = w;
        }
    }
}

static struct totals totals_of(const struct graph *g)
{
    struct totals t = {.cost = graph_cost(g), .nodes = g->n_nodes};

    for (int i = 0; i < g->n_nodes; i++) {
        const struct node *n = g->nodes[i];
        const struct op_type *type = n->type;

        if (type == &op_conv || type == &op_deconv || type == &op_connected) {
            t.activations += (long long)shape_count(n->out[0]->shape);
        }
        if (type == &op_connected) {
            struct op_cost c = {0};

            type->cost(n, &c);
            t.fc_mac += c.mac;
        }
    }
    t.params = (long long)params_learnable(g);
    return t;
}

static struct totals cost_of(const char *cfg, const char *set, int size)
{
    struct model_options opt = {.keep_norms = true, .width = size, .height = size};
    struct err_list errs = {0};
    struct model m;
    struct totals t;
    const char *words[8];
    char path[128], copy[128];

    snprintf(path, sizeof path, "cfg/%s.cfg", cfg);
    snprintf(copy, sizeof copy, "%s", set);
    split(copy, words, &opt.n_set);
    opt.set = words;
    ck_assert_msg(model_build(path, &opt, &m, &errs) == VOV_OK, "%s: %s", path, errs.item[0].msg);
    t = totals_of(&m.graph);
    model_close(&m);
    return t;
}

START_TEST(exact)
{
    const struct cost_row *r = &cost_rows[_i];
    const struct totals t = cost_of(r->cfg, r->set, r->size);

    ck_assert_msg(t.params == r->params, "%s %s: params %lld, not %lld", r->cfg, r->set, t.params,
                  r->params);
    ck_assert_msg(t.cost.madds == r->madds, "%s %s: madds %lld, not %lld", r->cfg, r->set,
                  (long long)t.cost.madds, r->madds);
    ck_assert_msg(t.cost.mac == r->mac, "%s %s: mac %lld, not %lld", r->cfg, r->set,
                  (long long)t.cost.mac, r->mac);
    ck_assert_msg(t.cost.bn == r->bn, "%s %s: bn %lld, not %lld", r->cfg, r->set,
                  (long long)t.cost.bn, r->bn);
    ck_assert_msg(t.activations == r->activations, "%s %s: activations %lld, not %lld", r->cfg,
                  r->set, t.activations, r->activations);
}
END_TEST

/* Parameters to the last digit, billions of multiply-adds to three digits behind the point. */
static const struct {
    const char *cfg, *set;
    long long params;
    double giga_224, giga_320;
} published[] = {
    {"backbone/vovnet27s", "", 3525736, 2.870, 5.857},
    {"backbone/vovnet39", "", 22600296, 7.766, 15.848},
    {"backbone/vovnet57", "", 36640296, 9.624, 19.639},
    {"backbone/vovnet39-code", "", 22600296, 7.072, 14.432},
    {"backbone/vovnet57-code", "", 36640296, 8.930, 18.224},
    {"backbone/vovnetv2-19-slim", "", 3166136, 1.680, 3.428},
    {"backbone/vovnetv2-19", "", 11205416, 4.122, 8.409},
    {"backbone/vovnetv2-39", "", 24568936, 7.074, 14.434},
    {"backbone/vovnetv2-57", "", 38608936, 8.932, 18.226},
    {"backbone/vovnetv2-99", "", 63199272, 16.488, 33.646},
    {"backbone/vovnetv2-39", "osa.ese=all", 26209128, 0, 0},
    {"backbone/vovnetv2-57", "osa.ese=all", 42479912, 0, 0},
    {"backbone/vovnetv2-99", "osa.ese=all", 70548520, 0, 0},
    {"backbone/densenet121", "", 7978856, 2.834, 5.783},
    {"backbone/densenet169", "", 14149480, 3.360, 6.855},
    {"backbone/densenet201", "", 20013928, 4.291, 8.756},
    {"backbone/densenet161", "", 28681000, 7.728, 15.769},
    {"backbone/resnet50", "", 25557032, 4.09, 8.34},
    {"backbone/resnet101", "", 44549160, 7.80, 15.92},
    {"backbone/resnet50", "bottleneck.stride_on=1x1", 25557032, 0, 7.87},
    {"backbone/resnet101", "bottleneck.stride_on=1x1", 44549160, 0, 15.45},
};

/* Half a unit of the last digit, which is the third or, in ResNet's rows, the second. */
static double half_digit(double figure)
{
    return fabs(figure * 100 - round(figure * 100)) < 1e-9 ? 0.00501 : 0.000501;
}

START_TEST(rounded)
{
    const double want[2] = {published[_i].giga_224, published[_i].giga_320};
    const int size[2] = {224, 320};

    for (int k = 0; k < 2; k++) {
        const struct totals t = cost_of(published[_i].cfg, published[_i].set, size[k]);

        ck_assert_int_eq(t.params, published[_i].params);
        if (want[k] > 0) {
            ck_assert_double_eq_tol((double)t.cost.madds * 1e-9, want[k], half_digit(want[k]));
        }
    }
}
END_TEST

/* Eq. 1 in millions: of the backbones without the classifier at 320, of the CIFAR nets with it. */
static const struct {
    const char *cfg;
    int size;
    bool with_fc;
    double mega, tolerance;
} access_cost[] = {
    {"backbone/vovnet27s", 320, false, 25.13, 0.005},
    {"backbone/vovnet39", 320, false, 56.64, 0.005},
    {"backbone/vovnet57", 320, false, 75.28, 0.005},
    {"backbone/resnet50", 320, false, 67.90, 0.005},
    {"backbone/resnet101", 320, false, 107.73, 0.005},
    {"backbone/densenet121", 320, false, 51.49, 0.005},
    {"backbone/densenet201", 320, false, 82.79, 0.005},
    {"backbone/densenet161", 320, false, 106.49, 0.005},
    {"cifar/densenet40", 32, true, 3.684, 0.0005},
    {"cifar/osa5x43", 32, true, 2.594, 0.0005},
    {"cifar/osa12x20", 32, true, 2.743, 0.0005},
};

START_TEST(memory_access)
{
    const struct totals t = cost_of(access_cost[_i].cfg, "", access_cost[_i].size);
    const long long mac = t.cost.mac - (access_cost[_i].with_fc ? 0 : t.fc_mac);

    ck_assert_double_eq_tol((double)mac * 1e-6, access_cost[_i].mega, access_cost[_i].tolerance);
}
END_TEST

/* Parameters of the first four stages by themselves, from the names of what they made. */
static long long params_under(const struct graph *g, const char *prefix)
{
    long long sum = 0;

    for (int i = 0; i < g->n_tensors; i++) {
        const struct tensor *t = g->tensors[i];

        if ((t->flags & T_PARAM) && strncmp(t->name, prefix, strlen(prefix)) == 0 &&
            t->kind != PARAM_MEAN && t->kind != PARAM_VAR) {
            sum += (long long)shape_count(t->shape);
        }
    }
    return sum;
}

START_TEST(stages)
{
    static const struct {
        const char *cfg;
        long long part[5];
    } want[] = {
        {"cfg/backbone/vovnet27s.cfg", {112832, 279424, 459040, 837312, 1324128}},
        {"cfg/backbone/vovnet39.cfg", {112832, 935680, 1833536, 7330560, 11362688}},
        {"cfg/backbone/vovnet57.cfg", {112832, 935680, 1833536, 15300096, 17433152}},
    };
    static const char *const prefix[5] = {"stem", "stage2/", "stage3/", "stage4/", "stage5/"};
    const struct model_options opt = {.keep_norms = true};
    struct err_list errs = {0};
    struct model m;

    ck_assert_int_eq(model_build(want[_i].cfg, &opt, &m, &errs), VOV_OK);
    for (int k = 0; k < 5; k++) {
        ck_assert_int_eq(params_under(&m.graph, prefix[k]), want[_i].part[k]);
    }
    model_close(&m);
}
END_TEST

int main(void)
{
    const int n_exact = sizeof cost_rows / sizeof cost_rows[0];
    Suite *s = suite_create("cost");
    TCase *t = tcase_create("cost");
    SRunner *r;
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, exact, 0, n_exact);
    tcase_add_loop_test(t, rounded, 0, sizeof published / sizeof published[0]);
    tcase_add_loop_test(t, memory_access, 0, sizeof access_cost / sizeof access_cost[0]);
    tcase_add_loop_test(t, stages, 0, 3);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? 0 : 1;
}
