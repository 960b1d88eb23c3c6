/*
 * box.cuh - boxes as the host has them (det/box.h, det/coder.c, det/same_exp.h), to the bit: one
 * rounding for each operation (__fmul_rn and the like are never fused), and tables of numbers for
 * each prior. A table [n, rows, k, 1] lies as all views do: number k of all rows is a run of
 * memory.
 */
#ifndef VOV_CUDA_BOX_CUH
#define VOV_CUDA_BOX_CUH

#include "kernel.cuh"

/* Rows of k numbers for each image. p NULL: there is none. */
struct table {
    float *p;
    int k, step; /* step: from one of the k numbers to the next */

    __device__ float &at(int image, int row, int i) const
    {
        return p[((size_t)image * k + i) * step + row];
    }
};

static inline table table_of(struct view v)
{
    return {v.p == NULL ? NULL : v.p + v.c0, v.h, v.rc};
}

struct __align__(16) rect
{
    float x0, y0, x1, y1;
};

__device__ inline rect load_rect(const table &t, int image, int row)
{
    return {t.at(image, row, 0), t.at(image, row, 1), t.at(image, row, 2), t.at(image, row, 3)};
}

__device__ inline float area(const rect &b)
{
    return b.x1 > b.x0 && b.y1 > b.y0 ? __fmul_rn(__fsub_rn(b.x1, b.x0), __fsub_rn(b.y1, b.y0)) : 0;
}

__device__ inline float overlap(const rect &a, const rect &b)
{
    const rect both = {a.x0 > b.x0 ? a.x0 : b.x0, a.y0 > b.y0 ? a.y0 : b.y0,
                       a.x1 < b.x1 ? a.x1 : b.x1, a.y1 < b.y1 ? a.y1 : b.y1};
    if (!(both.x1 > both.x0 && both.y1 > both.y0)) {
        return 0;
    }
    const float in = area(both), any = __fsub_rn(__fadd_rn(area(a), area(b)), in);
    return any > 0 ? __fdiv_rn(in, any) : 0;
}

__device__ inline float same_exp(float x)
{
    const float shift = 12582912.0f, z = x > 88.7f ? 88.7f : x;
    const float t = __fadd_rn(__fmul_rn(z, 1.44269504f), shift), n = __fsub_rn(t, shift);
    const float r =
        __fsub_rn(__fsub_rn(z, __fmul_rn(n, 0.693359375f)), __fmul_rn(n, -2.12194440e-4f));
    const float factor[] = {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1, 1};
    float e = 1.0f / 5040;
#pragma unroll
    for (int i = 0; i < 7; i++) {
        e = __fadd_rn(__fmul_rn(e, r), factor[i]);
    }
    const unsigned power = (__float_as_uint(t) - 0x4b400000u + 127) << 23;
    return x < -69.0f ? 0 : __fmul_rn(e, __uint_as_float(power));
}

__device__ inline rect decode(const rect &a, const float t[4], const float v[4])
{
    const float aw = __fsub_rn(a.x1, a.x0), ah = __fsub_rn(a.y1, a.y0);
    const float x = __fadd_rn(__fadd_rn(a.x0, a.x1) / 2, __fmul_rn(__fmul_rn(t[0], v[0]), aw));
    const float y = __fadd_rn(__fadd_rn(a.y0, a.y1) / 2, __fmul_rn(__fmul_rn(t[1], v[1]), ah));
    const float half_w = __fmul_rn(same_exp(__fmul_rn(t[2], v[2])), aw) / 2;
    const float half_h = __fmul_rn(same_exp(__fmul_rn(t[3], v[3])), ah) / 2;
    return {__fsub_rn(x, half_w), __fsub_rn(y, half_h), __fadd_rn(x, half_w), __fadd_rn(y, half_h)};
}

#endif
