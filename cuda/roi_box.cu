/*
 * roi_box.cu - what the box head says of regions: its losses (det/roi_sample.c), and what regions
 * become after training (det/roi_detect.c).
 *
 *   scores   a warp for each region: probabilities over min_score
 *   found    a block for each picture: these, in the order of regions and classes
 *   move     puts them in the order of their scores, and moves their boxes
 *   thin     a block for each picture: those that stand
 */
#include "choose.cuh"
#include "losses.cuh"
#include "picture_box.cuh"
#include "rowwise.cuh"
#include "thin.cuh"

extern "C" {
#include "det/roi.h"
}

struct region_losses {
    mat<float> logits, deltas;
    list match;
};

/* partial[block]: of the regions that the block's warps took. */
__global__ void region_losses_kernel(const __grid_constant__ region_losses l, float4 *partial)
{
    const int lane = threadIdx.x % WARP;
    float4 own = make_float4(0, 0, 0, 0);

    for (int r = blockIdx.x * WARPS + threadIdx.x / WARP; r < l.logits.rows;
         r += gridDim.x * WARPS) {
        const float *match = l.match.row(r);
        const int label = (int)match[0];
        if (label < 0) {
            continue;
        }
        const softmax_norm s = softmax_norm_of(l.logits, r, lane);
        if (lane == 0) {
            own.x += logf(s.sum) + s.most - load<1>(l.logits, r, label).v[0];
            own.z += label > 0;
            own.w++;
        }
        if (label > 0 && lane < 4) {
            own.y += smooth_l1(load<1>(l.deltas, r, label * 4 + lane).v[0] - match[2 + lane], 1);
        }
    }
    sum_losses(own, &partial[blockIdx.x]);
}

static void cuda_roi_loss_fwd(struct backend *be, struct view logits, struct view deltas,
                              struct view match, real *loss)
{
    struct cuda *cu = cuda_of(be);
    const region_losses l = {mat_of<float>(logits), mat_of<float>(deltas), list_of(match)};
    const int blocks = smaller(div_up(logits.n, WARPS), 4096);
    float4 *partial = reinterpret_cast<float4 *>(cu->work);

    if (mat_fits(cu, logits)) {
        LAUNCH(cu, blocks, THREADS, region_losses_kernel, l, partial);
        LAUNCH(cu, 1, THREADS, finish_losses_kernel, partial, blocks, loss);
    }
}

/* dlogits.p, ddeltas.p may be NULL. */
struct region_gradients {
    mat<float> logits, deltas, dlogits, ddeltas;
    list match;
    const float *loss;
    float gain, beta_logits, beta_deltas;

    __device__ void row(int r, int lane) const
    {
        const float *target = match.row(r), scale = gain / fmaxf(1, loss[3]);
        const int label = (int)target[0];
        if (dlogits.p != NULL) {
            const softmax_norm s = softmax_norm_of(logits, r, lane);
            for (int c = lane; c < logits.c; c += WARP) {
                pack<1> v = load<1>(logits, r, c);
                const float p = expf(v.v[0] - s.most) / s.sum;
                v.v[0] = label < 0 ? 0 : scale * (p - (c == label));
                store_scaled<1>(dlogits, r, c, beta_logits, v);
            }
        }
        for (int k = lane; ddeltas.p != NULL && k < deltas.c; k += WARP) {
            pack<1> v = load<1>(deltas, r, k);
            const bool own = label > 0 && k / 4 == label;
            v.v[0] = own ? scale * smooth_l1_slope(v.v[0] - target[2 + k % 4], 1) : 0;
            store_scaled<1>(ddeltas, r, k, beta_deltas, v);
        }
    }
};

static void cuda_roi_loss_bwd(struct backend *be, struct view logits, struct view deltas,
                              struct view match, const real *loss, real gain, real beta_logits,
                              struct view dlogits, real beta_deltas, struct view ddeltas)
{
    struct cuda *cu = cuda_of(be);

    if (mat_fits(cu, logits)) {
        each_row(cu, logits.n,
                 region_gradients{mat_of<float>(logits), mat_of<float>(deltas),
                                  mat_of<float>(dlogits), mat_of<float>(ddeltas), list_of(match),
                                  loss, gain, beta_logits, beta_deltas});
    }
}

/* Scratch of all pictures. */
struct work {
    unsigned *score;  /* [n, regions, classes] keys, 0: too low */
    int *place;       /* [n, most] regions times classes plus classes of those that are not */
    unsigned *key;    /* [n, most] */
    int *n_found;     /* [n] */
    candidate *moved; /* [n, most] */
};

struct detecting {
    int images, regions, classes, rows, most, width, height;
    float min_score, iou, variance[4];
    mat<float> logits;
    list rois, deltas, extent, found;
    work w;
};

struct region_scores {
    detecting d;

    __device__ void row(int r, int lane) const
    {
        const bool used = d.rois.row(r)[4] > 0;
        const softmax_norm s = softmax_norm_of(d.logits, r, lane);
        for (int c = lane; c < d.classes; c += WARP) {
            const float p = expf(load<1>(d.logits, r, c).v[0] - s.most) / s.sum;
            const bool over = used && c > 0 && p > d.min_score;
            d.w.score[(size_t)r * d.classes + c] = over ? number_key(p) : 0;
        }
    }
};

/* Grid: pictures. */
__global__ void detect_found_kernel(const __grid_constant__ detecting d)
{
    const int image = blockIdx.x, n = d.regions * d.classes;
    const unsigned *score = d.w.score + (size_t)image * n;
    const size_t at = (size_t)image * d.most;
    const auto key = [&](int i) { return score[i]; };
    const cut<unsigned> all = find_cut<unsigned>(key, n, d.most);
    const int found = visit_cut(key, n, all, [&](int i, unsigned k, int place) {
        if (place >= 0) {
            d.w.place[at + place] = i;
            d.w.key[at + place] = k;
        }
    });

    if (threadIdx.x == 0) {
        d.w.n_found[image] = found;
    }
}

/* Grid: parts of what may be found, pictures. */
__global__ void detect_move_kernel(const __grid_constant__ detecting d)
{
    const int image = blockIdx.y, n = d.w.n_found[image], i = blockIdx.x * THREADS + threadIdx.x;
    const size_t at = (size_t)image * d.most;

    if (blockIdx.x * THREADS >= n) {
        return;
    }
    const int place = rank_of(d.w.key + at, n, i);
    if (i < n) {
        const int r = image * d.regions + d.w.place[at + i] / d.classes;
        const int c = d.w.place[at + i] % d.classes;
        const float *deltas = d.deltas.row(r) + 4 * c;
        const float t[4] = {deltas[0], deltas[1], deltas[2], deltas[3]};
        const rect b = move_box(rect_at(d.rois.row(r)), t, d.variance,
                                extent_of(d.extent, image, d.width, d.height));
        d.w.moved[at + place] =
            candidate_of(b, number_of(d.w.key[at + i]), area(b) > 0 ? c - 1 : -1);
    }
}

/* Rows of one picture's detections. */
struct detections {
    list found;
    int first;
    float iou;

    __device__ bool over(const candidate &a, const candidate &b) const
    {
        return a.label == b.label && overlap(b.box(), a.box()) > iou;
    }
    __device__ candidate get(int k) const
    {
        const float *row = found.row(first + k);
        return candidate_of(rect_at(row), row[4], (int)row[5]);
    }
    __device__ void set(int k, const candidate &c) const
    {
        float *row = found.row(first + k);
        row[0] = c.x0;
        row[1] = c.y0;
        row[2] = c.x1;
        row[3] = c.y1;
        row[4] = c.score;
        row[5] = (float)c.label;
    }
};

/* Grid: pictures. */
__global__ void detect_thin_kernel(const __grid_constant__ detecting d)
{
    const int image = blockIdx.x;
    const detections f = {d.found, image * d.rows, d.iou};
    const candidate none = {0, 0, 0, 0, 0, 0};
    const int n = thin_out(f, d.w.moved + (size_t)image * d.most, d.w.n_found[image], d.rows);

    for (int k = n + threadIdx.x; k < d.rows; k += blockDim.x) {
        f.set(k, none);
    }
}

/* So many regions' classes can have a score over min_score: the scores of a region add up to 1. */
static int most_found(const struct roi_detect_desc *d, int regions)
{
    const int classes = d->n_classes - 1;
    const float most = d->min_score > 0 ? 1 / d->min_score : (float)classes;

    return regions * (most < classes ? (int)most + 1 : classes);
}

/* Lays the scratch out from `base` on; *bytes gets how much it is. */
static work lay_out(size_t images, int regions, int classes, int most, char *base, size_t *bytes)
{
    char *at = base;
    work w;

    w.score = carve<unsigned>(&at, images * regions * classes);
    w.place = carve<int>(&at, images * most);
    w.key = carve<unsigned>(&at, images * most);
    w.n_found = carve<int>(&at, images);
    w.moved = carve<candidate>(&at, images * most);
    *bytes = at - base;
    return w;
}

static size_t cuda_roi_detect_scratch(struct backend *be, const struct roi_detect_desc *d, int n,
                                      int rows)
{
    size_t bytes;

    (void)be;
    lay_out(n, rows, d->n_classes, most_found(d, rows), NULL, &bytes);
    return bytes;
}

static void cuda_roi_detect(struct backend *be, const struct roi_detect_desc *d, struct view rois,
                            struct view logits, struct view deltas, struct view extent,
                            struct view found, void *scratch)
{
    struct cuda *cu = cuda_of(be);
    detecting j = {};
    size_t bytes;

    j.images = extent.n;
    j.regions = rois.n / extent.n;
    j.classes = d->n_classes;
    j.rows = d->rows;
    j.most = most_found(d, j.regions);
    j.width = d->width;
    j.height = d->height;
    j.min_score = d->min_score;
    j.iou = d->iou;
    for (int k = 0; k < 4; k++) {
        j.variance[k] = d->variance[k];
    }
    j.logits = mat_of<float>(logits);
    j.rois = list_of(rois);
    j.deltas = list_of(deltas);
    j.extent = list_of(extent);
    j.found = list_of(found);
    j.w = lay_out(j.images, j.regions, j.classes, j.most, (char *)scratch, &bytes);
    if (mat_fits(cu, logits)) {
        each_row(cu, logits.n, region_scores{j});
        LAUNCH(cu, j.images, CHOOSE_THREADS, detect_found_kernel, j);
        LAUNCH(cu, dim3(div_up(j.most, THREADS), j.images), THREADS, detect_move_kernel, j);
        LAUNCH(cu, j.images, THIN_THREADS, detect_thin_kernel, j);
    }
}

void cuda_roi_box_entries(struct backend_ops *ops)
{
    ops->roi_loss_fwd = cuda_roi_loss_fwd;
    ops->roi_loss_bwd = cuda_roi_loss_bwd;
    ops->roi_detect_scratch = cuda_roi_detect_scratch;
    ops->roi_detect = cuda_roi_detect;
}
