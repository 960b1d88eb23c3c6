/*
 * resample.c - separable resampling. For each output row the source rows are first blended, which
 * is contiguous and vectorises; then each output column blends its few columns of that, all colours
 * of a pixel at once, and puts them apart into the planes. Every kind is a table of taps (positions
 * and weights that sum to 1) for each axis. A tap outside the picture, where the value is the mean
 * by definition, has no weight, and the mean is taken off with the weights that are left.
 */
#include "resample.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

/* Numbers that are worked on at once: a pixel and one more, or four pixels' reds. */
enum { LANES = 4 };
typedef real lanes __attribute__((vector_size(LANES * sizeof(real))));

/* Output i reads the taps i * each .. i * each + each - 1; unused ones have weight 0. */
struct taps {
    int *pos; /* source column or row, inside the picture; then where that begins in a row */
    real *weight;
    real *sum;   /* of each output's weights: under 1 where it reaches out of the picture */
    int n, each; /* n: outputs, and unused ones up to a multiple of LANES */
};

/* The source axis: `size` pixels of the window, of which the picture has [lo, hi). */
struct axis {
    int size, lo, hi, out;
    int shift;   /* from window to picture */
    int picture; /* its size */
    bool mirror; /* the last output comes first */
};

static void taps_free(struct taps *t)
{
    mem_free(t->pos);
    mem_free(t->weight);
    mem_free(t->sum);
}

static double cubic_weight(double x)
{
    const double a = -0.75; /* Keys' kernel with OpenCV's parameter */

    x = fabs(x);
    if (x <= 1) {
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    }
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

static double lanczos4_weight(double x)
{
    if (fabs(x) < 1e-9) {
        return 1;
    }
    return fabs(x) < 4 ? 4 * sin(M_PI * x) * sin(M_PI * x / 4) / (M_PI * M_PI * x * x) : 0;
}

static double kernel_weight(enum resample kind, double x)
{
    switch (kind) {
    case RESAMPLE_LINEAR:
        return fmax(0, 1 - fabs(x));
    case RESAMPLE_CUBIC:
        return cubic_weight(x);
    default:
        return lanczos4_weight(x);
    }
}

/* Taps of one output before clamping: positions from *start on. Returns their number. */
static int weights_at(enum resample kind, double scale, int i, int room, int *start, double *w)
{
    int n = 0;
    double sum = 0;

    if (kind == RESAMPLE_NEAREST) {
        *start = (int)floor(i * scale);
        w[0] = 1;
        return 1;
    }
    if (kind == RESAMPLE_AREA) {
        const double a = i * scale, b = (i + 1) * scale;
        *start = (int)floor(a + 1e-9);
        for (int p = *start; p < b - 1e-9 && n < room; p++) {
            w[n++] = (fmin(b, p + 1) - fmax(a, p)) / scale;
        }
        return n;
    }
    const double centre = (i + 0.5) * scale - 0.5;
    const int half = kind == RESAMPLE_LINEAR ? 1 : kind == RESAMPLE_CUBIC ? 2 : 4;
    *start = (int)floor(centre) - half + 1;
    for (n = 0; n < 2 * half; n++) {
        w[n] = kernel_weight(kind, *start + n - centre);
        sum += w[n];
    }
    for (int k = 0; k < n; k++) {
        w[k] /= sum;
    }
    return n;
}

static int clamp(int v, int lo, int hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* The taps of output i: clamped to the window, those outside the picture left out, equal positions
 * (at the edges) joined. */
static void put_taps(struct taps *t, const struct axis *a, int i, int start, const double *w, int n)
{
    int *pos = t->pos + (size_t)i * (size_t)t->each;
    real *weight = t->weight + (size_t)i * (size_t)t->each;
    int count = 0;

    for (int k = 0; k < n; k++) {
        const int p = clamp(start + k, 0, a->size - 1);
        if (p < a->lo || p >= a->hi) {
            continue;
        }
        if (count == 0 || pos[count - 1] != p + a->shift) {
            pos[count++] = p + a->shift;
        }
        weight[count - 1] += (real)w[k];
        t->sum[i] += (real)w[k];
    }
    for (int k = count; k < t->each; k++) {
        pos[k] = count > 0 ? pos[count - 1] : clamp(a->shift + a->lo, 0, a->picture - 1);
    }
}

static bool taps_make(struct taps *t, enum resample kind, const struct axis *a)
{
    static const int each[RESAMPLE_KINDS] = {[RESAMPLE_LINEAR] = 2,
                                             [RESAMPLE_NEAREST] = 1,
                                             [RESAMPLE_CUBIC] = 4,
                                             [RESAMPLE_LANCZOS4] = 8};
    const double scale = (double)a->size / a->out;
    const size_t room = ((size_t)a->out + LANES - 1) / LANES * LANES;

    t->each = kind == RESAMPLE_AREA ? (int)ceil(scale) + 1 : each[kind];
    double *w = mem_alloc((size_t)t->each, sizeof *w);
    t->n = (int)room;
    t->pos = mem_alloc(room * (size_t)t->each, sizeof *t->pos);
    t->weight = mem_alloc(room * (size_t)t->each, sizeof *t->weight);
    t->sum = mem_alloc(room, sizeof *t->sum);
    const bool ok = w != NULL && t->pos != NULL && t->weight != NULL && t->sum != NULL;
    for (int i = 0; ok && i < t->n; i++) {
        const int from = a->mirror ? a->out - 1 - i : i;
        int start = 0;
        const int n = i < a->out ? weights_at(kind, scale, from, t->each, &start, w) : 0;
        put_taps(t, a, i, start, w, n);
    }
    mem_free(w);
    return ok;
}

struct job {
    const struct image *img;
    const struct target *to;
    struct taps tx, ty;
    real gain[3], bias[3]; /* of R G B: out = value * gain - bias, for weights that sum to 1 */
    int plane[3];          /* where R, G and B go */
    real *blend;           /* [columns][3], and room for LANES: blended source rows */
    int column0, columns;  /* of the picture that any output reads */
};

/* blend = sum of weight * row, over the taps of output row y. */
static void blend_rows(const struct job *j, int y)
{
    const size_t stride = (size_t)j->img->width * 3;
    const int n = j->columns * 3, each = j->ty.each;
    real *restrict blend = j->blend;
    const int *pos = j->ty.pos + (size_t)y * (size_t)each;
    const real *weight = j->ty.weight + (size_t)y * (size_t)each;
    const uint8_t *base = j->img->rgb + (size_t)j->column0 * 3;

    if (each == 2) { /* the common case in one go */
        const uint8_t *restrict a = base + (size_t)pos[0] * stride;
        const uint8_t *restrict b = base + (size_t)pos[1] * stride;
        const real wa = weight[0], wb = weight[1];
        for (int i = 0; i < n; i++) {
            blend[i] = wa * (real)a[i] + wb * (real)b[i];
        }
        return;
    }
    memset(blend, 0, (size_t)n * sizeof *blend);
    for (int t = 0; t < each; t++) {
        const uint8_t *restrict a = base + (size_t)pos[t] * stride;
        const real wa = weight[t];
        for (int i = 0; wa != 0 && i < n; i++) {
            blend[i] += wa * (real)a[i];
        }
    }
}

/* The blended pixels of LANES outputs, each with its taps from `weight` on. */
static inline void blend_columns(const real *restrict blend, const int *restrict offset,
                                 const real *restrict weight, int each, lanes pixel[LANES])
{
    for (int k = 0; k < LANES; k++) {
        lanes sum = {0}, one;
        for (int t = 0; t < each; t++) {
            memcpy(&one, blend + offset[k * each + t], sizeof one);
            sum += one * weight[k * each + t];
        }
        pixel[k] = sum;
    }
}

/* From R G B and a stray number of each pixel to the pixels' Rs, their Gs, their Bs. */
static inline void put_apart(const lanes pixel[LANES], lanes color[3])
{
    const lanes rg01 = __builtin_shufflevector(pixel[0], pixel[1], 0, 4, 1, 5);
    const lanes rg23 = __builtin_shufflevector(pixel[2], pixel[3], 0, 4, 1, 5);
    const lanes b01 = __builtin_shufflevector(pixel[0], pixel[1], 2, 6, 2, 6);
    const lanes b23 = __builtin_shufflevector(pixel[2], pixel[3], 2, 6, 2, 6);

    color[0] = __builtin_shufflevector(rg01, rg23, 0, 1, 4, 5);
    color[1] = __builtin_shufflevector(rg01, rg23, 2, 3, 6, 7);
    color[2] = __builtin_shufflevector(b01, b23, 0, 1, 4, 5);
}

/* Output row y, `each` taps of each column: a constant where this is inlined. */
static inline void pick(const struct job *j, int y, int each)
{
    const struct target *to = j->to;
    const int width = to->width;
    const real *sums = j->tx.sum;
    real gain[3], bias[3], *out[3];

    for (int c = 0; c < 3; c++) { /* copies: stores might change the originals */
        gain[c] = j->gain[c];
        bias[c] = j->bias[c] * j->ty.sum[y];
        out[c] = to->planes + (size_t)j->plane[c] * to->plane + (size_t)(to->y + y) * to->row +
                 (size_t)to->x;
    }
    for (int x = 0; x < width; x += LANES) {
        const int n = width - x < LANES ? width - x : LANES;
        lanes pixel[LANES], color[3], sum;

        blend_columns(j->blend, j->tx.pos + x * each, j->tx.weight + x * each, each, pixel);
        put_apart(pixel, color);
        memcpy(&sum, sums + x, sizeof sum);
        for (int c = 0; c < 3; c++) {
            color[c] = color[c] * gain[c] - sum * bias[c];
            if (n == LANES) {
                memcpy(out[c] + x, &color[c], sizeof color[c]);
            } else {
                memcpy(out[c] + x, &color[c], (size_t)n * sizeof *out[c]);
            }
        }
    }
}

static void pick_columns(const struct job *j, int y)
{
    if (j->tx.each == 2) {
        pick(j, y, 2);
    } else {
        pick(j, y, j->tx.each);
    }
}

/* Rows of few source rows are often alike: of a strip that is stretched, and with nearest. */
static bool same_taps(const struct taps *t, int a, int b)
{
    const size_t n = (size_t)t->each, at_a = (size_t)a * n, at_b = (size_t)b * n;

    return memcmp(t->pos + at_a, t->pos + at_b, n * sizeof *t->pos) == 0 &&
           memcmp(t->weight + at_a, t->weight + at_b, n * sizeof *t->weight) == 0;
}

/* Which columns the outputs read, and positions as offsets into `blend`, which holds only those. */
static void find_columns(struct job *j)
{
    const size_t n = (size_t)j->tx.n * (size_t)j->tx.each;
    int lo = j->img->width, hi = 0;

    for (size_t t = 0; t < n; t++) {
        lo = j->tx.pos[t] < lo ? j->tx.pos[t] : lo;
        hi = j->tx.pos[t] >= hi ? j->tx.pos[t] + 1 : hi;
    }
    for (size_t t = 0; t < n; t++) {
        j->tx.pos[t] = (j->tx.pos[t] - lo) * 3;
    }
    j->column0 = lo;
    j->columns = hi - lo;
}

static struct axis make_axis(int start, int size, int picture, int out)
{
    const long end = (long)start + size;
    return (struct axis){
        .size = size,
        .lo = start < 0 ? -start : 0,
        .hi = end > picture ? picture - start : size,
        .out = out,
        .shift = start,
        .picture = picture,
    };
}

static bool job_open(struct job *j, const struct window *from, enum resample kind,
                     const struct pixels *px)
{
    struct axis ax = make_axis(from->x, from->width, j->img->width, j->to->width);
    const struct axis ay = make_axis(from->y, from->height, j->img->height, j->to->height);

    ax.mirror = j->to->mirror;
    if (!taps_make(&j->tx, kind, &ax) || !taps_make(&j->ty, kind, &ay)) {
        return false;
    }
    find_columns(j);
    j->blend = mem_alloc((size_t)j->columns * 3 + LANES, sizeof *j->blend);
    for (int c = 0; c < 3; c++) {
        const int plane = px->bgr ? 2 - c : c;
        j->plane[c] = plane;
        j->gain[c] = (real)(1 / px->std[plane]);
        j->bias[c] = (real)(px->mean[plane] / px->std[plane]);
    }
    return j->blend != NULL;
}

enum vov_status resample(const struct image *img, const struct window *from, enum resample kind,
                         const struct pixels *px, const struct target *to)
{
    struct job j = {.img = img, .to = to};
    const bool ok = job_open(&j, from, kind, px);

    for (int y = 0; ok && y < to->height; y++) {
        if (y == 0 || !same_taps(&j.ty, y - 1, y)) {
            blend_rows(&j, y);
        }
        pick_columns(&j, y);
    }
    taps_free(&j.tx);
    taps_free(&j.ty);
    mem_free(j.blend);
    return ok ? VOV_OK : VOV_ENOMEM;
}

void target_fit(int width, int height, const struct pixels *px, struct target *to)
{
    const int less = width < height ? width : height, more = width < height ? height : width;
    double scale = fmin((double)px->width / width, (double)px->height / height);

    if (px->short_side > 0) {
        scale = fmin(scale, fmin((double)px->short_side / less, (double)px->long_side / more));
    } else if (!px->letterbox) {
        return; /* `to` is the whole input */
    }
    to->width = clamp((int)lround(width * scale), 1, px->width);
    to->height = clamp((int)lround(height * scale), 1, px->height);
    if (px->short_side == 0) {
        to->x = (px->width - to->width) / 2;
        to->y = (px->height - to->height) / 2;
    }
}

struct pixels pixels_turned(const struct pixels *px)
{
    struct pixels turned = *px;

    turned.width = px->height;
    turned.height = px->width;
    return turned;
}

struct placing placing_of(const struct window *from, const struct target *to)
{
    const double sx = (double)to->width / from->width, sy = (double)to->height / from->height;

    return (struct placing){.scale_x = sx,
                            .scale_y = sy,
                            .off_x = to->x - from->x * sx,
                            .off_y = to->y - from->y * sy,
                            .x = to->x,
                            .y = to->y,
                            .width = to->width,
                            .height = to->height};
}

struct placing placing_whole(int width, int height)
{
    return (struct placing){.scale_x = 1, .scale_y = 1, .width = width, .height = height};
}

void placing_extent(const struct placing *at, int width, int height, real out[4])
{
    const int x = at->mirrored ? width - at->x - at->width : at->x;

    out[0] = (real)x / (real)width;
    out[1] = (real)at->y / (real)height;
    out[2] = (real)(x + at->width) / (real)width;
    out[3] = (real)(at->y + at->height) / (real)height;
}

enum vov_status image_fit(const struct image *img, const struct pixels *px, real *planes,
                          struct placing *where)
{
    const size_t row = (size_t)px->width, plane = row * (size_t)px->height;
    const struct window all = {0, 0, img->width, img->height};
    struct target to = {planes, row, plane, 0, 0, px->width, px->height, false};

    target_fit(img->width, img->height, px, &to);
    *where = placing_of(&all, &to);
    if (to.width != px->width || to.height != px->height) {
        memset(planes, 0, 3 * plane * sizeof *planes);
    }
    const enum vov_status status = resample(img, &all, RESAMPLE_LINEAR, px, &to);
    if (status != VOV_OK) {
        memset(planes, 0, 3 * plane * sizeof *planes);
    }
    return status;
}
