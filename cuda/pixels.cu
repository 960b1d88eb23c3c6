/*
 * pixels.cu - pictures of 8 bits become a net's input: colours are changed, rows and columns
 * blended, values normalised, and what the picture does not fill is 0 (base/picture.h). All is
 * rounded as on the CPU, where no product and sum are fused: the bits are those of its loader.
 */
#include "kernel.cuh"

#include "base/picture.h"

#include <string.h>

/* Pictures on the device: their places first, then the blocks. */
struct batch {
    char *base;
    int n;
};

__device__ static struct picture *picture_of(const batch &b, int i)
{
    return reinterpret_cast<struct picture *>(b.base + reinterpret_cast<const size_t *>(b.base)[i]);
}

template <class T> __device__ static T *part_of(struct picture *p, size_t offset)
{
    return reinterpret_cast<T *>(reinterpret_cast<char *>(p) + offset);
}

__device__ static uint8_t to_byte(float v)
{
    return v <= 0 ? 0 : v >= 255 ? 255 : (uint8_t)__float2int_rz(__fadd_rn(v, 0.5f));
}

struct color {
    uint8_t r, g, b;
};

__device__ static uint8_t saturated(float hi, float k, uint8_t v)
{
    return to_byte(__fsub_rn(hi, __fmul_rn(k, hi - v)));
}

__device__ static color saturate(color p, float gain)
{
    const int hi = max(p.r, max(p.g, p.b)), lo = min(p.r, min(p.g, p.b));

    if (hi == lo) {
        return p;
    }
    const float k = fminf(gain, __fdiv_rn((float)hi, (float)(hi - lo)));
    return {saturated(hi, k, p.r), saturated(hi, k, p.g), saturated(hi, k, p.b)};
}

/* f(n) = V - C * max(0, min(k, 4 - k, 1)), k = (n + h) mod 6: hue to RGB, n = 5, 3, 1. */
__device__ static uint8_t hue_channel(float n, float h, float hi, float chroma)
{
    const float turned = __fadd_rn(n, h), k = turned >= 6 ? turned - 6 : turned;
    const float part = fmaxf(0, fminf(1, fminf(k, 4 - k)));

    return to_byte(__fsub_rn(hi, __fmul_rn(chroma, part)));
}

__device__ static color turn_hue(color p, float turn)
{
    const float r = p.r, g = p.g, b = p.b;
    const float hi = fmaxf(r, fmaxf(g, b)), chroma = hi - fminf(r, fminf(g, b));

    if (chroma <= 0) {
        return p;
    }
    float h;
    if (hi <= r) {
        h = __fadd_rn(turn, __fdiv_rn(g - b, chroma));
    } else if (hi <= g) {
        h = __fadd_rn(turn, __fadd_rn(2, __fdiv_rn(b - r, chroma)));
    } else {
        h = __fadd_rn(turn, __fadd_rn(4, __fdiv_rn(r - g, chroma)));
    }
    h = h < 0 ? __fadd_rn(h, 6) : h >= 6 ? h - 6 : h;
    return {hue_channel(5, h, hi, chroma), hue_channel(3, h, hi, chroma),
            hue_channel(1, h, hi, chroma)};
}

__device__ static color changed(struct picture *p, int i, color c)
{
    const float amount = p->change[i].amount;

    switch (p->change[i].kind) {
    case PICTURE_SATURATE:
        return saturate(c, amount);
    case PICTURE_HUE:
        return turn_hue(c, amount);
    default: {
        const uint8_t *table = part_of<uint8_t>(p, p->change[i].table);
        return {table[c.r], table[c.g], table[c.b]};
    }
    }
}

/* A row of blocks for each picture. */
__global__ void distort_kernel(batch b)
{
    struct picture *p = picture_of(b, blockIdx.y);

    if (p->planes != 0 || p->n_changes == 0) {
        return;
    }
    color *pixel = part_of<color>(p, p->pixels);
    for (int i = blockIdx.x * THREADS + threadIdx.x; i < p->rows * p->columns;
         i += gridDim.x * THREADS) {
        color c = pixel[i];
        for (int k = 0; k < p->n_changes; k++) {
            c = changed(p, k, c);
        }
        pixel[i] = c;
    }
}

struct rgb {
    float r, g, b;
};

__device__ static void add(rgb &sum, float weight, float r, float g, float b)
{
    sum.r = __fadd_rn(sum.r, __fmul_rn(weight, r));
    sum.g = __fadd_rn(sum.g, __fmul_rn(weight, g));
    sum.b = __fadd_rn(sum.b, __fmul_rn(weight, b));
}

/* Column x, row y of the part of the input that the picture fills: rows are blended first. */
__device__ static rgb blended(struct picture *p, int x, int y)
{
    const color *pixel = part_of<color>(p, p->pixels);
    const struct picture_tap *tx = part_of<struct picture_tap>(p, p->tap_x) + x * p->each_x;
    const struct picture_tap *ty = part_of<struct picture_tap>(p, p->tap_y) + y * p->each_y;
    rgb sum = {0, 0, 0};

    for (int i = 0; i < p->each_x; i++) {
        rgb column = {0, 0, 0};
        for (int k = 0; k < p->each_y; k++) {
            const color c = pixel[ty[k].at * p->columns + tx[i].at];
            add(column, ty[k].weight, c.r, c.g, c.b);
        }
        add(sum, tx[i].weight, column.r, column.g, column.b);
    }
    return sum;
}

__device__ static float scaled(float value, float gain, float sum, float bias)
{
    return __fsub_rn(__fmul_rn(value, gain), __fmul_rn(sum, bias));
}

/* The three numbers of pixel (x, y) of the input, not yet in the order of its planes. */
__device__ static rgb normalised(struct picture *p, int x, int y)
{
    const int column = x - p->x, row = y - p->y;

    if (column < 0 || column >= p->width || row < 0 || row >= p->height) {
        return {0, 0, 0};
    }
    const rgb v = blended(p, column, row);
    const float sum = part_of<real>(p, p->sum_x)[column], of_y = part_of<real>(p, p->sum_y)[row];
    return {scaled(v.r, p->gain[0], sum, p->bias[0] * of_y),
            scaled(v.g, p->gain[1], sum, p->bias[1] * of_y),
            scaled(v.b, p->gain[2], sum, p->bias[2] * of_y)};
}

/* y has three channels. */
template <class T> __global__ void pictures_kernel(batch b, mat<T> y, int width)
{
    struct picture *p = picture_of(b, blockIdx.y);
    const float *planes = p->planes != 0 ? part_of<float>(p, p->planes) : NULL;

    for (int i = blockIdx.x * THREADS + threadIdx.x; i < y.plane; i += gridDim.x * THREADS) {
        T *out = y.p + ((size_t)blockIdx.y * y.plane + i) * y.step;
        if (planes != NULL) {
            for (int c = 0; c < 3; c++) {
                out[c] = (T)planes[(size_t)c * y.plane + i];
            }
        } else {
            const rgb v = normalised(p, i % width, i / width);
            out[p->plane[0]] = (T)v.r;
            out[p->plane[1]] = (T)v.g;
            out[p->plane[2]] = (T)v.b;
        }
    }
}

static size_t whole_lines(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* Of n pictures and their places; all: as much as any n of the input could have. */
static size_t bytes_of(const struct picture *const *p, int n, bool all)
{
    size_t bytes = whole_lines(n * sizeof(size_t));

    for (int i = 0; i < n; i++) {
        bytes += whole_lines(all ? p[i]->room : p[i]->bytes);
    }
    return bytes;
}

/* Through one stage. */
static const size_t pictures_bytes = STAGE_MOST * sizeof(float);

/* Sets n pictures off to the device, through a stage that will do for all to come. NULL: something
 * failed. */
static struct cuda_stage *send(struct cuda *cu, const struct picture *const *p, int n)
{
    const size_t bytes = bytes_of(p, n, false), most = bytes_of(p, n, true);
    struct cuda_stage *s = cuda_write_take(cu, most < pictures_bytes ? most : pictures_bytes);

    if (s == NULL) {
        return NULL;
    }
    size_t *place = (size_t *)s->host, at = whole_lines(n * sizeof(size_t));
    for (int i = 0; i < n; i++) {
        place[i] = at;
        char *block = (char *)s->host + at;
        memcpy(block, p[i], p[i]->bytes);
        memset(block + p[i]->bytes, 0, whole_lines(p[i]->bytes) - p[i]->bytes); /* crosses too */
        at += whole_lines(p[i]->bytes);
    }
    return cuda_write_send(cu, s, bytes) ? s : NULL;
}

/* Pictures that were sent become images of y. */
static void take(struct cuda *cu, struct cuda_stage *s, struct view y)
{
    const struct batch b = {(char *)s->device, y.n};
    const int plane = y.h * y.w;
    const dim3 grid(smaller(div_up(plane, THREADS), cu->multiprocessors * 4LL), y.n);

    cuda_write_wait(cu, s);
    LAUNCH(cu, grid, THREADS, distort_kernel, b);
    BY_TYPE(y, LAUNCH(cu, grid, THREADS, pictures_kernel<T>, b, mat_of<T>(y), y.w));
    cuda_write_end(cu, s);
}

static struct staged cuda_stage_pictures(struct backend *be, const struct picture *const *p, int n)
{
    return {p, bytes_of(p, n, false) <= pictures_bytes ? send(cuda_of(be), p, n) : NULL};
}

static struct view images_of(struct view y, int first, int n)
{
    struct view v = view_image(y, first);

    v.n = n;
    return v;
}

/* As many at a time as go through a stage. One that is too large for that is numbers already. */
static void write_now(struct backend *be, struct view y, const struct picture *const *p)
{
    struct cuda *cu = cuda_of(be);

    for (int i = 0, n = 0; i < y.n; i += n) {
        n = 1;
        while (i + n < y.n && bytes_of(p + i, n + 1, false) <= pictures_bytes) {
            n++;
        }
        if (bytes_of(p + i, n, false) > pictures_bytes) {
            be->ops->write(be, images_of(y, i, 1),
                           (const real *)((const char *)p[i] + p[i]->planes));
            continue;
        }
        struct cuda_stage *s = send(cu, p + i, n);
        if (s == NULL) {
            return;
        }
        take(cu, s, images_of(y, i, n));
    }
}

static void cuda_write_pictures(struct backend *be, struct view y, const struct staged *staged)
{
    struct cuda *cu = cuda_of(be);

    if (!mat_fits(cu, y)) {
        return;
    }
    if (staged->on_way != NULL) {
        take(cu, (struct cuda_stage *)staged->on_way, y);
    } else {
        write_now(be, y, (const struct picture *const *)staged->host);
    }
}

void cuda_pixels_entries(struct backend_ops *ops)
{
    ops->stage_pictures = cuda_stage_pictures;
    ops->write_pictures = cuda_write_pictures;
}
