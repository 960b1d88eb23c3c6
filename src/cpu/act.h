/*
 * act.h - the activations as scalar functions in double precision: what the reference loops call,
 * and what the formulas of the vectorised ones are checked against. Mish: Misra 2019; swish:
 * Ramachandran 2017; hard sigmoid: Howard 2019 (MobileNetV3), eq. in section 5.2.
 */
#ifndef VOV_CPU_ACT_H
#define VOV_CPU_ACT_H

#include "backend/backend.h"

#include <math.h>

static inline double act_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* tanh(log(1 + e^x)) without overflow. */
static inline double act_tanh_softplus(double x)
{
    return tanh(x > 30 ? x : log1p(exp(x)));
}

static inline double act_value(enum act a, double x)
{
    switch (a) {
    case ACT_RELU:
        return x < 0 ? 0 : x; /* NaN stays NaN */
    case ACT_LEAKY:
        return x > 0 ? x : 0.1 * x;
    case ACT_RELU6:
        return x > 6 ? 6 : x < 0 ? 0 : x;
    case ACT_LOGISTIC:
        return act_sigmoid(x);
    case ACT_HSIGMOID:
        return x > 3 ? 1 : x < -3 ? 0 : (x + 3) / 6;
    case ACT_MISH:
        return x * act_tanh_softplus(x);
    case ACT_SWISH:
        return x * act_sigmoid(x);
    case ACT_LINEAR:
    case ACT_COUNT:
        break;
    }
    return x;
}

static inline double act_slope_of_output(enum act a, double y)
{
    switch (a) {
    case ACT_RELU:
        return y > 0 ? 1 : 0;
    case ACT_LEAKY:
        return y > 0 ? 1 : 0.1;
    case ACT_RELU6:
        return y > 0 && y < 6 ? 1 : 0;
    case ACT_LOGISTIC:
        return y * (1 - y);
    case ACT_HSIGMOID:
        return y > 0 && y < 1 ? 1.0 / 6 : 0;
    default:
        return 1;
    }
}

static inline double act_slope_of_input(enum act a, double x)
{
    if (a == ACT_MISH) {
        const double t = act_tanh_softplus(x);
        return t + x * (1 - t * t) * act_sigmoid(x);
    }
    if (a == ACT_SWISH) {
        const double s = act_sigmoid(x);
        return s + x * s * (1 - s);
    }
    return act_slope_of_output(a, act_value(a, x));
}

#endif
