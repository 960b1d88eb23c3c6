/*
 * connections.h - how much each layer of a block makes of the layers before it: the heat map of
 * DenseNet (Huang et al. 2017, Fig. 5) and VoVNet (Lee et al. 2019, Fig. 2). For a
 * convolution and one of the outputs that its input joins, the mean absolute weight between them.
 */
#ifndef VOV_CONNECTIONS_H
#define VOV_CONNECTIONS_H

#include "model.h"

/* The layers around one concat. Names are in the list's memory. */
struct connection_block {
    const char *name;    /* of the concat, without what follows its section's name */
    const char **source; /* [n_sources] what the concat joins, in its order */
    const char **target; /* [n_targets] layers that read some of it, in running order */
    int n_sources, n_targets;
    double *mean; /* [n_targets][n_sources] mean |weight|; -1: it does not read that source */
    double *part; /* the same, divided by the most of its target: 0..1; -1 */
};

struct connections {
    struct arena mem;
    struct connection_block *block;
    int n;
};

/* Of a started model whose weights are loaded, and not folded. VOV_EFORMAT where it has no concat
 * that a layer reads. Freed by connections_free, on failure too. */
enum vov_status connections_find(const struct model *m, struct connections *c, struct err *err);
void connections_free(struct connections *c);

#endif
