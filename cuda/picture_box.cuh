/*
 * picture_box.cuh - boxes in pixels of the input: what of it is picture, true boxes, and boxes that
 * deltas move and that are cut off at the picture's edge (det/proposal.c).
 */
#ifndef VOV_CUDA_PICTURE_BOX_CUH
#define VOV_CUDA_PICTURE_BOX_CUH

#include "box.cuh"

/* NaN becomes lo. */
__device__ inline float between(float v, float lo, float hi)
{
    return !(v > lo) ? lo : v < hi ? v : hi;
}

/* What of the input is picture, in pixels, as roi_extent(). */
__device__ inline rect extent_of(const list &extent, int image, int width, int height)
{
    const float w = (float)width, h = (float)height;
    const float *part = extent.row(image);

    if (part[2] > part[0] && part[3] > part[1]) {
        return {between(part[0] * w, 0, w), between(part[1] * h, 0, h), between(part[2] * w, 0, w),
                between(part[3] * h, 0, h)};
    }
    return {0, 0, w, h};
}

/* Row t of truth [n,T,5,1], in pixels. */
__device__ inline rect true_box(const table &truth, int image, int t, int width, int height)
{
    const float w = (float)width, h = (float)height;

    return {truth.at(image, t, 0) * w, truth.at(image, t, 1) * h, truth.at(image, t, 2) * w,
            truth.at(image, t, 3) * h};
}

/* As roi_move(): a side grows by 1000 / 16 at most. */
__device__ inline rect move_box(const rect &from, const float t[4], const float variance[4],
                                const rect &extent)
{
    const float most = 4.135166556742356f, most_w = most / variance[2], most_h = most / variance[3];
    const float s[4] = {t[0], t[1], t[2] > most_w ? most_w : t[2], t[3] > most_h ? most_h : t[3]};
    const rect b = decode(from, s, variance);

    return {between(b.x0, extent.x0, extent.x1), between(b.y0, extent.y0, extent.y1),
            between(b.x1, extent.x0, extent.x1), between(b.y1, extent.y0, extent.y1)};
}

#endif
