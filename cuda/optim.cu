/*
 * optim.cu - over blocks of parameters: SGD with momentum as torch.optim.SGD has it, and sums of
 * squares in one order.
 */
#include "kernel.cuh"

static int block_grid(const struct cuda *cu, size_t n)
{
    return smaller(div_up((long long)n, THREADS), cu->multiprocessors * 16LL);
}

__global__ void sgd_kernel(struct sgd_desc d, size_t n, float *w, const float *grad, float *m)
{
    for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < n;
         i += (size_t)gridDim.x * THREADS) {
        const float g = d.scale * grad[i] + d.decay * w[i];
        const float v = d.momentum * m[i] + g;
        m[i] = v;
        w[i] -= d.lr * (d.nesterov ? d.momentum * v + g : v);
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

/* partial[block]; a second launch with one block sums those. squares: of the numbers, else of what
 * is squared already. */
__global__ void sum_squares_kernel(size_t n, const float *x, bool square, float *partial)
{
    __shared__ float shared[WARP];
    float sum = 0;

    for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < n;
         i += (size_t)gridDim.x * THREADS) {
        sum += square ? x[i] * x[i] : x[i];
    }
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0) {
        partial[blockIdx.x] = sum;
    }
}

static double cuda_block_sumsq(struct backend *be, size_t n, const real *x)
{
    struct cuda *cu = cuda_of(be);
    const int blocks = block_grid(cu, n > 0 ? n : 1);
    float sum = 0;

    LAUNCH(cu, blocks, THREADS, sum_squares_kernel, n, x, true, cu->work);
    LAUNCH(cu, 1, THREADS, sum_squares_kernel, (size_t)blocks, cu->work, false, cu->result);
    be->ops->read(be, view_dense(cu->result, (struct shape){1, 1, 1, 1}), &sum);
    return (double)sum;
}

void cuda_optim_entries(struct backend_ops *ops)
{
    ops->sgd = cuda_sgd;
    ops->block_fill = cuda_block_fill;
    ops->block_sumsq = cuda_block_sumsq;
}
