/*
 * multibox.cu - the MultiBox loss (src/det/multibox.c has the steps and their papers) without the
 * host: nothing is read back, the numbers of positives and negatives stay on the device.
 *
 *   match      a block for each image: best truth of each anchor, best anchor of each truth,
 *              bipartite matching, threshold, the rows of `match`
 *   losses     a thread for each prior: losses of positives, of candidates for negatives
 *   negatives  a block for each image: the hardest candidates, of equal losses the first priors
 *   finish     one block: sums over the images
 *
 * Boxes are moved and compared as the host does it (box.cuh), so that both choose alike.
 */
#include "box.cuh"
#include "select.cuh"

extern "C" {
#include "det/multibox.h"
}

#include <math_constants.h>

enum { NO_TRUTH = -1 };

/* A truth and the best anchor that is free for it. */
struct target {
    float x0, y0, x1, y1;
    int label; /* 0: none */
    int anchor;
    float iou; /* with it; 0: there is none */
    int taken;
};

/* Scratch of all images. */
struct work {
    int *truth;      /* [n, P] the target that an anchor is for */
    float *best_iou; /* [n, P] */
    float *negative; /* [n, P] loss as a negative, -1: may not be one */
    table anchor;    /* [n, P, 4] where a stage before moved the priors */
    target *targets; /* [n, T] */
    float *part;     /* [n, blocks of losses, 2] of positives: localisation, classification */
    int *positives;  /* [n] */
    float *sums;     /* [n, 3] */
};

struct multibox {
    int images, priors, classes, truths, loss_blocks;
    bool objectness, refined;
    float match_iou, neg_iou, neg_ratio, arm_threshold, variance[4];
    table prior, loc, conf, arm_loc, arm_conf, truth, match;
    work w;
};

__device__ static rect anchor_at(const multibox &m, int image, int p)
{
    return m.refined ? load_rect(m.w.anchor, image, p) : load_rect(m.prior, 0, p);
}

__device__ static rect rect_of(const target &t)
{
    return {t.x0, t.y0, t.x1, t.y1};
}

/* The anchors of the block's image where a stage before moved them. */
__device__ static void move_anchors(const multibox &m, int image)
{
    for (int p = threadIdx.x; p < m.priors; p += blockDim.x) {
        float t[4];
        for (int k = 0; k < 4; k++) {
            t[k] = m.arm_loc.at(image, p, k);
        }
        const rect b = decode(load_rect(m.prior, 0, p), t, m.variance);
        m.w.anchor.at(image, p, 0) = b.x0;
        m.w.anchor.at(image, p, 1) = b.y0;
        m.w.anchor.at(image, p, 2) = b.x1;
        m.w.anchor.at(image, p, 3) = b.y1;
    }
}

/* The rows before the first of class 0, those that are no target with label 0. */
__device__ static void read_truth(const multibox &m, int image, target *targets, int *end)
{
    const float classes = m.objectness ? 16777216.0f : (float)m.classes;

    if (threadIdx.x == 0) {
        *end = m.truths;
    }
    __syncthreads();
    for (int t = threadIdx.x; t < m.truths; t += blockDim.x) {
        if (m.truth.at(image, t, 4) == 0) {
            atomicMin(end, t);
        }
    }
    __syncthreads();
    for (int t = threadIdx.x; t < m.truths; t += blockDim.x) {
        float row[5];
        for (int k = 0; k < 5; k++) {
            row[k] = m.truth.at(image, t, k);
        }
        const bool known = t < *end && row[4] > 0 && row[4] < classes;
        const int label = known ? (m.objectness ? 1 : (int)row[4]) : 0;
        targets[t] = {row[0], row[1], row[2], row[3], label, NO_TRUTH, 0, 0};
    }
    __syncthreads();
}

/* Of each anchor: the best truth, the first of equals. */
__device__ static void best_truths(const multibox &m, int image, const target *targets, int end)
{
    for (int p = threadIdx.x; p < m.priors; p += blockDim.x) {
        const rect a = anchor_at(m, image, p);
        float most = 0;
        int best = NO_TRUTH;
        for (int t = 0; t < end; t++) {
            if (targets[t].label != 0) {
                const float iou = overlap(a, rect_of(targets[t]));
                best = iou > most ? t : best;
                most = iou > most ? iou : most;
            }
        }
        m.w.best_iou[(size_t)image * m.priors + p] = most;
        /* Until the bipartite matching is done, -2 - t stands for "t is the best but not taken". */
        m.w.truth[(size_t)image * m.priors + p] = -2 - best;
    }
}

__device__ static bool is_free(const multibox &m, int image, int p)
{
    return m.w.truth[(size_t)image * m.priors + p] < 0;
}

/* By a warp: the best free anchor of a target, the first of equals. */
__device__ static void find_anchor(const multibox &m, int image, target *t)
{
    const int lane = threadIdx.x % WARP;
    float most = 0;
    int best = m.priors;

    for (int p = lane; p < m.priors; p += WARP) {
        const float iou = is_free(m, image, p) ? overlap(anchor_at(m, image, p), rect_of(*t)) : 0;
        best = iou > most ? p : best;
        most = iou > most ? iou : most;
    }
    for (int d = WARP / 2; d > 0; d /= 2) {
        const float other = __shfl_xor_sync(0xffffffffu, most, d);
        const int other_best = __shfl_xor_sync(0xffffffffu, best, d);
        if (other > most || (other == most && other_best < best)) {
            most = other;
            best = other_best;
        }
    }
    __syncwarp();
    if (lane == 0) {
        t->iou = most;
        t->anchor = best;
    }
}

/* By the first warp: the waiting target with the largest overlap; of equals the one with the first
 * anchor, then the first. -1: none. */
__device__ static int best_waiting(const target *targets, int end)
{
    const float least = 1e-6f;
    float most = least;
    int best = -1, anchor = 0;

    for (int t = threadIdx.x; t < end; t += WARP) {
        const target &a = targets[t];
        if (a.label != 0 && !a.taken && a.iou > least &&
            (best < 0 || a.iou > most || (a.iou == most && a.anchor < anchor))) {
            best = t;
            most = a.iou;
            anchor = a.anchor;
        }
    }
    for (int d = WARP / 2; d > 0; d /= 2) {
        const float other_most = __shfl_xor_sync(0xffffffffu, most, d);
        const int other = __shfl_xor_sync(0xffffffffu, best, d);
        const int other_anchor = __shfl_xor_sync(0xffffffffu, anchor, d);
        const bool better = other_most > most ||
                            (other_most == most &&
                             (other_anchor < anchor || (other_anchor == anchor && other < best)));
        if (other >= 0 && (best < 0 || better)) {
            best = other;
            most = other_most;
            anchor = other_anchor;
        }
    }
    return best;
}

/* The best pair first; a target whose anchor was taken looks for another one. */
__device__ static void match_bipartite(const multibox &m, int image, target *targets, int end)
{
    __shared__ int chosen;
    const int warp = threadIdx.x / WARP;

    for (int t = warp; t < end; t += blockDim.x / WARP) {
        if (targets[t].label != 0) {
            find_anchor(m, image, &targets[t]);
        }
    }
    for (;;) {
        __syncthreads();
        if (warp == 0) {
            const int best = best_waiting(targets, end);
            if (threadIdx.x == 0) {
                chosen = best;
            }
        }
        __syncthreads();
        if (chosen < 0) {
            return;
        }
        const int taken = targets[chosen].anchor;
        if (threadIdx.x == 0) {
            targets[chosen].taken = 1;
            m.w.truth[(size_t)image * m.priors + taken] = chosen;
        }
        __syncthreads();
        for (int t = warp; t < end; t += blockDim.x / WARP) {
            const target &a = targets[t];
            if (a.label != 0 && !a.taken && a.anchor == taken && a.iou > 0) {
                find_anchor(m, image, &targets[t]);
            }
        }
    }
}

/* Anchors that overlap their best truth enough, and the rows of match. Returns the positives of
 * the thread. */
__device__ static int write_matches(const multibox &m, int image, const target *targets)
{
    const float least = 1e-6f;
    int positives = 0;

    for (int p = threadIdx.x; p < m.priors; p += blockDim.x) {
        const size_t at = (size_t)image * m.priors + p;
        const float iou = m.w.best_iou[at];
        int truth = m.w.truth[at];
        if (truth < 0) {
            truth = iou > least && iou >= m.match_iou ? -2 - truth : NO_TRUTH;
        }
        float row[5] = {-1, 0, 0, 0, 0};
        if (truth >= 0) {
            row[0] = (float)targets[truth].label;
            encode(anchor_at(m, image, p), rect_of(targets[truth]), m.variance, row + 1);
            positives++;
        }
        for (int k = 0; k < 5; k++) {
            m.match.at(image, p, k) = row[k];
        }
    }
    return positives;
}

__global__ void match_kernel(multibox m)
{
    __shared__ int end;
    __shared__ float shared[WARP];
    const int image = blockIdx.x;
    target *targets = m.w.targets + (size_t)image * m.truths;

    if (m.refined) {
        move_anchors(m, image);
    }
    read_truth(m, image, targets, &end);
    best_truths(m, image, targets, end);
    __syncthreads();
    match_bipartite(m, image, targets, end);
    __syncthreads();
    const float positives = block_sum((float)write_matches(m, image, targets), shared);
    if (threadIdx.x == 0) {
        m.w.positives[image] = (int)positives;
    }
}

/* Of the logits of one prior: log of the sum of all exp. */
__device__ static float log_sum(const table &conf, int image, int classes, int p)
{
    float most = conf.at(image, p, 0), sum = 0;

    for (int c = 1; c < classes; c++) {
        const float v = conf.at(image, p, c);
        most = v > most ? v : most;
    }
    for (int c = 0; c < classes; c++) {
        sum += expf(conf.at(image, p, c) - most);
    }
    return logf(sum) + most;
}

/* Whether an unmatched anchor may be a negative. */
__device__ static bool is_candidate(const multibox &m, int image, int p)
{
    if (m.w.best_iou[(size_t)image * m.priors + p] >= m.neg_iou) {
        return false;
    }
    if (m.arm_conf.p == NULL) {
        return true;
    }
    const float a = m.arm_conf.at(image, p, 0);
    const float b = m.arm_conf.at(image, p, 1);
    return !(1 / (1 + expf(a - b)) < m.arm_threshold);
}

/* Grid: blocks of priors, images. */
__global__ void losses_kernel(multibox m)
{
    __shared__ float shared[WARP];
    const int p = blockIdx.x * THREADS + threadIdx.x, image = blockIdx.y;
    float loc = 0, conf = 0;

    if (p < m.priors) {
        const int label = (int)m.match.at(image, p, 0);
        const float sum = log_sum(m.conf, image, m.classes, p);
        float negative = -1;
        if (label > 0) {
            for (int k = 0; k < 4; k++) {
                loc += smooth_l1(m.loc.at(image, p, k) - m.match.at(image, p, k + 1), 1);
            }
            conf = sum - m.conf.at(image, p, label);
        } else if (is_candidate(m, image, p)) {
            negative = fmaxf(sum - m.conf.at(image, p, 0), 0);
            negative = sum == sum ? negative : CUDART_INF_F;
        }
        m.w.negative[(size_t)image * m.priors + p] = negative;
    }
    loc = block_sum(loc, shared);
    conf = block_sum(conf, shared);
    if (threadIdx.x == 0) {
        float *part = m.w.part + ((size_t)image * m.loss_blocks + blockIdx.x) * 2;
        part[0] = loc;
        part[1] = conf;
    }
}

/* Losses are no less than 0. */
struct negative_keys {
    const float *loss;

    __device__ select_key at(int p) const
    {
        return loss[p] < 0 ? 0 : key_of(loss[p], p);
    }
};

/* Labels the hardest candidates 0; returns the thread's part of their losses. */
__device__ static float choose_negatives(const multibox &m, int image, int wanted)
{
    const negative_keys keys = {m.w.negative + (size_t)image * m.priors};
    const select_key last = last_wanted(keys, m.priors, wanted);
    float sum = 0;

    for (int p = threadIdx.x; p < m.priors; p += blockDim.x) {
        const select_key key = keys.at(p);
        if (key != 0 && key >= last) {
            m.match.at(image, p, 0) = 0;
            sum += keys.loss[p];
        }
    }
    return sum;
}

__global__ void negatives_kernel(multibox m)
{
    __shared__ float shared[WARP];
    const int image = blockIdx.x, positives = m.w.positives[image];
    const float wanted = floorf(positives * m.neg_ratio);
    float loc = 0, conf = 0;

    for (int b = threadIdx.x; b < m.loss_blocks; b += blockDim.x) {
        const float *part = m.w.part + ((size_t)image * m.loss_blocks + b) * 2;
        loc += part[0];
        conf += part[1];
    }
    if (wanted >= 1) {
        conf += choose_negatives(m, image, wanted < m.priors ? (int)wanted : m.priors);
    }
    loc = block_sum(loc, shared);
    conf = block_sum(conf, shared);
    if (threadIdx.x == 0) {
        m.w.sums[3 * image] = loc;
        m.w.sums[3 * image + 1] = conf;
        m.w.sums[3 * image + 2] = (float)positives;
    }
}

__global__ void finish_multibox_kernel(const float *sums, int images, float *loss)
{
    __shared__ float shared[WARP];
    float total[3] = {0, 0, 0};

    for (int i = threadIdx.x; i < images; i += THREADS) {
        for (int k = 0; k < 3; k++) {
            total[k] += sums[3 * i + k];
        }
    }
    for (int k = 0; k < 3; k++) {
        total[k] = block_sum(total[k], shared);
    }
    if (threadIdx.x == 0) {
        const float positives = fmaxf(1, total[2]);
        loss[0] = total[0] / positives;
        loss[1] = total[1] / positives;
        loss[2] = total[2];
    }
}

/* Lays the scratch out from `base` on; *bytes gets how much it is. */
static work lay_out(const multibox &m, char *base, size_t *bytes)
{
    const size_t rows = (size_t)m.images * m.priors, images = m.images;
    char *at = base;
    work w;

    w.truth = carve<int>(&at, rows);
    w.best_iou = carve<float>(&at, rows);
    w.negative = carve<float>(&at, rows);
    w.anchor = {carve<float>(&at, rows * 4), 4, m.priors};
    w.targets = carve<target>(&at, images * m.truths);
    w.part = carve<float>(&at, images * m.loss_blocks * 2);
    w.positives = carve<int>(&at, images);
    w.sums = carve<float>(&at, images * 3);
    *bytes = at - base;
    return w;
}

static multibox multibox_of(const struct multibox_desc *d, int images, int truths)
{
    multibox m = {};

    m.images = images;
    m.priors = d->n_priors;
    m.classes = d->n_classes;
    m.truths = truths;
    m.loss_blocks = div_up(d->n_priors, THREADS);
    m.objectness = d->objectness;
    m.match_iou = d->match_iou;
    m.neg_iou = d->neg_iou;
    m.neg_ratio = d->neg_ratio;
    m.arm_threshold = d->arm_threshold;
    for (int k = 0; k < 4; k++) {
        m.variance[k] = d->variance[k];
    }
    return m;
}

static size_t cuda_multibox_scratch(struct backend *be, const struct multibox_desc *d,
                                    struct view conf, struct view truth)
{
    const multibox m = multibox_of(d, conf.n, truth.c);
    size_t bytes;

    (void)be;
    lay_out(m, NULL, &bytes);
    return bytes;
}

static void cuda_multibox_fwd(struct backend *be, const struct multibox_desc *d, struct view priors,
                              struct view loc, struct view conf, struct view arm_loc,
                              struct view arm_conf, struct view truth, struct view match,
                              real *loss, void *scratch)
{
    struct cuda *cu = cuda_of(be);
    multibox m = multibox_of(d, loc.n, truth.c);
    size_t bytes;

    m.refined = arm_loc.p != NULL;
    m.prior = table_of(priors);
    m.loc = table_of(loc);
    m.conf = table_of(conf);
    m.arm_loc = table_of(arm_loc);
    m.arm_conf = table_of(arm_conf);
    m.truth = table_of(truth);
    m.match = table_of(match);
    m.w = lay_out(m, (char *)scratch, &bytes);
    LAUNCH(cu, m.images, 2 * THREADS, match_kernel, m);
    LAUNCH(cu, dim3(m.loss_blocks, m.images), THREADS, losses_kernel, m);
    LAUNCH(cu, m.images, 2 * THREADS, negatives_kernel, m);
    LAUNCH(cu, 1, THREADS, finish_multibox_kernel, m.w.sums, m.images, loss);
}

/* What the gradients of a prior read and write. dloc.p, dconf.p may be NULL. */
struct multibox_gradient {
    int priors, classes;
    table loc, conf, match, dloc, dconf;
    const float *loss;
    float gain, beta_loc, beta_conf;
};

__device__ static void gradient_of_loc(const multibox_gradient &m, int image, int p, bool positive,
                                       float scale)
{
    for (int k = 0; k < 4; k++) {
        const float d = positive ? m.loc.at(image, p, k) - m.match.at(image, p, k + 1) : 0;
        put(&m.dloc.at(image, p, k), m.beta_loc, scale * (d > 1 ? 1 : d < -1 ? -1 : d));
    }
}

__device__ static void gradient_of_conf(const multibox_gradient &m, int image, int p, int label,
                                        float scale)
{
    const float sum = label >= 0 ? log_sum(m.conf, image, m.classes, p) : 0;

    for (int c = 0; c < m.classes; c++) {
        const float probability = label >= 0 ? expf(m.conf.at(image, p, c) - sum) : 0;
        put(&m.dconf.at(image, p, c), m.beta_conf,
            label >= 0 ? scale * (probability - (c == label)) : 0);
    }
}

__global__ void multibox_gradient_kernel(multibox_gradient m)
{
    const int p = blockIdx.x * THREADS + threadIdx.x, image = blockIdx.y;
    const float scale = m.gain / fmaxf(1, m.loss[2]);

    if (p < m.priors) {
        const int label = (int)m.match.at(image, p, 0);
        if (m.dloc.p != NULL) {
            gradient_of_loc(m, image, p, label > 0, scale);
        }
        if (m.dconf.p != NULL) {
            gradient_of_conf(m, image, p, label, scale);
        }
    }
}

static void cuda_multibox_bwd(struct backend *be, const struct multibox_desc *d, struct view loc,
                              struct view conf, struct view match, const real *loss, real gain,
                              real beta_loc, struct view dloc, real beta_conf, struct view dconf)
{
    struct cuda *cu = cuda_of(be);
    const multibox_gradient m = {
        d->n_priors,    d->n_classes,    table_of(loc), table_of(conf), table_of(match),
        table_of(dloc), table_of(dconf), loss,          gain,           beta_loc,
        beta_conf};

    LAUNCH(cu, dim3(div_up(d->n_priors, THREADS), loc.n), THREADS, multibox_gradient_kernel, m);
}

void cuda_multibox_entries(struct backend_ops *ops)
{
    ops->multibox_scratch = cuda_multibox_scratch;
    ops->multibox_fwd = cuda_multibox_fwd;
    ops->multibox_bwd = cuda_multibox_bwd;
}
