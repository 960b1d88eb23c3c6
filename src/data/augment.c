/*
 * augment.c - SSD's training pictures (docs/augmentation.md; Liu et al. 2016, 2.2): colours are
 * distorted, the picture is laid on a larger canvas of mean colour, a window is cut out of that,
 * and the window is brought to the input's size, now and then mirrored. Canvas and cut are one
 * window in coordinates of the picture, so that all this costs a single resampling.
 */
#include "augment.h"

#include "base/mem.h"
#include "det/box.h"
#include "mask_grid.h"
#include "pack.h"

#include <math.h>
#include <string.h>

enum { CROP_TRIALS = 50 };

/* SSD's seven samplers: a window must reach this overlap with some object. The first takes the
 * whole canvas; the last, "at most 1", takes any window when there is an object at all. */
static const double crop_min_iou[] = {-1, 0.1, 0.3, 0.5, 0.7, 0.9, 0};
enum { N_SAMPLERS = sizeof crop_min_iou / sizeof *crop_min_iou };

static bool is_target(const struct augment *a, const struct truth *t)
{
    return !t->crowd && (a->difficult || !t->difficult) && !t->unfit;
}

/* A window that holds the picture somewhere on a canvas up to max_expand times as large. */
static struct window expand(const struct augment *a, struct rng *r, const struct image *img)
{
    struct window w = {0, 0, img->width, img->height};

    if (rng_uniform(r) >= a->expand) {
        return w;
    }
    const double ratio = rng_range(r, 1, fmax(1, a->max_expand));
    w.width = (int)lround(img->width * ratio);
    w.height = (int)lround(img->height * ratio);
    w.x = -rng_int(r, w.width - img->width + 1);
    w.y = -rng_int(r, w.height - img->height + 1);
    return w;
}

/* Scale and shape of one trial, in whole pixels of the canvas. */
static struct window random_window(struct rng *r, const struct window *canvas)
{
    const double scale = rng_range(r, 0.3, 1);
    const double lo = fmax(0.5, scale * scale), hi = fmin(2, 1 / (scale * scale));
    const double aspect = rng_range(r, lo, hi);
    const double w = fmin(1, scale * sqrt(aspect)), h = fmin(1, scale / sqrt(aspect));
    struct window out;

    out.width = (int)fmax(1, lround(w * canvas->width));
    out.height = (int)fmax(1, lround(h * canvas->height));
    out.x = canvas->x + rng_int(r, canvas->width - out.width + 1);
    out.y = canvas->y + rng_int(r, canvas->height - out.height + 1);
    return out;
}

static bool reaches_overlap(const struct augment *a, const struct window *w, const struct item *it,
                            double min_iou)
{
    const struct box b = {w->x, w->y, (real)w->x + w->width, (real)w->y + w->height};

    for (int i = 0; i < it->n_truth; i++) {
        if (is_target(a, &it->truth[i]) && (double)box_iou(&b, &it->truth[i].box) >= min_iou) {
            return true;
        }
    }
    return false;
}

/* One of the windows that the samplers found, each as likely as the others. */
static struct window crop(const struct augment *a, struct rng *r, const struct item *it,
                          struct window canvas)
{
    struct window found[N_SAMPLERS] = {canvas};
    int n = 1;

    if (rng_uniform(r) >= a->crop) {
        return canvas;
    }
    for (int s = 1; s < N_SAMPLERS; s++) {
        for (int trial = 0; trial < CROP_TRIALS; trial++) {
            const struct window w = random_window(r, &canvas);
            if (reaches_overlap(a, &w, it, crop_min_iou[s])) {
                found[n++] = w;
                break;
            }
        }
    }
    return found[rng_int(r, n)];
}

/* What of a picture is seen, and where in the input. */
struct framing {
    const struct window *w;
    const struct target *to;
    const struct pixels *px;
};

/* The truth row of a box, and the part of the box that is seen, in pixels of the picture; false
 * when its centre is outside or nothing of at least one input pixel is left. */
static bool truth_row(const struct truth *t, const struct framing *v, real row[5], struct box *part)
{
    const struct window *w = v->w;
    const struct target *to = v->to;
    const struct box in = {w->x, w->y, (real)w->x + w->width, (real)w->y + w->height};
    const real cx = (t->box.x0 + t->box.x1) / 2, cy = (t->box.y0 + t->box.y1) / 2;

    if (cx < in.x0 || cx >= in.x1 || cy < in.y0 || cy >= in.y1) {
        return false;
    }
    const struct box b = {
        t->box.x0 > in.x0 ? t->box.x0 : in.x0, t->box.y0 > in.y0 ? t->box.y0 : in.y0,
        t->box.x1 < in.x1 ? t->box.x1 : in.x1, t->box.y1 < in.y1 ? t->box.y1 : in.y1};
    const real sx = (real)to->width / w->width, sy = (real)to->height / w->height;
    real x0 = (b.x0 - w->x) * sx, x1 = (b.x1 - w->x) * sx;

    if (x1 - x0 < 1 || (b.y1 - b.y0) * sy < 1) {
        return false;
    }
    if (to->mirror) {
        const real left = to->width - x1;
        x1 = to->width - x0;
        x0 = left;
    }
    row[0] = (x0 + to->x) / v->px->width;
    row[1] = ((b.y0 - w->y) * sy + to->y) / v->px->height;
    row[2] = (x1 + to->x) / v->px->width;
    row[3] = ((b.y1 - w->y) * sy + to->y) / v->px->height;
    row[4] = (real)(t->class_id + 1);
    *part = b;
    return true;
}

static real row_area(const real *row)
{
    return (row[2] - row[0]) * (row[3] - row[1]);
}

/* Of n rows, -1 where there are none. */
static int smallest_row(const real *truth, int n)
{
    int least = n > 0 ? 0 : -1;

    for (int k = 1; k < n; k++) {
        least = row_area(truth + k * 5) < row_area(truth + least * 5) ? k : least;
    }
    return least;
}

/* Row `at` and its mask. A mask lies in its box as the part lies in the picture, whatever the
 * scale: only a mirror changes it. */
static enum vov_status put_truth(const struct truth *t, const real row[5], const struct box *part,
                                 const struct target *to, const struct sample *out, int at,
                                 struct err *err)
{
    const size_t cells = (size_t)out->mask_side * (size_t)out->mask_side;

    memcpy(out->truth + (size_t)at * 5, row, 5 * sizeof *row);
    if (out->masks == NULL) {
        return VOV_OK;
    }
    return mask_grid(t->seg, part, to->mirror, out->mask_side, out->masks + (size_t)at * cells,
                     err);
}

/* Rows in the order of the annotation; where there are more than fit, the largest are kept. */
static enum vov_status fill_truth(const struct augment *a, const struct item *it,
                                  const struct framing *v, const struct sample *out,
                                  struct err *err)
{
    const size_t cells = (size_t)out->mask_side * (size_t)out->mask_side;
    int n = 0;

    memset(out->truth, 0, (size_t)out->max_boxes * 5 * sizeof *out->truth);
    if (out->masks != NULL) {
        memset(out->masks, 0, (size_t)out->max_boxes * cells * sizeof *out->masks);
    }
    for (int i = 0; i < it->n_truth; i++) {
        const struct truth *t = &it->truth[i];
        real row[5];
        struct box part;
        if (!is_target(a, t) || !truth_row(t, v, row, &part)) {
            continue;
        }
        const int least = n < out->max_boxes ? n++ : smallest_row(out->truth, n);
        if (least >= 0 && row_area(row) > row_area(out->truth + (size_t)least * 5)) {
            TRY(put_truth(t, row, &part, v->to, out, least, err));
        }
    }
    return VOV_OK;
}

/* The picture, distorted as chosen, through its window. */
static enum vov_status render(const struct rendering *r, const struct sample *out, struct err *err)
{
    const struct target *to = r->to;
    const struct image *img = r->img;
    struct image changed = {0};

    if (out->picture != NULL) {
        if (picture_pack(r, out->picture, out->room)) {
            return VOV_OK;
        }
        picture_hold_planes(out->picture, r->px);
    }
    if (to->width != r->px->width || to->height != r->px->height) {
        memset(to->planes, 0, 3 * to->plane * sizeof *to->planes);
    }
    if (r->change->n > 0) {
        if (!distort_apply(r->change, img, &changed)) {
            return err_nomem(err, (size_t)img->width * (size_t)img->height * 3);
        }
        img = &changed;
    }
    const enum vov_status status = resample(img, r->from, r->kind, r->px, to);
    image_free(&changed);
    return status == VOV_OK ? VOV_OK : err_nomem(err, 3 * to->plane * sizeof *to->planes);
}

enum vov_status augment_apply(const struct augment *a, struct rng *r, const struct image *img,
                              const struct item *it, const struct pixels *px,
                              const struct sample *out, struct err *err)
{
    const size_t row = (size_t)px->width, plane = row * (size_t)px->height;
    struct target to = {out->planes, row, plane, 0, 0, px->width, px->height, false};
    struct pixels size = *px;
    const struct distortion d = distort_choose(&a->distort, r);
    const struct window canvas = expand(a, r, img);
    const struct window w = crop(a, r, it, canvas);
    const enum resample kind =
        a->any_resize ? (enum resample)rng_int(r, RESAMPLE_KINDS) : RESAMPLE_LINEAR;

    to.mirror = rng_uniform(r) < a->flip;
    if (a->n_short_sides > 0) {
        size.short_side = (int)a->short_side[rng_int(r, a->n_short_sides)];
    }
    target_fit(w.width, w.height, &size, &to);
    *out->where = placing_of(&w, &to);
    const struct framing framing = {&w, &to, px};
    TRY(fill_truth(a, it, &framing, out, err));
    return render(&(struct rendering){img, &d, &w, kind, px, &to}, out, err);
}

enum { PART_TRIALS = 10 };

/* Whole where no part of the wanted area and shape is found. */
static struct window random_part(struct rng *r, const struct image *img)
{
    const double area = (double)img->width * img->height;

    for (int i = 0; i < PART_TRIALS; i++) {
        const double part = rng_range(r, 0.08, 1) * area;
        const double aspect = exp(rng_range(r, log(3.0 / 4), log(4.0 / 3)));
        const int w = (int)lround(sqrt(part * aspect)), h = (int)lround(sqrt(part / aspect));
        if (w > 0 && h > 0 && w <= img->width && h <= img->height) {
            return (struct window){rng_int(r, img->width - w + 1), rng_int(r, img->height - h + 1),
                                   w, h};
        }
    }
    return (struct window){0, 0, img->width, img->height};
}

/* -most .. most pixels of the input, in those of the picture. */
static int random_move(struct rng *r, int most, int picture, int input)
{
    const int range = (int)lround((double)most * picture / input);

    return rng_int(r, 2 * range + 1) - range;
}

enum vov_status augment_label(const struct augment *a, struct rng *r, const struct image *img,
                              const struct pixels *px, const struct sample *out, struct err *err)
{
    const size_t row = (size_t)px->width, plane = row * (size_t)px->height;
    struct target to = {out->planes, row, plane, 0, 0, px->width, px->height, false};
    const struct distortion d = distort_choose(&a->distort, r);
    struct window w = {0, 0, img->width, img->height};

    if (rng_uniform(r) < a->crop) {
        w = random_part(r, img);
    }
    w.x += random_move(r, a->pad_crop, w.width, px->width);
    w.y += random_move(r, a->pad_crop, w.height, px->height);
    to.mirror = rng_uniform(r) < a->flip;
    return render(&(struct rendering){img, &d, &w, RESAMPLE_LINEAR, px, &to}, out, err);
}
