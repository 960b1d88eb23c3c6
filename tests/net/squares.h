/*
 * squares.h - a data set for tests of training: bright squares and dark discs on noise, drawn into
 * a folder, and a detector small enough to learn them in seconds.
 */
#ifndef VOV_TEST_SQUARES_H
#define VOV_TEST_SQUARES_H

#include "base/file.h"
#include "base/rng.h"
#include "data/dataset.h"
#include "data/image.h"
#include "train/metrics.h"
#include "train/trainer.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Levels s2, s3, s4, and what follows them. */
#define SQUARES(more)                                                                              \
    "[net]\nwidth=64\nheight=64\nclasses=2\nmean=127\nstd=64\nbatch=8\nsubdivisions=2\n"           \
    "learning_rate=0.02\nmomentum=0.9\ndecay=0.0005\npolicy=cosine\nmax_batches=12\n"              \
    "burn_in=4\nburn_in_power=1\nmax_boxes=8\nseed=3\nclip=20\n"                                   \
    "[stem]\nchannels=8,8,16\nstrides=2,1,2\n"                                                     \
    "[osa]\nname=s2\nlayers=2\nwidth=8\nout=16\n"                                                  \
    "[maxpool]\nsize=3\nstride=2\n"                                                                \
    "[osa]\nname=s3\nlayers=2\nwidth=16\nout=32\n"                                                 \
    "[maxpool]\nsize=3\nstride=2\n"                                                                \
    "[osa]\nname=s4\nlayers=2\nwidth=16\nout=32\n" more

static const char squares_cfg[] = SQUARES("[tcb]\nname=p4\nfrom=s4\nchannels=16\n"
                                          "[tcb]\nname=p3\nfrom=s3\ntop=p4\nchannels=16\n"
                                          "[refinedet]\narm=s3,s4\nodm=p3,p4\n");

static char squares_dir[64];

/* Pixels of one picture with its boxes. */
static void squares_draw(struct image *img, struct item *it, int index)
{
    struct rng r = rng_open(5, RNG_TEST, (uint64_t)index, 0);
    const int n = 1 + rng_int(&r, 2);
    for (int i = 0; i < img->width * img->height * 3; i++) {
        img->rgb[i] = (uint8_t)(100 + rng_int(&r, 40));
    }
    for (int k = 0; k < n; k++) {
        const int size = 14 + rng_int(&r, 16), class_id = rng_int(&r, 2);
        const int x0 = rng_int(&r, img->width / 2 - size) + (k * img->width / 2);
        const int y0 = rng_int(&r, img->height - size);
        for (int y = 0; y < size; y++) {
            for (int x = 0; x < size; x++) {
                const int dx = 2 * x - size, dy = 2 * y - size;
                if (class_id == 0 || dx * dx + dy * dy < size * size) {
                    memset(img->rgb + 3 * ((y0 + y) * img->width + x0 + x),
                           class_id == 0 ? 240 : 10, 3);
                }
            }
        }
        it->truth[it->n_truth++] =
            (struct truth){.box = {(real)x0, (real)y0, (real)(x0 + size), (real)(y0 + size)},
                           .bbox = {x0, y0, size, size},
                           .class_id = class_id,
                           .area = (double)size * size,
                           .id = 2 * index + k + 1};
    }
}

/* n pictures in squares_dir, which is made. */
static void squares_make(struct dataset *d, int n)
{
    static uint8_t rgb[64 * 64 * 3];
    struct err err = {0};
    snprintf(squares_dir, sizeof squares_dir, "/tmp/vov-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(squares_dir));
    *d = (struct dataset){.path = "squares", .n = n, .n_classes = 2};
    d->item = arena_alloc(&d->mem, (size_t)n * sizeof *d->item);
    d->class_name = arena_alloc(&d->mem, 2 * sizeof *d->class_name);
    d->class_key = arena_alloc(&d->mem, 2 * sizeof *d->class_key);
    d->class_name[0] = "square";
    d->class_name[1] = "disc";
    d->class_key[0] = 1;
    d->class_key[1] = 2;
    for (int i = 0; i < n; i++) {
        struct image img = {.rgb = rgb, .width = 64, .height = 64};
        struct item *it = &d->item[i];
        *it = (struct item){.id = i + 1, .width = 64, .height = 64};
        it->truth = arena_alloc(&d->mem, 2 * sizeof *it->truth);
        it->path = arena_printf(&d->mem, "%s/%d.png", squares_dir, i);
        it->file_name = path_base(it->path);
        squares_draw(&img, it, i);
        ck_assert_msg(image_write(it->path, &img, &err) == VOV_OK, "%s", err.msg);
        d->n_truth += it->n_truth;
    }
}

static void squares_remove(struct dataset *d)
{
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", squares_dir);
    ck_assert_int_eq(system(command), 0);
    arena_free(&d->mem);
}

/* One session of a run in squares_dir/out; hook may be NULL. */
struct session {
    const char *cfg; /* NULL: squares_cfg */
    const char *out;
    const char *device; /* NULL: the best there is */
    bool resume;
    int threads;
    const char *set[8];
    int n_set;
    const struct hook *hook;
    const struct log *log;
    const volatile sig_atomic_t *stop;
    double first_loss, last_loss;
};

static inline enum vov_status note_loss(void *user, struct trainer *t, struct err *err)
{
    struct session *s = user;
    (void)err;
    s->first_loss = s->first_loss > 0 ? s->first_loss : t->loss;
    s->last_loss = t->loss;
    return VOV_OK;
}

static inline enum vov_status squares_run(struct session *s, const struct dataset *d,
                                          struct err *err)
{
    char out[100];
    struct backend *be;
    struct model m;
    struct err_list errs = {0};
    struct metrics metrics;
    struct hook hooks[3] = {{0}, {.step = note_loss, .user = s}};
    const struct model_options mo = {.training = true, .set = s->set, .n_set = s->n_set};
    snprintf(out, sizeof out, "%s/%s", squares_dir, s->out);
    const struct trainer_options opt = {.out = out,
                                        .resume = s->resume,
                                        .data = d,
                                        .seed = 11,
                                        .workers = s->threads,
                                        .hooks = hooks,
                                        .n_hooks = s->hook != NULL ? 3 : 2,
                                        .log = s->log,
                                        .stop = s->stop};
    struct trainer t;
    metrics_hook(&metrics, &hooks[0]);
    hooks[2] = s->hook != NULL ? *s->hook : (struct hook){0};
    ck_assert(backend_open(s->device, s->threads, &be, err) == VOV_OK);
    const char *cfg = s->cfg != NULL ? s->cfg : squares_cfg;
    ck_assert_msg(model_build_text("squares.cfg", cfg, strlen(cfg), &mo, &m, &errs) == VOV_OK, "%s",
                  errs.item[0].msg);
    enum vov_status status = model_start(&m, be, 11, err);
    if (status == VOV_OK) {
        status = trainer_open(&t, &m, &opt, err);
    }
    if (status == VOV_OK) {
        status = trainer_run(&t, err);
        trainer_close(&t);
    }
    metrics_close(&metrics);
    model_close(&m);
    backend_close(be);
    return status;
}

/* The bytes of a file of the run. */
static inline void squares_file(const char *out, const char *name, struct buf *b)
{
    char path[140];
    struct err err = {0};
    snprintf(path, sizeof path, "%s/%s/%s", squares_dir, out, name);
    buf_clear(b);
    ck_assert_msg(file_read(path, 1 << 30, b, &err) == VOV_OK, "%s", err.msg);
}

#endif
