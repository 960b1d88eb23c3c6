/*
 * pool.c - max pooling, average pooling, and the average over the whole picture. Windows may hang
 * over the edges and are clipped to the picture there: padding is no number that takes part.
 */
#include "util.h"

/* Windows along `in` pixels. */
static long long windows(const struct pool_attr *a, int in)
{
    const long long room = (long long)in + a->pad_total - a->d.size;
    if (room < 0) {
        return 0;
    }
    long long n = (room + (a->ceil_mode ? a->d.stride - 1 : 0)) / a->d.stride + 1;
    /* PyTorch's rule: the last window must begin inside the picture. */
    while (a->ceil_mode && n > 1 && (n - 1) * a->d.stride - a->d.pad >= in) {
        n--;
    }
    return n;
}

static enum vov_status pool_shape(const struct node *n, struct shape *y, struct err *err)
{
    const struct pool_attr *a = n->attr;
    const struct pool_desc *d = &a->d;
    TRY(count_inputs(n, 1, 1, err));
    const struct shape x = n->in[0]->shape;
    if (d->size < 1 || d->stride < 1 || d->pad < 0 || d->pad >= d->size || a->pad_total < d->pad) {
        return err_set(err, VOV_ESHAPE,
                       "windows of %d, stride %d, padding %d before and %d after: size and stride "
                       "must be at least 1, the padding less than the size",
                       d->size, d->stride, d->pad, a->pad_total - d->pad);
    }
    const long long h = windows(a, x.h), w = windows(a, x.w);
    if (h < 1 || w < 1) {
        return err_set(err, VOV_ESHAPE, "a %dx%d input leaves nothing of a window of %d", x.h, x.w,
                       d->size);
    }
    if ((h - 1) * d->stride - d->pad >= x.h || (w - 1) * d->stride - d->pad >= x.w) {
        return err_set(err, VOV_ESHAPE,
                       "a padding of %d puts whole windows of %d outside a %dx%d input",
                       a->pad_total, d->size, x.h, x.w);
    }
    *y = (struct shape){x.n, x.c, (int)h, (int)w};
    return VOV_OK;
}

static enum vov_status maxpool_infer(struct graph *g, struct node *n, struct err *err)
{
    const struct pool_desc *d = &((const struct pool_attr *)n->attr)->d;
    struct shape y;
    TRY(pool_shape(n, &y, err));
    if (d->size > MAXPOOL_MOST || d->stride > MAXPOOL_MOST) {
        return err_set(err, VOV_ESHAPE, "windows of %d, stride %d: both must be at most %d",
                       d->size, d->stride, MAXPOOL_MOST);
    }
    graph_out(g, n, y);
    if (g->training) {
        graph_out(g, n, y); /* where each maximum was */
    }
    return VOV_OK;
}

static void maxpool_forward(const struct node *n, const struct op_ctx *ctx)
{
    const struct pool_attr *a = n->attr;
    const struct view none = {0};
    ctx->be->ops->maxpool_fwd(ctx->be, &a->d, n->in[0]->val, n->out[0]->val,
                              n->n_out > 1 ? n->out[1]->val : none);
}

static void maxpool_backward(const struct node *n, const struct op_ctx *ctx)
{
    const struct pool_attr *a = n->attr;
    ctx->be->ops->maxpool_bwd(ctx->be, &a->d, n->out[1]->val, n->out[0]->grad, node_beta(n, 0),
                              n->in[0]->grad);
}

const struct op_type op_maxpool = {
    .name = "maxpool",
    .attr_size = sizeof(struct pool_attr),
    .saves_out = 2,
    .narrow = true,
    .view_out = true,
    .infer = maxpool_infer,
    .forward = maxpool_forward,
    .backward = maxpool_backward,
};

static enum vov_status avgpool_infer(struct graph *g, struct node *n, struct err *err)
{
    struct shape y;
    TRY(pool_shape(n, &y, err));
    graph_out(g, n, y);
    return VOV_OK;
}

static void avgpool_forward(const struct node *n, const struct op_ctx *ctx)
{
    const struct pool_attr *a = n->attr;
    ctx->be->ops->avgpool_fwd(ctx->be, &a->d, n->in[0]->val, n->out[0]->val);
}

static void avgpool_backward(const struct node *n, const struct op_ctx *ctx)
{
    const struct pool_attr *a = n->attr;
    ctx->be->ops->avgpool_bwd(ctx->be, &a->d, n->out[0]->grad, node_beta(n, 0), n->in[0]->grad);
}

const struct op_type op_avgpool = {
    .name = "avgpool",
    .attr_size = sizeof(struct pool_attr),
    .narrow = true,
    .view_out = true,
    .infer = avgpool_infer,
    .forward = avgpool_forward,
    .backward = avgpool_backward,
};

static enum vov_status global_infer(struct graph *g, struct node *n, struct err *err)
{
    TRY(count_inputs(n, 1, 1, err));
    graph_out(g, n, (struct shape){n->in[0]->shape.n, n->in[0]->shape.c, 1, 1});
    return VOV_OK;
}

/* One window that hangs over the shorter side. */
static struct pool_desc whole(struct shape x)
{
    const int size = x.h > x.w ? x.h : x.w;
    return (struct pool_desc){size, size, 0};
}

static void global_forward(const struct node *n, const struct op_ctx *ctx)
{
    const struct pool_desc d = whole(n->in[0]->shape);
    ctx->be->ops->avgpool_fwd(ctx->be, &d, n->in[0]->val, n->out[0]->val);
}

static void global_backward(const struct node *n, const struct op_ctx *ctx)
{
    const struct pool_desc d = whole(n->in[0]->shape);
    ctx->be->ops->avgpool_bwd(ctx->be, &d, n->out[0]->grad, node_beta(n, 0), n->in[0]->grad);
}

const struct op_type op_global_avgpool = {
    .name = "global_avgpool",
    .narrow = true,
    .view_out = true,
    .infer = global_infer,
    .forward = global_forward,
    .backward = global_backward,
};
