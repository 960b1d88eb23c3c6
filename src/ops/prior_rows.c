/*
 * prior_rows.c - the predictions of all levels as one list: a row of k numbers for each prior, in
 * the order level, row, column, anchor (docs/refinedet.md).
 */
#include "util.h"

#include <limits.h>

static enum vov_status rows_infer(struct graph *g, struct node *n, struct err *err)
{
    const struct prior_rows_attr *a = n->attr;
    long long total = 0;
    TRY(count_inputs(n, 1, INT_MAX, err));
    for (int i = 0; i < n->n_in; i++) {
        const struct shape x = n->in[i]->shape;
        if (a->k < 1 || x.c % a->k != 0 || x.n != n->in[0]->shape.n) {
            return err_set(err, VOV_ESHAPE, "%s has %d channels, no multiple of %d", n->in[i]->name,
                           x.c, a->k);
        }
        total += (long long)x.h * x.w * (x.c / a->k);
    }
    if (total > INT_MAX) {
        return err_set(err, VOV_ESHAPE, "%lld priors are too many", total);
    }
    graph_out(g, n, (struct shape){n->in[0]->shape.n, (int)total, a->k, 1});
    return VOV_OK;
}

static int row_count(const struct tensor *x, int k)
{
    return x->shape.h * x->shape.w * (x->shape.c / k);
}

static void rows_forward(const struct node *n, const struct op_ctx *ctx)
{
    const struct prior_rows_attr *a = n->attr;
    int first = 0;
    for (int i = 0; i < n->n_in; i++) {
        ctx->be->ops->prior_rows_fwd(ctx->be, n->in[i]->val, a->k, first, n->out[0]->val);
        first += row_count(n->in[i], a->k);
    }
}

static void rows_backward(const struct node *n, const struct op_ctx *ctx)
{
    const struct prior_rows_attr *a = n->attr;
    int first = 0;
    for (int i = 0; i < n->n_in; i++) {
        if (n->gmode[i] != GRAD_NONE) {
            ctx->be->ops->prior_rows_bwd(ctx->be, n->out[0]->grad, a->k, first, node_beta(n, i),
                                         n->in[i]->grad);
        }
        first += row_count(n->in[i], a->k);
    }
}

const struct op_type op_prior_rows = {
    .name = "prior_rows",
    .attr_size = sizeof(struct prior_rows_attr),
    .infer = rows_infer,
    .forward = rows_forward,
    .backward = rows_backward,
};
