/*
 * plain_optim.c - reference loops over blocks of parameters: SGD with momentum, as
 * torch.optim.SGD defines it (the learning rate is not part of the momentum), averages and norms.
 */
#include "plain.h"

#include <math.h>

bool plain_guard(const real *guard, int n)
{
    for (int i = 0; guard && i < n; i++) {
        if (!isfinite(guard[i])) {
            return false;
        }
    }
    return true;
}

bool plain_sgd_scale(const struct sgd_desc *d, real *scale)
{
    *scale = d->scale;
    if (!plain_guard(d->guard, d->n_guard)) {
        return false;
    }
    if (d->guard && d->clip > 0 && d->guard[0] * d->scale > d->clip) {
        *scale = d->clip / d->guard[0];
    }
    return true;
}

static void plain_sgd(struct backend *be, const struct sgd_desc *d, size_t n, real *w,
                      const real *grad, real *m)
{
    const real rate = d->rate[0] * d->rate_factor;
    real scale;

    (void)be;
    if (!plain_sgd_scale(d, &scale)) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const real g = scale * grad[i] + d->decay * w[i];
        m[i] = d->momentum * m[i] + g;
        w[i] -= rate * (d->nesterov ? d->momentum * m[i] + g : m[i]);
    }
}

static void plain_block_average(struct backend *be, const real *rate, const real *guard,
                                int n_guard, size_t n, const real *w, real *average)
{
    (void)be;
    for (size_t i = 0; plain_guard(guard, n_guard) && i < n; i++) {
        average[i] += rate[0] * (w[i] - average[i]);
    }
}

static void plain_block_fill(struct backend *be, size_t n, real *x, real value)
{
    (void)be;
    for (size_t i = 0; i < n; i++) {
        x[i] = value;
    }
}

static void plain_block_norm(struct backend *be, size_t n, const real *x, real *norm)
{
    double sum = 0;

    (void)be;
    for (size_t i = 0; i < n; i++) {
        sum += (double)x[i] * (double)x[i];
    }
    *norm = (real)sqrt(sum);
}

void plain_optim_entries(struct backend_ops *ops)
{
    ops->sgd = plain_sgd;
    ops->block_average = plain_block_average;
    ops->block_fill = plain_block_fill;
    ops->block_norm = plain_block_norm;
}
