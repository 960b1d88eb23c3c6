/*
 * sgd.c - the block cut into runs of equal treatment, and one kernel call for each.
 */
#include "sgd.h"

enum { PADDING = 16 };

static size_t count_of(const struct tensor *t)
{
    return shape_count(t->shape);
}

static struct sgd_run run_of(const struct tensor *t, const struct net_config *net)
{
    struct sgd_run r = {.first = t->offset, .n = count_of(t), .rate_factor = 1};
    if (t->kind == PARAM_BIAS) {
        r.rate_factor = net->bias_learning_rate;
    }
    if (t->kind == PARAM_WEIGHT) {
        r.decay = net->decay;
    }
    return r;
}

/* Between two neighbours lies at most the padding of the block, zeros whose gradients are zeros. */
static bool joins(const struct sgd_run *a, const struct sgd_run *b)
{
    return b->first - (a->first + a->n) < PADDING && !(a->rate_factor < b->rate_factor) &&
           !(a->rate_factor > b->rate_factor) && !(a->decay < b->decay) && !(a->decay > b->decay);
}

enum vov_status sgd_open(struct sgd *s, struct params *p, const struct net_config *net,
                         struct err *err)
{
    *s = (struct sgd){.params = p, .momentum = (real)net->momentum, .nesterov = net->nesterov};
    s->run = mem_alloc((size_t)p->n + 1, sizeof *s->run);
    s->rate = p->be->ops->alloc(p->be, sizeof *s->rate);
    if (s->run == NULL || s->rate == NULL) {
        sgd_close(s);
        return err_nomem(err, ((size_t)p->n + 1) * sizeof *s->run);
    }
    for (int i = 0; i < p->n; i++) {
        const struct tensor *t = p->tensor[i];
        if (!param_learns(t)) {
            continue;
        }
        const struct sgd_run r = run_of(t, net);
        if (s->n_runs > 0 && joins(&s->run[s->n_runs - 1], &r)) {
            s->run[s->n_runs - 1].n = r.first + r.n - s->run[s->n_runs - 1].first;
        } else {
            s->run[s->n_runs++] = r;
        }
    }
    return VOV_OK;
}

void sgd_close(struct sgd *s)
{
    if (s->rate != NULL) {
        s->params->be->ops->release(s->params->be, s->rate);
    }
    mem_free(s->run);
    *s = (struct sgd){0};
}

void sgd_set_rate(const struct sgd *s, double rate)
{
    struct backend *be = s->params->be;
    const real value = (real)rate;
    be->ops->write(be, view_dense(s->rate, (struct shape){1, 1, 1, 1}), &value);
}

void sgd_update(const struct sgd *s, double scale, const struct sgd_guard *guard)
{
    struct backend *be = s->params->be;
    for (int i = 0; i < s->n_runs; i++) {
        const struct sgd_run *r = &s->run[i];
        const struct sgd_desc d = {.rate = s->rate,
                                   .rate_factor = (real)r->rate_factor,
                                   .momentum = s->momentum,
                                   .decay = (real)r->decay,
                                   .nesterov = s->nesterov,
                                   .scale = (real)scale,
                                   .clip = guard != NULL ? (real)guard->clip : 0,
                                   .guard = guard != NULL ? guard->number : NULL,
                                   .n_guard = guard != NULL ? guard->n : 0};
        be->ops->sgd(be, &d, r->n, s->params->val + r->first, s->params->grad + r->first,
                     s->params->mom + r->first);
    }
}
