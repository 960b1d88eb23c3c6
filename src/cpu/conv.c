/*
 * conv.c - convolution's entries in the fast table: hands each pass to its algorithm, and states
 * data gradients as correlations. For stride s the pixels of dx fall into s*s phases; those of one
 * phase are reached by the same taps, so that each phase is a correlation of its own with stride 1,
 * and no multiplication is wasted.
 */
#include "conv.h"

#include "fast.h"
#include "product.h"

#include <stdint.h>

static struct corr_axis forward_axis(const struct conv_desc *d, int taps, int w_step)
{
    return (struct corr_axis){taps, -d->pad, d->dilation, 0, w_step};
}

/* Channels of group g, their weights too. */
static struct corr forward_corr(const struct conv_desc *d, struct view x, struct view y, int g)
{
    const int in = x.c / d->groups, out = y.c / d->groups;
    const size_t taps = (size_t)d->kh * (size_t)d->kw;

    return (struct corr){.src = view_slice(x, g * in, in),
                         .dst = view_slice(y, g * out, out),
                         .grid_h = y.h,
                         .grid_w = y.w,
                         .stride = d->stride,
                         .y = forward_axis(d, d->kh, d->kw),
                         .x = forward_axis(d, d->kw, 1),
                         .out_step = 1,
                         .w_row = (size_t)in * taps,
                         .w_channel = taps};
}

static int floor_mod(int64_t a, int b)
{
    const int r = (int)(a % b);

    return r < 0 ? r + b : r;
}

/*
 * The taps that reach pixels stride*i + phase of dx: those r with r*dilation = phase + pad (mod
 * stride); they read dy at i + (phase + pad - r*dilation) / stride. From the last such r on, so
 * that the places rise. n is 0 when there is none.
 */
static struct corr_axis backward_axis(const struct conv_desc *d, int taps, int phase, int w_step)
{
    struct corr_axis a = {0};
    int step = 1;

    while (step * d->dilation % d->stride != 0) {
        step++;
    }
    for (int r = taps - 1; r >= 0; r--) {
        const int64_t at = (int64_t)phase + d->pad - (int64_t)r * d->dilation;
        if (floor_mod(at, d->stride) == 0) {
            a.n = r / step + 1;
            a.first = (int)(at / d->stride);
            a.step = step * d->dilation / d->stride;
            a.w_first = r * w_step;
            a.w_step = -step * w_step;
            return a;
        }
    }
    return a;
}

/* Phase (py, px) of dx, of group g. y.n or x.n is 0 where nothing reaches it. */
static struct corr backward_corr(const struct conv_desc *d, struct view dy, struct view dx, int g,
                                 int phase)
{
    const int py = phase / d->stride, px = phase % d->stride;
    const int in = dx.c / d->groups, out = dy.c / d->groups;
    const size_t taps = (size_t)d->kh * (size_t)d->kw;

    return (struct corr){.src = view_slice(dy, g * out, out),
                         .dst = view_slice(dx, g * in, in),
                         .grid_h = (dx.h - py + d->stride - 1) / d->stride,
                         .grid_w = (dx.w - px + d->stride - 1) / d->stride,
                         .stride = 1,
                         .y = backward_axis(d, d->kh, py, d->kw),
                         .x = backward_axis(d, d->kw, px, 1),
                         .out_y = py,
                         .out_x = px,
                         .out_step = d->stride,
                         .w_row = taps,
                         .w_channel = (size_t)in * taps};
}

static bool reaches(const struct corr *c)
{
    return c->y.n > 0 && c->x.n > 0 && c->grid_h > 0 && c->grid_w > 0;
}

/* Whether some pixels of dx are reached by no tap at all. */
static bool has_gaps(const struct conv_desc *d, struct view dx, struct view dy)
{
    for (int phase = 0; phase < d->stride * d->stride; phase++) {
        const struct corr c = backward_corr(d, dy, dx, 0, phase);
        if (c.y.n == 0 || c.x.n == 0) {
            return true;
        }
    }
    return false;
}

static enum conv_method choose_fwd(const struct cpu *cpu, const struct conv_desc *d, struct view x,
                                   struct view y)
{
    const struct corr c = forward_corr(d, x, y, 0);

    return conv_choose(cpu, d, &c);
}

static enum conv_method choose_bwd(const struct cpu *cpu, const struct conv_desc *d, struct view dx,
                                   struct view dy)
{
    const struct corr c = backward_corr(d, dy, dx, 0, 0);

    return conv_choose(cpu, d, &c);
}

static size_t method_scratch(const struct cpu *cpu, enum conv_method method, const struct corr *c,
                             bool packed)
{
    return method == METHOD_DEPTHWISE ? 0
           : method == METHOD_PRODUCT ? corr_scratch(cpu, c, packed)
                                      : wino_scratch(cpu, c, conv_tile(method), packed);
}

static void method_run(const struct cpu *cpu, enum conv_method method, const struct corr *c,
                       const real *packed, void *scratch)
{
    if (method == METHOD_PRODUCT) {
        corr_run(cpu, c, packed, scratch);
    } else {
        wino_run(cpu, c, conv_tile(method), packed, scratch);
    }
}

static size_t backward_scratch(const struct cpu *cpu, const struct conv_desc *d, struct view dx,
                               struct view dy, bool packed)
{
    const enum conv_method method = choose_bwd(cpu, d, dx, dy);
    size_t most = 0;

    for (int phase = 0; phase < d->stride * d->stride; phase++) {
        const struct corr c = backward_corr(d, dy, dx, 0, phase);
        const size_t bytes =
            reaches(&c) ? method_scratch(cpu, method, &c, packed && d->stride == 1) : 0;
        most = bytes > most ? bytes : most;
    }
    return most;
}

static bool is_depthwise(const struct cpu *cpu, const struct conv_desc *d, struct view x,
                         struct view y)
{
    return choose_fwd(cpu, d, x, y) == METHOD_DEPTHWISE;
}

static const char *fast_conv_algorithm(struct backend *be, const struct conv_desc *d,
                                       enum conv_pass pass, struct view x, struct view y)
{
    const struct cpu *cpu = be->ctx;
    static const char *const name[METHODS] = {[METHOD_PRODUCT] = "product",
                                              [METHOD_DEPTHWISE] = "depthwise",
                                              [METHOD_F2] = "f2",
                                              [METHOD_F4] = "f4",
                                              [METHOD_F6] = "f6"};

    if (pass == CONV_BWD_WEIGHT) {
        return name[conv_choose_weight(cpu, d, view_slice(x, 0, x.c / d->groups),
                                       view_slice(y, 0, y.c / d->groups))];
    }
    return name[pass == CONV_FWD ? choose_fwd(cpu, d, x, y) : choose_bwd(cpu, d, x, y)];
}

/* Of one group. */
static size_t weight_scratch(const struct cpu *cpu, const struct conv_desc *d, struct view x,
                             struct view dy)
{
    const enum conv_method method = conv_choose_weight(cpu, d, x, dy);

    return method == METHOD_DEPTHWISE ? 0
           : method == METHOD_PRODUCT ? conv_weight_scratch(cpu, d, x, dy)
                                      : wino_weight_scratch(cpu, d, x, dy, conv_tile(method));
}

static size_t fast_conv_scratch(struct backend *be, const struct conv_desc *d,
                                const struct conv_use *use, struct view x, struct view y)
{
    const struct cpu *cpu = be->ctx;

    if (use->pass == CONV_FWD) {
        const struct corr c = forward_corr(d, x, y, 0);
        return method_scratch(cpu, conv_choose(cpu, d, &c), &c, use->packed);
    }
    if (use->pass == CONV_BWD_DATA) {
        return backward_scratch(cpu, d, x, y, use->packed);
    }
    return weight_scratch(cpu, d, view_slice(x, 0, x.c / d->groups),
                          view_slice(y, 0, y.c / d->groups));
}

/* Of one group. */
static size_t method_pack_bytes(enum conv_method method, const struct corr *c)
{
    return method == METHOD_DEPTHWISE ? 0
           : method == METHOD_PRODUCT ? corr_pack_bytes(c)
                                      : wino_pack_bytes(c, conv_tile(method));
}

/* Data gradients of strided convolutions are several correlations: none prepares anything. */
static size_t fast_conv_pack_bytes(struct backend *be, const struct conv_desc *d,
                                   enum conv_pass pass, struct view x, struct view y)
{
    const struct cpu *cpu = be->ctx;
    const struct corr c =
        pass == CONV_FWD ? forward_corr(d, x, y, 0) : backward_corr(d, y, x, 0, 0);

    return pass == CONV_BWD_DATA && d->stride > 1
               ? 0
               : (size_t)d->groups * method_pack_bytes(conv_choose(cpu, d, &c), &c);
}

static size_t group_weights(const struct conv_desc *d, const struct corr *c)
{
    return (size_t)c->src.c * (size_t)c->dst.c * (size_t)d->kh * (size_t)d->kw;
}

/* The prepared weights of group g, NULL when there are none. */
static real *group_packed(const struct corr *c, enum conv_method method, int g, const void *packed)
{
    /* The one who prepares writes, all others read. */
    char *p = (char *)(uintptr_t)packed;

    return p ? (real *)(void *)(p + (size_t)g * method_pack_bytes(method, c)) : NULL;
}

static void fast_conv_pack(struct backend *be, const struct conv_desc *d, enum conv_pass pass,
                           struct view x, struct view y, const real *w, const real *bias,
                           void *packed)
{
    const struct cpu *cpu = be->ctx;

    (void)bias;
    for (int g = 0; g < d->groups; g++) {
        struct corr c = pass == CONV_FWD ? forward_corr(d, x, y, g) : backward_corr(d, y, x, g, 0);
        const enum conv_method method = conv_choose(cpu, d, &c);
        real *to = group_packed(&c, method, g, packed);
        c.w = w + (size_t)g * group_weights(d, &c);
        if (method == METHOD_PRODUCT) {
            corr_pack(cpu, &c, to);
        } else {
            wino_pack(cpu, &c, conv_tile(method), to);
        }
    }
}

static bool fast_conv_norms(struct backend *be, const struct conv_desc *d, struct view x,
                            struct view y)
{
    const struct cpu *cpu = be->ctx;
    const struct corr c = forward_corr(d, x, y, 0);

    return d->groups == 1 && conv_choose(cpu, d, &c) == METHOD_PRODUCT && corr_reads_planes(&c);
}

static void fast_conv_fwd(struct backend *be, const struct conv_desc *d, struct view x,
                          struct conv_weight w, const struct conv_tail *tail, struct view y,
                          void *scratch)
{
    const struct cpu *cpu = be->ctx;
    const enum conv_method method = choose_fwd(cpu, d, x, y);

    if (method == METHOD_DEPTHWISE) {
        depthwise_fwd(cpu, d, x, w.w, tail, y);
        return;
    }
    for (int g = 0; g < d->groups; g++) {
        struct corr c = forward_corr(d, x, y, g);
        c.head = tail->head;
        c.w = w.w + (size_t)g * group_weights(d, &c);
        c.bias = tail->bias ? tail->bias + g * c.dst.c : NULL;
        c.plus = view_slice(tail->add, g * c.dst.c, c.dst.c);
        c.act = tail->act;
        method_run(cpu, method, &c, group_packed(&c, method, g, w.packed), scratch);
    }
}

static void fast_conv_bwd_data(struct backend *be, const struct conv_desc *d, struct conv_weight w,
                               struct view dy, real beta, struct view dx, void *scratch)
{
    const struct cpu *cpu = be->ctx;
    const enum conv_method method = choose_bwd(cpu, d, dx, dy);

    if (method == METHOD_DEPTHWISE) {
        depthwise_bwd_data(cpu, d, w.w, dy, beta, dx);
        return;
    }
    if (beta == 0 && has_gaps(d, dx, dy)) {
        be->ops->fill(be, dx, 0);
    }
    for (int i = 0; i < d->groups * d->stride * d->stride; i++) {
        const int g = i / (d->stride * d->stride);
        struct corr c = backward_corr(d, dy, dx, g, i % (d->stride * d->stride));
        if (reaches(&c)) {
            c.w = w.w + (size_t)g * group_weights(d, &c);
            c.add = beta != 0;
            method_run(cpu, method, &c, group_packed(&c, method, g, w.packed), scratch);
        }
    }
}

static void weight_run(const struct cpu *cpu, const struct conv_desc *d, struct view x,
                       struct view dy, real *dw, void *scratch)
{
    const enum conv_method method = conv_choose_weight(cpu, d, x, dy);

    if (method == METHOD_PRODUCT) {
        conv_weight_run(cpu, d, x, dy, dw, scratch);
    } else {
        wino_weight_run(cpu, d, x, dy, conv_tile(method), dw, scratch);
    }
}

static void fast_conv_bwd_weight(struct backend *be, const struct conv_desc *d, struct view x,
                                 struct view dy, real *dw, real *dbias, void *scratch)
{
    const struct cpu *cpu = be->ctx;
    const int in = x.c / d->groups, out = dy.c / d->groups;
    const size_t group = (size_t)in * (size_t)out * (size_t)d->kh * (size_t)d->kw;

    if (is_depthwise(cpu, d, x, dy)) {
        depthwise_bwd_weight(cpu, d, x, dy, dw);
    } else {
        for (int g = 0; g < d->groups; g++) {
            weight_run(cpu, d, view_slice(x, g * in, in), view_slice(dy, g * out, out),
                       dw + (size_t)g * group, scratch);
        }
    }
    if (dbias) {
        be->ops->channel_sum(be, dy, dbias);
    }
}

void fast_conv_entries(struct backend_ops *ops)
{
    ops->conv_algorithm = fast_conv_algorithm;
    ops->conv_scratch = fast_conv_scratch;
    ops->conv_pack_bytes = fast_conv_pack_bytes;
    ops->conv_pack = fast_conv_pack;
    ops->conv_norms = fast_conv_norms;
    ops->conv_fwd = fast_conv_fwd;
    ops->conv_bwd_data = fast_conv_bwd_data;
    ops->conv_bwd_weight = fast_conv_bwd_weight;
}
