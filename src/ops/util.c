/*
 * util.c - what several ops share.
 */
#include "util.h"

#include <math.h>

enum vov_status same_shape(const struct node *n, int a, int b, struct err *err)
{
    const struct shape s = n->in[a]->shape, t = n->in[b]->shape;
    if (s.n != t.n || s.c != t.c || s.h != t.h || s.w != t.w) {
        return err_set(err, VOV_ESHAPE, "%s is %dx%dx%d and %s is %dx%dx%d; they must be equal",
                       n->in[a]->name, s.c, s.h, s.w, n->in[b]->name, t.c, t.h, t.w);
    }
    return VOV_OK;
}

enum vov_status count_inputs(const struct node *n, int least, int most, struct err *err)
{
    if (n->n_in < least || n->n_in > most) {
        return err_set(err, VOV_ESHAPE, "%s takes %d to %d inputs, not %d", n->type->name, least,
                       most, n->n_in);
    }
    return VOV_OK;
}

enum vov_status rows_expect(const struct node *n, int i, struct shape want, struct err *err)
{
    const struct shape s = n->in[i]->shape;
    if (s.n != want.n || s.c != want.c || s.h != want.h || s.w != want.w) {
        return err_set(err, VOV_ESHAPE, "%s must be %dx%dx%dx%d, but is %dx%dx%dx%d",
                       n->in[i]->name, want.n, want.c, want.h, want.w, s.n, s.c, s.h, s.w);
    }
    return VOV_OK;
}

void loss_out(struct graph *g, struct node *n, int numbers)
{
    struct tensor *loss = graph_out(g, n, (struct shape){1, numbers, 1, 1});
    if (loss != NULL) {
        loss->flags |= T_LOSS | T_KEEP;
    }
}

struct view wanted_grad(const struct node *n, int i)
{
    const struct view none = {0};
    return n->gmode[i] == GRAD_NONE ? none : n->in[i]->grad;
}

enum vov_status conv_check(const struct conv_attr *a, int in_c, struct err *err)
{
    const struct conv_desc *d = &a->d;
    if (a->out_c < 1 || d->kh < 1 || d->kw < 1 || d->stride < 1 || d->pad < 0 || d->dilation < 1 ||
        d->groups < 1) {
        return err_set(err, VOV_ESHAPE,
                       "%d filters of %dx%d, stride %d, padding %d, dilation %d, %d groups: all "
                       "but the padding must be at least 1",
                       a->out_c, d->kh, d->kw, d->stride, d->pad, d->dilation, d->groups);
    }
    if (in_c % d->groups != 0 || a->out_c % d->groups != 0) {
        return err_set(err, VOV_ESHAPE,
                       "%d input and %d output channels do not divide into %d groups", in_c,
                       a->out_c, d->groups);
    }
    return VOV_OK;
}

long long conv_size(int in, int k, const struct conv_desc *d)
{
    const long long left = in + 2LL * d->pad - (long long)d->dilation * (k - 1) - 1;
    return left < 0 ? 0 : left / d->stride + 1;
}

size_t most_scratch(struct backend *be, const struct conv_desc *d, const struct conv_use *use,
                    int n, struct view x, struct view y)
{
    size_t most = 0;
    for (int i = 0; i < n; i++) {
        const size_t bytes = be->ops->conv_scratch(be, d, &use[i], x, y);
        most = bytes > most ? bytes : most;
    }
    return most;
}

struct param_init init_or_he(struct param_init given, double fan_in)
{
    if (given.kind == INIT_CONST && given.scale == 0) {
        return (struct param_init){INIT_NORMAL, sqrt(2 / fan_in)};
    }
    return given;
}

enum vov_status check_fused(const struct graph *g, enum act act, struct err *err)
{
    if (g->training && !act_from_output(act)) {
        return err_set(err, VOV_EUNSUPPORTED,
                       "%s cannot be fused in training; make it a layer of its own", act_name(act));
    }
    return VOV_OK;
}

void unfuse_act(const struct node *n, const struct op_ctx *ctx, enum act act)
{
    const struct view none = {0};
    const struct view y = n->out[0]->val, dy = n->out[0]->grad;
    if (act != ACT_LINEAR) {
        ctx->be->ops->act_bwd(ctx->be, act, none, y, dy, 0, dy);
    }
}

void conv_cost(const struct node *n, int64_t places, struct op_cost *cost)
{
    const struct shape x = n->in[0]->shape, y = n->out[0]->shape, w = n->param[0]->shape;
    const int64_t weights = (int64_t)shape_count(w);
    const int64_t per_row = weights / w.n;
    cost->madds = places * w.n * per_row;
    cost->mac = (int64_t)shape_count(x) + (int64_t)shape_count(y) + weights;
}
