/*
 * test_loader.c - training pictures: what augmentation does to pixels it does to boxes, and batches
 * depend on the seed only: not on the number of workers, nor on where a run was taken up.
 */
#include "data/loader.h"

#include "base/file.h"
#include "base/mem.h"
#include "run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N = 11, SIDE = 48, BATCH = 3, BOXES = 4 };

static char dir[64];
static struct truth truth[N];
static struct item item[N];
static char path[N][96];

/* Grey pictures with one white rectangle, written to a folder; the last file is no picture. */
static struct dataset make_set(bool with_broken)
{
    struct image img = {
        .rgb = mem_alloc(SIDE * (SIDE + 8) * 3, 1), .width = SIDE + 8, .height = SIDE};
    struct err err = {0};

    snprintf(dir, sizeof dir, "/tmp/vov-loader-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    for (int i = 0; i < N; i++) {
        const int x0 = 4 + i, y0 = 30 - i, w = 12 + i, h = 14;
        memset(img.rgb, 10, (size_t)img.width * (size_t)img.height * 3);
        for (int y = y0; y < y0 + h; y++) {
            memset(img.rgb + (y * img.width + x0) * 3, 255, (size_t)w * 3);
        }
        truth[i] = (struct truth){.box = {(real)x0, (real)y0, (real)(x0 + w), (real)(y0 + h)},
                                  .class_id = i % 3};
        snprintf(path[i], sizeof path[i], "%s/%d.png", dir, i);
        item[i] = (struct item){.path = path[i], .truth = &truth[i], .n_truth = 1};
        ck_assert_int_eq(image_write(path[i], &img, &err), VOV_OK);
    }
    if (with_broken) {
        ck_assert_int_eq(file_write(path[N - 1], "none", 4, &err), VOV_OK);
    }
    image_free(&img);
    return (struct dataset){.path = dir, .item = item, .n = N, .n_classes = 3};
}

static void remove_set(void)
{
    for (int i = 0; i < N; i++) {
        unlink(path[i]);
    }
    rmdir(dir);
}

static struct loader_options options(int workers)
{
    return (struct loader_options){
        .pixels = {.width = 40, .height = 32, .std = {1, 1, 1}},
        .batch = BATCH,
        .max_boxes = BOXES,
        .workers = workers,
        .train = true,
        .seed = 5,
        .augment = {.distort = {1, 1.5, 1.5, 0.1},
                    .expand = 0.5,
                    .crop = 1,
                    .flip = 0.5,
                    .max_expand = 3,
                    .any_resize = true},
        .max_skipped = 1,
    };
}

static struct loader *open_at(const struct dataset *d, int workers, long first)
{
    const struct loader_options opt = options(workers);
    struct loader *l = NULL;
    struct err err = {0};

    ck_assert_msg(loader_open(d, &opt, first, &l, &err) == VOV_OK, "%s", err.msg);
    return l;
}

static struct batch *next(struct loader *l)
{
    struct batch *b = NULL;
    struct err err = {0};

    ck_assert_msg(loader_next(l, &b, &err) == VOV_OK, "%s", err.msg);
    ck_assert_ptr_nonnull(b);
    return b;
}

static void same_batches(struct loader *a, struct loader *b, int count)
{
    for (int i = 0; i < count; i++) {
        const struct batch *x = next(a), *y = next(b);
        ck_assert_int_eq(x->number, y->number);
        ck_assert_int_eq(x->epoch, y->epoch);
        ck_assert_mem_eq(x->item, y->item, BATCH * sizeof *x->item);
        ck_assert_mem_eq(x->images, y->images, sizeof(real) * BATCH * 3 * 40 * 32);
        ck_assert_mem_eq(x->truth, y->truth, sizeof(real) * BATCH * BOXES * 5);
    }
}

START_TEST(workers_and_resuming_change_nothing)
{
    const struct dataset d = make_set(true);
    struct loader *one = open_at(&d, 1, 0), *four = open_at(&d, 4, 0), *late = NULL;

    same_batches(one, four, 7);
    late = open_at(&d, 2, 7);
    same_batches(one, late, 5);
    loader_close(one);
    loader_close(four);
    loader_close(late);
    remove_set();
}
END_TEST

START_TEST(an_epoch_has_each_picture_once)
{
    const struct dataset d = make_set(false);
    struct loader *l = open_at(&d, 2, 0);
    int order[2][N / BATCH * BATCH];

    ck_assert_int_eq(loader_batches(l), N / BATCH);
    for (int epoch = 0; epoch < 2; epoch++) {
        int seen[N] = {0};
        for (int i = 0; i < N / BATCH; i++) {
            const struct batch *b = next(l);
            ck_assert_int_eq(b->epoch, epoch);
            for (int k = 0; k < BATCH; k++) {
                order[epoch][i * BATCH + k] = b->item[k];
                ck_assert_int_eq(++seen[b->item[k]], 1);
            }
        }
    }
    ck_assert_mem_ne(order[0], order[1], sizeof order[0]);
    loader_close(l);
    remove_set();
}
END_TEST

START_TEST(too_many_bad_pictures_end_the_run)
{
    const struct dataset d = make_set(true);
    struct err err = {0};
    struct batch *b;

    unlink(path[0]);
    unlink(path[1]);
    struct loader *l = open_at(&d, 2, 0);
    enum vov_status status = VOV_OK;
    for (int i = 0; i < 20 && status == VOV_OK; i++) {
        status = loader_next(l, &b, &err);
    }
    ck_assert_int_eq(status, VOV_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.msg, "vov data check"));
    loader_close(l);
    remove_set();
}
END_TEST

/* Counts the remarks of a run by what they are about. */
struct heard {
    int damaged, bad, other;
};

static void hear(void *user, int level, const char *text)
{
    struct heard *h = user;

    ck_assert_int_eq(level, LOG_WARN);
    if (strstr(text, "/0.png") != NULL && strstr(text, "cut short") != NULL) {
        h->damaged++;
    } else if (strstr(text, "/10.png") != NULL && strstr(text, "replaced") != NULL) {
        h->bad++;
    } else {
        h->other++;
    }
}

/* A JPEG whose last bytes are missing, under the name of picture 0. */
static void cut_first(void)
{
    char name[128];
    struct image img;
    struct buf file = {0};
    struct err err = {0};

    snprintf(name, sizeof name, "%s.jpg", path[0]);
    ck_assert_int_eq(image_read(path[0], NULL, &img, &err), VOV_OK);
    ck_assert_int_eq(image_write(name, &img, &err), VOV_OK);
    ck_assert_int_eq(file_read(name, 1 << 20, &file, &err), VOV_OK);
    ck_assert_int_eq(file_write(path[0], file.p, file.n - 9, &err), VOV_OK);
    unlink(name);
    buf_free(&file);
    image_free(&img);
}

START_TEST(bad_pictures_are_named_once)
{
    const struct dataset d = make_set(true);
    struct loader_options opt = options(3);
    struct heard heard = {0};
    const struct log log = {hear, &heard};
    struct loader *l = NULL;
    struct err err = {0};
    int skipped = 0;

    cut_first();
    opt.log = &log;
    ck_assert_int_eq(loader_open(&d, &opt, 0, &l, &err), VOV_OK);
    for (int i = 0; i < 40; i++) {
        skipped += next(l)->skipped;
    }
    loader_close(l);
    ck_assert_int_gt(skipped, 3);
    ck_assert_int_eq(heard.damaged, 1);
    ck_assert_int_eq(heard.bad, 1);
    ck_assert_int_eq(heard.other, 0);
    remove_set();
}
END_TEST

START_TEST(evaluation_goes_through_in_order)
{
    const struct dataset d = make_set(true);
    struct loader_options opt = options(3);
    struct loader *l = NULL;
    struct err err = {0};
    struct batch *b = NULL;
    int n = 0, skipped = 0;

    opt.train = false;
    ck_assert_int_eq(loader_open(&d, &opt, 0, &l, &err), VOV_OK);
    while (loader_next(l, &b, &err) == VOV_OK && b != NULL) {
        for (int k = 0; k < b->n; k++) {
            ck_assert_int_eq(b->item[k], n++);
        }
        skipped += b->skipped;
    }
    ck_assert_int_eq(n, N);
    ck_assert_int_eq(skipped, 1);
    ck_assert_int_eq(err.code, VOV_OK);
    loader_close(l);
    remove_set();
}
END_TEST

/* Wide pictures and one that stands, in inputs that lie as they do, of sizes by chance: the picture
 * keeps its shape and is at the top left. */
START_TEST(pictures_keep_their_shape)
{
    static const double sides[] = {16, 24, 32};
    const struct dataset d = make_set(false);
    struct loader_options opt = options(3);
    struct loader *l = NULL;
    struct err err = {0};
    struct image turned = {.width = 40, .height = 80};
    int wide = 0, tall = 0, of_side[3] = {0};

    turned.rgb = mem_alloc(40 * 80, 3);
    ck_assert_int_eq(image_write(path[3], &turned, &err), VOV_OK);
    image_free(&turned);
    opt.pixels.short_side = 32;
    opt.pixels.long_side = 40;
    opt.augment = (struct augment){.short_side = sides, .n_short_sides = 3, .flip = 0.5};
    opt.both_ways = true;
    ck_assert_int_eq(loader_open(&d, &opt, 0, &l, &err), VOV_OK);
    ck_assert_int_eq(loader_batches(l), 1 + 4);
    for (int i = 0; i < 20; i++) {
        const struct batch *b = next(l);
        for (int k = 0; k < b->n; k++) {
            const struct placing *at = &b->where[k];
            const int shorter = b->turned ? at->width : at->height;
            ck_assert_int_eq(b->item[k] == 3, b->turned);
            ck_assert(at->x == 0 && at->y == 0);
            ck_assert_double_eq_tol(at->scale_x, at->scale_y, 0.03);
            for (int s = 0; s < 3; s++) {
                of_side[s] += shorter == (int)sides[s];
            }
        }
        tall += b->turned;
        wide += !b->turned;
    }
    ck_assert(tall == 4 && wide == 16);
    ck_assert(of_side[0] > 8 && of_side[1] > 3 && of_side[2] > 8);
    loader_close(l);
    remove_set();
}
END_TEST

/* Bounds of the pixels that are nearer to white than to the ground, in parts of the input. */
static bool white_bounds(const real *plane, int w, int h, double b[4])
{
    b[0] = b[1] = 1e9;
    b[2] = b[3] = -1e9;
    for (int i = 0; i < w * h; i++) {
        if (plane[i] > 130) {
            b[0] = fmin(b[0], (double)(i % w) / w);
            b[1] = fmin(b[1], floor((double)i / w) / h);
            b[2] = fmax(b[2], (double)(i % w + 1) / w);
            b[3] = fmax(b[3], (floor((double)i / w) + 1) / h);
        }
    }
    return b[2] > 0;
}

/* A box that is cut keeps its centre in the window, so that its visible part is what is white. */
static void boxes_follow_pixels(bool letterbox)
{
    enum { W = 96, H = 80 };
    const struct dataset d = make_set(false);
    const struct pixels px = {.width = W, .height = H, .std = {1, 1, 1}, .letterbox = letterbox};
    const struct augment a = {
        .distort = {0, 1, 1, 0}, .expand = 0.5, .crop = 1, .flip = 0.5, .max_expand = 2};
    static real planes[3 * W * H];
    real rows[BOXES * 5];
    struct image img;
    struct err err = {0};
    int kept = 0;

    ck_assert_int_eq(image_read(path[4], NULL, &img, &err), VOV_OK);
    for (int i = 0; i < 300; i++) {
        struct rng r = rng_open(7, RNG_TEST, (uint64_t)i, 0);
        struct placing at;
        const struct sample out = {
            .planes = planes, .truth = rows, .max_boxes = BOXES, .where = &at};
        double b[4];
        ck_assert_int_eq(augment_apply(&a, &r, &img, &d.item[4], &px, &out, &err), VOV_OK);
        if (rows[4] <= 0) {
            continue;
        }
        kept++;
        ck_assert(white_bounds(planes, W, H, b));
        for (int k = 0; k < 4; k++) {
            const double off = fabs(b[k] - (double)rows[k]) * (k % 2 == 0 ? W : H);
            ck_assert_msg(off <= 1.5, "draw %d: side %d is %.2f pixels off", i, k, off);
        }
        ck_assert(rows[9] <= 0);
    }
    ck_assert_int_gt(kept, 150);
    image_free(&img);
    remove_set();
}

START_TEST(boxes_follow_pixels_stretched)
{
    boxes_follow_pixels(false);
}
END_TEST

START_TEST(boxes_follow_pixels_letterboxed)
{
    boxes_follow_pixels(true);
}
END_TEST

/* A difficult object is learned where that is asked for; a crowd never is. */
START_TEST(difficult_objects)
{
    struct dataset d = make_set(false);
    const struct pixels px = {.width = SIDE, .height = SIDE, .std = {1, 1, 1}};
    static real planes[3 * SIDE * SIDE];
    real rows[BOXES * 5];
    struct image img;
    struct err err = {0};

    ck_assert_int_eq(image_read(path[4], NULL, &img, &err), VOV_OK);
    for (int kind = 0; kind < 3; kind++) {
        const struct augment a = {.difficult = kind > 0};
        struct rng r = rng_open(7, RNG_TEST, 0, 0);
        struct placing at;
        const struct sample out = {
            .planes = planes, .truth = rows, .max_boxes = BOXES, .where = &at};
        truth[4].difficult = true;
        truth[4].crowd = kind == 2;
        ck_assert_int_eq(augment_apply(&a, &r, &img, &d.item[4], &px, &out, &err), VOV_OK);
        ck_assert_int_eq((int)rows[4], kind == 1 ? truth[4].class_id + 1 : 0);
    }
    image_free(&img);
    remove_set();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {workers_and_resuming_change_nothing,
                                  an_epoch_has_each_picture_once,
                                  too_many_bad_pictures_end_the_run,
                                  bad_pictures_are_named_once,
                                  pictures_keep_their_shape,
                                  evaluation_goes_through_in_order,
                                  boxes_follow_pixels_stretched,
                                  boxes_follow_pixels_letterboxed,
                                  difficult_objects,
                                  NULL};
    return run_tests("loader", tests);
}
