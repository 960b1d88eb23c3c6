/*
 * plain_pool.c - reference loops of max and average pooling and of resizing.
 */
#include "plain.h"

#include "resample.h"

/* The window of one output pixel, clipped to the picture: half open, maybe empty. */
struct window {
    int h0, h1, w0, w1;
};

static int clipped(int64_t v, int max)
{
    return v < 0 ? 0 : v > max ? max : (int)v;
}

static struct window window_at(const struct pool_desc *d, struct view x, int p, int q)
{
    const int64_t top = (int64_t)p * d->stride - d->pad, left = (int64_t)q * d->stride - d->pad;

    return (struct window){clipped(top, x.h), clipped(top + d->size, x.h), clipped(left, x.w),
                           clipped(left + d->size, x.w)};
}

/* Index of the first maximum, NaN being larger than all; -1 for an empty window. */
static int window_max(struct window win, const real *px, int width)
{
    int best = -1;

    for (int h = win.h0; h < win.h1; h++) {
        for (int w = win.w0; w < win.w1; w++) {
            const int i = h * width + w;
            if (best < 0 || px[i] > px[best] || (px[i] != px[i] && px[best] == px[best])) {
                best = i;
            }
        }
    }
    return best;
}

static void plain_maxpool_fwd(struct backend *be, const struct pool_desc *d, struct view x,
                              struct view y, struct view argmax)
{
    (void)be;
    for (int n = 0; n < y.n; n++) {
        for (int c = 0; c < y.c; c++) {
            const real *px = view_at(x, n, c);
            for (int i = 0; i < y.h * y.w; i++) {
                const int best = window_max(window_at(d, x, i / y.w, i % y.w), px, x.w);
                view_at(y, n, c)[i] = best < 0 ? 0 : px[best];
                if (argmax.p) {
                    view_at(argmax, n, c)[i] = (real)best;
                }
            }
        }
    }
}

static void plain_maxpool_bwd(struct backend *be, const struct pool_desc *d, struct view argmax,
                              struct view dy, real beta, struct view dx)
{
    (void)d;
    if (beta == 0) {
        be->ops->fill(be, dx, 0);
    }
    for (int n = 0; n < dy.n; n++) {
        for (int c = 0; c < dy.c; c++) {
            const real *index = view_at(argmax, n, c), *pdy = view_at(dy, n, c);
            real *pdx = view_at(dx, n, c);
            for (size_t i = 0; i < view_plane(dy); i++) {
                if (index[i] >= 0) {
                    pdx[(size_t)index[i]] += pdy[i];
                }
            }
        }
    }
}

static void plain_avgpool_fwd(struct backend *be, const struct pool_desc *d, struct view x,
                              struct view y)
{
    (void)be;
    for (int n = 0; n < y.n; n++) {
        for (int c = 0; c < y.c; c++) {
            const real *px = view_at(x, n, c);
            for (int i = 0; i < y.h * y.w; i++) {
                const struct window win = window_at(d, x, i / y.w, i % y.w);
                const int count = (win.h1 - win.h0) * (win.w1 - win.w0);
                double sum = 0;
                for (int k = 0; k < count; k++) {
                    const int h = win.h0 + k / (win.w1 - win.w0);
                    sum += (double)px[h * x.w + win.w0 + k % (win.w1 - win.w0)];
                }
                view_at(y, n, c)[i] = count > 0 ? (real)(sum / count) : 0;
            }
        }
    }
}

static void plain_avgpool_bwd(struct backend *be, const struct pool_desc *d, struct view dy,
                              real beta, struct view dx)
{
    if (beta == 0) {
        be->ops->fill(be, dx, 0);
    }
    for (int n = 0; n < dy.n; n++) {
        for (int c = 0; c < dy.c; c++) {
            real *pdx = view_at(dx, n, c);
            for (int i = 0; i < dy.h * dy.w; i++) {
                const struct window win = window_at(d, dx, i / dy.w, i % dy.w);
                const int count = (win.h1 - win.h0) * (win.w1 - win.w0);
                for (int k = 0; k < count; k++) {
                    const int h = win.h0 + k / (win.w1 - win.w0);
                    pdx[h * dx.w + win.w0 + k % (win.w1 - win.w0)] +=
                        view_at(dy, n, c)[i] / (real)count;
                }
            }
        }
    }
}

static struct resample_tap tap_at(bool bilinear, int i, int in, int out)
{
    return bilinear ? resample_bilinear(i, in, out) : resample_nearest(i, in, out);
}

static void plain_resize_fwd(struct backend *be, bool bilinear, struct view x, struct view y)
{
    (void)be;
    for (int n = 0; n < y.n; n++) {
        for (int c = 0; c < y.c; c++) {
            const real *px = view_at(x, n, c);
            for (int i = 0; i < y.h * y.w; i++) {
                const struct resample_tap v = tap_at(bilinear, i / y.w, x.h, y.h);
                const struct resample_tap u = tap_at(bilinear, i % y.w, x.w, y.w);
                const real *top = px + v.a * x.w, *bottom = px + v.b * x.w;
                view_at(y, n, c)[i] = (1 - v.t) * ((1 - u.t) * top[u.a] + u.t * top[u.b]) +
                                      v.t * ((1 - u.t) * bottom[u.a] + u.t * bottom[u.b]);
            }
        }
    }
}

static void plain_resize_bwd(struct backend *be, bool bilinear, struct view dy, real beta,
                             struct view dx)
{
    if (beta == 0) {
        be->ops->fill(be, dx, 0);
    }
    for (int n = 0; n < dy.n; n++) {
        for (int c = 0; c < dy.c; c++) {
            real *pdx = view_at(dx, n, c);
            for (int i = 0; i < dy.h * dy.w; i++) {
                const struct resample_tap v = tap_at(bilinear, i / dy.w, dx.h, dy.h);
                const struct resample_tap u = tap_at(bilinear, i % dy.w, dx.w, dy.w);
                const real g = view_at(dy, n, c)[i];
                pdx[v.a * dx.w + u.a] += (1 - v.t) * (1 - u.t) * g;
                pdx[v.a * dx.w + u.b] += (1 - v.t) * u.t * g;
                pdx[v.b * dx.w + u.a] += v.t * (1 - u.t) * g;
                pdx[v.b * dx.w + u.b] += v.t * u.t * g;
            }
        }
    }
}

void plain_pool_entries(struct backend_ops *ops)
{
    ops->maxpool_fwd = plain_maxpool_fwd;
    ops->maxpool_bwd = plain_maxpool_bwd;
    ops->avgpool_fwd = plain_avgpool_fwd;
    ops->avgpool_bwd = plain_avgpool_bwd;
    ops->resize_fwd = plain_resize_fwd;
    ops->resize_bwd = plain_resize_bwd;
}
