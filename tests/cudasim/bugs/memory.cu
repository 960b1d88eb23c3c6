/*
 * Bugs of kernels on memory: bounds, alignment, bytes that nothing has written, memory of others.
 */
#include "bug.cuh"

enum { N = 100 };

static __global__ void fill(float *x, int n)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        /* BUG past_the_end: write of 4 bytes: 0 bytes past the end of allocation #0 (400 */
        x[i] = 1;
    }
}

static void past_the_end(int planted)
{
    float *x = zeros<float>(N);
    fill<<<1, 128>>>(x, N + planted);
    finish(x);
}

static __global__ void shift(const float *x, float *y, int n, int by)
{
    const int i = threadIdx.x;
    if (i < n) {
        /* BUG before_the_start: out of bounds read of 4 bytes */
        y[i] = x[i - by];
    }
}

static void before_the_start(int planted)
{
    float *x = zeros<float>(2 * N);
    shift<<<1, N>>>(x, x + N, N, planted);
    finish(x);
}

static __global__ void twice(float *x)
{
    /* BUG use_after_free: use after free: read of 4 bytes: byte 0 of allocation #0 */
    x[threadIdx.x] *= 2;
}

static void use_after_free(int planted)
{
    float *x = zeros<float>(N), *y = zeros<float>(N);
    CALL(cudaFree(x));
    twice<<<1, N>>>(planted ? x : y);
    finish(y);
}

static __global__ void accumulate(float *sum, const float *x)
{
    /* BUG not_cleared: read of 4 bytes that nothing has written: byte 0 of allocation #1 */
    sum[threadIdx.x] += x[threadIdx.x];
}

static void not_cleared(int planted)
{
    float *x = zeros<float>(N), *sum;
    CALL(cudaMalloc(&sum, N * sizeof *sum));
    if (!planted) {
        CALL(cudaMemset(sum, 0, N * sizeof *sum));
    }
    accumulate<<<1, N>>>(sum, x);
    finish(sum);
    finish(x);
}

static __global__ void fours(float4 *x)
{
    /* BUG unaligned: access of 16 bytes at */
    x[threadIdx.x] = make_float4(1, 2, 3, 4);
}

static void unaligned(int planted)
{
    float *x = zeros<float>(N);
    fours<<<1, 4>>>((float4 *)(x + planted));
    finish(x);
}

static __global__ void pass(float *y, int n, int ahead)
{
    __shared__ float s[64];
    const int i = threadIdx.x;
    if (i < n) {
        s[i] = (float)i;
    }
    __syncthreads();
    /* BUG shared_unwritten: that nothing has written: byte 252 of shared memory */
    y[i] = s[i + ahead];
}

static void shared_unwritten(int planted)
{
    float *y = zeros<float>(64);
    pass<<<1, 64>>>(y, 64 - planted, 0);
    finish(y);
}

static __global__ void reach(float *y, int ahead)
{
    extern __shared__ float d[];
    const int i = threadIdx.x;
    /* BUG shared_bounds: out of bounds write of 4 bytes: byte 128 of 128 of shared memory */
    d[i + ahead] = (float)i;
    __syncthreads();
    y[i] = d[i + ahead];
}

static void shared_bounds(int planted)
{
    float *y = zeros<float>(32);
    reach<<<1, 32, 32 * sizeof(float)>>>(y, planted);
    finish(y);
}

static __global__ void pick(const int *k, float *y, int n)
{
    float a[8];
    for (int i = 0; i < n; i++) {
        a[k[i]] = (float)i;
    }
    /* BUG local_unwritten: that nothing has written: byte 28 of local memory */
    y[threadIdx.x] = a[k[threadIdx.x]];
}

static void local_unwritten(int planted)
{
    const int order[8] = {0, 2, 4, 6, 1, 3, 5, 7};
    int *k = zeros<int>(8);
    float *y = zeros<float>(8);
    CALL(cudaMemcpy(k, order, sizeof order, cudaMemcpyHostToDevice));
    pick<<<1, 8>>>(k, y, 8 - planted);
    finish(y);
    finish(k);
}

static __global__ void set(float *x)
{
    /* BUG host_pointer: host memory or nothing */
    x[threadIdx.x] = 1;
}

static void host_pointer(int planted)
{
    float host[32], *x = zeros<float>(32);
    set<<<1, 32>>>(planted ? host : x);
    finish(x);
}

static __global__ void set_if(float *x, const float *add)
{
    /* BUG null_pointer: a null pointer */
    x[threadIdx.x] += add[threadIdx.x];
}

static void null_pointer(int planted)
{
    float *x = zeros<float>(32);
    set_if<<<1, 32>>>(x, planted ? nullptr : x);
    finish(x);
}

BUGS({"past_the_end", past_the_end}, {"before_the_start", before_the_start},
     {"use_after_free", use_after_free}, {"not_cleared", not_cleared}, {"unaligned", unaligned},
     {"shared_unwritten", shared_unwritten}, {"shared_bounds", shared_bounds},
     {"local_unwritten", local_unwritten}, {"host_pointer", host_pointer},
     {"null_pointer", null_pointer})
