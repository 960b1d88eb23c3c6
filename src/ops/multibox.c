/*
 * multibox.c - SSD's MultiBox loss with RefineDet's additions (docs/refinedet.md): matching, hard
 * negatives, and both losses in one node. See det/multibox.h.
 */
#include "util.h"

enum { LOC, CONF, TRUTH, ARM_LOC, ARM_CONF };

static enum vov_status expect(const struct node *n, int i, int rows, int columns, struct err *err)
{
    const struct shape s = n->in[i]->shape;
    if (s.n != n->in[LOC]->shape.n || s.c != rows || s.h != columns || s.w != 1) {
        return err_set(err, VOV_ESHAPE, "%s must be %dx%dx1, but is %dx%dx%d", n->in[i]->name, rows,
                       columns, s.c, s.h, s.w);
    }
    return VOV_OK;
}

static enum vov_status multibox_infer(struct graph *g, struct node *n, struct err *err)
{
    const struct multibox_attr *a = n->attr;
    const int p = a->d.n_priors;
    TRY(count_inputs(n, 3, 5, err));
    if (n->n_in == 4) {
        return err_set(err, VOV_ESHAPE, "arm_loc without arm_conf");
    }
    TRY(expect(n, LOC, p, 4, err));
    TRY(expect(n, CONF, p, a->d.n_classes, err));
    TRY(expect(n, TRUTH, n->in[TRUTH]->shape.c, 5, err));
    if (n->n_in == 5) {
        TRY(expect(n, ARM_LOC, p, 4, err));
        TRY(expect(n, ARM_CONF, p, 2, err));
    }
    struct tensor *loss = graph_out(g, n, (struct shape){1, 3, 1, 1});
    if (loss != NULL) {
        loss->flags |= T_LOSS | T_KEEP;
    }
    graph_out(g, n, (struct shape){n->in[LOC]->shape.n, p, 5, 1});
    struct tensor *priors = graph_out(g, n, (struct shape){1, p, 4, 1});
    if (priors != NULL) {
        priors->constant = &a->d.priors[0].x0;
    }
    return VOV_OK;
}

static size_t multibox_scratch(const struct node *n, struct backend *be, bool training)
{
    const struct multibox_attr *a = n->attr;
    (void)training;
    return be->ops->multibox_scratch(be, &a->d, n->in[CONF]->val, n->in[TRUTH]->val);
}

static void multibox_forward(const struct node *n, const struct op_ctx *ctx)
{
    const struct multibox_attr *a = n->attr;
    const struct view none = {0};
    const bool refined = n->n_in > ARM_CONF;
    ctx->be->ops->multibox_fwd(ctx->be, &a->d, n->out[2]->val, n->in[LOC]->val, n->in[CONF]->val,
                               refined ? n->in[ARM_LOC]->val : none,
                               refined ? n->in[ARM_CONF]->val : none, n->in[TRUTH]->val,
                               n->out[1]->val, n->out[0]->val.p, ctx->scratch);
}

static void multibox_backward(const struct node *n, const struct op_ctx *ctx)
{
    const struct multibox_attr *a = n->attr;
    const struct view none = {0};
    const real gain = ctx->gain * (a->weight != 0 ? (real)a->weight : 1);
    ctx->be->ops->multibox_bwd(
        ctx->be, &a->d, n->in[LOC]->val, n->in[CONF]->val, n->out[1]->val, n->out[0]->val.p, gain,
        node_beta(n, LOC), n->gmode[LOC] == GRAD_NONE ? none : n->in[LOC]->grad, node_beta(n, CONF),
        n->gmode[CONF] == GRAD_NONE ? none : n->in[CONF]->grad);
}

const struct op_type op_multibox = {
    .name = "multibox",
    .attr_size = sizeof(struct multibox_attr),
    .saves_in = 1 << LOC | 1 << CONF,
    .saves_out = 3,
    .no_grad_in = 1 << TRUTH | 1 << ARM_LOC | 1 << ARM_CONF,
    .infer = multibox_infer,
    .scratch = multibox_scratch,
    .forward = multibox_forward,
    .backward = multibox_backward,
};
