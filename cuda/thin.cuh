/*
 * thin.cuh - non-maximum suppression by one block, exactly as one after the other: 32 candidates at
 * a time, best first, are held against those that stand by all threads, and against each other;
 * then one thread says which of them stand too.
 */
#ifndef VOV_CUDA_THIN_CUH
#define VOV_CUDA_THIN_CUH

#include "box.cuh"

enum { THIN_THREADS = 2 * THREADS };

/* Four sides, and no rect: that one's alignment would leave a gap at the end, which copies read. */
struct candidate {
    float x0, y0, x1, y1, score;
    int label; /* negative: it cannot stand */

    __device__ rect box() const
    {
        return {x0, y0, x1, y1};
    }
};

__device__ inline candidate candidate_of(const rect &b, float score, int label)
{
    return {b.x0, b.y0, b.x1, b.y1, score, label};
}

/* Which of a batch stand, when no more than `room` may. over[j]: whom candidate j takes out. */
__device__ inline unsigned let_stand(unsigned open, const unsigned *over, int room)
{
    unsigned stand = 0;

    for (int j = 0; j < WARP && __popc(stand) < room; j++) {
        if ((open >> j & 1) != 0) {
            stand |= 1u << j;
            open &= ~over[j];
        }
    }
    return stand;
}

/*
 * Of n candidates, best first, those stand that f.over(one that stands, it) is false for, `most` of
 * them at most; f.get(k) is what f.set(k, c) kept as the k-th that stands. Returns how many stand.
 */
template <class F> __device__ int thin_out(const F &f, const candidate *from, int n, int most)
{
    __shared__ candidate batch[WARP];
    __shared__ unsigned over[WARP], gone, stand;
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, warps = blockDim.x / WARP;
    int standing = 0;

    for (int first = 0; first < n && standing < most; first += WARP) {
        __syncthreads();
        if (warp == 0) {
            const bool there = first + lane < n;
            if (there) {
                batch[lane] = from[first + lane];
            }
            const unsigned cannot = __ballot_sync(0xffffffffu, !there || batch[lane].label < 0);
            if (lane == 0) {
                gone = cannot;
            }
        }
        __syncthreads();
        const bool here = first + lane < n;
        bool hit = false;
        for (int k = warp; k < standing; k += warps) {
            hit = hit || (here && f.over(f.get(k), batch[lane]));
        }
        const unsigned hits = __ballot_sync(0xffffffffu, hit);
        if (lane == 0 && hits != 0) {
            atomicOr(&gone, hits);
        }
        for (int j = warp; j < WARP; j += warps) {
            const bool pair = here && first + j < n && j < lane && f.over(batch[j], batch[lane]);
            const unsigned pairs = __ballot_sync(0xffffffffu, pair);
            if (lane == 0) {
                over[j] = pairs;
            }
        }
        __syncthreads();
        if (threadIdx.x == 0) {
            stand = let_stand(~gone, over, most - standing);
        }
        __syncthreads();
        if (warp == 0 && (stand >> lane & 1) != 0) {
            f.set(standing + __popc(stand & ((1u << lane) - 1)), batch[lane]);
        }
        standing += __popc(stand);
    }
    __syncthreads();
    return standing;
}

#endif
