/*
 * kernel_act.h - activations on rows of numbers, forward and backward, in loops that the compiler
 * vectorises. exp in float: x = n ln2 + r, Taylor's polynomial of degree 7 for e^r (|r| <=
 * ln2/2, so it errs by less than 1e-8), the exponent n put in by its bits; in double it is libm's.
 * Included by the kernels_*.c files.
 */
#ifndef VOV_CPU_KERNEL_ACT_H
#define VOV_CPU_KERNEL_ACT_H

#include "kernels.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* No iteration reads what another wrote, though two pointers may be equal. */
#ifdef __clang__
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif

static inline float exp_float(float x)
{
    const float shift = 0x1.8p23f; /* adding it rounds to an integer */
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    const float t = x * 1.44269504f + shift;
    const float n = t - shift;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.98412698e-4f;
    uint32_t bits;

    p = p * r + 1.38888889e-3f;
    p = p * r + 8.33333333e-3f;
    p = p * r + 4.16666667e-2f;
    p = p * r + 1.66666667e-1f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    memcpy(&bits, &t, sizeof bits);
    bits = (bits << 23) + 0x3f800000u; /* the low bits of t are n */
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

static inline real kernel_exp(real x)
{
    return sizeof(real) == sizeof(float) ? (real)exp_float((float)x) : (real)exp((double)x);
}

static inline real kernel_sigmoid(real x)
{
    return 1 / (1 + kernel_exp(-x));
}

/* e^x held so low that its square is finite. tanh(log(1 + e)) = (e^2 + 2e) / (e^2 + 2e + 2), and
 * the mish's derivative is that plus x * 4e(1 + e) / (e^2 + 2e + 2)^2. */
static inline real mish_exp(real x)
{
    return kernel_exp(x > 20 ? 20 : x);
}

static inline real kernel_mish(real x)
{
    const real e = mish_exp(x), w = e * (e + 2);

    return x * (w / (w + 2));
}

static inline real mish_slope(real x)
{
    const real e = mish_exp(x), w = e * (e + 2), inv = 1 / (w + 2);

    return w * inv + x * (4 * e * (1 + e) * inv) * inv;
}

static inline real swish_slope(real x)
{
    const real s = kernel_sigmoid(x);

    return s + x * s * (1 - s);
}

static inline real clamp_unit(real x, real most)
{
    x = x < 0 ? 0 : x;
    return x > most ? most : x;
}

static inline real act_of(enum act act, real v)
{
    switch (act) {
    case ACT_RELU:
        return v < 0 ? 0 : v;
    case ACT_LEAKY:
        return v > 0 ? v : v * (real)0.1;
    case ACT_RELU6:
        return clamp_unit(v, 6);
    case ACT_LOGISTIC:
        return kernel_sigmoid(v);
    case ACT_HSIGMOID:
        return clamp_unit((v + 3) * (real)(1.0 / 6), 1);
    case ACT_MISH:
        return kernel_mish(v);
    case ACT_SWISH:
        return v * kernel_sigmoid(v);
    default:
        return v;
    }
}

/* The derivative from v: the output, but of mish and swish the input. */
static inline real act_slope(enum act act, real v)
{
    switch (act) {
    case ACT_RELU:
        return v > 0 ? 1 : 0;
    case ACT_LEAKY:
        return v > 0 ? 1 : (real)0.1;
    case ACT_RELU6:
        return v > 0 && v < 6 ? 1 : 0;
    case ACT_LOGISTIC:
        return v * (1 - v);
    case ACT_HSIGMOID:
        return v > 0 && v < 1 ? (real)(1.0 / 6) : 0;
    case ACT_MISH:
        return mish_slope(v);
    case ACT_SWISH:
        return swish_slope(v);
    default:
        return 1;
    }
}

/* The loops below are called through ACT_SWITCH only: with a constant act each is a tight loop. */
#define ACT_LINES static inline __attribute__((always_inline)) void

ACT_LINES act_lines(enum act act, size_t n, const real *x, real *y)
{
    INDEPENDENT
    for (size_t i = 0; i < n; i++) {
        y[i] = act_of(act, x[i]);
    }
}

ACT_LINES add_lines(enum act act, size_t n, const real *a, const real *b, real *y)
{
    INDEPENDENT
    for (size_t i = 0; i < n; i++) {
        y[i] = act_of(act, a[i] + b[i]);
    }
}

ACT_LINES affine_lines(enum act act, real scale, real shift, size_t n, const real *x, real *y)
{
    INDEPENDENT
    for (size_t i = 0; i < n; i++) {
        y[i] = act_of(act, scale * x[i] + shift);
    }
}

ACT_LINES slope_lines(enum act act, size_t n, const real *known, const real *dy, real *dx)
{
    INDEPENDENT
    for (size_t i = 0; i < n; i++) {
        dx[i] = act_slope(act, known[i]) * dy[i];
    }
}

ACT_LINES slope_add_lines(enum act act, size_t n, const real *known, const real *dy, real *dx)
{
    INDEPENDENT
    for (size_t i = 0; i < n; i++) {
        dx[i] += act_slope(act, known[i]) * dy[i];
    }
}

/* Calls `loop` with the activation as a constant. */
#define ACT_SWITCH(act, loop, ...)                                                                 \
    switch (act) {                                                                                 \
    case ACT_RELU:                                                                                 \
        loop(ACT_RELU, __VA_ARGS__);                                                               \
        break;                                                                                     \
    case ACT_LEAKY:                                                                                \
        loop(ACT_LEAKY, __VA_ARGS__);                                                              \
        break;                                                                                     \
    case ACT_RELU6:                                                                                \
        loop(ACT_RELU6, __VA_ARGS__);                                                              \
        break;                                                                                     \
    case ACT_LOGISTIC:                                                                             \
        loop(ACT_LOGISTIC, __VA_ARGS__);                                                           \
        break;                                                                                     \
    case ACT_HSIGMOID:                                                                             \
        loop(ACT_HSIGMOID, __VA_ARGS__);                                                           \
        break;                                                                                     \
    case ACT_MISH:                                                                                 \
        loop(ACT_MISH, __VA_ARGS__);                                                               \
        break;                                                                                     \
    case ACT_SWISH:                                                                                \
        loop(ACT_SWISH, __VA_ARGS__);                                                              \
        break;                                                                                     \
    case ACT_LINEAR:                                                                               \
    case ACT_COUNT:                                                                                \
        loop(ACT_LINEAR, __VA_ARGS__);                                                             \
        break;                                                                                     \
    }

static inline void kernel_act_fwd(enum act act, size_t n, const real *x, real *y)
{
    ACT_SWITCH(act, act_lines, n, x, y)
}

static inline void kernel_add(enum act act, size_t n, const real *a, const real *b, real *y)
{
    ACT_SWITCH(act, add_lines, n, a, b, y)
}

static inline void kernel_affine(real scale, real shift, enum act act, size_t n, const real *x,
                                 real *y)
{
    ACT_SWITCH(act, affine_lines, scale, shift, n, x, y)
}

static inline void kernel_act_bwd(enum act act, size_t n, const real *known, const real *dy,
                                  real beta, real *dx)
{
    if (beta != 0) {
        ACT_SWITCH(act, slope_add_lines, n, known, dy, dx)
    } else {
        ACT_SWITCH(act, slope_lines, n, known, dy, dx)
    }
}

static inline void kernel_product(size_t n, real scale, const real *a, const real *b, real *y)
{
    INDEPENDENT
    for (size_t i = 0; i < n; i++) {
        y[i] = scale * a[i] * b[i];
    }
}

static inline void kernel_add_product(size_t n, real scale, const real *a, const real *b, real *y)
{
    INDEPENDENT
    for (size_t i = 0; i < n; i++) {
        y[i] += scale * a[i] * b[i];
    }
}

static inline void kernel_exp_less(size_t n, const real *x, const real *most, real *y)
{
    INDEPENDENT
    for (size_t i = 0; i < n; i++) {
        y[i] = kernel_exp(x[i] - most[i]);
    }
}

/* beta is 0 or 1. */
static inline void kernel_scale(size_t n, real scale, const real *x, real beta, real *y)
{
    if (beta != 0) {
        INDEPENDENT
        for (size_t i = 0; i < n; i++) {
            y[i] += scale * x[i];
        }
    } else {
        INDEPENDENT
        for (size_t i = 0; i < n; i++) {
            y[i] = scale * x[i];
        }
    }
}

#endif
