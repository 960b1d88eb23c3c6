/*
 * exec.c - see exec.h.
 */
#include "exec.h"

#include "base/clock.h"
#include "base/debug.h"

#include <math.h>

/* Refuses a plan that this machine cannot hold, and says what it could. */
static enum vov_status check_memory(const struct exec *e, struct err *err)
{
    const size_t there = clock_memory_bytes();
    const size_t params = (e->g->training ? 3 : 1) * e->params.count * sizeof(real);
    const size_t need = e->plan.arena_bytes + e->plan.scratch_bytes;
    const int batch = e->g->n_tensors > 0 ? e->g->tensors[0]->shape.n : 1;
    const size_t each = need / (size_t)batch;
    const double mib = 1024.0 * 1024.0;

    if (there == 0 || need <= there) {
        return VOV_OK;
    }
    const size_t fits = each > 0 ? there / each : 0;
    if (fits > 0) {
        return err_set(err, VOV_ENOMEM,
                       "a batch of %d needs %.0f MiB beside %.0f MiB of parameters, but %.0f MiB "
                       "are free; %zu at a time would fit (set batch or subdivisions)",
                       batch, (double)need / mib, (double)params / mib, (double)there / mib, fits);
    }
    return err_set(err, VOV_ENOMEM,
                   "even one image at a time needs %.0f MiB beside %.0f MiB of parameters, but "
                   "%.0f MiB are free; a smaller input would fit",
                   (double)each / mib, (double)params / mib, (double)there / mib);
}

static enum vov_status open_memory(struct exec *e, const struct plan_options *opt, struct err *err)
{
    struct graph *g = e->g;
    const struct backend_ops *ops = e->be->ops;

    graph_alias(g);
    if (graph_grad_modes(g) != VOV_OK) {
        return err_nomem(err, (size_t)g->n_tensors);
    }
    TRY(params_open(g, e->be, &e->params, err));
    TRY(plan_build(g, e->be, opt, &e->plan, err));
    TRY(check_memory(e, err));
    e->arena = ops->alloc(e->be, e->plan.arena_bytes + 1);
    e->scratch = ops->alloc(e->be, e->plan.scratch_bytes + 1);
    if (e->arena == NULL || e->scratch == NULL) {
        return err_nomem(err, e->plan.arena_bytes + e->plan.scratch_bytes);
    }
    plan_bind(g, &e->plan, e->arena);
    return VOV_OK;
}

enum vov_status exec_open(struct graph *g, struct backend *be, const struct plan_options *opt,
                          struct exec *e, struct err *err)
{
    *e = (struct exec){.g = g, .be = be};
    const enum vov_status status = open_memory(e, opt, err);
    if (status != VOV_OK) {
        exec_close(e);
    }
    return status;
}

void exec_close(struct exec *e)
{
    if (e->be != NULL) {
        e->be->ops->release(e->be, e->arena);
        e->be->ops->release(e->be, e->scratch);
    }
    params_close(&e->params);
    plan_free(&e->plan);
    *e = (struct exec){0};
}

void exec_set(struct exec *e, const struct tensor *t, const real *host)
{
    const size_t each = (size_t)t->shape.c * view_plane(t->val);

    for (int i = 0; i < t->shape.n; i++) {
        e->be->ops->upload(e->be, view_at(t->val, i, 0), host + (size_t)i * each,
                           each * sizeof *host);
    }
}

void exec_get(const struct exec *e, const struct tensor *t, real *host)
{
    const size_t each = (size_t)t->shape.c * view_plane(t->val);

    for (int i = 0; i < t->shape.n; i++) {
        e->be->ops->download(e->be, host + (size_t)i * each, view_at(t->val, i, 0),
                             each * sizeof *host);
    }
}

/* Whether all numbers of the node's first output are finite, read back from the device. */
static bool output_finite(const struct exec *e, const struct node *n)
{
    const struct tensor *t = n->out[0];
    const size_t count = shape_count(t->shape);
    real *host = mem_alloc(count, sizeof *host);
    bool finite = true;

    if (host == NULL) {
        return true; /* a check that cannot be made finds nothing */
    }
    exec_get(e, t, host);
    for (size_t i = 0; i < count && finite; i++) {
        finite = isfinite(host[i]);
    }
    mem_free(host);
    return finite;
}

/* VOV_POISON: numbers of a buffer that is dead from here on become NaN, so that a late reader
 * shows. */
static void poison(const struct exec *e, int step)
{
    const struct graph *g = e->g;

    for (int i = 0; i < e->plan.n_items; i++) {
        const struct plan_item *it = &e->plan.items[i];
        const bool dies = (it->last[0] == step && it->first[0] <= step) ||
                          (it->last[1] == step && it->first[1] <= step);
        const struct tensor *t = g->tensors[i / 2];
        if (it->bytes > 0 && dies && (t->flags & T_KEEP) == 0) {
            e->be->ops->fill(e->be, i % 2 == 0 ? t->val : t->grad, (real)NAN);
        }
    }
}

/* Runs steps from..to-1. With `check` the first node with a non-finite output stops it. */
static const struct node *run(struct exec *e, int from, int to, uint64_t key, bool check)
{
    const bool poisons = debug_on(DEBUG_POISON);
    struct op_ctx ctx = {e->be, e->scratch, e->g->training, key};

    for (int i = from; i < to; i++) {
        const struct node *n = e->g->nodes[e->plan.steps[i].node];
        e->be->doing = n->name;
        if (e->plan.steps[i].what == STEP_BACKWARD) {
            n->type->backward(n, &ctx);
        } else if (e->plan.steps[i].what == STEP_AGAIN && n->type->again != NULL) {
            n->type->again(n, &ctx);
        } else {
            n->type->forward(n, &ctx);
        }
        if (check && e->plan.steps[i].what != STEP_BACKWARD && !output_finite(e, n)) {
            return n;
        }
        if (poisons) {
            poison(e, i);
        }
    }
    return NULL;
}

static enum vov_status run_checked(struct exec *e, int from, int to, uint64_t key, struct err *err)
{
    const struct node *bad = run(e, from, to, key, debug_on(DEBUG_CHECK));

    if (bad != NULL) {
        return err_set(err, VOV_ENONFINITE, "%s: its output is not finite", bad->name);
    }
    return backend_check(e->be, err);
}

enum vov_status exec_forward(struct exec *e, uint64_t key, struct err *err)
{
    return run_checked(e, 0, e->plan.n_forward, key, err);
}

enum vov_status exec_backward(struct exec *e, uint64_t key, struct err *err)
{
    return run_checked(e, e->plan.n_forward, e->plan.n_steps, key, err);
}

const char *exec_find_nonfinite(struct exec *e)
{
    const struct node *bad = run(e, 0, e->plan.n_forward, 0, true);
    const struct params *p = &e->params;

    if (bad != NULL) {
        return bad->name;
    }
    for (int i = 0; p->grad != NULL && i < p->n; i++) {
        const struct tensor *t = p->tensor[i];
        if (!isfinite(p->be->ops->block_sumsq(p->be, shape_count(t->shape), p->grad + t->offset))) {
            return t->name;
        }
    }
    return NULL;
}
