/*
 * select.cuh - the largest of many scores, by a block. Each score becomes a key together with its
 * place, so that no two are equal and the earlier of equal scores is the larger key. The key of the
 * last one wanted is found digit by digit from the top by histograms (a radix select): nothing is
 * sorted but what was chosen, by a bitonic network (Batcher 1968).
 */
#ifndef VOV_CUDA_SELECT_CUH
#define VOV_CUDA_SELECT_CUH

#include "kernel.cuh"

typedef unsigned long long select_key; /* 0: none */

/* Of a score of 0 or more. */
__device__ inline select_key key_of(float score, unsigned place)
{
    return (select_key)__float_as_uint(score) << 32 | (0xffffffffu - place);
}

__device__ inline float score_of(select_key key)
{
    return __uint_as_float((unsigned)(key >> 32));
}

__device__ inline unsigned place_of(select_key key)
{
    return 0xffffffffu - (unsigned)key;
}

enum { DIGIT_BITS = 8, DIGITS = 1 << DIGIT_BITS, LANE_DIGITS = DIGITS / WARP };

/* What one digit tells: in it lies the last that is wanted, `left` of those that have it are. */
struct select_step {
    int digit; /* DIGITS: all are wanted */
    int left, count;
};

/* By a warp, from the numbers of keys with each digit: the largest digits come first. */
__device__ inline void find_digit(const int *count, int left, select_step *step)
{
    const int lane = threadIdx.x % WARP, top = DIGITS - 1 - lane * LANE_DIGITS;
    int mine = 0;

    for (int i = 0; i < LANE_DIGITS; i++) {
        mine += count[top - i];
    }
    int end = mine; /* keys in the digits of this lane and of those before it */
    for (int d = 1; d < WARP; d *= 2) {
        const int before = __shfl_up_sync(0xffffffffu, end, d);
        end += lane >= d ? before : 0;
    }
    int begin = end - mine;
    if (begin < left && left <= end) {
        int digit = top;
        while (begin + count[digit] < left) {
            begin += count[digit--];
        }
        *step = {digit, left - begin, count[digit]};
    } else if (lane == WARP - 1 && end < left) {
        *step = {DIGITS, 0, 0};
    }
}

/* The smallest of the `wanted` largest keys.at(0..n-1), or something between it and the next
 * smaller; 0: there are fewer. */
template <class K> __device__ select_key last_wanted(const K &keys, int n, int wanted)
{
    __shared__ int count[DIGITS];
    __shared__ select_step step;
    select_key prefix = 0;

    for (int shift = 64 - DIGIT_BITS; shift >= 0; shift -= DIGIT_BITS) {
        const select_key above = shift == 64 - DIGIT_BITS ? 0 : ~0ull << (shift + DIGIT_BITS);
        __syncthreads();
        for (int i = threadIdx.x; i < DIGITS; i += blockDim.x) {
            count[i] = 0;
        }
        __syncthreads();
        for (int i = threadIdx.x; i < n; i += blockDim.x) {
            const select_key key = keys.at(i);
            if (key != 0 && (key & above) == prefix) {
                atomicAdd(&count[(int)(key >> shift) & (DIGITS - 1)], 1);
            }
        }
        __syncthreads();
        if (threadIdx.x < WARP) {
            find_digit(count, wanted, &step);
        }
        __syncthreads();
        const select_step s = step;
        if (s.digit == DIGITS) {
            return 0;
        }
        prefix |= (select_key)s.digit << shift;
        if (s.left == s.count) { /* all that begin so */
            return prefix;
        }
        wanted = s.left;
    }
    return prefix;
}

static inline __host__ __device__ int sort_room(int n)
{
    int room = 1;

    while (room < n) {
        room *= 2;
    }
    return room;
}

/* Sorts n keys, the largest first; v has room for sort_room(n) of them. */
__device__ inline void sort_keys(select_key *v, int n)
{
    const int room = sort_room(n);

    for (int i = n + threadIdx.x; i < room; i += blockDim.x) {
        v[i] = 0;
    }
    __syncthreads();
    for (int run = 2; run <= room; run *= 2) {
        for (int apart = run / 2; apart > 0; apart /= 2) {
            for (int t = threadIdx.x; t < room / 2; t += blockDim.x) {
                const int i = 2 * t - (t & (apart - 1));
                const select_key a = v[i], b = v[i + apart];
                if ((a < b) == ((i & run) == 0)) {
                    v[i] = b;
                    v[i + apart] = a;
                }
            }
            __syncthreads();
        }
    }
}

/* The `wanted` largest of n keys, the largest first, to `list`, which has room for sort_room() of
 * as many as come; returns how many. */
template <class K> __device__ int select_sorted(const K &keys, int n, int wanted, select_key *list)
{
    __shared__ int chosen;
    const select_key last = last_wanted(keys, n, wanted);

    if (threadIdx.x == 0) {
        chosen = 0;
    }
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        const select_key key = keys.at(i);
        if (key != 0 && key >= last) {
            list[atomicAdd(&chosen, 1)] = key;
        }
    }
    __syncthreads();
    const int count = chosen;
    sort_keys(list, count);
    return count;
}

#endif
