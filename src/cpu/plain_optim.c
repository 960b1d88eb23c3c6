/*
 * plain_optim.c - reference loops over blocks of parameters: SGD with momentum, as
 * torch.optim.SGD defines it (the learning rate is not part of the momentum), and norms.
 */
#include "plain.h"

#include <math.h>

bool plain_sgd_scale(const struct sgd_desc *d, real *scale)
{
    *scale = d->scale;
    for (int i = 0; d->guard && i < d->n_guard; i++) {
        if (!isfinite(d->guard[i])) {
            return false;
        }
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
    ops->block_fill = plain_block_fill;
    ops->block_norm = plain_block_norm;
}
