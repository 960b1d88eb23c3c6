/*
 * activation.c - a function of each number, y = act(x). Backward reads y where the derivative
 * follows from it, x otherwise.
 */
#include "util.h"

#include <stddef.h>

const char *act_name(enum act a)
{
    static const char *const names[ACT_COUNT] = {"linear",   "relu",         "leaky", "relu6",
                                                 "logistic", "hard_sigmoid", "mish",  "swish"};
    return (unsigned)a < ACT_COUNT ? names[a] : "unknown";
}

static enum vov_status act_infer(struct graph *g, struct node *n, struct err *err)
{
    TRY(count_inputs(n, 1, 1, err));
    graph_out(g, n, n->in[0]->shape);
    return VOV_OK;
}

static void act_saves(const struct node *n, unsigned *in, unsigned *out)
{
    const struct act_attr *a = n->attr;
    *in = !act_from_output(a->act);
    *out = act_from_output(a->act) && a->act != ACT_LINEAR;
}

static void act_forward(const struct node *n, const struct op_ctx *ctx)
{
    const struct act_attr *a = n->attr;
    ctx->be->ops->act_fwd(ctx->be, a->act, n->in[0]->val, n->out[0]->val);
}

static void act_backward(const struct node *n, const struct op_ctx *ctx)
{
    const struct act_attr *a = n->attr;
    const struct view none = {0};
    const bool from_y = act_from_output(a->act);
    ctx->be->ops->act_bwd(ctx->be, a->act, from_y ? none : n->in[0]->val,
                          from_y ? n->out[0]->val : none, n->out[0]->grad, node_beta(n, 0),
                          n->in[0]->grad);
}

bool act_absorb(const struct node *next, enum act *act)
{
    if (next->type != &op_activation || *act != ACT_LINEAR) {
        return false;
    }
    *act = ((const struct act_attr *)next->attr)->act;
    return true;
}

const struct op_type op_activation = {
    .name = "activation",
    .attr_size = sizeof(struct act_attr),
    .saves = act_saves,
    .cheap = true,
    .view_out = true,
    .narrow = true,
    .infer = act_infer,
    .forward = act_forward,
    .backward = act_backward,
};
