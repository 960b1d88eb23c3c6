/*
 * test_fold.c - for inference, norms and activations become part of the operation before them: the
 * outputs are those of the net as it was written, to 1e-5, whatever the running statistics are.
 */
#include "nets.h"

/* ---- nets by hand: behind each the number of nodes that must be left ---- */

/* op_conv or op_deconv, 3x3 to six channels. */
static struct tensor *six(struct net *net, const struct op_type *type, struct tensor *x, int groups,
                          bool bias)
{
    const struct conv_attr a = {
        .d = {.kh = 3, .kw = 3, .stride = 1, .pad = 1, .dilation = 1, .groups = groups},
        .out_c = 6,
        .bias = bias};
    return put(net, type, &a, &x, 1);
}

static struct tensor *grouped(struct net *net, struct tensor *x, int groups, bool bias)
{
    return six(net, &op_conv, x, groups, bias);
}

static struct tensor *deconv(struct net *net, struct tensor *x, int groups, bool bias)
{
    return six(net, &op_deconv, x, groups, bias);
}

/* Convolution, norm, each of the activations: one node, its output and no other is kept. */
static void each_activation(struct net *net, int seed)
{
    struct tensor *x = input(net, 6);
    const bool bias = seed % 2 != 0;
    for (int act = 0; act < ACT_COUNT; act++) {
        struct tensor *y =
            act % 2 != 0 ? grouped(net, x, 1 + seed % 3, bias) : deconv(net, x, 1 + seed % 3, bias);
        y = norm(net, y, 0, seed < 3 ? (enum act)act : ACT_LINEAR);
        y = seed < 3 ? y : activation(net, y, (enum act)act);
        y->flags |= T_KEEP;
    }
}

/* Into slices of one buffer: only the concat is left beside the convolutions. */
static void into_a_concat(struct net *net, int seed)
{
    struct tensor *x = conv_norm(net, input(net, 3), 4, ACT_RELU);
    struct tensor *a = activation(net, conv_norm(net, x, 3, ACT_LINEAR), ACT_MISH);
    struct tensor *b = norm(net, grouped(net, concat(net, x, a), 1, true), 0, ACT_LEAKY);
    (void)seed;
    concat(net, concat(net, b, a), x)->flags |= T_KEEP;
}

/* What must stay: a norm of something read twice, or kept, a second norm, a second activation, a
 * norm over groups, a norm behind an activation. */
static void what_stays(struct net *net, int seed)
{
    struct tensor *x = grouped(net, input(net, 4), 1, false);
    struct tensor *a = norm(net, x, 0, ACT_RELU), *b = activation(net, x, ACT_SWISH);
    struct tensor *kept = grouped(net, a, 1, false), *y;
    (void)seed;
    kept->flags |= T_KEEP;
    y = norm(net, norm(net, grouped(net, norm(net, kept, 0, ACT_RELU), 1, false), 0, ACT_LINEAR), 0,
             ACT_LINEAR);
    y = activation(net, norm(net, grouped(net, y, 1, true), 0, ACT_RELU), ACT_LOGISTIC);
    y = norm(net, grouped(net, add(net, y, b, ACT_LINEAR), 1, true), 3, ACT_RELU);
    norm(net, conv(net, y, 2, 3, ACT_RELU), 0, ACT_LINEAR)->flags |= T_KEEP;
}

/* Activations behind sums and connected layers, one convolution for two slices. */
static void other_ops(struct net *net, int seed)
{
    const struct connected_attr a = {.out_c = 4, .bias = true};
    struct tensor *x = conv_norm(net, input(net, 3), 4, ACT_LEAKY), *y;
    (void)seed;
    y = activation(net, add(net, slice(net, x, 0, 2), slice(net, x, 2, 2), ACT_LINEAR), ACT_RELU6);
    y = put(net, &op_connected, &a, &y, 1);
    activation(net, y, ACT_HSIGMOID)->flags |= T_KEEP;
}

/* Norms with each activation before a 1x1 convolution; and what stays: one before a larger window,
 * one that two read, one that is kept, one over groups. */
static void before_convolutions(struct net *net, int seed)
{
    struct tensor *x = conv(net, input(net, 6), 20, 3, ACT_LINEAR), *y;
    (void)seed;
    for (int act = 0; act < ACT_COUNT; act++) {
        y = conv(net, norm(net, x, 0, (enum act)act), 7, 1, ACT_RELU);
        y->flags |= T_KEEP;
    }
    conv(net, norm(net, x, 0, ACT_RELU), 2, 3, ACT_LINEAR)->flags |= T_KEEP;
    y = norm(net, x, 0, ACT_RELU);
    conv(net, y, 2, 1, ACT_LINEAR)->flags |= T_KEEP;
    conv(net, y, 3, 1, ACT_LINEAR)->flags |= T_KEEP;
    y = norm(net, x, 0, ACT_RELU);
    y->flags |= T_KEEP;
    conv(net, y, 3, 1, ACT_LINEAR)->flags |= T_KEEP;
    conv(net, norm(net, x, 4, ACT_RELU), 3, 1, ACT_LINEAR)->flags |= T_KEEP;
}

/* Sums behind convolutions. What stays: one behind an activation, one of something that is kept or
 * comes from a deconvolution, a norm behind a sum. Of two convolutions the later one takes it. */
static void sums(struct net *net, int seed)
{
    struct tensor *x = conv_norm(net, input(net, 4), 6, ACT_RELU), *y, *a;
    (void)seed;
    y = add(net, conv_norm(net, x, 6, ACT_LINEAR), x, ACT_RELU);
    y = activation(net, add(net, y, conv(net, y, 6, 1, ACT_LINEAR), ACT_LINEAR), ACT_LEAKY);
    y = add(net, x, conv_norm(net, y, 6, ACT_RELU), ACT_LINEAR);
    a = conv_norm(net, y, 6, ACT_LINEAR);
    y = add(net, a, grouped(net, y, 2, true), ACT_RELU);
    y = norm(net, add(net, conv(net, y, 6, 3, ACT_LINEAR), y, ACT_LINEAR), 0, ACT_RELU);
    a = conv(net, y, 6, 3, ACT_LINEAR);
    a->flags |= T_KEEP;
    y = add(net, add(net, a, y, ACT_LINEAR), deconv(net, y, 1, true), ACT_LINEAR);
    y = add(net, conv(net, y, 6, 1, ACT_LINEAR), y, ACT_MISH);
    concat(net, y, x)->flags |= T_KEEP;
}

static const struct {
    struct recipe r;
    int nodes;
} recipes[] = {
    {{"each activation", each_activation, NULL, 0}, ACT_COUNT},
    {{"each activation", each_activation, NULL, 1}, ACT_COUNT},
    {{"each activation", each_activation, NULL, 2}, ACT_COUNT},
    {{"each activation", each_activation, NULL, 3}, ACT_COUNT},
    {{"each activation", each_activation, NULL, 4}, ACT_COUNT},
    {{"each activation", each_activation, NULL, 5}, ACT_COUNT},
    {{"into a concat", into_a_concat, NULL, 0}, 6},
    {{"what stays", what_stays, NULL, 0}, 14},
    {{"other ops", other_ops, NULL, 0}, 5},
    {{"sums", sums, NULL, 0}, 15},
    {{"before convolutions", before_convolutions, NULL, 0}, ACT_COUNT + 10},
};
enum { N_RANDOM = 200, N_GROUPS = 10 };

/* ---- comparing ---- */

/* Both nets keep the same tensors, in the same order. */
static const struct tensor *next_kept(const struct net *net, int *i)
{
    while (*i < net->m.graph.n_tensors) {
        const struct tensor *t = net->m.graph.tensors[(*i)++];
        if ((t->flags & T_KEEP) != 0) {
            return t;
        }
    }
    return NULL;
}

static void compare(const char *name, int seed, const struct tensor *t, const real *v, size_t n)
{
    double diff = 0, size = 0;
    for (size_t k = 0; k < n; k++) {
        diff = fmax(diff, fabs((double)v[k] - (double)v[n + k]));
        diff = isfinite((double)v[n + k]) ? diff : HUGE_VAL;
        size = fmax(size, fabs((double)v[k]));
    }
    ck_assert_msg(diff <= 1e-5 * fmax(size, 1e-3), "%s %d: %s differs by %g of %g", name, seed,
                  t->name, diff, size);
}

static void compare_kept(const char *name, int seed, const struct net *a, const struct net *b)
{
    int i = 0, j = 0, n_kept = 0;
    for (const struct tensor *t = next_kept(a, &i); t != NULL; t = next_kept(a, &i)) {
        const size_t n = shape_count(t->shape);
        real *v = calloc(2 * n, sizeof *v);
        exec_get(&a->m.exec, t, v);
        exec_get(&b->m.exec, next_kept(b, &j), v + n);
        compare(name, seed, t, v, n);
        free(v);
        n_kept++;
    }
    ck_assert_int_gt(n_kept, 0);
}

/* The net as it is written, and folded; the number of nodes that are left. */
static int check(const struct recipe *r, int batch, const char *device)
{
    const struct model_options as_written = {.keep_norms = true}, folded = {0};
    const struct plan_options opt = {.reuse = true};
    struct backend *be;
    struct err err = {0};
    struct net a, b;
    ck_assert(backend_open(device, 2, &be, &err) == VOV_OK);
    net_build(r, batch, &as_written, &a);
    net_build(r, batch, &folded, &b);
    net_open(&a, be, &opt);
    net_open(&b, be, &opt);
    net_forward(&a);
    net_forward(&b);
    compare_kept(r->name, r->seed, &a, &b);
    const int left = b.m.graph.n_nodes;
    model_close(&a.m);
    model_close(&b.m);
    backend_close(be);
    return left;
}

START_TEST(by_hand)
{
    setenv("VOV_POISON", "1", 1);
    ck_assert_int_eq(check(&recipes[_i].r, 2, "cpu"), recipes[_i].nodes);
    ck_assert_int_eq(check(&recipes[_i].r, 2, "plain"), recipes[_i].nodes);
}
END_TEST

START_TEST(at_random)
{
    setenv("VOV_POISON", "1", 1);
    for (int i = _i; i < N_RANDOM; i += N_GROUPS) {
        const struct recipe r = {"random", random_net, NULL, i};
        check(&r, 1 + i % 3, NULL);
    }
}
END_TEST

/* ---- cfg files; the size of the input where a smaller one will do ---- */

static const struct {
    const char *cfg;
    int size, norms_left;
} files[] = {
    {"cfg/backbone/vovnet27s.cfg", 64, 0},   {"cfg/backbone/vovnetv2-19-slim.cfg", 64, 0},
    {"cfg/backbone/densenet121.cfg", 64, 1}, {"cfg/backbone/resnet50.cfg", 64, 0},
    {"cfg/cifar/densenet40.cfg", 0, 37},     {"cfg/cifar/osa12x20.cfg", 0, 0},
    {"cfg/cifar/osa5x43.cfg", 0, 0},         {"cfg/detect/bccd.cfg", 0, 0},
    {"cfg/detect/pelee304.cfg", 0, 0},       {"cfg/detect/ssd300-mobilenet.cfg", 0, 0},
};

static void open_file(int i, bool keep_norms, struct backend *be, struct net *net)
{
    const struct model_options how = {
        .keep_norms = keep_norms, .batch = 1, .width = files[i].size, .height = files[i].size};
    struct err_list errs = {0};
    struct err err = {0};
    *net = (struct net){0};
    ck_assert_msg(model_build(files[i].cfg, &how, &net->m, &errs) == VOV_OK, "%s",
                  errs.item[0].msg);
    const struct plan_options opt = {.reuse = true};
    ck_assert_msg(exec_open(&net->m.graph, be, &opt, &net->m.exec, &err) == VOV_OK, "%s", err.msg);
    net->m.started = true;
}

START_TEST(cfg_files)
{
    struct backend *be;
    struct err err = {0};
    struct net a, b;
    int norms = 0;
    ck_assert(backend_open(NULL, 2, &be, &err) == VOV_OK);
    open_file(_i, true, be, &a);
    open_file(_i, false, be, &b);
    fill_params(&a.m.exec.params);
    ck_assert_msg(params_copy(&b.m.exec.params, &a.m.exec.params, &err) == VOV_OK, "%s", err.msg);
    ck_assert(fold_weights(&b.m.graph, &b.m.exec.params) == VOV_OK);
    net_forward(&a);
    net_forward(&b);
    compare_kept(files[_i].cfg, 0, &a, &b);
    for (int i = 0; i < b.m.graph.n_nodes; i++) {
        norms += b.m.graph.nodes[i]->type == &op_norm;
    }
    ck_assert_int_eq(norms, files[_i].norms_left);
    model_close(&a.m);
    model_close(&b.m);
    backend_close(be);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("fold");
    Suite *suite = suite_create("fold");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, by_hand, 0, (int)(sizeof recipes / sizeof recipes[0]));
    tcase_add_loop_test(tests, at_random, 0, N_GROUPS);
    tcase_add_loop_test(tests, cfg_files, 0, (int)(sizeof files / sizeof files[0]));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
