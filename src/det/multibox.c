/*
 * multibox.c - the MultiBox loss of one image (SSD, Liu et al. 2016, section 2.2; RefineDet, Zhang
 * et al. 2018, section 3.2). Four passes over the priors, each linear but for the overlaps:
 *   anchors    the priors, or what the stage before made of them
 *   matching   each truth takes the best anchor that is free, the best pair first; then every
 *              other anchor takes its best truth when they overlap by match_iou
 *   negatives  those with the largest loss, from a heap, equal losses in the order of the priors
 *   sums       of both losses over what was chosen
 * Overlaps are not stored: each anchor remembers its best truth and each truth its best anchor,
 * which is looked for again in the rare case that another truth took it.
 */
#include "multibox.h"

#include "box.h"
#include "coder.h"

#include <tgmath.h>

/* An overlap that counts at all. */
static const real least_iou = (real)1e-6;

struct target {
    struct box box;
    int label;
    int anchor; /* the best one that is free */
    real iou;   /* with it; 0: none */
    bool taken; /* it has its anchor */
};

struct candidate {
    real loss;
    int anchor;
};

struct work {
    const struct multibox_desc *d;
    const struct box *anchor; /* [P] */
    int *truth;               /* [P] index of the target that the anchor is for, -1: none */
    int *best_truth;          /* [P] */
    real *best_iou;           /* [P] */
    struct candidate *cand;   /* [P] */
    struct target *target;    /* [T] */
    int n_targets;
};

enum { ALIGN = 16 };

static size_t aligned(size_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

size_t multibox_scratch_bytes(const struct multibox_desc *d, int max_truth)
{
    const size_t p = (size_t)d->n_priors, t = (size_t)max_truth;

    return aligned(p * sizeof(struct box)) + 2 * aligned(p * sizeof(int)) +
           aligned(p * sizeof(real)) + aligned(p * sizeof(struct candidate)) +
           aligned(t * sizeof(struct target));
}

static void *carve(char **at, size_t bytes)
{
    void *p = *at;

    *at += aligned(bytes);
    return p;
}

/* Keeps the rows that are targets. */
static void read_truth(struct work *w, const real *truth, int max_truth)
{
    for (int i = 0; i < max_truth && truth[i * 5 + 4] != 0; i++) {
        const real *row = truth + (size_t)i * 5;
        const bool known =
            row[4] > 0 && row[4] < (real)(w->d->objectness ? 1 << 24 : w->d->n_classes);

        if (known) {
            w->target[w->n_targets++] = (struct target){
                .box = {row[0], row[1], row[2], row[3]},
                .label = w->d->objectness ? 1 : (int)row[4],
            };
        }
    }
}

static void decode_anchors(const struct multibox_desc *d, const real *arm_loc, struct box *out)
{
    for (int p = 0; p < d->n_priors; p++) {
        out[p] = box_decode(&d->priors[p], arm_loc + (size_t)p * 4, d->variance);
    }
}

/* Overlaps of all pairs; the first of equals is the best. */
static void find_overlaps(struct work *w)
{
    for (int p = 0; p < w->d->n_priors; p++) {
        w->truth[p] = w->best_truth[p] = -1;
        w->best_iou[p] = 0;
    }
    for (int t = 0; t < w->n_targets; t++) {
        struct target *target = &w->target[t];
        for (int p = 0; p < w->d->n_priors; p++) {
            const real iou = box_iou(&w->anchor[p], &target->box);
            if (iou > w->best_iou[p]) {
                w->best_iou[p] = iou;
                w->best_truth[p] = t;
            }
            if (iou > target->iou) {
                target->iou = iou;
                target->anchor = p;
            }
        }
    }
}

/* Looks for the best anchor of a target that is still free. */
static void find_free(const struct work *w, struct target *target)
{
    target->iou = 0;
    for (int p = 0; p < w->d->n_priors; p++) {
        if (w->truth[p] < 0) {
            const real iou = box_iou(&w->anchor[p], &target->box);
            if (iou > target->iou) {
                target->iou = iou;
                target->anchor = p;
            }
        }
    }
}

/* The waiting target with the largest overlap; of equals the one with the first anchor. */
static int best_waiting(const struct work *w)
{
    int best = -1;

    for (int t = 0; t < w->n_targets; t++) {
        const struct target *a = &w->target[t];
        if (a->taken || !(a->iou > least_iou)) {
            continue;
        }
        const struct target *b = best < 0 ? NULL : &w->target[best];
        if (!b || a->iou > b->iou || (a->iou == b->iou && a->anchor < b->anchor)) {
            best = t;
        }
    }
    return best;
}

static void match_bipartite(struct work *w)
{
    for (int t = best_waiting(w); t >= 0; t = best_waiting(w)) {
        const int taken = w->target[t].anchor;

        w->target[t].taken = true;
        w->truth[taken] = t;
        for (int i = 0; i < w->n_targets; i++) {
            if (!w->target[i].taken && w->target[i].anchor == taken && w->target[i].iou > 0) {
                find_free(w, &w->target[i]);
            }
        }
    }
}

static void match_threshold(struct work *w)
{
    for (int p = 0; p < w->d->n_priors; p++) {
        const real iou = w->best_iou[p];
        if (w->truth[p] < 0 && iou > least_iou && iou >= w->d->match_iou) {
            w->truth[p] = w->best_truth[p];
        }
    }
}

/* -log softmax(x)[label] of n logits. */
static real cross_entropy(const real *x, int n, int label)
{
    real most = x[0], sum = 0;

    for (int i = 1; i < n; i++) {
        most = x[i] > most ? x[i] : most;
    }
    for (int i = 0; i < n; i++) {
        sum += exp(x[i] - most);
    }
    return log(sum) + most - x[label];
}

static real smooth_l1(real d)
{
    const real a = fabs(d);

    return a < 1 ? a * a / 2 : a - (real)0.5;
}

/* Whether an unmatched anchor may be a negative. */
static bool is_candidate(const struct work *w, int p, const real *arm_conf)
{
    if (w->truth[p] >= 0 || w->best_iou[p] >= w->d->neg_iou) {
        return false;
    }
    if (!arm_conf) {
        return true;
    }
    const real *x = arm_conf + (size_t)p * 2;
    return !(1 / (1 + exp(x[0] - x[1])) < w->d->arm_threshold);
}

static bool harder(const struct candidate *a, const struct candidate *b)
{
    return a->loss != b->loss ? a->loss > b->loss : a->anchor < b->anchor;
}

/* Restores the heap under i, whose children are heaps with the hardest at their top. */
static void sift_down(struct candidate *v, int n, int i)
{
    const struct candidate moved = v[i];

    for (int child = 2 * i + 1; child < n; child = 2 * i + 1) {
        if (child + 1 < n && harder(&v[child + 1], &v[child])) {
            child++;
        }
        if (!harder(&v[child], &moved)) {
            break;
        }
        v[i] = v[child];
        i = child;
    }
    v[i] = moved;
}

/* Labels the hardest negatives 0 and adds their losses. A loss that is no number counts as the
 * hardest, so that the sum shows it. */
static double choose_negatives(struct work *w, const real *conf, const real *arm_conf,
                               double wanted, real *match)
{
    const int classes = w->d->n_classes;
    double sum = 0;
    int n = 0;

    for (int p = 0; p < w->d->n_priors; p++) {
        if (is_candidate(w, p, arm_conf)) {
            const real loss = cross_entropy(conf + (size_t)p * (size_t)classes, classes, 0);
            w->cand[n++] = (struct candidate){loss == loss ? loss : (real)INFINITY, p};
        }
    }
    for (int i = n / 2 - 1; i >= 0; i--) {
        sift_down(w->cand, n, i);
    }
    for (; n > 0 && wanted >= 1; wanted--) {
        const int p = w->cand[0].anchor;
        match[(size_t)p * 5] = 0;
        sum += (double)cross_entropy(conf + (size_t)p * (size_t)classes, classes, 0);
        w->cand[0] = w->cand[--n];
        sift_down(w->cand, n, 0);
    }
    return sum;
}

/* Writes the rows of match but for the negatives, and sums the losses of the positives. */
static void write_positives(const struct work *w, const real *loc, const real *conf, real *match,
                            double loss[3])
{
    const int classes = w->d->n_classes;

    for (int p = 0; p < w->d->n_priors; p++) {
        real *row = match + (size_t)p * 5;
        for (int k = 0; k < 5; k++) {
            row[k] = k == 0 ? -1 : 0;
        }
        if (w->truth[p] < 0) {
            continue;
        }
        const struct target *t = &w->target[w->truth[p]];
        row[0] = (real)t->label;
        box_encode(&w->anchor[p], &t->box, w->d->variance, row + 1);
        for (int k = 0; k < 4; k++) {
            loss[0] += (double)smooth_l1(loc[(size_t)p * 4 + (size_t)k] - row[k + 1]);
        }
        loss[1] += (double)cross_entropy(conf + (size_t)p * (size_t)classes, classes, t->label);
        loss[2] += 1;
    }
}

void multibox_match(const struct multibox_desc *d, const struct multibox_input *in, real *match,
                    double loss[3], void *scratch)
{
    const size_t priors = (size_t)d->n_priors;
    char *at = scratch;
    struct box *decoded = carve(&at, priors * sizeof *decoded);
    struct work w = {.d = d, .anchor = d->priors};

    w.truth = carve(&at, priors * sizeof *w.truth);
    w.best_truth = carve(&at, priors * sizeof *w.best_truth);
    w.best_iou = carve(&at, priors * sizeof *w.best_iou);
    w.cand = carve(&at, priors * sizeof *w.cand);
    w.target = carve(&at, (size_t)in->max_truth * sizeof *w.target);
    loss[0] = loss[1] = loss[2] = 0;

    read_truth(&w, in->truth, in->max_truth);
    if (in->arm_loc && w.n_targets > 0) {
        decode_anchors(d, in->arm_loc, decoded);
        w.anchor = decoded;
    }
    find_overlaps(&w);
    match_bipartite(&w);
    match_threshold(&w);
    write_positives(&w, in->loc, in->conf, match, loss);
    if (loss[2] > 0) {
        const double wanted = floor(loss[2] * (double)d->neg_ratio);
        loss[1] += choose_negatives(&w, in->conf, in->arm_conf, wanted, match);
    }
}

/* dx = beta*dx + scale * (softmax(x) - onehot(label)) */
static void grad_conf(const real *x, int n, int label, real scale, real beta, real *dx)
{
    real most = x[0], sum = 0;

    for (int i = 1; i < n; i++) {
        most = x[i] > most ? x[i] : most;
    }
    for (int i = 0; i < n; i++) {
        sum += exp(x[i] - most);
    }
    for (int i = 0; i < n; i++) {
        const real g = scale * (exp(x[i] - most) / sum - (i == label ? 1 : 0));
        dx[i] = beta != 0 ? beta * dx[i] + g : g;
    }
}

static void grad_loc(const real *x, const real *target, real scale, real beta, real *dx)
{
    for (int k = 0; k < 4; k++) {
        const real d = x[k] - target[k];
        const real g = scale * (d > 1 ? 1 : d < -1 ? -1 : d);
        dx[k] = beta != 0 ? beta * dx[k] + g : g;
    }
}

static void grad_nothing(int n, real beta, real *dx)
{
    for (int i = 0; i < n; i++) {
        dx[i] = beta != 0 ? beta * dx[i] : 0;
    }
}

void multibox_grad(const struct multibox_desc *d, const struct multibox_input *in,
                   const real *match, real gain, real positives, const struct multibox_output *out)
{
    const real scale = gain / (positives > 1 ? positives : 1);
    const size_t classes = (size_t)d->n_classes;

    for (size_t p = 0; p < (size_t)d->n_priors; p++) {
        const real *row = match + p * 5;
        if (out->dloc && row[0] > 0) {
            grad_loc(in->loc + p * 4, row + 1, scale, out->beta_loc, out->dloc + p * 4);
        } else if (out->dloc) {
            grad_nothing(4, out->beta_loc, out->dloc + p * 4);
        }
        if (out->dconf && row[0] >= 0) {
            grad_conf(in->conf + p * classes, d->n_classes, (int)row[0], scale, out->beta_conf,
                      out->dconf + p * classes);
        } else if (out->dconf) {
            grad_nothing(d->n_classes, out->beta_conf, out->dconf + p * classes);
        }
    }
}
