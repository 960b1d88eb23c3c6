/*
 * plain.h - the reference kernels: each entry of the table as the loop that its formula says, with
 * sums in double. Slow, and right by inspection; the fast kernels are tested against them, and a
 * new device can start from them. Each function fills the entries of its file.
 */
#ifndef VOV_CPU_PLAIN_H
#define VOV_CPU_PLAIN_H

#include "backend/backend.h"

void plain_basic_entries(struct backend_ops *ops);
void plain_conv_entries(struct backend_ops *ops);
void plain_norm_entries(struct backend_ops *ops);
void plain_pool_entries(struct backend_ops *ops);
void plain_loss_entries(struct backend_ops *ops);
void plain_roi_entries(struct backend_ops *ops);
void plain_optim_entries(struct backend_ops *ops);

/* All of them, and the name. */
void plain_entries(struct backend_ops *ops);

/* What the gradient is multiplied by, or false: the guard forbids the update. */
bool plain_guard(const real *guard, int n); /* whether all are finite; NULL: yes */
bool plain_sgd_scale(const struct sgd_desc *d, real *scale);

/* beta * old, where old may be NaN or unset when beta is 0. */
static inline real plain_scaled(real beta, real old)
{
    return beta == 0 ? 0 : beta * old;
}

#endif
