/*
 * roi_sample.cu - which regions the heads are trained on (det/roi_sample.c).
 *
 *   draw     a block for each picture: regions in use and true boxes, what each overlaps most, and
 *            those with the largest of random numbers, objects and background
 *   rows     puts them in the order of these numbers, objects first
 */
#include "choose.cuh"
#include "picture_box.cuh"
#include "random.cuh"

extern "C" {
#include "det/roi.h"
}

struct target {
    rect box;
    int label, row;
};

/* Boxes that were drawn, with their random numbers. */
struct drawn {
    int *box; /* [n, rows] */
    uint64_t *key;
    int *n; /* [n] */
};

struct work {
    target *targets; /* [n, T] */
    int *in_use;     /* [n] regions; boxes from there on are true ones */
    int *object;     /* [n, R + T] of each box: the target, -1: it is background */
    drawn objects, others;
};

struct sampling {
    int images, regions, truths, rows, objects, classes, width, height;
    float fg_iou, variance[4];
    uint64_t node;
    const uint64_t *key; /* of the pass */
    table truth;
    list rois, sampled, match;
    work w;
};

/* The truths that are something to find, one behind the other. Returns how many. */
__device__ static int read_targets(const sampling &s, int image, target *targets)
{
    __shared__ int2 shared[WARP];
    int found = 0;
    const int n = rows_before_end([&](int t) { return s.truth.at(image, t, 4) == 0; }, s.truths);

    for (int first = 0; first < n; first += blockDim.x) {
        const int t = first + threadIdx.x;
        const float label = t < n ? s.truth.at(image, t, 4) : 0;
        rect b = {0, 0, 0, 0};
        int2 all;
        if (t < n) {
            b = true_box(s.truth, image, t, s.width, s.height);
        }
        const bool is_target = label > 0 && label < s.classes && b.x1 > b.x0 && b.y1 > b.y0;
        const int place = count_before(is_target, false, shared, &all).x;
        if (is_target) {
            targets[found + place] = {b, (int)label, t};
        }
        found += all.x;
    }
    return found;
}

/* Box i of a picture: a region or a true box. */
__device__ static rect box_of(const sampling &s, int image, int i)
{
    const int in_use = s.w.in_use[image];

    return i < in_use ? rect_at(s.rois.row(image * s.regions + i))
                      : s.w.targets[(size_t)image * s.truths + i - in_use].box;
}

/* What a box overlaps most, the first of equals, where that is enough; else -1. */
__device__ static int find_object(const sampling &s, const rect &b, const target *targets, int n)
{
    float most = 0;
    int best = -1;

    for (int t = 0; t < n; t++) {
        const float iou = overlap(b, targets[t].box);
        best = iou > most ? t : best;
        most = iou > most ? iou : most;
    }
    return most >= s.fg_iou ? best : -1;
}

/* Of n boxes the `most` with the largest numbers among objects, or among the others. */
__device__ static void draw(const sampling &s, int image, int n, bool objects, int most,
                            const drawn &to)
{
    const int *object = s.w.object + (size_t)image * (s.regions + s.truths);
    const size_t at = (size_t)image * s.rows;
    const uint64_t random = random_at(random_key(*s.key, s.node), (uint64_t)image + 1);
    const auto key = [&](int i) -> uint64_t {
        return (object[i] >= 0) == objects ? random_at(random, (uint64_t)i + 1) : 0;
    };
    const cut<uint64_t> chosen = find_cut<uint64_t>(key, n, most);
    const int found = visit_cut(key, n, chosen, [&](int i, uint64_t k, int place) {
        if (place >= 0) {
            to.box[at + place] = i;
            to.key[at + place] = k;
        }
    });

    if (threadIdx.x == 0) {
        to.n[image] = found;
    }
}

/* Grid: pictures. */
__global__ void roi_draw_kernel(const __grid_constant__ sampling s)
{
    const int image = blockIdx.x;
    target *targets = s.w.targets + (size_t)image * s.truths;
    int *object = s.w.object + (size_t)image * (s.regions + s.truths);
    const int n_targets = read_targets(s, image, targets);
    const int in_use = rows_before_end(
        [&](int i) { return !(s.rois.row(image * s.regions + i)[4] > 0); }, s.regions);
    const int n = in_use + n_targets;

    if (threadIdx.x == 0) {
        s.w.in_use[image] = in_use;
    }
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        object[i] = find_object(s, box_of(s, image, i), targets, n_targets);
    }
    draw(s, image, n, true, s.objects, s.w.objects);
    draw(s, image, n, false, s.rows, s.w.others);
}

/* Row r of the result: box i, an object or background; i -1: not used. */
__device__ static void write_row(const sampling &s, int image, int r, int i)
{
    float *roi = s.sampled.row(image * s.rows + r), *match = s.match.row(image * s.rows + r);
    const bool used = i >= 0;
    const rect none = {0, 0, 0, 0}, b = used ? box_of(s, image, i) : none;
    const int object = used ? s.w.object[(size_t)image * (s.regions + s.truths) + i] : -1;
    float t[4] = {0, 0, 0, 0}, label = used ? 0 : -1, row = 0;

    if (object >= 0) {
        const target &o = s.w.targets[(size_t)image * s.truths + object];
        encode(b, o.box, s.variance, t);
        label = (float)o.label;
        row = (float)o.row;
    }
    roi[0] = b.x0;
    roi[1] = b.y0;
    roi[2] = b.x1;
    roi[3] = b.y1;
    roi[4] = used ? 1 : 0;
    match[0] = label;
    match[1] = row;
    for (int k = 0; k < 4; k++) {
        match[2 + k] = t[k];
    }
}

/* Grid: parts of the rows, pictures. */
__global__ void roi_rows_kernel(const __grid_constant__ sampling s)
{
    const int i = blockIdx.x * THREADS + threadIdx.x, image = blockIdx.y;
    const size_t at = (size_t)image * s.rows;
    const int objects = s.w.objects.n[image], others = s.w.others.n[image];
    const int object_place = rank_of(s.w.objects.key + at, objects, i);
    const int other_place = objects + rank_of(s.w.others.key + at, others, i);

    if (i < objects) {
        write_row(s, image, object_place, s.w.objects.box[at + i]);
    }
    if (i < others && other_place < s.rows) {
        write_row(s, image, other_place, s.w.others.box[at + i]);
    }
    if (i < s.rows && i >= objects + others) {
        write_row(s, image, i, -1);
    }
}

static drawn carve_drawn(char **at, size_t images, size_t rows)
{
    drawn d;

    d.box = carve<int>(at, images * rows);
    d.key = carve<uint64_t>(at, images * rows);
    d.n = carve<int>(at, images);
    return d;
}

/* Lays the scratch out from `base` on; *bytes gets how much it is. */
static work lay_out(const sampling &s, char *base, size_t *bytes)
{
    const size_t n = s.images;
    char *at = base;
    work w;

    w.targets = carve<target>(&at, n * s.truths);
    w.in_use = carve<int>(&at, n);
    w.object = carve<int>(&at, n * ((size_t)s.regions + s.truths));
    w.objects = carve_drawn(&at, n, s.rows);
    w.others = carve_drawn(&at, n, s.rows);
    *bytes = at - base;
    return w;
}

static sampling sampling_of(const struct roi_sample_desc *d, struct view rois, struct view truth)
{
    sampling s = {};

    s.images = truth.n;
    s.regions = rois.n / truth.n;
    s.truths = truth.c;
    s.rows = d->rows;
    s.objects = (int)floorf((float)d->rows * d->fg_part);
    s.classes = d->n_classes;
    s.width = d->width;
    s.height = d->height;
    s.fg_iou = d->fg_iou;
    for (int k = 0; k < 4; k++) {
        s.variance[k] = d->variance[k];
    }
    return s;
}

static size_t cuda_roi_sample_scratch(struct backend *be, const struct roi_sample_desc *d,
                                      struct view rois, struct view truth)
{
    size_t bytes;

    (void)be;
    lay_out(sampling_of(d, rois, truth), NULL, &bytes);
    return bytes;
}

static void cuda_roi_sample(struct backend *be, const struct roi_sample_desc *d, uint64_t node,
                            struct view rois, struct view truth, struct view sampled,
                            struct view match, void *scratch)
{
    struct cuda *cu = cuda_of(be);
    sampling s = sampling_of(d, rois, truth);
    size_t bytes;

    s.node = node;
    s.key = cu->key;
    s.truth = table_of(truth);
    s.rois = list_of(rois);
    s.sampled = list_of(sampled);
    s.match = list_of(match);
    s.w = lay_out(s, (char *)scratch, &bytes);
    LAUNCH(cu, s.images, CHOOSE_THREADS, roi_draw_kernel, s);
    LAUNCH(cu, dim3(div_up(s.rows, THREADS), s.images), THREADS, roi_rows_kernel, s);
}

void cuda_roi_sample_entries(struct backend_ops *ops)
{
    ops->roi_sample_scratch = cuda_roi_sample_scratch;
    ops->roi_sample = cuda_roi_sample;
}
