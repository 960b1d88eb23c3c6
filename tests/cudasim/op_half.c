/*
 * op_half.c - 16-bit floats, alone or two in a register. They are computed in 32 bits and rounded
 * once more at the end, which is exact for sums and products.
 */
#include "op_impl.h"

#include <math.h>

typedef float function(float a, float b, float c);

static float do_add(float a, float b, float c)
{
    (void)c;
    return a + b;
}

static float do_sub(float a, float b, float c)
{
    (void)c;
    return a - b;
}

static float do_mul(float a, float b, float c)
{
    (void)c;
    return a * b;
}

static float do_fma(float a, float b, float c)
{
    return (float)fma((double)a, (double)b, (double)c);
}

static float do_min(float a, float b, float c)
{
    (void)c;
    return fminf(a, b);
}

static float do_max(float a, float b, float c)
{
    (void)c;
    return fmaxf(a, b);
}

static float do_min_nan(float a, float b, float c)
{
    (void)c;
    return isnan(a) || isnan(b) ? NAN : fminf(a, b);
}

static float do_max_nan(float a, float b, float c)
{
    (void)c;
    return isnan(a) || isnan(b) ? NAN : fmaxf(a, b);
}

static float do_neg(float a, float b, float c)
{
    (void)b;
    (void)c;
    return -a;
}

static float do_abs(float a, float b, float c)
{
    (void)b;
    (void)c;
    return fabsf(a);
}

static float do_ex2(float a, float b, float c)
{
    (void)b;
    (void)c;
    return exp2f(a);
}

static float do_tanh(float a, float b, float c)
{
    (void)b;
    (void)c;
    return tanhf(a);
}

static float get(bool brain, uint32_t pair, int i)
{
    const uint16_t bits = (uint16_t)(pair >> 16 * i);
    return brain ? bfloat_to_float(bits) : half_to_float(bits);
}

static uint32_t put(bool brain, float f, int i)
{
    return (uint32_t)(brain ? bfloat_from_float(f) : half_from_float(f)) << 16 * i;
}

static uint32_t operand(const struct warp *w, const struct instruction *in, int i, int lane)
{
    return i < in->operands ? exec_operand(w, in, i)->u[lane] : 0;
}

static void each(function *f, struct warp *w, const struct instruction *in, uint32_t lanes)
{
    const bool brain = in->type == PTX_BF16 || in->type == PTX_BF16X2;
    const int n = in->type == PTX_F16X2 || in->type == PTX_BF16X2 ? 2 : 1;
    union reg *d = exec_operand(w, in, 0);
    FOR_LANES({
        uint32_t result = 0;
        for (int i = 0; i < n; i++) {
            float v = f(get(brain, operand(w, in, 1, l), i), get(brain, operand(w, in, 2, l), i),
                        get(brain, operand(w, in, 3, l), i));
            v = in->saturate ? (v > 0 ? fminf(v, 1) : 0) : v;
            result |= put(brain, v, i);
        }
        d->u[l] = result;
    });
}

#define DEFINE(name)                                                                               \
    OP(run_##name)                                                                                 \
    {                                                                                              \
        each(do_##name, w, in, lanes);                                                             \
    }
DEFINE(add)
DEFINE(sub)
DEFINE(mul)
DEFINE(fma)
DEFINE(min)
DEFINE(max)
DEFINE(min_nan)
DEFINE(max_nan)
DEFINE(neg)
DEFINE(abs)
DEFINE(ex2)
DEFINE(tanh)

#define ROWS(key, name)                                                                            \
    {key ".f16", run_##name}, {key ".bf16", run_##name}, {key ".f16x2", run_##name},               \
        {key ".bf16x2", run_##name},

const struct op_row op_half_rows[] = {
    ROWS("add", add) ROWS("sub", sub) ROWS("mul", mul) ROWS("fma", fma) ROWS("min", min)
        ROWS("max", max) ROWS("min.NaN", min_nan) ROWS("max.NaN", max_nan) ROWS("neg", neg)
            ROWS("abs", abs) ROWS("ex2", ex2) ROWS("tanh", tanh){NULL, NULL}};
