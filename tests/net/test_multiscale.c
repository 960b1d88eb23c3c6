/*
 * test_multiscale.c - a detector that looks several times: mirrored pictures give mirrored boxes,
 * and what multiscale.h makes of several looks is what voting makes of the lists of single ones.
 */
#include "base/rng.h"
#include "cli/multiscale.h"
#include "det/vote.h"
#include "unit/run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N = 3, SIDE = 64 };

static const char cfg_path[] = "tests/cli/tiny.cfg";
static char dir[] = "/tmp/vov-test-XXXXXX";
static char path[N][100];
static struct item items[N];
static struct backend *be;

/* N pictures of noise. */
static void open_all(void)
{
    static uint8_t rgb[SIDE * SIDE * 3];
    struct image img = {.rgb = rgb, .width = SIDE, .height = SIDE};
    struct rng r = rng_open(3, RNG_TEST, 0, 0);
    struct err err = {0};

    ck_assert_ptr_nonnull(mkdtemp(dir));
    for (int i = 0; i < N; i++) {
        for (size_t k = 0; k < sizeof rgb; k++) {
            rgb[k] = (uint8_t)rng_int(&r, 256);
        }
        snprintf(path[i], sizeof path[i], "%s/%d.png", dir, i);
        ck_assert_msg(image_write(path[i], &img, &err) == VOV_OK, "%s", err.msg);
        items[i] = (struct item){.path = path[i], .file_name = path[i]};
    }
    ck_assert(backend_open("cpu", 1, &be, &err) == VOV_OK);
}

static void close_all(void)
{
    backend_close(be);
    for (int i = 0; i < N; i++) {
        unlink(path[i]);
    }
    rmdir(dir);
}

/* The net with random weights, equal at all sizes. */
static void open_net(struct detector *d, int side)
{
    const struct model_options opt = {.batch = 1, .width = side, .height = side};
    struct err_list errs = {0};

    ck_assert_msg(detector_open(d, cfg_path, NULL, &opt, be, &errs) == VOV_OK, "%s",
                  errs.item[0].msg);
}

/* Picture i at one size, or the picture given, as it is or mirrored by the detector, at the end of
 * l. */
static void look_once(struct detector *d, const struct image *img, bool mirrored,
                      struct det_list *l)
{
    struct err err = {0};

    ck_assert(detector_put(d, 0, img, &err) == VOV_OK);
    if (mirrored) {
        detector_mirror(d);
    }
    ck_assert(detector_run(d, &err) == VOV_OK);
    ck_assert(detector_get(d, 0, img->width, img->height, 0, l, &err) == VOV_OK);
}

static void read_picture(int i, struct image *img)
{
    struct err err = {0};

    ck_assert_msg(image_read(path[i], NULL, img, &err) == VOV_OK, "%s", err.msg);
}

/* The mirrored picture in the common way against the picture mirrored by the detector. */
START_TEST(mirrors)
{
    struct image img = {0};
    struct det_list a = {0}, b = {0};
    struct detector d;

    open_all();
    open_net(&d, 64);
    read_picture(0, &img);
    look_once(&d, &img, true, &a);
    for (int y = 0; y < img.height; y++) {
        uint8_t *row = img.rgb + (size_t)y * 3 * (size_t)img.width;
        for (int x = 0; x < img.width / 2; x++) {
            uint8_t left[3], *far = row + 3 * (img.width - 1 - x);
            memcpy(left, row + 3 * x, 3);
            memcpy(row + 3 * x, far, 3);
            memcpy(far, left, 3);
        }
    }
    look_once(&d, &img, false, &b);
    ck_assert_int_gt(a.n, 20);
    ck_assert_int_eq(a.n, b.n);
    for (int i = 0; i < a.n; i++) {
        ck_assert(a.v[i].score == b.v[i].score && a.v[i].class_id == b.v[i].class_id);
        ck_assert(a.v[i].box.y0 == b.v[i].box.y0 && a.v[i].box.y1 == b.v[i].box.y1);
        ck_assert_double_eq_tol((double)a.v[i].box.x0, SIDE - (double)b.v[i].box.x1, 1e-5);
        ck_assert_double_eq_tol((double)a.v[i].box.x1, SIDE - (double)b.v[i].box.x0, 1e-5);
    }
    det_free(&a);
    det_free(&b);
    image_free(&img);
    detector_close(&d);
    close_all();
}
END_TEST

/* Of l from `from` on the boxes that count, which are some and not all. */
static void keep(struct det_list *l, int from, double least, double most)
{
    int n = from;

    for (int i = from; i < l->n; i++) {
        const struct box b = l->v[i].box;
        const double w = (double)(b.x1 - b.x0), h = (double)(b.y1 - b.y0);
        if (fmax(w, h) > least && fmin(w, h) < most) {
            l->v[n++] = l->v[i];
        }
    }
    ck_assert_int_lt(n, l->n);
    ck_assert_int_gt(n, from);
    l->n = n;
}

START_TEST(several_looks)
{
    const int sides[] = {64, 96, 32};
    const double least[] = {0, 0, 50}, most[] = {1e9, 20, 1e9};
    struct multiscale m = {.cfg = cfg_path, .opt = {.batch = 1}, .workers = 2};
    const struct dataset data = {.path = dir, .item = items, .n = N};
    struct err_list errs = {0};
    struct det_list want[N] = {{0}};
    struct detector d;

    open_all();
    m.be = be;
    for (int s = 0; s < 3; s++) {
        open_net(&d, sides[s]);
        for (int i = 0; i < 2 * N; i++) {
            struct image img = {0};
            const int before = want[i / 2].n;
            read_picture(i / 2, &img);
            look_once(&d, &img, i % 2 == 1, &want[i / 2]);
            if (s > 0) {
                keep(&want[i / 2], before, least[s], most[s]);
            }
            image_free(&img);
        }
        detector_close(&d);
    }
    ck_assert_msg(multiscale_init(&m, "64,96:-20,32:50-", true, &errs) == VOV_OK, "%s",
                  errs.item[0].msg);
    ck_assert(multiscale_needed(&m));
    ck_assert(multiscale_open(&m, &d, &errs) == VOV_OK);
    ck_assert(multiscale_run(&m, &d, &data, &errs) == VOV_OK);
    const struct vote_desc vote = {.iou = (real)0.45, .min_score = (real)0.01};
    for (int i = 0; i < N; i++) {
        ck_assert(vote_by_class(&want[i], &vote, NULL) == VOV_OK);
        ck_assert(!m.lost[i]);
        ck_assert_int_eq(m.found[i].n, want[i].n);
        for (int k = 0; k < want[i].n; k++) {
            const struct detection *a = &m.found[i].v[k], *b = &want[i].v[k];
            ck_assert(a->score == b->score && a->class_id == b->class_id);
            ck_assert_mem_eq(&a->box, &b->box, sizeof a->box);
        }
        det_free(&want[i]);
    }
    detector_close(&d);
    multiscale_free(&m);
    close_all();
}
END_TEST

int main(void)
{
    return run_tests("multiscale", (const TTest *const[]){mirrors, several_looks, NULL});
}
