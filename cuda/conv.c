/*
 * conv.c - convolution's entries. A call is described, the description is looked up, and what was
 * found for it is run: a plan of cuDNN, with the activation and the sum fused or behind it, or the
 * loops of conv_own.cu where cuDNN has no plan (see conv_recipe.h). Everything is found when the
 * net is planned; conv_scratch asks for it.
 *
 * Scratch: what the plan makes when it cannot write its result into place (a gradient that is to
 * be added to another), then the plan's workspace.
 */
#include "conv_own.h"
#include "conv_recipe.h"
#include "cuda.h"

#include "base/mem.h"

#include <string.h>

struct conv_cache {
    struct conv_recipe *recipe;
    int n, cap;
    cudnnHandle_t handle;
    cudnnBackendDescriptor_t device;
};

struct conv_cache *conv_cache_open(struct cuda *cu)
{
    struct conv_cache *c = mem_alloc(1, sizeof *c);

    if (c == NULL) {
        err_nomem(&cu->be.failed, sizeof *c);
        return NULL;
    }
    if (!cuda_dnn_ok(cu, cudnnCreate(&c->handle), "cudnnCreate") ||
        !cuda_dnn_ok(cu, cudnnSetStream(c->handle, cu->stream), "cudnnSetStream")) {
        conv_cache_close(c);
        return NULL;
    }
    c->device = conv_plan_device(c->handle, NULL);
    if (c->device == NULL) {
        cuda_fail(cu, "cuDNN does not know this device");
        conv_cache_close(c);
        return NULL;
    }
    return c;
}

void conv_cache_close(struct conv_cache *c)
{
    if (c == NULL) {
        return;
    }
    for (int i = 0; i < c->n; i++) {
        conv_recipe_free(&c->recipe[i]);
    }
    mem_free(c->recipe);
    if (c->device != NULL) {
        cudnnBackendDestroyDescriptor(c->device);
    }
    if (c->handle != NULL) {
        cudnnDestroy(c->handle);
    }
    mem_free(c);
}

static const struct conv_recipe *find(struct cuda *cu, const struct conv_spec *s)
{
    struct conv_cache *c = cu->conv;

    for (int i = 0; i < c->n; i++) {
        if (memcmp(&c->recipe[i].spec, s, sizeof *s) == 0) {
            return &c->recipe[i];
        }
    }
    if (!VEC_GROW(c->recipe, c->n, c->cap)) {
        err_nomem(&cu->be.failed, sizeof *c->recipe);
        return NULL;
    }
    struct conv_recipe *r = &c->recipe[c->n++];
    conv_recipe_find(c->device, s, cu->workspace_limit, r);
    return r;
}

static size_t cuda_conv_scratch(struct backend *be, const struct conv_desc *d,
                                const struct conv_use *use, struct view x, struct view y)
{
    const struct conv_spec s = conv_spec_of(d, use, x, y);
    const struct conv_recipe *r = find(cuda_of(be), &s);

    return r != NULL ? conv_recipe_bytes(r) : 0;
}

static const char *cuda_conv_algorithm(struct backend *be, const struct conv_desc *d,
                                       enum conv_pass pass, struct view x, struct view y)
{
    const struct conv_spec s = conv_spec_of(d, &(struct conv_use){.pass = pass}, x, y);
    const struct conv_recipe *r = find(cuda_of(be), &s);

    return r != NULL && r->plan != NULL ? "cudnn" : "direct";
}

/* The first number of a view. */
static real *start(struct view v)
{
    return v.p + v.c0;
}

static void run(struct cuda *cu, const struct conv_recipe *r, struct conv_pointers at,
                void *scratch)
{
    at.workspace = (char *)scratch + conv_recipe_workspace_at(r);
    if (cu->be.failed.code == VOV_OK) {
        cuda_dnn_ok(cu, conv_plan_run(r->plan, cu->conv->handle, &at), "cudnnBackendExecute");
    }
}

/* cuDNN's interface takes pointers to what it only reads without const. */
static void *unconst(const real *p)
{
    union {
        const real *from;
        real *to;
    } u = {p};
    return u.to;
}

/* What the plan left undone. */
static void finish_forward(struct cuda *cu, const struct conv_tail *tail, struct view y)
{
    if (tail->add.p != NULL) {
        cu->ops.add(&cu->be, tail->act, y, tail->add, y);
    } else {
        cu->ops.act_fwd(&cu->be, tail->act, y, y);
    }
}

static void cuda_conv_fwd(struct backend *be, const struct conv_desc *d, struct view x,
                          struct conv_weight w, const struct conv_tail *tail, struct view y,
                          void *scratch)
{
    struct cuda *cu = cuda_of(be);
    const struct conv_use use = {
        .pass = CONV_FWD, .bias = tail->bias != NULL, .act = tail->act, .add = tail->add.p != NULL};
    struct conv_spec s = conv_spec_of(d, &use, x, y);

    if (use.add) {
        s.add = conv_rows_of(tail->add);
    }
    const struct conv_recipe *r = find(cu, &s);
    if (r == NULL) {
        return;
    }
    if (r->plan == NULL) {
        conv_own_fwd(cu, d, x, w.w, tail, y);
        return;
    }
    run(cu, r,
        (struct conv_pointers){.x = start(x),
                               .w = unconst(w.w),
                               .y = start(y),
                               .bias = unconst(tail->bias),
                               .add = tail->add.p != NULL ? start(tail->add) : NULL},
        scratch);
    if (r->act_behind) {
        finish_forward(cu, tail, y);
    }
}

static void cuda_conv_bwd_data(struct backend *be, const struct conv_desc *d, struct conv_weight w,
                               struct view dy, real beta, struct view dx, void *scratch)
{
    struct cuda *cu = cuda_of(be);
    const struct conv_use use = {.pass = CONV_BWD_DATA, .add = beta != 0};
    const struct conv_spec s = conv_spec_of(d, &use, dx, dy);
    const struct conv_recipe *r = find(cu, &s);
    if (r == NULL) {
        return;
    }
    if (r->plan == NULL) {
        conv_own_bwd_data(cu, d, w.w, dy, beta, dx);
        return;
    }
    const bool apart = r->own_bytes > 0;
    const struct view to = apart ? view_dense(scratch, (struct shape){dx.n, dx.c, dx.h, dx.w}) : dx;
    run(cu, r,
        (struct conv_pointers){.x = start(to), .w = unconst(w.w), .y = start(dy), .add = start(dx)},
        scratch);
    if (apart) {
        be->ops->copy(be, to, 1, dx);
    }
}

static void cuda_conv_bwd_weight(struct backend *be, const struct conv_desc *d, struct view x,
                                 struct view dy, real *dw, real *dbias, void *scratch)
{
    struct cuda *cu = cuda_of(be);
    const struct conv_use use = {.pass = CONV_BWD_WEIGHT};
    const struct conv_spec s = conv_spec_of(d, &use, x, dy);
    const struct shape shape = {dy.c, x.c / d->groups, d->kh, d->kw};
    const struct conv_recipe *r = find(cu, &s);

    if (r == NULL) {
        return;
    }
    if (r->plan == NULL) {
        conv_own_bwd_weight(cu, d, x, dy, dw);
    } else {
        run(cu, r, (struct conv_pointers){.x = start(x), .w = scratch, .y = start(dy)}, scratch);
        be->ops->copy(be, view_dense(scratch, shape), 1, view_dense(dw, shape));
    }
    if (dbias != NULL) {
        be->ops->channel_sum(be, dy, dbias);
    }
}

static size_t cuda_conv_pack_bytes(struct backend *be, const struct conv_desc *d,
                                   enum conv_pass pass, struct view x, struct view y)
{
    (void)be, (void)d, (void)pass, (void)x, (void)y;
    return 0;
}

static void cuda_conv_pack(struct backend *be, const struct conv_desc *d, enum conv_pass pass,
                           struct view x, struct view y, const real *w, void *packed)
{
    (void)be, (void)d, (void)pass, (void)x, (void)y, (void)w, (void)packed;
}

void cuda_conv_entries(struct backend_ops *ops)
{
    ops->conv_scratch = cuda_conv_scratch;
    ops->conv_algorithm = cuda_conv_algorithm;
    ops->conv_fwd = cuda_conv_fwd;
    ops->conv_bwd_data = cuda_conv_bwd_data;
    ops->conv_bwd_weight = cuda_conv_bwd_weight;
    ops->conv_pack_bytes = cuda_conv_pack_bytes;
    ops->conv_pack = cuda_conv_pack;
}
