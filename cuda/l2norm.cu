/*
 * l2norm.cu - each pixel's channels divided by their length, times a learned scale (ParseNet, Liu
 * 2015). With inv = 1 / length: dx = inv * scale*dy - inv^3 * x * sum over c of scale*dy*x, and
 * dscale = sum over pixels of x*dy*inv.
 */
#include "rowwise.cuh"
#include "sums.cuh"

template <class T>
__device__ static float inverse_length(const mat<T> &x, int row, int lane, float eps)
{
    float sum = 0;

    for (int c = lane; c < x.c; c += WARP) {
        const float v = load<1>(x, row, c).v[0];
        sum += v * v;
    }
    return 1 / sqrtf(eps + warp_sum(sum));
}

template <class T> struct l2_forward {
    mat<T> x, y;
    const float *scale;
    float eps;

    __device__ void row(int row, int lane) const
    {
        const float inv = inverse_length(x, row, lane, eps);
        for (int c = lane; c < x.c; c += WARP) {
            pack<1> v = load<1>(x, row, c);
            v.v[0] *= scale[c] * inv;
            store<1>(y, row, c, v);
        }
    }
};

static void cuda_l2norm_fwd(struct backend *be, struct view x, const real *scale, real eps,
                            struct view y)
{
    struct cuda *cu = cuda_of(be);

    if (mat_fits(cu, x)) {
        BY_TYPE(x, const auto m = mat_of<T>(x);
                each_row(cu, m.rows, l2_forward<T>{m, mat_of<T>(y), scale, eps}));
    }
}

/* Leaves 1 / length of each row of the strip in inv. dx.p may be NULL. */
template <class T> struct l2_backward {
    mat<T> x, dy, dx;
    const float *scale;
    float eps, beta, *inv;
    int first; /* row of the strip */

    __device__ void row(int i, int lane) const
    {
        const int row = first + i;
        const float k = inverse_length(x, row, lane, eps);
        float dot = 0;
        for (int c = lane; c < x.c; c += WARP) {
            dot += scale[c] * load<1>(x, row, c).v[0] * load<1>(dy, row, c).v[0];
        }
        dot = warp_sum(dot) * k * k * k;
        for (int c = lane; dx.p != NULL && c < x.c; c += WARP) {
            pack<1> g = load<1>(dy, row, c);
            g.v[0] = scale[c] * g.v[0] * k - load<1>(x, row, c).v[0] * dot;
            store_scaled<1>(dx, row, c, beta, g);
        }
        if (lane == 0) {
            inv[i] = k;
        }
    }
};

template <class T> struct l2_scale_sum {
    mat<T> x, dy;
    const float *inv;
    int first;

    template <int V> __device__ void add(int i, int col, sum1 *s) const
    {
        const pack<V> a = load<V>(x, first + i, col), b = load<V>(dy, first + i, col);
        const float k = inv[i];
        for (int j = 0; j < V; j++) {
            s[j].a += a.v[j] * b.v[j] * k;
        }
    }
};

struct add_scale {
    float *dscale;

    __device__ void done(int, int c, const sum1 &s) const
    {
        dscale[c] += s.a;
    }
};

static void cuda_l2norm_bwd(struct backend *be, struct view x, const real *scale, real eps,
                            struct view dy, real beta, struct view dx, real *dscale)
{
    struct cuda *cu = cuda_of(be);
    const int strip = (int)cu->result_count;

    if (!mat_fits(cu, x)) {
        return;
    }
    for (int first = 0; first < x.n * x.h * x.w; first += strip) {
        const int rows = smaller(x.n * x.h * x.w - first, strip);
        BY_TYPE(x, const auto mx = mat_of<T>(x); const auto mdy = mat_of<T>(dy); each_row(
                    cu, rows,
                    l2_backward<T>{mx, mdy, mat_of<T>(dx), scale, eps, beta, cu->result, first});
                column_sums<sum1>(cu, 1, rows, x.c, packs(x) && packs(dy),
                                  l2_scale_sum<T>{mx, mdy, cu->result, first}, add_scale{dscale}));
    }
}

void cuda_l2norm_entries(struct backend_ops *ops)
{
    ops->l2norm_fwd = cuda_l2norm_fwd;
    ops->l2norm_bwd = cuda_l2norm_bwd;
}
