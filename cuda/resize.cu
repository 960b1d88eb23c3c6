/*
 * resize.cu - nearest and bilinear. Where an output pixel reads is exact: its centre in the input,
 * (2*i + 1) * in / (2 * out) - 1/2, is a fraction of integers. Backward gathers over the outputs
 * that may read a pixel.
 */
#include "kernel.cuh"

/* Along one axis: y[i] = (1 - t) * x[a] + t * x[b]. */
struct tap {
    int a, b;
    float t;
};

__device__ static tap tap_at(bool bilinear, int i, int in, int out)
{
    if (!bilinear) {
        const int a = (int)((int64_t)i * in / out);
        return {a, a, 0};
    }
    const int64_t centre = max((2 * (int64_t)i + 1) * in - out, (int64_t)0);
    const int whole = (int)(centre / (2 * out)), rest = (int)(centre % (2 * out));
    if (whole >= in - 1) {
        return {in - 1, in - 1, 0};
    }
    return {whole, whole + 1, (float)rest / (float)(2 * out)};
}

/* How much output i takes from input pixel a. */
__device__ static float share(bool bilinear, int i, int a, int in, int out)
{
    const tap t = tap_at(bilinear, i, in, out);
    return (t.a == a ? 1 - t.t : 0) + (t.b == a ? t.t : 0);
}

/* The first output that may read pixel a, and the one behind the last. */
struct readers {
    int from, to;
};

__device__ static readers readers_of(bool bilinear, int a, int in, int out)
{
    const int reach = bilinear ? 1 : 0;
    const int64_t from = (int64_t)(a - reach) * out / in, to = (int64_t)(a + 1 + reach) * out / in;
    return {(int)max(from, (int64_t)0), (int)min(to + 1, (int64_t)out)};
}

template <class T> struct resize_forward {
    bool bilinear;
    int h, w, oh, ow;
    mat<T> x, y;

    template <int V> __device__ void at(int row, int col) const
    {
        const int image = row / y.plane, i = row % y.plane, first = image * x.plane;
        const tap v = tap_at(bilinear, i / ow, h, oh), u = tap_at(bilinear, i % ow, w, ow);
        pack<V> out = load<V>(x, first + v.a * w + u.a, col);
        if (bilinear) {
            const pack<V> ab = load<V>(x, first + v.a * w + u.b, col);
            const pack<V> ba = load<V>(x, first + v.b * w + u.a, col);
            const pack<V> bb = load<V>(x, first + v.b * w + u.b, col);
            for (int k = 0; k < V; k++) {
                out.v[k] = (1 - v.t) * ((1 - u.t) * out.v[k] + u.t * ab.v[k]) +
                           v.t * ((1 - u.t) * ba.v[k] + u.t * bb.v[k]);
            }
        }
        store<V>(y, row, col, out);
    }
};

static void cuda_resize_fwd(struct backend *be, bool bilinear, struct view x, struct view y)
{
    struct cuda *cu = cuda_of(be);

    if (mat_fits(cu, x) && mat_fits(cu, y)) {
        BY_TYPE(x, const auto m = mat_of<T>(y);
                each(cu, m.rows, m.c, packs(x) && packs(y),
                     resize_forward<T>{bilinear, x.h, x.w, y.h, y.w, mat_of<T>(x), m}));
    }
}

template <class T> struct resize_backward {
    bool bilinear;
    int h, w, oh, ow;
    mat<T> dy, dx;
    float beta;

    template <int V> __device__ void at(int row, int col) const
    {
        const int image = row / dx.plane, ph = row % dx.plane / w, pw = row % dx.plane % w;
        const readers v = readers_of(bilinear, ph, h, oh), u = readers_of(bilinear, pw, w, ow);
        pack<V> sum = {};
        for (int p = v.from; p < v.to; p++) {
            const float share_h = share(bilinear, p, ph, h, oh);
            for (int q = u.from; share_h != 0 && q < u.to; q++) {
                const float k = share_h * share(bilinear, q, pw, w, ow);
                if (k != 0) {
                    const pack<V> g = load<V>(dy, image * dy.plane + p * ow + q, col);
                    for (int j = 0; j < V; j++) {
                        sum.v[j] += k * g.v[j];
                    }
                }
            }
        }
        store_scaled<V>(dx, row, col, beta, sum);
    }
};

static void cuda_resize_bwd(struct backend *be, bool bilinear, struct view dy, real beta,
                            struct view dx)
{
    struct cuda *cu = cuda_of(be);

    if (mat_fits(cu, dx) && mat_fits(cu, dy)) {
        BY_TYPE(dx, const auto m = mat_of<T>(dx);
                each(cu, m.rows, m.c, packs(dy) && packs(dx),
                     resize_backward<T>{bilinear, dx.h, dx.w, dy.h, dy.w, mat_of<T>(dy), m, beta}));
    }
}

void cuda_resize_entries(struct backend_ops *ops)
{
    ops->resize_fwd = cuda_resize_fwd;
    ops->resize_bwd = cuda_resize_bwd;
}
