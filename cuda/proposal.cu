/*
 * proposal.cu - what the region proposal network found, as boxes (det/proposal.c): the best anchors
 * of each level, moved, cut off at the picture's edge and thinned out; then the best of all levels.
 *
 *   best     a block for each level of each picture: its best anchors, in the order of the anchors
 *   move     puts them in the order of their scores, and moves them
 *   thin     a block for each level of each picture: those that stand, as a list
 *   merge    a block for each picture, or one for the batch: the best of the lists
 *   rows     puts these in the order of their scores, picture by picture
 *
 * Pictures' parts of an array lie behind each other, levels' parts of a picture's too.
 */
#include "choose.cuh"
#include "picture_box.cuh"
#include "thin.cuh"

extern "C" {
#include "det/roi.h"
}

struct levels {
    int n, images;
    int anchor[ROI_MAX_LEVELS + 1]; /* of each level the first anchor; behind the last: the end */
    int best[ROI_MAX_LEVELS + 1];   /* the first place of what is best before NMS */
    int room[ROI_MAX_LEVELS + 1];   /* the first place of what stands after it */
};

/* Scratch of all pictures. */
struct work {
    int *best;          /* [n, best] anchors */
    unsigned *key;      /* [n, best] of their scores */
    int *n_best;        /* [n, levels] */
    candidate *moved;   /* [n, best] */
    candidate *stands;  /* [n, room] */
    unsigned *stand_at; /* [n, room] their keys, 0: nobody stands there */
    int *chosen;        /* [n, keep] places among those that stand in all pictures */
    unsigned *chosen_key;
    int *n_chosen; /* [n] */
};

struct proposing {
    levels l;
    int keep, width, height;
    bool per_batch;
    float iou, min_side;
    table anchors, logits, deltas;
    list extent, rois;
    work w;
};

/* Grid: levels, pictures. */
__global__ void proposals_best_kernel(const __grid_constant__ proposing p)
{
    const int level = blockIdx.x, image = blockIdx.y, first = p.l.anchor[level];
    const int n = p.l.anchor[level + 1] - first, room = p.l.best[level + 1] - p.l.best[level];
    const size_t at = (size_t)image * p.l.best[p.l.n] + p.l.best[level];
    const auto key = [&](int i) { return number_key(p.logits.at(image, first + i, 0)); };
    const cut<unsigned> best = find_cut<unsigned>(key, n, room);
    const int found = visit_cut(key, n, best, [&](int i, unsigned k, int place) {
        if (place >= 0) {
            p.w.best[at + place] = first + i;
            p.w.key[at + place] = k;
        }
    });

    if (threadIdx.x == 0) {
        p.w.n_best[image * p.l.n + level] = found;
    }
}

/* Anchor i of a picture, moved; without a label where it is too small. */
__device__ static candidate move_anchor(const proposing &p, int image, int i, float score)
{
    const float one[4] = {1, 1, 1, 1};
    const float t[4] = {p.deltas.at(image, i, 0), p.deltas.at(image, i, 1),
                        p.deltas.at(image, i, 2), p.deltas.at(image, i, 3)};
    const rect b =
        move_box(load_rect(p.anchors, 0, i), t, one, extent_of(p.extent, image, p.width, p.height));
    const float w = b.x1 - b.x0, h = b.y1 - b.y0;
    const bool large = w > 0 && w >= p.min_side && h > 0 && h >= p.min_side;

    return candidate_of(b, score, large ? 0 : -1);
}

/* Grid: parts of the largest level's best, levels, pictures. */
__global__ void proposals_move_kernel(const __grid_constant__ proposing p)
{
    const int level = blockIdx.y, image = blockIdx.z, n = p.w.n_best[image * p.l.n + level];
    const size_t at = (size_t)image * p.l.best[p.l.n] + p.l.best[level];
    const int i = blockIdx.x * THREADS + threadIdx.x;

    if (blockIdx.x * THREADS >= n) {
        return;
    }
    const int place = rank_of(p.w.key + at, n, i);
    if (i < n) {
        const float score = number_of(p.w.key[at + i]);
        p.w.moved[at + place] = move_anchor(p, image, p.w.best[at + i], score);
    }
}

/* Those that stand on one level. */
struct standing {
    candidate *c;
    unsigned *key;
    float iou;

    /* As det/proposal.c has it, without a division. */
    __device__ bool over(const candidate &a, const candidate &b) const
    {
        const rect one = a.box(), other = b.box(), both = common(one, other);
        const float w = both.x1 > both.x0 ? __fsub_rn(both.x1, both.x0) : 0;
        const float h = both.y1 > both.y0 ? __fsub_rn(both.y1, both.y0) : 0;
        const float in = __fmul_rn(w, h);
        const float any = __fsub_rn(__fadd_rn(area(other), area(one)), in);
        return in > __fmul_rn(iou, any);
    }
    __device__ candidate get(int k) const
    {
        return c[k];
    }
    __device__ void set(int k, const candidate &stands) const
    {
        c[k] = stands;
        key[k] = number_key(stands.score);
    }
};

/* Grid: levels, pictures. */
__global__ void proposals_thin_kernel(const __grid_constant__ proposing p)
{
    const int level = blockIdx.x, image = blockIdx.y;
    const int room = p.l.room[level + 1] - p.l.room[level];
    const size_t from = (size_t)image * p.l.best[p.l.n] + p.l.best[level];
    const size_t to = (size_t)image * p.l.room[p.l.n] + p.l.room[level];
    const standing s = {p.w.stands + to, p.w.stand_at + to, p.iou};
    const int n = thin_out(s, p.w.moved + from, p.w.n_best[image * p.l.n + level], room);

    for (int k = n + threadIdx.x; k < room; k += blockDim.x) {
        s.key[k] = 0;
    }
}

/* Grid: pictures, or 1. */
__global__ void proposals_merge_kernel(const __grid_constant__ proposing p)
{
    const int rooms = p.l.room[p.l.n], n = p.per_batch ? p.l.images * rooms : rooms;
    const int first = blockIdx.x * rooms;
    const size_t at = (size_t)blockIdx.x * p.keep;
    const auto key = [&](int i) { return p.w.stand_at[first + i]; };
    const cut<unsigned> best = find_cut<unsigned>(key, n, p.keep);
    const int found = visit_cut(key, n, best, [&](int i, unsigned k, int place) {
        if (place >= 0) {
            p.w.chosen[at + place] = first + i;
            p.w.chosen_key[at + place] = k;
        }
    });

    if (threadIdx.x == 0) {
        p.w.n_chosen[blockIdx.x] = found;
    }
}

/* The first of n ascending numbers that is not under `least`. */
__device__ static int first_from(const int *v, int n, int least)
{
    int lo = 0;

    while (lo < n) {
        const int middle = (lo + n) / 2;
        if (v[middle] < least) {
            lo = middle + 1;
        } else {
            n = middle;
        }
    }
    return lo;
}

/* Grid: parts of the rows, pictures. */
__global__ void proposals_rows_kernel(const __grid_constant__ proposing p)
{
    const int image = blockIdx.y, part = p.per_batch ? 0 : image, rooms = p.l.room[p.l.n];
    const int i = blockIdx.x * THREADS + threadIdx.x, all = p.w.n_chosen[part];
    const int *chosen = p.w.chosen + (size_t)part * p.keep;
    const int from = first_from(chosen, all, image * rooms);
    const int n = first_from(chosen, all, (image + 1) * rooms) - from;
    const int place = rank_of(p.w.chosen_key + (size_t)part * p.keep + from, n, i);

    if (i < n) {
        const candidate &c = p.w.stands[chosen[from + i]];
        float *row = p.rois.row(image * p.keep + place);
        row[0] = c.x0;
        row[1] = c.y0;
        row[2] = c.x1;
        row[3] = c.y1;
        row[4] = fmaxf(1 / (1 + expf(-c.score)), 1e-30f); /* never the 0 that ends a list */
    } else if (i < p.keep) {
        float *row = p.rois.row(image * p.keep + i);
        for (int k = 0; k < ROI_ROW; k++) {
            row[k] = 0;
        }
    }
}

static levels levels_of(const struct proposal_desc *d, int images)
{
    levels l = {};

    l.n = d->anchors.n_levels;
    l.images = images;
    for (int i = 0; i < l.n; i++) {
        const int anchors = d->anchors.end[i] - l.anchor[i];
        const int best = smaller(anchors, d->before);
        l.anchor[i + 1] = d->anchors.end[i];
        l.best[i + 1] = l.best[i] + best;
        l.room[i + 1] = l.room[i] + smaller(best, d->after);
    }
    return l;
}

/* Lays the scratch out from `base` on; *bytes gets how much it is. */
static work lay_out(const levels &l, int keep, char *base, size_t *bytes)
{
    const size_t n = l.images, best = n * l.best[l.n], room = n * l.room[l.n];
    char *at = base;
    work w;

    w.best = carve<int>(&at, best);
    w.key = carve<unsigned>(&at, best);
    w.n_best = carve<int>(&at, n * l.n);
    w.moved = carve<candidate>(&at, best);
    w.stands = carve<candidate>(&at, room);
    w.stand_at = carve<unsigned>(&at, room);
    w.chosen = carve<int>(&at, n * keep);
    w.chosen_key = carve<unsigned>(&at, n * keep);
    w.n_chosen = carve<int>(&at, n);
    *bytes = at - base;
    return w;
}

static size_t cuda_proposals_scratch(struct backend *be, const struct proposal_desc *d, int n)
{
    size_t bytes;

    (void)be;
    lay_out(levels_of(d, n), d->keep, NULL, &bytes);
    return bytes;
}

static void cuda_proposals(struct backend *be, const struct proposal_desc *d, struct view anchors,
                           struct view logits, struct view deltas, struct view extent,
                           struct view rois, void *scratch)
{
    struct cuda *cu = cuda_of(be);
    const int images = logits.n;
    proposing p = {};
    size_t bytes;
    int most = 0;

    p.l = levels_of(d, images);
    p.keep = d->keep;
    p.width = d->anchors.width;
    p.height = d->anchors.height;
    p.per_batch = d->per_batch;
    p.iou = d->iou;
    p.min_side = d->min_side;
    p.anchors = table_of(anchors);
    p.logits = table_of(logits);
    p.deltas = table_of(deltas);
    p.extent = list_of(extent);
    p.rois = list_of(rois);
    p.w = lay_out(p.l, d->keep, (char *)scratch, &bytes);
    for (int i = 0; i < p.l.n; i++) {
        const int best = p.l.best[i + 1] - p.l.best[i];
        most = best > most ? best : most;
    }
    LAUNCH(cu, dim3(p.l.n, images), CHOOSE_THREADS, proposals_best_kernel, p);
    LAUNCH(cu, dim3(div_up(most, THREADS), p.l.n, images), THREADS, proposals_move_kernel, p);
    LAUNCH(cu, dim3(p.l.n, images), THIN_THREADS, proposals_thin_kernel, p);
    LAUNCH(cu, d->per_batch ? 1 : images, CHOOSE_THREADS, proposals_merge_kernel, p);
    LAUNCH(cu, dim3(div_up(d->keep, THREADS), images), THREADS, proposals_rows_kernel, p);
}

void cuda_proposal_entries(struct backend_ops *ops)
{
    ops->proposals_scratch = cuda_proposals_scratch;
    ops->proposals = cuda_proposals;
}
