/*
 * Bugs of threads that work together: races in shared and in global memory, barriers that not all
 * reach, warp operations that lanes miss.
 */
#include "bug.cuh"

enum { THREADS = 128 };

static __global__ void reverse(float *y, int planted)
{
    __shared__ float s[THREADS];
    const int i = threadIdx.x;
    /* BUG shared_race: race on byte 256 of shared memory: it was read by thread 63 of this */
    s[i] = (float)i;
    if (planted != 1) {
        __syncthreads();
    }
    y[i] = s[THREADS - 1 - i];
    if (planted == 2) {
        /* BUG shared_race_again: of shared memory: it was read by thread */
        s[i] = 0;
    }
}

static void shared_race(int planted)
{
    float *y = zeros<float>(THREADS);
    reverse<<<1, THREADS>>>(y, planted);
    finish(y);
}

static void shared_race_again(int planted)
{
    float *y = zeros<float>(THREADS);
    reverse<<<1, THREADS>>>(y, 2 * planted);
    finish(y);
}

static __global__ void neighbours(float *y, int planted)
{
    __shared__ float s[32];
    const int i = threadIdx.x;
    s[i] = (float)i;
    if (!planted) {
        __syncwarp();
    }
    /* BUG warp_race: it was written by thread 1 of this block */
    y[i] = s[i ^ 1];
    __syncwarp();
    s[i] = y[i];
}

static void warp_race(int planted)
{
    float *y = zeros<float>(32);
    neighbours<<<1, 32>>>(y, planted);
    finish(y);
}

static __global__ void add_all(float *sum, int planted)
{
    if (planted) {
        /* BUG lost_updates: race on byte 0 of allocation #0 (4 bytes) */
        *sum += 1;
    } else {
        atomicAdd(sum, 1.0f);
    }
}

static void lost_updates(int planted)
{
    float *sum = zeros<float>(1);
    add_all<<<4, 1>>>(sum, planted);
    finish(sum);
}

static __global__ void exchange(float *x, int n, int planted)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    const int from = planted ? n - 1 - i : i;
    const float v = x[from];
    /* BUG block_race: by thread 0 of another block with no barrier between */
    x[i] = v + 1;
}

static void block_race(int planted)
{
    float *x = zeros<float>(64);
    exchange<<<64, 1>>>(x, 64, planted);
    finish(x);
}

/* Bytes side by side in a word are not a race; two threads on one byte are. */
static __global__ void bytes(unsigned char *x, int shift)
{
    const int i = threadIdx.x;
    /* BUG byte_race: race on byte 0 of allocation #0 */
    x[i >> shift] = (unsigned char)(x[i >> shift] + 1);
}

static void byte_race(int planted)
{
    unsigned char *x = zeros<unsigned char>(64);
    bytes<<<1, 64>>>(x, planted);
    finish(x);
}

static __global__ void early_end(float *y, int n)
{
    __shared__ float s;
    const int i = threadIdx.x;
    if (i >= n) {
        return;
    }
    if (i == 0) {
        s = 3;
    }
    /* BUG barrier_returned: __syncthreads reached by 100 of 128 threads */
    __syncthreads();
    y[i] = s;
}

static void barrier_returned(int planted)
{
    float *y = zeros<float>(THREADS);
    early_end<<<1, THREADS>>>(y, planted ? 100 : THREADS);
    finish(y);
}

static __global__ void two_barriers(float *y, int planted)
{
    if (planted && threadIdx.x < 64) {
        y[threadIdx.x] = 1;
        __syncthreads();
        y[threadIdx.x] = 2;
    } else {
        y[threadIdx.x] = 3;
        /* BUG barrier_mixed: threads of one block wait at different __syncthreads */
        __syncthreads();
        y[threadIdx.x] = 4;
    }
}

static void barrier_mixed(int planted)
{
    float *y = zeros<float>(THREADS);
    two_barriers<<<1, THREADS>>>(y, planted);
    finish(y);
}

static __global__ void sum_some(float *y, int n)
{
    const int i = threadIdx.x;
    if (i < n) {
        float v = 1;
        for (int k = 16; k > 0; k /= 2) {
            /* BUG mask_too_wide: names lanes 0xffffffff but only lanes 0x000fffff came here */
            v += __shfl_down_sync(0xffffffffu, v, k);
        }
        y[i] = v;
    }
}

static void mask_too_wide(int planted)
{
    float *y = zeros<float>(32);
    sum_some<<<1, 32>>>(y, planted ? 20 : 32);
    finish(y);
}

static __global__ void from_lane(float *y, unsigned mask, int lane)
{
    const int i = threadIdx.x;
    if (i < 16) {
        /* BUG absent_lane: reads lane 20, which did not come here */
        y[i] = __shfl_sync(mask, (float)i, lane);
    }
}

static void absent_lane(int planted)
{
    float *y = zeros<float>(32);
    from_lane<<<1, 32>>>(y, 0xffff, planted ? 20 : 2);
    finish(y);
}

BUGS({"shared_race", shared_race}, {"shared_race_again", shared_race_again},
     {"warp_race", warp_race}, {"lost_updates", lost_updates}, {"block_race", block_race},
     {"byte_race", byte_race}, {"barrier_returned", barrier_returned},
     {"barrier_mixed", barrier_mixed}, {"mask_too_wide", mask_too_wide},
     {"absent_lane", absent_lane})
