/*
 * test_rle.c - masks by hand, against pixels drawn one by one, and against what COCO's own tools
 * gave (../shared/data/eval/mask_api): strings to the character, areas, boxes, overlaps.
 */
#include "base/json.h"
#include "base/mem.h"
#include "det/rle.h"

#include <check.h>
#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const golden = "../shared/data/eval/mask_api/expected.json";

static struct rle parse(const char *s, int h, int w)
{
    struct rle m;
    struct err err = {0};

    ck_assert_msg(rle_from_string(s, strlen(s), h, w, &m, &err) == VOV_OK, "%s", err.msg);
    return m;
}

static struct rle parse_json(const json *j)
{
    const json *size = json_get(j, "size");

    return parse(json_str(j, "counts"), cJSON_GetArrayItem(size, 0)->valueint,
                 cJSON_GetArrayItem(size, 1)->valueint);
}

static void expect_string(const struct rle *m, const char *want)
{
    struct buf b = {0};

    rle_to_string(m, &b);
    ck_assert_str_eq(b.p ? b.p : "", want);
    buf_free(&b);
}

static double *numbers(const json *j, int *n)
{
    const json *v;
    int i = 0;

    *n = json_len(j);
    double *out = calloc((size_t)*n + 1, sizeof *out);
    cJSON_ArrayForEach(v, j)
    {
        out[i++] = v->valuedouble;
    }
    return out;
}

/* All polygons of a list as one mask. */
static struct rle from_polygons(const json *list, int h, int w)
{
    struct rle *part = calloc((size_t)json_len(list), sizeof *part), all;
    struct err err = {0};
    const json *p;
    int k = 0, n;

    cJSON_ArrayForEach(p, list)
    {
        double *xy = numbers(p, &n);
        ck_assert_msg(rle_from_polygon(xy, n, h, w, &part[k++], &err) == VOV_OK, "%s", err.msg);
        free(xy);
    }
    ck_assert_int_eq(rle_merge(part, k, false, &all, &err), VOV_OK);
    for (int i = 0; i < k; i++) {
        rle_free(&part[i]);
    }
    free(part);
    return all;
}

static void expect_mask(const struct rle *m, const json *j)
{
    double box[4];
    const json *want = json_get(j, "bbox");

    expect_string(m, json_str(json_get(j, "rle"), "counts"));
    ck_assert_double_eq(rle_area(m), json_get(j, "area")->valuedouble);
    rle_box(m, box);
    for (int i = 0; i < 4; i++) {
        ck_assert_double_eq(box[i], cJSON_GetArrayItem(want, i)->valuedouble);
    }
}

static void golden_polygons(const json *root, const char *key, const char *field)
{
    const json *c;

    cJSON_ArrayForEach(c, json_get(root, key))
    {
        const int h = json_get(c, "height")->valueint, w = json_get(c, "width")->valueint;
        const json *list = json_get(c, field);
        if (!cJSON_IsArray(list)) {
            continue;
        }
        struct rle m = from_polygons(list, h, w);
        expect_mask(&m, c);
        rle_free(&m);
    }
}

/* The masks of "real" that are run lengths: through runs, string and back. */
static void golden_runs(const json *root)
{
    const json *c;

    cJSON_ArrayForEach(c, json_get(root, "real"))
    {
        struct rle m = parse_json(json_get(c, "rle")), same;
        struct err err = {0};
        int n;
        double *counts = numbers(json_get(c, "counts"), &n);
        unsigned *run = calloc((size_t)n + 1, sizeof *run);
        ck_assert(n == 0 || n == m.n); /* not every case has them */
        for (int i = 0; i < n; i++) {
            run[i] = (unsigned)counts[i];
            ck_assert_uint_eq(run[i], m.run[i]);
        }
        expect_mask(&m, c);
        ck_assert_int_eq(rle_from_runs(m.run, m.n, m.h, m.w, &same, &err), VOV_OK);
        ck_assert_double_eq(rle_iou(&m, &same, false), 1);
        free(counts);
        free(run);
        rle_free(&m);
        rle_free(&same);
    }
}

static void golden_boxes(const json *root)
{
    const json *c;

    cJSON_ArrayForEach(c, json_get(root, "boxes"))
    {
        struct rle m;
        struct err err = {0};
        int n;
        double *b = numbers(json_get(c, "bbox"), &n);
        const double xy[] = {b[0],        b[1],        b[0],        b[1] + b[3],
                             b[0] + b[2], b[1] + b[3], b[0] + b[2], b[1]};
        ck_assert_int_eq(rle_from_polygon(xy, 8, json_get(c, "height")->valueint,
                                          json_get(c, "width")->valueint, &m, &err),
                         VOV_OK);
        expect_string(&m, json_str(json_get(c, "rle"), "counts"));
        free(b);
        rle_free(&m);
    }
}

static double cell(const json *table, int i, int j)
{
    return cJSON_GetArrayItem(cJSON_GetArrayItem(table, i), j)->valuedouble;
}

static bool truthy(const json *list, int i)
{
    const json *v = cJSON_GetArrayItem(list, i);
    return cJSON_IsTrue(v) || v->valuedouble > 0;
}

static void golden_overlaps(const json *root)
{
    const json *m = json_get(root, "iou_masks"), *b = json_get(root, "iou_boxes");
    const json *rles = json_get(m, "rles"), *boxes = json_get(b, "boxes");
    int k;

    for (int i = 0; i < json_len(rles); i++) {
        for (int j = 0; j < json_len(rles); j++) {
            struct rle x = parse_json(cJSON_GetArrayItem(rles, i));
            struct rle y = parse_json(cJSON_GetArrayItem(rles, j));
            ck_assert_double_eq_tol(rle_iou(&x, &y, truthy(json_get(m, "crowd_gt"), j)),
                                    cell(json_get(m, "iou"), i, j), 1e-15);
            rle_free(&x);
            rle_free(&y);
        }
    }
    for (int i = 0; i < json_len(boxes); i++) {
        for (int j = 0; j < json_len(boxes); j++) {
            double *x = numbers(cJSON_GetArrayItem(boxes, i), &k);
            double *y = numbers(cJSON_GetArrayItem(boxes, j), &k);
            ck_assert_double_eq_tol(box_iou_xywh(x, y, truthy(json_get(b, "crowd_gt"), j)),
                                    cell(json_get(b, "iou"), i, j), 1e-15);
            free(x);
            free(y);
        }
    }
}

static void golden_merges(const json *root)
{
    const json *c;

    cJSON_ArrayForEach(c, json_get(root, "merge"))
    {
        struct rle in[2] = {parse_json(json_get(c, "a")), parse_json(json_get(c, "b"))}, out;
        struct err err = {0};
        ck_assert_int_eq(rle_merge(in, 2, false, &out, &err), VOV_OK);
        expect_string(&out, json_str(json_get(c, "union"), "counts"));
        rle_free(&out);
        ck_assert_int_eq(rle_merge(in, 2, true, &out, &err), VOV_OK);
        expect_string(&out, json_str(json_get(c, "intersection"), "counts"));
        rle_free(&out);
        rle_free(&in[0]);
        rle_free(&in[1]);
    }
}

START_TEST(reference_outputs)
{
    json *root;
    struct err err = {0};

    if (json_read(golden, 1 << 24, &root, &err) != VOV_OK) {
        fprintf(stderr, "%s is not there: left out\n", golden);
        return;
    }
    golden_polygons(root, "synthetic", "polygons");
    golden_polygons(root, "real", "segmentation");
    golden_runs(root);
    golden_boxes(root);
    golden_overlaps(root);
    golden_merges(root);
    json_free(root);
}
END_TEST

static double uniform(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) / (double)(1 << 24);
}

static void paint(const struct rle *m, bool *pixels)
{
    unsigned at = 0;

    for (int i = 0; i < m->n; i++) {
        for (unsigned k = 0; k < m->run[i]; k++) {
            pixels[at++] = i % 2;
        }
    }
    ck_assert_uint_eq(at, (unsigned)(m->h * m->w));
}

/* Column, as soon as the walk passes its middle, and from there down. What is under the picture's
 * last row would go on in the next column: nothing. */
static void toggle_column(int column, int top, int h, bool *pixels)
{
    const double y = ceil(fmin(fmax((top + 0.5) / 5 - 0.5, 0), h));

    for (int row = (int)y; row < h; row++) {
        pixels[column * h + row] ^= 1;
    }
}

static int step_of(int from, int to, int steps, int t)
{
    return (int)(from + (steps ? (double)(to - from) / steps : 0) * t + 0.5);
}

/* The edge walked step by step, as COCO's rule says it. */
static void toggle_edge(const int a[2], const int b[2], int h, int w, bool *pixels)
{
    const int dx = abs(b[0] - a[0]), dy = abs(b[1] - a[1]);
    const bool flat = dx >= dy;
    const bool flip = flat ? a[0] > b[0] : a[1] > b[1];
    const int *s = flip ? b : a, *e = flip ? a : b;
    const int steps = flat ? dx : dy;
    int x = 0, y = 0;

    for (int t = 0; t <= steps; t++) {
        const int last_x = x, last_y = y;
        x = flat ? s[0] + t : step_of(s[0], e[0], steps, t);
        y = flat ? step_of(s[1], e[1], steps, t) : s[1] + t;
        const int lo = x < last_x ? x : last_x;
        if (t > 0 && x != last_x && lo >= 0 && lo % 5 == 2 && lo / 5 < w) {
            toggle_column(lo / 5, y < last_y ? y : last_y, h, pixels);
        }
    }
}

START_TEST(polygons_step_by_step)
{
    enum { H = 23, W = 31 };
    uint32_t state = 7;

    for (int round = 0; round < 400; round++) {
        const int points = 3 + round % 9;
        const double spread = round % 3 == 0 ? 200 : 40;
        double xy[24];
        bool got[H * W] = {false}, want[H * W] = {false};
        struct rle m;
        struct err err = {0};
        for (int i = 0; i < points * 2; i++) {
            xy[i] = (uniform(&state) - 0.2) * spread;
            xy[i] = round % 2 ? xy[i] : floor(xy[i]);
        }
        for (int i = 0; i < points; i++) {
            const double *p = xy + 2 * i, *q = xy + 2 * ((i + 1) % points);
            const int a[2] = {(int)(5 * p[0] + 0.5), (int)(5 * p[1] + 0.5)};
            const int b[2] = {(int)(5 * q[0] + 0.5), (int)(5 * q[1] + 0.5)};
            toggle_edge(a, b, H, W, want);
        }
        ck_assert_int_eq(rle_from_polygon(xy, points * 2, H, W, &m, &err), VOV_OK);
        paint(&m, got);
        ck_assert_msg(memcmp(got, want, sizeof got) == 0, "round %d", round);
        rle_free(&m);
    }
}
END_TEST

START_TEST(pairs_pixel_by_pixel)
{
    enum { H = 17, W = 13 };
    uint32_t state = 3;

    for (int round = 0; round < 200; round++) {
        struct rle m[2], both, any, back;
        struct err err = {0};
        struct buf text = {0};
        bool p[2][H * W], q[H * W];
        double n_both = 0, n_any = 0, n_first = 0;
        for (int k = 0; k < 2; k++) {
            unsigned run[H * W + 2], sum = 0;
            int n = 0;
            while (sum < H * W) {
                unsigned r = (unsigned)(uniform(&state) * (round + 1) / 3);
                r = r > H * W - sum ? H * W - sum : r;
                r = n == H * W ? H * W - sum : r;
                run[n++] = r;
                sum += r;
            }
            ck_assert_int_eq(rle_from_runs(run, n, H, W, &m[k], &err), VOV_OK);
            paint(&m[k], p[k]);
        }
        for (int i = 0; i < H * W; i++) {
            n_both += p[0][i] && p[1][i];
            n_any += p[0][i] || p[1][i];
            n_first += p[0][i];
        }
        ck_assert_double_eq(rle_iou(&m[0], &m[1], false), n_both > 0 ? n_both / n_any : 0);
        ck_assert_double_eq(rle_iou(&m[0], &m[1], true), n_both > 0 ? n_both / n_first : 0);
        ck_assert_int_eq(rle_merge(m, 2, true, &both, &err), VOV_OK);
        ck_assert_int_eq(rle_merge(m, 2, false, &any, &err), VOV_OK);
        ck_assert_double_eq(rle_area(&both), n_both);
        ck_assert_double_eq(rle_area(&any), n_any);
        paint(&any, q);
        rle_to_string(&any, &text);
        back = parse(text.p, H, W);
        ck_assert_int_eq(back.n, any.n);
        ck_assert(memcmp(back.run, any.run, (size_t)any.n * sizeof *any.run) == 0);
        buf_free(&text);
        rle_free(&m[0]);
        rle_free(&m[1]);
        rle_free(&both);
        rle_free(&any);
        rle_free(&back);
    }
}
END_TEST

static void refuse(const char *s, int h, int w)
{
    struct rle m;
    struct err err = {0};

    ck_assert_int_eq(rle_from_string(s, strlen(s), h, w, &m, &err), VOV_EFORMAT);
    ck_assert(err.msg[0] != '\0');
    ck_assert_ptr_null(m.run);
}

START_TEST(damaged)
{
    const double line[] = {0, 0, 5, 5}, far[] = {0, 0, 1e30, 0, 5, 5},
                 nan_[] = {0, 0, (double)NAN, 1, 5, 5};
    const unsigned run[] = {3, 4};
    struct rle m;
    struct err err = {0};

    refuse("h3", 12, 11);   /* too few */
    refuse("h3h3", 12, 10); /* too many */
    refuse("P", 12, 10);    /* a number without end */
    refuse("PPPPPPPPPPPPPPPPPPPP0", 12, 10);
    refuse("h3\x7f", 12, 10); /* no such digit */
    refuse("h3 ", 12, 10);
    refuse("N:", 12, 10); /* a negative run */
    refuse("h3", 0, 10);
    refuse("h3", 2000000000, 2000000000);
    refuse("", 12, 10);
    ck_assert_int_eq(rle_from_runs(run, 2, 2, 4, &m, &err), VOV_EFORMAT);
    ck_assert_int_eq(rle_from_polygon(line, 4, 9, 9, &m, &err), VOV_EFORMAT);
    ck_assert_int_eq(rle_from_polygon(far, 6, 9, 9, &m, &err), VOV_EFORMAT);
    ck_assert_int_eq(rle_from_polygon(nan_, 6, 9, 9, &m, &err), VOV_EFORMAT);
}
END_TEST

START_TEST(no_memory)
{
    const double xy[] = {1, 1, 8, 2, 5, 9};
    struct err err;

    for (long i = 1;; i++) {
        struct rle m = {0}, sum = {0};
        err = (struct err){0};
        mem_fail_after(i);
        enum vov_status status = rle_from_polygon(xy, 6, 12, 12, &m, &err);
        if (status == VOV_OK) {
            const struct rle two[] = {m, m};
            status = rle_merge(two, 2, false, &sum, &err);
        }
        mem_fail_after(0);
        rle_free(&m);
        rle_free(&sum);
        if (status == VOV_OK) {
            ck_assert_int_gt((int)i, 2);
            break;
        }
        ck_assert_int_eq(status, VOV_ENOMEM);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rle");
    TCase *tc = tcase_create("all");

    tcase_add_test(tc, reference_outputs);
    tcase_add_test(tc, polygons_step_by_step);
    tcase_add_test(tc, pairs_pixel_by_pixel);
    tcase_add_test(tc, damaged);
    tcase_add_test(tc, no_memory);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
