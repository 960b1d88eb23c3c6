/*
 * alias.c - decides which tensors are channel slices of others, so that a concat copies nothing,
 * and which values a training net computes again in its backward pass rather than keep.
 *
 * Again: what cheap ops give, where at most AGAIN_DEPTH of them lead to it from kept values. So a
 * chain of sums, the identities of a residual net, is kept at every few of them; with longer ways
 * less would be kept but more come back at once. A concat is computed again when most of its
 * channels are; the others are then copied into it, not aliased, since a buffer that is given away
 * after the forward pass must be filled anew as a whole.
 *
 * Slices: concats are taken from the last to the first. The output of a dense block's concat is the
 * prefix of the next one's, so that all of them end up in one buffer. Where a gradient flows there
 * is one more condition: the first in the backward pass to write the gradient of the whole buffer
 * overwrites it, so nobody may have written a slice of it before. That somebody is the last reader
 * that a gradient passes through: of a slice it must come before that of the whole (an identity
 * around a block, which reads the block's input after its concat, does not).
 */
#include "graph.h"

enum { AGAIN_DEPTH = 5 };

static bool most_channels_again(const struct node *n)
{
    long long yes = 0, all = 0;

    for (int i = 0; i < n->n_in; i++) {
        all += n->in[i]->shape.c;
        yes += n->in[i]->again > 0 ? n->in[i]->shape.c : 0;
    }
    return 2 * yes > all;
}

/* How many cheap ops one behind the other lead from kept values to n's output; 0: it is kept. */
static int depth(const struct node *n)
{
    int most = 0;

    for (int i = 0; i < n->n_in; i++) {
        most = n->in[i]->again > most ? n->in[i]->again : most;
    }
    if (n->type->gathers) {
        return most_channels_again(n) ? most : 0;
    }
    return most < AGAIN_DEPTH ? most + 1 : 0;
}

static void choose_again(struct graph *g)
{
    for (int i = 0; i < g->n_nodes; i++) {
        const struct node *n = g->nodes[i];
        struct tensor *y = n->out[0];
        const bool may = g->training && n->type->cheap && (y->flags & (T_KEEP | T_LOSS)) == 0;

        y->again = may ? depth(n) : 0;
    }
}

/* The last node through which a gradient comes to t; -1: none does. */
static int last_gradient(const struct graph *g, const struct tensor *t)
{
    for (int i = g->n_nodes - 1; i >= 0 && (t->flags & T_GRAD) != 0; i--) {
        const struct node *n = g->nodes[i];
        for (int k = 0; k < n->n_in; k++) {
            if (n->in[k] == t && node_passes_grad(n, k)) {
                return i;
            }
        }
    }
    return -1;
}

static bool can_be_slice(const struct graph *g, const struct tensor *t, const struct tensor *whole)
{
    if (t->producer == NULL || !t->producer->type->view_out || t->root != t ||
        (t->flags & T_KEEP) != 0 || t->producer->out[0] != t) {
        return false;
    }
    if (whole->again > 0 && t->again == 0) {
        return false;
    }
    return (whole->flags & T_GRAD) == 0 || last_gradient(g, t) < last_gradient(g, whole);
}

static int alias_inputs(struct graph *g, const struct node *n)
{
    struct tensor *whole = n->out[0];
    int first = 0, done = 0;

    for (int i = 0; i < n->n_in; i++) {
        struct tensor *t = n->in[i];
        if (can_be_slice(g, t, whole)) {
            t->root = whole->root;
            t->c_off = whole->c_off + first;
            t->again = whole->again > 0 ? t->again : 0;
            done++;
        }
        first += t->shape.c;
    }
    return done;
}

/* Ops that only name some channels of their input. In training they copy: the gradients of
 * overlapping windows could not be set and added to as a whole. */
static void alias_windows(struct graph *g)
{
    for (int i = 0; i < g->n_nodes; i++) {
        const struct node *n = g->nodes[i];
        struct tensor *y = n->out[0];
        const int first = n->type->window != NULL ? n->type->window(g, n) : -1;

        if (first >= 0 && y->root == y && (y->flags & T_KEEP) == 0) {
            y->root = n->in[0]->root;
            y->c_off = n->in[0]->c_off + first;
        }
    }
}

void graph_alias_none(struct graph *g)
{
    for (int i = 0; i < g->n_tensors; i++) {
        g->tensors[i]->root = g->tensors[i];
        g->tensors[i]->c_off = 0;
    }
    graph_mark_grads(g);
    choose_again(g);
}

int graph_alias(struct graph *g)
{
    int done = 0;

    graph_alias_none(g);
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        if (g->nodes[i]->type->gathers) {
            done += alias_inputs(g, g->nodes[i]);
        }
    }
    if (!g->training) {
        alias_windows(g);
    }
    return done;
}
