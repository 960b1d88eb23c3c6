/*
 * connections.c - a concat whose output goes into no other concat ends a block. Its sources are the
 * tensors that it joins, concats of concats taken apart. Its targets are the layers with weights
 * that read several of the sources joined (a dense layer, a transition, the 1x1 convolution of an
 * OSA module) or one of them on the way to the next (the chain in an OSA module).
 */
#include "connections.h"

#include "ops/ops.h"

#include <math.h>
#include <string.h>

enum { MOST_SOURCES = 512 };

/* One of a block's sources, or one that a target reads. */
struct piece {
    struct tensor *t;
    int first; /* channel in what it was joined to */
};

struct pieces {
    struct piece v[MOST_SOURCES];
    int n;
};

static bool has_weights(const struct node *n)
{
    return n->type == &op_conv || n->type == &op_connected;
}

/* Changes numbers but not what the channels are. */
static bool keeps_channels(const struct node *n)
{
    return n->type == &op_norm || n->type == &op_activation || n->type == &op_maxpool ||
           n->type == &op_avgpool || n->type == &op_global_avgpool || n->type == &op_dropout;
}

/* The tensor whose channels t has. */
static struct tensor *origin(struct tensor *t)
{
    while (t->producer != NULL && keeps_channels(t->producer)) {
        t = t->producer->in[0];
    }
    return t;
}

static bool is_concat(const struct tensor *t)
{
    return t->producer != NULL && t->producer->type == &op_concat;
}

/* Takes t apart, into origins. Concats are nested as deep as blocks are long: a stack of its own.
 */
static bool take_apart(struct tensor *t, struct pieces *out)
{
    struct piece stack[MOST_SOURCES] = {{t, 0}};
    int depth = 1;

    out->n = 0;
    while (depth > 0) {
        const struct piece p = stack[--depth];
        if (!is_concat(p.t)) {
            if (out->n == MOST_SOURCES) {
                return false;
            }
            out->v[out->n++] = (struct piece){origin(p.t), p.first};
            continue;
        }
        const struct node *n = p.t->producer;
        int at = p.first + p.t->shape.c;
        if (depth + n->n_in > MOST_SOURCES) {
            return false;
        }
        for (int i = n->n_in - 1; i >= 0; i--) {
            at -= n->in[i]->shape.c;
            stack[depth++] = (struct piece){n->in[i], at};
        }
    }
    return true;
}

static int find(const struct pieces *p, const struct tensor *t)
{
    for (int i = 0; i < p->n; i++) {
        if (p->v[i].t == t) {
            return i;
        }
    }
    return -1;
}

/* Whether n's output is, behind its norm and activation, one of the sources. */
static bool makes_source(const struct node *n, const struct pieces *sources)
{
    for (int i = 0; i < sources->n; i++) {
        if (sources->v[i].t == n->out[0]) {
            return true;
        }
    }
    return false;
}

/* What of the sources n reads; false: nothing, or something else as well. */
static bool reads_sources(const struct node *n, const struct pieces *sources, struct pieces *read)
{
    struct tensor *in = origin(n->in[0]);

    if (!has_weights(n) || !take_apart(in, read)) {
        return false;
    }
    for (int i = 0; i < read->n; i++) {
        if (find(sources, read->v[i].t) < 0) {
            return false;
        }
    }
    return read->n > 1 || makes_source(n, sources);
}

/* The mean of |w| over `channels` input channels from `first` on. w: [out, in, taps]. */
static double mean_weight(const real *w, struct shape s, int first, int channels)
{
    const size_t taps = (size_t)s.h * (size_t)s.w, row = taps * (size_t)s.c;
    double sum = 0;

    for (int o = 0; o < s.n; o++) {
        const real *p = w + (size_t)o * row + (size_t)first * taps;
        for (size_t i = 0; i < (size_t)channels * taps; i++) {
            sum += fabs((double)p[i]);
        }
    }
    return sum / ((double)s.n * channels * (double)taps);
}

static enum vov_status fill_target(const struct model *m, const struct node *n,
                                   const struct pieces *sources, const struct pieces *read,
                                   double *mean, double *part, struct err *err)
{
    const struct tensor *w = n->param[0];
    const size_t count = shape_count(w->shape);
    real *values = mem_alloc(count, sizeof *values);
    double most = 0;

    if (values == NULL) {
        return err_nomem(err, count * sizeof *values);
    }
    params_get(&m->exec.params, m->exec.params.val, w, values);
    for (int i = 0; i < sources->n; i++) {
        mean[i] = -1;
    }
    for (int i = 0; i < read->n; i++) {
        const struct piece *p = &read->v[i];
        const double v = mean_weight(values, w->shape, p->first, p->t->shape.c);
        mean[find(sources, p->t)] = v;
        most = v > most ? v : most;
    }
    for (int i = 0; i < sources->n; i++) {
        part[i] = mean[i] < 0 ? -1 : most > 0 ? mean[i] / most : 0;
    }
    mem_free(values);
    return VOV_OK;
}

static bool is_joined_again(const struct graph *g, const struct tensor *t)
{
    for (int i = 0; i < g->n_nodes; i++) {
        for (int k = 0; k < g->nodes[i]->n_in && g->nodes[i]->type == &op_concat; k++) {
            if (g->nodes[i]->in[k] == t) {
                return true;
            }
        }
    }
    return false;
}

/* "block1" of "block1/layer12/concat", "stage4/osa2" of "stage4/osa2/concat". */
static const char *block_name(struct arena *mem, const char *concat)
{
    char *name = arena_strdup(mem, concat);

    for (int cut = 0; name != NULL && cut < 2; cut++) {
        char *slash = strrchr(name, '/');
        if (slash != NULL && (cut == 0 || strncmp(slash, "/layer", 6) == 0)) {
            *slash = '\0';
        }
    }
    return name;
}

static bool block_memory(struct connections *c, struct connection_block *b, int n_nodes)
{
    const size_t cells = (size_t)b->n_sources * (size_t)n_nodes;

    b->source = arena_alloc(&c->mem, (size_t)b->n_sources * sizeof *b->source);
    b->target = arena_alloc(&c->mem, (size_t)n_nodes * sizeof *b->target);
    b->mean = arena_alloc(&c->mem, cells * sizeof *b->mean);
    b->part = arena_alloc(&c->mem, cells * sizeof *b->part);
    return b->name != NULL && b->source != NULL && b->target != NULL && b->mean != NULL &&
           b->part != NULL;
}

static int count_targets(const struct graph *g, const struct pieces *sources)
{
    struct pieces read;
    int n = 0;

    for (int i = 0; i < g->n_nodes; i++) {
        n += reads_sources(g->nodes[i], sources, &read);
    }
    return n;
}

/* The block that ends in concat t; nothing where no layer reads it. */
static enum vov_status add_block(const struct model *m, struct tensor *t, struct connections *c,
                                 struct err *err)
{
    const struct graph *g = &m->graph;
    struct pieces sources, read;

    if (!take_apart(t, &sources)) {
        return err_set(err, VOV_EUNSUPPORTED, "%s joins more than %d outputs", t->name,
                       MOST_SOURCES);
    }
    const int n = count_targets(g, &sources);
    if (n == 0) {
        return VOV_OK;
    }
    struct connection_block *b = &c->block[c->n];
    *b = (struct connection_block){.name = block_name(&c->mem, t->producer->name),
                                   .n_sources = sources.n};
    if (!block_memory(c, b, n)) {
        return err_nomem(err, (size_t)n * (size_t)sources.n * 2 * sizeof *b->mean);
    }
    for (int i = 0; i < sources.n; i++) {
        b->source[i] = sources.v[i].t->name;
    }
    for (int i = 0; i < g->n_nodes; i++) {
        if (reads_sources(g->nodes[i], &sources, &read)) {
            const size_t row = (size_t)b->n_targets * (size_t)b->n_sources;
            b->target[b->n_targets++] = g->nodes[i]->name;
            TRY(fill_target(m, g->nodes[i], &sources, &read, b->mean + row, b->part + row, err));
        }
    }
    c->n++;
    return VOV_OK;
}

enum vov_status connections_find(const struct model *m, struct connections *c, struct err *err)
{
    const struct graph *g = &m->graph;

    *c = (struct connections){0};
    c->block = arena_alloc(&c->mem, ((size_t)g->n_nodes + 1) * sizeof *c->block);
    if (c->block == NULL) {
        return err_nomem(err, (size_t)g->n_nodes * sizeof *c->block);
    }
    for (int i = 0; i < g->n_nodes; i++) {
        struct tensor *t = g->nodes[i]->out[0];
        if (g->nodes[i]->type == &op_concat && !is_joined_again(g, t)) {
            TRY(add_block(m, t, c, err));
        }
    }
    return c->n > 0 ? VOV_OK
                    : err_set(err, VOV_EFORMAT,
                              "%s: no layer reads several outputs joined, as in [dense] and [osa]",
                              m->cfg.path);
}

void connections_free(struct connections *c)
{
    arena_free(&c->mem);
    *c = (struct connections){0};
}
