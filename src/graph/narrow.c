/*
 * narrow.c - 16-bit tensors. Ops that may (op_type.narrow) get a narrow output; where a tensor and
 * its reader differ a conversion is put before the reader, one for all readers of a tensor.
 */
#include "graph.h"

#include <stdio.h>

struct narrower {
    struct graph *g;
    const struct op_type *convert;
    struct node **nodes; /* the new list */
    int n, cap;
    struct tensor **other; /* [tensors before] of the other type, NULL: none yet */
};

static bool all_readers_narrow(const struct graph *g, const struct tensor *t)
{
    for (int i = 0; i < g->n_nodes; i++) {
        for (int k = 0; k < g->nodes[i]->n_in; k++) {
            if (g->nodes[i]->in[k] == t && !g->nodes[i]->type->narrow) {
                return false;
            }
        }
    }
    return true;
}

static void choose_types(struct graph *g, enum number type)
{
    for (int i = 0; i < g->n_tensors; i++) {
        struct tensor *t = g->tensors[i];
        const bool first = t->producer != NULL && t->producer->out[0] == t;
        const bool input = (t->flags & T_INPUT) != 0 && all_readers_narrow(g, t);
        t->type = input || (first && t->producer->type->narrow) ? type : NUMBER_REAL;
    }
}

static bool push(struct narrower *r, struct node *n)
{
    if (!VEC_GROW(r->nodes, r->n, r->cap)) {
        return false;
    }
    n->index = r->n;
    r->nodes[r->n++] = n;
    return true;
}

/* t in the other type, made by a node in front of the one that reads it. */
static struct tensor *converted(struct narrower *r, struct tensor *t, enum number type,
                                struct err *err)
{
    struct graph *g = r->g;
    char name[300];
    struct tensor *out;

    if (r->other[t->id] == NULL) {
        snprintf(name, sizeof name, "%.250s/%s", t->name, type == NUMBER_REAL ? "wide" : "narrow");
        if (graph_add(g, r->convert, name, NULL, &t, 1, &out, err) != VOV_OK ||
            !push(r, g->nodes[--g->n_nodes])) {
            return NULL;
        }
        out->type = type;
        r->other[t->id] = out;
    }
    return r->other[t->id];
}

static enum vov_status convert_inputs(struct narrower *r, struct node *n, enum number type,
                                      struct err *err)
{
    const enum number want = n->type->narrow ? type : NUMBER_REAL;

    r->g->at = n->at; /* of the conversions: nodes stand in the order of their sections */
    for (int k = 0; k < n->n_in; k++) {
        if (n->in[k]->type != want) {
            n->in[k] = converted(r, n->in[k], want, err);
            if (n->in[k] == NULL) {
                return err_nomem(err, sizeof *n);
            }
        }
    }
    return push(r, n) ? VOV_OK : err_nomem(err, sizeof *n);
}

enum vov_status graph_narrow(struct graph *g, enum number type, const struct op_type *convert,
                             struct err *err)
{
    struct narrower r = {.g = g, .convert = convert};
    enum vov_status status = VOV_OK;
    const int n = g->n_nodes;

    r.other = mem_alloc((size_t)g->n_tensors + 1, sizeof(struct tensor *));
    if (r.other == NULL) {
        return err_nomem(err, (size_t)g->n_tensors * sizeof(struct tensor *));
    }
    choose_types(g, type);
    for (int i = 0; i < n && status == VOV_OK; i++) {
        status = convert_inputs(&r, g->nodes[i], type, err);
    }
    mem_free(r.other);
    if (status != VOV_OK) {
        mem_free(r.nodes);
        return status;
    }
    mem_free(g->nodes);
    g->nodes = r.nodes;
    g->n_nodes = r.n;
    g->cap_nodes = r.cap;
    return VOV_OK;
}
