/*
 * kernel_norm.h - sums over rows of numbers, and the loops of normalisation. Sums run in four
 * vectors over blocks of BLOCK numbers and are added up in double, so that their error does not
 * grow with the row; moments of blocks are joined as Chan, Golub, LeVeque 1983 say. Included by the
 * kernels_*.c files.
 */
#ifndef VOV_CPU_KERNEL_NORM_H
#define VOV_CPU_KERNEL_NORM_H

#include "kernel_act.h"
#include "vec.h"

enum { BLOCK = 1024 };

static inline double lanes_sum(const real lane[VEC_LANES])
{
    double sum[2] = {0};

    for (int i = 0; i < VEC_LANES; i += 2) {
        sum[0] += (double)lane[i];
        sum[1] += (double)lane[i + 1];
    }
    return sum[0] + sum[1];
}

/* Four sums under way as one, in lanes. */
#define JOIN_SUMS(s0, s1, s2, s3, lane) VEC_STORE(lane, ((s0) + (s1)) + ((s2) + (s3)))

static inline double block_sum(size_t n, const real *x)
{
    enum { V = VEC_LANES };
    vec s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
    real lane[V];
    size_t i = 0;

    for (; i + 4 * V <= n; i += 4 * V) {
        s0 += VEC_LOAD(x + i);
        s1 += VEC_LOAD(x + i + V);
        s2 += VEC_LOAD(x + i + 2 * V);
        s3 += VEC_LOAD(x + i + 3 * V);
    }
    for (; i + V <= n; i += V) {
        s0 += VEC_LOAD(x + i);
    }
    JOIN_SUMS(s0, s1, s2, s3, lane);
    for (int l = 0; i < n; i++, l++) {
        lane[l] += x[i];
    }
    return lanes_sum(lane);
}

static inline double block_dot(size_t n, const real *x, const real *y)
{
    enum { V = VEC_LANES };
    vec s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
    real lane[V];
    size_t i = 0;

    for (; i + 4 * V <= n; i += 4 * V) {
        s0 += VEC_LOAD(x + i) * VEC_LOAD(y + i);
        s1 += VEC_LOAD(x + i + V) * VEC_LOAD(y + i + V);
        s2 += VEC_LOAD(x + i + 2 * V) * VEC_LOAD(y + i + 2 * V);
        s3 += VEC_LOAD(x + i + 3 * V) * VEC_LOAD(y + i + 3 * V);
    }
    for (; i + V <= n; i += V) {
        s0 += VEC_LOAD(x + i) * VEC_LOAD(y + i);
    }
    JOIN_SUMS(s0, s1, s2, s3, lane);
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
    enum { V = VEC_LANES };
    const real mean = (real)(block_sum(n, x) / (double)n);
    vec s0 = {0}, s1 = {0}, q0 = {0}, q1 = {0};
    real sum[V], squares[V];
    size_t i = 0;

    for (; i + 2 * V <= n; i += 2 * V) {
        const vec d0 = VEC_LOAD(x + i) - mean, d1 = VEC_LOAD(x + i + V) - mean;
        s0 += d0;
        s1 += d1;
        q0 += d0 * d0;
        q1 += d1 * d1;
    }
    VEC_STORE(sum, s0 + s1);
    VEC_STORE(squares, q0 + q1);
    for (int l = 0; i < n; i++, l = (l + 1) % V) {
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

/* Linear and relu, which nearly all norms have, in one pass over a block. */
static inline void block_norm_sums(const struct norm_line *line, size_t n, const real *x,
                                   const real *dy, double sums[2])
{
    enum { V = VEC_LANES };
    const real mean = line->mean, invstd = line->invstd, gamma = line->gamma, beta = line->beta;
    const vec_mask always = (vec_mask)(vec){0} - (line->act == ACT_LINEAR);
    const vec one = (vec){0} + 1;
    vec g0 = {0}, g1 = {0}, h0 = {0}, h1 = {0};
    real g[V], gh[V];
    size_t i = 0;

#define NORM_SUMS(at, sum_g, sum_gh)                                                               \
    do {                                                                                           \
        const vec xhat = (VEC_LOAD(x + (at)) - mean) * invstd;                                     \
        const vec_mask on = (xhat * gamma + beta > 0) | always;                                    \
        const vec of_act = (vec)((vec_mask)one & on) * VEC_LOAD(dy + (at));                        \
        sum_g += of_act;                                                                           \
        sum_gh += of_act * xhat;                                                                   \
    } while (0)
    for (; i + 2 * V <= n; i += 2 * V) {
        NORM_SUMS(i, g0, h0);
        NORM_SUMS(i + V, g1, h1);
    }
#undef NORM_SUMS
    VEC_STORE(g, g0 + g1);
    VEC_STORE(gh, h0 + h1);
    for (int l = 0; i < n; i++, l = (l + 1) % V) {
        const real xhat = (x[i] - mean) * invstd;
        const real of_act = dy[i] * (line->act == ACT_LINEAR || gamma * xhat + beta > 0);
        g[l] += of_act;
        gh[l] += of_act * xhat;
    }
    sums[0] += lanes_sum(g);
    sums[1] += lanes_sum(gh);
}

static inline void kernel_norm_sums(const struct norm_line *l, size_t n, const real *x,
                                    const real *dy, double sums[2])
{
    real g[BLOCK], xhat[BLOCK];

    for (size_t i = 0; i < n; i += BLOCK) {
        const size_t size = block_size(n, i);
        if (l->act == ACT_RELU || l->act == ACT_LINEAR) {
            block_norm_sums(l, size, x + i, dy + i, sums);
        } else {
            norm_g(l, size, x + i, dy + i, g, xhat);
            sums[0] += block_sum(size, g);
            sums[1] += block_dot(size, g, xhat);
        }
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
