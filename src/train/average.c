/*
 * average.c - see average.h.
 */
#include "average.h"

#include <math.h>

enum vov_status average_open(struct average *a, struct params *p, const struct net_config *net,
                             struct err *err)
{
    *a = (struct average){.params = p, .ema = net->ema};
    if (p->avg == NULL) {
        return VOV_OK;
    }
    a->rate = p->be->ops->alloc(p->be, sizeof *a->rate);
    return a->rate != NULL ? VOV_OK : err_nomem(err, sizeof *a->rate);
}

void average_close(struct average *a)
{
    if (a->rate != NULL) {
        a->params->be->ops->release(a->params->be, a->rate);
    }
    *a = (struct average){0};
}

void average_set(const struct average *a, long iteration)
{
    const double n = (double)iteration;
    const real rate = (real)(1 - fmin(a->ema, (1 + n) / (10 + n)));
    struct backend *be = a->params->be;
    if (a->rate != NULL) {
        be->ops->write(be, view_dense(a->rate, (struct shape){1, 1, 1, 1}), &rate);
    }
}

void average_update(const struct average *a, const struct sgd_guard *guard)
{
    const struct params *p = a->params;
    if (a->rate != NULL) {
        p->be->ops->block_average(p->be, a->rate, guard->number, guard->n, p->count, p->val,
                                  p->avg);
    }
}
