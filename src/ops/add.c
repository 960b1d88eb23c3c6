/*
 * add.c - y = act(a + b), a residual connection. Both gradients are the one before act, and
 * are written once where they can be in one place (graph/grad.c).
 */
#include "util.h"

static enum vov_status add_infer(struct graph *g, struct node *n, struct err *err)
{
    const struct act_attr *a = n->attr;
    TRY(count_inputs(n, 2, 2, err));
    TRY(same_shape(n, 0, 1, err));
    TRY(check_fused(g, a->act, err));
    graph_out(g, n, n->in[0]->shape);
    return VOV_OK;
}

static void add_saves(const struct node *n, unsigned *in, unsigned *out)
{
    const struct act_attr *a = n->attr;
    *in = 0;
    *out = a->act != ACT_LINEAR;
}

static void add_forward(const struct node *n, const struct op_ctx *ctx)
{
    const struct act_attr *a = n->attr;
    ctx->be->ops->add(ctx->be, a->act, n->in[0]->val, n->in[1]->val, n->out[0]->val);
}

static void add_backward(const struct node *n, const struct op_ctx *ctx)
{
    const struct act_attr *a = n->attr;
    const struct view none = {0};
    for (int i = 0; i < 2; i++) {
        if (n->gmode[i] != GRAD_NONE) {
            ctx->be->ops->act_bwd(ctx->be, a->act, none, n->out[0]->val, n->out[0]->grad,
                                  node_beta(n, i), n->in[i]->grad);
        }
    }
}

static enum vov_status add_absorb(struct graph *g, struct node *n, const struct node *next,
                                  bool *done)
{
    struct act_attr *a = n->attr;
    (void)g;
    *done = act_absorb(next, &a->act);
    return VOV_OK;
}

const struct op_type op_add = {
    .name = "add",
    .attr_size = sizeof(struct act_attr),
    .saves = add_saves,
    .cheap = true,
    .view_out = true,
    .same_grad = true,
    .narrow = true,
    .infer = add_infer,
    .forward = add_forward,
    .backward = add_backward,
    .absorb = add_absorb,
};
