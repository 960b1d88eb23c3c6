/*
 * test_graph.c - whole nets, planned in every way: concats without copies or with them, values kept
 * or computed again, memory used again or not. Losses, kept outputs, running statistics and
 * gradients must be the same, and (with real = double) the gradients those of finite differences.
 * All memory is NaN before each pass, and after the last use that the plan knows of.
 */
#include "nets.h"
#include "unit/places.h"

/* ---- nets that are hard to get right ---- */

/* x is read by the concat and, after it, by an add: its gradient comes from both. */
static void identity_trap(struct net *net, int seed)
{
    struct tensor *x = conv_norm(net, source(net, 3), 4, ACT_RELU);
    struct tensor *a = conv_norm(net, x, 4, ACT_RELU);
    struct tensor *y = conv(net, concat(net, x, a), 4, 1, ACT_LINEAR);
    (void)seed;
    want(net, add(net, norm(net, y, 0, ACT_RELU), x, ACT_LINEAR));
}

/* The same without norms: x is a convolution's own output with its activation fused. */
static void fused_trap(struct net *net, int seed)
{
    struct tensor *x = conv(net, source(net, 3), 4, 3, ACT_RELU);
    struct tensor *a = conv(net, x, 4, 3, ACT_LEAKY);
    struct tensor *y = conv(net, concat(net, a, x), 4, 1, ACT_RELU);
    (void)seed;
    want(net, add(net, y, x, ACT_RELU));
    want(net, x);
}

/* A concat's input that is also the input of an activation, before and after the concat. */
static void raw_and_activated(struct net *net, int seed)
{
    struct tensor *x = conv(net, source(net, 2), 3, 3, ACT_LINEAR);
    struct tensor *early = activation(net, x, ACT_RELU);
    struct tensor *both = concat(net, x, early);
    struct tensor *late = activation(net, x, ACT_SWISH);
    (void)seed;
    want(net, conv(net, both, 2, 3, ACT_LINEAR));
    want(net, conv(net, late, 2, 3, ACT_LINEAR));
}

/* One tensor in two concats, and twice in one. */
static void two_concats(struct net *net, int seed)
{
    struct tensor *x = conv_norm(net, source(net, 3), 2, ACT_RELU);
    struct tensor *a = conv_norm(net, x, 3, ACT_RELU);
    struct tensor *one = concat(net, x, a), *two = concat(net, a, x);
    struct tensor *twice = concat(net, a, a);
    (void)seed;
    want(net, conv(net, one, 2, 3, ACT_LINEAR));
    want(net, conv(net, two, 2, 3, ACT_LINEAR));
    want(net, conv(net, twice, 2, 3, ACT_LINEAR));
}

/* A concat of concats, an inner one read by others too; and a concat of one. */
static void nested_concats(struct net *net, int seed)
{
    struct tensor *a = conv_norm(net, source(net, 2), 2, ACT_RELU);
    struct tensor *b = conv(net, a, 3, 3, ACT_RELU);
    struct tensor *inner = concat(net, a, b);
    struct tensor *c = conv_norm(net, inner, 2, ACT_MISH);
    struct tensor *outer = concat(net, c, concat(net, inner, NULL));
    (void)seed;
    want(net, conv_norm(net, outer, 3, ACT_RELU));
    want(net, activation(net, inner, ACT_LOGISTIC));
}

/* A branch that learns no more inside of a concat, and one of which nothing is learned at all. */
static void frozen_branch(struct net *net, int seed)
{
    struct tensor *x = frozen(source(net, 3));
    struct tensor *a = frozen(norm(net, frozen(conv(net, x, 4, 3, ACT_LINEAR)), 0, ACT_RELU));
    struct tensor *b = conv_norm(net, x, 3, ACT_RELU);
    struct tensor *c = frozen(conv(net, b, 2, 3, ACT_RELU));
    struct tensor *all = concat(net, concat(net, a, b), c);
    (void)seed;
    want(net, conv_norm(net, all, 2, ACT_RELU));
    want(net, conv(net, a, 1, 1, ACT_LINEAR));
}

/* A concat whose whole is read by no loss, though its inputs are. */
static void concat_without_loss(struct net *net, int seed)
{
    struct tensor *a = conv_norm(net, source(net, 2), 2, ACT_RELU);
    struct tensor *b = conv(net, a, 2, 3, ACT_RELU);
    (void)seed;
    concat(net, a, b)->flags |= T_KEEP;
    conv(net, concat(net, b, a), 2, 1, ACT_LINEAR);
    want(net, b);
}

/* Residual blocks: sums of sums, each read three times. */
static void residual_chain(struct net *net, int seed)
{
    struct tensor *x = conv_norm(net, source(net, 3), 4, ACT_RELU);
    (void)seed;
    for (int i = 0; i < 9; i++) {
        struct tensor *y = conv_norm(net, conv_norm(net, x, 2, ACT_RELU), 4, ACT_LINEAR);
        x = add(net, y, x, i % 2 == 0 ? ACT_RELU : ACT_LINEAR);
        if (i == 4) {
            want(net, x);
        }
    }
    want(net, x);
}

/* Sums whose inputs must not share a gradient, and in the end one whose inputs may. */
static void gradients_of_sums(struct net *net, int seed)
{
    struct tensor *x = conv_norm(net, source(net, 3), 4, ACT_RELU);
    struct tensor *a = conv_norm(net, x, 4, ACT_RELU), *b = conv_norm(net, x, 4, ACT_LINEAR);
    (void)seed;
    want(net, conv(net, a, 2, 3, ACT_LINEAR)); /* adds to a's before b's is read */
    struct tensor *sum = add(net, b, a, ACT_RELU);
    struct tensor *c = conv_norm(net, sum, 4, ACT_LINEAR), *d = conv_norm(net, sum, 4, ACT_RELU);
    want(net, conv(net, d, 2, 1, ACT_LINEAR)); /* adds to d's */
    struct tensor *e = add(net, c, d, ACT_RELU), *f = conv_norm(net, e, 4, ACT_LINEAR);
    want(net, add(net, f, f, ACT_LINEAR));
    want(net, add(net, conv_norm(net, e, 4, ACT_LINEAR), e, ACT_RELU));
}

/* Shortcuts around concats and concats of sums. */
static void sums_and_concats(struct net *net, int seed)
{
    struct tensor *x = conv_norm(net, source(net, 3), 4, ACT_RELU);
    struct tensor *a = conv_norm(net, x, 2, ACT_RELU), *b = conv_norm(net, a, 2, ACT_RELU);
    struct tensor *sum = add(net, concat(net, a, b), x, ACT_RELU);
    struct tensor *all = concat(net, sum, add(net, a, b, ACT_LINEAR));
    (void)seed;
    want(net, add(net, gate(net, conv_norm(net, all, 4, ACT_RELU)), sum, ACT_LINEAR));
    want(net, slice(net, all, 3, 2));
}

/* One weight, three convolutions: at two sizes, and one behind the other. */
static void shared_weights(struct net *net, int seed)
{
    struct tensor *x = conv_norm(net, source(net, 3), 4, ACT_RELU);
    struct tensor *a = conv(net, x, 4, 3, ACT_RELU), *b, *c;
    struct tensor *small = pool(net, x, &op_maxpool, 2, 2);
    (void)seed;
    net->m.graph.share = a->producer;
    b = conv(net, a, 4, 3, ACT_RELU);
    net->m.graph.share = a->producer;
    c = conv(net, small, 4, 3, ACT_RELU);
    ck_assert(b->producer->param[0] == a->producer->param[0]);
    ck_assert(net->m.graph.share == NULL);
    want(net, b);
    want(net, c);
}

/* Slices that overlap, of a concat and of a slice; dropout between. */
static void slices(struct net *net, int seed)
{
    struct tensor *x = conv_norm(net, source(net, 3), 6, ACT_RELU);
    struct tensor *a = slice(net, x, 0, 4), *b = slice(net, x, 2, 4);
    struct tensor *all = concat(net, dropout(net, a), slice(net, b, 1, 2));
    (void)seed;
    want(net, conv(net, all, 3, 3, ACT_RELU));
    want(net, conv(net, b, 2, 1, ACT_LINEAR));
    want(net, down_and_up(net, pool(net, slice(net, all, 1, 5), &op_maxpool, 3, 1)));
}

/* Cheap operations one behind the other, all of which could be computed again. */
static void cheap_chain(struct net *net, int seed)
{
    struct tensor *x = conv(net, source(net, 3), 4, 3, ACT_LINEAR);
    struct tensor *y = norm(net, x, 0, ACT_RELU);
    (void)seed;
    for (int i = 0; i < 6; i++) {
        y = activation(net, norm(net, y, i % 2 == 0 ? 2 : 0, ACT_LINEAR), smooth[1 + i % 3]);
        y = i % 3 == 2 ? dropout(net, add(net, y, x, ACT_RELU)) : y;
    }
    want(net, conv(net, concat(net, y, gate(net, y)), 2, 3, ACT_LINEAR));
}

#define TAIL "[global_avgpool]\n[connected]\noutput=3\nactivation=linear\n[softmax]\n"
static const struct recipe recipes[] = {
    {"identity trap", identity_trap, NULL, 0},
    {"fused trap", fused_trap, NULL, 0},
    {"raw and activated", raw_and_activated, NULL, 0},
    {"two concats", two_concats, NULL, 0},
    {"nested concats", nested_concats, NULL, 0},
    {"frozen branch", frozen_branch, NULL, 0},
    {"concat without loss", concat_without_loss, NULL, 0},
    {"residual chain", residual_chain, NULL, 0},
    {"gradients of sums", gradients_of_sums, NULL, 0},
    {"sums and concats", sums_and_concats, NULL, 0},
    {"shared weights", shared_weights, NULL, 0},
    {"slices", slices, NULL, 0},
    {"cheap chain", cheap_chain, NULL, 0},
    {"osa", NULL,
     "[stem]\nchannels=3,4\nstrides=2,1\n"
     "[osa]\nlayers=3\nwidth=3\nout=4\nrepeat=2\nidentity=all\nese=last\n"
     "[osa]\nlayers=2\nwidth=2\nout=6\nbottleneck=1\n" TAIL,
     0},
    {"dense", NULL,
     "[stem]\nchannels=4\nstrides=2\n"
     "[dense]\nlayers=4\ngrowth=2\n[transition]\n"
     "[dense]\nlayers=3\ngrowth=3\nbottleneck=0\n[batchnorm]\nactivation=relu\n" TAIL,
     0},
    {"resnet", NULL,
     "[stem]\nchannels=4\nstrides=2\n"
     "[bottleneck]\nwidth=2\nrepeat=3\n[bottleneck]\nwidth=3\nrepeat=3\nstride=2\n" TAIL,
     0},
    {"darknet", NULL,
     "[conv]\nname=a\nfilters=4\nsize=3\npad=1\nstride=2\nbatch_normalize=1\nactivation=leaky\n"
     "[conv]\nname=b\nfilters=4\nsize=3\npad=1\nbatch_normalize=1\nactivation=mish\n"
     "[shortcut]\nfrom=a\nname=s\nactivation=relu\n"
     "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n"
     "[conv]\nfilters=2\nsize=3\npad=1\nnorm=group\nactivation=swish\n"
     "[route]\nfrom=s,b,a\n"
     "[maxpool]\nsize=2\nstride=2\n[conv]\nfilters=3\nactivation=linear\n[upsample]\n"
     "[route]\nlayers=-1,-4\n[dropout]\nprobability=0.2\n" TAIL,
     0},
};
enum { N_RECIPES = sizeof recipes / sizeof recipes[0], N_RANDOM = 150, N_GROUPS = 15 };

static struct recipe recipe_at(int i)
{
    return i < N_RECIPES ? recipes[i] : (struct recipe){"random", random_net, NULL, i};
}

/* ---- running them in all ways ---- */

/* The first is the plain one. */
static const struct {
    const char *name;
    struct plan_options opt;
} ways[] = {
    {"all kept, all copied, no memory used again", {.again = false, .reuse = false, .copy = true}},
    {"slices", {.again = false, .reuse = false, .copy = false}},
    {"slices, memory used again", {.again = false, .reuse = true, .copy = false}},
    {"slices, memory used again, values computed again",
     {.again = true, .reuse = true, .copy = false}},
    {"slices, values computed again", {.again = true, .reuse = false, .copy = false}},
    {"copies, values computed again", {.again = true, .reuse = true, .copy = true}},
};
enum { N_WAYS = sizeof ways / sizeof ways[0] };

struct place {
    const char *net, *way;
    int seed, batch;
};

static void poison_all(struct net *net)
{
    const struct exec *e = &net->m.exec;
    e->be->ops->block_fill(e->be, e->plan.arena_bytes / sizeof(real), e->arena, (real)NAN);
    e->be->ops->block_fill(e->be, e->plan.scratch_bytes / sizeof(real), e->scratch, (real)NAN);
}

/* Forward in order, backward in the reverse one, and nothing computed again but what is not kept,
 * and that once. */
static void check_steps(const struct place *at, const struct net *net, bool again)
{
    const struct graph *g = &net->m.graph;
    const struct plan *p = &net->m.exec.plan;
    int *times = calloc((size_t)g->n_nodes + 1, sizeof *times), last = g->n_nodes;
    for (int i = 0; i < p->n_steps; i++) {
        const struct step *s = &p->steps[i];
        const bool forward = i < g->n_nodes;
        ck_assert_int_eq(forward, s->what == STEP_FORWARD);
        if (forward) {
            ck_assert_int_eq(s->node, i);
        } else if (s->what == STEP_BACKWARD) {
            ck_assert_int_lt(s->node, last);
            last = s->node;
        } else {
            const struct tensor *y = g->nodes[s->node]->out[0];
            ck_assert_msg(again && times[s->node]++ == 0 && y->root->again > 0,
                          "%s %d, %s: %s is computed again", at->net, at->seed, at->way, y->name);
        }
    }
    free(times);
}

/* Two steps, so that the second finds what the first left. */
static void run(struct net *net)
{
    struct err err = {0};
    for (int i = 0; i < 2; i++) {
        poison_all(net);
        net_forward(net);
        if (net->m.graph.training) {
            const struct params *p = &net->m.exec.params;
            p->be->ops->block_fill(p->be, p->count, p->grad, 0);
            ck_assert_msg(exec_backward(&net->m.exec, NET_KEY, &err) == VOV_OK, "%s", err.msg);
        }
    }
}

/* Equal to the last bit, or nearly. */
static void same(const struct place *at, const char *what, const real *want, const real *got,
                 size_t n, bool bits)
{
    const double part = sizeof(real) == sizeof(double) ? 1e-11 : 2e-4;
    double diff = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        diff = fmax(diff, fabs((double)want[i] - (double)got[i]));
        diff = isfinite((double)got[i]) ? diff : HUGE_VAL;
        size = fmax(size, fabs((double)want[i]));
    }
    if (bits ? memcmp(want, got, n * sizeof *want) != 0 : !(diff <= part * size + part * 1e-3)) {
        ck_abort_msg("%s %d, batch %d, %s: %s differs by %g of %g", at->net, at->seed, at->batch,
                     at->way, what, diff, size);
    }
}

static void same_kept(const struct place *at, const struct net *a, const struct net *b, bool bits)
{
    for (int i = 0; i < a->m.graph.n_tensors; i++) {
        const struct tensor *t = a->m.graph.tensors[i], *u = b->m.graph.tensors[i];
        if ((t->flags & T_KEEP) != 0) {
            const size_t n = shape_count(t->shape);
            real *v = calloc(2 * n, sizeof *v);
            exec_get(&a->m.exec, t, v);
            exec_get(&b->m.exec, u, v + n);
            same(at, t->name, v, v + n, n, bits);
            free(v);
        }
    }
}

/* The order in which a tensor's gradients are summed depends on the slices; nothing else does. */
static void compare(const struct place *at, const struct net *a, const struct net *b, bool bits)
{
    const struct params *p = &a->m.exec.params, *q = &b->m.exec.params;
    ck_assert_int_eq(p->n, q->n);
    same_kept(at, a, b, true);
    for (int i = 0; i < p->n; i++) {
        const struct tensor *t = p->tensor[i];
        const size_t n = shape_count(t->shape);
        real *v = calloc(2 * n, sizeof *v);
        params_get(p, p->val, t, v);
        params_get(q, q->val, q->tensor[i], v + n);
        same(at, t->name, v, v + n, n, true);
        if (p->grad != NULL && param_learns(t)) {
            params_get(p, p->grad, t, v);
            params_get(q, q->grad, q->tensor[i], v + n);
            same(at, t->name, v, v + n, n, bits);
        }
        free(v);
    }
}

static void run_all_ways(const struct recipe *r, int batch, bool training)
{
    const struct model_options how = {.training = training, .keep_norms = true};
    struct backend *be;
    struct err err = {0};
    struct net net[N_WAYS];
    ck_assert(backend_open(NULL, 1, &be, &err) == VOV_OK);
    for (int i = 0; i < N_WAYS; i++) {
        const struct place at = {r->name, ways[i].name, r->seed, batch};
        net_build(r, batch, &how, &net[i]);
        net_open(&net[i], be, &ways[i].opt);
        run(&net[i]);
        check_steps(&at, &net[i], ways[i].opt.again);
        check_places(&net[i].m.exec.plan, r->name);
        compare(&at, &net[0], &net[i], false);
        if (i > 0) {
            const bool copies = ways[i].opt.copy;
            compare(&at, &net[copies ? 0 : 1], &net[i], true);
        }
    }
    for (int i = 0; i < N_WAYS; i++) {
        model_close(&net[i].m);
    }
    backend_close(be);
}

/* Each N_GROUPS-th net from the _i-th on. */
START_TEST(all_plans_train_alike)
{
    setenv("VOV_POISON", "1", 1);
    for (int i = _i; i < N_RECIPES + N_RANDOM; i += N_GROUPS) {
        const struct recipe r = recipe_at(i);
        for (int batch = 1; batch <= 3; batch++) {
            run_all_ways(&r, batch, true);
        }
    }
}
END_TEST

START_TEST(all_plans_infer_alike)
{
    setenv("VOV_POISON", "1", 1);
    for (int i = _i; i < N_RECIPES + N_RANDOM; i += N_GROUPS) {
        const struct recipe r = recipe_at(i);
        for (int batch = 1; batch <= 3; batch++) {
            run_all_ways(&r, batch, false);
        }
    }
}
END_TEST

/* ---- gradients against finite differences ---- */

/* The loss with the numbers of t at old + step * direction. */
static double loss_at(struct net *net, const struct tensor *t, const real *old, double step)
{
    const size_t n = shape_count(t->shape);
    const struct params *p = &net->m.exec.params;
    struct rng r = rng_of_name("direction");
    real *v = calloc(n, sizeof *v);
    for (size_t k = 0; k < n; k++) {
        v[k] = (real)((double)old[k] + step * rng_normal(&r));
    }
    params_set(p, p->val, t, v);
    free(v);
    net_forward(net);
    return net_loss(net);
}

/* In single precision only that the gradient is finite. */
static void check_slope(const struct place *at, struct net *net, const struct tensor *t)
{
    const size_t n = shape_count(t->shape);
    const double step = 1e-6;
    const struct params *p = &net->m.exec.params;
    struct rng r = rng_of_name("direction");
    double got = 0, size = 0, slope;
    real *old = calloc(n, sizeof *old), *grad = calloc(n, sizeof *grad);
    params_get(p, p->val, t, old);
    params_get(p, p->grad, t, grad);
    for (size_t k = 0; k < n; k++) {
        got += (double)grad[k] * rng_normal(&r);
        size += fabs((double)grad[k]);
    }
    ck_assert_msg(isfinite(size), "%s %d: %s", at->net, at->seed, t->name);
    if (sizeof(real) == sizeof(double)) {
        slope = loss_at(net, t, old, step);
        slope = (slope - loss_at(net, t, old, -step)) / (2 * step);
        ck_assert_msg(fabs(got - slope) <= 1e-6 * (size + 1),
                      "%s %d, batch %d: the gradient of %s says %.10g, differences %.10g", at->net,
                      at->seed, at->batch, t->name, got, slope);
        params_set(p, p->val, t, old);
    }
    free(old);
    free(grad);
}

static void check_slopes(const struct recipe *r, int batch)
{
    const struct model_options how = {.training = true};
    const struct plan_options opt = {.again = true, .reuse = true};
    const struct place at = {r->name, "", r->seed, batch};
    struct backend *be;
    struct err err = {0};
    struct net net;
    ck_assert(backend_open(NULL, 1, &be, &err) == VOV_OK);
    net_build(r, at.batch, &how, &net);
    net_open(&net, be, &opt);
    run(&net);
    for (int i = 0; i < net.m.exec.params.n; i++) {
        if (param_learns(net.m.exec.params.tensor[i])) {
            check_slope(&at, &net, net.m.exec.params.tensor[i]);
        }
    }
    model_close(&net.m);
    backend_close(be);
}

START_TEST(gradients_are_slopes)
{
    setenv("VOV_POISON", "1", 1);
    for (int i = _i; i < N_RECIPES + N_RANDOM; i += N_GROUPS) {
        const struct recipe r = recipe_at(i);
        check_slopes(&r, 1 + i % 3);
    }
}
END_TEST

START_TEST(sums_share_a_gradient)
{
    const struct recipe r = {"gradients of sums", gradients_of_sums, NULL, 0};
    const struct model_options how = {.training = true};
    struct net net;
    int shared = 0;
    net_build(&r, 2, &how, &net);
    graph_alias(&net.m.graph);
    ck_assert(graph_grad_modes(&net.m.graph) == VOV_OK);
    for (int i = 0; i < net.m.graph.n_tensors; i++) {
        shared += net.m.graph.tensors[i]->grad_of != NULL;
    }
    ck_assert_int_eq(shared, 1);
    model_close(&net.m);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("graph");
    Suite *suite = suite_create("graph");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, all_plans_train_alike, 0, N_GROUPS);
    tcase_add_loop_test(tests, all_plans_infer_alike, 0, N_GROUPS);
    tcase_add_loop_test(tests, gradients_are_slopes, 0, N_GROUPS);
    tcase_add_test(tests, sums_share_a_gradient);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
