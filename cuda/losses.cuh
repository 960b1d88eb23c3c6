/*
 * losses.cuh - the two losses of a stage, summed by blocks and then by one of them, in one order.
 */
#ifndef VOV_CUDA_LOSSES_CUH
#define VOV_CUDA_LOSSES_CUH

#include "kernel.cuh"

/* Sums: of cross-entropy, of smooth L1, objects, all that count. By a whole block. */
__device__ inline void sum_losses(float4 own, float4 *partial)
{
    __shared__ float shared[WARP];

    own.x = block_sum(own.x, shared);
    own.y = block_sum(own.y, shared);
    own.z = block_sum(own.z, shared);
    own.w = block_sum(own.w, shared);
    if (threadIdx.x == 0) {
        *partial = own;
    }
}

/* One block: the losses over all that count, and the two counts. */
static __global__ void finish_losses_kernel(const float4 *partial, int n, float *loss)
{
    __shared__ float4 all;
    float4 own = make_float4(0, 0, 0, 0);

    for (int i = threadIdx.x; i < n; i += THREADS) {
        own.x += partial[i].x;
        own.y += partial[i].y;
        own.z += partial[i].z;
        own.w += partial[i].w;
    }
    sum_losses(own, &all);
    if (threadIdx.x == 0) {
        loss[0] = all.x / fmaxf(1, all.w);
        loss[1] = all.y / fmaxf(1, all.w);
        loss[2] = all.z;
        loss[3] = all.w;
    }
}

#endif
