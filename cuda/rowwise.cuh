/*
 * rowwise.cuh - work on one pixel's channels: a warp takes a row, its lanes go along the channels.
 */
#ifndef VOV_CUDA_ROWWISE_CUH
#define VOV_CUDA_ROWWISE_CUH

#include "kernel.cuh"

#include <math_constants.h>

enum { WARPS = THREADS / WARP };

/* f.row(row, lane) for every row, by all lanes of a warp together. */
template <class F> __global__ void each_row_kernel(F f, int rows)
{
    const int warp = blockIdx.x * WARPS + threadIdx.x / WARP;

    for (int row = warp; row < rows; row += gridDim.x * WARPS) {
        f.row(row, threadIdx.x % WARP);
    }
}

template <class F> static void each_row(struct cuda *cu, int rows, const F &f)
{
    if (rows > 0) {
        LAUNCH(cu, smaller(div_up(rows, WARPS), cu->multiprocessors * 16LL), THREADS,
               each_row_kernel<F>, f, rows);
    }
}

/* Over one row: the largest number, and the sum of exp(x - most). */
struct softmax_norm {
    float most, sum;
};

template <class T>
__device__ inline softmax_norm softmax_norm_of(const mat<T> &x, int row, int lane)
{
    softmax_norm s = {-CUDART_INF_F, 0};

    for (int c = lane; c < x.c; c += WARP) {
        s.most = fmaxf(s.most, load<1>(x, row, c).v[0]);
    }
    s.most = warp_max(s.most);
    for (int c = lane; c < x.c; c += WARP) {
        s.sum += expf(load<1>(x, row, c).v[0] - s.most);
    }
    s.sum = warp_sum(s.sum);
    return s;
}

#endif
