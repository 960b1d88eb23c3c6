/*
 * scene.c - see scene.h. From back to front: a ground of two colours mixed by smooth noise and a
 * pattern; strokes that belong to no class; objects, each with a shadow, a shading and now and then
 * stripes; light falling off to one side; noise of the camera.
 */
#include "scene.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

enum { LATTICE = 12 };

struct paint {
    float rgb[3];
};

struct canvas {
    float *rgb;   /* [height][width][3], 0..255 */
    float *cover; /* [width] */
    int width, height;
    float lattice[LATTICE + 1][LATTICE + 1];
    struct rng *r;
};

static struct paint random_paint(struct rng *r)
{
    struct paint p;

    for (int c = 0; c < 3; c++) {
        p.rgb[c] = (float)rng_range(r, 20, 235);
    }
    return p;
}

static float distance(const float *a, const float *b)
{
    float sum = 0;

    for (int c = 0; c < 3; c++) {
        sum += (a[c] - b[c]) * (a[c] - b[c]);
    }
    return sqrtf(sum);
}

static float smooth(float t)
{
    return t * t * (3 - 2 * t);
}

/* Smooth noise 0..1 with features of 1/`fineness` of the picture. */
static float noise_at(const struct canvas *c, int x, int y, float fineness)
{
    const float u = (float)x / (float)c->width * fineness,
                v = (float)y / (float)c->height * fineness;
    const int i = (int)u, k = (int)v;
    const float a = smooth(u - (float)i), b = smooth(v - (float)k);
    const float *p = c->lattice[k % LATTICE] + i % LATTICE;
    const float *q = c->lattice[k % LATTICE + 1] + i % LATTICE;

    return (p[0] * (1 - a) + p[1] * a) * (1 - b) + (q[0] * (1 - a) + q[1] * a) * b;
}

/* What lies over the noise: nothing, stripes, squares or waves. */
struct pattern {
    int kind;
    float dx, dy, depth; /* steps in turns for a pixel; how strong */
};

static float pattern_at(const struct pattern *p, int x, int y)
{
    const float u = (float)x * p->dx + (float)y * p->dy, v = (float)y * p->dx - (float)x * p->dy;

    switch (p->kind) {
    case 1:
        return u - floorf(u) < 0.5F ? p->depth : -p->depth;
    case 2:
        return (u - floorf(u) < 0.5F) == (v - floorf(v) < 0.5F) ? p->depth : -p->depth;
    case 3:
        return p->depth * sinf(6.2832F * u + 2 * sinf(6.2832F * v));
    default:
        return 0;
    }
}

static struct pattern random_pattern(struct rng *r, double wave)
{
    const double angle = rng_range(r, 0, M_PI), step = 1 / rng_range(r, wave, 3 * wave);

    return (struct pattern){rng_int(r, 4), (float)(step * cos(angle)), (float)(step * sin(angle)),
                            (float)rng_range(r, 0.06, 0.25)};
}

static void draw_ground(struct canvas *c)
{
    const struct paint a = random_paint(c->r), b = random_paint(c->r);
    const struct pattern p = random_pattern(c->r, 8);
    const float coarse = (float)rng_range(c->r, 2, 5), fine = (float)rng_range(c->r, 7, 11);

    for (int i = 0; i <= LATTICE; i++) {
        for (int k = 0; k <= LATTICE; k++) {
            c->lattice[i][k] = (float)rng_uniform(c->r);
        }
    }
    for (int y = 0; y < c->height; y++) {
        for (int x = 0; x < c->width; x++) {
            float *to = c->rgb + 3 * ((size_t)y * (size_t)c->width + (size_t)x);
            const float mix = 0.65F * noise_at(c, x, y, coarse) + 0.35F * noise_at(c, x, y, fine) +
                              pattern_at(&p, x, y);
            for (int k = 0; k < 3; k++) {
                to[k] = a.rgb[k] + (b.rgb[k] - a.rgb[k]) * mix;
            }
        }
    }
}

/* How an object is coloured: from one paint to the other along a direction, with a pattern. */
struct fill {
    struct paint from, to;
    float dx, dy, at; /* mix = x * dx + y * dy + at */
    struct pattern pattern;
    float alpha;
};

static void fill_shape(struct canvas *c, const struct figure *s, const struct fill *f)
{
    double x0, y0, x1, y1;

    shape_bounds(s, &x0, &y0, &x1, &y1);
    const int top = (int)fmax(0, floor(y0)), bottom = (int)fmin(c->height, ceil(y1));
    const int left = (int)fmax(0, floor(x0)), right = (int)fmin(c->width, ceil(x1));
    for (int y = top; y < bottom; y++) {
        shape_cover_row(s, y, c->width, c->cover);
        for (int x = left; x < right; x++) {
            const float alpha = c->cover[x] * f->alpha;
            if (alpha <= 0) {
                continue;
            }
            float *to = c->rgb + 3 * ((size_t)y * (size_t)c->width + (size_t)x);
            const float mix =
                (float)x * f->dx + (float)y * f->dy + f->at + pattern_at(&f->pattern, x, y);
            for (int k = 0; k < 3; k++) {
                const float v = f->from.rgb[k] + (f->to.rgb[k] - f->from.rgb[k]) * mix;
                to[k] += alpha * (v - to[k]);
            }
        }
    }
}

/* Thin lines that no class claims. */
static void draw_strokes(struct canvas *c)
{
    const int n = rng_int(c->r, 4);

    for (int i = 0; i < n; i++) {
        const double x = rng_range(c->r, 0, c->width), y = rng_range(c->r, 0, c->height);
        const double length = rng_range(c->r, 0.1, 0.6) * c->width, a = rng_range(c->r, 0, M_PI);
        const double w = rng_range(c->r, 0.5, 1.5), ux = cos(a), uy = sin(a);
        struct figure s = {.n = 4};
        struct fill f = {.alpha = (float)rng_range(c->r, 0.3, 0.8)};

        f.from = f.to = random_paint(c->r);
        for (int k = 0; k < 4; k++) {
            const double along = k == 1 || k == 2 ? length : 0, side = k >= 2 ? w : -w;
            s.xy[k][0] = x + ux * along - uy * side;
            s.xy[k][1] = y + uy * along + ux * side;
        }
        shape_clip(&s, c->width, c->height);
        fill_shape(c, &s, &f);
    }
}

/* Two paints that stand out from the ground at the object's middle. */
static struct fill choose_fill(struct canvas *c, const struct shape_place *at)
{
    const int x = (int)fmin(fmax(at->x, 0), c->width - 1),
              y = (int)fmin(fmax(at->y, 0), c->height - 1);
    const float *ground = c->rgb + 3 * ((size_t)y * (size_t)c->width + (size_t)x);
    struct fill f = {.from = random_paint(c->r), .alpha = 1};
    const double a = rng_range(c->r, 0, 2 * M_PI), step = 1 / (2 * at->radius);

    for (int trial = 0; trial < 20 && distance(f.from.rgb, ground) < 75; trial++) {
        f.from = random_paint(c->r);
    }
    const float shade = (float)rng_range(c->r, 0.65, 1.35);
    for (int k = 0; k < 3; k++) {
        f.to.rgb[k] = fminf(250, f.from.rgb[k] * shade);
    }
    f.dx = (float)(cos(a) * step);
    f.dy = (float)(sin(a) * step);
    f.at = 0.5F - (float)at->x * f.dx - (float)at->y * f.dy;
    if (rng_uniform(c->r) < 0.3) {
        f.pattern = random_pattern(c->r, 4);
        f.pattern.depth *= 4;
    }
    return f;
}

struct bounds {
    double x0, y0, x1, y1;
};

static struct bounds bounds_of(const struct figure *s)
{
    struct bounds b;

    shape_bounds(s, &b.x0, &b.y0, &b.x1, &b.y1);
    return b;
}

/* Whether a new object would hide too much of one that is there, or look like the same. */
static bool too_close(const struct scene *s, const struct figure *shape)
{
    const struct bounds a = bounds_of(shape);
    const double area_a = (a.x1 - a.x0) * (a.y1 - a.y0);

    for (int i = 0; i < s->n; i++) {
        const struct bounds b = bounds_of(&s->object[i].shape);
        const double w = fmin(a.x1, b.x1) - fmax(a.x0, b.x0);
        const double h = fmin(a.y1, b.y1) - fmax(a.y0, b.y0);
        const double area_b = (b.x1 - b.x0) * (b.y1 - b.y0);
        if (w > 0 && h > 0 && w * h > 0.3 * fmin(area_a, area_b)) {
            return true;
        }
    }
    return false;
}

static struct shape_place random_place(const struct canvas *c)
{
    const double side = c->width < c->height ? c->width : c->height;
    /* Uniform in the logarithm: as many from 9 % to 13 % of the side as from 13 % to 19 %. */
    const double radius = side * 0.09 * pow(0.25 / 0.09, rng_uniform(c->r));
    const double margin = radius * 0.7;

    return (struct shape_place){
        .x = rng_range(c->r, margin, c->width - margin),
        .y = rng_range(c->r, margin, c->height - margin),
        .radius = radius,
        .angle = rng_range(c->r, 0, 2 * M_PI),
        .squeeze = rng_range(c->r, 0.75, 1),
    };
}

static void draw_object(struct canvas *c, const struct scene_options *opt, struct scene *s)
{
    struct scene_object *o = &s->object[s->n];

    o->class_id = rng_int(c->r, opt->n_classes);
    for (int trial = 0; trial < 12; trial++) {
        const struct shape_place at = random_place(c);
        shape_make(opt->kind[o->class_id], &at, &o->shape);
        struct figure shadow = o->shape;
        shape_clip(&o->shape, c->width, c->height);
        if (o->shape.n == 0 || too_close(s, &o->shape)) {
            continue;
        }
        const struct fill f = choose_fill(c, &at);
        if (rng_uniform(c->r) < 0.35) {
            const struct fill dark = {.alpha = 0.35F};
            for (int i = 0; i < shadow.n; i++) {
                shadow.xy[i][0] += 0.15 * at.radius;
                shadow.xy[i][1] += 0.15 * at.radius;
            }
            shape_clip(&shadow, c->width, c->height);
            fill_shape(c, &shadow, &dark);
        }
        fill_shape(c, &o->shape, &f);
        s->n++;
        return;
    }
}

static uint8_t to_byte(float v)
{
    return v <= 0 ? 0 : v >= 255 ? 255 : (uint8_t)(v + 0.5F);
}

/* Light from one side, and noise: the sum of four even numbers is near enough to normal. */
static void expose(struct canvas *c, struct image *img)
{
    const float a = (float)rng_range(c->r, -0.25, 0.25) / (float)c->width;
    const float b = (float)rng_range(c->r, -0.25, 0.25) / (float)c->height;
    const float grain = (float)rng_range(c->r, 0, 9) / 148; /* 148: deviation of such a sum */

    for (int y = 0; y < c->height; y++) {
        for (int x = 0; x < c->width; x++) {
            const size_t at = 3 * ((size_t)y * (size_t)c->width + (size_t)x);
            const float light =
                1 + a * ((float)x - (float)c->width / 2) + b * ((float)y - (float)c->height / 2);
            for (size_t k = at; k < at + 3; k++) {
                const uint32_t v = rng_u32(c->r);
                const int sum = (int)((v & 255) + (v >> 8 & 255) + (v >> 16 & 255) + (v >> 24));
                img->rgb[k] = to_byte(c->rgb[k] * light + grain * (float)(sum - 510));
            }
        }
    }
}

static int random_side(struct rng *r, int size)
{
    const int spread = size / 9;

    return size - spread + rng_int(r, 2 * spread + 1);
}

enum vov_status scene_draw(const struct scene_options *opt, struct rng *r, struct scene *s,
                           struct err *err)
{
    struct canvas c = {.r = r};

    s->n = 0;
    c.width = random_side(r, opt->size);
    c.height = random_side(r, opt->size);
    const size_t n = (size_t)c.width * (size_t)c.height;
    s->img = (struct image){.rgb = mem_alloc(n, 3), .width = c.width, .height = c.height};
    c.rgb = mem_alloc(n, 3 * sizeof *c.rgb);
    c.cover = mem_alloc((size_t)c.width, sizeof *c.cover);
    if (s->img.rgb == NULL || c.rgb == NULL || c.cover == NULL) {
        image_free(&s->img);
        mem_free(c.rgb);
        mem_free(c.cover);
        return err_nomem(err, n * 15);
    }
    draw_ground(&c);
    draw_strokes(&c);
    const int want = 2 + rng_int(r, 9);
    for (int i = 0; i < want; i++) {
        draw_object(&c, opt, s);
    }
    expose(&c, &s->img);
    mem_free(c.rgb);
    mem_free(c.cover);
    return VOV_OK;
}
