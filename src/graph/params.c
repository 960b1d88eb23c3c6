/*
 * params.c - see params.h.
 */
#include "params.h"

#include "base/map.h"
#include "base/rng.h"

#include <string.h>

enum { ALIGN = 16 }; /* numbers: each parameter starts on a cache line */
enum { CLONE_PIECE = 1 << 20 };

static size_t round_up(size_t n)
{
    return (n + ALIGN - 1) / ALIGN * ALIGN;
}

/* Gives the parameters that learn, or the others, their offsets; count: numbers before them.
 * Returns the count after them. list, unless NULL, gets them from place *n on. Those of one kind
 * lie side by side, as an optimizer treats them alike. */
static size_t lay_out(struct graph *g, bool learn, size_t count, struct tensor **list, int *n)
{
    for (int i = 0; i < (PARAM_VAR + 1) * g->n_tensors; i++) {
        struct tensor *t = g->tensors[i % g->n_tensors];
        const int kind = i / g->n_tensors;
        if ((t->flags & T_PARAM) != 0 && (int)t->kind == kind && param_learns(t) == learn) {
            t->offset = count;
            count += round_up(shape_count(t->shape));
            if (list != NULL) {
                list[(*n)++] = t;
            }
        }
    }
    return count;
}

size_t params_bytes(struct graph *g)
{
    const size_t count = lay_out(g, false, lay_out(g, true, 0, NULL, NULL), NULL, NULL);

    return (g->averages ? 4 : g->training ? 3 : 1) * count * sizeof(real);
}

static real *take(const struct params *p, struct err *err)
{
    const size_t bytes = (p->count + 1) * sizeof(real);
    real *block = p->be->ops->alloc(p->be, bytes);

    if (block == NULL) {
        err_nomem(err, bytes);
    }
    return block;
}

/* Everything but the blocks. */
static enum vov_status list_params(struct graph *g, struct backend *be, struct params *p,
                                   struct err *err)
{
    *p = (struct params){.be = be};
    p->tensor = mem_alloc((size_t)g->n_tensors + 1, sizeof(struct tensor *));
    if (p->tensor == NULL) {
        return err_nomem(err, (size_t)g->n_tensors * sizeof(struct tensor *));
    }
    p->n_learn = lay_out(g, true, 0, p->tensor, &p->n);
    p->count = lay_out(g, false, p->n_learn, p->tensor, &p->n);
    return VOV_OK;
}

static void bind(struct params *p)
{
    for (int i = 0; i < p->n; i++) {
        struct tensor *t = p->tensor[i];
        t->val = view_dense(p->val + t->offset, t->shape);
        t->grad = view_dense(p->grad != NULL ? p->grad + t->offset : NULL, t->shape);
    }
}

enum vov_status params_open(struct graph *g, struct backend *be, struct params *p, struct err *err)
{
    TRY(list_params(g, be, p, err));
    p->val = take(p, err);
    p->grad = g->training ? take(p, err) : NULL;
    p->mom = g->training ? take(p, err) : NULL;
    p->avg = g->averages ? take(p, err) : NULL;
    if (p->val == NULL || (g->training && (p->grad == NULL || p->mom == NULL)) ||
        (g->averages && p->avg == NULL)) {
        params_close(p);
        return VOV_ENOMEM;
    }
    bind(p);
    return VOV_OK;
}

enum vov_status params_share(struct graph *g, const struct params *of, struct params *p,
                             struct err *err)
{
    TRY(list_params(g, of->be, p, err));
    p->lent = true;
    bool same = p->n == of->n && p->count == of->count && p->n_learn == of->n_learn;
    for (int i = 0; same && i < p->n; i++) {
        same = strcmp(p->tensor[i]->name, of->tensor[i]->name) == 0 &&
               p->tensor[i]->offset == of->tensor[i]->offset;
    }
    if (!same) {
        params_close(p);
        return err_set(err, VOV_ESHAPE,
                       "the network has other parameters when its input's width and height change "
                       "places");
    }
    p->val = of->val;
    p->grad = of->grad;
    p->mom = of->mom;
    p->avg = of->avg;
    bind(p);
    return VOV_OK;
}

void params_close(struct params *p)
{
    if (p->be != NULL && !p->lent) {
        p->be->ops->release(p->be, p->val);
        p->be->ops->release(p->be, p->grad);
        p->be->ops->release(p->be, p->mom);
        p->be->ops->release(p->be, p->avg);
    }
    mem_free(p->tensor);
    *p = (struct params){0};
}

static void draw(const struct tensor *t, uint64_t seed, real *out)
{
    const size_t n = shape_count(t->shape);
    struct rng r = rng_open(seed, RNG_INIT, graph_hash(t->name), 0);

    for (size_t i = 0; i < n; i++) {
        switch (t->init.kind) {
        case INIT_NORMAL:
            out[i] = (real)(rng_normal(&r) * t->init.scale);
            break;
        case INIT_UNIFORM:
            out[i] = (real)rng_range(&r, -t->init.scale, t->init.scale);
            break;
        default:
            out[i] = (real)t->init.scale;
        }
    }
}

enum vov_status params_init(struct params *p, uint64_t seed, struct err *err)
{
    size_t most = 1;

    for (int i = 0; i < p->n; i++) {
        const size_t n = shape_count(p->tensor[i]->shape);
        most = n > most ? n : most;
    }
    real *host = mem_block_alloc(most * sizeof *host);
    if (host == NULL) {
        return err_nomem(err, most * sizeof *host);
    }
    for (int i = 0; i < p->n; i++) {
        draw(p->tensor[i], seed, host);
        params_set(p, p->val, p->tensor[i], host);
    }
    mem_block_free(host);
    return VOV_OK;
}

struct tensor *params_find(const struct params *p, const char *name)
{
    for (int i = 0; i < p->n; i++) {
        if (strcmp(p->tensor[i]->name, name) == 0) {
            return p->tensor[i];
        }
    }
    return NULL;
}

void params_get(const struct params *p, real *which, const struct tensor *t, real *out)
{
    p->be->ops->read(p->be, view_dense(which + t->offset, t->shape), out);
}

void params_set(const struct params *p, real *which, const struct tensor *t, const real *in)
{
    p->be->ops->write(p->be, view_dense(which + t->offset, t->shape), in);
}

real *params_result(const struct params *p)
{
    return p->avg != NULL ? p->avg : p->val;
}

void params_start_average(struct params *p)
{
    const struct shape all = {(int)(p->count / ALIGN), ALIGN, 1, 1};

    if (p->avg != NULL) {
        p->be->ops->copy(p->be, view_dense(p->val, all), 0, view_dense(p->avg, all));
    }
}

static bool same_size(const struct tensor *a, const struct tensor *b)
{
    return shape_count(a->shape) == shape_count(b->shape);
}

/* One parameter through host memory; *missing counts down what dst still lacks. */
static enum vov_status copy_one(struct params *dst, const struct params *src,
                                const struct map *names, const struct tensor *t, struct err *err)
{
    const struct tensor *from = map_get(names, t->name);

    if ((t->flags & T_DERIVED) != 0) {
        return VOV_OK;
    }
    if (from == NULL || !same_size(from, t)) {
        return err_set(err, VOV_ESHAPE, "the other network has no parameter %s of %zu numbers",
                       t->name, shape_count(t->shape));
    }
    real *host = mem_alloc(shape_count(t->shape), sizeof *host);
    if (host == NULL) {
        return err_nomem(err, shape_count(t->shape) * sizeof *host);
    }
    params_get(src, params_result(src), from, host);
    params_set(dst, dst->val, t, host);
    mem_free(host);
    return VOV_OK;
}

enum vov_status params_copy(struct params *dst, const struct params *src, struct err *err)
{
    struct map names = {0};
    enum vov_status status = VOV_OK;

    for (int i = 0; i < src->n && status == VOV_OK; i++) {
        if (!map_put(&names, src->tensor[i]->name, src->tensor[i])) {
            status = err_nomem(err, sizeof(struct map_entry));
        }
    }
    for (int i = 0; i < dst->n && status == VOV_OK; i++) {
        status = copy_one(dst, src, &names, dst->tensor[i], err);
    }
    map_free(&names);
    return status;
}

/* A block as it lies there, through `host` of CLONE_PIECE numbers; from NULL: there is none. */
static void clone_block(struct params *dst, real *to, const struct params *src, real *from,
                        real *host)
{
    for (size_t at = 0; from != NULL && at < src->count; at += CLONE_PIECE) {
        const size_t n = src->count - at < CLONE_PIECE ? src->count - at : CLONE_PIECE;
        const struct shape s = {1, 1, 1, (int)n};
        src->be->ops->read(src->be, view_dense(from + at, s), host);
        dst->be->ops->write(dst->be, view_dense(to + at, s), host);
    }
}

enum vov_status params_clone(struct params *dst, const struct params *src, struct err *err)
{
    real *host = mem_block_alloc(CLONE_PIECE * sizeof *host);

    if (host == NULL) {
        return err_nomem(err, CLONE_PIECE * sizeof *host);
    }
    clone_block(dst, dst->val, src, src->val, host);
    clone_block(dst, dst->mom, src, src->mom, host);
    clone_block(dst, dst->avg, src, src->avg, host);
    mem_block_free(host);
    TRY(backend_check(src->be, err));
    return backend_check(dst->be, err);
}

size_t params_learnable(const struct graph *g)
{
    size_t n = 0;

    for (int i = 0; i < g->n_tensors; i++) {
        const struct tensor *t = g->tensors[i];
        const bool counts = (t->flags & T_PARAM) != 0 && (t->flags & T_DERIVED) == 0 &&
                            t->kind != PARAM_MEAN && t->kind != PARAM_VAR;
        n += counts ? shape_count(t->shape) : 0;
    }
    return n;
}
