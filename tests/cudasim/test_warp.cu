/*
 * Whole numbers and bits, and what the threads of a warp and of a block do together: shuffles,
 * votes, reductions, cooperative groups, atomics.
 */
#include "case.cuh"

#include <cooperative_groups.h>

namespace cg = cooperative_groups;

enum { N = 700 };

static __global__ void integers(const long long *x, long long *y, int n)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) {
        return;
    }
    const long long v = x[i];
    const unsigned u = (unsigned)v;
    long long *o = y + 16 * i;
    o[0] = v / 7;
    o[1] = v % 1000;
    o[2] = v << (i & 31);
    o[3] = v >> (i & 63);
    o[4] = (long long)__umul64hi(v, 12345678901234ull);
    o[5] = __clzll(v);
    o[6] = __ffs((int)v);
    o[7] = __brev(u);
    o[8] = __byte_perm(u, 0x12345678, 0x5140);
    o[9] = __popcll(v);
    o[10] = __funnelshift_l(u, 0x9abcdef0, i);
    o[11] = (int)u / 3 - (int)(u % 5) + (short)v * 3;
    o[12] = min(v, 1000ll) + max((int)v, -5) + abs((int)(v % 100));
    o[13] = __mulhi((int)v, 77777);
    o[14] = (v ^ 0x5555) & ~0xffll | 3;
    o[15] = (unsigned char)(v >> 3) + (signed char)v + ((u >> 5) & 0x7f);
}

static int first_set(int v)
{
    return __builtin_ffs(v);
}

static void test_integers(void)
{
    array<long long> x(N), y(16 * N);
    for (int i = 0; i < N; i++) {
        x[i] = i * 987654321987ll - 300000000000000ll;
    }
    integers<<<3, 256>>>(x.up(), y.device, N);
    y.down();
    for (int i = 0; i < N; i++) {
        const long long v = x[i];
        const unsigned u = (unsigned)v;
        unsigned reversed = 0, permuted = 0;
        const unsigned long long bytes = 0x12345678ull << 32 | u;
        const int choice[] = {0, 4, 1, 5};
        for (int k = 0; k < 32; k++) {
            reversed |= (u >> k & 1) << (31 - k);
        }
        for (int k = 0; k < 4; k++) {
            permuted |= (unsigned)(bytes >> 8 * choice[k] & 255) << 8 * k;
        }
        const unsigned __int128 product =
            (unsigned __int128)(unsigned long long)v * 12345678901234ull;
        const unsigned long long pair = 0x9abcdef0ull << 32 | u;
        const long long wanted[16] = {v / 7,
                                      v % 1000,
                                      (long long)((unsigned long long)v << (i & 31)),
                                      v >> (i & 63),
                                      (long long)(product >> 64),
                                      v ? __builtin_clzll(v) : 64,
                                      first_set((int)v),
                                      reversed,
                                      permuted,
                                      __builtin_popcountll(v),
                                      (unsigned)(pair << (i & 31) >> 32),
                                      (int)u / 3 - (int)(u % 5) + (short)v * 3,
                                      (v < 1000 ? v : 1000) + ((int)v > -5 ? (int)v : -5) +
                                          llabs((int)(v % 100)),
                                      (int)((long long)(int)v * 77777 >> 32),
                                      ((v ^ 0x5555) & ~0xffll) | 3,
                                      (unsigned char)(v >> 3) + (signed char)v + ((u >> 5) & 0x7f)};
        for (int k = 0; k < 16; k++) {
            check("integers", 16 * i + k, (double)(y[16 * i + k] - wanted[k]), 0, 0);
        }
    }
}

static __global__ void together(const float *x, float *y, int n)
{
    const cg::thread_block block = cg::this_thread_block();
    const cg::thread_block_tile<32> warp = cg::tiled_partition<32>(block);
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    const float own = i < n ? x[i] : 0;
    float sum = own;
    for (int k = warp.size() / 2; k > 0; k /= 2) {
        sum += warp.shfl_xor(sum, k);
    }
    const unsigned positive = __ballot_sync(~0u, own > 0);
    const int any = __any_sync(~0u, i == 3), all = __all_sync(~0u, i < n);
    const unsigned ranks = __reduce_add_sync(~0u, threadIdx.x & 3);
    const int top = __reduce_max_sync(~0u, (int)threadIdx.x - 40);
    const float next = __shfl_down_sync(~0u, own, 1), first = __shfl_sync(~0u, own, 0, 8);
    block.sync();
    if (i < n) {
        float *o = y + 8 * i;
        o[0] = sum;
        o[1] = (float)__popc(positive);
        o[2] = (float)(any + 2 * all);
        o[3] = (float)ranks;
        o[4] = (float)top;
        o[5] = next;
        o[6] = first;
        o[7] = (float)__popc(__activemask());
    }
}

static void test_together(void)
{
    array<float> x(N), y(8 * N);
    for (int i = 0; i < N; i++) {
        x[i] = (float)(i * 7919 % 1000) / 250.0f - 2;
    }
    together<<<3, 256>>>(x.up(), y.device, N);
    y.down();
    for (int i = 0; i < N; i++) {
        const int base = i / 32 * 32, end = base + 32 < N ? base + 32 : N;
        double sum = 0;
        int positive = 0, ranks = 0;
        for (int k = base; k < end; k++) {
            sum += x[k];
            positive += x[k] > 0;
        }
        for (int k = base; k < base + 32; k++) {
            ranks += (k % 256) & 3;
        }
        const float next = i % 32 == 31 ? x[i] : i + 1 < N ? x[i + 1] : 0;
        const double wanted[8] = {sum,
                                  (double)positive,
                                  (base == 0) + 2.0 * (base + 32 <= N),
                                  (double)ranks,
                                  (double)(base % 256 + 31 - 40),
                                  next,
                                  x[i / 8 * 8],
                                  (double)(end - base)};
        for (int k = 0; k < 8; k++) {
            check("together", 8 * i + k, y[8 * i + k], wanted[k], 1e-5);
        }
    }
}

/* A maximum of floats by comparing and swapping. */
static __device__ void keep_maximum(float *p, float v)
{
    int *bits = (int *)p;
    int old = *(volatile int *)bits, assumed;
    do {
        assumed = old;
        if (__int_as_float(assumed) >= v) {
            return;
        }
        old = atomicCAS(bits, assumed, __float_as_int(v));
    } while (assumed != old);
}

static __global__ void atomics(const float *x, float *most, int *k, double *sum,
                               unsigned long long *wide, int n)
{
    __shared__ int histogram[8];
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (threadIdx.x < 8) {
        histogram[threadIdx.x] = 0;
    }
    __syncthreads();
    if (i < n) {
        keep_maximum(most, x[i]);
        atomicAdd(&k[0], x[i] > 0);
        atomicMax(&k[1], (int)(x[i] * 1000));
        atomicMin(&k[2], (int)(x[i] * 1000));
        atomicOr(&k[3], 1 << (i & 31));
        atomicXor(&k[4], i);
        atomicAnd(&k[5], ~(i & 15));
        atomicInc((unsigned *)&k[6], 9);
        atomicAdd(sum, (double)x[i]);
        atomicAdd(wide, (unsigned long long)i << 30);
        atomicAdd(&histogram[i & 7], 1);
    }
    __syncthreads();
    if (threadIdx.x < 8) {
        atomicAdd(&k[8 + threadIdx.x], histogram[threadIdx.x]);
    }
}

static void test_atomics(void)
{
    array<float> x(N), most(1, -100);
    array<int> k(16, 0);
    array<double> sum(1, 0);
    array<unsigned long long> wide(1, 0);
    int wanted[16] = {0, 0, 1 << 30, 0, 0, 255, 0};
    float top = -100;
    double total = 0;
    k[2] = 1 << 30;
    k[5] = 255;
    for (int i = 0; i < N; i++) {
        x[i] = (float)(i * 7919 % 1000) / 250.0f - 2;
        const int milli = (int)(x[i] * 1000);
        top = x[i] > top ? x[i] : top;
        wanted[0] += x[i] > 0;
        wanted[1] = milli > wanted[1] ? milli : wanted[1];
        wanted[2] = milli < wanted[2] ? milli : wanted[2];
        wanted[3] |= (int)(1u << (i & 31));
        wanted[4] ^= i;
        wanted[5] &= ~(i & 15);
        wanted[6] = wanted[6] >= 9 ? 0 : wanted[6] + 1;
        wanted[8 + (i & 7)]++;
        total += (double)x[i];
    }
    atomics<<<3, 256>>>(x.up(), most.up(), k.up(), sum.up(), wide.up(), N);
    most.down();
    k.down();
    sum.down();
    wide.down();
    check("maximum", 0, most[0], top, 0);
    check("sum", 0, sum[0], total, 1e-12);
    check("wide", 0, (double)(wide[0] >> 30), N * (N - 1) / 2, 0);
    for (int i = 0; i < 16; i++) {
        check("atomics", i, k[i], wanted[i], 0);
    }
}

/* A mask for each box of those after it that overlap it too much, 64 in a word. */
static __global__ void overlaps(const float4 *b, int n, float limit, unsigned long long *mask,
                                int words)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    for (int word = 0; i < n && word < words; word++) {
        unsigned long long bits = 0;
        for (int j = word * 64; j < min(n, word * 64 + 64); j++) {
            const float w = fminf(b[i].z, b[j].z) - fmaxf(b[i].x, b[j].x);
            const float h = fminf(b[i].w, b[j].w) - fmaxf(b[i].y, b[j].y);
            const float both = fmaxf(w, 0) * fmaxf(h, 0);
            if (j > i && both > limit * (600 - both)) {
                bits |= 1ull << (j & 63);
            }
        }
        mask[(size_t)i * words + word] = bits;
    }
}

static void test_overlaps(void)
{
    const int n = 150, words = 3;
    array<float4> b(n);
    array<unsigned long long> mask(n * words);
    for (int i = 0; i < n; i++) {
        const float x = (float)(i * 37 % 50), y = (float)(i * 91 % 40);
        b[i] = make_float4(x, y, x + 20, y + 15);
    }
    overlaps<<<2, 128>>>(b.up(), n, 0.5f, mask.device, words);
    mask.down();
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            const float w = fmaxf(fminf(b[i].z, b[j].z) - fmaxf(b[i].x, b[j].x), 0);
            const float h = fmaxf(fminf(b[i].w, b[j].w) - fmaxf(b[i].y, b[j].y), 0);
            const int found = mask[i * words + j / 64] >> (j & 63) & 1;
            check("overlap", i * n + j, found, j > i && w * h > 0.5f * (600 - w * h), 0);
        }
    }
}

int main()
{
    test_integers();
    test_together();
    test_atomics();
    test_overlaps();
    return failures != 0;
}
