/*
 * roi_mask.cu - the ends of a mask head (He et al. 2017, 3; det/mask_target.c): its loss in the
 * channel of each object's class, and the masks of what was found. Regions [n*take, c, h, w] have a
 * row of memory for each cell.
 */
#include "picture_box.cuh"

extern "C" {
#include "det/roi.h"
}

enum { MASK_SAMPLES = 2 };

struct mask_head {
    int rows, take, width, height, cells, size;
    mat<float> logits;
    list match;

    /* The row of the list of RoIs that region r is. */
    __device__ int row_of(int r) const
    {
        return r / take * rows + r % take;
    }

    /* The channel of logits that a region learns; 0: it learns nothing. */
    __device__ int label_of(int r) const
    {
        const float label = match.row(row_of(r))[0];
        return label > 0 ? (int)label : 0;
    }
};

struct mask_loss {
    mask_head head;
    list rois;
    table truth, masks;
    mat<float> target;
    int regions, side;
    float2 *partial; /* of each block: losses, objects */
};

/* A true mask, a grid over the box of its object, and the RoI that sees it. */
struct mask_grid_of {
    table masks;
    int image, truth, side;
    float x, y;           /* from the box's corner to the RoI's */
    float cell_w, cell_h; /* of the grid */
    float step_x, step_y; /* between samples */
};

__device__ static float mix(float a, float b, float t)
{
    return a + t * (b - a); /* a when they are equal */
}

/* Bilinear between cell centres, the outermost repeated to the edge; nothing beyond it. */
__device__ static float sample_mask(const mask_grid_of &g, float x, float y)
{
    const float last = g.side - 1;

    if (!(x >= 0 && y >= 0 && x <= g.side && y <= g.side)) {
        return 0;
    }
    const float u = fminf(fmaxf(x - 0.5f, 0), last), v = fminf(fmaxf(y - 0.5f, 0), last);
    const int i = (int)v, j = (int)u;
    const int top = i * g.side, bottom = min(i + 1, g.side - 1) * g.side;
    const int right = min(j + 1, g.side - 1);

    return mix(mix(g.masks.at(g.image, g.truth, top + j), g.masks.at(g.image, g.truth, top + right),
                   u - j),
               mix(g.masks.at(g.image, g.truth, bottom + j),
                   g.masks.at(g.image, g.truth, bottom + right), u - j),
               v - i);
}

/* As mask_target(). */
__device__ static float target_of(const mask_grid_of &g, int row, int column)
{
    const float half = 0.5f * MASK_SAMPLES * MASK_SAMPLES - (float)MASK_TARGET_SLACK;
    float sum = 0;

    for (int k = 0; k < MASK_SAMPLES * MASK_SAMPLES; k++) {
        const float across = column * MASK_SAMPLES + k % MASK_SAMPLES + 0.5f;
        const float down = row * MASK_SAMPLES + k / MASK_SAMPLES + 0.5f;
        sum += sample_mask(g, (g.x + across * g.step_x) / g.cell_w,
                           (g.y + down * g.step_y) / g.cell_h);
    }
    return sum >= half ? 1 : 0;
}

__device__ static mask_grid_of grid_of(const mask_loss &m, int r)
{
    const int image = r / m.head.take, row = m.head.row_of(r);
    const int truth = (int)m.head.match.row(row)[1];
    const rect b = true_box(m.truth, image, truth, m.head.width, m.head.height);
    const rect roi = rect_at(m.rois.row(row));
    const float samples = m.head.size * MASK_SAMPLES;

    return {m.masks,
            image,
            truth,
            m.side,
            roi.x0 - b.x0,
            roi.y0 - b.y0,
            (b.x1 - b.x0) / m.side,
            (b.y1 - b.y0) / m.side,
            (roi.x1 - roi.x0) / samples,
            (roi.y1 - roi.y0) / samples};
}

/* The regions blockIdx.x, blockIdx.x + gridDim.x, ...: their targets, and the block's losses. */
__global__ void mask_loss_kernel(const __grid_constant__ mask_loss m)
{
    __shared__ float shared[WARP];
    float loss = 0, objects = 0;

    for (int r = blockIdx.x; r < m.regions; r += gridDim.x) {
        const int label = m.head.label_of(r);
        if (label == 0) {
            continue;
        }
        const mask_grid_of g = grid_of(m, r);
        for (int i = threadIdx.x; i < m.head.cells; i += blockDim.x) {
            const int at = r * m.head.cells + i;
            const float t = target_of(g, i / m.head.size, i % m.head.size);
            const float x = load<1>(m.head.logits, at, label).v[0];
            store<1>(m.target, at, 0, pack<1>{{t}});
            loss += fmaxf(x, 0) - x * t + log1pf(expf(-fabsf(x)));
        }
        objects++;
    }
    loss = block_sum(loss, shared);
    if (threadIdx.x == 0) {
        m.partial[blockIdx.x] = make_float2(loss, objects);
    }
}

/* One block. */
__global__ void finish_mask_loss_kernel(const float2 *partial, int n, int cells, float *loss)
{
    __shared__ float shared[WARP];
    float sum = 0, objects = 0;

    for (int i = threadIdx.x; i < n; i += THREADS) {
        sum += partial[i].x;
        objects += partial[i].y;
    }
    sum = block_sum(sum, shared);
    objects = block_sum(objects, shared);
    if (threadIdx.x == 0) {
        loss[0] = sum / fmaxf(1, objects) / cells;
        loss[1] = objects;
    }
}

static mask_head head_of(const struct mask_desc *d, struct view logits, struct view match)
{
    return {d->rows,
            d->take,
            d->width,
            d->height,
            (int)view_plane(logits),
            logits.w,
            mat_of<float>(logits),
            list_of(match)};
}

static void cuda_mask_loss_fwd(struct backend *be, const struct mask_desc *d, struct view logits,
                               struct view rois, struct view match, struct view truth,
                               struct view masks, struct view target, real *loss)
{
    struct cuda *cu = cuda_of(be);
    const int blocks = smaller(logits.n, 4096);
    const mask_loss m = {head_of(d, logits, match),
                         list_of(rois),
                         table_of(truth),
                         table_of(masks),
                         mat_of<float>(target),
                         logits.n,
                         masks.h,
                         reinterpret_cast<float2 *>(cu->work)};

    if (mat_fits(cu, logits)) {
        LAUNCH(cu, blocks, THREADS, mask_loss_kernel, m);
        LAUNCH(cu, 1, THREADS, finish_mask_loss_kernel, m.partial, blocks, m.head.cells, loss);
    }
}

struct mask_gradient {
    mask_head head;
    mat<float> target, dlogits;
    const float *loss;
    float gain, beta;

    template <int V> __device__ void at(int row, int col) const
    {
        const int label = head.label_of(row / head.cells);
        const float scale = gain / fmaxf(1, loss[1]) / head.cells;
        pack<V> g = {};
        for (int i = 0; i < V; i++) {
            if (label > 0 && col + i == label) {
                const float x = load<1>(head.logits, row, label).v[0];
                g.v[i] = scale * (1 / (1 + expf(-x)) - load<1>(target, row, 0).v[0]);
            }
        }
        store_scaled<V>(dlogits, row, col, beta, g);
    }
};

static void cuda_mask_loss_bwd(struct backend *be, const struct mask_desc *d, struct view logits,
                               struct view match, struct view target, const real *loss, real gain,
                               real beta, struct view dlogits)
{
    struct cuda *cu = cuda_of(be);
    const mat<float> dx = mat_of<float>(dlogits);

    if (mat_fits(cu, logits)) {
        each(cu, dx.rows, dx.c, packs(dlogits),
             mask_gradient{head_of(d, logits, match), mat_of<float>(target), dx, loss, gain, beta});
    }
}

/* The channel of what was found, as probabilities; zeros where nothing was. */
struct found_masks {
    mat<float> logits, y;
    list found;
    int cells;

    template <int V> __device__ void at(int row, int) const
    {
        const float *f = found.row(row / cells);
        float p = 0;
        if (f[4] > 0) {
            p = 1 / (1 + expf(-load<1>(logits, row, (int)f[5] + 1).v[0]));
        }
        store<1>(y, row, 0, pack<1>{{p}});
    }
};

static void cuda_mask_select(struct backend *be, struct view logits, struct view found,
                             struct view y)
{
    struct cuda *cu = cuda_of(be);

    if (mat_fits(cu, logits)) {
        each(cu, y.n * y.h * y.w, 1, false,
             found_masks{mat_of<float>(logits), mat_of<float>(y), list_of(found),
                         (int)view_plane(y)});
    }
}

void cuda_roi_mask_entries(struct backend_ops *ops)
{
    ops->mask_loss_fwd = cuda_mask_loss_fwd;
    ops->mask_loss_bwd = cuda_mask_loss_bwd;
    ops->mask_select = cuda_mask_select;
}
