/*
 * rng.c - counter-based random numbers: number i of key k is mix(k ^ mix(i * odd + 1)), where mix
 * is the finaliser of SplitMix64 (Steele, Lea, Flood 2014; constants of Stafford's mix 13). Both
 * key and counter go through it, so that neighbours of either give unrelated numbers.
 */
#include "rng.h"

#include <math.h>

static const uint64_t golden = 0x9e3779b97f4a7c15u;

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint64_t next(struct rng *r)
{
    return mix(r->key ^ mix(++r->counter * golden));
}

struct rng rng_open(uint64_t seed, enum rng_use use, uint64_t a, uint64_t b)
{
    uint64_t key = mix(seed + golden);
    key = mix(key + golden * ((uint64_t)use + 1));
    key = mix(key + golden * (a + 1));
    key = mix(key + golden * (b + 1));
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
