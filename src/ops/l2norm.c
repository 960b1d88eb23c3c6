/*
 * l2norm.c - each pixel's channels divided by their Euclidean length, times a learned scale of the
 * channel (Liu et al. 2016, ParseNet).
 */
#include "util.h"

static enum vov_status l2norm_infer(struct graph *g, struct node *n, struct err *err)
{
    const struct l2norm_attr *a = n->attr;
    TRY(count_inputs(n, 1, 1, err));
    const struct shape x = n->in[0]->shape;
    graph_out(g, n, x);
    graph_param(g, n, "gamma", (struct shape){1, x.c, 1, 1}, PARAM_GAMMA,
                (struct param_init){INIT_CONST, a->scale});
    return VOV_OK;
}

static void l2norm_forward(const struct node *n, const struct op_ctx *ctx)
{
    const struct l2norm_attr *a = n->attr;
    ctx->be->ops->l2norm_fwd(ctx->be, n->in[0]->val, n->param[0]->val.p, (real)a->eps,
                             n->out[0]->val);
}

static void l2norm_backward(const struct node *n, const struct op_ctx *ctx)
{
    const struct l2norm_attr *a = n->attr;
    const struct view none = {0};
    ctx->be->ops->l2norm_bwd(ctx->be, n->in[0]->val, n->param[0]->val.p, (real)a->eps,
                             n->out[0]->grad, node_beta(n, 0),
                             n->gmode[0] == GRAD_NONE ? none : n->in[0]->grad, n->param[0]->grad.p);
}

const struct op_type op_l2norm = {
    .name = "l2norm",
    .attr_size = sizeof(struct l2norm_attr),
    .saves_in = 1,
    .cheap = true,
    .view_out = true,
    .narrow = true,
    .infer = l2norm_infer,
    .forward = l2norm_forward,
    .backward = l2norm_backward,
};
