/*
 * test_device_pixels.c - pictures that a device makes numbers of itself (base/picture.h): a block
 * holds what the loader would have made, to the bit, by loops over what it says; and the device
 * that VOV_TEST_DEVICE names makes the same of it, into any channels, in 32 and in 16 bits.
 */
#include "backend/backend.h"
#include "base/mem.h"
#include "data/augment.h"
#include "data/pack.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PICTURES = 4, BATCHES = 30, MOST = 64, BOXES = 4 };

static const char *device(void)
{
    return getenv("VOV_TEST_DEVICE");
}

/* Pictures of one input: the loader's numbers, and the blocks. */
struct set {
    struct pixels px;
    size_t planes; /* numbers of a picture */
    real *want;    /* [PICTURES][planes] */
    struct picture *picture[PICTURES];
};

static struct pixels random_pixels(struct rng *r)
{
    struct pixels px = {.width = 17 + rng_int(r, MOST - 16),
                        .height = 17 + rng_int(r, MOST - 16),
                        .bgr = rng_int(r, 2) == 0,
                        .letterbox = rng_int(r, 3) == 0};
    for (int c = 0; c < 3; c++) {
        px.mean[c] = rng_range(r, 0, 200);
        px.std[c] = rng_range(r, 1, 80);
    }
    if (rng_int(r, 4) == 0) {
        px.short_side = 16;
        px.long_side = 40;
    }
    return px;
}

static struct augment random_augment(struct rng *r)
{
    const bool darknet = rng_int(r, 3) == 0;
    return (struct augment){.distort = {.each = rng_range(r, 0, 1),
                                        .saturation = darknet ? 1.7 : 1,
                                        .exposure = darknet ? 1.4 : 1,
                                        .hue = darknet ? 0.2 : 0},
                            .expand = 0.4,
                            .crop = 0.6,
                            .flip = 0.5,
                            .max_expand = 3,
                            .pad_crop = 3,
                            .any_resize = true};
}

/* Colours and greys, smooth here and noisy there. */
static void draw(struct image *img, struct rng *r)
{
    ck_assert(image_take(img, 8 + rng_int(r, 90), 8 + rng_int(r, 90)));
    for (int i = 0; i < img->width * img->height; i++) {
        const int grey = rng_int(r, 256), kind = i / img->width % 3;
        for (int c = 0; c < 3; c++) {
            img->rgb[3 * i + c] = (uint8_t)(kind == 0   ? grey
                                            : kind == 1 ? rng_int(r, 256)
                                                        : (i % img->width * 3 + c * 60) % 256);
        }
    }
}

static struct picture *new_block(const struct pixels *px)
{
    struct picture *p = mem_alloc(1, picture_room(px));
    ck_assert_ptr_nonnull(p);
    return p;
}

/* The same picture twice, as numbers and as a block: by the same random numbers. */
static void augment_both(struct set *s, int i, const struct augment *a, struct rng *r)
{
    struct truth truth = {.box = {2, 2, 7, 8}, .class_id = 1};
    struct image img = {0};
    struct err err = {0};
    struct placing at[2];
    real rows[2][BOXES * 5];
    draw(&img, r);
    const struct item it = {
        .width = img.width, .height = img.height, .truth = &truth, .n_truth = 1};
    const struct sample numbers = {.planes = s->want + (size_t)i * s->planes,
                                   .truth = rows[0],
                                   .max_boxes = BOXES,
                                   .where = &at[0]};
    const struct sample block = {.planes = picture_planes(s->picture[i]),
                                 .truth = rows[1],
                                 .max_boxes = BOXES,
                                 .where = &at[1],
                                 .picture = s->picture[i],
                                 .room = picture_room(&s->px)};
    struct rng first = *r, second = *r;
    if (rng_int(r, 4) == 0) {
        ck_assert(augment_label(a, &first, &img, &s->px, &numbers, &err) == VOV_OK);
        ck_assert(augment_label(a, &second, &img, &s->px, &block, &err) == VOV_OK);
    } else {
        ck_assert(augment_apply(a, &first, &img, &it, &s->px, &numbers, &err) == VOV_OK);
        ck_assert(augment_apply(a, &second, &img, &it, &s->px, &block, &err) == VOV_OK);
        ck_assert(memcmp(rows[0], rows[1], sizeof rows[0]) == 0);
        ck_assert(memcmp(&at[0], &at[1], sizeof at[0]) == 0);
    }
    image_free(&img);
}

static void open_set(struct set *s, uint64_t index)
{
    struct rng r = rng_open(3, RNG_TEST, index, 0);
    s->px = random_pixels(&r);
    s->planes = 3 * (size_t)s->px.width * (size_t)s->px.height;
    s->want = mem_alloc(PICTURES * s->planes, sizeof *s->want);
    ck_assert_ptr_nonnull(s->want);
    for (int i = 0; i < PICTURES; i++) {
        const struct augment a = random_augment(&r);
        s->picture[i] = new_block(&s->px);
        augment_both(s, i, &a, &r);
    }
}

static void close_set(struct set *s)
{
    for (int i = 0; i < PICTURES; i++) {
        mem_free(s->picture[i]);
    }
    mem_free(s->want);
}

/* ---- what a block says, by loops ---- */

static const void *part(const struct picture *p, size_t offset)
{
    return (const char *)p + offset;
}

static uint8_t to_byte(float v)
{
    return (uint8_t)fminf(255, fmaxf(0, floorf(v + 0.5F)));
}

static void saturate(uint8_t c[3], float gain)
{
    const float hi = fmaxf(c[0], fmaxf(c[1], c[2])), lo = fminf(c[0], fminf(c[1], c[2]));
    const float k = hi > lo ? fminf(gain, hi / (hi - lo)) : 0;
    for (int i = 0; hi > lo && i < 3; i++) {
        const float under = k * (hi - c[i]);
        c[i] = to_byte(hi - under);
    }
}

/* By the sector of the hue, rather than by one formula for all. */
static void turn_hue(uint8_t c[3], float turn)
{
    const float r = c[0], g = c[1], b = c[2];
    const float hi = fmaxf(r, fmaxf(g, b)), chroma = hi - fminf(r, fminf(g, b));
    if (chroma <= 0) {
        return;
    }
    float h = hi <= r   ? turn + (g - b) / chroma
              : hi <= g ? turn + (2 + (b - r) / chroma)
                        : turn + (4 + (r - g) / chroma);
    h = h < 0 ? h + 6 : h >= 6 ? h - 6 : h;
    for (int i = 0; i < 3; i++) {
        float k = (float)(5 - 2 * i) + h;
        k = k >= 6 ? k - 6 : k;
        const float off = chroma * fmaxf(0, fminf(1, fminf(k, 4 - k)));
        c[i] = to_byte(hi - off);
    }
}

static void pixel_of(const struct picture *p, int row, int column, uint8_t c[3])
{
    const uint8_t *pixels = part(p, p->pixels);
    memcpy(c, pixels + 3 * (row * p->columns + column), 3);
    for (int i = 0; i < p->n_changes; i++) {
        const uint8_t *table = part(p, p->change[i].table);
        switch (p->change[i].kind) {
        case PICTURE_SATURATE:
            saturate(c, (float)p->change[i].amount);
            break;
        case PICTURE_HUE:
            turn_hue(c, (float)p->change[i].amount);
            break;
        default:
            for (int k = 0; k < 3; k++) {
                c[k] = table[c[k]];
            }
        }
    }
}

/* Colour c of column x and row y of the part that is filled. */
static real blended(const struct picture *p, int x, int y, int c)
{
    const struct picture_tap *tx = part(p, p->tap_x), *ty = part(p, p->tap_y);
    real sum = 0;
    for (int i = x * p->each_x; i < (x + 1) * p->each_x; i++) {
        real column = 0;
        for (int k = y * p->each_y; k < (y + 1) * p->each_y; k++) {
            uint8_t color[3];
            ck_assert(ty[k].at >= 0 && ty[k].at < p->rows);
            ck_assert(tx[i].at >= 0 && tx[i].at < p->columns);
            pixel_of(p, ty[k].at, tx[i].at, color);
            column += ty[k].weight * (real)color[c];
        }
        sum += tx[i].weight * column;
    }
    const real *sum_x = part(p, p->sum_x), *sum_y = part(p, p->sum_y);
    return sum * p->gain[c] - sum_x[x] * (p->bias[c] * sum_y[y]);
}

static void by_loops(const struct picture *p, int width, int height, real *planes)
{
    const size_t plane = (size_t)width * (size_t)height;
    memset(planes, 0, 3 * plane * sizeof *planes);
    for (int y = 0; y < p->height; y++) {
        for (int x = 0; x < p->width; x++) {
            for (int c = 0; c < 3; c++) {
                planes[(size_t)p->plane[c] * plane + (size_t)((p->y + y) * width + p->x + x)] =
                    blended(p, x, y, c);
            }
        }
    }
}

/* What may differ, of a number and beside it. */
struct bound {
    double relative, absolute;
};

static void expect_near(int batch, const real *want, const real *got, size_t n, struct bound b)
{
    for (size_t i = 0; i < n; i++) {
        const double w = (double)want[i], g = (double)got[i];
        if (!(fabs(w - g) <= b.relative * fabs(w) + b.absolute)) {
            ck_abort_msg("batch %d: number %zu is %.9g, not %.9g", batch, i, g, w);
        }
    }
}

/* Where the compiler fuses sums the last bits differ. A wrong byte is 1 / 80 at least, over taps.
 */
START_TEST(blocks_hold_pictures)
{
    static real got[3 * MOST * MOST];
    int pixels = 0, numbers = 0, changes = 0, padded = 0;
    for (int b = 0; b < BATCHES; b++) {
        struct set s;
        open_set(&s, (uint64_t)b);
        for (int i = 0; i < PICTURES; i++) {
            const struct picture *p = s.picture[i];
            const real *want = s.want + (size_t)i * s.planes;
            ck_assert(p->bytes <= picture_room(&s.px));
            if (p->planes != 0) {
                ck_assert(p->planes + s.planes * sizeof(real) == p->bytes);
                ck_assert(memcmp(part(p, p->planes), want, s.planes * sizeof(real)) == 0);
                numbers++;
                continue;
            }
            by_loops(p, s.px.width, s.px.height, got);
            expect_near(b, want, got, s.planes, (struct bound){1e-5, 1e-4});
            pixels++;
            changes += p->n_changes;
            padded += p->width < s.px.width || p->height < s.px.height;
        }
        close_set(&s);
    }
    ck_assert_msg(pixels > 40 && numbers > 5 && changes > 60 && padded > 10,
                  "%d pictures of pixels, %d of numbers, %d changes, %d padded", pixels, numbers,
                  changes, padded);
}
END_TEST

/* ---- the device ---- */

static struct backend *open_device(void)
{
    struct backend *be;
    struct err err = {0};
    ck_assert_msg(backend_open(device(), 1, &be, &err) == VOV_OK, "%s", err.msg);
    ck_assert(be->ops->write_pictures != NULL);
    return be;
}

/* Three channels of a root that has `extra` before and behind them. */
static struct view take_view(struct backend *be, const struct pixels *px, int n, int extra,
                             enum number type)
{
    struct view v = view_dense(NULL, (struct shape){n, 3, px->height, px->width});
    v.c0 = extra;
    v.rc = 3 + 2 * extra;
    v.type = type;
    v.p = be->ops->alloc(be, (size_t)n * (size_t)v.rc * view_plane(v) * number_bytes(type));
    ck_assert_ptr_nonnull(v.p);
    return v;
}

static void write_pictures(struct backend *be, struct view y, struct picture *const *p, bool ahead)
{
    const struct picture *const *pictures = (const struct picture *const *)p;
    struct staged s = {pictures, NULL};
    if (ahead) {
        s = be->ops->stage_pictures(be, pictures, y.n);
        ck_assert_ptr_nonnull(s.on_way);
    }
    be->ops->write_pictures(be, y, &s);
}

static void on_device(struct backend *be, const struct set *s, int index)
{
    static real got[PICTURES * 3 * MOST * MOST];
    static const struct bound bound[] = {
        [NUMBER_REAL] = {0, 0}, [NUMBER_HALF] = {1.0 / 2048, 1e-7}, [NUMBER_BF16] = {1.0 / 256, 0}};
    const enum number type = (enum number)(index % 3);
    struct err err = {0};
    struct view y = take_view(be, &s->px, PICTURES, index % 2 == 0 ? 0 : 2, type);
    write_pictures(be, y, s->picture, index % 4 < 2);
    be->ops->read(be, y, got);
    ck_assert_msg(backend_check(be, &err) == VOV_OK, "%s", err.msg);
    expect_near(index, s->want, got, PICTURES * s->planes, bound[type]);
    be->ops->release(be, y.p);
}

START_TEST(device_makes_the_same)
{
    struct backend *be = open_device();
    for (int b = 0; b < BATCHES; b++) {
        struct set s;
        open_set(&s, (uint64_t)b);
        on_device(be, &s, b);
        close_set(&s);
    }
    backend_close(be);
}
END_TEST

/* More than goes through a stage at once, and one that does not go at all: as numbers it does. */
START_TEST(large_batches)
{
    enum { LARGE = 50 << 20, TOO_LARGE = 140 << 20 };
    static real got[PICTURES * 3 * MOST * MOST];
    struct backend *be = open_device();
    struct picture *p[PICTURES];
    struct set s;
    struct err err = {0};
    open_set(&s, 1);
    for (int i = 0; i < PICTURES - 1; i++) {
        p[i] = mem_alloc(1, LARGE);
        ck_assert_ptr_nonnull(p[i]);
        memcpy(p[i], s.picture[i], s.picture[i]->bytes);
        p[i]->bytes = p[i]->room = LARGE;
    }
    p[PICTURES - 1] = new_block(&s.px);
    picture_hold_planes(p[PICTURES - 1], &s.px);
    memcpy(picture_planes(p[PICTURES - 1]), s.want + (PICTURES - 1) * s.planes,
           s.planes * sizeof(real));
    p[PICTURES - 1]->bytes = TOO_LARGE; /* which nobody is to read */
    struct view y = take_view(be, &s.px, PICTURES, 0, NUMBER_REAL);
    ck_assert(be->ops->stage_pictures(be, (const struct picture *const *)p, PICTURES).on_way ==
              NULL);
    write_pictures(be, y, p, false);
    be->ops->read(be, y, got);
    ck_assert_msg(backend_check(be, &err) == VOV_OK, "%s", err.msg);
    expect_near(0, s.want, got, PICTURES * s.planes, (struct bound){0, 0});
    be->ops->release(be, y.p);
    for (int i = 0; i < PICTURES; i++) {
        mem_free(p[i]);
    }
    close_set(&s);
    backend_close(be);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("device pixels");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 300);
    tcase_add_test(t, blocks_hold_pictures);
    if (device() != NULL) {
        tcase_add_test(t, device_makes_the_same);
        tcase_add_test(t, large_batches);
    }
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
