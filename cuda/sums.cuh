/*
 * sums.cuh - sums down the columns of a matrix: over all pixels for each channel, or over those of
 * each image. Rows are cut into chunks, a block sums one chunk of some columns, and a second kernel
 * adds the chunks up. The order is fixed by the sizes and the device: equal bits every time, no
 * atomics.
 */
#ifndef VOV_CUDA_SUMS_CUH
#define VOV_CUDA_SUMS_CUH

#include "kernel.cuh"

/* What is summed. A sum starts as zeros. */
struct sum1 {
    float a;

    __device__ void merge(const sum1 &o)
    {
        a += o.a;
    }
};

struct sum2 {
    float a, b;

    __device__ void merge(const sum2 &o)
    {
        a += o.a;
        b += o.b;
    }
};

/* Mean, and sum of squared distances to it: Chan, Golub, LeVeque 1979. */
struct moments {
    float n, mean, squares;

    __device__ void merge(const moments &o)
    {
        const float total = n + o.n, d = o.mean - mean;
        if (o.n > 0) {
            const float part = o.n / total;
            mean += d * part;
            squares += o.squares + d * d * n * part;
            n = total;
        }
    }
};

enum { FINISH_COLUMNS = WARP, FINISH_ROWS = THREADS / WARP };

/* Adds the sums of the threads that share a column; the first of them (threadIdx.y 0) gets all. */
template <int N, class S> __device__ inline void merge_rows(S *s, S *shared)
{
    const int mine = threadIdx.y * blockDim.x + threadIdx.x;

    for (int i = 0; i < N; i++) {
        shared[mine * N + i] = s[i];
    }
    for (int half = blockDim.y / 2; half > 0; half /= 2) {
        __syncthreads();
        if ((int)threadIdx.y < half) {
            for (int i = 0; i < N; i++) {
                s[i].merge(shared[(mine + half * blockDim.x) * N + i]);
                shared[mine * N + i] = s[i];
            }
        }
    }
}

/* Grid: chunks, tiles of columns, segments. partial: [segment][chunk][c]. */
template <int V, class S, class F, class D>
__global__ void column_sums_kernel(F f, D finish, int rows, int c, S *partial)
{
    __shared__ S shared[THREADS * V];
    const int per_chunk = (rows + gridDim.x - 1) / gridDim.x;
    const int from = blockIdx.x * per_chunk, to = min(rows, from + per_chunk);
    const int col = (blockIdx.y * blockDim.x + threadIdx.x) * V;
    S s[V] = {};

    for (int row = from + threadIdx.y; col < c && row < to; row += blockDim.y) {
        f.template add<V>(blockIdx.z * rows + row, col, s);
    }
    merge_rows<V>(s, shared);
    for (int i = 0; threadIdx.y == 0 && i < V && col + i < c; i++) {
        if (gridDim.x == 1) {
            finish.done(blockIdx.z, col + i, s[i]);
        } else {
            partial[((size_t)blockIdx.z * gridDim.x + blockIdx.x) * c + col + i] = s[i];
        }
    }
}

template <class S, class D>
__global__ void finish_sums_kernel(const S *partial, int chunks, int c, D finish)
{
    __shared__ S shared[THREADS];
    const int col = blockIdx.x * FINISH_COLUMNS + threadIdx.x;
    S s[1] = {};

    for (int k = threadIdx.y; col < c && k < chunks; k += FINISH_ROWS) {
        s[0].merge(partial[((size_t)blockIdx.y * chunks + k) * c + col]);
    }
    merge_rows<1>(s, shared);
    if (threadIdx.y == 0 && col < c) {
        finish.done(blockIdx.y, col, s[0]);
    }
}

/* How many chunks: enough blocks for the device, enough rows for each, and room for the sums. */
static inline int sum_chunks(const struct cuda *cu, int rows, int blocks, size_t chunk_bytes,
                             int block_rows)
{
    const long long wanted = div_up(2LL * cu->multiprocessors, blocks);
    const long long useful = div_up(rows, 4LL * block_rows);
    const long long room = (long long)(cu->work_count * sizeof(float) / chunk_bytes);
    const int n = smaller(wanted < useful ? wanted : useful, room);

    return n < 1 ? 1 : n;
}

/*
 * For each of `segments` runs of `rows` rows and each of c columns: S over f.add<V>(row, column,
 * sums), V sums at a time, then finish.done(segment, column, sum).
 */
template <class S, class F, class D>
static void column_sums(struct cuda *cu, int segments, int rows, int c, bool packed, const F &f,
                        const D &finish)
{
    const int n_packs = packed ? c / 4 : c;
    const int across = power_of_two_from(n_packs, WARP), down = THREADS / across;
    const int tiles = div_up(n_packs, across);
    const int chunks =
        sum_chunks(cu, rows, tiles * segments, (size_t)segments * c * sizeof(S), down);
    const dim3 grid(chunks, tiles, segments), block(across, down);
    S *partial = reinterpret_cast<S *>(cu->work);

    if (packed) {
        LAUNCH(cu, grid, block, (column_sums_kernel<4, S, F, D>), f, finish, rows, c, partial);
    } else {
        LAUNCH(cu, grid, block, (column_sums_kernel<1, S, F, D>), f, finish, rows, c, partial);
    }
    if (chunks > 1) {
        LAUNCH(cu, dim3(div_up(c, FINISH_COLUMNS), segments), dim3(FINISH_COLUMNS, FINISH_ROWS),
               (finish_sums_kernel<S, D>), partial, chunks, c, finish);
    }
}

#endif
