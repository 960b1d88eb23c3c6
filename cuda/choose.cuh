/*
 * choose.cuh - the k largest of many keys, of equal ones those of smaller indices, by one block and
 * without sorting: the last key that is wanted is found as in select.cuh, but for keys of any width
 * that may be equal. And the places of a few keys in their order, by counting those before.
 */
#ifndef VOV_CUDA_CHOOSE_CUH
#define VOV_CUDA_CHOOSE_CUH

#include "select.cuh"

/* CHOOSE_THREADS: of the block. */
enum { CHOOSE_THREADS = 2 * THREADS };

/* Under `mask`, keys over `last` are taken, and the first `equal` of those that are `last`. */
template <class K> struct cut {
    K last, mask;
    int equal;
};

/* A number's key, which orders as numbers do; 0 is NaN's alone. */
__device__ inline unsigned number_key(float x)
{
    const unsigned bits = __float_as_uint(x);
    return x != x ? 0 : bits >> 31 != 0 ? ~bits : bits | 0x80000000u;
}

__device__ inline float number_of(unsigned key)
{
    return __uint_as_float(key >> 31 != 0 ? key & 0x7fffffffu : ~key);
}

/* The cut that takes the `wanted` largest of n keys, key(i) for i from 0; 0 is never taken. */
template <class K, class F> __device__ cut<K> find_cut(const F &key, int n, int wanted)
{
    __shared__ int count[DIGITS];
    __shared__ select_step step;
    cut<K> c = {0, 0, wanted};

    if (wanted <= 0) {
        return {(K) ~(K)0, (K) ~(K)0, 0};
    }
    for (int shift = 8 * (int)sizeof(K) - DIGIT_BITS; shift >= 0; shift -= DIGIT_BITS) {
        __syncthreads();
        for (int i = threadIdx.x; i < DIGITS; i += blockDim.x) {
            count[i] = 0;
        }
        __syncthreads();
        for (int i = threadIdx.x; i < n; i += blockDim.x) {
            const K k = key(i);
            if (k != 0 && (k & c.mask) == c.last) {
                atomicAdd(&count[(int)(k >> shift & (DIGITS - 1))], 1);
            }
        }
        __syncthreads();
        if (threadIdx.x < WARP) {
            find_digit(count, c.equal, &step);
        }
        __syncthreads();
        if (step.digit == DIGITS) {
            return {0, (K) ~(K)0, 0};
        }
        c.last |= (K)step.digit << shift;
        c.mask |= (K)(DIGITS - 1) << shift;
        c.equal = step.left;
        if (step.left == step.count) { /* all that begin so are wanted */
            return c;
        }
    }
    return c;
}

/* How many of n rows come before the first that ends them. By a whole block. */
template <class F> __device__ int rows_before_end(const F &ends, int n)
{
    __shared__ int first;

    __syncthreads();
    if (threadIdx.x == 0) {
        first = n;
    }
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        if (ends(i)) {
            atomicMin(&first, i);
        }
    }
    __syncthreads();
    return first;
}

/* How many threads before this one have a and b, and in *all how many of the block. */
__device__ inline int2 count_before(bool a, bool b, int2 *shared, int2 *all)
{
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    const unsigned votes_a = __ballot_sync(0xffffffffu, a);
    const unsigned votes_b = __ballot_sync(0xffffffffu, b), lower = (1u << lane) - 1;
    int2 before = make_int2(__popc(votes_a & lower), __popc(votes_b & lower));

    __syncthreads();
    if (lane == 0) {
        shared[warp] = make_int2(__popc(votes_a), __popc(votes_b));
    }
    __syncthreads();
    *all = make_int2(0, 0);
    for (int w = 0; w < (int)blockDim.x / WARP; w++) {
        before.x += w < warp ? shared[w].x : 0;
        before.y += w < warp ? shared[w].y : 0;
        all->x += shared[w].x;
        all->y += shared[w].y;
    }
    return before;
}

/*
 * Calls visit(i, key, place) for each of n keys: place is how many of those before it the cut takes
 * too, or -1 where it does not take this one. Returns how many it takes.
 */
template <class K, class F, class V>
__device__ int visit_cut(const F &key, int n, const cut<K> &c, const V &visit)
{
    __shared__ int2 shared[WARP];
    int2 seen = make_int2(0, 0);

    for (int first = 0; first < n; first += blockDim.x) {
        const int i = first + threadIdx.x;
        const K k = i < n ? key(i) : 0;
        const bool over = (k & c.mask) > c.last, ties = k != 0 && (k & c.mask) == c.last;
        int2 all;
        const int2 before = count_before(over, ties, shared, &all);
        const int equal = min(seen.y + before.y, c.equal);
        if (i < n) {
            const bool taken = over || (ties && seen.y + before.y < c.equal);
            visit(i, k, taken ? seen.x + before.x + equal : -1);
        }
        seen.x += all.x;
        seen.y += all.y;
    }
    return seen.x + min(seen.y, c.equal);
}

/* How many of n keys come before key i: larger ones, and equal ones of smaller places. By a whole
 * block of THREADS, each thread for its own i, which may be n or more. */
template <class K> __device__ int rank_of(const K *keys, int n, int i)
{
    __shared__ K tile[THREADS];
    const K mine = i < n ? keys[i] : 0;
    int before = 0;

    for (int first = 0; first < n; first += THREADS) {
        const int m = min(THREADS, n - first);
        __syncthreads();
        if ((int)threadIdx.x < m) {
            tile[threadIdx.x] = keys[first + threadIdx.x];
        }
        __syncthreads();
        for (int k = 0; k < m; k++) {
            before += tile[k] > mine || (tile[k] == mine && first + k < i);
        }
    }
    return before;
}

#endif
