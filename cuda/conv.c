/*
 * conv.c - convolution's entries. A call is described, the description is looked up, and what was
 * found for it is run: a plan of cuDNN, with the activation and the sum fused or behind it, or the
 * loops of conv_own.cu where cuDNN has no plan. Everything is found when the net is planned;
 * conv_scratch asks for it. A tensor that is a slice is worked on where it lies, by a plan without
 * workspace, where there is one.
 *
 * Scratch: what the plan makes when it cannot write its result into place (a gradient that is to
 * be added to another), then the plan's workspace.
 */
#include "conv_own.h"
#include "conv_plan.h"
#include "cuda.h"

#include "base/mem.h"

#include <string.h>

struct recipe {
    struct conv_spec spec;  /* as it was asked for */
    struct conv_plan *plan; /* NULL: our own loops */
    bool act_behind;        /* act and add are not in the plan: add, then act in place */
    size_t own_bytes;       /* of the result that is copied or added into place */
};

struct conv_cache {
    struct recipe *recipe;
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
        conv_plan_free(c->recipe[i].plan);
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

/* Arenas and parameters start at multiples of 64 bytes, so the first channel decides. */
static struct conv_rows rows_of(struct view v)
{
    const bool aligned = v.c0 % 4 == 0 && v.rc % 4 == 0;
    return (struct conv_rows){v.rc, aligned || (v.c0 == 0 && v.c == v.rc) ? 16 : 4};
}

static struct conv_spec spec_of(const struct conv_desc *d, enum conv_pass pass, struct view x,
                                struct view y)
{
    struct conv_spec s;

    memset(&s, 0, sizeof s);
    s.pass = pass;
    s.n = x.n, s.c = x.c, s.h = x.h, s.w = x.w;
    s.k = y.c, s.oh = y.h, s.ow = y.w;
    s.kh = d->kh, s.kw = d->kw, s.stride = d->stride, s.pad = d->pad;
    s.dilation = d->dilation, s.groups = d->groups;
    s.x = rows_of(x);
    s.y = rows_of(y);
    s.exact = true;
    s.deterministic = true;
    return s;
}

static bool is_slice(struct conv_rows rows, int c)
{
    return rows.step != c;
}

/* Where cuDNN plans what is not dense, a plan without workspace is the one that copies nothing. */
static struct conv_plan *find_plan(struct cuda *cu, const struct conv_spec *s)
{
    const bool direct = is_slice(s->x, s->c) || is_slice(s->y, s->k);

    return conv_plan_make(cu->conv->device, s, cu->workspace_limit, direct, NULL);
}

static void plan_forward(struct cuda *cu, struct recipe *r)
{
    struct conv_spec s = r->spec;

    if (conv_plan_has_act(s.act)) {
        r->plan = find_plan(cu, &s);
    }
    if (r->plan == NULL && (s.act != ACT_LINEAR || s.add.step > 0)) {
        s.act = ACT_LINEAR;
        s.add = (struct conv_rows){0, 0};
        r->act_behind = true;
        r->plan = find_plan(cu, &s);
    }
}

/* A gradient that is to be added to another is so in the plan, or made apart and added. */
static void plan_backward_data(struct cuda *cu, struct recipe *r)
{
    struct conv_spec s = r->spec;

    r->plan = find_plan(cu, &s);
    if (r->plan == NULL && s.add.step > 0) {
        s.add = (struct conv_rows){0, 0};
        s.x = (struct conv_rows){s.c, 16};
        r->plan = find_plan(cu, &s);
        r->own_bytes = (size_t)s.n * (size_t)s.h * (size_t)s.w * (size_t)s.c * sizeof(real);
    }
}

static void plan_backward_weight(struct cuda *cu, struct recipe *r)
{
    const struct conv_spec *s = &r->spec;

    r->plan = find_plan(cu, s);
    r->own_bytes =
        (size_t)s->k * (size_t)(s->c / s->groups) * (size_t)s->kh * (size_t)s->kw * sizeof(real);
}

static const struct recipe *find(struct cuda *cu, const struct conv_spec *s)
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
    struct recipe *r = &c->recipe[c->n++];
    *r = (struct recipe){.plan = NULL};
    memcpy(&r->spec, s, sizeof *s);
    if (s->pass == CONV_FWD) {
        plan_forward(cu, r);
    } else if (s->pass == CONV_BWD_DATA) {
        plan_backward_data(cu, r);
    } else {
        plan_backward_weight(cu, r);
    }
    return r;
}

static size_t aligned(size_t bytes)
{
    return (bytes + 255) / 256 * 256;
}

static size_t recipe_bytes(const struct recipe *r)
{
    return r->plan != NULL ? aligned(r->own_bytes) + conv_plan_bytes(r->plan) : 0;
}

static size_t cuda_conv_scratch(struct backend *be, const struct conv_desc *d,
                                const struct conv_use *use, struct view x, struct view y)
{
    struct conv_spec s = spec_of(d, use->pass, x, y);

    if (use->pass == CONV_FWD) {
        s.bias = use->bias;
        s.act = use->act;
    } else if (use->pass == CONV_BWD_DATA && use->add) {
        s.add = s.x;
    }
    const struct recipe *r = find(cuda_of(be), &s);
    return r != NULL ? recipe_bytes(r) : 0;
}

static const char *cuda_conv_algorithm(struct backend *be, const struct conv_desc *d,
                                       enum conv_pass pass, struct view x, struct view y)
{
    const struct conv_spec s = spec_of(d, pass, x, y);
    const struct recipe *r = find(cuda_of(be), &s);

    return r != NULL && r->plan != NULL ? "cudnn" : "direct";
}

/* The first number of a view. */
static real *start(struct view v)
{
    return v.p + v.c0;
}

static void run(struct cuda *cu, const struct recipe *r, struct conv_pointers at, void *scratch)
{
    at.workspace = (char *)scratch + aligned(r->own_bytes);
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
    struct conv_spec s = spec_of(d, CONV_FWD, x, y);

    s.bias = tail->bias != NULL;
    s.act = tail->act;
    if (tail->add.p != NULL) {
        s.add = rows_of(tail->add);
    }
    const struct recipe *r = find(cu, &s);
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
    struct conv_spec s = spec_of(d, CONV_BWD_DATA, dx, dy);

    if (beta != 0) {
        s.add = s.x;
    }
    const struct recipe *r = find(cu, &s);
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
    const struct conv_spec s = spec_of(d, CONV_BWD_WEIGHT, x, dy);
    const struct shape shape = {dy.c, x.c / d->groups, d->kh, d->kw};
    const struct recipe *r = find(cu, &s);

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
