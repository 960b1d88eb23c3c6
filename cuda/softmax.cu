/*
 * softmax.cu - over the channels of each pixel: a warp each, its lanes along the channels. The mean
 * cross-entropy is summed by blocks and then by one of them, in one order.
 */
#include "rowwise.cuh"

template <class T> struct softmax_forward {
    mat<T> x, y;

    __device__ void row(int row, int lane) const
    {
        const softmax_norm s = softmax_norm_of(x, row, lane);
        for (int c = lane; c < x.c; c += WARP) {
            pack<1> v = load<1>(x, row, c);
            v.v[0] = expf(v.v[0] - s.most) / s.sum;
            store<1>(y, row, c, v);
        }
    }
};

static void cuda_softmax_fwd(struct backend *be, struct view x, struct view y)
{
    struct cuda *cu = cuda_of(be);

    if (mat_fits(cu, x)) {
        BY_REAL(const auto m = mat_of<T>(x);
                each_row(cu, m.rows, softmax_forward<T>{m, mat_of<T>(y)}));
    }
}

template <class T> struct softmax_backward {
    mat<T> y, dy, dx;
    float beta;

    __device__ void row(int row, int lane) const
    {
        float dot = 0;
        for (int c = lane; c < y.c; c += WARP) {
            dot += load<1>(y, row, c).v[0] * load<1>(dy, row, c).v[0];
        }
        dot = warp_sum(dot);
        for (int c = lane; c < y.c; c += WARP) {
            pack<1> g = load<1>(dy, row, c);
            g.v[0] = load<1>(y, row, c).v[0] * (g.v[0] - dot);
            store_scaled<1>(dx, row, c, beta, g);
        }
    }
};

static void cuda_softmax_bwd(struct backend *be, struct view y, struct view dy, real beta,
                             struct view dx)
{
    struct cuda *cu = cuda_of(be);

    if (mat_fits(cu, y)) {
        BY_REAL(const auto m = mat_of<T>(y);
                each_row(cu, m.rows, softmax_backward<T>{m, mat_of<T>(dy), mat_of<T>(dx), beta}));
    }
}

/* The label of a row, -1: not counted. One that names no channel is a fault. */
template <class T>
__device__ static int label_at(const mat<T> &label, int row, int classes, cuda_fault *fault)
{
    const float v = load<1>(label, row, 0).v[0];

    if (v >= 0 && v < classes) {
        return (int)v;
    }
    if (!(v < 0) && atomicCAS(&fault->code, FAULT_NONE, FAULT_LABEL) == FAULT_NONE) {
        fault->value = v;
        fault->bound = classes;
    }
    return -1;
}

/* partial[block]: losses and how many, of the rows that the block's warps took. */
template <class T>
__global__ void softmax_loss_kernel(mat<T> x, mat<T> label, cuda_fault *fault, float2 *partial)
{
    __shared__ float shared[WARP];
    const int lane = threadIdx.x % WARP;
    float loss = 0, count = 0;

    for (int row = blockIdx.x * WARPS + threadIdx.x / WARP; row < x.rows;
         row += gridDim.x * WARPS) {
        const int l = label_at(label, row, x.c, fault);
        if (l >= 0) {
            const softmax_norm s = softmax_norm_of(x, row, lane);
            loss += logf(s.sum) + s.most - load<1>(x, row, l).v[0];
            count++;
        }
    }
    loss = block_sum(lane == 0 ? loss : 0, shared);
    count = block_sum(lane == 0 ? count : 0, shared);
    if (threadIdx.x == 0) {
        partial[blockIdx.x] = make_float2(loss, count);
    }
}

/* One block. result: the mean loss, and 1 / how many. loss may be NULL. */
__global__ void finish_softmax_loss_kernel(const float2 *partial, int n, float *loss,
                                           float *inverse_count)
{
    __shared__ float shared[WARP];
    float sum = 0, count = 0;

    for (int i = threadIdx.x; i < n; i += THREADS) {
        sum += partial[i].x;
        count += partial[i].y;
    }
    sum = block_sum(sum, shared);
    count = block_sum(count, shared);
    if (threadIdx.x == 0) {
        *inverse_count = count > 0 ? 1 / count : 0;
        if (loss != NULL) {
            *loss = count > 0 ? sum / count : 0;
        }
    }
}

/* Leaves 1 / count in cu->result. */
static void sum_softmax_loss(struct cuda *cu, struct view x, struct view label, float *loss)
{
    const int blocks = smaller(div_up((long long)x.n * x.h * x.w, WARPS), 4096);
    float2 *partial = reinterpret_cast<float2 *>(cu->work);

    BY_REAL(LAUNCH(cu, blocks, THREADS, softmax_loss_kernel<T>, mat_of<T>(x), mat_of<T>(label),
                   cu->fault, partial));
    LAUNCH(cu, 1, THREADS, finish_softmax_loss_kernel, partial, blocks, loss, cu->result);
}

static void cuda_softmax_loss_fwd(struct backend *be, struct view x, struct view label, real *loss)
{
    struct cuda *cu = cuda_of(be);

    if (mat_fits(cu, x)) {
        sum_softmax_loss(cu, x, label, loss);
    }
}

template <class T> struct softmax_loss_backward {
    mat<T> x, label, dx;
    float gain, beta;
    const float *inverse_count;
    cuda_fault *fault;

    __device__ void row(int row, int lane) const
    {
        const int l = label_at(label, row, x.c, fault);
        const softmax_norm s = softmax_norm_of(x, row, lane);
        const float k = l < 0 ? 0 : gain * *inverse_count;
        for (int c = lane; c < x.c; c += WARP) {
            pack<1> v = load<1>(x, row, c);
            const float p = expf(v.v[0] - s.most) / s.sum;
            v.v[0] = l < 0 ? 0 : k * (p - (c == l));
            store_scaled<1>(dx, row, c, beta, v);
        }
    }
};

static void cuda_softmax_loss_bwd(struct backend *be, struct view x, struct view label, real gain,
                                  real beta, struct view dx)
{
    struct cuda *cu = cuda_of(be);

    if (mat_fits(cu, x)) {
        sum_softmax_loss(cu, x, label, NULL);
        BY_REAL(const auto m = mat_of<T>(x);
                each_row(cu, m.rows,
                         softmax_loss_backward<T>{m, mat_of<T>(label), mat_of<T>(dx), gain, beta,
                                                  cu->result, cu->fault}));
    }
}

void cuda_softmax_entries(struct backend_ops *ops)
{
    ops->softmax_fwd = cuda_softmax_fwd;
    ops->softmax_bwd = cuda_softmax_bwd;
    ops->softmax_loss_fwd = cuda_softmax_loss_fwd;
    ops->softmax_loss_bwd = cuda_softmax_loss_bwd;
}
