/*
 * multibox_decode.c - from logits of classes and a head's way to a box to detections. One division
 * and one exp() for each class of a prior at most, and none for most priors of a net that has
 * learned; nms.h remembers no more scores than the result can need.
 */
#include "multibox_head.h"

#include "base/mem.h"

#include <math.h>

struct decoding {
    const struct multibox_decoder *of;
    double log_least;
    struct nms *nms;
    struct box *boxes; /* [priors] */
    double *e;         /* [classes]: exp(logit - the largest) */
};

/* The largest of n logits, or NaN when the first is. */
static double largest(const real *conf, int n)
{
    real most = conf[0];

    for (int c = 1; c < n; c++) {
        most = conf[c] > most ? conf[c] : most;
    }
    return (double)most;
}

/* Logits of classes that are likely enough lie over log(least) + log(sum of all exp(logit)), and
 * that sum is no less than the background's part of it, so that most priors are done with before
 * any exp(). NaN passes no comparison. False: out of memory. */
static bool add_classes(const struct decoding *d, int prior)
{
    const int n_classes = d->of->n_classes;
    const real *conf = d->of->conf + (size_t)prior * (size_t)n_classes;
    const real *floors = nms_floors(d->nms);
    const double of_classes = largest(conf + 1, n_classes - 1);
    double *restrict e = d->e;

    if (!(of_classes > d->log_least + (double)conf[0])) {
        return true;
    }
    const double most = (double)conf[0] > of_classes ? (double)conf[0] : of_classes;
    double sum = 0;
    for (int c = 0; c < n_classes; c++) {
        e[c] = exp((double)conf[c] - most);
        sum += e[c];
    }
    /* A division for those only that may stand; the factor is more than rounding can be. */
    const double floor_logit = d->log_least + log(sum) + most, part = sum * (1 - 1e-6);
    for (int c = 1; c < n_classes; c++) {
        if (e[c] >= (double)floors[c - 1] * part && (double)conf[c] > floor_logit &&
            !nms_add(d->nms, prior, c - 1, (real)(e[c] / sum))) {
            return false;
        }
    }
    return true;
}

static bool is_finite_box(const struct box *b)
{
    return isfinite(b->x0) && isfinite(b->y0) && isfinite(b->x1) && isfinite(b->y1);
}

static enum vov_status add_priors(const struct decoding *d, struct err *err)
{
    const struct multibox_decoder *of = d->of;

    for (int i = 0; i < of->n_priors; i++) {
        if (of->box(of->head, i, &d->boxes[i]) && is_finite_box(&d->boxes[i]) &&
            !add_classes(d, i)) {
            return err_nomem(err, (size_t)of->n_priors * sizeof(struct detection));
        }
    }
    return VOV_OK;
}

enum vov_status multibox_decode(const struct multibox_decoder *of, double min_score,
                                struct det_list *dets, struct err *err)
{
    struct nms_desc desc = of->nms;
    const double own = (double)desc.min_score, least = min_score > own ? min_score : own;
    struct decoding d = {.of = of,
                         .log_least = log(least),
                         .boxes = mem_alloc((size_t)of->n_priors, sizeof *d.boxes),
                         .e = mem_alloc((size_t)of->n_classes, sizeof *d.e)};

    desc.min_score = (real)least;
    enum vov_status status = d.e && d.boxes
                                 ? nms_open(&desc, of->n_classes - 1, d.boxes, &d.nms, err)
                                 : err_nomem(err, (size_t)of->n_priors * sizeof *d.boxes);
    if (status == VOV_OK) {
        status = add_priors(&d, err);
    }
    if (status == VOV_OK) {
        status = nms_finish(d.nms, dets, err);
    }
    nms_close(d.nms);
    mem_free(d.boxes);
    mem_free(d.e);
    return status;
}
