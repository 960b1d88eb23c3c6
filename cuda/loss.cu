/*
 * loss.cu - smooth L1 (Girshick 2015, Eq. 3), and the maps of prior boxes to and from rows. Rows
 * [n, priors, k, 1] lie, as all views do, with their "channels" side by side: the k numbers of a
 * prior are k runs of memory, so that a warp that takes neighbouring priors reads runs.
 */
#include "box.cuh"
#include "sums.cuh"

template <class T> struct smooth_l1_sum {
    mat<T> x, target, weight;
    float sigma;

    template <int V> __device__ void add(int row, int col, sum1 *s) const
    {
        const pack<V> v = load<V>(x, row, col), t = load<V>(target, row, col);
        const pack<V> w = load<V>(weight, row, col);
        for (int i = 0; i < V; i++) {
            s[i].a += w.v[i] * smooth_l1(v.v[i] - t.v[i], sigma);
        }
    }
};

struct store_column {
    float *sum;

    __device__ void done(int, int col, const sum1 &s) const
    {
        sum[col] = s.a;
    }
};

/* One block: loss = sum of n numbers / norm. */
__global__ void sum_array_kernel(const float *x, int n, float norm, float *loss)
{
    __shared__ float shared[WARP];
    float sum = 0;

    for (int i = threadIdx.x; i < n; i += THREADS) {
        sum += x[i];
    }
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0) {
        *loss = sum / norm;
    }
}

static void cuda_smooth_l1_fwd(struct backend *be, struct view x, struct view target,
                               struct view weight, real sigma, real norm, real *loss)
{
    struct cuda *cu = cuda_of(be);

    if ((size_t)x.c > cu->result_count) {
        cuda_fail(cu, "a loss of too many channels");
    } else if (mat_fits(cu, x)) {
        BY_REAL(const auto m = mat_of<T>(x);
                column_sums<sum1>(cu, 1, m.rows, m.c, packs(x) && packs(target) && packs(weight),
                                  smooth_l1_sum<T>{m, mat_of<T>(target), mat_of<T>(weight), sigma},
                                  store_column{cu->result}));
        LAUNCH(cu, 1, THREADS, sum_array_kernel, cu->result, x.c, norm > 1 ? norm : 1, loss);
    }
}

template <class T> struct smooth_l1_backward {
    mat<T> x, target, weight, dx;
    float sigma, k, beta;

    template <int V> __device__ void at(int row, int col) const
    {
        pack<V> v = load<V>(x, row, col);
        const pack<V> t = load<V>(target, row, col), w = load<V>(weight, row, col);
        for (int i = 0; i < V; i++) {
            v.v[i] = k * w.v[i] * smooth_l1_slope(v.v[i] - t.v[i], sigma);
        }
        store_scaled<V>(dx, row, col, beta, v);
    }
};

static void cuda_smooth_l1_bwd(struct backend *be, struct view x, struct view target,
                               struct view weight, real sigma, real norm, real gain, real beta,
                               struct view dx)
{
    struct cuda *cu = cuda_of(be);
    const float k = gain / (norm > 1 ? norm : 1);

    if (mat_fits(cu, x)) {
        BY_REAL(const auto m = mat_of<T>(x);
                each(cu, m.rows, m.c, packs(x) && packs(target) && packs(weight) && packs(dx),
                     smooth_l1_backward<T>{m, mat_of<T>(target), mat_of<T>(weight), mat_of<T>(dx),
                                           sigma, k, beta}));
    }
}

/* Visits [n * k] rows of plane * anchors places: place i is anchor i % anchors of a pixel. */
template <class T> struct prior_map {
    mat<T> map, rows;
    int k, first, anchors;
    float beta;

    __device__ int map_row(int row, int i) const
    {
        return row / k * map.plane + i / anchors;
    }
    __device__ int map_col(int row, int i) const
    {
        return i % anchors * k + row % k;
    }
};

template <class T> struct rows_forward {
    prior_map<T> m;

    template <int V> __device__ void at(int row, int i) const
    {
        store<1>(m.rows, row, m.first + i, load<1>(m.map, m.map_row(row, i), m.map_col(row, i)));
    }
};

template <class T> struct rows_backward {
    prior_map<T> m;

    template <int V> __device__ void at(int row, int i) const
    {
        store_scaled<1>(m.map, m.map_row(row, i), m.map_col(row, i), m.beta,
                        load<1>(m.rows, row, m.first + i));
    }
};

template <class T>
static prior_map<T> prior_map_of(struct view x, int k, int first, float beta, struct view y)
{
    return {mat_of<T>(x), mat_of<T>(y), k, first, x.c / k, beta};
}

static void cuda_prior_rows_fwd(struct backend *be, struct view x, int k, int first, struct view y)
{
    struct cuda *cu = cuda_of(be);

    if (mat_fits(cu, x) && mat_fits(cu, y)) {
        BY_REAL(each(cu, x.n * k, x.h * x.w * (x.c / k), false,
                     rows_forward<T>{prior_map_of<T>(x, k, first, 0, y)}));
    }
}

static void cuda_prior_rows_bwd(struct backend *be, struct view dy, int k, int first, real beta,
                                struct view dx)
{
    struct cuda *cu = cuda_of(be);

    if (mat_fits(cu, dx) && mat_fits(cu, dy)) {
        BY_REAL(each(cu, dx.n * k, dx.h * dx.w * (dx.c / k), false,
                     rows_backward<T>{prior_map_of<T>(dx, k, first, beta, dy)}));
    }
}

void cuda_loss_entries(struct backend_ops *ops)
{
    ops->smooth_l1_fwd = cuda_smooth_l1_fwd;
    ops->smooth_l1_bwd = cuda_smooth_l1_bwd;
    ops->prior_rows_fwd = cuda_prior_rows_fwd;
    ops->prior_rows_bwd = cuda_prior_rows_bwd;
}
