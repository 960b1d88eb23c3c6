/*
 * detect.cu - outputs of an SSD or RefineDet head as detections (src/det/multibox_detect.c), to the
 * bit as the host finds them, without the host:
 *
 *   scores   32 priors by 8 warps, which share the classes: each prior's box, and its probability
 *            of each class, 0 where it is no detection
 *   thin     a block for each class of each image: the best top_k, sorted, and of them, 32 at a
 *            time, those that overlap no better one; a candidate's overlaps are bits of a mask
 *   best     a block for each image: the best `keep` of all classes
 *
 * A class keeps `keep` at most, as no more of it can be among those.
 */
#include "box.cuh"
#include "select.cuh"

extern "C" {
#include "det/multibox.h"
}

#include <math_constants.h>

enum { SHARES = 8, BEST_THREADS = 1024 }; /* SHARES: det/multibox_detect.c's SIDE_BY_SIDE */

/* Scratch of all images. A class's list has `room` keys: place is the prior, at first all that take
 * part, then those that stay. */
struct detect_work {
    rect *boxes;      /* [n, P] */
    float *scores;    /* [n, classes, P] */
    select_key *list; /* [n, classes, room] */
    select_key
        *kept;   /* [n, classes * most_kept] of all classes, place is prior * classes + class */
    int *n_kept; /* [n] */
    select_key *best; /* [n, best_room] */
};

struct detect {
    int images, priors, classes; /* classes: without background */
    int top_k, keep;
    int room, most_kept, best_room;
    float min_score, iou, arm_threshold, variance[4];
    table prior, loc, conf, arm_loc, arm_conf;
    float *found; /* [n * keep] rows */
    int row_step;
    detect_work w;
};

__device__ static bool is_background(const detect &d, int image, int p)
{
    if (d.arm_conf.p == NULL) {
        return false;
    }
    const float e = same_exp(__fsub_rn(d.arm_conf.at(image, p, 0), d.arm_conf.at(image, p, 1)));
    return __fdiv_rn(1, __fadd_rn(1, e)) < d.arm_threshold;
}

__device__ static rect move(const detect &d, const rect &from, const table &loc, int image, int p)
{
    const float t[4] = {loc.at(image, p, 0), loc.at(image, p, 1), loc.at(image, p, 2),
                        loc.at(image, p, 3)};
    return decode(from, t, d.variance);
}

/* The prior's box, once or twice moved; false: its numbers are not finite. */
__device__ static bool decode_box(const detect &d, int image, int p)
{
    rect b = load_rect(d.prior, 0, p);
    if (d.arm_loc.p != NULL) {
        b = move(d, b, d.arm_loc, image, p);
    }
    b = move(d, b, d.loc, image, p);
    d.w.boxes[(size_t)image * d.priors + p] = b;
    return isfinite(b.x0) && isfinite(b.y0) && isfinite(b.x1) && isfinite(b.y1);
}

/* The sum of all shares of a prior in the host's order. */
__device__ static float sum_shares(const float (*s)[WARP], int i)
{
    return __fadd_rn(__fadd_rn(__fadd_rn(s[0][i], s[4][i]), __fadd_rn(s[2][i], s[6][i])),
                     __fadd_rn(__fadd_rn(s[1][i], s[5][i]), __fadd_rn(s[3][i], s[7][i])));
}

__global__ void scores_kernel(detect d)
{
    __shared__ float most[SHARES][WARP], sum[SHARES][WARP];
    __shared__ bool fine[WARP];
    const int lane = threadIdx.x % WARP, share = threadIdx.x / WARP, image = blockIdx.y;
    const int p = blockIdx.x * WARP + lane, all = d.classes + 1;
    const bool counts = p < d.priors && !is_background(d, image, p);
    float largest = -CUDART_INF_F, part = 0;

    for (int c = share; counts && c < all; c += SHARES) {
        const float x = d.conf.at(image, p, c);
        largest = x > largest ? x : largest; /* NaN is met again below */
    }
    most[share][lane] = largest;
    if (share == 0) {
        fine[lane] = counts && decode_box(d, image, p);
        if (blockIdx.x == 0 && lane == 0) {
            d.w.n_kept[image] = 0;
        }
    }
    __syncthreads();
    for (int i = 0; i < SHARES; i++) {
        largest = fmaxf(largest, most[i][lane]);
    }
    for (int c = share; counts && c < all; c += SHARES) {
        part = __fadd_rn(part, same_exp(__fsub_rn(d.conf.at(image, p, c), largest)));
    }
    sum[share][lane] = part;
    __syncthreads();
    const float total = sum_shares(sum, lane);
    for (int c = share; p < d.priors && c < all; c += SHARES) {
        float score = 0;
        if (fine[lane] && c > 0) {
            score = __fdiv_rn(same_exp(__fsub_rn(d.conf.at(image, p, c), largest)), total);
        }
        if (c > 0) {
            d.w.scores[((size_t)image * d.classes + c - 1) * d.priors + p] =
                score > d.min_score ? score : 0;
        }
    }
}

struct class_keys {
    const float *score;

    __device__ select_key at(int p) const
    {
        return score[p] > 0 ? key_of(score[p], p) : 0;
    }
};

/* Moves those of n keys, which are sorted, that overlap no better one to the list's front, `most`
 * of them; returns how many. A tile is 32 of them: bits of `covered` are those that overlap what
 * was kept before, of later[i] those behind i of its tile that overlap it. */
__device__ static int thin(const detect &d, const rect *boxes, select_key *list, int n, int most)
{
    __shared__ unsigned covered, later[WARP];
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, warps = blockDim.x / WARP;
    int kept = 0;

    for (int first = 0; first < n && kept < most; first += WARP) {
        const select_key key = first + lane < n ? list[first + lane] : 0;
        const rect mine = key != 0 ? boxes[place_of(key)] : rect{0, 0, 0, 0};
        if (threadIdx.x == 0) {
            covered = 0;
        }
        __syncthreads();
        bool hit = key == 0;
        for (int i = warp; i < kept; i += warps) {
            hit = hit || overlap(boxes[place_of(list[i])], mine) > d.iou;
        }
        const unsigned hits = __ballot_sync(0xffffffffu, hit);
        if (lane == 0) {
            atomicOr(&covered, hits);
        }
        for (int i = warp; i < WARP; i += warps) {
            const rect other = {
                __shfl_sync(0xffffffffu, mine.x0, i), __shfl_sync(0xffffffffu, mine.y0, i),
                __shfl_sync(0xffffffffu, mine.x1, i), __shfl_sync(0xffffffffu, mine.y1, i)};
            const bool over = lane > i && overlap(other, mine) > d.iou;
            const unsigned votes = __ballot_sync(0xffffffffu, over);
            if (lane == 0) {
                later[i] = votes;
            }
        }
        __syncthreads();
        unsigned stay = ~covered;
        for (int i = 0; i < WARP; i++) {
            stay &= (stay >> i & 1) != 0 ? ~later[i] : ~0u;
        }
        const int at = kept + __popc(stay & ((1u << lane) - 1));
        if (warp == 0 && (stay >> lane & 1) != 0 && at < most) {
            list[at] = key;
        }
        kept = min(most, kept + __popc(stay));
        __syncthreads();
    }
    return kept;
}

/* Grid: classes, images. */
__global__ void thin_kernel(detect d)
{
    __shared__ int first;
    const int c = blockIdx.x, image = blockIdx.y;
    const size_t row = (size_t)image * d.classes + c;
    const rect *boxes = d.w.boxes + (size_t)image * d.priors;
    select_key *list = d.w.list + row * d.room;
    const int n = select_sorted(class_keys{d.w.scores + row * d.priors}, d.priors, d.top_k, list);
    const int kept = thin(d, boxes, list, n, d.most_kept);

    if (threadIdx.x == 0) {
        first = atomicAdd(&d.w.n_kept[image], kept);
    }
    __syncthreads();
    select_key *all = d.w.kept + (size_t)image * d.classes * d.most_kept + first;
    for (int i = threadIdx.x; i < kept; i += blockDim.x) {
        all[i] = key_of(score_of(list[i]), place_of(list[i]) * d.classes + c);
    }
}

struct kept_keys {
    const select_key *key;

    __device__ select_key at(int i) const
    {
        return key[i];
    }
};

__global__ void __launch_bounds__(BEST_THREADS) best_kernel(detect d)
{
    const int image = blockIdx.x;
    const rect *boxes = d.w.boxes + (size_t)image * d.priors;
    const kept_keys keys = {d.w.kept + (size_t)image * d.classes * d.most_kept};
    select_key *list = d.w.best + (size_t)image * d.best_room;
    const int n = select_sorted(keys, d.w.n_kept[image], d.keep, list);

    for (int i = threadIdx.x; i < d.keep; i += blockDim.x) {
        float *row = d.found + ((size_t)image * d.keep + i) * d.row_step;
        const unsigned place = i < n ? place_of(list[i]) : 0;
        const rect b = i < n ? boxes[place / d.classes] : rect{0, 0, 0, 0};
        row[0] = b.x0;
        row[1] = b.y0;
        row[2] = b.x1;
        row[3] = b.y1;
        row[4] = i < n ? score_of(list[i]) : 0;
        row[5] = i < n ? (float)(place % d.classes) : 0;
    }
}

/* Lays the scratch out from `base` on; *bytes gets how much it is. */
static detect_work lay_out(const detect &d, char *base, size_t *bytes)
{
    const size_t images = d.images, lists = images * d.classes;
    char *at = base;
    detect_work w;

    w.boxes = carve<rect>(&at, images * d.priors);
    w.scores = carve<float>(&at, lists * d.priors);
    w.list = carve<select_key>(&at, lists * d.room);
    w.kept = carve<select_key>(&at, lists * d.most_kept);
    w.n_kept = carve<int>(&at, images);
    w.best = carve<select_key>(&at, images * d.best_room);
    *bytes = at - base;
    return w;
}

static detect detect_of(const struct multibox_detect_desc *d, int images)
{
    const int most = smaller(d->top_k, d->n_priors);
    detect j = {};

    j.images = images;
    j.priors = d->n_priors;
    j.classes = d->n_classes - 1;
    j.top_k = d->top_k;
    j.keep = d->keep;
    j.room = sort_room(most);
    j.most_kept = smaller(most, d->keep);
    j.best_room = sort_room(smaller((long long)j.classes * j.most_kept, d->keep));
    j.min_score = d->min_score;
    j.iou = d->iou;
    j.arm_threshold = d->arm_threshold;
    for (int k = 0; k < 4; k++) {
        j.variance[k] = d->variance[k];
    }
    return j;
}

static size_t cuda_multibox_detect_scratch(struct backend *be, const struct multibox_detect_desc *d,
                                           int n)
{
    size_t bytes;

    (void)be;
    lay_out(detect_of(d, n), NULL, &bytes);
    return bytes;
}

static void cuda_multibox_detect(struct backend *be, const struct multibox_detect_desc *d,
                                 struct view priors, struct view loc, struct view conf,
                                 struct view arm_loc, struct view arm_conf, struct view found,
                                 void *scratch)
{
    struct cuda *cu = cuda_of(be);
    detect j = detect_of(d, loc.n);
    size_t bytes;

    j.prior = table_of(priors);
    j.loc = table_of(loc);
    j.conf = table_of(conf);
    j.arm_loc = table_of(arm_loc);
    j.arm_conf = table_of(arm_conf);
    j.found = found.p + found.c0;
    j.row_step = found.rc;
    j.w = lay_out(j, (char *)scratch, &bytes);
    LAUNCH(cu, dim3(div_up(j.priors, WARP), j.images), SHARES * WARP, scores_kernel, j);
    LAUNCH(cu, dim3(j.classes, j.images), THREADS, thin_kernel, j);
    LAUNCH(cu, j.images, BEST_THREADS, best_kernel, j);
}

void cuda_detect_entries(struct backend_ops *ops)
{
    ops->multibox_detect = cuda_multibox_detect;
    ops->multibox_detect_scratch = cuda_multibox_detect_scratch;
}
