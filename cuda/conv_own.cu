/*
 * conv_own.cu - see conv_own.h. A thread makes one number of the result, neighbours in the channel;
 * for the gradient of the weight a warp makes one, its lanes along the pixels. Weights lie as
 * [k, kh, kw, c / groups].
 */
#include "conv_own.h"

#include "act.cuh"
#include "rowwise.cuh"

struct conv_shape {
    struct conv_desc d;
    int h, w, oh, ow;
    int in, out; /* channels of a group */
};

static struct conv_shape conv_shape_of(const struct conv_desc *d, struct view x, struct view y)
{
    return {*d, x.h, x.w, y.h, y.w, x.c / d->groups, y.c / d->groups};
}

/* Where tap k of output i reads, -1: outside. */
__device__ static int tap(const conv_desc &d, int i, int k, int size)
{
    const int at = i * d.stride - d.pad + k * d.dilation;
    return at >= 0 && at < size ? at : -1;
}

/* Which output reads pixel i at tap k, -1: none. */
__device__ static int reader(const conv_desc &d, int i, int k, int size)
{
    const int at = i + d.pad - k * d.dilation;
    return at >= 0 && at % d.stride == 0 && at / d.stride < size ? at / d.stride : -1;
}

template <class T> struct own_forward {
    conv_shape s;
    mat<T> x, add, y;
    const float *w, *bias;
    enum act act;

    template <int V> __device__ void at(int row, int o) const
    {
        const int image = row / y.plane, p = row % y.plane / s.ow, q = row % y.plane % s.ow;
        const int first = o / s.out * s.in;
        pack<1> sum = {bias != NULL ? bias[o] : 0};
        for (int k = 0; k < s.d.kh * s.d.kw; k++) {
            const int h = tap(s.d, p, k / s.d.kw, s.h), u = tap(s.d, q, k % s.d.kw, s.w);
            const float *pw = w + ((size_t)o * s.d.kh * s.d.kw + k) * s.in;
            for (int c = 0; h >= 0 && u >= 0 && c < s.in; c++) {
                sum.v[0] += pw[c] * load<1>(x, image * x.plane + h * s.w + u, first + c).v[0];
            }
        }
        if (add.p != NULL) {
            sum.v[0] += load<1>(add, row, o).v[0];
        }
        sum.v[0] = act_value(act, sum.v[0]);
        store<1>(y, row, o, sum);
    }
};

void conv_own_fwd(struct cuda *cu, const struct conv_desc *d, struct view x, const real *w,
                  const struct conv_tail *tail, struct view y)
{
    if (mat_fits(cu, x) && mat_fits(cu, y)) {
        BY_TYPE(x, const auto m = mat_of<T>(y);
                each(cu, m.rows, m.c, false,
                     own_forward<T>{conv_shape_of(d, x, y), mat_of<T>(x), mat_of<T>(tail->add), m,
                                    w, tail->bias, tail->act}));
    }
}

template <class T> struct own_backward_data {
    conv_shape s;
    mat<T> dy, dx;
    const float *w;
    float beta;

    template <int V> __device__ void at(int row, int c) const
    {
        const int image = row / dx.plane, h = row % dx.plane / s.w, u = row % dx.plane % s.w;
        const int first = c / s.in * s.out, taps = s.d.kh * s.d.kw;
        pack<1> sum = {0};
        for (int k = 0; k < taps; k++) {
            const int p = reader(s.d, h, k / s.d.kw, s.oh), q = reader(s.d, u, k % s.d.kw, s.ow);
            for (int o = first; p >= 0 && q >= 0 && o < first + s.out; o++) {
                sum.v[0] += w[((size_t)o * taps + k) * s.in + c % s.in] *
                            load<1>(dy, image * dy.plane + p * s.ow + q, o).v[0];
            }
        }
        store_scaled<1>(dx, row, c, beta, sum);
    }
};

void conv_own_bwd_data(struct cuda *cu, const struct conv_desc *d, const real *w, struct view dy,
                       real beta, struct view dx)
{
    if (mat_fits(cu, dx) && mat_fits(cu, dy)) {
        BY_TYPE(dx, const auto m = mat_of<T>(dx);
                each(cu, m.rows, m.c, false,
                     own_backward_data<T>{conv_shape_of(d, dx, dy), mat_of<T>(dy), m, w, beta}));
    }
}

/* Row i: weight number i in the order of memory. */
template <class T> struct own_backward_weight {
    conv_shape s;
    mat<T> x, dy;
    float *dw;

    __device__ void row(int i, int lane) const
    {
        const int c = i % s.in, taps = s.d.kh * s.d.kw, k = i / s.in % taps, o = i / s.in / taps;
        float sum = 0;
        for (int at = lane; at < dy.rows; at += WARP) {
            const int image = at / dy.plane, pixel = at % dy.plane;
            const int h = tap(s.d, pixel / s.ow, k / s.d.kw, s.h);
            const int u = tap(s.d, pixel % s.ow, k % s.d.kw, s.w);
            if (h >= 0 && u >= 0) {
                sum += load<1>(dy, at, o).v[0] *
                       load<1>(x, image * x.plane + h * s.w + u, o / s.out * s.in + c).v[0];
            }
        }
        sum = warp_sum(sum);
        if (lane == 0) {
            dw[i] += sum;
        }
    }
};

void conv_own_bwd_weight(struct cuda *cu, const struct conv_desc *d, struct view x, struct view dy,
                         real *dw)
{
    if (mat_fits(cu, x) && mat_fits(cu, dy)) {
        BY_TYPE(x, const conv_shape s = conv_shape_of(d, x, dy);
                each_row(cu, dy.c * d->kh * d->kw * s.in,
                         own_backward_weight<T>{s, mat_of<T>(x), mat_of<T>(dy), dw}));
    }
}
