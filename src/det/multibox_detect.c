/*
 * multibox_detect.c - outputs of an SSD or RefineDet head as detections (RefineDet:
 * docs/refinedet.md): priors that the stage before takes for background are passed over, the others
 * are moved once or twice, and each class is thinned out on its own.
 *
 * Most priors of a net that has learned are done with after a comparison: a logit that is likely
 * enough lies over log(min_score) + the background's. exp() is computed for eight classes side by
 * side, whose sums are added up at the end in a fixed order: the compiler makes vectors of them,
 * and a GPU's warps do the same.
 */
#include "coder.h"
#include "multibox.h"
#include "nms.h"
#include "same_exp.h"

#include <tgmath.h>

enum { SIDE_BY_SIDE = 8 };

struct decoding {
    const struct multibox_detect_desc *d;
    const struct multibox_input *in;
    real least_over;   /* what a likely logit is at least over the background's */
    struct box *boxes; /* [priors] of those that have a detection */
    uint64_t *key;     /* [most_keys()] of scores, see nms.h */
    int n_keys;
    real *e; /* [classes, rounded up]: exp(logit - the largest) */
};

static size_t rounded(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static size_t e_count(const struct multibox_detect_desc *d)
{
    return ((size_t)d->n_classes + SIDE_BY_SIDE - 1) / SIDE_BY_SIDE * SIDE_BY_SIDE;
}

static struct nms_desc nms_of(const struct multibox_detect_desc *d)
{
    return (struct nms_desc){d->n_classes - 1, d->iou, d->top_k, d->keep};
}

/* Scores of a prior are over min_score and add up to 1 at most; one more is written, if not kept.
 */
static size_t most_keys(const struct multibox_detect_desc *d)
{
    const size_t classes = (size_t)d->n_classes - 1;
    const real most = d->min_score > 0 ? 1 / d->min_score : (real)classes;

    return (size_t)d->n_priors * (most < (real)classes ? (size_t)most + 1 : classes) + 1;
}

size_t multibox_detect_bytes(const struct multibox_detect_desc *d)
{
    const struct nms_desc nms = nms_of(d);

    return rounded((size_t)d->n_priors * sizeof(struct box)) + rounded(e_count(d) * sizeof(real)) +
           rounded(most_keys(d) * sizeof(uint64_t)) + nms_bytes(&nms);
}

/* The largest of n logits, or NaN when the first is. */
static real largest(const real *conf, int n)
{
    real most = conf[0];

    for (int c = 1; c < n; c++) {
        most = conf[c] > most ? conf[c] : most;
    }
    return most;
}

static bool is_background(const struct decoding *j, int prior)
{
    if (j->in->arm_conf == NULL) {
        return false;
    }
    const real *x = j->in->arm_conf + (size_t)prior * 2;
    return 1 / (1 + same_exp(x[0] - x[1])) < j->d->arm_threshold;
}

static bool decode_box(const struct decoding *j, int prior)
{
    const struct multibox_detect_desc *d = j->d;
    const size_t at = (size_t)prior * 4;
    struct box *b = &j->boxes[prior], anchor = d->priors[prior];

    if (j->in->arm_loc != NULL) {
        anchor = box_decode(&anchor, j->in->arm_loc + at, d->variance);
    }
    *b = box_decode(&anchor, j->in->loc + at, d->variance);
    return isfinite(b->x0) && isfinite(b->y0) && isfinite(b->x1) && isfinite(b->y1);
}

/* e[i] = exp(x[i] - most), 0 from the n-th on to a multiple of eight, and their sum. */
static real exp_all(const real *restrict x, int n, real most, real *restrict e)
{
    const int all = (n + SIDE_BY_SIDE - 1) / SIDE_BY_SIDE * SIDE_BY_SIDE;
    real sum[SIDE_BY_SIDE] = {0};

    for (int c = 0; c < n; c++) {
        e[c] = same_exp(x[c] - most);
    }
    for (int c = n; c < all; c++) {
        e[c] = 0;
    }
    for (int c = 0; c < all; c += SIDE_BY_SIDE) {
        for (int i = 0; i < SIDE_BY_SIDE; i++) {
            sum[i] += e[c + i];
        }
    }
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

/* Adds the prior's classes that are likely enough. NaN passes no comparison. */
static void add_classes(struct decoding *j, int prior)
{
    const int n = j->d->n_classes, before = j->n_keys;
    const real *conf = j->in->conf + (size_t)prior * (size_t)n, min_score = j->d->min_score;
    const real of_classes = largest(conf + 1, n - 1);
    const real *restrict e = j->e;

    if (!(of_classes - conf[0] > j->least_over)) {
        return;
    }
    const real sum = exp_all(conf, n, conf[0] > of_classes ? conf[0] : of_classes, j->e);
    for (int c = 1; c < n; c++) { /* no processor could foretell which */
        const real score = e[c] / sum;
        j->key[j->n_keys] = nms_key(score, (uint32_t)(prior * (n - 1) + c - 1));
        j->n_keys += score > min_score;
    }
    if (j->n_keys > before && !decode_box(j, prior)) {
        j->n_keys = before;
    }
}

void multibox_detect(const struct multibox_detect_desc *d, const struct multibox_input *in,
                     real *found, void *scratch)
{
    const struct nms_desc nms = nms_of(d);
    struct decoding j = {.d = d,
                         .in = in,
                         .least_over = log(d->min_score) - (real)1e-3, /* more than rounding is */
                         .boxes = scratch};
    char *at = (char *)scratch + rounded((size_t)d->n_priors * sizeof *j.boxes);

    j.e = (real *)(void *)at;
    at += rounded(e_count(d) * sizeof *j.e);
    j.key = (uint64_t *)(void *)at;
    at += rounded(most_keys(d) * sizeof *j.key);
    for (int p = 0; p < d->n_priors; p++) {
        if (!is_background(&j, p)) {
            add_classes(&j, p);
        }
    }
    const struct nms_input scores = {.box = j.boxes, .key = j.key, .n = j.n_keys};
    const int n = nms_thin(&nms, &scores, found, at);
    for (size_t i = (size_t)n * FOUND_ROW; i < (size_t)d->keep * FOUND_ROW; i++) {
        found[i] = 0;
    }
}
