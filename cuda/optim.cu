/*
 * optim.cu - over blocks of parameters: SGD with momentum as torch.optim.SGD has it, their
 * average, and norms, summed in one order; and the key of a pass.
 */
#include "kernel.cuh"

#include <math_constants.h>

static int block_grid(const struct cuda *cu, size_t n)
{
    return smaller(div_up((long long)n, THREADS), cu->multiprocessors * 16LL);
}

__device__ static bool allows(const float *guard, int n)
{
    for (int i = 0; i < n; i++) {
        if (!isfinite(guard[i])) {
            return false;
        }
    }
    return true;
}

/* What the gradient is multiplied by, NaN: the guard forbids the update. */
__device__ static float guarded_scale(const struct sgd_desc &d)
{
    if (!allows(d.guard, d.n_guard)) {
        return CUDART_NAN_F;
    }
    const bool shortens = d.n_guard > 0 && d.clip > 0 && d.guard[0] * d.scale > d.clip;
    return shortens ? d.clip / d.guard[0] : d.scale;
}

__global__ void sgd_kernel(struct sgd_desc d, size_t n, float *w, const float *grad, float *m)
{
    const float scale = guarded_scale(d), rate = *d.rate * d.rate_factor;

    for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < n && scale == scale;
         i += (size_t)gridDim.x * THREADS) {
        const float g = scale * grad[i] + d.decay * w[i];
        const float v = d.momentum * m[i] + g;
        m[i] = v;
        w[i] -= rate * (d.nesterov ? d.momentum * v + g : v);
    }
}

static void cuda_sgd(struct backend *be, const struct sgd_desc *d, size_t n, real *w, const real *g,
                     real *m)
{
    struct cuda *cu = cuda_of(be);

    if (n > 0) {
        LAUNCH(cu, block_grid(cu, n), THREADS, sgd_kernel, *d, n, w, g, m);
    }
}

__global__ void block_average_kernel(const float *rate, const float *guard, int n_guard, size_t n,
                                     const float *w, float *average)
{
    const bool allowed = allows(guard, n_guard);

    for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < n && allowed;
         i += (size_t)gridDim.x * THREADS) {
        average[i] += *rate * (w[i] - average[i]);
    }
}

static void cuda_block_average(struct backend *be, const real *rate, const real *guard, int n_guard,
                               size_t n, const real *w, real *average)
{
    struct cuda *cu = cuda_of(be);

    if (n > 0) {
        LAUNCH(cu, block_grid(cu, n), THREADS, block_average_kernel, rate, guard, n_guard, n, w,
               average);
    }
}

__global__ void block_fill_kernel(size_t n, float *x, float value)
{
    for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < n;
         i += (size_t)gridDim.x * THREADS) {
        x[i] = value;
    }
}

static void cuda_block_fill(struct backend *be, size_t n, real *x, real value)
{
    struct cuda *cu = cuda_of(be);

    if (n > 0) {
        LAUNCH(cu, block_grid(cu, n), THREADS, block_fill_kernel, n, x, value);
    }
}

/* sum[block] of the squares of n numbers. */
__global__ void sum_squares_kernel(size_t n, const float *x, float *sum)
{
    __shared__ float shared[WARP];
    float squares = 0;

    for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < n;
         i += (size_t)gridDim.x * THREADS) {
        squares += x[i] * x[i];
    }
    squares = block_sum(squares, shared);
    if (threadIdx.x == 0) {
        sum[blockIdx.x] = squares;
    }
}

/* One block: the root of the sum of n numbers. */
__global__ void finish_norm_kernel(int n, const float *x, float *norm)
{
    __shared__ float shared[WARP];
    float sum = 0;

    for (int i = threadIdx.x; i < n; i += THREADS) {
        sum += x[i];
    }
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0) {
        *norm = sqrtf(sum);
    }
}

static void cuda_block_norm(struct backend *be, size_t n, const real *x, real *norm)
{
    struct cuda *cu = cuda_of(be);
    const int blocks = block_grid(cu, n > 0 ? n : 1);

    LAUNCH(cu, blocks, THREADS, sum_squares_kernel, n, x, cu->work);
    LAUNCH(cu, 1, THREADS, finish_norm_kernel, blocks, cu->work, norm);
}

__global__ void begin_kernel(uint64_t key, uint64_t *place)
{
    *place = key;
}

/* On the device, where recorded kernels find it. */
static void cuda_begin(struct backend *be, uint64_t key)
{
    struct cuda *cu = cuda_of(be);

    LAUNCH(cu, 1, 1, begin_kernel, key, cu->key);
}

void cuda_optim_entries(struct backend_ops *ops)
{
    ops->begin = cuda_begin;
    ops->sgd = cuda_sgd;
    ops->block_average = cuda_block_average;
    ops->block_fill = cuda_block_fill;
    ops->block_norm = cuda_block_norm;
}
