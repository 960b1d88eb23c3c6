/*
 * norm.cu - batch norm (Ioffe 2015) and group norm (Wu 2018), with the activation behind them. A
 * channel's statistics are sums down a column; those of a group of one image are a block's work.
 */
#include "act.cuh"
#include "kernel.cuh"
#include "sums.cuh"

template <class T> struct moments_of {
    mat<T> x;

    template <int V> __device__ void add(int row, int col, moments *s) const
    {
        const pack<V> v = load<V>(x, row, col);
        const float n = s[0].n + 1, part = 1 / n;
        for (int i = 0; i < V; i++) {
            const float d = v.v[i] - s[i].mean;
            s[i].n = n;
            s[i].mean += d * part;
            s[i].squares += d * (v.v[i] - s[i].mean);
        }
    }
};

struct store_stats {
    float eps, momentum;
    float *run_mean, *run_var, *stats;

    __device__ void done(int, int c, const moments &s) const
    {
        stats[2 * c] = s.mean;
        stats[2 * c + 1] = 1 / sqrtf(s.squares / s.n + eps);
        if (run_mean != NULL) {
            const float unbiased = s.squares / (s.n > 1 ? s.n - 1 : 1);
            run_mean[c] = momentum * run_mean[c] + (1 - momentum) * s.mean;
            run_var[c] = momentum * run_var[c] + (1 - momentum) * unbiased;
        }
    }
};

/* The numbers of one group of one image: block i has image i / groups, group i % groups. */
template <class T> struct group {
    mat<T> x;
    int width, groups;

    __device__ int count() const
    {
        return x.plane * width;
    }
    __device__ int row(int k) const
    {
        return blockIdx.x / groups * x.plane + k / width;
    }
    __device__ int col(int k) const
    {
        return blockIdx.x % groups * width + k % width;
    }
};

template <class T> __global__ void group_stats_kernel(group<T> g, float eps, float *stats)
{
    __shared__ float shared[WARP];
    float sum = 0, squares = 0;

    for (int k = threadIdx.x; k < g.count(); k += THREADS) {
        sum += load<1>(g.x, g.row(k), g.col(k)).v[0];
    }
    const float mean = block_sum(sum, shared) / g.count();
    for (int k = threadIdx.x; k < g.count(); k += THREADS) {
        const float d = load<1>(g.x, g.row(k), g.col(k)).v[0] - mean;
        squares += d * d;
    }
    squares = block_sum(squares, shared);
    if (threadIdx.x == 0) {
        stats[2 * blockIdx.x] = mean;
        stats[2 * blockIdx.x + 1] = 1 / sqrtf(squares / g.count() + eps);
    }
}

static void find_stats(struct cuda *cu, struct view x, int groups, real eps, real momentum,
                       real *run_mean, real *run_var, real *stats)
{
    if (groups > 0) {
        BY_TYPE(x, const group<T> g = {mat_of<T>(x), x.c / groups, groups};
                LAUNCH(cu, x.n * groups, THREADS, group_stats_kernel<T>, g, eps, stats));
    } else {
        const store_stats finish = {eps, momentum, run_mean, run_var, stats};
        BY_TYPE(x, const auto m = mat_of<T>(x);
                column_sums<moments>(cu, 1, m.rows, m.c, packs(x), moments_of<T>{m}, finish));
    }
}

__global__ void norm_running_kernel(int c, float eps, const float *mean, const float *var,
                                    float *stats)
{
    const int i = blockIdx.x * THREADS + threadIdx.x;

    if (i < c) {
        stats[2 * i] = mean[i];
        stats[2 * i + 1] = 1 / sqrtf(var[i] + eps);
    }
}

static void cuda_norm_running(struct backend *be, int c, real eps, const real *mean,
                              const real *var, real *stats)
{
    struct cuda *cu = cuda_of(be);

    LAUNCH(cu, div_up(c, THREADS), THREADS, norm_running_kernel, c, eps, mean, var, stats);
}

/* What all passes over a norm's numbers know. width 0: statistics by channel. */
template <class T> struct norm_pass {
    mat<T> x;
    int width, groups;
    const float *stats, *gamma, *beta;
    enum act act;

    __device__ int set(int row, int col) const
    {
        return width == 0 ? col : row / x.plane * groups + col / width;
    }
    __device__ float normal(int row, int col, float v) const
    {
        const float *s = stats + 2 * (size_t)set(row, col);
        return (v - s[0]) * s[1];
    }
    /* The gradient before the activation. */
    __device__ float before_act(int col, float xhat, float dy) const
    {
        return act_slope_of_input(act, gamma[col] * xhat + beta[col]) * dy;
    }
};

template <class T>
static norm_pass<T> norm_of(struct view x, int groups, const real *stats, const real *gamma,
                            const real *beta, enum act act)
{
    return {mat_of<T>(x), groups > 0 ? x.c / groups : 0, groups, stats, gamma, beta, act};
}

template <class T> struct apply_norm {
    norm_pass<T> n;
    mat<T> y;

    template <int V> __device__ void at(int row, int col) const
    {
        pack<V> v = load<V>(n.x, row, col);
        for (int i = 0; i < V; i++) {
            const float xhat = n.normal(row, col + i, v.v[i]);
            v.v[i] = act_value(n.act, n.gamma[col + i] * xhat + n.beta[col + i]);
        }
        store<V>(y, row, col, v);
    }
};

static void cuda_norm_apply(struct backend *be, struct view x, int groups, const real *stats,
                            const real *gamma, const real *beta, enum act act, struct view y)
{
    struct cuda *cu = cuda_of(be);

    if (mat_fits(cu, x)) {
        BY_TYPE(x, const auto m = mat_of<T>(y);
                each(cu, m.rows, m.c, packs(x) && packs(y),
                     apply_norm<T>{norm_of<T>(x, groups, stats, gamma, beta, act), m}));
    }
}

static void cuda_norm_fwd(struct backend *be, struct view x, int groups, real eps, real momentum,
                          real *run_mean, real *run_var, real *stats, const real *gamma,
                          const real *beta, enum act act, struct view y)
{
    struct cuda *cu = cuda_of(be);

    if (mat_fits(cu, x)) {
        find_stats(cu, x, groups, eps, momentum, run_mean, run_var, stats);
        cuda_norm_apply(be, x, groups, stats, gamma, beta, act, y);
    }
}

/* a: of g, b: of g * xhat. */
template <class T> struct gradient_sums {
    norm_pass<T> n;
    mat<T> dy;

    template <int V> __device__ void add(int row, int col, sum2 *s) const
    {
        const pack<V> v = load<V>(n.x, row, col), d = load<V>(dy, row, col);
        for (int i = 0; i < V; i++) {
            const float xhat = n.normal(row, col + i, v.v[i]);
            const float g = n.before_act(col + i, xhat, d.v[i]);
            s[i].a += g;
            s[i].b += g * xhat;
        }
    }
};

/* means: of gamma*g and gamma*g*xhat for each channel; NULL where groups need others. */
struct store_gradients {
    const float *gamma;
    float *dgamma, *dbeta, *means;
    float count;

    __device__ void done(int, int c, const sum2 &s) const
    {
        dbeta[c] += s.a;
        dgamma[c] += s.b;
        if (means != NULL) {
            means[2 * c] = gamma[c] * s.a / count;
            means[2 * c + 1] = gamma[c] * s.b / count;
        }
    }
};

/* means: as store_gradients left them. */
template <class T> struct channel_gradient {
    norm_pass<T> n;
    mat<T> dy, dx;
    const float *means;
    float add;

    template <int V> __device__ void at(int row, int col) const
    {
        const pack<V> v = load<V>(n.x, row, col);
        pack<V> d = load<V>(dy, row, col);
        for (int i = 0; i < V; i++) {
            const int c = col + i;
            const float xhat = n.normal(row, c, v.v[i]);
            const float g = n.gamma[c] * n.before_act(c, xhat, d.v[i]);
            d.v[i] = n.stats[2 * c + 1] * (g - (means[2 * c] + xhat * means[2 * c + 1]));
        }
        store_scaled<V>(dx, row, col, add, d);
    }
};

template <class T>
__global__ void group_gradient_kernel(group<T> set, norm_pass<T> n, mat<T> dy, mat<T> dx, float add)
{
    __shared__ float shared[WARP];
    float sum = 0, sum_x = 0;

    for (int k = threadIdx.x; k < set.count(); k += THREADS) {
        const int row = set.row(k), c = set.col(k);
        const float xhat = n.normal(row, c, load<1>(n.x, row, c).v[0]);
        const float g = n.gamma[c] * n.before_act(c, xhat, load<1>(dy, row, c).v[0]);
        sum += g;
        sum_x += g * xhat;
    }
    const float mean = block_sum(sum, shared) / set.count();
    const float mean_x = block_sum(sum_x, shared) / set.count();
    for (int k = threadIdx.x; k < set.count(); k += THREADS) {
        const int row = set.row(k), c = set.col(k);
        const float xhat = n.normal(row, c, load<1>(n.x, row, c).v[0]);
        pack<1> d = load<1>(dy, row, c);
        const float g = n.gamma[c] * n.before_act(c, xhat, d.v[0]);
        d.v[0] = n.stats[2 * blockIdx.x + 1] * (g - (mean + xhat * mean_x));
        store_scaled<1>(dx, row, c, add, d);
    }
}

template <class T>
static void norm_gradient(struct cuda *cu, const norm_pass<T> &n, struct view dy, float add,
                          struct view dx, float *dgamma, float *dbeta, bool packed)
{
    const mat<T> mdy = mat_of<T>(dy), mdx = mat_of<T>(dx);
    const bool by_group = n.width > 0;
    const store_gradients finish = {n.gamma, dgamma, dbeta, by_group ? NULL : cu->result,
                                    (float)n.x.rows};

    column_sums<sum2>(cu, 1, n.x.rows, n.x.c, packed, gradient_sums<T>{n, mdy}, finish);
    if (dx.p == NULL) {
        return;
    }
    if (by_group) {
        const group<T> set = {n.x, n.width, n.groups};
        LAUNCH(cu, dy.n * n.groups, THREADS, group_gradient_kernel<T>, set, n, mdy, mdx, add);
    } else {
        each(cu, n.x.rows, n.x.c, packed, channel_gradient<T>{n, mdy, mdx, cu->result, add});
    }
}

static void cuda_norm_bwd(struct backend *be, struct view x, int groups, const real *stats,
                          const real *gamma, const real *beta, enum act act, struct view dy,
                          real add, struct view dx, real *dgamma, real *dbeta)
{
    struct cuda *cu = cuda_of(be);
    const bool packed = packs(x) && packs(dy) && packs(dx);

    if (2 * (size_t)x.c > cu->result_count) {
        cuda_fail(cu, "a norm of too many channels");
    } else if (mat_fits(cu, x)) {
        BY_TYPE(x, norm_gradient<T>(cu, norm_of<T>(x, groups, stats, gamma, beta, act), dy, add, dx,
                                    dgamma, dbeta, packed));
    }
}

void cuda_norm_entries(struct backend_ops *ops)
{
    ops->norm_fwd = cuda_norm_fwd;
    ops->norm_running = cuda_norm_running;
    ops->norm_apply = cuda_norm_apply;
    ops->norm_bwd = cuda_norm_bwd;
}
