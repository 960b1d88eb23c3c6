/*
 * roi_align.cu - regions of interest cut out of a pyramid (He et al. 2017, 3; the formula stands
 * before roi_align_desc). Threads lie along the channels.
 *
 *   forward    a block for each row of bins of each region
 *   backward   a block for some neighbouring cells of a map, which gathers from all regions that
 *              touch them, in their order: no atomics, equal bits every time
 */
#include "box.cuh"
#include "choose.cuh"

enum { SAMPLES = ROI_ALIGN_MAX_SIZE * ROI_ALIGN_MAX_SAMPLING, CELLS = 4 };

struct align {
    int size, sampling, n_levels, rows, take, c;
    bool aligned;
    float area[ROI_ALIGN_MAX_LEVELS], scale[ROI_ALIGN_MAX_LEVELS]; /* of each level */
    struct {
        int w, h;
        mat<float> x;
    } map[ROI_ALIGN_MAX_LEVELS];
    list rois;
    mat<float> y; /* [regions, size, size] or its gradient */
};

/* A bilinear sample along one axis: ka * x[a] + kb * x[b]. Outside of the map both are 0. */
struct tap {
    int a, b;
    float ka, kb;
};

/* Where the samples of a region lie along one axis, in cells: sample i at start + (i + 0.5) * step.
 */
struct axis {
    float start, step;
};

/* The region that row r of the result is cut from. */
__device__ static const float *region_of(const align &j, int r)
{
    return j.rois.row(r / j.take * j.rows + r % j.take);
}

__device__ static int level_of(const align &j, const float *roi)
{
    const float area = __fmul_rn(roi[2] - roi[0], roi[3] - roi[1]);
    int level = j.n_levels - 1;

    while (level > 0 && !(area >= j.area[level])) {
        level--;
    }
    return level;
}

__device__ static axis axis_of(const align &j, float lo, float hi, float scale)
{
    float size = hi * scale - lo * scale;

    if (!j.aligned && size < 1) {
        size = 1;
    }
    return {lo * scale - (j.aligned ? 0.5f : 0), size / (j.size * j.sampling)};
}

__device__ static float sample_at(const axis &x, int i)
{
    return x.start + (i + 0.5f) * x.step;
}

__device__ static tap tap_of(const align &j, const axis &x, int i, int n)
{
    const float at = sample_at(x, i), one = 1.0f / j.sampling;

    if (!(at >= -1 && at <= n)) {
        return {0, 0, 0, 0};
    }
    const float v = at > 0 ? at : 0;
    const int a = (int)v;
    if (a >= n - 1) {
        return {n - 1, n - 1, one, 0};
    }
    return {a, a + 1, (1 - (v - a)) * one, (v - a) * one};
}

/* Grid: rows of bins of all regions. */
__global__ void roi_align_kernel(const __grid_constant__ align j)
{
    __shared__ tap v[ROI_ALIGN_MAX_SAMPLING], u[SAMPLES];
    const int ph = blockIdx.x % j.size, r = blockIdx.x / j.size, across = j.size * j.sampling;
    const float *roi = region_of(j, r);
    const bool used = roi[4] > 0;
    const int level = used ? level_of(j, roi) : 0;
    const mat<float> x = j.map[level].x;
    const int w = j.map[level].w, h = j.map[level].h;
    const size_t first = (size_t)(r / j.take) * x.plane;

    if (used) {
        const axis down = axis_of(j, roi[1], roi[3], j.scale[level]);
        const axis along = axis_of(j, roi[0], roi[2], j.scale[level]);
        for (int i = threadIdx.x; i < j.sampling; i += blockDim.x) {
            v[i] = tap_of(j, down, ph * j.sampling + i, h);
        }
        for (int i = threadIdx.x; i < across; i += blockDim.x) {
            u[i] = tap_of(j, along, i, w);
        }
    }
    __syncthreads();
    for (int c = threadIdx.x; c < j.c; c += blockDim.x) {
        const float *map = x.p + c;
        for (int pw = 0; pw < j.size; pw++) {
            float sum = 0;
            for (int i = 0; used && i < j.sampling; i++) {
                const float *top = map + (first + (size_t)v[i].a * w) * x.step;
                const float *bottom = map + (first + (size_t)v[i].b * w) * x.step;
                for (int k = pw * j.sampling; k < (pw + 1) * j.sampling; k++) {
                    const size_t a = (size_t)u[k].a * x.step, b = (size_t)u[k].b * x.step;
                    sum += u[k].ka * (v[i].ka * top[a] + v[i].kb * bottom[a]) +
                           u[k].kb * (v[i].ka * top[b] + v[i].kb * bottom[b]);
                }
            }
            j.y.p[((size_t)(r * j.size + ph) * j.size + pw) * j.y.step + c] = sum;
        }
    }
}

/* Whether samples of a region can touch cells from..to of n along an axis. */
__device__ static bool touches(const align &j, const axis &x, int from, int to, int n)
{
    const float a = sample_at(x, 0), b = sample_at(x, j.size * j.sampling - 1);
    const float lo = fminf(fmaxf(fminf(a, b), 0), n - 1);
    const float hi = fminf(fmaxf(fmaxf(a, b), 0), n - 1);

    return lo <= to + 1 && hi >= from - 1;
}

/* What a cell weighs in bin `bin` along an axis. */
__device__ static float weight_of(const align &j, const axis &x, int bin, int cell, int n)
{
    float sum = 0;

    for (int i = bin * j.sampling; i < (bin + 1) * j.sampling; i++) {
        const tap t = tap_of(j, x, i, n);
        sum += (t.a == cell ? t.ka : 0) + (t.b == cell ? t.kb : 0);
    }
    return sum;
}

/* CELLS neighbours of one row of one map. */
struct cells {
    int level, image, x, y;
};

/* What the gradient of cells is made of: how much each row of bins and each of its bins weighs. */
struct weights {
    float down[ROI_ALIGN_MAX_SIZE], along[ROI_ALIGN_MAX_SIZE][CELLS];
};

/* By the whole block: which of the regions first .. first + blockDim.x - 1 of the image touch the
 * cells, to hit[], in their order. Returns how many. */
__device__ static int find_regions(const align &j, const cells &at, int first, int *hit,
                                   int2 *shared)
{
    const int i = first + threadIdx.x, r = at.image * j.take + i;
    bool touched = false;
    int2 all;

    if (i < j.take) {
        const float *roi = region_of(j, r);
        if (roi[4] > 0 && level_of(j, roi) == at.level) {
            const float scale = j.scale[at.level];
            touched =
                touches(j, axis_of(j, roi[1], roi[3], scale), at.y, at.y, j.map[at.level].h) &&
                touches(j, axis_of(j, roi[0], roi[2], scale), at.x, at.x + CELLS - 1,
                        j.map[at.level].w);
        }
    }
    const int place = count_before(touched, false, shared, &all).x;
    if (touched) {
        hit[place] = r;
    }
    return all.x;
}

__device__ static void find_weights(const align &j, const cells &at, int r, weights *k)
{
    const float *roi = region_of(j, r);
    const float scale = j.scale[at.level];
    const axis down = axis_of(j, roi[1], roi[3], scale), along = axis_of(j, roi[0], roi[2], scale);

    for (int i = threadIdx.x; i < j.size * (CELLS + 1); i += blockDim.x) {
        const int bin = i % j.size, cell = i / j.size;
        if (cell < CELLS) {
            k->along[bin][cell] = weight_of(j, along, bin, at.x + cell, j.map[at.level].w);
        } else {
            k->down[bin] = weight_of(j, down, bin, at.y, j.map[at.level].h);
        }
    }
}

__device__ static void gather(const align &j, const weights &k, int r, int c, float sum[CELLS])
{
    const float *g = j.y.p + (size_t)r * j.size * j.size * j.y.step + c;

    for (int ph = 0; ph < j.size; ph++) {
        for (int pw = 0; k.down[ph] != 0 && pw < j.size; pw++) {
            const float *part = k.along[pw];
            if (part[0] != 0 || part[1] != 0 || part[2] != 0 || part[3] != 0) {
                const float d = k.down[ph] * g[(size_t)(ph * j.size + pw) * j.y.step];
#pragma unroll
                for (int i = 0; i < CELLS; i++) {
                    sum[i] += part[i] * d;
                }
            }
        }
    }
}

/* Grid: cells of a level's maps, CELLS at a time; channels, blockDim.x at a time. */
__global__ void roi_align_gradient_kernel(const __grid_constant__ align j, int level)
{
    __shared__ int hit[THREADS];
    __shared__ int2 shared[WARP];
    __shared__ weights k;
    const int w = j.map[level].w, h = j.map[level].h, parts = (w + CELLS - 1) / CELLS;
    const int part = blockIdx.x % parts, row = blockIdx.x / parts;
    const int c = blockIdx.y * blockDim.x + threadIdx.x;
    const cells at = {level, row / h, part * CELLS, row % h};
    float sum[CELLS] = {0, 0, 0, 0};

    for (int first = 0; first < j.take; first += blockDim.x) {
        const int n = find_regions(j, at, first, hit, shared);
        for (int i = 0; i < n; i++) {
            __syncthreads();
            find_weights(j, at, hit[i], &k);
            __syncthreads();
            if (c < j.c) {
                gather(j, k, hit[i], c, sum);
            }
        }
    }
#pragma unroll
    for (int i = 0; i < CELLS; i++) {
        if (c < j.c && at.x + i < w) {
            const mat<float> x = j.map[level].x;
            x.p[((size_t)row * w + at.x + i) * x.step + c] += sum[i];
        }
    }
}

static align align_of(const struct roi_align_desc *d, const struct view *maps, struct view rois,
                      struct view y)
{
    align j = {};

    j.size = d->size;
    j.sampling = d->sampling;
    j.n_levels = d->n_levels;
    j.rows = d->rows;
    j.take = d->take;
    j.c = y.c;
    j.aligned = d->aligned;
    for (int i = 0; i < d->n_levels; i++) {
        j.area[i] = roi_level_area(d, i);
        j.scale[i] = d->scale[i];
        j.map[i] = {maps[i].w, maps[i].h, mat_of<float>(maps[i])};
    }
    j.rois = list_of(rois);
    j.y = mat_of<float>(y);
    return j;
}

/* Whether rows of all of them can be numbered. */
static bool all_fit(struct cuda *cu, const struct roi_align_desc *d, const struct view *maps,
                    struct view y)
{
    bool fit = mat_fits(cu, y);

    for (int i = 0; i < d->n_levels && fit; i++) {
        fit = mat_fits(cu, maps[i]);
    }
    return fit;
}

static int threads_along(int c)
{
    const int n = power_of_two_from(c, THREADS);

    return n > WARP ? n : WARP;
}

static void cuda_roi_align_fwd(struct backend *be, const struct roi_align_desc *d,
                               const struct view *maps, struct view rois, struct view y)
{
    struct cuda *cu = cuda_of(be);

    if (all_fit(cu, d, maps, y)) {
        LAUNCH(cu, d->size * y.n, threads_along(y.c), roi_align_kernel, align_of(d, maps, rois, y));
    }
}

static void cuda_roi_align_bwd(struct backend *be, const struct roi_align_desc *d, struct view rois,
                               struct view dy, const struct view *dmaps)
{
    struct cuda *cu = cuda_of(be);
    const align j = align_of(d, dmaps, rois, dy);
    const int threads = threads_along(dy.c);

    for (int i = 0; i < d->n_levels && all_fit(cu, d, dmaps, dy); i++) {
        const struct view map = dmaps[i];
        if (map.p != NULL) {
            LAUNCH(cu, dim3(map.n * map.h * div_up(map.w, CELLS), div_up(dy.c, threads)), threads,
                   roi_align_gradient_kernel, j, i);
        }
    }
}

void cuda_roi_align_entries(struct backend_ops *ops)
{
    ops->roi_align_fwd = cuda_roi_align_fwd;
    ops->roi_align_bwd = cuda_roi_align_bwd;
}
