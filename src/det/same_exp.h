/*
 * same_exp.h - e^x out of float additions and multiplications in one order, none of them fused: the
 * same bits on every device that does as much, so that boxes and scores, and with them which of two
 * detections is the better one, are the same everywhere (cuda/box.cuh has it again). In the build
 * with real = double it is exp().
 *
 * x = n ln 2 + r, e^x = 2^n e^r, and e^r by its series up to r^7/7!, which is good to 2^-27 for
 * |r| <= ln 2 / 2. ln 2 is taken in two parts, of which the first has few bits: n times it is
 * exact.
 */
#ifndef VOV_SAME_EXP_H
#define VOV_SAME_EXP_H

#include "base/real.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* 0 for less than -69 (1e-30), infinity over 88.3, NaN of NaN. No branches: loops over it become
 * vectors. */
static inline float same_expf(float x)
{
    const float shift =
        12582912.0f; /* 1.5 * 2^23: what it is added to is rounded to a whole number */
    const float z = x > 88.7f ? 88.7f : x, t = z * 1.44269504f + shift;
    const float n = t - shift, r = (z - n * 0.693359375f) - n * -2.12194440e-4f;
    float e = 1.0f / 5040;
    uint32_t bits, power;
    float scale;

    e = e * r + 1.0f / 720;
    e = e * r + 1.0f / 120;
    e = e * r + 1.0f / 24;
    e = e * r + 1.0f / 6;
    e = e * r + 0.5f;
    e = e * r + 1;
    e = e * r + 1;
    memcpy(&bits, &t, sizeof bits);
    power = (bits - UINT32_C(0x4b400000) + 127) << 23; /* 2^n, as t ends in the bits of n */
    memcpy(&scale, &power, sizeof scale);
    return x < -69.0f ? 0 : e * scale;
}

static inline real same_exp(real x)
{
    return sizeof x == sizeof(float) ? (real)same_expf((float)x) : (real)exp((double)x);
}

#endif
