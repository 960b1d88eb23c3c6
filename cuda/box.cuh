/*
 * box.cuh - boxes as the host has them (det/box.h, det/coder.c, det/same_exp.h), to the bit: one
 * rounding for each operation (__fmul_rn and the like are never fused); and what else the kernels
 * of detectors share: tables, lists, smooth L1, memory in a scratch.
 */
#ifndef VOV_CUDA_BOX_CUH
#define VOV_CUDA_BOX_CUH

#include "kernel.cuh"

/*
 * A view [n, rows, h, w]: k = h*w numbers of each row. It lies as all views do: number k of all
 * rows of an image is a run of memory. p NULL: there is none.
 */
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
    return {v.p == NULL ? NULL : v.p + v.c0, v.h * v.w, v.rc};
}

/* A view [rows, c, 1, 1]: the c numbers of a row are a run of memory. */
struct list {
    float *p;
    int step;

    __device__ float *row(int r) const
    {
        return p + (size_t)r * step;
    }
};

static inline list list_of(struct view v)
{
    return {v.p == NULL ? NULL : v.p + v.c0, v.rc};
}

struct __align__(16) rect
{
    float x0, y0, x1, y1;
};

__device__ inline rect load_rect(const table &t, int image, int row)
{
    return {t.at(image, row, 0), t.at(image, row, 1), t.at(image, row, 2), t.at(image, row, 3)};
}

__device__ inline rect rect_at(const float *v)
{
    return {v[0], v[1], v[2], v[3]};
}

__device__ inline float area(const rect &b)
{
    return b.x1 > b.x0 && b.y1 > b.y0 ? __fmul_rn(__fsub_rn(b.x1, b.x0), __fsub_rn(b.y1, b.y0)) : 0;
}

/* What is in both; may be turned over. */
__device__ inline rect common(const rect &a, const rect &b)
{
    return {a.x0 > b.x0 ? a.x0 : b.x0, a.y0 > b.y0 ? a.y0 : b.y0, a.x1 < b.x1 ? a.x1 : b.x1,
            a.y1 < b.y1 ? a.y1 : b.y1};
}

__device__ inline float overlap(const rect &a, const rect &b)
{
    const rect both = common(a, b);
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

__device__ inline void encode(const rect &a, const rect &g, const float v[4], float t[4])
{
    const float aw = a.x1 - a.x0, ah = a.y1 - a.y0;
    t[0] = (g.x0 + g.x1 - a.x0 - a.x1) / 2 / aw / v[0];
    t[1] = (g.y0 + g.y1 - a.y0 - a.y1) / 2 / ah / v[1];
    t[2] = logf((g.x1 - g.x0) / aw) / v[2];
    t[3] = logf((g.y1 - g.y0) / ah) / v[3];
}

/* Girshick 2015, Eq. 3, with the square up to beta. */
__device__ inline float smooth_l1(float d, float beta)
{
    d = fabsf(d);
    return d < beta ? d * d / (2 * beta) : d - beta / 2;
}

__device__ inline float smooth_l1_slope(float d, float beta)
{
    return fabsf(d) < beta ? d / beta : d > 0 ? 1 : d < 0 ? -1 : 0;
}

/* dx = beta * dx + g, where dx may be NaN when beta is 0. */
__device__ inline void put(float *dx, float beta, float g)
{
    *dx = beta != 0 ? beta * *dx + g : g;
}

/* The next part of a scratch. */
template <class T> static T *carve(char **at, size_t count)
{
    T *p = reinterpret_cast<T *>(*at);

    *at += (count * sizeof(T) + 255) / 256 * 256;
    return p;
}

#endif
