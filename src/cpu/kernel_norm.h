/*
 * kernel_norm.h - sums over rows of numbers, and the loops of normalisation. Sums run in 16 lanes
 * over blocks of BLOCK numbers and are added up in double, so that their error does not grow with
 * the row; moments of blocks are joined as Chan, Golub, LeVeque 1983 say. Included by the
 * kernels_*.c files.
 */
#ifndef VOV_CPU_KERNEL_NORM_H
#define VOV_CPU_KERNEL_NORM_H

#include "kernel_act.h"
#include "kernel_tile.h"

enum { BLOCK = 256 };

static inline double lanes_sum(const real lane[16])
{
    double sum[4] = {0};

    for (int i = 0; i < 16; i += 4) {
        for (int l = 0; l < 4; l++) {
            sum[l] += (double)lane[i + l];
        }
    }
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

static inline double block_sum(size_t n, const real *x)
{
    v8 s0 = {0}, s1 = {0};
    real lane[16];
    size_t i = 0;

    for (; i + 16 <= n; i += 16) {
        s0 += LOAD8(x + i);
        s1 += LOAD8(x + i + 8);
    }
    STORE8(lane, s0);
    STORE8(lane + 8, s1);
    for (int l = 0; i < n; i++, l++) {
        lane[l] += x[i];
    }
    return lanes_sum(lane);
}

static inline double block_dot(size_t n, const real *x, const real *y)
{
    v8 s0 = {0}, s1 = {0};
    real lane[16];
    size_t i = 0;

    for (; i + 16 <= n; i += 16) {
        s0 += LOAD8(x + i) * LOAD8(y + i);
        s1 += LOAD8(x + i + 8) * LOAD8(y + i + 8);
    }
    STORE8(lane, s0);
    STORE8(lane + 8, s1);
    for (int l = 0; i < n; i++, l++) {
        lane[l] += x[i] * y[i];
    }
    return lanes_sum(lane);
}

static inline size_t block_size(size_t n, size_t at)
{
    return n - at < BLOCK ? n - at : BLOCK;
}

static inline double kernel_sum(size_t n, const real *x)
{
    double sum = 0;

    for (size_t i = 0; i < n; i += BLOCK) {
        sum += block_sum(block_size(n, i), x + i);
    }
    return sum;
}

static inline double kernel_dot(size_t n, const real *x, const real *y)
{
    double sum = 0;

    for (size_t i = 0; i < n; i += BLOCK) {
        sum += block_dot(block_size(n, i), x + i, y + i);
    }
    return sum;
}

/* Mean of a block, and the squares of the distances from it. The rounded mean is not quite the
 * mean: the sum of the distances tells by how much. */
static inline struct moments block_moments(size_t n, const real *x)
{
    const real mean = (real)(block_sum(n, x) / (double)n);
    v8 s0 = {0}, s1 = {0}, q0 = {0}, q1 = {0};
    real sum[16], squares[16];
    size_t i = 0;

    for (; i + 16 <= n; i += 16) {
        const v8 d0 = LOAD8(x + i) - mean, d1 = LOAD8(x + i + 8) - mean;
        s0 += d0;
        s1 += d1;
        q0 += d0 * d0;
        q1 += d1 * d1;
    }
    STORE8(sum, s0);
    STORE8(sum + 8, s1);
    STORE8(squares, q0);
    STORE8(squares + 8, q1);
    for (int l = 0; i < n; i++, l++) {
        const real d = x[i] - mean;
        sum[l] += d;
        squares[l] += d * d;
    }
    const double rest = lanes_sum(sum) / (double)n;
    return (struct moments){(double)mean + rest, lanes_sum(squares) - rest * rest * (double)n};
}

static inline struct moments kernel_moments(size_t n, const real *x)
{
    struct moments all = {0, 0};

    for (size_t i = 0; i < n; i += BLOCK) {
        const size_t size = block_size(n, i);
        const struct moments m = block_moments(size, x + i);
        const double delta = m.mean - all.mean;
        const double share = (double)size / (double)(i + size);
        all.mean += delta * share;
        all.squares += m.squares + delta * delta * share * (double)i;
    }
    return all;
}

ACT_LINES norm_lines(enum act act, const struct norm_line *l, size_t n, const real *x, real *y)
{
    const real mean = l->mean, invstd = l->invstd, gamma = l->gamma, beta = l->beta;

    INDEPENDENT
    for (size_t i = 0; i < n; i++) {
        y[i] = act_of(act, gamma * ((x[i] - mean) * invstd) + beta);
    }
}

static inline void kernel_norm_apply(const struct norm_line *l, size_t n, const real *x,
                                     real *y){ACT_SWITCH(l->act, norm_lines, l, n, x, y)}

/* For a block: g = act'(z) * dy, and xhat. */
ACT_LINES norm_g_lines(enum act act, const struct norm_line *l, size_t n, const real *x,
                       const real *dy, real *g, real *xhat)
{
    const real mean = l->mean, invstd = l->invstd, gamma = l->gamma, beta = l->beta;

    INDEPENDENT
    for (size_t i = 0; i < n; i++) {
        const real h = (x[i] - mean) * invstd, z = gamma * h + beta;
        xhat[i] = h;
        g[i] = act_slope(act, act_from_output(act) ? act_of(act, z) : z) * dy[i];
    }
}

static inline void norm_g(const struct norm_line *l, size_t n, const real *x, const real *dy,
                          real *g, real *xhat)
{
    ACT_SWITCH(l->act, norm_g_lines, l, n, x, dy, g, xhat)
}

static inline void kernel_norm_sums(const struct norm_line *l, size_t n, const real *x,
                                    const real *dy, double sums[2])
{
    real g[BLOCK], xhat[BLOCK];

    for (size_t i = 0; i < n; i += BLOCK) {
        const size_t size = block_size(n, i);
        norm_g(l, size, x + i, dy + i, g, xhat);
        sums[0] += block_sum(size, g);
        sums[1] += block_dot(size, g, xhat);
    }
}

ACT_LINES dx_lines(enum act act, bool add, const struct norm_line *l, const real coef[3], size_t n,
                   const real *x, const real *dy, real *dx)
{
    const real mean = l->mean, invstd = l->invstd, gamma = l->gamma, beta = l->beta;
    const real of_g = coef[0], of_xhat = coef[1], constant = coef[2];

    INDEPENDENT
    for (size_t i = 0; i < n; i++) {
        const real h = (x[i] - mean) * invstd, z = gamma * h + beta;
        const real g = act_slope(act, act_from_output(act) ? act_of(act, z) : z) * dy[i];
        const real v = of_g * g + (of_xhat * h + constant);
        dx[i] = add ? dx[i] + v : v;
    }
}

static inline void kernel_norm_dx(const struct norm_line *l, const real coef[3], size_t n,
                                  const real *x, const real *dy, real add, real *dx)
{
    if (add != 0) {
        ACT_SWITCH(l->act, dx_lines, true, l, coef, n, x, dy, dx)
    } else {
        ACT_SWITCH(l->act, dx_lines, false, l, coef, n, x, dy, dx)
    }
}

#endif
