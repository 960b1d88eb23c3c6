/*
 * test_image_values.c - pixels. What image_read makes of the odd pictures of ../shared/data/broken
 * is what PIL makes of them; image_fit is bilinear with half-pixel centres, computed here once more
 * from the formula, with all instruction sets to the bit; and pictures that Darknet resized are met
 * by Darknet's own formula over our pixels. The references are left out where ../shared is missing.
 */
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/usage.h"
#include "data/resample.h"
#include "run.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const broken = "../shared/data/broken";
static const char *const golden = "../shared/data/resize_golden";
static const char *const shared = "../shared/data";

static json *read_list(const char *dir, const char *name)
{
    char *path = path_join(dir, name);
    struct err err = {0};
    json *list = NULL;

    ck_assert_msg(json_read(path, 1 << 24, &list, &err) == VOV_OK, "%s", err.msg);
    mem_free(path);
    return list;
}

static double number(const json *list, int i)
{
    const json *v = cJSON_GetArrayItem(list, i);

    ck_assert(cJSON_IsNumber(v));
    return v->valuedouble;
}

static const uint8_t *pixel_at(const struct image *img, int x, int y)
{
    return img->rgb + 3 * ((size_t)y * (size_t)img->width + (size_t)x);
}

/* Where the stored top left corner is after turning: EXIF names the sides that row 0 and column 0
 * are of. Only the orientations that the pictures have. */
static const uint8_t *stored_corner(const struct image *img, const char *file)
{
    if (strstr(file, "orientation_6") != NULL) {
        return pixel_at(img, img->width - 1, 0);
    }
    if (strstr(file, "portrait_8") != NULL) {
        return pixel_at(img, 0, img->height - 1);
    }
    return pixel_at(img, 0, 0);
}

static bool is_turned(const char *file)
{
    return strstr(file, "orientation_6") != NULL || strstr(file, "portrait_8") != NULL;
}

/* 16 bits keep their high 8, where the reference divides by 257 and does not round. */
static double tolerance(const json *want)
{
    const char *mode = json_str(want, "pil_mode");

    return mode != NULL && strcmp(mode, "I") == 0 ? 0.51 : 0.01;
}

static void compare_picture(const struct image *img, const char *file, const json *want)
{
    const size_t n = (size_t)img->width * (size_t)img->height;
    const bool turned = is_turned(file);
    double sum[3] = {0};
    long long w = 0, h = 0;

    ck_assert(json_int(want, "width", &w) && json_int(want, "height", &h));
    ck_assert_msg(img->width == (turned ? h : w) && img->height == (turned ? w : h),
                  "%s: %d x %d, not %lld x %lld", file, img->width, img->height, w, h);
    for (size_t i = 0; i < n * 3; i++) {
        sum[i % 3] += img->rgb[i];
    }
    const uint8_t *corner = stored_corner(img, file);
    for (int c = 0; c < 3; c++) {
        const double mean = number(json_get(want, "mean_rgb"), c);
        const double first = number(json_get(want, "pixel_0_0"), c);
        ck_assert_msg(fabs(sum[c] / (double)n - mean) <= tolerance(want),
                      "%s: channel %d has the mean %.3f, not %.3f", file, c, sum[c] / (double)n,
                      mean);
        ck_assert_msg(fabs(corner[c] - first) <= 1, "%s: corner[%d] is %d, not %g", file, c,
                      corner[c], first);
    }
}

START_TEST(odd_pictures_as_pil_reads_them)
{
    json *cases = read_list(broken, "cases.json");
    const json *j;
    int compared = 0;

    cJSON_ArrayForEach(j, cases)
    {
        const char *file = json_str(j, "file");
        const json *want = json_get(j, "reference");
        struct image img;
        struct err err = {0};
        if (want == NULL || json_get(want, "mean_rgb") == NULL ||
            strcmp(json_str(j, "verdict"), "error") == 0) {
            continue;
        }
        char *path = path_join(broken, file);
        const enum vov_status status = image_read(path, NULL, &img, &err);
        mem_free(path);
        if (status != VOV_OK) { /* refused, as "either" allows */
            ck_assert_str_eq(json_str(j, "verdict"), "either");
            continue;
        }
        compare_picture(&img, file, want);
        image_free(&img);
        compared++;
    }
    ck_assert_int_ge(compared, 26);
    json_free(cases);
}
END_TEST

/* The picture's channel c at a place between pixels, clamped at the edges. */
static double between(const struct image *img, double x, double y, int c)
{
    const double cx = fmin(fmax(x, 0), img->width - 1), cy = fmin(fmax(y, 0), img->height - 1);
    const int x0 = (int)cx, y0 = (int)cy;
    const int x1 = x0 + 1 < img->width ? x0 + 1 : x0, y1 = y0 + 1 < img->height ? y0 + 1 : y0;
    const double a = cx - x0, b = cy - y0;

    return (1 - b) * ((1 - a) * pixel_at(img, x0, y0)[c] + a * pixel_at(img, x1, y0)[c]) +
           b * ((1 - a) * pixel_at(img, x0, y1)[c] + a * pixel_at(img, x1, y1)[c]);
}

static struct image noise(int width, int height)
{
    struct image img = {
        .rgb = mem_alloc((size_t)width * (size_t)height, 3), .width = width, .height = height};
    struct rng r = rng_open(3, RNG_TEST, (uint64_t)width, (uint64_t)height);

    ck_assert_ptr_nonnull(img.rgb);
    for (int i = 0; i < width * height * 3; i++) {
        img.rgb[i] = (uint8_t)rng_int(&r, 256);
    }
    return img;
}

static void check_fit(int from_w, int from_h, const struct pixels *px)
{
    struct image img = noise(from_w, from_h);
    const int w = px->width, h = px->height;
    real *planes = mem_alloc((size_t)w * (size_t)h * 3, sizeof *planes);
    struct placing at;

    ck_assert_int_eq(image_fit(&img, px, planes, &at), VOV_OK);
    for (int i = 0; i < w * h * 3; i++) {
        const int plane = i / (w * h), c = px->bgr ? 2 - plane : plane;
        const double x = (i % w + 0.5 - at.off_x) / at.scale_x - 0.5;
        const double y = (i / w % h + 0.5 - at.off_y) / at.scale_y - 0.5;
        const bool inside = x > -0.5 && x < from_w - 0.5 && y > -0.5 && y < from_h - 0.5;
        const double v = (between(&img, x, y, c) - px->mean[plane]) / px->std[plane];
        ck_assert_double_eq_tol((double)planes[i], inside ? v : 0, 2e-3);
    }
    mem_free(planes);
    image_free(&img);
}

START_TEST(fit_is_bilinear_with_half_pixel_centres)
{
    static const int sizes[][4] = {{40, 30, 17, 23}, {17, 23, 40, 30}, {64, 48, 32, 24},
                                   {1, 1, 9, 5},     {9, 7, 9, 7},     {300, 2, 5, 40}};
    struct pixels px = {.mean = {104, 117, 123}, .std = {1, 58, 57}};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        px.width = sizes[i][2];
        px.height = sizes[i][3];
        px.bgr = i % 2 == 1;
        px.letterbox = false;
        check_fit(sizes[i][0], sizes[i][1], &px);
        px.letterbox = true;
        check_fit(sizes[i][0], sizes[i][1], &px);
    }
}
END_TEST

/* A pixel of the window, less the mean: nothing where the window is beyond the picture. */
static double window_pixel(const struct image *img, const struct window *w, int x, int y, int c,
                           double mean)
{
    const int px = w->x + (x < 0 ? 0 : x >= w->width ? w->width - 1 : x);
    const int py = w->y + (y < 0 ? 0 : y >= w->height ? w->height - 1 : y);
    const bool inside = px >= 0 && py >= 0 && px < img->width && py < img->height;

    return inside ? pixel_at(img, px, py)[c] - mean : 0;
}

static double window_between(const struct image *img, const struct window *w, double x, double y,
                             int c, double mean)
{
    const int x0 = (int)floor(x), y0 = (int)floor(y);
    const double a = x - x0, b = y - y0;

    return (1 - b) * ((1 - a) * window_pixel(img, w, x0, y0, c, mean) +
                      a * window_pixel(img, w, x0 + 1, y0, c, mean)) +
           b * ((1 - a) * window_pixel(img, w, x0, y0 + 1, c, mean) +
                a * window_pixel(img, w, x0 + 1, y0 + 1, c, mean));
}

enum { INPUT_W = 27, INPUT_H = 18 };

static void check_window(const struct image *img, const struct window *w, const struct target *to)
{
    const struct pixels px = {
        .width = INPUT_W, .height = INPUT_H, .mean = {10, 120, 250}, .std = {1, 2, 4}};

    ck_assert_int_eq(resample(img, w, RESAMPLE_LINEAR, &px, to), VOV_OK);
    for (int i = 0; i < 3 * INPUT_W * INPUT_H; i++) {
        const int c = i / (INPUT_W * INPUT_H);
        const int y = i / INPUT_W % INPUT_H - to->y;
        const int at = i % INPUT_W - to->x, x = to->mirror ? to->width - 1 - at : at;
        const bool inside = x >= 0 && y >= 0 && x < to->width && y < to->height;
        const double sx = (x + 0.5) * w->width / to->width - 0.5;
        const double sy = (y + 0.5) * w->height / to->height - 0.5;
        const double v = window_between(img, w, sx, sy, c, px.mean[c]) / px.std[c];
        ck_assert_double_eq_tol((double)to->planes[i], inside ? v : 77, 2e-3);
    }
}

/* Windows of any size and place, in part or wholly beyond the picture; parts of the input, whose
 * other numbers stay as they were; mirrored. */
START_TEST(windows_beyond_the_picture)
{
    struct image img = noise(31, 22);
    static real planes[3 * INPUT_W * INPUT_H];

    for (int k = 0; k < 400; k++) {
        struct rng r = rng_open(9, RNG_TEST, (uint64_t)k, 0);
        const struct window w = {rng_int(&r, 100) - 50, rng_int(&r, 80) - 40, 1 + rng_int(&r, 60),
                                 1 + rng_int(&r, 60)};
        struct target to = {.planes = planes, .row = INPUT_W, .plane = INPUT_W * INPUT_H};
        to.width = 1 + rng_int(&r, INPUT_W);
        to.height = 1 + rng_int(&r, INPUT_H);
        to.x = rng_int(&r, INPUT_W - to.width + 1);
        to.y = rng_int(&r, INPUT_H - to.height + 1);
        to.mirror = rng_int(&r, 2) == 1;
        for (int i = 0; i < 3 * INPUT_W * INPUT_H; i++) {
            planes[i] = 77;
        }
        check_window(&img, &w, &to);
    }
    image_free(&img);
}
END_TEST

/* Weights sum to 1: of a picture of one colour every kind makes that colour. */
START_TEST(every_kind_keeps_a_colour)
{
    struct image img = noise(40, 30);
    const struct pixels px = {.width = 21, .height = 50, .std = {1, 1, 1}};
    const struct window w = {3, 2, 33, 27};
    static real planes[3 * 21 * 50];
    const struct target to = {planes, 21, 21 * 50, 0, 0, 21, 50, false};

    memset(img.rgb, 200, (size_t)img.width * (size_t)img.height * 3);
    for (int kind = 0; kind < RESAMPLE_KINDS; kind++) {
        ck_assert_int_eq(resample(&img, &w, (enum resample)kind, &px, &to), VOV_OK);
        for (int i = 0; i < 3 * 21 * 50; i++) {
            ck_assert_double_eq_tol((double)planes[i], 200, 1e-3);
        }
    }
    image_free(&img);
}
END_TEST

/* What the kind makes of a window of the picture, with the loops for an instruction set; the width
 * of rows says whether they are aligned. */
static void resample_with(const char *isa, const struct image *img, int kind,
                          const struct target *to)
{
    const struct pixels px = {
        .mean = {104.5, 117, 123}, .std = {1, 58.1, 57}, .bgr = kind % 2 == 1};
    const struct window w = {-3, 4, 150, 70};

    ck_assert_int_eq(setenv("VOV_ISA", isa, 1), 0);
    ck_assert_int_eq(resample(img, &w, (enum resample)kind, &px, to), VOV_OK);
    ck_assert_int_eq(unsetenv("VOV_ISA"), 0);
}

/* No machine sees other pixels than another: the loops for its instruction set give what plain C
 * gives, to the bit, in rows of any length, aligned and not. */
START_TEST(all_instruction_sets_give_equal_pixels)
{
    struct image img = noise(140, 90);
    enum { MOST = 96, H = 31 };
    const size_t bytes = 3 * MOST * H * sizeof(real);
    real *want = mem_block_alloc(bytes), *got = mem_block_alloc(bytes);

    for (int kind = 0; kind < RESAMPLE_KINDS; kind++) {
        for (int width = MOST - 17; width <= MOST; width++) {
            const size_t row = (size_t)width, plane = row * H;
            const int x = width % 5 == 0 ? 8 : 0;
            struct target to = {want, row, plane, x, 0, width - x, H, width % 2 == 1};
            resample_with("base", &img, kind, &to);
            to.planes = got;
            resample_with("", &img, kind, &to);
            ck_assert_mem_eq(got, want, bytes);
        }
    }
    mem_block_free(want);
    mem_block_free(got);
    image_free(&img);
}
END_TEST

/* Memory that held a large picture serves for a small one, and the other way round. */
START_TEST(memory_of_an_earlier_picture_serves_again)
{
    char path[] = "/tmp/vov-image-XXXXXX.png";
    struct image small = noise(20, 10), img = noise(90, 70);
    struct err err = {0};
    close(mkstemps(path, 4));

    ck_assert_int_eq(image_write(path, &small, &err), VOV_OK);
    ck_assert(image_take(&img, 90, 70));
    const uint8_t *const before = img.rgb;
    ck_assert_msg(image_read_again(path, NULL, &img, &err) == VOV_OK, "%s", err.msg);
    ck_assert(img.rgb == before && img.width == 20 && img.height == 10);
    ck_assert_mem_eq(img.rgb, small.rgb, 20 * 10 * 3);
    ck_assert_int_eq(file_write(path, "no picture", 10, &err), VOV_OK);
    ck_assert_int_eq(image_read_again(path, NULL, &img, &err), VOV_EFORMAT);
    ck_assert(image_take(&img, 300, 300));
    unlink(path);
    image_free(&img);
    image_free(&small);
}
END_TEST

static void read_values(const char *path, size_t n, bool bytes, float *v)
{
    struct buf file = {0};
    struct err err = {0};

    ck_assert_msg(file_read(path, 1 << 24, &file, &err) == VOV_OK, "%s", err.msg);
    ck_assert_uint_eq(file.n, bytes ? n : n * sizeof *v);
    for (size_t i = 0; i < n; i++) {
        if (bytes) {
            v[i] = (float)(uint8_t)file.p[i] / 255;
        } else {
            memcpy(&v[i], file.p + i * sizeof *v, sizeof *v);
        }
    }
    buf_free(&file);
}

/* Darknet's resize_image puts the corner pixels of both pictures on each other. */
static double darknet_value(const struct image *img, int w, int h, int x, int y, int c)
{
    const double sx = w > 1 ? x * (img->width - 1.0) / (w - 1) : img->width - 1;
    const double sy = h > 1 ? y * (img->height - 1.0) / (h - 1) : img->height - 1;

    return between(img, sx, sy, c) / 255;
}

/* The part of the input that Darknet's letterbox_image fills, in whole pixels rounded down. */
static void darknet_part(const struct image *img, bool letterbox, int w, int h, int part[4])
{
    const bool wide = (double)w / img->width < (double)h / img->height;

    part[2] = letterbox && !wide ? img->width * h / img->height : w;
    part[3] = letterbox && wide ? img->height * w / img->width : h;
    part[0] = (w - part[2]) / 2;
    part[1] = (h - part[3]) / 2;
}

/* One value of a reference: near Darknet's formula over our pixels, grey in the bars. */
static double reference_error(const struct image *img, const int part[4], const int size[2], int i,
                              double want)
{
    const int w = size[0], h = size[1];
    const int x = i % w - part[0], y = i / w % h - part[1], c = i / (w * h);

    if (x < 0 || y < 0 || x >= part[2] || y >= part[3]) {
        return fabs(want - 0.5);
    }
    return fabs(want - darknet_value(img, part[2], part[3], x, y, c));
}

static void compare_golden(const json *j, const struct image *img)
{
    const json *shape = json_get(j, "shape");
    const int h = (int)number(shape, 1), w = (int)number(shape, 2), n = 3 * h * w;
    const bool letterbox = strcmp(json_str(j, "mode"), "letterbox") == 0;
    const struct pixels px = {.width = w,
                              .height = h,
                              .mean = {127.5, 127.5, 127.5},
                              .std = {255, 255, 255},
                              .letterbox = letterbox};
    char *path = path_join(golden, json_str(j, "file"));
    float *want = mem_alloc((size_t)n, sizeof *want);
    real *ours = mem_alloc((size_t)n, sizeof *ours);
    struct placing at;
    double mean = 0, mean_want = 0, worst = 0;
    int part[4];

    read_values(path, (size_t)n, strstr(path, ".u8") != NULL, want);
    darknet_part(img, letterbox, w, h, part);
    ck_assert_int_eq(image_fit(img, &px, ours, &at), VOV_OK);
    for (int i = 0; i < n; i++) {
        const double v = (double)want[i];
        worst = fmax(worst, reference_error(img, part, (int[]){w, h}, i, v));
        mean += (double)ours[i] + 0.5;
        mean_want += v;
    }
    ck_assert_msg(worst < 0.02, "%s: %.4f from Darknet's formula", path, worst);
    ck_assert_msg(fabs(mean - mean_want) / n < 1e-3, "%s: a mean of %.4f, not %.4f", path, mean / n,
                  mean_want / n);
    mem_free(want);
    mem_free(ours);
    mem_free(path);
}

START_TEST(pictures_that_darknet_resized)
{
    json *cases = read_list(golden, "index.json");
    const json *j;
    int compared = 0;

    cJSON_ArrayForEach(j, cases)
    {
        char *path = path_join(shared, json_str(j, "image"));
        struct image img;
        struct err err = {0};
        ck_assert_msg(image_read(path, NULL, &img, &err) == VOV_OK, "%s", err.msg);
        compare_golden(j, &img);
        image_free(&img);
        mem_free(path);
        compared++;
    }
    ck_assert_int_eq(compared, 4);
    json_free(cases);
}
END_TEST

/* A chunk that says it holds two gigabytes, in a file of 45 or 57 bytes. */
START_TEST(memory_is_for_what_is_there)
{
    static const uint8_t png[57] = {
        0x89, 'P',  'N',  'G',  '\r', '\n', 0x1a, '\n', 0,    0,   0,   13,  'I', 'H',
        'D',  'R',  0,    0,    0,    8,    0,    0,    0,    8,   8,   0,   0,   0,
        0,    0xe1, 0x64, 0xe1, 0x57, 0x7f, 0xff, 0xff, 0xff, 't', 'E', 'X', 't', 'x'};
    const size_t before = usage_peak_bytes();
    struct image img;
    struct err err = {0};
    int w, h;

    for (size_t n = 41; n <= sizeof png; n += 4) {
        ck_assert_int_eq(image_decode("x.png", png, n, NULL, &img, &err), VOV_EFORMAT);
        ck_assert_str_eq(err.msg, "x.png: PNG cut short: it ends inside its header");
    }
    char path[] = "/tmp/vov-image-XXXXXX.png";
    close(mkstemps(path, 4));
    ck_assert_int_eq(file_write(path, png, sizeof png, NULL), VOV_OK);
    ck_assert_int_eq(image_size(path, &w, &h, NULL), VOV_EFORMAT);
    unlink(path);
    ck_assert_uint_lt(usage_peak_bytes() - before, 256u << 20);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {fit_is_bilinear_with_half_pixel_centres,
                            windows_beyond_the_picture,
                            every_kind_keeps_a_colour,
                            all_instruction_sets_give_equal_pixels,
                            memory_of_an_earlier_picture_serves_again,
                            memory_is_for_what_is_there,
                            odd_pictures_as_pil_reads_them,
                            pictures_that_darknet_resized,
                            NULL};

    if (!file_is_dir(broken) || !file_is_dir(golden)) {
        tests[6] = NULL;
        fprintf(stderr, "%s is not there: the references are left out\n", shared);
    }
    return run_tests("image values", tests);
}
