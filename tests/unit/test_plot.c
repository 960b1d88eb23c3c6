/*
 * test_plot.c - drawings: pixels where polygons and letters are, SVG that holds what was drawn, and
 * panels whose labels stay apart.
 */
#include "plot/scatter.h"
#include "run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct ink red = {255, 0, 0}, black = {0, 0, 0};

static int pixel(const struct image *img, int x, int y, int channel)
{
    return img->rgb[(y * img->width + x) * 3 + channel];
}

/* How much of the picture's channel was taken from white, in pixels. */
static double covered(const struct image *img, int channel)
{
    double sum = 0;
    for (int i = 0; i < img->width * img->height; i++) {
        sum += (255 - img->rgb[i * 3 + channel]) / 255.0;
    }
    return sum;
}

START_TEST(areas)
{
    struct canvas c;
    struct image img;
    canvas_open(&c, 60, 40);
    canvas_rect(&c, (struct point){10, 5}, (struct point){20, 15}, red);
    ck_assert_int_eq(canvas_paint(&c, &img, NULL), VOV_OK);
    ck_assert_int_eq(pixel(&img, 12, 8, 0), 255);
    ck_assert_int_eq(pixel(&img, 12, 8, 1), 0);
    ck_assert_int_eq(pixel(&img, 22, 8, 1), 255);
    ck_assert_double_eq_tol(covered(&img, 1), 100, 1e-6);
    ck_assert_double_eq_tol(covered(&img, 0), 0, 1e-6);
    image_free(&img);
    canvas_close(&c);

    canvas_open(&c, 60, 40);
    canvas_disc(&c, (struct point){30, 20}, 10, black);
    canvas_line(&c, (struct point){0, 2}, (struct point){50, 2}, 2, black);
    ck_assert_int_eq(canvas_paint(&c, &img, NULL), VOV_OK);
    ck_assert_double_eq_tol(covered(&img, 0), M_PI * 100 + 100, 6);
    image_free(&img);
    canvas_close(&c);

    canvas_open(&c, 60, 40); /* beyond every edge */
    canvas_rect(&c, (struct point){-100, -50}, (struct point){900, 1e6}, black);
    ck_assert_int_eq(canvas_paint(&c, &img, NULL), VOV_OK);
    ck_assert_double_eq_tol(covered(&img, 0), 60 * 40, 1e-6);
    image_free(&img);
    canvas_close(&c);
}
END_TEST

/* The columns and rows that a text covers. */
static void ink_box(const struct image *img, int box[4])
{
    box[0] = box[1] = 10000;
    box[2] = box[3] = -1;
    for (int i = 0; i < img->width * img->height; i++) {
        if (img->rgb[i * 3] < 128) {
            const int x = i % img->width, y = i / img->width;
            box[0] = x < box[0] ? x : box[0];
            box[1] = y < box[1] ? y : box[1];
            box[2] = x > box[2] ? x : box[2];
            box[3] = y > box[3] ? y : box[3];
        }
    }
}

START_TEST(texts)
{
    const struct text_style styles[] = {{14, TEXT_LEFT, {0, 0, 0}, false},
                                        {14, TEXT_MIDDLE, {0, 0, 0}, false},
                                        {14, TEXT_RIGHT, {0, 0, 0}, false},
                                        {14, TEXT_MIDDLE, {0, 0, 0}, true}};
    const int width = (int)canvas_text_width(14, "HIH");
    const int want[][4] = {{100, 93, 100 + width, 107},
                           {100 - width / 2, 93, 100 + width / 2, 107},
                           {100 - width, 93, 100, 107},
                           {93, 100 - width / 2, 107, 100 + width / 2}};
    ck_assert_int_eq(width, 34); /* 17 dots of 2 pixels */
    for (int i = 0; i < 4; i++) {
        struct canvas c;
        struct image img;
        int box[4];
        canvas_open(&c, 200, 200);
        canvas_text(&c, (struct point){100, 100}, &styles[i], "HIH");
        ck_assert_int_eq(canvas_paint(&c, &img, NULL), VOV_OK);
        ink_box(&img, box);
        for (int k = 0; k < 4; k++) {
            ck_assert_msg(abs(box[k] - want[i][k]) <= 1, "%d, %d: %d", i, k, box[k]);
        }
        image_free(&img);
        canvas_close(&c);
    }
}
END_TEST

START_TEST(svg)
{
    struct canvas c;
    struct buf out = {0};
    const struct text_style style = {10, TEXT_MIDDLE, {1, 2, 255}, true};
    canvas_open(&c, 60, 40);
    canvas_rect(&c, (struct point){1, 2}, (struct point){3, 4.5}, red);
    canvas_text(&c, (struct point){7, 8}, &style, "a<b & \"c\"");
    ck_assert_int_eq(canvas_svg(&c, &out, NULL), VOV_OK);
    ck_assert_ptr_nonnull(strstr(out.p, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"60\""));
    ck_assert_ptr_nonnull(strstr(
        out.p, "<polygon points=\"1.00,2.00 3.00,2.00 3.00,4.50 1.00,4.50\" fill=\"#ff0000\"/>"));
    ck_assert_ptr_nonnull(strstr(out.p, "rotate(-90)"));
    ck_assert_ptr_nonnull(strstr(out.p, "fill=\"#0102ff\">a&lt;b &amp; \"c\"</text>"));
    ck_assert_str_eq(out.p + out.n - 7, "</svg>\n");
    buf_free(&out);
    canvas_close(&c);
}
END_TEST

static int count(const char *text, const char *word)
{
    int n = 0;
    for (; (text = strstr(text, word)) != NULL; text++) {
        n++;
    }
    return n;
}

START_TEST(panels)
{
    const struct scatter_mark marks[] = {
        {"one", 0, 1, 10}, {"two", 0, 2, 20}, {"three", 1, 1, 10.1}, {"four", 1, 3, (double)NAN}};
    const struct scatter_panel panel[] = {{"speed", "x", "y", "unused", marks, 4},
                                          {"energy", "x", "y", "nobody knows", marks + 3, 1}};
    struct canvas c;
    struct buf out = {0};
    scatter_draw(&c, "title", "below", panel, 2);
    ck_assert_int_eq(c.width, 2 * SCATTER_WIDTH);
    ck_assert_int_eq(canvas_svg(&c, &out, NULL), VOV_OK);
    ck_assert_int_eq(count(out.p, ">one</text>"), 1);
    ck_assert_int_eq(count(out.p, ">three</text>"), 1);
    ck_assert_int_eq(count(out.p, ">four</text>"), 0); /* its y is not known */
    ck_assert_int_eq(count(out.p, ">unused</text>"), 0);
    ck_assert_int_eq(count(out.p, ">nobody knows</text>"), 1);
    const struct canvas_item *a = NULL, *b = NULL;
    for (int i = 0; i < c.n; i++) {
        if (c.item[i].text != NULL && strcmp(c.item[i].text, "one") == 0) {
            a = &c.item[i];
        } else if (c.item[i].text != NULL && strcmp(c.item[i].text, "three") == 0) {
            b = &c.item[i];
        }
    }
    ck_assert(fabs(a->at.y - b->at.y) >= 12 || fabs(a->at.x - b->at.x) >= 40);
    buf_free(&out);
    canvas_close(&c);
}
END_TEST

/* One value, equal values, none at all, large and small ones: always a drawing. */
START_TEST(odd_values)
{
    const double y[][2] = {{0, 0}, {1e-9, 1e-9}, {1e12, 3}, {5, 5}, {(double)NAN, (double)NAN}};
    for (int i = 0; i < 5; i++) {
        const struct scatter_mark marks[] = {{"a", 0, 1, y[i][0]}, {"b", 7, 1, y[i][1]}};
        const struct scatter_panel panel = {"t", "x", "y", NULL, marks, 2};
        struct canvas c;
        struct image img;
        scatter_draw(&c, "", "", &panel, 1);
        ck_assert_int_lt(c.n, 400);
        ck_assert_int_eq(canvas_paint(&c, &img, NULL), VOV_OK);
        image_free(&img);
        canvas_close(&c);
    }
}
END_TEST

START_TEST(files)
{
    char dir[] = "/tmp/vov-plot-XXXXXX", path[100];
    struct canvas c;
    struct image img;
    ck_assert_ptr_nonnull(mkdtemp(dir));
    canvas_open(&c, 30, 20);
    snprintf(path, sizeof path, "%s/x", dir);
    ck_assert_int_eq(canvas_write(&c, path, NULL), VOV_OK);
    snprintf(path, sizeof path, "%s/x.png", dir);
    ck_assert_int_eq(image_read(path, NULL, &img, NULL), VOV_OK);
    ck_assert_int_eq(img.width, 30);
    image_free(&img);
    ck_assert_int_eq(unlink(path), 0);
    snprintf(path, sizeof path, "%s/x.svg", dir);
    ck_assert_int_eq(unlink(path), 0);
    snprintf(path, sizeof path, "%s/no/x.svg", dir);
    ck_assert_int_eq(canvas_write(&c, path, NULL), VOV_EIO);
    ck_assert_int_eq(rmdir(dir), 0);
    canvas_close(&c);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {areas, texts, svg, panels, odd_values, files, NULL};
    return run_tests("plot", tests);
}
