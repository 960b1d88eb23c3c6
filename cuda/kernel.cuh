/*
 * kernel.cuh - what the kernel files share: a view as a matrix of pixels by channels, packs of
 * neighbouring channels, and launching. Sizes are checked here once: rows, channels and the
 * numbers of a row fit an int; offsets are size_t.
 */
#ifndef VOV_CUDA_KERNEL_CUH
#define VOV_CUDA_KERNEL_CUH

#include "cuda.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

enum { THREADS = 256, WARP = 32 };

/* The channels of a view: row r (image * plane + pixel), column c (from the view's first). */
template <class T> struct mat {
    T *p; /* row 0, column 0 */
    int rows, c;
    int step;  /* from row to row */
    int plane; /* rows of an image */
};

template <class T> static mat<T> mat_of(struct view v)
{
    T *p = reinterpret_cast<T *>(v.p);
    return {p == NULL ? NULL : p + v.c0, v.n * v.h * v.w, v.c, v.rc, v.h * v.w};
}

/* Whether rows can be numbered: else the backend fails. */
static inline bool mat_fits(struct cuda *cu, struct view v)
{
    if ((long long)v.n * v.h * v.w < 1 << 30) {
        return true;
    }
    cuda_fail(cu, "a tensor of more than 2^30 pixels");
    return false;
}

/* Runs the statements with T as the type of the view's numbers. */
#define BY_TYPE(view, ...)                                                                         \
    switch ((view).type) {                                                                         \
    case NUMBER_HALF: {                                                                            \
        using T = __half;                                                                          \
        __VA_ARGS__;                                                                               \
        break;                                                                                     \
    }                                                                                              \
    case NUMBER_BF16: {                                                                            \
        using T = __nv_bfloat16;                                                                   \
        __VA_ARGS__;                                                                               \
        break;                                                                                     \
    }                                                                                              \
    default: {                                                                                     \
        using T = float;                                                                           \
        __VA_ARGS__;                                                                               \
    }                                                                                              \
    }

/* The same where graphs give reals only. */
#define BY_REAL(...)                                                                               \
    {                                                                                              \
        using T = float;                                                                           \
        __VA_ARGS__;                                                                               \
    }

/* V neighbouring channels, V is 1 or 4, as they lie in memory. Kernels compute with T = float. */
template <int V, class T = float> struct __align__(V * sizeof(T)) pack
{
    T v[V];
};

template <int V, class T> __device__ inline pack<V> load(const mat<T> &m, int row, int col)
{
    const pack<V, T> x = *reinterpret_cast<const pack<V, T> *>(m.p + (size_t)row * m.step + col);
    pack<V> y;
    for (int i = 0; i < V; i++) {
        y.v[i] = (float)x.v[i];
    }
    return y;
}

template <int V, class T>
__device__ inline void store(const mat<T> &m, int row, int col, const pack<V> &x)
{
    pack<V, T> y;
    for (int i = 0; i < V; i++) {
        y.v[i] = (T)x.v[i];
    }
    *reinterpret_cast<pack<V, T> *>(m.p + (size_t)row * m.step + col) = y;
}

/* beta * old + x, where old may be NaN or unset when beta is 0. */
template <int V, class T>
__device__ inline void store_scaled(const mat<T> &m, int row, int col, float beta, pack<V> x)
{
    if (beta != 0) {
        const pack<V> old = load<V>(m, row, col);
        for (int i = 0; i < V; i++) {
            x.v[i] += beta * old.v[i];
        }
    }
    store<V>(m, row, col, x);
}

/* V numbers of an array with one for each channel, which starts on a cache line. */
template <int V> __device__ inline pack<V> load_channels(const float *p, int col)
{
    pack<V> x;
    for (int i = 0; i < V; i++) {
        x.v[i] = p[col + i];
    }
    return x;
}

/* Whether all rows of a view can be read in packs of 4. No view can. */
static inline bool packs(struct view v)
{
    return v.p == NULL || (v.c % 4 == 0 && v.c0 % 4 == 0 && v.rc % 4 == 0 &&
                           reinterpret_cast<size_t>(v.p) % 16 == 0);
}

static inline int div_up(long long a, long long b)
{
    return (int)((a + b - 1) / b);
}

static inline int power_of_two_from(int n, int most)
{
    int p = 1;
    while (p < n && p < most) {
        p *= 2;
    }
    return p;
}

static inline int smaller(long long a, long long b)
{
    return (int)(a < b ? a : b);
}

/* Launches unless something failed before, and keeps what goes wrong. */
#define LAUNCH(cu, grid, block, kernel, ...)                                                       \
    do {                                                                                           \
        if ((cu)->be.failed.code == VOV_OK && cuda_here(cu)) {                                     \
            kernel<<<(grid), (block), 0, (cu)->stream>>>(__VA_ARGS__);                             \
            cuda_ok((cu), cudaGetLastError(), #kernel);                                            \
        }                                                                                          \
    } while (0)

/*
 * Visits every number of `rows` rows of c channels: f.at<V>(row, column) handles V of them. Threads
 * lie along the channels first, so that a warp reads a run of memory.
 */
template <int V, class F> __global__ void each_kernel(F f, int rows, int n_packs)
{
    for (int row = blockIdx.x * blockDim.y + threadIdx.y; row < rows;
         row += gridDim.x * blockDim.y) {
        for (int i = threadIdx.x; i < n_packs; i += blockDim.x) {
            f.template at<V>(row, i * V);
        }
    }
}

template <class F> static void each(struct cuda *cu, int rows, int c, bool packed, const F &f)
{
    const int n_packs = packed ? c / 4 : c;
    const int across = power_of_two_from(n_packs, THREADS);
    const dim3 block(across, THREADS / across);
    const int grid = smaller(div_up(rows, block.y), cu->multiprocessors * 16LL);

    if (rows == 0 || c == 0) {
        return;
    }
    if (packed) {
        LAUNCH(cu, grid, block, (each_kernel<4, F>), f, rows, n_packs);
    } else {
        LAUNCH(cu, grid, block, (each_kernel<1, F>), f, rows, n_packs);
    }
}

/* Sums over a warp, the same in every lane, in one order. */
__device__ inline float warp_sum(float x)
{
    for (int d = WARP / 2; d > 0; d /= 2) {
        x += __shfl_xor_sync(0xffffffffu, x, d);
    }
    return x;
}

__device__ inline float warp_max(float x)
{
    for (int d = WARP / 2; d > 0; d /= 2) {
        x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, d));
    }
    return x;
}

/*
 * The sum over a block of THREADS threads, in every thread, in one order. `shared` has a place for
 * each warp and may be used again after the next barrier.
 */
__device__ inline float block_sum(float x, float *shared)
{
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;

    x = warp_sum(x);
    __syncthreads();
    if (lane == 0) {
        shared[warp] = x;
    }
    __syncthreads();
    return warp_sum(lane < (int)blockDim.x / WARP ? shared[lane] : 0);
}

#endif
