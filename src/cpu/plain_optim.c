/*
 * plain_optim.c - reference loops over blocks of parameters: SGD with momentum, as
 * torch.optim.SGD defines it (the learning rate is not part of the momentum), and sums of squares.
 */
#include "plain.h"

static void plain_sgd(struct backend *be, const struct sgd_desc *d, size_t n, real *w,
                      const real *grad, real *m)
{
    (void)be;
    for (size_t i = 0; i < n; i++) {
        const real g = d->scale * grad[i] + d->decay * w[i];
        m[i] = d->momentum * m[i] + g;
        w[i] -= d->lr * (d->nesterov ? d->momentum * m[i] + g : m[i]);
    }
}

static void plain_block_fill(struct backend *be, size_t n, real *x, real value)
{
    (void)be;
    for (size_t i = 0; i < n; i++) {
        x[i] = value;
    }
}

static double plain_block_sumsq(struct backend *be, size_t n, const real *x)
{
    double sum = 0;

    (void)be;
    for (size_t i = 0; i < n; i++) {
        sum += (double)x[i] * (double)x[i];
    }
    return sum;
}

void plain_optim_entries(struct backend_ops *ops)
{
    ops->sgd = plain_sgd;
    ops->block_fill = plain_block_fill;
    ops->block_sumsq = plain_block_sumsq;
}
