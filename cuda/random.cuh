/*
 * random.cuh - the random numbers of base/rng.h on the device: they depend on a key and a counter.
 */
#ifndef VOV_CUDA_RANDOM_CUH
#define VOV_CUDA_RANDOM_CUH

#include <stdint.h>

__device__ inline uint64_t random_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* rng_at() */
__device__ inline uint64_t random_at(uint64_t key, uint64_t counter)
{
    return random_mix(key ^ random_mix(counter * 0x9e3779b97f4a7c15u));
}

/* dropout_key() */
__device__ inline uint64_t random_key(uint64_t pass, uint64_t node)
{
    return (pass ^ (node + 1)) * 0x9e3779b97f4a7c15u;
}

#endif
