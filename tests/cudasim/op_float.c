/*
 * op_float.c - floats of 32 and 64 bits. The approximate functions of the GPU (ex2, lg2, sin, ...)
 * are computed as exactly as the C library does.
 */
#include "op_impl.h"

#include <fenv.h>
#include <math.h>

/* What min.NaN and max.NaN give: NaN if one of them is. */
static float nan_min(float a, float b)
{
    return isnan(a) || isnan(b) ? NAN : fminf(a, b);
}

static float nan_max(float a, float b)
{
    return isnan(a) || isnan(b) ? NAN : fmaxf(a, b);
}

static void saturate(const struct instruction *in, union reg *d, uint32_t lanes)
{
    if (in->saturate) {
        FOR_LANES(d->f[l] = d->f[l] > 0 ? fminf(d->f[l], 1) : 0;);
    }
}

/* Sums and products, which may be kept between 0 and 1. */
#define CLAMPED(name, expression)                                                                  \
    BINARY(raw_##name, f32, f32, expression)                                                       \
    OP(name##_f32)                                                                                 \
    {                                                                                              \
        raw_##name##_f32(w, in, lanes);                                                            \
        saturate(in, exec_operand(w, in, 0), lanes);                                               \
    }                                                                                              \
    BINARY(name, f64, f64, expression)
CLAMPED(add, a + b)
CLAMPED(sub, a - b)
CLAMPED(mul, a *b)

TERNARY(raw_fma, f32, f32, fmaf(a, b, c))
TERNARY(fma, f64, f64, fma(a, b, c))
OP(fma_f32)
{
    raw_fma_f32(w, in, lanes);
    saturate(in, exec_operand(w, in, 0), lanes);
}

BINARY(div, f32, f32, a / b)
BINARY(div, f64, f64, a / b)
BINARY(min, f32, f32, fminf(a, b))
BINARY(max, f32, f32, fmaxf(a, b))
BINARY(min, f64, f64, fmin(a, b))
BINARY(max, f64, f64, fmax(a, b))
BINARY(min_nan, f32, f32, nan_min(a, b))
BINARY(max_nan, f32, f32, nan_max(a, b))
BINARY(copysign, f32, f32, copysignf(b, a))
BINARY(copysign, f64, f64, copysign(b, a))

UNARY(neg, f32, f32, -a)
UNARY(neg, f64, f64, -a)
UNARY(abs, f32, f32, fabsf(a))
UNARY(abs, f64, f64, fabs(a))
UNARY(sqrt, f32, f32, sqrtf(a))
UNARY(sqrt, f64, f64, sqrt(a))
UNARY(rcp, f32, f32, 1 / a)
UNARY(rcp, f64, f64, 1 / a)
UNARY(rsqrt, f32, f32, (float)(1 / sqrt((double)a)))
UNARY(rsqrt, f64, f64, 1 / sqrt(a))
UNARY(sin, f32, f32, sinf(a))
UNARY(cos, f32, f32, cosf(a))
UNARY(ex2, f32, f32, exp2f(a))
UNARY(lg2, f32, f32, log2f(a))
UNARY(tanh, f32, f32, tanhf(a))

void op_run_rounded(struct warp *w, const struct instruction *in, uint32_t lanes)
{
    static const int modes[] = {[ROUND_NEAREST] = FE_TONEAREST,
                                [ROUND_ZERO] = FE_TOWARDZERO,
                                [ROUND_DOWN] = FE_DOWNWARD,
                                [ROUND_UP] = FE_UPWARD,
                                [ROUND_AWAY] = FE_TONEAREST};
    fesetround(modes[in->round]);
    in->inner(w, in, lanes);
    fesetround(FE_TONEAREST);
}

static float flushed(float f)
{
    return fpclassify(f) == FP_SUBNORMAL ? copysignf(0, f) : f;
}

/* Runs the instruction on copies of its operands, which no other instruction sees. */
void op_run_flushed(struct warp *w, const struct instruction *in, uint32_t lanes)
{
    union reg file[PTX_OPERANDS];
    struct warp copy = *w;
    struct instruction inner = *in;
    copy.registers = file;
    for (int i = 0; i < in->operands; i++) {
        file[i] = *exec_operand(w, in, i);
        inner.r[i] = i;
        for (int l = 0; l < 32 && i > 0; l++) {
            file[i].f[l] = flushed(file[i].f[l]);
        }
    }
    in->inner(&copy, &inner, lanes);
    union reg *d = exec_operand(w, in, 0);
    FOR_LANES(d->f[l] = flushed(file[0].f[l]););
}

#define ROWS_BOTH(key, name) ROW(key, name, f32) ROW(key, name, f64)
/* A directed rounding is part of the key. */
#define ROWS_ROUNDED(key, name)                                                                    \
    ROWS_BOTH(key, name)                                                                           \
    ROWS_BOTH(key ".rz", name) ROWS_BOTH(key ".rm", name) ROWS_BOTH(key ".rp", name)

const struct op_row op_float_rows[] = {
    ROWS_ROUNDED("add", add) ROWS_ROUNDED("sub", sub) ROWS_ROUNDED("mul", mul)
        ROWS_ROUNDED("fma", fma) ROWS_ROUNDED("mad", fma) ROWS_ROUNDED("div", div)
            ROWS_ROUNDED("sqrt", sqrt) ROWS_ROUNDED("rcp", rcp) ROWS_BOTH("min", min)
                ROWS_BOTH("max", max) ROWS_BOTH("copysign", copysign) ROWS_BOTH("neg", neg)
                    ROWS_BOTH("abs", abs) ROWS_BOTH("rsqrt", rsqrt) ROW("min.NaN", min_nan, f32)
                        ROW("max.NaN", max_nan, f32) ROW("sin", sin, f32) ROW("cos", cos, f32)
                            ROW("ex2", ex2, f32) ROW("lg2", lg2, f32)
                                ROW("tanh", tanh, f32){NULL, NULL}};
