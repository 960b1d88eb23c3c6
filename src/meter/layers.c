/*
 * layers.c - see layers.h.
 */
#include "layers.h"

#include "base/clock.h"
#include "base/mem.h"
#include "stats.h"

#include <stdlib.h>
#include <string.h>

static void step_done(void *user, int step)
{
    struct layers *l = user;
    if (l->cap > 0 || step == l->border) {
        l->exec->be->ops->sync(l->exec->be);
    }
    const double now = clock_now();
    l->seconds[step] = now - l->last;
    l->last = now;
}

static int last_step_before(const struct exec *exec, int node)
{
    int last = -1;
    for (int i = 0; i < exec->plan.n_forward; i++) {
        last = exec->plan.steps[i].node < node ? i : last;
    }
    return last;
}

enum vov_status layers_open(struct layers *l, struct exec *exec, int border, int keep,
                            struct err *err)
{
    const size_t n = (size_t)exec->plan.n_steps;
    *l = (struct layers){.exec = exec, .border = last_step_before(exec, border), .cap = keep};
    l->seconds = mem_alloc(n, sizeof *l->seconds);
    l->kept = mem_alloc((size_t)keep * n + 1, sizeof *l->kept);
    if (l->seconds == NULL || l->kept == NULL) {
        return err_nomem(err, ((size_t)keep * n + 1) * sizeof *l->kept);
    }
    exec->watch = (struct exec_watch){step_done, l};
    return VOV_OK;
}

void layers_close(struct layers *l)
{
    if (l->exec != NULL) {
        l->exec->watch = (struct exec_watch){0};
    }
    mem_free(l->seconds);
    mem_free(l->kept);
    *l = (struct layers){0};
}

void layers_begin(struct layers *l)
{
    l->last = clock_now();
}

void layers_keep(struct layers *l)
{
    const int n = l->exec->plan.n_steps;
    if (l->n_kept == l->cap) {
        return;
    }
    float *run = l->kept + (size_t)l->n_kept++ * (size_t)n;
    for (int i = 0; i < n; i++) {
        run[i] = (float)l->seconds[i];
    }
}

double layers_forward_seconds(const struct layers *l, int from, int to)
{
    double sum = 0;
    for (int i = 0; i < l->exec->plan.n_forward; i++) {
        const int node = l->exec->plan.steps[i].node;
        sum += node >= from && node < to ? l->seconds[i] : 0;
    }
    return sum;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double step_median(const struct layers *l, int step, double *room)
{
    const size_t n_steps = (size_t)l->exec->plan.n_steps;
    if (l->n_kept == 0) {
        return 0;
    }
    for (int i = 0; i < l->n_kept; i++) {
        room[i] = (double)l->kept[(size_t)i * n_steps + (size_t)step];
    }
    qsort(room, (size_t)l->n_kept, sizeof *room, ascending);
    return stats_percentile(room, l->n_kept, 0.5);
}

enum vov_status layers_medians(const struct layers *l, struct layer_time *out, struct err *err)
{
    const struct plan *p = &l->exec->plan;
    double *room = mem_alloc((size_t)l->n_kept + 1, sizeof *room);
    if (room == NULL) {
        return err_nomem(err, (size_t)l->n_kept * sizeof *room);
    }
    memset(out, 0, (size_t)l->exec->g->n_nodes * sizeof *out);
    for (int i = 0; i < p->n_steps; i++) {
        struct layer_time *t = &out[p->steps[i].node];
        *(p->steps[i].what == STEP_FORWARD ? &t->forward : &t->backward) += step_median(l, i, room);
    }
    mem_free(room);
    return VOV_OK;
}

static bool copies_nothing(const struct node *n)
{
    int channel = 0;
    bool in_place = n->type->gathers;
    for (int i = 0; i < n->n_in && in_place; i++) {
        in_place = tensor_is_window(n->out[0], channel, n->in[i]);
        channel += n->in[i]->shape.c;
    }
    return in_place;
}

size_t layer_bytes(const struct node *n)
{
    size_t numbers = 0;
    if (copies_nothing(n)) {
        return 0;
    }
    for (int i = 0; i < n->n_in; i++) {
        numbers += shape_count(n->in[i]->shape);
    }
    for (int i = 0; i < n->n_out; i++) {
        numbers += shape_count(n->out[i]->shape);
    }
    for (int i = 0; i < n->n_param; i++) {
        const enum param_kind k = n->param[i]->kind;
        /* A norm that was taken in is part of the weight by now. */
        const bool read = n->type->fold == NULL || k == PARAM_WEIGHT || k == PARAM_BIAS;
        numbers += read ? shape_count(n->param[i]->shape) : 0;
    }
    return numbers * sizeof(real);
}
