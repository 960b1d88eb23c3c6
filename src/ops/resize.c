/*
 * resize.c - to another size: the nearest pixel (Darknet's upsample), or bilinear with half-pixel
 * centres.
 */
#include "util.h"

enum { RESIZE_MAX = 1 << 20 };

static enum vov_status resize_infer(struct graph *g, struct node *n, struct err *err)
{
    const struct resize_attr *a = n->attr;
    TRY(count_inputs(n, 1, 1, err));
    struct shape y = n->in[0]->shape;
    const long long h = a->scale != 0 ? (long long)y.h * a->scale : a->h;
    const long long w = a->scale != 0 ? (long long)y.w * a->scale : a->w;
    if (h < 1 || w < 1 || h > RESIZE_MAX || w > RESIZE_MAX) {
        return err_set(err, VOV_ESHAPE, "a %dx%d input cannot be resized to %lldx%lld", y.h, y.w, h,
                       w);
    }
    y.h = (int)h;
    y.w = (int)w;
    graph_out(g, n, y);
    return VOV_OK;
}

static void resize_forward(const struct node *n, const struct op_ctx *ctx)
{
    const struct resize_attr *a = n->attr;
    ctx->be->ops->resize_fwd(ctx->be, a->bilinear, n->in[0]->val, n->out[0]->val);
}

static void resize_backward(const struct node *n, const struct op_ctx *ctx)
{
    const struct resize_attr *a = n->attr;
    ctx->be->ops->resize_bwd(ctx->be, a->bilinear, n->out[0]->grad, node_beta(n, 0),
                             n->in[0]->grad);
}

const struct op_type op_resize = {
    .name = "upsample",
    .attr_size = sizeof(struct resize_attr),
    .cheap = true,
    .view_out = true,
    .narrow = true,
    .infer = resize_infer,
    .forward = resize_forward,
    .backward = resize_backward,
};
