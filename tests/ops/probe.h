/*
 * probe.h - what tests put before and behind a net: a source is a parameter that is the value of a
 * tensor, a probe the sum of r * x with fixed random r, so that every number has a gradient.
 */
#ifndef VOV_PROBE_H
#define VOV_PROBE_H

#include "base/rng.h"
#include "ops/ops.h"

#include <check.h>
#include <stdlib.h>

/* ---- source: out[0] = param[0]; gradient added to it ---- */

struct source_attr {
    struct shape shape;
};

static enum vov_status source_infer(struct graph *g, struct node *n, struct err *err)
{
    const struct source_attr *a = n->attr;
    (void)err;
    graph_out(g, n, a->shape);
    graph_param(g, n, "value", a->shape, PARAM_WEIGHT, (struct param_init){INIT_NORMAL, 1});
    return VOV_OK;
}

static void source_forward(const struct node *n, const struct op_ctx *ctx)
{
    ctx->be->ops->copy(ctx->be, n->param[0]->val, 0, n->out[0]->val);
}

static void source_backward(const struct node *n, const struct op_ctx *ctx)
{
    ctx->be->ops->copy(ctx->be, n->out[0]->grad, 1, n->param[0]->grad);
}

static const struct op_type op_source = {
    .name = "source",
    .attr_size = sizeof(struct source_attr),
    .view_out = true,
    .infer = source_infer,
    .forward = source_forward,
    .backward = source_backward,
};

/* ---- probe: loss = sum of r * x ---- */

/* The numbers of a view, dense; to be freed. */
static real *host_copy(struct backend *be, struct view v)
{
    real *host = calloc((size_t)v.n * (size_t)v.c * view_plane(v) + 1, sizeof *host);
    ck_assert_ptr_nonnull(host);
    be->ops->read(be, v, host);
    return host;
}

static real probe_weight(const struct node *n, size_t i)
{
    struct rng r = rng_open(99, RNG_TEST, n->salt, i);
    return (real)rng_normal(&r);
}

static enum vov_status probe_infer(struct graph *g, struct node *n, struct err *err)
{
    struct tensor *y = graph_out(g, n, (struct shape){1, 1, 1, 1});
    (void)err;
    if (y != NULL) {
        y->flags |= T_LOSS | T_KEEP;
    }
    return VOV_OK;
}

static void probe_forward(const struct node *n, const struct op_ctx *ctx)
{
    const size_t count = shape_count(n->in[0]->shape);
    real *x = host_copy(ctx->be, n->in[0]->val);
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)(x[i] * probe_weight(n, i));
    }
    const real loss = (real)sum;
    ctx->be->ops->write(ctx->be, n->out[0]->val, &loss);
    free(x);
}

static void probe_backward(const struct node *n, const struct op_ctx *ctx)
{
    const size_t count = shape_count(n->in[0]->shape);
    real *dx = host_copy(ctx->be, n->in[0]->grad);
    for (size_t i = 0; i < count; i++) {
        const real r = probe_weight(n, i);
        dx[i] = n->gmode[0] == GRAD_ADD ? dx[i] + r : r;
    }
    ctx->be->ops->write(ctx->be, n->in[0]->grad, dx);
    free(dx);
}

static const struct op_type op_probe = {
    .name = "probe",
    .infer = probe_infer,
    .forward = probe_forward,
    .backward = probe_backward,
};

static enum vov_status add_source(struct graph *g, const char *name, struct shape s,
                                  struct tensor **out, struct err *err)
{
    return graph_add(g, &op_source, name, &(struct source_attr){s}, NULL, 0, out, err);
}

static enum vov_status add_probe(struct graph *g, struct tensor *x, struct err *err)
{
    return graph_add(g, &op_probe, "probe", NULL, &x, 1, NULL, err);
}

#endif
