/*
 * rng.c - what is made of rng_at's numbers.
 */
#include "rng.h"

#include <math.h>

static uint64_t next(struct rng *r)
{
    return rng_at(r->key, ++r->counter);
}

struct rng rng_open(uint64_t seed, enum rng_use use, uint64_t a, uint64_t b)
{
    uint64_t key = rng_mix(seed + RNG_ODD);
    key = rng_mix(key + RNG_ODD * ((uint64_t)use + 1));
    key = rng_mix(key + RNG_ODD * (a + 1));
    key = rng_mix(key + RNG_ODD * (b + 1));
    return (struct rng){.key = key};
}

uint32_t rng_u32(struct rng *r)
{
    return (uint32_t)(next(r) >> 32);
}

double rng_uniform(struct rng *r)
{
    return (double)(next(r) >> 11) * 0x1p-53;
}

double rng_range(struct rng *r, double lo, double hi)
{
    return lo + (hi - lo) * rng_uniform(r);
}

/* Lemire 2019: the high half of a product; the few low halves that would favour some are drawn
 * again. */
int rng_int(struct rng *r, int n)
{
    const uint32_t range = (uint32_t)n;
    const uint32_t unfair = -range % range;
    uint64_t product;
    do {
        product = (uint64_t)rng_u32(r) * range;
    } while ((uint32_t)product < unfair);
    return (int)(product >> 32);
}

/* Box and Muller; the second number of the pair is dropped, so that no state is kept. */
double rng_normal(struct rng *r)
{
    const double two_pi = 6.283185307179586;
    const double radius = sqrt(-2.0 * log(1.0 - rng_uniform(r)));
    return radius * cos(two_pi * rng_uniform(r));
}

void rng_shuffle(struct rng *r, int *v, int n)
{
    for (int i = n - 1; i > 0; i--) {
        const int j = rng_int(r, i + 1);
        const int kept = v[i];
        v[i] = v[j];
        v[j] = kept;
    }
}
