/*
 * cost.c - what one forward pass costs, for each node and in sum.
 */
#include "graph.h"

/* Shared ones count where they were made. */
static int64_t learnable(const struct node *n)
{
    int64_t sum = 0;
    for (int i = 0; i < n->n_param && !n->shares; i++) {
        const enum param_kind k = n->param[i]->kind;
        if (k != PARAM_MEAN && k != PARAM_VAR) {
            sum += (int64_t)shape_count(n->param[i]->shape);
        }
    }
    return sum;
}

struct op_cost node_cost(const struct node *n)
{
    struct op_cost c = {0};
    if (n->type->cost != NULL) {
        n->type->cost(n, &c);
    }
    c.params = learnable(n);
    c.outputs = c.madds > 0 ? (int64_t)shape_count(n->out[0]->shape) : 0;
    return c;
}

struct op_cost graph_cost(const struct graph *g)
{
    struct op_cost sum = {0};
    for (int i = 0; i < g->n_nodes; i++) {
        const struct op_cost c = node_cost(g->nodes[i]);
        sum.madds += c.madds;
        sum.mac += c.mac;
        sum.bn += c.bn;
        sum.params += c.params;
        sum.outputs += c.outputs;
    }
    return sum;
}
