/*
 * half.h - the two 16-bit floats: IEEE half and bfloat16, rounded to the nearest, ties to even.
 */
#ifndef VOV_TESTS_CUDASIM_HALF_H
#define VOV_TESTS_CUDASIM_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint32_t float_bits_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static inline float float_of_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* Sign, 5 bits of exponent with a bias of 15, 10 of fraction. */
static inline float half_to_float(uint16_t bits)
{
    const uint32_t sign = (uint32_t)(bits & 0x8000) << 16;
    const uint32_t exponent = bits >> 10 & 31, fraction = bits & 0x3ff;
    if (exponent == 31) {
        return float_of_bits(sign | 0x7f800000 | fraction << 13);
    }
    if (exponent == 0) { /* multiples of 2^-24 */
        const float f = (float)fraction * 0x1p-24f;
        return sign ? -f : f;
    }
    return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

static inline uint16_t half_from_float(float f)
{
    const uint32_t bits = float_bits_of(f), sign = bits >> 16 & 0x8000;
    const uint32_t size = bits & 0x7fffffff;
    if (size > 0x7f800000) {
        return 0x7fff;
    }
    if (size >= 0x477ff000) { /* 65520, halfway past the largest */
        return (uint16_t)(sign | 0x7c00);
    }
    if (size < 0x38800000) { /* below 2^-14: adding a half lets the sum round to 2^-24 */
        return (uint16_t)(sign | (float_bits_of(float_of_bits(size) + 0.5f) - 0x3f000000));
    }
    return (uint16_t)(sign | (((size + 0xfff + (size >> 13 & 1)) >> 13) - (112u << 10)));
}

static inline float bfloat_to_float(uint16_t bits)
{
    return float_of_bits((uint32_t)bits << 16);
}

static inline uint16_t bfloat_from_float(float f)
{
    const uint32_t bits = float_bits_of(f);
    if (f != f) {
        return 0x7fff;
    }
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* TF32, which is what tensor cores see of a float: 10 bits of fraction. */
static inline float tf32_of_float(float f)
{
    const uint32_t bits = float_bits_of(f);
    return (bits & 0x7f800000) == 0x7f800000 ? f : float_of_bits((bits + 0x1000) & 0xffffe000);
}

#endif
