/*
 * Functions of CUDA's mathematical library in 32 and 64 bits, roundings, and 16-bit floats: what
 * nvcc makes of them, run by the simulator, against the C library.
 */
#include "case.cuh"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

enum { N = 600, FUNCTIONS = 32 };

static __global__ void functions(const float *x, float *y, int n)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) {
        return;
    }
    const float v = x[i], p = fabsf(v) + 0.1f;
    float *o = y + i * FUNCTIONS;
    o[0] = expf(v);
    o[1] = logf(p);
    o[2] = sinf(v * 100);
    o[3] = cosf(v);
    o[4] = tanhf(v);
    o[5] = 1 / (1 + expf(-v));
    o[6] = log1pf(expf(v));
    o[7] = powf(p, 1.7f);
    o[8] = sqrtf(p);
    o[9] = rsqrtf(p);
    o[10] = floorf(v * 7);
    o[11] = ceilf(v * 7);
    o[12] = roundf(v * 7);
    o[13] = rintf(v * 7);
    o[14] = erff(v);
    o[15] = fmodf(v * 10, 3);
    o[16] = __expf(v);
    o[17] = (float)exp((double)v);
    o[18] = (float)log((double)p);
    o[19] = v / 3;
    o[20] = fdividef(v, 3);
    o[21] = cbrtf(v);
    o[22] = isnan(v) || isinf(v) ? 1 : 0;
    o[23] = atan2f(v, 0.5f);
    o[24] = exp2f(v);
    o[25] = log2f(p);
    o[26] = fmaf(v, v, p);
    o[27] = truncf(v * 7);
    o[28] = expm1f(v);
    o[29] = hypotf(v, p);
    o[30] = copysignf(p, v);
    o[31] = __saturatef(v);
}

static void test_functions(void)
{
    array<float> x(N), y(N * FUNCTIONS);
    for (int i = 0; i < N; i++) {
        x[i] = (float)(i * 7919 % 1000) / 250.0f - 2;
    }
    functions<<<(N + 127) / 128, 128>>>(x.up(), y.device, N);
    y.down();
    for (int i = 0; i < N; i++) {
        const float f = x[i];
        const double v = f, p = fabsf(f) + 0.1f;
        const double wanted[FUNCTIONS] = {exp(v),
                                          log(p),
                                          sin(f * 100),
                                          cos(v),
                                          tanh(v),
                                          1 / (1 + exp(-v)),
                                          log1p(exp(v)),
                                          pow(p, 1.7f),
                                          sqrt(p),
                                          1 / sqrt(p),
                                          floor(f * 7),
                                          ceil(f * 7),
                                          roundf(f * 7),
                                          rint(f * 7),
                                          erf(v),
                                          fmod(f * 10, 3),
                                          exp(v),
                                          exp(v),
                                          log(p),
                                          v / 3,
                                          v / 3,
                                          cbrt(v),
                                          0,
                                          atan2(v, 0.5),
                                          exp2(v),
                                          log2(p),
                                          v * v + p,
                                          trunc(f * 7),
                                          expm1(v),
                                          hypot(v, p),
                                          copysign(p, v),
                                          v < 0   ? 0
                                          : v > 1 ? 1
                                                  : v};
        for (int k = 0; k < FUNCTIONS; k++) {
            check("functions", i * FUNCTIONS + k, y[i * FUNCTIONS + k], wanted[k], 1e-6);
        }
    }
}

static __global__ void specials(const float *x, float *y)
{
    const int i = threadIdx.x;
    y[i * 5 + 0] = fmaxf(x[i], 0);
    y[i * 5 + 1] = fminf(x[i], 0);
    y[i * 5 + 2] = x[i] > 0 ? x[i] : -x[i];
    y[i * 5 + 3] = (float)(int)x[i];
    y[i * 5 + 4] = (float)(unsigned char)fminf(fmaxf(x[i], 0), 255);
}

/* NaN, infinities, numbers beyond the range of the type that they are converted to. */
static void test_specials(void)
{
    const float values[] = {NAN, INFINITY, -INFINITY, 3e9f, -3e9f, 1e-42f, -0.0f, 254.7f};
    array<float> x(8), y(40);
    x.host.assign(values, values + 8);
    specials<<<1, 8>>>(x.up(), y.device);
    y.down();
    for (int i = 0; i < 8; i++) {
        const float v = values[i];
        const double whole = std::isnan(v)         ? 0
                             : v >= 2147483647.0f  ? 2147483648.0
                             : v <= -2147483648.0f ? -2147483648.0
                                                   : (double)(int)v;
        check("max", i, y[i * 5], std::isnan(v) || v < 0 ? 0 : v, 0);
        check("min", i, y[i * 5 + 1], std::isnan(v) || v > 0 ? 0 : v, 0);
        check("absolute is NaN", i, std::isnan(y[i * 5 + 2]), std::isnan(v), 0);
        check("int", i, y[i * 5 + 3], whole, 0);
        check("byte", i, y[i * 5 + 4], std::isnan(v) || v < 0 ? 0 : v > 255 ? 255 : (int)v, 0);
    }
}

static __global__ void roundings(float a, float b, float *y, int *k)
{
    y[0] = __fadd_rz(a, b);
    y[1] = __fadd_ru(a, b);
    y[2] = __fmul_rd(a, b);
    y[3] = __fdiv_ru(a, b);
    y[4] = __fsqrt_rd(a);
    y[5] = __fmaf_rz(a, b, -a);
    y[6] = __frcp_ru(b);
    y[7] = __int2float_rd(16777219);
    y[8] = __int2float_ru(16777219);
    k[0] = __float2int_rn(a);
    k[1] = __float2int_ru(a);
    k[2] = __float2int_rd(-a);
    k[3] = __float2int_rz(-a);
}

/* The true results, in twice the precision, lie between those rounded down and up. */
static void test_roundings(void)
{
    array<float> y(9);
    array<int> k(4);
    const float a = 2.7182817f, b = 0.1f;
    const double da = a, db = b;
    roundings<<<1, 1>>>(a, b, y.device, k.device);
    y.down();
    k.down();
    check("add.rz", 0, y[0] <= da + db && nextafterf(y[0], 9) > da + db, 1, 0);
    check("add.rp", 0, y[1] >= da + db && nextafterf(y[1], 0) < da + db, 1, 0);
    check("mul.rm", 0, y[2] <= da * db && nextafterf(y[2], 9) > da * db, 1, 0);
    check("div.rp", 0, y[3] >= da / db && nextafterf(y[3], 0) < da / db, 1, 0);
    check("sqrt.rm", 0, y[4] <= sqrt(da) && nextafterf(y[4], 9) > sqrt(da), 1, 0);
    check("fma.rz", 0, y[5] >= da * db - da && nextafterf(y[5], -9) < da * db - da, 1, 0);
    check("rcp.rp", 0, y[6] >= 1 / db && nextafterf(y[6], 0) < 1 / db, 1, 0);
    check("cvt.rm", 0, y[7], 16777218, 0);
    check("cvt.rp", 0, y[8], 16777220, 0);
    const int wanted[] = {3, 3, -3, -2};
    for (int i = 0; i < 4; i++) {
        check("cvt", i, k[i], wanted[i], 0);
    }
}

static __global__ void halves(const __half *x, __half *y, __nv_bfloat16 *z, int n)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        y[i] = __hadd(__hmul(x[i], x[i]), __float2half(0.25f));
        z[i] = __float2bfloat16(__half2float(x[i]) * 3.14159f);
        if (__hlt(x[i], __float2half(0.0f))) {
            y[i] = __hneg(y[i]);
        }
    }
}

static __global__ void pairs(const __half2 *x, __half2 *y, const __nv_bfloat162 *u,
                             __nv_bfloat162 *v, int n)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        y[i] = __hfma2(x[i], __float2half2_rn(2), __hmul2(x[i], x[i]));
        v[i] = __hmax2(__hadd2(u[i], u[i]), __float2bfloat162_rn(0.5f));
    }
}

static void test_halves(void)
{
    array<__half> x(N), y(N), y2(N);
    array<__nv_bfloat16> z(N), z2(N);
    for (int i = 0; i < N; i++) {
        x[i] = __float2half((float)(i * 7919 % 1000) / 250.0f - 2);
    }
    halves<<<(N + 127) / 128, 128>>>(x.up(), y.device, z.device, N);
    pairs<<<(N + 127) / 128, 128>>>((__half2 *)x.device, (__half2 *)y2.device,
                                    (__nv_bfloat162 *)z.device, (__nv_bfloat162 *)z2.device, N / 2);
    y.down();
    z.down();
    y2.down();
    z2.down();
    for (int i = 0; i < N; i++) {
        const double v = __half2float(x[i]), b = __bfloat162float(z[i]);
        check("half", i, __half2float(y[i]), (v < 0 ? -1 : 1) * (v * v + 0.25), 1e-3);
        check("bfloat16", i, b, v * 3.14159, 4e-3);
        check("half2", i, __half2float(y2[i]), 2 * v + v * v, 1e-3);
        check("bfloat162", i, __bfloat162float(z2[i]), 2 * b > 0.5 ? 2 * b : 0.5, 4e-3);
    }
}

int main()
{
    test_functions();
    test_specials();
    test_roundings();
    test_halves();
    return failures != 0;
}
