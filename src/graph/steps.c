/*
 * steps.c - the order of work: all nodes forward, then backward in reverse; before a backward step
 * that reads values which were not kept, the steps that compute them again.
 */
#include "plan.h"

#include "base/mem.h"

struct stepper {
    const struct graph *g;
    struct plan *plan;
    int cap;
    bool again;      /* values may be computed again */
    bool *available; /* [n_tensors] in the backward pass */
    bool *wanted;    /* [n_nodes] to be computed again now */
    bool failed;     /* no memory */
};

static void push(struct stepper *s, int what, int node)
{
    struct plan *p = s->plan;

    if (s->failed || !VEC_GROW(p->steps, p->n_steps, s->cap)) {
        s->failed = true;
        return;
    }
    p->steps[p->n_steps].what = what;
    p->steps[p->n_steps++].node = node;
}

void node_saves(const struct node *n, unsigned *in, unsigned *out)
{
    *in = n->type->saves_in;
    *out = n->type->saves_out;
    if (n->type->saves != NULL) {
        n->type->saves(n, in, out);
    }
}

/* Bits beyond the mask's width belong to its last bit. */
static bool in_mask(unsigned mask, int i)
{
    return (mask >> (i < 31 ? i : 31) & 1) != 0;
}

static bool must_recompute(const struct stepper *s, const struct tensor *t)
{
    return s->again && t->again > 0 && !s->available[t->id];
}

/* Adds the steps that make t's value be there: looks backwards for what it is made of, then runs
 * that in order. */
static void recompute(struct stepper *s, const struct tensor *t)
{
    const int last = t->producer->index;
    int first = last;

    s->wanted[last] = true;
    for (int i = last; i >= first; i--) {
        const struct node *n = s->g->nodes[i];
        for (int k = 0; s->wanted[i] && k < n->n_in; k++) {
            if (must_recompute(s, n->in[k])) {
                const int index = n->in[k]->producer->index;
                s->wanted[index] = true;
                first = index < first ? index : first;
            }
        }
    }
    for (int i = first; i <= last; i++) {
        if (s->wanted[i]) {
            push(s, STEP_AGAIN, i);
            s->available[s->g->nodes[i]->out[0]->id] = true;
            s->wanted[i] = false;
        }
    }
}

static void need(struct stepper *s, const struct tensor *t)
{
    if (must_recompute(s, t)) {
        recompute(s, t);
    }
}

static void backward_node(struct stepper *s, const struct node *n)
{
    unsigned in, out;

    node_saves(n, &in, &out);
    for (int i = 0; i < n->n_in; i++) {
        if (in_mask(in, i)) {
            need(s, n->in[i]);
        }
    }
    for (int i = 0; i < n->n_out; i++) {
        if (in_mask(out, i)) {
            need(s, n->out[i]);
        }
    }
    push(s, STEP_BACKWARD, n->index);
}

enum vov_status plan_steps(const struct graph *g, bool again, struct plan *plan)
{
    struct stepper s = {.g = g, .plan = plan, .again = again};

    s.available = mem_alloc((size_t)g->n_tensors + 1, sizeof *s.available);
    s.wanted = mem_alloc((size_t)g->n_nodes + 1, sizeof *s.wanted);
    s.failed = s.available == NULL || s.wanted == NULL;
    for (int i = 0; i < g->n_nodes; i++) {
        push(&s, STEP_FORWARD, i);
    }
    plan->n_forward = plan->n_steps;
    for (int i = g->n_nodes - 1; g->training && i >= 0; i--) {
        if (!s.failed && node_differentiates(g->nodes[i])) {
            backward_node(&s, g->nodes[i]);
        }
    }
    mem_free(s.available);
    mem_free(s.wanted);
    return s.failed ? VOV_ENOMEM : VOV_OK;
}
