/*
 * conv.c - convolution's entries. A call is described, the description is looked up, and what was
 * found for it is run: a plan of cuDNN, with the activation and the sum fused or behind it, or the
 * loops of conv_own.cu where cuDNN has no plan (see conv_recipe.h). Everything is found when the
 * net is planned; conv_scratch asks for it.
 *
 * Scratch: what the plan makes when it cannot write its result into place (a gradient that is to
 * be added to another), then weight and bias in 16 bits where the tensors are, then the plan's
 * workspace. Packed weights are the same two, made once.
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
    if (!cuda_here(cu)) { /* engines that are compiled here are compiled for it */
        return NULL;
    }
    if (!VEC_GROW(c->recipe, c->n, c->cap)) {
        err_nomem(&cu->be.failed, sizeof *c->recipe);
        return NULL;
    }
    struct conv_recipe *r = &c->recipe[c->n++];
    const size_t asked = cu->be.settings.workspace_bytes;
    conv_recipe_find(c->device, s, asked > 0 ? asked : cu->workspace_limit, r);
    return r;
}

static size_t cuda_conv_scratch(struct backend *be, const struct conv_desc *d,
                                const struct conv_use *use, struct view x, struct view y)
{
    const struct conv_spec s = conv_spec_of(d, use, x, y, &be->settings);
    const struct conv_recipe *r = find(cuda_of(be), &s);

    return r != NULL ? conv_recipe_bytes(r) : 0;
}

static const char *cuda_conv_algorithm(struct backend *be, const struct conv_desc *d,
                                       enum conv_pass pass, struct view x, struct view y)
{
    const struct conv_use use = {.pass = pass};
    const struct conv_spec s = conv_spec_of(d, &use, x, y, &be->settings);
    const struct conv_recipe *r = find(cuda_of(be), &s);

    if (r == NULL || r->plan == NULL) {
        return "direct";
    }
    return conv_plan_rounds(r->plan) ? "cudnn tf32" : "cudnn";
}

/* Where the bias lies behind packed weights. */
static size_t packed_bias_at(size_t weights)
{
    return (weights + 255) / 256 * 256;
}

/* The first number of a view. */
static void *start(struct view v)
{
    return (char *)v.p + (size_t)v.c0 * number_bytes(v.type);
}

static void run(struct cuda *cu, const struct conv_recipe *r, struct conv_pointers at,
                void *scratch)
{
    at.workspace = (char *)scratch + conv_recipe_workspace_at(r);
    if (cu->be.failed.code == VOV_OK && cuda_here(cu)) {
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

static struct view run_of(void *p, size_t count, enum number type)
{
    struct view v = view_dense(p, (struct shape){1, (int)count, 1, 1});

    v.type = type;
    return v;
}

/* Numbers of the type that the plan reads, from reals. */
static void narrow(struct cuda *cu, const real *from, size_t bytes, enum number type, void *to)
{
    const size_t count = bytes / number_bytes(type);

    cu->ops.copy(&cu->be, run_of(unconst(from), count, NUMBER_REAL), 0, run_of(to, count, type));
}

/* The weight and the bias as the plan reads them: narrow where the tensors are. */
static void set_weights(struct cuda *cu, const struct conv_recipe *r, struct conv_weight w,
                        const real *bias, char *scratch, struct conv_pointers *at)
{
    union {
        const void *from;
        char *to;
    } packed = {w.packed};

    at->w = unconst(w.w);
    at->bias = unconst(bias);
    if (r->weight_bytes > 0 && packed.to != NULL) {
        at->w = packed.to;
        at->bias = packed.to + packed_bias_at(r->weight_bytes);
    } else if (r->weight_bytes > 0) {
        at->w = scratch + conv_recipe_weight_at(r);
        narrow(cu, w.w, r->weight_bytes, r->spec.type, at->w);
    }
    if (r->bias_bytes > 0 && packed.to == NULL) {
        at->bias = scratch + conv_recipe_bias_at(r);
        narrow(cu, bias, r->bias_bytes, r->spec.type, at->bias);
    }
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
        .pass = CONV_FWD, .bias = tail->bias != NULL, .act = tail->act, .plus = tail->add};
    const struct conv_spec s = conv_spec_of(d, &use, x, y, &be->settings);
    const struct conv_recipe *r = find(cu, &s);
    if (r == NULL) {
        return;
    }
    if (r->plan == NULL) {
        conv_own_fwd(cu, d, x, w.w, tail, y);
        return;
    }
    struct conv_pointers at = {
        .x = start(x), .y = start(y), .add = tail->add.p != NULL ? start(tail->add) : NULL};
    set_weights(cu, r, w, tail->bias, scratch, &at);
    run(cu, r, at, scratch);
    if (r->act_behind) {
        finish_forward(cu, tail, y);
    }
}

static void cuda_conv_bwd_data(struct backend *be, const struct conv_desc *d, struct conv_weight w,
                               struct view dy, real beta, struct view dx, void *scratch)
{
    struct cuda *cu = cuda_of(be);
    const struct conv_use use = {.pass = CONV_BWD_DATA, .add = beta != 0};
    const struct conv_spec s = conv_spec_of(d, &use, dx, dy, &be->settings);
    const struct conv_recipe *r = find(cu, &s);
    if (r == NULL) {
        return;
    }
    if (r->plan == NULL) {
        conv_own_bwd_data(cu, d, w.w, dy, beta, dx);
        return;
    }
    const bool apart = r->own_bytes > 0;
    struct view to = dx;
    if (apart) {
        to = view_dense(scratch, (struct shape){dx.n, dx.c, dx.h, dx.w});
        to.type = dx.type;
    }
    struct conv_pointers at = {.x = start(to), .y = start(dy), .add = start(dx)};
    set_weights(cu, r, w, NULL, scratch, &at);
    run(cu, r, at, scratch);
    if (apart) {
        be->ops->copy(be, to, 1, dx);
    }
}

static void cuda_conv_bwd_weight(struct backend *be, const struct conv_desc *d, struct view x,
                                 struct view dy, real *dw, real *dbias, void *scratch)
{
    struct cuda *cu = cuda_of(be);
    const struct conv_use use = {.pass = CONV_BWD_WEIGHT};
    const struct conv_spec s = conv_spec_of(d, &use, x, dy, &be->settings);
    const struct shape shape = {dy.c, x.c / d->groups, d->kh, d->kw};
    const struct conv_recipe *r = find(cu, &s);

    if (r == NULL) {
        return;
    }
    if (r->plan == NULL) {
        conv_own_bwd_weight(cu, d, x, dy, dw);
    } else {
        run(cu, r, (struct conv_pointers){.x = start(x), .w = scratch, .y = start(dy)}, scratch);
        struct view made = view_dense(scratch, shape);
        made.type = x.type;
        be->ops->copy(be, made, 1, view_dense(dw, shape));
    }
    if (dbias != NULL) {
        be->ops->channel_sum(be, dy, dbias);
    }
}

static size_t weight_bytes(const struct conv_desc *d, struct view x, struct view y)
{
    const size_t taps = (size_t)d->kh * (size_t)d->kw;

    return (size_t)y.c * (size_t)(x.c / d->groups) * taps * number_bytes(x.type);
}

static size_t cuda_conv_pack_bytes(struct backend *be, const struct conv_desc *d,
                                   enum conv_pass pass, struct view x, struct view y)
{
    (void)be, (void)pass;
    return x.type == NUMBER_REAL
               ? 0
               : packed_bias_at(weight_bytes(d, x, y)) + (size_t)y.c * number_bytes(x.type);
}

static void cuda_conv_pack(struct backend *be, const struct conv_desc *d, enum conv_pass pass,
                           struct view x, struct view y, const real *w, const real *bias,
                           void *packed)
{
    const size_t bytes = weight_bytes(d, x, y);
    struct cuda *cu = cuda_of(be);

    (void)pass;
    if (x.type == NUMBER_REAL) {
        return;
    }
    narrow(cu, w, bytes, x.type, packed);
    if (bias != NULL) {
        narrow(cu, bias, (size_t)y.c * number_bytes(x.type), x.type,
               (char *)packed + packed_bias_at(bytes));
    }
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
