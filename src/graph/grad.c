/*
 * grad.c - who has a gradient, and whether each backward step sets or adds to it. The first writer
 * sets, in the order of the backward pass; a slice counts as written once a tensor that covers it
 * has been, so that no clearing pass is needed.
 */
#include "graph.h"

static bool passes(const struct node *n, int i)
{
    return n->type->backward != NULL && (n->type->no_grad_in >> (i < 31 ? i : 31) & 1) == 0;
}

/* Something before it learns. */
static void mark_learning(struct graph *g, bool *learns)
{
    for (int i = 0; i < g->n_nodes; i++) {
        const struct node *n = g->nodes[i];
        bool any = false;

        for (int k = 0; k < n->n_param; k++) {
            any = any || param_learns(n->param[k]);
        }
        for (int k = 0; k < n->n_in; k++) {
            any = any || (passes(n, k) && learns[n->in[k]->id]);
        }
        learns[n->out[0]->id] = any && n->type->backward != NULL;
    }
}

/* T_GRAD: it learns and a loss comes after. A loss itself needs no gradient memory. */
static void mark_reached(struct graph *g, const bool *learns)
{
    for (int i = 0; i < g->n_tensors; i++) {
        g->tensors[i]->flags &= ~(unsigned)T_GRAD;
    }
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        const struct node *n = g->nodes[i];
        const bool reached = (n->out[0]->flags & (T_GRAD | T_LOSS)) != 0;

        for (int k = 0; k < n->n_in; k++) {
            if (reached && passes(n, k) && learns[n->in[k]->id]) {
                n->in[k]->flags |= T_GRAD;
            }
        }
    }
}

static bool is_written(const struct graph *g, const bool *written, const struct tensor *t)
{
    for (int i = 0; i < g->n_tensors; i++) {
        const struct tensor *u = g->tensors[i];
        if (written[i] && u->root == t->root && u->c_off <= t->c_off &&
            u->c_off + u->shape.c >= t->c_off + t->shape.c) {
            return true;
        }
    }
    return false;
}

static enum grad_mode mode_of(const struct graph *g, bool *written, const struct node *n, int k,
                              int first)
{
    const struct tensor *t = n->in[k];

    if ((n->out[0]->flags & (T_GRAD | T_LOSS)) == 0 || !passes(n, k) || (t->flags & T_GRAD) == 0) {
        return GRAD_NONE;
    }
    if (n->type->gathers && tensor_is_window(n->out[0], first, t)) {
        return GRAD_NONE; /* it lies there already */
    }
    const bool add = is_written(g, written, t);
    written[t->id] = true;
    return add ? GRAD_ADD : GRAD_SET;
}

enum vov_status graph_grad_modes(struct graph *g)
{
    bool *learns = mem_alloc((size_t)g->n_tensors + 1, sizeof *learns);
    bool *written = mem_alloc((size_t)g->n_tensors + 1, sizeof *written);
    const bool ok = learns != NULL && written != NULL;

    if (ok) {
        mark_learning(g, learns);
        mark_reached(g, learns);
    }
    for (int i = g->n_nodes - 1; ok && i >= 0; i--) {
        const struct node *n = g->nodes[i];
        int first = 0;
        for (int k = 0; k < n->n_in; k++) {
            n->gmode[k] = mode_of(g, written, n, k, first);
            first += n->in[k]->shape.c;
        }
    }
    mem_free(learns);
    mem_free(written);
    return ok ? VOV_OK : VOV_ENOMEM;
}

bool node_differentiates(const struct node *n)
{
    if (n->type->backward == NULL || (n->out[0]->flags & (T_GRAD | T_LOSS)) == 0) {
        return false;
    }
    for (int k = 0; k < n->n_in; k++) {
        if (n->gmode[k] != GRAD_NONE) {
            return true;
        }
    }
    for (int k = 0; k < n->n_param; k++) {
        if (param_learns(n->param[k])) {
            return true;
        }
    }
    return false;
}
