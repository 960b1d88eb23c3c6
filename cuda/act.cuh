/*
 * act.cuh - the activations and their slopes, as src/cpu/act.h has them, in single precision.
 */
#ifndef VOV_CUDA_ACT_CUH
#define VOV_CUDA_ACT_CUH

#include "cuda.h"

__device__ inline float act_sigmoid(float x)
{
    return 1 / (1 + expf(-x));
}

/* tanh(log(1 + e^x)) = ((1 + e^x)^2 - 1) / ((1 + e^x)^2 + 1), without its differences. */
__device__ inline float act_tanh_softplus(float x)
{
    const float e = expf(fminf(x, 20.0f)), n = e * (e + 2);
    return x != x ? x : n / (n + 2);
}

__device__ inline float act_value(enum act a, float x)
{
    switch (a) {
    case ACT_RELU:
        return x < 0 ? 0 : x; /* NaN stays NaN */
    case ACT_LEAKY:
        return x > 0 ? x : 0.1f * x;
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
    default:
        return x;
    }
}

__device__ inline float act_slope_of_output(enum act a, float y)
{
    switch (a) {
    case ACT_RELU:
        return y > 0 ? 1 : 0;
    case ACT_LEAKY:
        return y > 0 ? 1 : 0.1f;
    case ACT_RELU6:
        return y > 0 && y < 6 ? 1 : 0;
    case ACT_LOGISTIC:
        return y * (1 - y);
    case ACT_HSIGMOID:
        return y > 0 && y < 1 ? 1.0f / 6 : 0;
    default:
        return 1;
    }
}

__device__ inline float act_slope_of_input(enum act a, float x)
{
    if (a == ACT_MISH) {
        const float t = act_tanh_softplus(x);
        return t + x * (1 - t * t) * act_sigmoid(x);
    }
    if (a == ACT_SWISH) {
        const float s = act_sigmoid(x);
        return s + x * s * (1 - s);
    }
    return act_slope_of_output(a, act_value(a, x));
}

#endif
