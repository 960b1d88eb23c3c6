/*
 * conv.c - 2-D convolution. y[n,o] = act(sum over c of w[o,c] * x[n,c] + bias[o]), channels in
 * groups. The weight is [out_c, x.c / groups, kh, kw].
 */
#include "util.h"

static enum vov_status conv_infer(struct graph *g, struct node *n, struct err *err)
{
    struct conv_attr *a = n->attr;
    const struct param_init zero = {INIT_CONST, 0};
    if (g->training && a->d.alg == CONV_AUTO) {
        a->d.alg = CONV_AUTO_F4; /* what F6 gains is not worth its rounding there */
    }
    TRY(count_inputs(n, 1, 1, err));
    const struct shape x = n->in[0]->shape;
    TRY(conv_check(a, x.c, err));
    TRY(check_fused(g, a->act, err));
    const long long h = conv_size(x.h, a->d.kh, &a->d), w = conv_size(x.w, a->d.kw, &a->d);
    if (h < 1 || w < 1) {
        return err_set(err, VOV_ESHAPE, "a %dx%d input leaves nothing of a %dx%d kernel", x.h, x.w,
                       a->d.kh, a->d.kw);
    }
    const struct shape weight = {a->out_c, x.c / a->d.groups, a->d.kh, a->d.kw};
    const double fan_in = (double)weight.c * weight.h * weight.w;
    graph_out(g, n, (struct shape){x.n, a->out_c, (int)h, (int)w});
    graph_param(g, n, "weight", weight, PARAM_WEIGHT, init_or_he(a->init, fan_in));
    if (a->bias) {
        graph_param(g, n, "bias", (struct shape){1, a->out_c, 1, 1}, PARAM_BIAS, zero);
    }
    return VOV_OK;
}

static void conv_saves(const struct node *n, unsigned *in, unsigned *out)
{
    const struct conv_attr *a = n->attr;
    *in = param_learns(n->param[0]);
    *out = a->act != ACT_LINEAR;
}

/* Scratch before the convolution's own: the statistics of the norm before it and, where the device
 * cannot normalise as it reads, its output. */
static size_t aligned(size_t bytes)
{
    return (bytes + 255) / 256 * 256;
}

static size_t stats_bytes(const struct node *n)
{
    const struct conv_attr *a = n->attr;
    return a->before ? aligned(2 * sizeof(real) * (size_t)n->in[0]->shape.c) : 0;
}

static bool norms_itself(const struct node *n, struct backend *be)
{
    const struct conv_attr *a = n->attr;
    return be->ops->conv_norms && be->ops->conv_norms(be, &a->d, n->in[0]->val, n->out[0]->val);
}

static size_t normed_bytes(const struct node *n, struct backend *be)
{
    const struct conv_attr *a = n->attr;
    const struct tensor *x = n->in[0];
    return a->before && !norms_itself(n, be)
               ? aligned(shape_count(x->shape) * number_bytes(x->type))
               : 0;
}

static size_t conv_scratch(const struct node *n, struct backend *be, bool training)
{
    const struct conv_attr *a = n->attr;
    struct conv_use use[3] = {
        {.pass = CONV_FWD, .bias = a->bias, .act = a->act, .packed = !training}};
    if (n->n_in > 1) {
        use[0].plus = n->in[1]->val;
    }
    int uses = 1;
    if (training && n->gmode[0] != GRAD_NONE) {
        use[uses++] = (struct conv_use){.pass = CONV_BWD_DATA, .add = n->gmode[0] == GRAD_ADD};
    }
    if (training && param_learns(n->param[0])) {
        use[uses++] = (struct conv_use){.pass = CONV_BWD_WEIGHT, .bias = a->bias};
    }
    return stats_bytes(n) + normed_bytes(n, be) +
           most_scratch(be, &a->d, use, uses, n->in[0]->val, n->out[0]->val);
}

static size_t conv_pack_bytes(const struct node *n, struct backend *be)
{
    const struct conv_attr *a = n->attr;
    return be->ops->conv_pack_bytes(be, &a->d, CONV_FWD, n->in[0]->val, n->out[0]->val);
}

static void conv_pack(const struct node *n, struct backend *be)
{
    const struct conv_attr *a = n->attr;
    be->ops->conv_pack(be, &a->d, CONV_FWD, n->in[0]->val, n->out[0]->val, n->param[0]->val.p,
                       a->bias ? n->param[1]->val.p : NULL, n->packed);
}

/* The norm before the convolution, as it will be read, or done: x becomes its output. */
static void norm_before(const struct node *n, const struct op_ctx *ctx, struct conv_head *head,
                        struct view *x)
{
    const struct conv_attr *a = n->attr;
    const struct norm_attr *norm = a->before->attr;
    const struct backend_ops *ops = ctx->be->ops;
    struct tensor *const *p = a->before->param; /* gamma, beta, mean, var */
    real *stats = ctx->scratch;

    ops->norm_running(ctx->be, x->c, (real)norm->eps, p[2]->val.p, p[3]->val.p, stats);
    *head = (struct conv_head){stats, p[0]->val.p, p[1]->val.p, norm->act};
    if (!norms_itself(n, ctx->be)) {
        struct view y =
            view_dense((real *)(void *)((char *)stats + stats_bytes(n)), n->in[0]->shape);
        y.type = x->type;
        ops->norm_apply(ctx->be, *x, 0, stats, head->gamma, head->beta, head->act, y);
        *x = y;
    }
}

static void conv_forward(const struct node *n, const struct op_ctx *ctx)
{
    const struct conv_attr *a = n->attr;
    const struct conv_weight w = {n->param[0]->val.p, n->packed};
    struct conv_tail tail = {.bias = a->bias ? n->param[1]->val.p : NULL, .act = a->act};
    struct conv_head head;
    struct view x = n->in[0]->val;
    if (n->n_in > 1) {
        tail.add = n->in[1]->val;
    }
    if (a->before) {
        norm_before(n, ctx, &head, &x);
        tail.head = norms_itself(n, ctx->be) ? &head : NULL;
    }
    ctx->be->ops->conv_fwd(ctx->be, &a->d, x, w, &tail, n->out[0]->val,
                           (char *)ctx->scratch + stats_bytes(n) + normed_bytes(n, ctx->be));
}

static void conv_backward(const struct node *n, const struct op_ctx *ctx)
{
    const struct conv_attr *a = n->attr;
    const struct backend_ops *ops = ctx->be->ops;
    const struct view dy = n->out[0]->grad;
    unfuse_act(n, ctx, a->act);
    if (n->gmode[0] != GRAD_NONE) {
        const struct conv_weight w = {n->param[0]->val.p, NULL};
        ops->conv_bwd_data(ctx->be, &a->d, w, dy, node_beta(n, 0), n->in[0]->grad, ctx->scratch);
    }
    if (param_learns(n->param[0])) {
        ops->conv_bwd_weight(ctx->be, &a->d, n->in[0]->val, dy, n->param[0]->grad.p,
                             a->bias ? n->param[1]->grad.p : NULL, ctx->scratch);
    } else if (a->bias && param_learns(n->param[1])) {
        ops->channel_sum(ctx->be, dy, n->param[1]->grad.p);
    }
}

static void conv_count(const struct node *n, struct op_cost *cost)
{
    const struct shape y = n->out[0]->shape;
    conv_cost(n, (int64_t)y.n * y.h * y.w, cost);
}

static const char *conv_algorithm(const struct node *n, struct backend *be)
{
    const struct conv_attr *a = n->attr;
    return be->ops->conv_algorithm(be, &a->d, CONV_FWD, n->in[0]->val, n->out[0]->val);
}

/* A batch norm that a 1x1 convolution can do as it reads: then no number is written and read again
 * only to be normalised. Dense nets have one before each of their 1x1 convolutions. */
static bool conv_absorb_before(struct node *n, const struct node *before)
{
    struct conv_attr *a = n->attr;
    const struct norm_attr *norm = before->attr;
    if (before->type != &op_norm || norm->groups != 0 || a->d.kh * a->d.kw != 1 ||
        a->d.stride != 1 || a->d.pad != 0 || a->d.groups != 1) {
        return false;
    }
    a->before = before;
    return true;
}

static enum vov_status conv_fold_rows(const struct node *n, struct params *p)
{
    return conv_fold(n, p, false);
}

const struct op_type op_conv = {
    .name = "convolutional",
    .attr_size = sizeof(struct conv_attr),
    .saves = conv_saves,
    .view_out = true,
    .narrow = true,
    .infer = conv_infer,
    .scratch = conv_scratch,
    .pack_bytes = conv_pack_bytes,
    .pack = conv_pack,
    .forward = conv_forward,
    .backward = conv_backward,
    .cost = conv_count,
    .algorithm = conv_algorithm,
    .absorb = conv_absorb,
    .absorb_before = conv_absorb_before,
    .fold = conv_fold_rows,
};
