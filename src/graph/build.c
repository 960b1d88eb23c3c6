/*
 * build.c - making a graph node by node: names, tensors, parameters. Everything lives in the
 * graph's own memory and dies with it. Shapes are known, and checked, as soon as a node is there.
 */
#include "graph.h"

#include <limits.h>
#include <string.h>

/* The most numbers in one image of a tensor, or in a parameter: kernels index them with int. */
static const size_t TENSOR_MAX = INT_MAX;

void graph_init(struct graph *g, bool training)
{
    *g = (struct graph){.training = training};
}

void graph_free(struct graph *g)
{
    mem_free(g->nodes);
    mem_free(g->tensors);
    map_free(&g->names);
    arena_free(&g->mem);
    *g = (struct graph){0};
}

static struct tensor *add_tensor(struct graph *g, const char *name, struct shape shape,
                                 unsigned flags)
{
    struct tensor *t = arena_alloc(&g->mem, sizeof *t);
    if (t == NULL || name == NULL || !VEC_GROW(g->tensors, g->n_tensors, g->cap_tensors)) {
        g->out_of_memory = true;
        return NULL;
    }
    t->name = name;
    t->shape = shape;
    t->flags = flags;
    t->id = g->n_tensors;
    t->root = t;
    g->tensors[g->n_tensors++] = t;
    return t;
}

struct tensor *graph_input(struct graph *g, const char *name, struct shape shape)
{
    const unsigned kept = g->training ? T_KEEP : 0; /* to look at after a bad loss */
    return add_tensor(g, arena_strdup(&g->mem, name), shape, T_INPUT | kept);
}

struct tensor *graph_out(struct graph *g, struct node *n, struct shape shape)
{
    const char *name = n->n_out == 0 ? n->name : arena_printf(&g->mem, "%s:%d", n->name, n->n_out);
    struct tensor *t = add_tensor(g, name, shape, 0);
    if (t != NULL) {
        t->producer = n;
        n->out[n->n_out++] = t;
    }
    return t;
}

/* The parameter of g->share in the same place. NULL: it has none such. */
static struct tensor *shared_param(const struct graph *g, struct node *n, struct shape s,
                                   enum param_kind kind)
{
    struct tensor *t = n->n_param < g->share->n_param ? g->share->param[n->n_param] : NULL;

    if (t == NULL || t->kind != kind || t->shape.n != s.n || t->shape.c != s.c ||
        t->shape.h != s.h || t->shape.w != s.w) {
        return NULL;
    }
    t->flags |= T_SHARED;
    n->shares = true;
    n->param[n->n_param++] = t;
    return t;
}

struct tensor *graph_param(struct graph *g, struct node *n, const char *name, struct shape shape,
                           enum param_kind kind, struct param_init init)
{
    if (g->share != NULL) {
        return shared_param(g, n, shape, kind);
    }
    struct tensor *t = add_tensor(g, arena_printf(&g->mem, "%s/%s", n->name, name), shape, T_PARAM);
    if (t != NULL) {
        t->kind = kind;
        t->init = init;
        n->param[n->n_param++] = t;
    }
    return t;
}

uint64_t graph_hash(const char *name)
{
    uint64_t h = 0xcbf29ce484222325U;
    for (; *name != '\0'; name++) {
        h = (h ^ (unsigned char)*name) * 0x100000001b3U;
    }
    return h;
}

struct node *graph_find(const struct graph *g, const char *name)
{
    struct node *n = map_get(&g->names, name);
    const bool there = n != NULL && n->index < g->n_nodes && g->nodes[n->index] == n;

    return there ? n : NULL; /* else it was folded into another */
}

static const char *unique_name(struct graph *g, const char *name)
{
    const char *s = arena_strdup(&g->mem, name);
    for (int i = 2; s != NULL && map_get(&g->names, s) != NULL; i++) {
        s = arena_printf(&g->mem, "%s%d", name, i);
    }
    return s;
}

/* A node with its inputs, outside of the graph yet. NULL: no memory. */
static struct node *new_node(struct graph *g, const struct op_type *type, const char *name,
                             const void *attr, int n_in)
{
    struct node *n = arena_alloc(&g->mem, sizeof *n);
    if (n == NULL) {
        return NULL;
    }
    n->type = type;
    n->name = unique_name(g, name);
    n->at = g->at;
    n->n_in = n_in;
    n->in = arena_alloc(&g->mem, (size_t)n_in * sizeof n->in[0] + 1);
    n->gmode = arena_alloc(&g->mem, (size_t)n_in * sizeof n->gmode[0] + 1);
    n->attr = arena_alloc(&g->mem, type->attr_size + 1);
    n->salt = n->name != NULL ? graph_hash(n->name) : 0;
    if (n->name == NULL || n->in == NULL || n->gmode == NULL || n->attr == NULL) {
        return NULL;
    }
    if (type->attr_size > 0) {
        memcpy(n->attr, attr, type->attr_size);
    }
    return n;
}

/* Products of dimensions must fit: no kernel checks them again. */
static enum vov_status check_size(const struct tensor *t, struct err *err)
{
    const struct shape s = t->shape;
    const int dim[] = {s.c, s.h, s.w};
    size_t count = 1;
    for (int i = 0; i < 3; i++) {
        if (dim[i] < 1 || (size_t)dim[i] > TENSOR_MAX / count) {
            return err_set(err, VOV_ESHAPE, "a tensor of %dx%dx%d numbers cannot be", s.c, s.h,
                           s.w);
        }
        count *= (size_t)dim[i];
    }
    if (s.n < 1 || ((t->flags & T_PARAM) != 0 && (size_t)s.n > TENSOR_MAX / count)) {
        return err_set(err, VOV_ESHAPE, "a tensor of %dx%dx%dx%d numbers cannot be", s.n, s.c, s.h,
                       s.w);
    }
    return VOV_OK;
}

static enum vov_status check_sizes(const struct node *n, struct err *err)
{
    for (int i = 0; i < n->n_out; i++) {
        TRY(check_size(n->out[i], err));
    }
    for (int i = 0; i < n->n_param; i++) {
        TRY(check_size(n->param[i], err));
    }
    return VOV_OK;
}

static enum vov_status infer_node(struct graph *g, struct node *n, struct err *err)
{
    for (int i = 0; i < n->n_in; i++) {
        TRY(check_size(n->in[i], err));
    }
    TRY(n->type->infer(g, n, err));
    if (g->out_of_memory) {
        return err_nomem(err, sizeof(struct tensor));
    }
    if (g->share != NULL && n->n_param != g->share->n_param) {
        return err_set(err, VOV_ESHAPE, "its parameters are not of the shapes of those of %s",
                       g->share->name);
    }
    return check_sizes(n, err);
}

enum vov_status graph_add(struct graph *g, const struct op_type *type, const char *name,
                          const void *attr, struct tensor *const *in, int n_in, struct tensor **out,
                          struct err *err)
{
    for (int i = 0; i < n_in; i++) {
        if (in[i] == NULL) { /* what graph_input gives when memory is out */
            return err_nomem(err, sizeof(struct tensor));
        }
    }
    struct node *n = new_node(g, type, name, attr, n_in);
    if (n == NULL || !VEC_GROW(g->nodes, g->n_nodes, g->cap_nodes)) {
        g->out_of_memory = true;
        return err_nomem(err, sizeof *n);
    }
    for (int i = 0; i < n_in; i++) {
        n->in[i] = in[i];
    }
    const enum vov_status status = infer_node(g, n, err);
    g->share = NULL;
    if (status != VOV_OK) {
        err_locate(err, &n->at, n->name);
        return status;
    }
    if (!map_put(&g->names, n->name, n)) {
        g->out_of_memory = true;
        return err_nomem(err, sizeof *n);
    }
    n->index = g->n_nodes;
    g->nodes[g->n_nodes++] = n;
    for (int i = 0; out != NULL && i < n->n_out; i++) {
        out[i] = n->out[i];
    }
    return VOV_OK;
}
