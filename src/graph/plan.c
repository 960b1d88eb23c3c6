/*
 * plan.c - which buffers there are and when each is in use. Time is counted in steps. Every touch
 * of a tensor is recorded on its root, so that a buffer lives from its first slice's writer to its
 * last slice's reader.
 */
#include "plan.h"

static bool is_again(const struct plan_options *opt, const struct tensor *t)
{
    return opt->again && t->root->again > 0;
}

static void touch(struct plan_item *it, int life, int step)
{
    if (it->first[life] > it->last[life]) {
        it->first[life] = it->last[life] = step;
        return;
    }
    it->first[life] = step < it->first[life] ? step : it->first[life];
    it->last[life] = step > it->last[life] ? step : it->last[life];
}

static void touch_value(struct plan *p, const struct plan_options *opt, const struct tensor *t,
                        int step)
{
    const int life = is_again(opt, t) && step >= p->n_forward ? 1 : 0;

    touch(&p->items[2 * t->root->id], life, step);
}

/* Whose memory t's gradient is in. */
static const struct tensor *grad_owner(const struct tensor *t)
{
    return t->grad_of != NULL ? t->grad_of : t;
}

static void touch_grad(struct plan *p, const struct tensor *t, int step)
{
    if ((t->flags & T_GRAD) != 0) {
        touch(&p->items[2 * grad_owner(t)->root->id + 1], 0, step);
    }
}

static void touch_forward(struct plan *p, const struct plan_options *opt, const struct node *n,
                          int step, bool again)
{
    for (int i = 0; i < n->n_in; i++) {
        touch_value(p, opt, n->in[i], step);
    }
    for (int i = 0; i < n->n_out; i++) {
        /* A second run leaves the other outputs, statistics, as they are but reads them. */
        if (i == 0 || !again || (n->type->saves_out >> i & 1) != 0) {
            touch_value(p, opt, n->out[i], step);
        }
    }
}

static void touch_backward(struct plan *p, const struct plan_options *opt, const struct node *n,
                           int step)
{
    unsigned in, out;

    node_saves(n, &in, &out);
    for (int i = 0; i < n->n_in; i++) {
        if ((in >> (i < 31 ? i : 31) & 1) != 0) {
            touch_value(p, opt, n->in[i], step);
        }
        if (n->gmode[i] != GRAD_NONE) {
            touch_grad(p, n->in[i], step);
        }
    }
    for (int i = 0; i < n->n_out; i++) {
        if ((out >> i & 1) != 0) {
            touch_value(p, opt, n->out[i], step);
        }
    }
    touch_grad(p, n->out[0], step);
}

/* What is written before a pass or read after it, by the caller or as a constant. */
static void touch_caller(struct plan *p, const struct plan_options *opt, const struct tensor *t)
{
    if ((t->flags & T_INPUT) != 0 || t->constant != NULL) {
        touch_value(p, opt, t, 0);
    }
    if ((t->flags & T_KEEP) != 0 || t->constant != NULL) {
        touch(&p->items[2 * t->root->id], 0, p->n_steps - 1);
    }
}

static void find_lives(const struct graph *g, const struct plan_options *opt, struct plan *p)
{
    for (int i = 0; i < p->n_items; i++) {
        p->items[i] = (struct plan_item){.first = {0, 0}, .last = {-1, -1}};
    }
    for (int i = 0; i < p->n_steps; i++) {
        const struct node *n = g->nodes[p->steps[i].node];
        if (p->steps[i].what == STEP_BACKWARD) {
            touch_backward(p, opt, n, i);
        } else {
            touch_forward(p, opt, n, i, p->steps[i].what == STEP_AGAIN);
        }
    }
    for (int i = 0; i < g->n_tensors; i++) {
        if ((g->tensors[i]->flags & T_PARAM) == 0) {
            touch_caller(p, opt, g->tensors[i]);
        }
    }
}

static void find_bytes(const struct graph *g, struct plan *p)
{
    for (int i = 0; i < g->n_tensors; i++) {
        const struct tensor *t = g->tensors[i];
        const size_t bytes = shape_count(t->shape) * number_bytes(t->type);
        for (int k = 0; k < 2; k++) {
            struct plan_item *it = &p->items[2 * i + k];
            const bool used = it->first[0] <= it->last[0] || it->first[1] <= it->last[1];
            it->bytes = used && t->root == t && (t->flags & T_PARAM) == 0 ? bytes : 0;
        }
    }
}

static struct view window(const struct tensor *t, real *p)
{
    const struct shape s = t->shape;

    return (struct view){p, s.n, s.c, s.h, s.w, t->c_off, t->root->shape.c, t->type};
}

/* Scratch and prepared weights. Their functions ask for shapes before there is memory. */
static void find_scratch(struct graph *g, struct backend *be, struct plan *p)
{
    for (int i = 0; i < g->n_tensors; i++) {
        g->tensors[i]->val = window(g->tensors[i], g->tensors[i]->val.p);
    }
    for (int i = 0; i < g->n_nodes; i++) {
        struct node *n = g->nodes[i];
        n->scratch_bytes = n->type->scratch != NULL ? n->type->scratch(n, be, g->training) : 0;
        p->scratch_bytes =
            n->scratch_bytes > p->scratch_bytes ? n->scratch_bytes : p->scratch_bytes;
        n->pack_at = p->pack_bytes;
        n->pack_bytes =
            n->type->pack_bytes != NULL && !g->training ? n->type->pack_bytes(n, be) : 0;
        p->pack_bytes += (n->pack_bytes + 63) / 64 * 64;
    }
}

enum vov_status plan_build(struct graph *g, struct backend *be, const struct plan_options *opt,
                           struct plan *plan, struct err *err)
{
    *plan = (struct plan){.n_items = 2 * g->n_tensors};
    plan->items = mem_alloc((size_t)plan->n_items + 1, sizeof *plan->items);
    if (plan->items == NULL || plan_steps(g, opt->again, plan) != VOV_OK) {
        plan_free(plan);
        return err_nomem(err, (size_t)g->n_tensors * 2 * sizeof *plan->items);
    }
    find_lives(g, opt, plan);
    find_bytes(g, plan);
    find_scratch(g, be, plan);
    if (plan_place(plan, opt->reuse) != VOV_OK) {
        plan_free(plan);
        return err_nomem(err, (size_t)g->n_tensors * 2 * sizeof *plan->items);
    }
    return VOV_OK;
}

static real *address(const struct plan *plan, int item, void *arena)
{
    const struct plan_item *it = &plan->items[item];

    return it->bytes > 0 && arena != NULL ? (real *)(void *)((char *)arena + it->offset) : NULL;
}

void plan_bind(struct graph *g, const struct plan *plan, void *arena)
{
    for (int i = 0; i < g->n_tensors; i++) {
        struct tensor *t = g->tensors[i];
        if ((t->flags & T_PARAM) != 0) {
            continue;
        }
        t->val = window(t, address(plan, 2 * t->root->id, arena));
        const struct tensor *owner = grad_owner(t);
        t->grad = window(
            owner, (t->flags & T_GRAD) != 0 ? address(plan, 2 * owner->root->id + 1, arena) : NULL);
    }
}

void plan_free(struct plan *plan)
{
    mem_free(plan->steps);
    mem_free(plan->items);
    *plan = (struct plan){0};
}
