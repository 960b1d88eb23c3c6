/*
 * fold.c - for inference: norms and activations become part of the operation before them, and norms
 * that are left of the one behind them. The graph is changed before weights are there, the weights
 * once they are.
 */
#include "params.h"

/* The only reader of n's output, when there is just one and the caller does not read it. */
static struct node *only_reader(const struct graph *g, const struct node *n)
{
    struct node *reader = NULL;

    if (n->n_out != 1 || (n->out[0]->flags & T_KEEP) != 0) {
        return NULL;
    }
    for (int i = n->index + 1; i < g->n_nodes; i++) {
        for (int k = 0; k < g->nodes[i]->n_in; k++) {
            if (g->nodes[i]->in[k] == n->out[0]) {
                if (reader != NULL) {
                    return NULL;
                }
                reader = g->nodes[i];
            }
        }
    }
    return reader;
}

static void remove_node(struct graph *g, const struct node *n)
{
    for (int i = n->index; i + 1 < g->n_nodes; i++) {
        g->nodes[i] = g->nodes[i + 1];
        g->nodes[i]->index = i;
    }
    g->n_nodes--;
}

static void absorb_before(struct graph *g)
{
    for (int i = 0; i < g->n_nodes; i++) {
        struct node *n = g->nodes[i];
        const struct node *before = n->n_in > 0 ? n->in[0]->producer : NULL;

        if (n->type->absorb_before != NULL && before != NULL && before->n_in == 1 &&
            only_reader(g, before) == n && n->type->absorb_before(n, before)) {
            n->in[0] = before->in[0];
            remove_node(g, before);
            i--;
        }
    }
}

enum vov_status graph_fold_norms(struct graph *g, struct err *err)
{
    for (int i = 0; i < g->n_nodes; i++) {
        struct node *n = g->nodes[i];
        bool done = n->type->absorb != NULL;

        while (done) {
            struct node *next = only_reader(g, n);
            done = false;
            if (next == NULL) {
                break;
            }
            if (n->type->absorb(g, n, next, &done) != VOV_OK) {
                return err_nomem(err, sizeof(struct tensor));
            }
            if (done) {
                n->out[0] = next->out[0];
                n->out[0]->producer = n;
                remove_node(g, next);
            }
        }
    }
    absorb_before(g);
    return VOV_OK;
}

enum vov_status fold_weights(struct graph *g, struct params *p)
{
    for (int i = 0; i < g->n_nodes; i++) {
        if (g->nodes[i]->type->fold != NULL) {
            TRY(g->nodes[i]->type->fold(g->nodes[i], p));
        }
    }
    return VOV_OK;
}
