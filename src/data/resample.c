/*
 * resample.c - separable resampling: every kind is a table of taps (positions and weights that sum
 * to 1) for each axis, which the loops of resample_rows.h go through. A tap outside the picture,
 * where the value is the mean by definition, has no weight, and the mean is taken off with the
 * weights that are left.
 */
#include "resample.h"

#include "base/debug.h"
#include "base/mem.h"
#include "base/processor.h"
#include "resample_rows.h"

#include <math.h>
#include <string.h>

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
        return fabs(x) < 1 ? 1 - fabs(x) : 0;
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

static size_t tap_at(const struct taps *t, int i, int k)
{
    return (size_t)k * (size_t)t->n + (size_t)i;
}

/* The taps of output i: clamped to the window, those outside the picture left out, equal positions
 * (at the edges) joined. */
static void put_taps(struct taps *t, const struct axis *a, int i, int start, const double *w, int n)
{
    int count = 0;

    for (int k = 0; k < n; k++) {
        const int p = clamp(start + k, 0, a->size - 1);
        if (p < a->lo || p >= a->hi) {
            continue;
        }
        if (count == 0 || t->pos[tap_at(t, i, count - 1)] != p + a->shift) {
            t->pos[tap_at(t, i, count++)] = p + a->shift;
        }
        t->weight[tap_at(t, i, count - 1)] += (real)w[k];
        t->sum[i] += (real)w[k];
    }
    const int unused =
        count > 0 ? t->pos[tap_at(t, i, count - 1)] : clamp(a->shift + a->lo, 0, a->picture - 1);
    for (int k = count; k < t->each; k++) {
        t->pos[tap_at(t, i, k)] = unused;
    }
}

static bool taps_make(struct taps *t, enum resample kind, const struct axis *a)
{
    static const int each[RESAMPLE_KINDS] = {[RESAMPLE_LINEAR] = 2,
                                             [RESAMPLE_NEAREST] = 1,
                                             [RESAMPLE_CUBIC] = 4,
                                             [RESAMPLE_LANCZOS4] = 8};
    const double scale = (double)a->size / a->out;
    const size_t room = ((size_t)a->out + RESAMPLE_STEP - 1) / RESAMPLE_STEP * RESAMPLE_STEP;

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

/* Which columns the outputs read, and positions as offsets into `blend`, which holds only those. */
static void find_columns(struct resample_job *j)
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

bool resample_open(struct resample_job *j, const struct window *from, enum resample kind,
                   const struct pixels *px)
{
    struct axis ax = make_axis(from->x, from->width, j->img->width, j->to->width);
    const struct axis ay = make_axis(from->y, from->height, j->img->height, j->to->height);

    ax.mirror = j->to->mirror;
    if (!taps_make(&j->tx, kind, &ax) || !taps_make(&j->ty, kind, &ay)) {
        return false;
    }
    find_columns(j);
    const size_t outputs = (size_t)j->tx.n, taps = outputs * (size_t)j->tx.each;
    j->blend = mem_alloc_aligned(((size_t)j->columns * 3 + 1) * sizeof *j->blend);
    j->row = mem_alloc_aligned(3 * outputs * sizeof *j->row);
    j->spread = mem_alloc_aligned(4 * taps * sizeof *j->spread);
    for (int c = 0; c < 3; c++) {
        const int plane = px->bgr ? 2 - c : c;
        j->plane[c] = plane;
        j->gain[c] = (real)(1 / px->std[plane]);
        j->bias[c] = (real)(px->mean[plane] / px->std[plane]);
    }
    return j->blend != NULL && j->row != NULL && j->spread != NULL;
}

void resample_close(struct resample_job *j)
{
    taps_free(&j->tx);
    taps_free(&j->ty);
    mem_free(j->blend);
    mem_free(j->row);
    mem_free(j->spread);
}

/* All give equal bits: a name that VOV_ISA may not have is the backend's to refuse. */
static resample_rows *choose_rows(void)
{
#if defined(__x86_64__)
    const char *isa = debug_value(DEBUG_ISA);
    if (processor_has_avx2() && (isa == NULL || strcmp(isa, "base") != 0)) {
        return resample_rows_avx2;
    }
#endif
    return resample_rows_base;
}

enum vov_status resample(const struct image *img, const struct window *from, enum resample kind,
                         const struct pixels *px, const struct target *to)
{
    struct resample_job j = {.img = img, .to = to};
    const bool ok = resample_open(&j, from, kind, px);

    if (ok) {
        choose_rows()(&j);
    }
    resample_close(&j);
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
