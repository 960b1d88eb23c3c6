/*
 * pool.cu - max and average pooling. Backward passes gather: each pixel of dx looks at the windows
 * that hold it, in their order, so that no two threads write one number.
 */
#include "kernel.cuh"
#include "sums.cuh"

/* Windows that are clipped to a picture of h x w; the outputs are oh x ow. */
struct windows {
    int size, stride, pad, h, w, oh, ow;
};

static struct windows windows_of(const struct pool_desc *d, struct view x, struct view y)
{
    return {d->size, d->stride, d->pad, x.h, x.w, y.h, y.w};
}

/* Half open, maybe empty. */
struct span {
    int from, to;
};

/* The pixels of window i along an axis. */
__device__ static span pixels_of(const windows &d, int i, int size)
{
    const int from = i * d.stride - d.pad;
    return {max(from, 0), min(from + d.size, size)};
}

/* The windows that hold pixel i along an axis with n of them. */
__device__ static span windows_with(const windows &d, int i, int n)
{
    const int last = (i + d.pad) / d.stride, before = i + d.pad - d.size;
    return {before < 0 ? 0 : before / d.stride + 1, min(last + 1, n)};
}

template <class T> struct max_forward {
    windows d;
    mat<T> x, y;
    mat<float> argmax;

    template <int V> __device__ void at(int row, int col) const
    {
        const int image = row / y.plane, i = row % y.plane;
        const span h = pixels_of(d, i / d.ow, d.h), w = pixels_of(d, i % d.ow, d.w);
        pack<V> most, where;
        for (int k = 0; k < V; k++) {
            most.v[k] = 0;
            where.v[k] = -1;
        }
        for (int p = h.from; p < h.to; p++) {
            for (int q = w.from; q < w.to; q++) {
                const int pixel = p * d.w + q;
                const pack<V> v = load<V>(x, image * x.plane + pixel, col);
                for (int k = 0; k < V; k++) {
                    const bool number = v.v[k] == v.v[k], had_number = most.v[k] == most.v[k];
                    if (where.v[k] < 0 || v.v[k] > most.v[k] || (!number && had_number)) {
                        most.v[k] = v.v[k];
                        where.v[k] = (float)pixel;
                    }
                }
            }
        }
        store<V>(y, row, col, most);
        if (argmax.p != NULL) {
            store<V>(argmax, row, col, where);
        }
    }
};

static void cuda_maxpool_fwd(struct backend *be, const struct pool_desc *d, struct view x,
                             struct view y, struct view argmax)
{
    struct cuda *cu = cuda_of(be);

    if (mat_fits(cu, x) && mat_fits(cu, y)) {
        BY_TYPE(x, const auto m = mat_of<T>(y);
                each(cu, m.rows, m.c, packs(x) && packs(y) && packs(argmax),
                     max_forward<T>{windows_of(d, x, y), mat_of<T>(x), m, mat_of<float>(argmax)}));
    }
}

template <class T> struct max_backward {
    windows d;
    mat<float> argmax;
    mat<T> dy, dx;
    float beta;

    template <int V> __device__ void at(int row, int col) const
    {
        const int image = row / dx.plane, pixel = row % dx.plane;
        const span h = windows_with(d, pixel / d.w, d.oh), w = windows_with(d, pixel % d.w, d.ow);
        pack<V> sum = {};
        for (int p = h.from; p < h.to; p++) {
            for (int q = w.from; q < w.to; q++) {
                const int out = image * dy.plane + p * d.ow + q;
                const pack<V> where = load<V>(argmax, out, col), g = load<V>(dy, out, col);
                for (int k = 0; k < V; k++) {
                    sum.v[k] += (int)where.v[k] == pixel ? g.v[k] : 0;
                }
            }
        }
        store_scaled<V>(dx, row, col, beta, sum);
    }
};

static void cuda_maxpool_bwd(struct backend *be, const struct pool_desc *d, struct view argmax,
                             struct view dy, real beta, struct view dx)
{
    struct cuda *cu = cuda_of(be);

    if (mat_fits(cu, dx) && mat_fits(cu, dy)) {
        BY_TYPE(dx, const auto m = mat_of<T>(dx);
                each(cu, m.rows, m.c, packs(argmax) && packs(dy) && packs(dx),
                     max_backward<T>{windows_of(d, dx, dy), mat_of<float>(argmax), mat_of<T>(dy), m,
                                     beta}));
    }
}

template <class T> struct average_forward {
    windows d;
    mat<T> x, y;

    template <int V> __device__ void at(int row, int col) const
    {
        const int image = row / y.plane, i = row % y.plane;
        const span h = pixels_of(d, i / d.ow, d.h), w = pixels_of(d, i % d.ow, d.w);
        const int count = (h.to - h.from) * (w.to - w.from);
        pack<V> sum = {};
        for (int p = h.from; p < h.to; p++) {
            for (int q = w.from; q < w.to; q++) {
                const pack<V> v = load<V>(x, image * x.plane + p * d.w + q, col);
                for (int k = 0; k < V; k++) {
                    sum.v[k] += v.v[k];
                }
            }
        }
        for (int k = 0; k < V; k++) {
            sum.v[k] = count > 0 ? sum.v[k] / count : 0;
        }
        store<V>(y, row, col, sum);
    }
};

/* The average over whole pictures is a sum down columns. */
template <class T> struct pixel_sum {
    mat<T> x;

    template <int V> __device__ void add(int row, int col, sum1 *s) const
    {
        const pack<V> v = load<V>(x, row, col);
        for (int i = 0; i < V; i++) {
            s[i].a += v.v[i];
        }
    }
};

template <class T> struct store_average {
    mat<T> y;
    float count;

    __device__ void done(int image, int col, const sum1 &s) const
    {
        pack<1> v;
        v.v[0] = s.a / count;
        store<1>(y, image, col, v);
    }
};

static bool is_whole(const struct pool_desc *d, struct view x, struct view y)
{
    return y.h == 1 && y.w == 1 && d->size - d->pad >= x.h && d->size - d->pad >= x.w;
}

static void cuda_avgpool_fwd(struct backend *be, const struct pool_desc *d, struct view x,
                             struct view y)
{
    struct cuda *cu = cuda_of(be);

    if (!mat_fits(cu, x) || !mat_fits(cu, y)) {
        return;
    }
    if (is_whole(d, x, y)) {
        BY_TYPE(x, const auto m = mat_of<T>(x);
                column_sums<sum1>(cu, x.n, m.plane, m.c, packs(x), pixel_sum<T>{m},
                                  store_average<T>{mat_of<T>(y), (float)m.plane}));
    } else {
        BY_TYPE(x, const auto m = mat_of<T>(y);
                each(cu, m.rows, m.c, packs(x) && packs(y),
                     average_forward<T>{windows_of(d, x, y), mat_of<T>(x), m}));
    }
}

template <class T> struct average_backward {
    windows d;
    mat<T> dy, dx;
    float beta;

    template <int V> __device__ void at(int row, int col) const
    {
        const int image = row / dx.plane, pixel = row % dx.plane;
        const span h = windows_with(d, pixel / d.w, d.oh), w = windows_with(d, pixel % d.w, d.ow);
        pack<V> sum = {};
        for (int p = h.from; p < h.to; p++) {
            for (int q = w.from; q < w.to; q++) {
                const span ph = pixels_of(d, p, d.h), pw = pixels_of(d, q, d.w);
                const float count = (float)((ph.to - ph.from) * (pw.to - pw.from));
                const pack<V> g = load<V>(dy, image * dy.plane + p * d.ow + q, col);
                for (int k = 0; k < V; k++) {
                    sum.v[k] += g.v[k] / count;
                }
            }
        }
        store_scaled<V>(dx, row, col, beta, sum);
    }
};

static void cuda_avgpool_bwd(struct backend *be, const struct pool_desc *d, struct view dy,
                             real beta, struct view dx)
{
    struct cuda *cu = cuda_of(be);

    if (mat_fits(cu, dx) && mat_fits(cu, dy)) {
        BY_TYPE(dx, const auto m = mat_of<T>(dx);
                each(cu, m.rows, m.c, packs(dy) && packs(dx),
                     average_backward<T>{windows_of(d, dx, dy), mat_of<T>(dy), m, beta}));
    }
}

void cuda_pool_entries(struct backend_ops *ops)
{
    ops->maxpool_fwd = cuda_maxpool_fwd;
    ops->maxpool_bwd = cuda_maxpool_bwd;
    ops->avgpool_fwd = cuda_avgpool_fwd;
    ops->avgpool_bwd = cuda_avgpool_bwd;
}
