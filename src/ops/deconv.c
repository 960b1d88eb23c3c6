/*
 * deconv.c - transposed convolution: the forward pass is a convolution's gradient of its data, and
 * the other way round. d describes that convolution, which leads from y to x. The weight is
 * [x.c, out_c / groups, kh, kw], as PyTorch has it.
 */
#include "util.h"

static long long deconv_size(int in, int k, const struct conv_desc *d)
{
    return (in - 1LL) * d->stride - 2LL * d->pad + (long long)d->dilation * (k - 1) + 1;
}

static enum vov_status deconv_infer(struct graph *g, struct node *n, struct err *err)
{
    const struct conv_attr *a = n->attr;
    const struct param_init zero = {INIT_CONST, 0};
    TRY(count_inputs(n, 1, 1, err));
    const struct shape x = n->in[0]->shape;
    TRY(conv_check(a, x.c, err));
    TRY(check_fused(g, a->act, err));
    const long long h = deconv_size(x.h, a->d.kh, &a->d), w = deconv_size(x.w, a->d.kw, &a->d);
    if (h < 1 || w < 1 || h > 1 << 24 || w > 1 << 24) {
        return err_set(err, VOV_ESHAPE,
                       "a %dx%d input and a %dx%d kernel with padding %d make %lldx%lld pixels",
                       x.h, x.w, a->d.kh, a->d.kw, a->d.pad, h, w);
    }
    const struct shape weight = {x.c, a->out_c / a->d.groups, a->d.kh, a->d.kw};
    const double fan_in = (double)x.c / a->d.groups * a->d.kh * a->d.kw;
    graph_out(g, n, (struct shape){x.n, a->out_c, (int)h, (int)w});
    graph_param(g, n, "weight", weight, PARAM_WEIGHT, init_or_he(a->init, fan_in));
    if (a->bias) {
        graph_param(g, n, "bias", (struct shape){1, a->out_c, 1, 1}, PARAM_BIAS, zero);
    }
    return VOV_OK;
}

static void deconv_saves(const struct node *n, unsigned *in, unsigned *out)
{
    const struct conv_attr *a = n->attr;
    *in = param_learns(n->param[0]);
    *out = a->act != ACT_LINEAR;
}

/* Scratch of the kernels, to which a gradient that is to be added to another is appended: conv_fwd
 * only overwrites. */
static size_t kernel_scratch(const struct node *n, struct backend *be, bool training)
{
    const struct conv_attr *a = n->attr;
    const struct conv_use use[] = {{.pass = CONV_BWD_DATA, .packed = !training},
                                   {.pass = CONV_FWD},
                                   {.pass = CONV_BWD_WEIGHT}};
    const size_t most =
        most_scratch(be, &a->d, use, training ? 3 : 1, n->out[0]->val, n->in[0]->val);
    return (most + 255) / 256 * 256;
}

static size_t deconv_scratch(const struct node *n, struct backend *be, bool training)
{
    const size_t own = n->gmode[0] == GRAD_ADD ? shape_count(n->in[0]->shape) * sizeof(real) : 0;
    return kernel_scratch(n, be, training) + own;
}

static size_t deconv_pack_bytes(const struct node *n, struct backend *be)
{
    const struct conv_attr *a = n->attr;
    return be->ops->conv_pack_bytes(be, &a->d, CONV_BWD_DATA, n->out[0]->val, n->in[0]->val);
}

static void deconv_pack(const struct node *n, struct backend *be)
{
    const struct conv_attr *a = n->attr;
    be->ops->conv_pack(be, &a->d, CONV_BWD_DATA, n->out[0]->val, n->in[0]->val, n->param[0]->val.p,
                       NULL, n->packed);
}

static void deconv_forward(const struct node *n, const struct op_ctx *ctx)
{
    const struct conv_attr *a = n->attr;
    const struct view y = n->out[0]->val;
    const struct conv_weight w = {n->param[0]->val.p, n->packed};
    ctx->be->ops->conv_bwd_data(ctx->be, &a->d, w, n->in[0]->val, 0, y, ctx->scratch);
    if (a->bias || a->act != ACT_LINEAR) {
        ctx->be->ops->affine(ctx->be, NULL, a->bias ? n->param[1]->val.p : NULL, a->act, y, y);
    }
}

static void data_gradient(const struct node *n, const struct op_ctx *ctx)
{
    const struct conv_attr *a = n->attr;
    const struct backend_ops *ops = ctx->be->ops;
    const bool add = n->gmode[0] == GRAD_ADD;
    const struct view dx = n->in[0]->grad;
    struct view to = dx;
    if (add) {
        char *end = (char *)ctx->scratch + kernel_scratch(n, ctx->be, ctx->training);
        to = view_dense((real *)(void *)end, n->in[0]->shape);
        to.type = dx.type;
    }
    const struct conv_weight w = {n->param[0]->val.p, NULL};
    const struct conv_tail tail = {.act = ACT_LINEAR};
    ops->conv_fwd(ctx->be, &a->d, n->out[0]->grad, w, &tail, to, ctx->scratch);
    if (add) {
        ops->copy(ctx->be, to, 1, dx);
    }
}

static void deconv_backward(const struct node *n, const struct op_ctx *ctx)
{
    const struct conv_attr *a = n->attr;
    const struct backend_ops *ops = ctx->be->ops;
    const struct view dy = n->out[0]->grad;
    unfuse_act(n, ctx, a->act);
    if (n->gmode[0] != GRAD_NONE) {
        data_gradient(n, ctx);
    }
    if (param_learns(n->param[0])) {
        ops->conv_bwd_weight(ctx->be, &a->d, dy, n->in[0]->val, n->param[0]->grad.p, NULL,
                             ctx->scratch);
    }
    if (a->bias && param_learns(n->param[1])) {
        ops->channel_sum(ctx->be, dy, n->param[1]->grad.p);
    }
}

static void deconv_count(const struct node *n, struct op_cost *cost)
{
    const struct shape x = n->in[0]->shape;
    conv_cost(n, (int64_t)x.n * x.h * x.w, cost);
}

static const char *deconv_algorithm(const struct node *n, struct backend *be)
{
    const struct conv_attr *a = n->attr;
    return be->ops->conv_algorithm(be, &a->d, CONV_BWD_DATA, n->out[0]->val, n->in[0]->val);
}

static enum vov_status deconv_fold(const struct node *n, struct params *p)
{
    return conv_fold(n, p, true);
}

const struct op_type op_deconv = {
    .name = "deconvolutional",
    .attr_size = sizeof(struct conv_attr),
    .saves = deconv_saves,
    .view_out = true,
    .narrow = true,
    .infer = deconv_infer,
    .scratch = deconv_scratch,
    .pack_bytes = deconv_pack_bytes,
    .pack = deconv_pack,
    .forward = deconv_forward,
    .backward = deconv_backward,
    .cost = deconv_count,
    .algorithm = deconv_algorithm,
    .absorb = conv_absorb,
    .fold = deconv_fold,
};
