/*
 * cost.c - what one forward pass costs, summed over the nodes.
 */
#include "graph.h"

struct op_cost graph_cost(const struct graph *g)
{
    struct op_cost sum = {0};
    for (int i = 0; i < g->n_nodes; i++) {
        struct op_cost c = {0};
        if (g->nodes[i]->type->cost != NULL) {
            g->nodes[i]->type->cost(g->nodes[i], &c);
        }
        sum.madds += c.madds;
        sum.mac += c.mac;
        sum.bn += c.bn;
    }
    return sum;
}
