/*
 * grad.c - who has a gradient, and whether each backward step sets or adds to it. The first writer
 * sets, in the order of the backward pass; a slice counts as written once a tensor that covers it
 * has been, so that no clearing pass is needed. Of a sum's two inputs, whose gradients are equal,
 * one does without memory of its own where the other's has not changed yet when it is read.
 */
#include "graph.h"

static bool passes(const struct node *n, int i)
{
    return n->type->backward != NULL && (n->type->no_grad_in >> (i < 31 ? i : 31) & 1) == 0;
}

static bool learns(const struct node *n)
{
    for (int k = 0; k < n->n_param; k++) {
        if (param_learns(n->param[k])) {
            return true;
        }
    }
    for (int k = 0; k < n->n_in; k++) {
        if (passes(n, k) && (n->in[k]->flags & T_LEARNS) != 0) {
            return true;
        }
    }
    return false;
}

/* A loss comes after n's output. A loss itself needs no gradient memory. */
static bool reached(const struct node *n)
{
    return n->type->backward != NULL && (n->out[0]->flags & (T_GRAD | T_LOSS)) != 0;
}

bool node_passes_grad(const struct node *n, int i)
{
    return reached(n) && passes(n, i) && (n->in[i]->flags & T_GRAD) != 0;
}

void graph_mark_grads(struct graph *g)
{
    for (int i = 0; i < g->n_tensors; i++) {
        g->tensors[i]->flags &= ~(unsigned)(T_GRAD | T_LEARNS);
    }
    for (int i = 0; g->training && i < g->n_nodes; i++) {
        const struct node *n = g->nodes[i];
        if (n->type->backward != NULL && learns(n)) {
            n->out[0]->flags |= T_LEARNS;
        }
    }
    for (int i = g->n_nodes - 1; g->training && i >= 0; i--) {
        const struct node *n = g->nodes[i];
        for (int k = 0; reached(n) && k < n->n_in; k++) {
            if (passes(n, k) && (n->in[k]->flags & T_LEARNS) != 0) {
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

    if (!node_passes_grad(n, k)) {
        return GRAD_NONE;
    }
    if (n->type->gathers && tensor_is_window(n->out[0], first, t)) {
        return GRAD_NONE; /* it lies there already */
    }
    const bool add = is_written(g, written, t);
    written[t->id] = true;
    return add ? GRAD_ADD : GRAD_SET;
}

/* Whether a gradient of t, or of others in its buffer, comes from a node between the two. */
static bool changes_between(const struct graph *g, int first, int last, const struct tensor *t)
{
    for (int i = first + 1; i < last; i++) {
        const struct node *n = g->nodes[i];
        for (int k = 0; k < n->n_in; k++) {
            if (n->in[k]->root == t->root && node_passes_grad(n, k)) {
                return true;
            }
        }
    }
    return false;
}

/* Whether input k of the sum n can read its gradient where the other input's is: n is the first to
 * write both and the only one to write this one, and this one's producer, the only one to read it,
 * comes before the other is written to, read or changed. */
static bool can_share(const struct graph *g, const struct node *n, int k)
{
    const struct tensor *t = n->in[k], *other = n->in[1 - k];
    const struct node *from = t->producer;

    return n->gmode[0] == GRAD_SET && n->gmode[1] == GRAD_SET && t->root == t &&
           t->type == other->type && from != NULL && from->type->leaves_grad != NULL &&
           from->type->leaves_grad(from) &&
           (other->producer == NULL || other->producer->index < from->index) &&
           !changes_between(g, from->index, n->index, t) &&
           !changes_between(g, from->index, n->index, other);
}

static void share_grad(const struct graph *g, struct node *n)
{
    for (int k = 0; k < 2; k++) {
        if (can_share(g, n, k)) {
            n->in[k]->grad_of = n->in[1 - k];
            n->gmode[k] = GRAD_NONE; /* it is there with the other */
        }
    }
}

enum vov_status graph_grad_modes(struct graph *g)
{
    bool *written = mem_alloc((size_t)g->n_tensors + 1, sizeof *written);

    if (written == NULL) {
        return VOV_ENOMEM;
    }
    graph_mark_grads(g);
    for (int i = 0; i < g->n_tensors; i++) {
        g->tensors[i]->grad_of = NULL;
    }
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        struct node *n = g->nodes[i];
        int first = 0;
        for (int k = 0; k < n->n_in; k++) {
            n->gmode[k] = mode_of(g, written, n, k, first);
            first += n->in[k]->shape.c;
        }
        if (n->type->same_grad) {
            share_grad(g, n);
        }
    }
    mem_free(written);
    return VOV_OK;
}

bool node_differentiates(const struct node *n)
{
    if (!reached(n)) {
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
