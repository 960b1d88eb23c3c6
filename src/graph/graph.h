/*
 * graph.h - a network as nodes in running order, and the passes that prepare it: folding of norms,
 * which tensors are slices of others, which gradients are set and which added to, what is computed
 * again in the backward pass, and where every buffer lies.
 *
 *   graph_input, graph_add ...        build
 *   graph_fold_norms                  inference only
 *   graph_narrow                      for devices that keep activations in 16 bits
 *   graph_alias, graph_grad_modes     slices and gradients
 *   plan_build                        steps, lives, addresses: pure, printable
 *   exec.h                            memory, and running it
 */
#ifndef VOV_GRAPH_H
#define VOV_GRAPH_H

#include "base/map.h"
#include "base/mem.h"
#include "op.h"

struct graph {
    struct arena mem;
    struct node **nodes;
    struct tensor **tensors;
    int n_nodes, n_tensors;
    int cap_nodes, cap_tensors;
    struct map names;   /* of all nodes that were added: name -> node */
    bool training;      /* which kind of net is being built: infer() may add labels, losses */
    bool averages;      /* training, and a moving average of the parameters is kept */
    bool out_of_memory; /* an allocation failed; graph_add reports it */
    struct src_loc at;  /* the section being built: given to each new node */
    /* Whose parameters the next node takes instead of its own, which must be of the same shapes;
     * graph_add clears it. NULL: nobody's. Gradients of all who share one add up. */
    const struct node *share;
};

void graph_init(struct graph *g, bool training);
void graph_free(struct graph *g);

/* A tensor that the caller fills. NULL: no memory. */
struct tensor *graph_input(struct graph *g, const char *name, struct shape shape);

/*
 * Adds a node. attr (type->attr_size bytes, NULL for none) is copied. out[] gets n_out tensors and
 * may be NULL; `name` must be unique, else a number is put behind it. The error has the place.
 */
enum vov_status graph_add(struct graph *g, const struct op_type *type, const char *name,
                          const void *attr, struct tensor *const *in, int n_in, struct tensor **out,
                          struct err *err);

/* For infer(): a further output; a parameter called "<node>/<name>". NULL: no memory, which
 * graph_add reports, so that infer() need not. */
struct tensor *graph_out(struct graph *g, struct node *n, struct shape shape);
struct tensor *graph_param(struct graph *g, struct node *n, const char *name, struct shape shape,
                           enum param_kind kind, struct param_init init);

/* Of a name, so that random numbers hang on names and not on an order: FNV-1a, 64 bits (Fowler,
 * Noll, Vo). */
uint64_t graph_hash(const char *name);

struct node *graph_find(const struct graph *g, const char *name); /* NULL: none */

/* The passes, in this order. Each is a pure function of the graph: same graph, same result. */
enum vov_status graph_fold_norms(struct graph *g, struct err *err); /* marks; see fold_weights */

/* Gives the tensors of ops that may have it 16 bits, and puts `convert` (x to y of another type)
 * between them and the others. Parameters stay reals. VOV_OK or VOV_ENOMEM. */
enum vov_status graph_narrow(struct graph *g, enum number type, const struct op_type *convert,
                             struct err *err);
int graph_alias(struct graph *g);                  /* how many concat inputs became slices */
void graph_alias_none(struct graph *g);            /* instead of it: every concat copies */
enum vov_status graph_grad_modes(struct graph *g); /* VOV_OK or VOV_ENOMEM */

/* First part of graph_alias and graph_grad_modes: sets T_LEARNS and T_GRAD. */
void graph_mark_grads(struct graph *g);

/* Whether a gradient flows from n to its input i. After graph_mark_grads. */
bool node_passes_grad(const struct node *n, int i);

/* Whether the backward pass has something to do for n. After graph_grad_modes. */
bool node_differentiates(const struct node *n);

struct op_cost node_cost(const struct node *n);
struct op_cost graph_cost(const struct graph *g); /* the sum */

/* One thing that the executor does. */
struct step {
    enum { STEP_FORWARD, STEP_AGAIN, STEP_BACKWARD } what;
    int node;
};

enum { PLAN_ALIGN = 256 }; /* bytes: each buffer begins at a multiple */

/*
 * A buffer's place and when it is in use, in step numbers. A value that is computed again has two
 * lives at one address. bytes 0: no buffer of its own (a slice, a parameter, an unwanted gradient).
 */
struct plan_item {
    size_t bytes, offset;
    int first[2], last[2]; /* first > last: no such life */
};

struct plan {
    struct step *steps;
    int n_steps, n_forward;
    struct plan_item *items; /* value and gradient of tensor i at 2i and 2i + 1 */
    int n_items;
    size_t arena_bytes, scratch_bytes, pack_bytes;
};

/* How to plan: `again` lets cheap ops be computed again in the backward pass. For tests: `reuse`
 * false gives every buffer its own place; `copy` makes exec_open's concats copy. */
struct plan_options {
    bool again, reuse, copy;
};
enum vov_status plan_build(struct graph *g, struct backend *be, const struct plan_options *opt,
                           struct plan *plan, struct err *err);
void plan_bind(struct graph *g, const struct plan *plan, void *arena);
void plan_free(struct plan *plan);

#endif
