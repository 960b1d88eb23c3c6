/*
 * scene.h - two pictures of two boxes that a tiny detector learns in a second, for tests of heads.
 */
#ifndef VOV_TEST_SCENE_H
#define VOV_TEST_SCENE_H

#include "det/box.h"
#include "model/detector.h"
#include "train/sgd.h"

#include <check.h>
#include <string.h>

enum { SIZE = 64, BOXES = 2, PIXELS = SIZE * SIZE };

/* Levels s3, s4, s5; TINY has blocks p3, p4, p5 of them too. */
#define TINY_BODY(net, more)                                                                       \
    "[net]\nwidth=64\nheight=64\nclasses=2\nmean=0\nstd=1\nbatch=2\nmax_boxes=4\n"                 \
    "momentum=0.9\ndecay=0.0005\n" net "[stem]\nchannels=8,8,16\nstrides=2,1,2\n"                  \
    "[maxpool]\nsize=3\nstride=2\n[osa]\nname=s3\nlayers=2\nwidth=16\nout=32\n"                    \
    "[maxpool]\nsize=3\nstride=2\n[osa]\nname=s4\nlayers=2\nwidth=16\nout=32\n"                    \
    "[maxpool]\nsize=3\nstride=2\n[osa]\nname=s5\nlayers=2\nwidth=16\nout=32\n" more
#define TINY(more)                                                                                 \
    TINY_BODY("", "[tcb]\nname=p5\nchannels=16\n[tcb]\nname=p4\nfrom=s4\ntop=p5\nchannels=16\n"    \
                  "[tcb]\nname=p3\nfrom=s3\ntop=p4\nchannels=16\n" more)

/* Two pictures of two boxes: x0, y0, x1, y1 in pixels, class from 1. */
static const real scene[2][BOXES][5] = {
    {{6, 8, 26, 30, 1}, {34, 28, 60, 50, 2}},
    {{30, 4, 58, 30, 2}, {10, 36, 26, 54, 1}},
};

/* Class 1 is bright in the first channel, class 2 dark in the second, on a gradient. */
static void draw(real *image, int which)
{
    for (int i = 0; i < 3 * PIXELS; i++) {
        image[i] = (real)(i % SIZE) / SIZE - (real)0.5;
    }
    for (int b = 0; b < BOXES; b++) {
        const real *s = scene[which][b];
        real *plane = image + (s[4] > 1 ? PIXELS : 0);

        for (int y = (int)s[1]; y < (int)s[3]; y++) {
            for (int x = (int)s[0]; x < (int)s[2]; x++) {
                plane[y * SIZE + x] = s[4] > 1 ? -2 : 2;
            }
        }
    }
}

static void open_text(struct model *m, const char *text, bool training)
{
    const struct model_options opt = {.training = training, .keep_norms = true};
    struct err_list errs = {0};

    ck_assert_msg(model_build_text("t.cfg", text, strlen(text), &opt, m, &errs) == VOV_OK, "%s",
                  errs.item[0].msg);
}

/* Whether cell i of a grid of so many rows is part of an object: a disc in its box. */
static inline bool in_disc(int i, int side)
{
    const double x = (i % side + 0.5) / side - 0.5, y = ((i / side % side) + 0.5) / side - 0.5;

    return x * x + y * y < 0.25;
}

static inline void set_masks(struct model *m)
{
    const struct tensor *t = m->head.truth_masks;
    const size_t n = shape_count(t->shape);
    real *masks = mem_alloc(n, sizeof *masks);

    ck_assert_ptr_nonnull(masks);
    for (size_t i = 0; i < n; i++) {
        masks[i] = in_disc((int)(i % (size_t)(t->shape.h * t->shape.w)), t->shape.h) ? 1 : 0;
    }
    exec_set(&m->exec, t, masks);
    mem_free(masks);
}

static void set_batch(struct model *m)
{
    static real images[2 * 3 * PIXELS];
    real truth[2 * 4 * 5] = {0};

    for (int n = 0; n < 2; n++) {
        draw(images + n * 3 * PIXELS, n);
        for (int b = 0; b < BOXES; b++) {
            for (int k = 0; k < 5; k++) {
                truth[(n * 4 + b) * 5 + k] = scene[n][b][k] / (k < 4 ? SIZE : 1);
            }
        }
    }
    exec_set(&m->exec, m->input, images);
    exec_set(&m->exec, m->head.truth, truth);
    if (m->head.truth_masks != NULL) {
        set_masks(m);
    }
}

/* The sum of all losses, of which each part must be a number that is not below 0. */
static double loss_of(const struct model *m)
{
    double sum = 0;

    for (int i = 0; i < m->head.n_loss; i++) {
        const bool two = m->head.loss[i]->shape.c > 2; /* losses; then comes a count of objects */
        real v[4];

        exec_get(&m->exec, m->head.loss[i], v);
        ck_assert(v[0] >= 0 && v[1] >= 0 && v[two ? 2 : 1] >= 2 * BOXES);
        sum += (double)v[0] + (two ? (double)v[1] : 0);
    }
    return sum;
}

static inline void learn(struct model *m, struct backend *be, int steps, double *first,
                         double *last)
{
    struct err err = {0};
    struct sgd sgd;
    struct params *p = &m->exec.params;

    ck_assert(sgd_open(&sgd, p, &m->net, &err) == VOV_OK);
    for (int i = 0; i < steps; i++) {
        set_batch(m);
        be->ops->block_fill(be, p->n_learn, p->grad, 0);
        ck_assert(exec_forward(&m->exec, (uint64_t)i, &err) == VOV_OK);
        ck_assert(exec_backward(&m->exec, (uint64_t)i, &err) == VOV_OK);
        *last = loss_of(m);
        *first = i == 0 ? *last : *first;
        sgd_set_rate(&sgd, 0.01);
        sgd_update(&sgd, 1, NULL);
    }
    sgd_close(&sgd);
}

/* A mask, where there is one, is the disc that was learned, but for some cells at its edge. */
static inline void expect_disc(const struct det_list *dets, const struct detection *d)
{
    const int side = dets->mask_side, cells = side * side;
    int wrong = 0;

    for (int i = 0; d->mask > 0 && i < cells; i++) {
        wrong += (dets->mask[(d->mask - 1) * cells + i] > 0.5f) != in_disc(i, side);
    }
    ck_assert_msg(wrong <= cells / 8, "%d of %d cells of a mask are wrong", wrong, cells);
}

/* Of one picture: the boxes, each once, with their classes, and nothing else above 0.5. */
static inline void expect_found(struct detector *d, int which)
{
    struct det_list dets = {0};
    struct err err = {0};

    ck_assert(detector_get(d, which, SIZE, SIZE, 0.5, &dets, &err) == VOV_OK);
    ck_assert_int_eq(dets.n, BOXES);
    for (int b = 0; b < BOXES; b++) {
        const real *s = scene[which][b];
        const struct box truth = {s[0], s[1], s[2], s[3]};
        bool found = false;

        for (int i = 0; i < dets.n; i++) {
            expect_disc(&dets, &dets.v[i]);
            found |= dets.v[i].class_id == (int)s[4] - 1 && box_iou(&dets.v[i].box, &truth) > 0.7f;
        }
        ck_assert_msg(found, "box %d of picture %d", b, which);
    }
    det_free(&dets);
}

/* Trains a detector on the scene until the loss is small; it then finds the boxes. */
static inline void expect_learns(const char *cfg, int steps)
{
    struct backend *be;
    struct model m;
    struct detector d;
    struct err err = {0};
    double first = 0, last = 0;

    ck_assert(backend_open("cpu", 1, &be, &err) == VOV_OK);
    open_text(&m, cfg, true);
    ck_assert(model_start(&m, be, 5, &err) == VOV_OK);
    learn(&m, be, steps, &first, &last);
    ck_assert_msg(first > 1.5, "first loss %g", first);
    ck_assert_msg(last < 0.5, "last loss %g after %g", last, first);

    ck_assert_msg(detector_of(&d, &m, 2, be, &err) == VOV_OK, "%s", err.msg);
    ck_assert(detector_take(&d, &m, &err) == VOV_OK);
    for (int n = 0; n < 2; n++) {
        draw(d.images + n * 3 * PIXELS, n);
        d.where[n] = (struct placing){.scale_x = 1, .scale_y = 1};
    }
    ck_assert(detector_run(&d, &err) == VOV_OK);
    expect_found(&d, 0);
    expect_found(&d, 1);
    detector_close(&d);
    model_close(&m);
    backend_close(be);
}

#endif
