/*
 * rpn.cu - the region proposal network's loss (det/rpn.c has the rules): which anchors are trained
 * on, towards what, and what they lose.
 *
 *   truth      a block for each picture: its true boxes in pixels
 *   overlap    a thread for each anchor: its best truth, and of each truth the largest overlap
 *   label      objects, background, neither
 *   draw       a block for each picture: those with the largest of random numbers that depend on
 *              the pass's key and the anchor alone
 *   loss       targets and losses, summed by blocks; one block adds them up
 *
 * The largest overlaps are found with atomicMax of their bits, which any order leaves the same.
 */
#include "choose.cuh"
#include "losses.cuh"
#include "picture_box.cuh"
#include "random.cuh"

extern "C" {
#include "det/roi.h"
}

struct target {
    rect box;
    int is_object; /* else: nothing to find */
    unsigned best; /* bits of its largest overlap with any anchor */
};

struct work {
    target *targets; /* [n, T] */
    int *truth;      /* [n, P] the truth that an anchor overlaps most, -1: none */
    float *iou;      /* [n, P] */
    float4 *partial; /* [n, blocks] */
};

struct matching {
    int images, n, truths, blocks, width, height, sample, objects; /* of these at most */
    bool inside;
    float fg_iou, bg_iou, beta;
    uint64_t node;
    const uint64_t *key; /* of the pass */
    table anchors, logits, deltas, truth, match;
    list extent;
    work w;
};

/* Grid: pictures. */
__global__ void rpn_truth_kernel(const __grid_constant__ matching m)
{
    const int image = blockIdx.x;
    const int end = rows_before_end([&](int t) { return m.truth.at(image, t, 4) == 0; }, m.truths);

    for (int t = threadIdx.x; t < m.truths; t += blockDim.x) {
        const rect b = true_box(m.truth, image, t, m.width, m.height);
        const bool object = t < end && m.truth.at(image, t, 4) > 0 && b.x1 > b.x0 && b.y1 > b.y0;
        m.w.targets[(size_t)image * m.truths + t] = {b, object, 0};
    }
}

/* Grid: parts of the anchors, pictures. */
__global__ void rpn_overlap_kernel(const __grid_constant__ matching m)
{
    const int p = blockIdx.x * THREADS + threadIdx.x, image = blockIdx.y;
    target *targets = m.w.targets + (size_t)image * m.truths;
    const rect none = {0, 0, 0, 0}, anchor = p < m.n ? load_rect(m.anchors, 0, p) : none;
    float most = 0;
    int best = -1;

    for (int t = 0; t < m.truths; t++) {
        const float iou = targets[t].is_object ? overlap(anchor, targets[t].box) : 0;
        if (__any_sync(0xffffffffu, iou > 0)) {
            const float largest = warp_max(iou);
            if (threadIdx.x % WARP == 0) {
                atomicMax(&targets[t].best, __float_as_uint(largest));
            }
        }
        best = iou > most ? t : best;
        most = iou > most ? iou : most;
    }
    if (p < m.n) {
        m.w.truth[(size_t)image * m.n + p] = best;
        m.w.iou[(size_t)image * m.n + p] = most;
    }
}

/* Whether an anchor's overlap with some truth is the largest that one has. */
__device__ static bool is_best_of_some(const matching &m, int image, const rect &anchor, float iou)
{
    const target *targets = m.w.targets + (size_t)image * m.truths;

    for (int t = 0; t < m.truths; t++) {
        const float best = __uint_as_float(targets[t].best);
        if (best > 0 && iou >= best && overlap(anchor, targets[t].box) == best) {
            return true;
        }
    }
    return false;
}

__device__ static bool is_inside(const rect &b, const rect &extent)
{
    return b.x0 >= extent.x0 && b.y0 >= extent.y0 && b.x1 <= extent.x1 && b.y1 <= extent.y1;
}

/* Grid: parts of the anchors, pictures. */
__global__ void rpn_label_kernel(const __grid_constant__ matching m)
{
    const int p = blockIdx.x * THREADS + threadIdx.x, image = blockIdx.y;

    if (p < m.n) {
        const rect anchor = load_rect(m.anchors, 0, p);
        const float iou = m.w.iou[(size_t)image * m.n + p];
        float label = iou >= m.fg_iou ? 1 : iou < m.bg_iou ? 0 : -1;
        if (is_best_of_some(m, image, anchor, iou)) {
            label = 1;
        }
        if (m.inside && !is_inside(anchor, extent_of(m.extent, image, m.width, m.height))) {
            label = -1;
        }
        m.match.at(image, p, 0) = label;
    }
}

/* Draws from the anchors with this label; the others of it are not counted. Returns how many. */
__device__ static int draw(const matching &m, int image, float label, int most)
{
    const uint64_t random = random_at(random_key(*m.key, m.node), (uint64_t)image + 1);
    const auto key = [&](int p) -> uint64_t {
        return m.match.at(image, p, 0) == label ? random_at(random, (uint64_t)p + 1) : 0;
    };
    const cut<uint64_t> drawn = find_cut<uint64_t>(key, m.n, most);

    return visit_cut(key, m.n, drawn, [&](int p, uint64_t k, int place) {
        if (k != 0 && place < 0) {
            m.match.at(image, p, 0) = -1;
        }
    });
}

/* Grid: pictures. */
__global__ void rpn_draw_kernel(const __grid_constant__ matching m)
{
    const int objects = draw(m, blockIdx.x, 1, m.objects);

    __syncthreads();
    draw(m, blockIdx.x, 0, m.sample - objects);
}

/* log(1 + exp(x)) without overflow. */
__device__ static float soft_plus(float x)
{
    return fmaxf(x, 0) + log1pf(expf(-fabsf(x)));
}

/* Grid: parts of the anchors, pictures. */
__global__ void rpn_loss_kernel(const __grid_constant__ matching m)
{
    const float one[4] = {1, 1, 1, 1};
    const int p = blockIdx.x * THREADS + threadIdx.x, image = blockIdx.y;
    float4 own = make_float4(0, 0, 0, 0);

    if (p < m.n) {
        const float label = m.match.at(image, p, 0), x = m.logits.at(image, p, 0);
        float t[4] = {0, 0, 0, 0};
        if (label >= 0) {
            own.x = soft_plus(x) - label * x;
            own.w = 1;
        }
        if (label > 0) {
            const int truth = m.w.truth[(size_t)image * m.n + p];
            encode(load_rect(m.anchors, 0, p), m.w.targets[(size_t)image * m.truths + truth].box,
                   one, t);
            for (int k = 0; k < 4; k++) {
                own.y += smooth_l1(m.deltas.at(image, p, k) - t[k], m.beta);
            }
            own.z = 1;
        }
        for (int k = 0; k < 4; k++) {
            m.match.at(image, p, k + 1) = t[k];
        }
    }
    sum_losses(own, &m.w.partial[(size_t)image * m.blocks + blockIdx.x]);
}

/* Lays the scratch out from `base` on; *bytes gets how much it is. */
static work lay_out(int images, int anchors, int truths, char *base, size_t *bytes)
{
    const size_t rows = (size_t)images * anchors;
    char *at = base;
    work w;

    w.targets = carve<target>(&at, (size_t)images * truths);
    w.truth = carve<int>(&at, rows);
    w.iou = carve<float>(&at, rows);
    w.partial = carve<float4>(&at, (size_t)images * div_up(anchors, THREADS));
    *bytes = at - base;
    return w;
}

static size_t cuda_rpn_scratch(struct backend *be, const struct rpn_desc *d, struct view truth)
{
    size_t bytes;

    (void)be;
    lay_out(truth.n, anchors_count(&d->anchors), truth.c, NULL, &bytes);
    return bytes;
}

static void cuda_rpn_fwd(struct backend *be, const struct rpn_desc *d, uint64_t node,
                         struct view anchors, struct view logits, struct view deltas,
                         struct view truth, struct view extent, struct view match, real *loss,
                         void *scratch)
{
    struct cuda *cu = cuda_of(be);
    matching m = {};
    size_t bytes;

    m.images = logits.n;
    m.n = anchors_count(&d->anchors);
    m.truths = truth.c;
    m.blocks = div_up(m.n, THREADS);
    m.width = d->anchors.width;
    m.height = d->anchors.height;
    m.sample = d->sample;
    m.objects = (int)floorf((float)d->sample * d->fg_part);
    m.inside = d->inside;
    m.fg_iou = d->fg_iou;
    m.bg_iou = d->bg_iou;
    m.beta = d->beta;
    m.node = node;
    m.key = cu->key;
    m.anchors = table_of(anchors);
    m.logits = table_of(logits);
    m.deltas = table_of(deltas);
    m.truth = table_of(truth);
    m.match = table_of(match);
    m.extent = list_of(extent);
    m.w = lay_out(m.images, m.n, m.truths, (char *)scratch, &bytes);
    const dim3 grid(m.blocks, m.images);
    LAUNCH(cu, m.images, THREADS, rpn_truth_kernel, m);
    LAUNCH(cu, grid, THREADS, rpn_overlap_kernel, m);
    LAUNCH(cu, grid, THREADS, rpn_label_kernel, m);
    LAUNCH(cu, m.images, CHOOSE_THREADS, rpn_draw_kernel, m);
    LAUNCH(cu, grid, THREADS, rpn_loss_kernel, m);
    LAUNCH(cu, 1, THREADS, finish_losses_kernel, m.w.partial, m.images * m.blocks, loss);
}

/* dlogits.p, ddeltas.p may be NULL. */
struct rpn_gradient {
    int n;
    float beta, gain, beta_logits, beta_deltas;
    const float *loss;
    table logits, deltas, match, dlogits, ddeltas;
};

/* Grid: parts of the anchors, pictures. */
__global__ void rpn_gradient_kernel(const __grid_constant__ rpn_gradient g)
{
    const int p = blockIdx.x * THREADS + threadIdx.x, image = blockIdx.y;
    const float scale = g.gain / fmaxf(1, g.loss[3]);

    if (p >= g.n) {
        return;
    }
    const float label = g.match.at(image, p, 0);
    if (g.dlogits.p != NULL) {
        const float probability = 1 / (1 + expf(-g.logits.at(image, p, 0)));
        put(&g.dlogits.at(image, p, 0), g.beta_logits,
            label < 0 ? 0 : scale * (probability - label));
    }
    for (int k = 0; g.ddeltas.p != NULL && k < 4; k++) {
        const float d = g.deltas.at(image, p, k) - g.match.at(image, p, k + 1);
        put(&g.ddeltas.at(image, p, k), g.beta_deltas,
            label > 0 ? scale * smooth_l1_slope(d, g.beta) : 0);
    }
}

static void cuda_rpn_bwd(struct backend *be, const struct rpn_desc *d, struct view logits,
                         struct view deltas, struct view match, const real *loss, real gain,
                         real beta_logits, struct view dlogits, real beta_deltas,
                         struct view ddeltas)
{
    struct cuda *cu = cuda_of(be);
    const int n = anchors_count(&d->anchors);
    const rpn_gradient g = {n,
                            d->beta,
                            gain,
                            beta_logits,
                            beta_deltas,
                            loss,
                            table_of(logits),
                            table_of(deltas),
                            table_of(match),
                            table_of(dlogits),
                            table_of(ddeltas)};

    LAUNCH(cu, dim3(div_up(n, THREADS), logits.n), THREADS, rpn_gradient_kernel, g);
}

void cuda_rpn_entries(struct backend_ops *ops)
{
    ops->rpn_scratch = cuda_rpn_scratch;
    ops->rpn_fwd = cuda_rpn_fwd;
    ops->rpn_bwd = cuda_rpn_bwd;
}
