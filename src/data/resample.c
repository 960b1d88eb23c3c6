/*
 * resample.c - separable resampling. For each output row the source rows are first blended, which
 * is contiguous and vectorises; then each output column picks its few blended columns, which also
 * takes the interleaved colours apart. Every kind is a table of taps (positions and weights that
 * sum to 1) for each axis. The mean is taken off before, so that a tap outside the picture, where
 * the value is the mean by definition, is simply left out.
 */
#include "resample.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

/* Output i reads taps first[i] .. first[i + 1] - 1. */
struct taps {
    int *first; /* [n + 1] */
    int *pos;   /* source column or row, inside the picture */
    real *weight;
    int n, most; /* outputs; most taps of one */
};

/* The source axis: `size` pixels of the window, of which the picture has [lo, hi). */
struct axis {
    int size, lo, hi, out;
    int shift; /* from window to picture */
};

static void taps_free(struct taps *t)
{
    mem_free(t->first);
    mem_free(t->pos);
    mem_free(t->weight);
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

/* Adds the taps of output i: clamped to the window, those outside the picture left out, equal
 * positions (at the edges) joined. Returns the new number of taps. */
static int add_taps(struct taps *t, const struct axis *a, int total, int start, const double *w,
                    int n)
{
    const int begin = total;

    for (int k = 0; k < n; k++) {
        const int p = clamp(start + k, 0, a->size - 1);
        if (p < a->lo || p >= a->hi) {
            continue;
        }
        if (total > begin && t->pos[total - 1] == p + a->shift) {
            t->weight[total - 1] += (real)w[k];
        } else {
            t->pos[total] = p + a->shift;
            t->weight[total++] = (real)w[k];
        }
    }
    return total;
}

static bool taps_make(struct taps *t, enum resample kind, const struct axis *a)
{
    const double scale = (double)a->size / a->out;
    const int room = kind == RESAMPLE_AREA ? (int)ceil(scale) + 2 : 8;
    double *w = mem_alloc((size_t)room, sizeof *w);

    t->n = a->out;
    t->first = mem_alloc((size_t)a->out + 1, sizeof *t->first);
    t->pos = mem_alloc((size_t)a->out * (size_t)room, sizeof *t->pos);
    t->weight = mem_alloc((size_t)a->out * (size_t)room, sizeof *t->weight);
    const bool ok = w != NULL && t->first != NULL && t->pos != NULL && t->weight != NULL;
    for (int i = 0; ok && i < a->out; i++) {
        int start = 0;
        const int n = weights_at(kind, scale, i, room, &start, w);
        t->first[i + 1] = add_taps(t, a, t->first[i], start, w, n);
        const int count = t->first[i + 1] - t->first[i];
        t->most = count > t->most ? count : t->most;
    }
    mem_free(w);
    return ok;
}

/* (value - mean) / std as value * gain - bias, for a source channel and the plane it goes to. */
struct channel {
    real mean, gain;
    int plane;
};

struct job {
    const struct image *img;
    const struct target *to;
    struct taps tx, ty;
    struct channel channel[3];
    real *mean_row, *blend; /* [columns][3]: the mean, and blended source rows less the mean */
    int column0, columns;   /* of the picture that any output reads */
};

/* blend = sum of weight * (row - mean), over the taps of output row y. */
static void blend_rows(const struct job *j, int y)
{
    const size_t stride = (size_t)j->img->width * 3;
    const int n = j->columns * 3;
    real *restrict blend = j->blend;
    const real *restrict mean = j->mean_row;
    int t = j->ty.first[y];
    const int end = j->ty.first[y + 1];
    const uint8_t *base = j->img->rgb + (size_t)j->column0 * 3;

    if (end - t == 2) { /* the common case in one go */
        const uint8_t *restrict a = base + (size_t)j->ty.pos[t] * stride;
        const uint8_t *restrict b = base + (size_t)j->ty.pos[t + 1] * stride;
        const real wa = j->ty.weight[t], wb = j->ty.weight[t + 1];
        for (int i = 0; i < n; i++) {
            blend[i] = wa * ((real)a[i] - mean[i]) + wb * ((real)b[i] - mean[i]);
        }
        return;
    }
    memset(blend, 0, (size_t)n * sizeof *blend);
    for (; t < end; t++) {
        const uint8_t *restrict a = base + (size_t)j->ty.pos[t] * stride;
        const real wa = j->ty.weight[t];
        for (int i = 0; i < n; i++) {
            blend[i] += wa * ((real)a[i] - mean[i]);
        }
    }
}

static void pick_columns(const struct job *j, int y)
{
    const struct target *to = j->to;
    real *out = to->planes + (size_t)(to->y + y) * to->row + (size_t)to->x;
    real *const r = out + (size_t)j->channel[0].plane * to->plane;
    real *const g = out + (size_t)j->channel[1].plane * to->plane;
    real *const b = out + (size_t)j->channel[2].plane * to->plane;
    const real gain_r = j->channel[0].gain, gain_g = j->channel[1].gain,
               gain_b = j->channel[2].gain;

    for (int x = 0; x < to->width; x++) {
        const int at = to->mirror ? to->width - 1 - x : x;
        real sum_r = 0, sum_g = 0, sum_b = 0;
        for (int t = j->tx.first[x]; t < j->tx.first[x + 1]; t++) {
            const real *p = j->blend + (size_t)(j->tx.pos[t] - j->column0) * 3;
            const real w = j->tx.weight[t];
            sum_r += w * p[0];
            sum_g += w * p[1];
            sum_b += w * p[2];
        }
        r[at] = sum_r * gain_r;
        g[at] = sum_g * gain_g;
        b[at] = sum_b * gain_b;
    }
}

static void find_columns(struct job *j)
{
    const int n = j->tx.first[j->tx.n];
    int lo = j->img->width, hi = 0;

    for (int t = 0; t < n; t++) {
        lo = j->tx.pos[t] < lo ? j->tx.pos[t] : lo;
        hi = j->tx.pos[t] >= hi ? j->tx.pos[t] + 1 : hi;
    }
    j->column0 = lo < hi ? lo : 0;
    j->columns = lo < hi ? hi - lo : 0;
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
    };
}

static bool job_open(struct job *j, const struct window *from, enum resample kind,
                     const struct pixels *px)
{
    const struct axis ax = make_axis(from->x, from->width, j->img->width, j->to->width);
    const struct axis ay = make_axis(from->y, from->height, j->img->height, j->to->height);

    if (!taps_make(&j->tx, kind, &ax) || !taps_make(&j->ty, kind, &ay)) {
        return false;
    }
    find_columns(j);
    j->blend = mem_alloc((size_t)j->columns * 3 + 1, sizeof *j->blend);
    j->mean_row = mem_alloc((size_t)j->columns * 3 + 1, sizeof *j->mean_row);
    if (j->blend == NULL || j->mean_row == NULL) {
        return false;
    }
    for (int c = 0; c < 3; c++) {
        const int plane = px->bgr ? 2 - c : c;
        j->channel[c] = (struct channel){(real)px->mean[plane], (real)(1 / px->std[plane]), plane};
    }
    for (int i = 0; i < j->columns * 3; i++) {
        j->mean_row[i] = j->channel[i % 3].mean;
    }
    return true;
}

enum vov_status resample(const struct image *img, const struct window *from, enum resample kind,
                         const struct pixels *px, const struct target *to)
{
    struct job j = {.img = img, .to = to};
    const bool ok = job_open(&j, from, kind, px);

    for (int y = 0; ok && y < to->height; y++) {
        blend_rows(&j, y);
        pick_columns(&j, y);
    }
    taps_free(&j.tx);
    taps_free(&j.ty);
    mem_free(j.blend);
    mem_free(j.mean_row);
    return ok ? VOV_OK : VOV_ENOMEM;
}

void target_letterbox(int width, int height, const struct pixels *px, struct target *to)
{
    const double scale = fmin((double)px->width / width, (double)px->height / height);

    to->width = clamp((int)lround(width * scale), 1, px->width);
    to->height = clamp((int)lround(height * scale), 1, px->height);
    to->x = (px->width - to->width) / 2;
    to->y = (px->height - to->height) / 2;
}

enum vov_status image_fit(const struct image *img, const struct pixels *px, real *planes,
                          struct placing *where)
{
    const size_t row = (size_t)px->width, plane = row * (size_t)px->height;
    const struct window all = {0, 0, img->width, img->height};
    struct target to = {planes, row, plane, 0, 0, px->width, px->height, false};

    if (px->letterbox) {
        target_letterbox(img->width, img->height, px, &to);
    }
    *where = (struct placing){(double)to.width / img->width, (double)to.height / img->height, to.x,
                              to.y};
    if (to.width != px->width || to.height != px->height) {
        memset(planes, 0, 3 * plane * sizeof *planes);
    }
    const enum vov_status status = resample(img, &all, RESAMPLE_LINEAR, px, &to);
    if (status != VOV_OK) {
        memset(planes, 0, 3 * plane * sizeof *planes);
    }
    return status;
}
