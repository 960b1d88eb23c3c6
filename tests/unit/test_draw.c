/*
 * test_draw.c - marks on pictures: they clip wherever they lie, letters are those of the font, the
 * best detection lies on top, and classes get colours that differ.
 */
#include "data/draw.h"

#include "base/mem.h"
#include "data/font.h"
#include "run.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { W = 60, H = 40 };
static const struct color red = {255, 0, 0}, green = {0, 255, 0}, black = {0, 0, 0};

static struct image blank(void)
{
    struct image img = {.rgb = mem_alloc((size_t)W * H, 3), .width = W, .height = H};

    ck_assert_ptr_nonnull(img.rgb);
    return img;
}

static bool is(const struct image *img, int x, int y, struct color c)
{
    const uint8_t *p = img->rgb + 3 * (y * W + x);

    return p[0] == c.r && p[1] == c.g && p[2] == c.b;
}

static int count(const struct image *img, struct color c)
{
    int n = 0;

    for (int i = 0; i < W * H; i++) {
        n += is(img, i % W, i / W, c);
    }
    return n;
}

START_TEST(rectangles_clip)
{
    struct image img = blank();

    draw_rect(&img, 3, 4, 13, 9, red);
    ck_assert_int_eq(count(&img, red), 50);
    ck_assert(is(&img, 3, 4, red) && is(&img, 12, 8, red) && is(&img, 13, 8, black));
    draw_rect(&img, -100, -100, 2, 1, green);
    ck_assert_int_eq(count(&img, green), 2);
    draw_rect(&img, W - 1, H - 1, INT_MAX, INT_MAX, green);
    ck_assert_int_eq(count(&img, green), 3);
    draw_rect(&img, 20, 20, 20, 30, green);
    draw_rect(&img, 30, 30, 20, 20, green);
    draw_rect(&img, INT_MIN, INT_MIN, 0, 0, green);
    ck_assert_int_eq(count(&img, green), 3);
    image_free(&img);
}
END_TEST

START_TEST(frames_are_hollow)
{
    struct image img = blank();
    const int at[4] = {10, 10, 30, 24}, beyond[4] = {-5, -5, W + 5, H + 5};

    draw_frame(&img, at, 2, red);
    ck_assert_int_eq(count(&img, red), 20 * 14 - 16 * 10);
    ck_assert(is(&img, 10, 10, red) && is(&img, 29, 23, red) && is(&img, 12, 12, black));
    draw_frame(&img, beyond, 3, green);
    ck_assert_int_eq(count(&img, green), 0);
    image_free(&img);
}
END_TEST

/* A letter at a zoom is its glyph's dots as squares, wherever it is cut by the picture's edge. */
static void check_letter(char letter, int zoom, int x, int y)
{
    struct image img = blank();
    const uint8_t *rows = font_glyph((unsigned char)letter);

    draw_text(&img, x, y, zoom, red, (const char[]){letter, '\0'});
    for (int py = 0; py < H; py++) {
        for (int px = 0; px < W; px++) {
            const int gx = px < x ? -1 : (px - x) / zoom, gy = py < y ? -1 : (py - y) / zoom;
            const bool in = gx >= 0 && gx < FONT_WIDTH && gy >= 0 && gy < FONT_HEIGHT;
            const bool dot = in && (rows[gy] >> (FONT_WIDTH - 1 - gx) & 1);
            ck_assert_int_eq(is(&img, px, py, red), dot);
        }
    }
    image_free(&img);
}

START_TEST(letters_are_their_glyphs)
{
    for (int c = ' '; c <= '~'; c++) {
        check_letter((char)c, 1, 2, 3);
    }
    check_letter('R', 3, 7, 5);
    check_letter('R', 2, -3, -4);
    check_letter('R', 2, W - 4, H - 5);
    check_letter('R', 1, 10000, -10000);
    check_letter((char)0xc3, 1, 2, 3);
    check_letter('\n', 1, 2, 3);
}
END_TEST

START_TEST(glyphs_differ)
{
    for (int a = ' '; a < '~'; a++) {
        for (int b = a + 1; b <= '~'; b++) {
            ck_assert_msg(memcmp(font_glyph((unsigned char)a), font_glyph((unsigned char)b),
                                 FONT_HEIGHT) != 0,
                          "'%c' looks like '%c'", a, b);
        }
        for (int y = 0; y < FONT_HEIGHT; y++) {
            ck_assert_int_eq(font_glyph((unsigned char)a)[y] >> FONT_WIDTH, 0);
        }
    }
    /* What is not printable ASCII has one shape, a box. */
    ck_assert_mem_eq(font_glyph(0x1b), font_glyph(0xff), FONT_HEIGHT);
    ck_assert_uint_ne(font_glyph(0x80)[0], 0);
}
END_TEST

START_TEST(widths_add_up)
{
    ck_assert_int_eq(draw_text_width(2, "abc"), 3 * (FONT_WIDTH + 1) * 2);
    ck_assert_int_eq(draw_text_width(1, ""), 0);
    ck_assert_int_eq(draw_text_width(1, "caf\u00e9 \u732b"), draw_text_width(1, "cafe x"));
    ck_assert_int_eq(draw_text_height(3), FONT_HEIGHT * 3);
}
END_TEST

START_TEST(neighbouring_classes_have_other_colours)
{
    for (int a = 0; a < 90; a++) {
        for (int b = a + 1; b < a + 6; b++) {
            const struct color p = draw_class_color(a), q = draw_class_color(b);
            const int far = abs(p.r - q.r) + abs(p.g - q.g) + abs(p.b - q.b);
            ck_assert_msg(far > 60, "classes %d and %d differ by %d", a, b, far);
        }
    }
    (void)draw_class_color(INT_MIN);
    (void)draw_class_color(INT_MAX);
}
END_TEST

START_TEST(the_best_detection_lies_on_top)
{
    struct image img = blank();
    const char *const names[] = {"cat", NULL};
    struct err err = {0};
    struct detection dets[] = {
        {.box = {10, 20, 40, 35}, .class_id = 0, .score = (real)0.9},
        {.box = {10, 20, 40, 35}, .class_id = 1, .score = (real)0.5},
    };

    const struct det_list list = {.v = dets, .n = 2};
    ck_assert_int_eq(draw_detections(&img, &list, names, 2, &err), VOV_OK);
    ck_assert(is(&img, 25, 34, draw_class_color(0)));
    ck_assert(is(&img, 10, 30, draw_class_color(0)));
    ck_assert(is(&img, 25, 28, black));
    /* Its label stands over the frame. */
    ck_assert(is(&img, 10, 19, draw_class_color(0)));
    image_free(&img);
}
END_TEST

START_TEST(wild_boxes_do_no_harm)
{
    struct image img = blank();
    const real inf = (real)INFINITY, nan = (real)NAN;
    struct err err = {0};
    struct detection dets[] = {
        {.box = {-inf, -inf, inf, inf}, .class_id = 3, .score = 1},
        {.box = {nan, nan, nan, nan}, .class_id = -7, .score = nan},
        {.box = {(real)1e30, (real)-1e30, (real)2e30, 5}, .class_id = INT_MAX, .score = (real)0.1},
        {.box = {5, 5, 4, 4}, .class_id = 0, .score = (real)0.2},
    };

    real ones[4] = {1, 1, 1, 1};
    const struct det_list list = {.v = dets, .n = 4, .mask = ones, .n_masks = 1, .mask_side = 2};
    const struct det_list none = {0};
    for (int i = 0; i < 4; i++) {
        dets[i].mask = 1 + i; /* the last three are beyond the end */
    }
    ck_assert_int_eq(draw_detections(&img, &list, NULL, 0, &err), VOV_OK);
    ck_assert_int_eq(draw_detections(&img, &none, NULL, 0, &err), VOV_OK);
    image_free(&img);
}
END_TEST

/* Inside a mask a pixel is half its colour, at its edge all of it: around it and around a hole. */
START_TEST(masks_are_translucent)
{
    struct image img = blank();
    struct err err = {0};
    const struct color c = {200, 100, 50}, half = {100, 50, 25};
    double ring[] = {10, 10, 30, 10, 30, 30, 10, 30, 10, 10,
                     18, 18, 22, 18, 22, 22, 18, 22, 18, 18};
    struct rle m, other = {H + 1, W, (unsigned[]){5, 5, (H + 1) * W - 10}, 3};

    ck_assert_int_eq(rle_from_polygon(ring, 20, H, W, &m, &err), VOV_OK);
    ck_assert_int_eq(draw_mask(&img, &m, 1, c, &err), VOV_OK);
    ck_assert(is(&img, 10, 10, c) && is(&img, 29, 20, c) && is(&img, 17, 20, c));
    ck_assert(is(&img, 11, 11, half) && is(&img, 14, 20, half));
    ck_assert(is(&img, 20, 20, black) && is(&img, 9, 10, black) && is(&img, 30, 20, black));
    ck_assert_int_eq(count(&img, c), 4 * 19 + 4 * 4);
    ck_assert_int_eq(count(&img, c) + count(&img, half), (int)rle_area(&m));
    ck_assert_int_eq(draw_mask(&img, &other, 1, c, &err), VOV_OK); /* of another picture */
    ck_assert_int_eq(count(&img, c) + count(&img, half), (int)rle_area(&m));
    mem_fail_after(1);
    ck_assert_int_eq(draw_mask(&img, &m, 1, c, &err), VOV_ENOMEM);
    mem_fail_after(0);
    rle_free(&m);
    image_free(&img);
}
END_TEST

/* A detection with a mask: its class's colour, under its frame. */
START_TEST(detections_with_masks)
{
    struct image img = blank();
    struct err err = {0};
    real mask[16] = {0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0};
    struct detection d = {.box = {10, 12, 50, 36}, .class_id = 4, .score = 1, .mask = 1};
    const struct det_list list = {.v = &d, .n = 1, .mask = mask, .n_masks = 1, .mask_side = 4};
    const struct color c = draw_class_color(4);

    ck_assert_int_eq(draw_detections(&img, &list, NULL, 0, &err), VOV_OK);
    ck_assert(is(&img, 30, 24, (struct color){c.r / 2, c.g / 2, c.b / 2}));
    ck_assert(is(&img, 20, 24, c) && is(&img, 18, 24, black) && is(&img, 10, 20, c));
    image_free(&img);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {rectangles_clip,
                                  frames_are_hollow,
                                  letters_are_their_glyphs,
                                  glyphs_differ,
                                  widths_add_up,
                                  neighbouring_classes_have_other_colours,
                                  the_best_detection_lies_on_top,
                                  wild_boxes_do_no_harm,
                                  masks_are_translucent,
                                  detections_with_masks,
                                  NULL};
    return run_tests("draw", tests);
}
