/*
 * nets.h - small nets for tests of the graph: put together by hand, from a cfg's text, or at
 * random; filled with random numbers that depend on names only, and run in the ways that a plan
 * allows. Tensors are 4x4 pixels unless they say otherwise.
 */
#ifndef VOV_TEST_NETS_H
#define VOV_TEST_NETS_H

#include "model/model.h"
#include "ops/probe.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NET_MAX_TENSORS = 64, NET_SIDE = 4, NET_KEY = 5 };

struct net {
    struct model m; /* its graph; and its cfg where it is made of one */
    int batch;
    struct tensor *t[NET_MAX_TENSORS]; /* what a random net may read */
    int n_t;
};

/* How a net is made: build() by hand, or the sections of a cfg behind a [net] of 16x16. */
struct recipe {
    const char *name;
    void (*build)(struct net *net, int seed);
    const char *sections;
    int seed;
};

/* ---- putting nets together ---- */

static inline struct tensor *put(struct net *net, const struct op_type *type, const void *attr,
                                 struct tensor *const *in, int n_in)
{
    struct tensor *out[OP_MAX_OUT] = {NULL};
    struct err err = {0};
    ck_assert_msg(graph_add(&net->m.graph, type, type->name, attr, in, n_in, out, &err) == VOV_OK,
                  "%s", err.msg);
    return out[0];
}

static inline struct tensor *source(struct net *net, int c)
{
    struct tensor *x = NULL;
    struct err err = {0};
    const struct shape s = {net->batch, c, NET_SIDE, NET_SIDE};
    ck_assert_msg(add_source(&net->m.graph, "source", s, &x, &err) == VOV_OK, "%s", err.msg);
    return x;
}

/* What the caller fills: no gradient goes there. */
static inline struct tensor *input(struct net *net, int c)
{
    const struct shape s = {net->batch, c, NET_SIDE, NET_SIDE};
    struct tensor *x = graph_input(&net->m.graph, "x", s);
    ck_assert_ptr_nonnull(x);
    return x;
}

/* k x k at the same size, with a bias where nothing but it follows. */
static inline struct tensor *conv(struct net *net, struct tensor *x, int c, int k, enum act act)
{
    const struct conv_attr a = {
        .d = {.kh = k, .kw = k, .stride = 1, .pad = k / 2, .dilation = 1, .groups = 1},
        .out_c = c,
        .bias = act != ACT_LINEAR,
        .act = act};
    return put(net, &op_conv, &a, &x, 1);
}

static inline struct tensor *norm(struct net *net, struct tensor *x, int groups, enum act act)
{
    const struct norm_attr a = {.groups = groups, .eps = 1e-3, .momentum = 0.9, .act = act};
    return put(net, &op_norm, &a, &x, 1);
}

static inline struct tensor *activation(struct net *net, struct tensor *x, enum act act)
{
    return put(net, &op_activation, &(struct act_attr){act}, &x, 1);
}

static inline struct tensor *conv_norm(struct net *net, struct tensor *x, int c, enum act act)
{
    return norm(net, conv(net, x, c, 3, ACT_LINEAR), 0, act);
}

static inline struct tensor *add(struct net *net, struct tensor *a, struct tensor *b, enum act act)
{
    struct tensor *in[2] = {a, b};
    return put(net, &op_add, &(struct act_attr){act}, in, 2);
}

static inline struct tensor *concat(struct net *net, struct tensor *a, struct tensor *b)
{
    struct tensor *in[2] = {a, b};
    return put(net, &op_concat, NULL, in, b != NULL ? 2 : 1);
}

static inline struct tensor *slice(struct net *net, struct tensor *x, int first, int c)
{
    return put(net, &op_slice, &(struct slice_attr){first, c}, &x, 1);
}

/* A gate as in squeeze-and-excitation. */
static inline struct tensor *gate(struct net *net, struct tensor *x)
{
    struct tensor *in[2] = {x, put(net, &op_global_avgpool, NULL, &x, 1)};
    in[1] = conv(net, in[1], x->shape.c, 1, ACT_LOGISTIC);
    return put(net, &op_mul_channel, NULL, in, 2);
}

static inline struct tensor *pool(struct net *net, struct tensor *x, const struct op_type *type,
                                  int size, int stride)
{
    const int pad = stride == 1 ? size / 2 : 0;
    return put(net, type, &(struct pool_attr){{size, stride, pad}, 2 * pad, false}, &x, 1);
}

static inline struct tensor *down_and_up(struct net *net, struct tensor *x)
{
    x = pool(net, x, &op_avgpool, 2, 2);
    return put(net, &op_resize, &(struct resize_attr){.scale = 2}, &x, 1);
}

static inline struct tensor *dropout(struct net *net, struct tensor *x)
{
    return put(net, &op_dropout, &(struct dropout_attr){0.3}, &x, 1);
}

/* The parameters of x's producer learn no more. */
static inline struct tensor *frozen(struct tensor *x)
{
    for (int i = 0; x->producer != NULL && i < x->producer->n_param; i++) {
        x->producer->param[i]->frozen = true;
    }
    return x;
}

/* What the net is for: a loss of x, in inference x itself. */
static inline void want(struct net *net, struct tensor *x)
{
    struct err err = {0};
    if (net->m.graph.training) {
        ck_assert_msg(add_probe(&net->m.graph, x, &err) == VOV_OK, "%s", err.msg);
    } else {
        activation(net, x, ACT_LINEAR)->flags |= T_KEEP;
    }
}

/* ---- at random ---- */

static const enum act smooth[] = {ACT_LINEAR, ACT_LOGISTIC, ACT_MISH, ACT_SWISH};

static inline struct tensor *any(struct net *net, struct rng *r)
{
    /* Mostly a late one, so that nets are deep. */
    const int back =
        rng_int(r, 3) > 0 ? rng_int(r, net->n_t < 4 ? net->n_t : 4) : rng_int(r, net->n_t);
    return net->t[net->n_t - 1 - back];
}

static inline struct tensor *any_of(struct net *net, struct rng *r, int c)
{
    struct tensor *x = any(net, r);
    for (int i = 0; i < 8 && x->shape.c != c; i++) {
        x = any(net, r);
    }
    return x->shape.c == c ? x : conv(net, x, c, 1, ACT_LINEAR);
}

static inline struct tensor *random_concat(struct net *net, struct rng *r)
{
    struct tensor *in[4];
    const int n = 1 + rng_int(r, 4);
    int c = 0;
    for (int i = 0; i < n; i++) {
        in[i] = any(net, r);
        c += in[i]->shape.c;
    }
    return c <= 16 ? put(net, &op_concat, NULL, in, n) : conv(net, in[0], 2, 1, ACT_LINEAR);
}

static inline struct tensor *random_node(struct net *net, struct rng *r)
{
    const enum act act = smooth[rng_int(r, 4)], fused = smooth[rng_int(r, 2)];
    struct tensor *x = any(net, r);
    switch (rng_int(r, 12)) {
    case 0:
    case 1:
        return conv(net, x, 1 + rng_int(r, 4), 1 + 2 * rng_int(r, 2), fused);
    case 2:
    case 3:
        return norm(net, x, rng_int(r, 3) == 0 ? x->shape.c : 0, act);
    case 4:
        return activation(net, x, act);
    case 5:
        return add(net, x, any_of(net, r, x->shape.c), fused);
    case 6:
        return slice(net, x, rng_int(r, x->shape.c), 1);
    case 7:
        return gate(net, x);
    case 8:
        return down_and_up(net, x);
    case 9:
        return dropout(net, x);
    default:
        return random_concat(net, r);
    }
}

static inline void random_net(struct net *net, int seed)
{
    struct rng r = rng_open(7, RNG_TEST, (uint64_t)seed, 0);
    const int n = 4 + rng_int(&r, 24);
    for (int i = 0; i < n; i++) {
        struct tensor *x = i == 0   ? input(net, 1 + rng_int(&r, 6))
                           : i == 1 ? source(net, 1 + rng_int(&r, 4))
                                    : random_node(net, &r);
        if (rng_int(&r, 8) == 0) {
            frozen(x);
        }
        net->t[net->n_t++] = x;
    }
    for (int i = 0; i < n; i++) {
        if (i == n - 1 || rng_int(&r, 8) == 0) {
            want(net, net->t[i]);
        }
    }
    if (rng_int(&r, 3) == 0) {
        net->t[n / 2]->flags |= T_KEEP;
    }
}

/* ---- building, filling, running ---- */

static inline void net_from_text(const struct recipe *r, int batch, const struct model_options *how,
                                 struct net *net)
{
    struct model_options opt = *how;
    struct err_list errs = {0};
    char text[1500];
    snprintf(text, sizeof text, "[net]\nwidth=16\nheight=16\n%s", r->sections);
    opt.batch = batch;
    ck_assert_msg(model_build_text(r->name, text, strlen(text), &opt, &net->m, &errs) == VOV_OK,
                  "%s: %s", r->name, errs.item[0].msg);
}

static inline void net_build(const struct recipe *r, int batch, const struct model_options *how,
                             struct net *net)
{
    struct err err = {0};
    *net = (struct net){.batch = batch};
    if (r->sections != NULL) {
        net_from_text(r, batch, how, net);
        return;
    }
    graph_init(&net->m.graph, how->training);
    r->build(net, r->seed);
    if (!how->training && !how->keep_norms) {
        ck_assert(graph_fold_norms(&net->m.graph, &err) == VOV_OK);
    }
}

static inline struct rng rng_of_name(const char *name)
{
    uint64_t key = 1;
    for (; *name != '\0'; name++) {
        key = key * 131 + (unsigned char)*name;
    }
    return rng_open(5, RNG_TEST, key, 0);
}

/* A number of a parameter that keeps the net's values near 1. */
static inline real param_number(const struct tensor *t, double v)
{
    const bool value = t->shape.h == NET_SIDE; /* a source's */
    switch (t->kind) {
    case PARAM_VAR:
        return (real)(0.5 + v * v);
    case PARAM_GAMMA:
        return (real)(1 + 0.3 * v);
    case PARAM_WEIGHT:
        return (real)(value ? v : v / sqrt((double)shape_count(t->shape) / t->shape.n));
    default:
        return (real)(0.3 * v);
    }
}

static inline void fill_params(struct params *p)
{
    for (int i = 0; i < p->n; i++) {
        const struct tensor *t = p->tensor[i];
        const size_t n = shape_count(t->shape);
        real *v = calloc(n, sizeof *v);
        struct rng r = rng_of_name(t->name);
        for (size_t k = 0; k < n; k++) {
            v[k] = param_number(t, rng_normal(&r));
        }
        params_set(p, p->val, t, v);
        free(v);
    }
}

static inline void fill_inputs(struct net *net)
{
    for (int i = 0; i < net->m.graph.n_tensors; i++) {
        const struct tensor *t = net->m.graph.tensors[i];
        if ((t->flags & T_INPUT) != 0) {
            real *v = calloc(shape_count(t->shape), sizeof *v);
            struct rng r = rng_of_name(t->name);
            for (size_t k = 0; k < shape_count(t->shape); k++) {
                v[k] = strcmp(t->name, "label") == 0 ? (real)rng_int(&r, 3) : (real)rng_normal(&r);
            }
            exec_set(&net->m.exec, t, v);
            free(v);
        }
    }
}

/* Memory, and parameters filled and folded. */
static inline void net_open(struct net *net, struct backend *be, const struct plan_options *opt)
{
    struct err err = {0};
    ck_assert_msg(exec_open(&net->m.graph, be, opt, &net->m.exec, &err) == VOV_OK, "%s", err.msg);
    net->m.started = true;
    fill_params(&net->m.exec.params);
    ck_assert(fold_weights(&net->m.graph, &net->m.exec.params) == VOV_OK);
}

static inline void net_forward(struct net *net)
{
    struct err err = {0};
    fill_inputs(net);
    ck_assert_msg(exec_forward(&net->m.exec, NET_KEY, &err) == VOV_OK, "%s", err.msg);
}

static inline double net_loss(const struct net *net)
{
    double sum = 0;
    for (int i = 0; i < net->m.graph.n_tensors; i++) {
        const struct tensor *t = net->m.graph.tensors[i];
        if ((t->flags & T_LOSS) != 0) {
            real loss;
            exec_get(&net->m.exec, t, &loss);
            sum += (double)loss;
        }
    }
    return sum;
}

#endif
