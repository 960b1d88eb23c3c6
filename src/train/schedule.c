/*
 * schedule.c - Darknet's policies (its src/network.c get_current_rate, for iteration t from 1) and
 * half a cosine (Loshchilov and Hutter 2017, one cycle). While t < burn_in the rate is
 * learning_rate * (t / burn_in)^burn_in_power whatever the policy.
 */
#include "schedule.h"

#include <math.h>

enum vov_status schedule_init(struct schedule *s, const struct net_config *net, long per_epoch,
                              struct err *err)
{
    *s = (struct schedule){.net = net, .per_epoch = per_epoch, .unit = 1};
    if (net->epochs > 0) {
        s->unit = (double)per_epoch;
        s->total = (long)fmin(ceil(net->epochs * (double)per_epoch), 1e15);
    } else if (net->max_batches >= 1) {
        s->total = (long)net->max_batches;
    } else {
        return err_set(err, VOV_ECFG,
                       "the cfg does not say how long to train: give epochs= or max_batches= in "
                       "[net], or --epochs");
    }
    return VOV_OK;
}

static double steps_factor(const struct schedule *s, double t)
{
    const struct net_config *n = s->net;
    double factor = 1;
    for (int i = 0; i < n->steps.n && n->steps.v[i] * s->unit <= t; i++) {
        factor *= i < n->scales.n ? n->scales.v[i] : 0.1;
    }
    return factor;
}

/* From 1 at the first update after the burn-in to nearly 0 at the last one of the run. */
static double cosine_factor(const struct schedule *s, double t)
{
    const double length = fmax((double)s->total - s->net->burn_in, 1);
    const double done = fmin(fmax((t - 1 - s->net->burn_in) / length, 0), 1);
    return 0.5 * (1 + cos(acos(-1.0) * done));
}

double schedule_rate(const struct schedule *s, long iteration)
{
    const struct net_config *n = s->net;
    const double t = (double)iteration;
    const double rate = n->learning_rate;
    if (t < n->burn_in) {
        return rate * pow(t / n->burn_in, n->burn_in_power);
    }
    switch ((enum lr_policy)n->policy) {
    case LR_STEP:
        return rate * pow(n->scale, floor(t / (n->step * s->unit)));
    case LR_STEPS:
        return rate * steps_factor(s, t);
    case LR_EXP:
        return rate * pow(n->gamma, t / s->unit);
    case LR_POLY:
        return rate * pow(fmax(1 - t / (double)s->total, 0), n->power);
    case LR_SIGMOID:
        return rate / (1 + exp(n->gamma * (t / s->unit - n->step)));
    case LR_COSINE:
        return rate * cosine_factor(s, t);
    case LR_CONSTANT:
    default:
        return rate;
    }
}
