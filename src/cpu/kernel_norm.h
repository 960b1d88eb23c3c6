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

static inline struct moments kernel_moments(size_t n, const real *x)
{
    struct moments all = {0, 0};

    for (size_t i = 0; i < n; i += BLOCK) {
        const size_t size = block_size(n, i);
        const real mean = (real)(block_sum(size, x + i) / (double)size);
        /* The rounded mean is not quite the block's: the sum of what is left tells by how much. */
        real d[BLOCK];
        for (size_t j = 0; j < size; j++) {
            d[j] = x[i + j] - mean;
        }
        const double rest = block_sum(size, d) / (double)size;
        const double squares = block_dot(size, d, d) - rest * rest * (double)size;
        const double delta = (double)mean + rest - all.mean;
        const double share = (double)size / (double)(i + size);
        all.mean += delta * share;
        all.squares += squares + delta * delta * share * (double)i;
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

static inline void kernel_norm_dx(const struct norm_line *l, const real coef[3], size_t n,
                                  const real *x, const real *dy, real add, real *dx)
{
    real g[BLOCK], xhat[BLOCK];

    for (size_t i = 0; i < n; i += BLOCK) {
        const size_t size = block_size(n, i);
        norm_g(l, size, x + i, dy + i, g, xhat);
        if (add != 0) {
            for (size_t j = 0; j < size; j++) {
                dx[i + j] += coef[0] * g[j] + coef[1] * xhat[j] + coef[2];
            }
        } else {
            for (size_t j = 0; j < size; j++) {
                dx[i + j] = coef[0] * g[j] + coef[1] * xhat[j] + coef[2];
            }
        }
    }
}

#endif
