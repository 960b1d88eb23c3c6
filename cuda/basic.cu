/*
 * basic.cu - what works number by number: fill, copy, add, activations, scale by channel, dropout,
 * affine; and sums by channel.
 */
#include "act.cuh"
#include "kernel.cuh"
#include "random.cuh"
#include "sums.cuh"

template <class T> struct fill_numbers {
    mat<T> y;
    float value;

    template <int V> __device__ void at(int row, int col) const
    {
        pack<V> v;
        for (int i = 0; i < V; i++) {
            v.v[i] = value;
        }
        store<V>(y, row, col, v);
    }
};

static void cuda_fill(struct backend *be, struct view y, real value)
{
    struct cuda *cu = cuda_of(be);

    if (mat_fits(cu, y)) {
        BY_TYPE(y, const auto m = mat_of<T>(y);
                each(cu, m.rows, m.c, packs(y), fill_numbers<T>{m, value}));
    }
}

template <class X, class Y> struct copy_numbers {
    mat<X> x;
    mat<Y> y;
    float beta;

    template <int V> __device__ void at(int row, int col) const
    {
        store_scaled<V>(y, row, col, beta, load<V>(x, row, col));
    }
};

static void cuda_copy(struct backend *be, struct view x, real beta, struct view y)
{
    struct cuda *cu = cuda_of(be);

    if (mat_fits(cu, y)) {
        BY_TYPE(x, const auto mx = mat_of<T>(x); using X = T;
                BY_TYPE(y, const auto m = mat_of<T>(y); each(cu, m.rows, m.c, packs(x) && packs(y),
                                                             copy_numbers<X, T>{mx, m, beta})));
    }
}

template <class T> struct add_numbers {
    enum act act;
    mat<T> a, b, y;

    template <int V> __device__ void at(int row, int col) const
    {
        pack<V> v = load<V>(a, row, col);
        const pack<V> w = load<V>(b, row, col);
        for (int i = 0; i < V; i++) {
            v.v[i] = act_value(act, v.v[i] + w.v[i]);
        }
        store<V>(y, row, col, v);
    }
};

static void cuda_add(struct backend *be, enum act act, struct view a, struct view b, struct view y)
{
    struct cuda *cu = cuda_of(be);
    const bool packed = packs(a) && packs(b) && packs(y);

    if (mat_fits(cu, y)) {
        BY_TYPE(y, const auto m = mat_of<T>(y);
                each(cu, m.rows, m.c, packed, add_numbers<T>{act, mat_of<T>(a), mat_of<T>(b), m}));
    }
}

template <class T> struct act_forward {
    enum act act;
    mat<T> x, y;

    template <int V> __device__ void at(int row, int col) const
    {
        pack<V> v = load<V>(x, row, col);
        for (int i = 0; i < V; i++) {
            v.v[i] = act_value(act, v.v[i]);
        }
        store<V>(y, row, col, v);
    }
};

static void cuda_act_fwd(struct backend *be, enum act act, struct view x, struct view y)
{
    struct cuda *cu = cuda_of(be);

    if (mat_fits(cu, y)) {
        BY_TYPE(y, const auto m = mat_of<T>(y);
                each(cu, m.rows, m.c, packs(x) && packs(y), act_forward<T>{act, mat_of<T>(x), m}));
    }
}

/* known: y where the slope follows from it, else x; p is NULL where it is 1 anyway. */
template <class T> struct act_backward {
    enum act act;
    bool from_output;
    mat<T> known, dy, dx;
    float beta;

    template <int V> __device__ void at(int row, int col) const
    {
        pack<V> g = load<V>(dy, row, col);
        if (known.p != NULL) {
            const pack<V> k = load<V>(known, row, col);
            for (int i = 0; i < V; i++) {
                g.v[i] *= from_output ? act_slope_of_output(act, k.v[i])
                                      : act_slope_of_input(act, k.v[i]);
            }
        }
        store_scaled<V>(dx, row, col, beta, g);
    }
};

static void cuda_act_bwd(struct backend *be, enum act act, struct view x, struct view y,
                         struct view dy, real beta, struct view dx)
{
    struct cuda *cu = cuda_of(be);
    const bool from_output = act_from_output(act);
    struct view known = from_output ? y : x;

    if (act == ACT_LINEAR) {
        known.p = NULL;
    }
    if (mat_fits(cu, dx)) {
        BY_TYPE(dx, const auto m = mat_of<T>(dx);
                each(cu, m.rows, m.c, packs(known) && packs(dy) && packs(dx),
                     act_backward<T>{act, from_output, mat_of<T>(known), mat_of<T>(dy), m, beta}));
    }
}

/* y = beta*y + x * s[image]. */
template <class T> struct scale_channels {
    mat<T> x, s, y;
    float beta;

    template <int V> __device__ void at(int row, int col) const
    {
        pack<V> v = load<V>(x, row, col);
        const pack<V> k = load<V>(s, row / x.plane, col);
        for (int i = 0; i < V; i++) {
            v.v[i] *= k.v[i];
        }
        store_scaled<V>(y, row, col, beta, v);
    }
};

static void scale(struct cuda *cu, struct view x, struct view s, float beta, struct view y)
{
    if (mat_fits(cu, y)) {
        BY_TYPE(y, const auto m = mat_of<T>(y);
                each(cu, m.rows, m.c, packs(x) && packs(s) && packs(y),
                     scale_channels<T>{mat_of<T>(x), mat_of<T>(s), m, beta}));
    }
}

static void cuda_mul_channel_fwd(struct backend *be, struct view x, struct view s, struct view y)
{
    scale(cuda_of(be), x, s, 0, y);
}

/* Sums of x * dy over an image's pixels, for each channel. */
template <class T> struct product_sum {
    mat<T> x, dy;

    template <int V> __device__ void add(int row, int col, sum1 *s) const
    {
        const pack<V> a = load<V>(x, row, col), b = load<V>(dy, row, col);
        for (int i = 0; i < V; i++) {
            s[i].a += a.v[i] * b.v[i];
        }
    }
};

/* out[image, channel] = beta*out + factor * sum. */
template <class T> struct store_sums {
    mat<T> out;
    float beta, factor;

    __device__ void done(int image, int col, const sum1 &s) const
    {
        pack<1> v;
        v.v[0] = factor * s.a;
        store_scaled<1>(out, image, col, beta, v);
    }
};

static void cuda_mul_channel_bwd(struct backend *be, struct view x, struct view s, struct view dy,
                                 real beta_x, struct view dx, real beta_s, struct view ds)
{
    struct cuda *cu = cuda_of(be);

    if (ds.p != NULL && mat_fits(cu, x)) {
        BY_TYPE(x, column_sums<sum1>(cu, x.n, x.h * x.w, x.c, packs(x) && packs(dy),
                                     product_sum<T>{mat_of<T>(x), mat_of<T>(dy)},
                                     store_sums<T>{mat_of<T>(ds), beta_s, 1}));
    }
    if (dx.p != NULL) {
        scale(cu, dy, s, beta_x, dx);
    }
}

/* key: of the pass, on the device. Drops a number when its random one is under `least`; the others
 * are multiplied by gain. */
template <class T> struct dropout_numbers {
    const uint64_t *key;
    uint64_t node, least;
    float gain, beta;
    mat<T> x, y;

    template <int V> __device__ void at(int row, int col) const
    {
        const uint64_t image = row / x.plane, pixel = row % x.plane;
        const uint64_t drawn = random_key(*key, node);
        pack<V> v = load<V>(x, row, col);
        for (int i = 0; i < V; i++) {
            const uint64_t index = (image * x.c + (col + i)) * x.plane + pixel;
            v.v[i] = random_at(drawn, index + 1) >> 32 >= least ? v.v[i] * gain : 0;
        }
        store_scaled<V>(y, row, col, beta, v);
    }
};

static void cuda_dropout(struct backend *be, uint64_t node, real p, struct view x, real beta,
                         struct view y)
{
    struct cuda *cu = cuda_of(be);
    const double bound = (double)p * 0x1p32;
    const uint64_t whole = (uint64_t)bound, least = whole + ((double)whole < bound);

    if (mat_fits(cu, y)) {
        BY_TYPE(y, const auto m = mat_of<T>(y);
                each(cu, m.rows, m.c, packs(x) && packs(y),
                     dropout_numbers<T>{cu->key, node, least, 1 / (1 - p), beta, mat_of<T>(x), m}));
    }
}

template <class T> struct affine_numbers {
    const float *scale, *shift;
    enum act act;
    mat<T> x, y;

    template <int V> __device__ void at(int row, int col) const
    {
        pack<V> v = load<V>(x, row, col);
        for (int i = 0; i < V; i++) {
            const float k = scale != NULL ? scale[col + i] : 1;
            const float b = shift != NULL ? shift[col + i] : 0;
            v.v[i] = act_value(act, k * v.v[i] + b);
        }
        store<V>(y, row, col, v);
    }
};

static void cuda_affine(struct backend *be, const real *scale, const real *shift, enum act act,
                        struct view x, struct view y)
{
    struct cuda *cu = cuda_of(be);

    if (mat_fits(cu, y)) {
        BY_TYPE(y, const auto m = mat_of<T>(y);
                each(cu, m.rows, m.c, packs(x) && packs(y),
                     affine_numbers<T>{scale, shift, act, mat_of<T>(x), m}));
    }
}

template <class T> struct plain_sum {
    mat<T> x;

    template <int V> __device__ void add(int row, int col, sum1 *s) const
    {
        const pack<V> a = load<V>(x, row, col);
        for (int i = 0; i < V; i++) {
            s[i].a += a.v[i];
        }
    }
};

struct add_to_array {
    float *sum;

    __device__ void done(int, int col, const sum1 &s) const
    {
        sum[col] += s.a;
    }
};

static void cuda_channel_sum(struct backend *be, struct view x, real *sum)
{
    struct cuda *cu = cuda_of(be);

    if (mat_fits(cu, x)) {
        BY_TYPE(x, const auto m = mat_of<T>(x); column_sums<sum1>(
                    cu, 1, m.rows, m.c, packs(x), plain_sum<T>{m}, add_to_array{sum}));
    }
}

void cuda_basic_entries(struct backend_ops *ops)
{
    ops->fill = cuda_fill;
    ops->copy = cuda_copy;
    ops->add = cuda_add;
    ops->act_fwd = cuda_act_fwd;
    ops->act_bwd = cuda_act_bwd;
    ops->mul_channel_fwd = cuda_mul_channel_fwd;
    ops->mul_channel_bwd = cuda_mul_channel_bwd;
    ops->dropout = cuda_dropout;
    ops->affine = cuda_affine;
    ops->channel_sum = cuda_channel_sum;
}
