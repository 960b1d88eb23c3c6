/*
 * rng.h - random numbers that depend on a key and a counter only: equal keys give equal numbers
 * whatever else was drawn before, on any thread. That is what makes a resumed run equal in bits to
 * one that never stopped.
 */
#ifndef VOV_RNG_H
#define VOV_RNG_H

#include <stdint.h>

struct rng {
    uint64_t key, counter;
};

/* What a random choice is for: part of its key, so that two uses never share numbers. */
enum rng_use { RNG_INIT, RNG_ORDER, RNG_AUGMENT, RNG_DROPOUT, RNG_DRAW, RNG_TEST, RNG_RESAMPLE };

/* Number `counter` of a key, from 1: mix(key ^ mix(counter * odd)), where mix is the finaliser of
 * SplitMix64 (Steele, Lea, Flood 2014; constants of Stafford's mix 13). Both key and counter go
 * through it, so that neighbours of either give unrelated numbers. */
static inline uint64_t rng_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

#define RNG_ODD 0x9e3779b97f4a7c15u

static inline uint64_t rng_at(uint64_t key, uint64_t counter)
{
    return rng_mix(key ^ rng_mix(counter * RNG_ODD));
}

struct rng rng_open(uint64_t seed, enum rng_use use, uint64_t a, uint64_t b);
uint32_t rng_u32(struct rng *r);
double rng_uniform(struct rng *r); /* [0, 1) */
double rng_range(struct rng *r, double lo, double hi);
int rng_int(struct rng *r, int n); /* 0..n-1, without bias; n >= 1 */
double rng_normal(struct rng *r);  /* mean 0, variance 1 */
void rng_shuffle(struct rng *r, int *v, int n);

#endif
