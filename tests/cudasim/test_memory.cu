/*
 * Kinds of memory and of access: vectors, constants, static and dynamic shared memory, local
 * arrays, bytes, structures as arguments, variables, calls and jumps.
 */
#include "case.cuh"

#include <algorithm>
#include <cassert>

enum { N = 700 };

static std::vector<float> ramp(int n)
{
    std::vector<float> v(n);
    for (int i = 0; i < n; i++) {
        v[i] = (float)(i * 7919 % 1000) / 250.0f - 2;
    }
    return v;
}

static __constant__ float weights[8] = {1, 2, 3, 4, 5, 6, 7, 8};

static __global__ void vectors(const float4 *x, float4 *y, int n)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        const float4 v = x[i];
        y[i] = make_float4(fmaxf(v.x, 0), v.y * weights[i & 7], -v.z, v.w + 1);
    }
}

static void test_vectors(void)
{
    array<float> x(N), y(N);
    const float changed = -3;
    x.host = ramp(N);
    CALL(cudaMemcpyToSymbol(weights, &changed, sizeof changed, 2 * sizeof changed));
    vectors<<<2, 96>>>((const float4 *)x.up(), (float4 *)y.device, N / 4);
    y.down();
    for (int i = 0; i < N / 4; i++) {
        const int k = i & 7;
        check("x", i, y[4 * i], std::max(x[4 * i], 0.0f), 0);
        check("y", i, y[4 * i + 1], x[4 * i + 1] * (k == 2 ? -3.0f : (float)(k + 1)), 0);
        check("z", i, y[4 * i + 2], -x[4 * i + 2], 0);
        check("w", i, y[4 * i + 3], x[4 * i + 3] + 1, 0);
    }
}

enum { TILE = 16 };
extern __shared__ unsigned char dynamic[];

static __global__ void transpose(const float *x, float *y, int h, int w)
{
    float *tile = (float *)dynamic;
    const int c = blockIdx.x * TILE + threadIdx.x, r = blockIdx.y * TILE + threadIdx.y;
    if (r < h && c < w) {
        tile[threadIdx.y * (TILE + 1) + threadIdx.x] = x[r * w + c];
    }
    __syncthreads();
    const int c2 = blockIdx.y * TILE + threadIdx.x, r2 = blockIdx.x * TILE + threadIdx.y;
    if (r2 < w && c2 < h) {
        y[r2 * h + c2] = tile[threadIdx.x * (TILE + 1) + threadIdx.y];
    }
}

static void test_shared(void)
{
    const int h = 20, w = 35;
    array<float> x(h * w), y(h * w);
    x.host = ramp(h * w);
    const dim3 grid((w + TILE - 1) / TILE, (h + TILE - 1) / TILE);
    transpose<<<grid, dim3(TILE, TILE), TILE *(TILE + 1) * sizeof(float)>>>(x.up(), y.device, h, w);
    y.down();
    for (int i = 0; i < h * w; i++) {
        check("transposed", i, y[i % w * h + i / w], x[i], 0);
    }
}

/* Static arrays of two kinds and a dynamic one behind them, and bytes next to each other. */
static __global__ void mixed(const unsigned char *x, unsigned char *y, int n)
{
    __shared__ unsigned char bytes[100];
    __shared__ double sums[4];
    const int i = threadIdx.x;
    bytes[i] = x[i];
    dynamic[i] = (unsigned char)(x[i] + 1);
    if (i < 4) {
        sums[i] = i;
    }
    __syncthreads();
    bytes[i] = (unsigned char)(bytes[i] * 2);
    y[i] = (unsigned char)(bytes[i] + dynamic[n - 1 - i] + (int)sums[i & 3]);
}

static void test_mixed(void)
{
    const int n = 100;
    array<unsigned char> x(n), y(n);
    for (int i = 0; i < n; i++) {
        x[i] = (unsigned char)(i * 37);
    }
    mixed<<<1, n, n>>>(x.up(), y.device, n);
    y.down();
    for (int i = 0; i < n; i++) {
        check("mixed", i, y[i], (unsigned char)(2 * x[i] + x[n - 1 - i] + 1 + (i & 3)), 0);
    }
}

static __global__ void sorted(const float *x, float *y, int n, int k)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) {
        return;
    }
    float a[16];
    for (int j = 0; j < 16; j++) {
        a[j] = x[(i * 16 + j) % n];
    }
    for (int p = 0; p < 15; p++) {
        for (int j = 0; j < 15 - p; j++) {
            const float low = fminf(a[j], a[j + 1]), high = fmaxf(a[j], a[j + 1]);
            a[j] = low;
            a[j + 1] = high;
        }
    }
    y[i] = a[(k + i) & 15];
}

static void test_local(void)
{
    array<float> x(N), y(N);
    x.host = ramp(N);
    sorted<<<3, 256>>>(x.up(), y.device, N, 5);
    y.down();
    for (int i = 0; i < N; i++) {
        std::vector<float> a(16);
        for (int j = 0; j < 16; j++) {
            a[j] = x[(i * 16 + j) % N];
        }
        std::sort(a.begin(), a.end());
        check("sorted", i, y[i], a[(5 + i) & 15], 0);
    }
}

struct settings {
    int a;
    float b;
    double c;
    unsigned char d[5];
    short e[3];
};

static __global__ void structures(const settings s, float *y, settings *copy)
{
    const int i = threadIdx.x;
    y[i] = (float)s.a + s.b + (float)s.c + s.d[i % 5] + s.e[i % 3];
    copy[i].d[i % 5] = s.d[4 - i % 5];
}

static void test_structures(void)
{
    const settings s = {3, 2.5f, 1.25, {1, 2, 3, 4, 5}, {-1, -2, -3}};
    array<float> y(64);
    array<settings> copy(64, settings());
    copy.up();
    structures<<<1, 64>>>(s, y.device, copy.device);
    y.down();
    copy.down();
    for (int i = 0; i < 64; i++) {
        check("structure", i, y[i], 6.75 + s.d[i % 5] + s.e[i % 3], 0);
        check("copy", i, copy[i].d[i % 5], s.d[4 - i % 5], 0);
    }
}

static __device__ __noinline__ float2 series(float a, int k)
{
    float sum = 0;
    for (int i = 0; i < k; i++) {
        sum = sum * 0.5f + a;
    }
    return make_float2(sum, (float)k);
}

static __global__ void calls(const float *x, float *y, int n)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        const float2 a = series(x[i], i & 7), b = series(-x[i], 2);
        y[i] = a.x + b.x + a.y * b.y;
    }
}

static void test_calls(void)
{
    array<float> x(N), y(N);
    x.host = ramp(N);
    calls<<<3, 256>>>(x.up(), y.device, N);
    y.down();
    for (int i = 0; i < N; i++) {
        float sum = 0;
        for (int k = 0; k < (i & 7); k++) {
            sum = sum * 0.5f + x[i];
        }
        check("call", i, y[i], sum - 1.5f * x[i] + 2 * (i & 7), 1e-6);
    }
}

static __global__ void jumps(const int *kind, float *y, int n)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) {
        return;
    }
    float v = (float)i;
    switch (kind[i]) {
    case 0:
        v = v * 2;
        break;
    case 1:
        v = sqrtf(v);
        break;
    case 2:
        v = -v;
        break;
    case 3:
        v = v * v;
        break;
    case 4:
        v += 7;
        break;
    case 5:
        v = 1 / (v + 1);
        break;
    case 6:
        v = floorf(v / 3);
        break;
    case 7:
        v = 0;
        break;
    default:
        v = 42;
    }
    y[i] = v;
}

static void test_jumps(void)
{
    array<int> kind(N);
    array<float> y(N);
    for (int i = 0; i < N; i++) {
        kind[i] = i % 10;
    }
    jumps<<<3, 256>>>(kind.up(), y.device, N);
    y.down();
    for (int i = 0; i < N; i++) {
        const double v = i;
        const double wanted[] = {2 * v,       sqrt(v),      -v, v * v, v + 7,
                                 1 / (v + 1), floor(v / 3), 0,  42,    42};
        check("jump", i, y[i], wanted[i % 10], 1e-6);
    }
}

template <class T> static __global__ void scaled(const T *x, T *y, int n)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    assert(n > 0);
    if (i < n) {
        y[i] = (T)(x[i] * (T)2 + (T)1);
    }
}

template <class T> static void test_type(const char *name)
{
    array<T> x(N), y(N);
    for (int i = 0; i < N; i++) {
        x[i] = (T)(i % 100);
    }
    scaled<<<3, 256>>>(x.up(), y.device, N);
    y.down();
    for (int i = 0; i < N; i++) {
        check(name, i, (double)y[i], (double)(T)(x[i] * (T)2 + (T)1), 0);
    }
}

static __device__ int counter = 7;

static __global__ void count(void)
{
    atomicAdd(&counter, 1);
}

static void test_variables(void)
{
    int found = 0;
    count<<<3, 64>>>();
    CALL(cudaMemcpyFromSymbol(&found, counter, sizeof found));
    check("variable", 0, found, 7 + 3 * 64, 0);
}

int main()
{
    test_vectors();
    test_shared();
    test_mixed();
    test_local();
    test_structures();
    test_calls();
    test_jumps();
    test_type<double>("double");
    test_type<unsigned char>("byte");
    test_type<short>("short");
    test_type<long long>("long long");
    test_variables();
    return failures != 0;
}
