/*
 * distort.c - see distort.h. Brightness and contrast are tables of 256 values; saturation and hue
 * work on the hue-saturation-value form of a pixel, as OpenCV's, hue in half degrees.
 */
#include "distort.h"

#include "base/mem.h"

#include <math.h>

static void add(struct distortion *d, enum distort_kind kind, double amount)
{
    d->kind[d->n] = kind;
    d->amount[d->n++] = amount;
}

static void choose_ssd(struct distortion *d, double each, struct rng *r)
{
    static const enum distort_kind orders[2][4] = {
        {DISTORT_BRIGHTNESS, DISTORT_CONTRAST, DISTORT_SATURATION, DISTORT_HUE},
        {DISTORT_BRIGHTNESS, DISTORT_SATURATION, DISTORT_HUE, DISTORT_CONTRAST},
    };
    const enum distort_kind *order = orders[rng_int(r, 2)];

    for (int i = 0; i < 4; i++) {
        const bool chosen = rng_uniform(r) < each;
        double amount = rng_range(r, 0.5, 1.5);

        if (order[i] == DISTORT_BRIGHTNESS) {
            amount = (amount - 1) * 64; /* +-32 */
        } else if (order[i] == DISTORT_HUE) {
            amount = (amount - 1) * 72; /* +-36 degrees: +-18 in OpenCV's units */
        }
        if (chosen) {
            add(d, order[i], amount);
        }
    }
}

/* A factor between 1 and `most`, or its inverse. */
static double scale(double most, struct rng *r)
{
    const double factor = rng_range(r, fmin(1, most), fmax(1, most));

    return rng_int(r, 2) == 0 ? factor : 1 / factor;
}

/* Multiplying all three values by one factor is what Darknet's exposure does to V of HSV. */
static void choose_darknet(struct distortion *d, const struct distort_options *o, struct rng *r)
{
    if (o->saturation > 0 && o->saturation != 1) {
        add(d, DISTORT_SATURATION, scale(o->saturation, r));
    }
    if (o->exposure > 0 && o->exposure != 1) {
        add(d, DISTORT_CONTRAST, scale(o->exposure, r));
    }
    if (o->hue > 0) {
        add(d, DISTORT_HUE, rng_range(r, -360 * o->hue, 360 * o->hue));
    }
}

struct distortion distort_choose(const struct distort_options *o, struct rng *r)
{
    struct distortion d = {.n = 0};

    if (o->each > 0) {
        choose_ssd(&d, o->each, r);
    }
    choose_darknet(&d, o, r);
    return d;
}

static uint8_t to_byte(float v)
{
    return v <= 0 ? 0 : v >= 255 ? 255 : (uint8_t)(v + 0.5F);
}

static void make_table(bool contrast, double amount, uint8_t table[256])
{
    for (int i = 0; i < 256; i++) {
        table[i] = to_byte((float)(contrast ? i * amount : i + amount));
    }
}

static void apply_table(struct image *img, bool contrast, double amount)
{
    const size_t n = (size_t)img->width * (size_t)img->height * 3;
    uint8_t table[256];

    make_table(contrast, amount, table);
    for (size_t i = 0; i < n; i++) {
        img->rgb[i] = table[img->rgb[i]];
    }
}

/* Saturation is how far the channels lie under the largest one: scaled, with the largest kept, and
 * cut where a channel would fall under 0. */
static void saturate(struct image *img, float gain)
{
    const size_t n = (size_t)img->width * (size_t)img->height;

    for (size_t i = 0; i < n; i++) {
        uint8_t *p = img->rgb + i * 3;
        const int hi = p[0] > p[1] ? (p[0] > p[2] ? p[0] : p[2]) : (p[1] > p[2] ? p[1] : p[2]);
        const int lo = p[0] < p[1] ? (p[0] < p[2] ? p[0] : p[2]) : (p[1] < p[2] ? p[1] : p[2]);
        if (hi == lo) {
            continue;
        }
        const float most = (float)hi / (float)(hi - lo), k = gain < most ? gain : most;
        for (int c = 0; c < 3; c++) {
            p[c] = to_byte((float)hi - k * (float)(hi - p[c]));
        }
    }
}

/* One channel of the colour with the given hue (0..6), largest value and chroma: the well-known
 * f(n) = V - C * max(0, min(k, 4 - k, 1)), k = (n + h) mod 6 (hue to RGB, n = 5, 3, 1). */
static float hue_channel(float n, float h, float hi, float chroma)
{
    float k = n + h;

    k = k >= 6 ? k - 6 : k;
    const float a = k < 4 - k ? k : 4 - k, b = a < 1 ? a : 1;
    return hi - chroma * (b > 0 ? b : 0);
}

static void turn_hue(struct image *img, float turn)
{
    const size_t n = (size_t)img->width * (size_t)img->height;

    for (size_t i = 0; i < n; i++) {
        uint8_t *p = img->rgb + i * 3;
        const float r = p[0], g = p[1], b = p[2];
        const float hi = r > g ? (r > b ? r : b) : (g > b ? g : b);
        const float lo = r < g ? (r < b ? r : b) : (g < b ? g : b);
        const float chroma = hi - lo;
        if (chroma <= 0) {
            continue;
        }
        float h = turn;
        if (hi <= r) {
            h += (g - b) / chroma;
        } else if (hi <= g) {
            h += 2 + (b - r) / chroma;
        } else {
            h += 4 + (r - g) / chroma;
        }
        h = h < 0 ? h + 6 : h >= 6 ? h - 6 : h;
        p[0] = to_byte(hue_channel(5, h, hi, chroma));
        p[1] = to_byte(hue_channel(3, h, hi, chroma));
        p[2] = to_byte(hue_channel(1, h, hi, chroma));
    }
}

/* Of a turn of the hue by so many degrees: in sixths of the circle. */
static float sixths(double degrees)
{
    return (float)(degrees / 60);
}

void distort_pack(const struct distortion *d, struct picture *p, size_t tables)
{
    p->n_changes = d->n;
    for (int i = 0; i < d->n; i++) {
        p->change[i].table = tables + 256 * (size_t)i;
        switch (d->kind[i]) {
        case DISTORT_SATURATION:
            p->change[i].kind = PICTURE_SATURATE;
            p->change[i].amount = (float)d->amount[i];
            break;
        case DISTORT_HUE:
            p->change[i].kind = PICTURE_HUE;
            p->change[i].amount = sixths(d->amount[i]);
            break;
        default:
            p->change[i].kind = PICTURE_TABLE;
            make_table(d->kind[i] == DISTORT_CONTRAST, d->amount[i],
                       (uint8_t *)p + p->change[i].table);
        }
    }
}

bool distort_apply(const struct distortion *d, const struct image *in, struct image *out)
{
    const size_t n = (size_t)in->width * (size_t)in->height * 3;

    *out = (struct image){0};
    if (!image_take(out, in->width, in->height)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        out->rgb[i] = in->rgb[i];
    }
    for (int i = 0; i < d->n; i++) {
        switch (d->kind[i]) {
        case DISTORT_SATURATION:
            saturate(out, (float)d->amount[i]);
            break;
        case DISTORT_HUE:
            turn_hue(out, sixths(d->amount[i]));
            break;
        default:
            apply_table(out, d->kind[i] == DISTORT_CONTRAST, d->amount[i]);
        }
    }
    return true;
}
