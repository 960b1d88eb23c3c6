/*
 * plain_conv.c - reference loops of convolution, y[n,o,p,q] = sum over c,r,s of
 * w[o,c,r,s] * x[n, c, p*stride - pad + r*dilation, q*stride - pad + s*dilation], both its
 * gradients, and the matrix product.
 */
#include "plain.h"

#include "act.h"

/* Where tap k of output i reads, or -1 when that lies outside. */
static int tap(const struct conv_desc *d, int i, int k, int size)
{
    const int64_t at = (int64_t)i * d->stride - d->pad + (int64_t)k * d->dilation;

    return at >= 0 && at < size ? (int)at : -1;
}

static size_t plain_conv_scratch(struct backend *be, const struct conv_desc *d,
                                 const struct conv_use *use, struct view x, struct view y)
{
    (void)be, (void)d, (void)use, (void)x, (void)y;
    return 0;
}

static size_t plain_conv_pack_bytes(struct backend *be, const struct conv_desc *d,
                                    enum conv_pass pass, struct view x, struct view y)
{
    (void)be, (void)d, (void)pass, (void)x, (void)y;
    return 0;
}

static void plain_conv_pack(struct backend *be, const struct conv_desc *d, enum conv_pass pass,
                            struct view x, struct view y, const real *w, const real *bias,
                            void *packed)
{
    (void)be, (void)d, (void)pass, (void)x, (void)y, (void)w, (void)bias, (void)packed;
}

/* Sum over one channel's window; w is that channel's [kh, kw]. */
static double window_dot(const struct conv_desc *d, struct view x, const real *px, const real *w,
                         int p, int q)
{
    double sum = 0;

    for (int r = 0; r < d->kh; r++) {
        const int h = tap(d, p, r, x.h);
        for (int s = 0; h >= 0 && s < d->kw; s++) {
            const int at = tap(d, q, s, x.w);
            if (at >= 0) {
                sum += (double)w[r * d->kw + s] * (double)px[(size_t)h * (size_t)x.w + (size_t)at];
            }
        }
    }
    return sum;
}

/* Adds g * w to the window of one channel. */
static void window_scatter(const struct conv_desc *d, struct view dx, real *pdx, const real *w,
                           real g, int p, int q)
{
    for (int r = 0; r < d->kh; r++) {
        const int h = tap(d, p, r, dx.h);
        for (int s = 0; h >= 0 && s < d->kw; s++) {
            const int at = tap(d, q, s, dx.w);
            if (at >= 0) {
                pdx[(size_t)h * (size_t)dx.w + (size_t)at] += w[r * d->kw + s] * g;
            }
        }
    }
}

/* Sum over the images and pixels of x at tap (r, s) times dy. */
static double tap_dot(const struct conv_desc *d, struct view x, int cx, struct view dy, int cy,
                      int tap_index)
{
    const int r = tap_index / d->kw, s = tap_index % d->kw;
    double sum = 0;

    for (int n = 0; n < dy.n; n++) {
        const real *px = view_at(x, n, cx), *pdy = view_at(dy, n, cy);
        for (int p = 0; p < dy.h; p++) {
            const int h = tap(d, p, r, x.h);
            for (int q = 0; h >= 0 && q < dy.w; q++) {
                const int at = tap(d, q, s, x.w);
                if (at >= 0) {
                    sum += (double)px[(size_t)h * (size_t)x.w + (size_t)at] *
                           (double)pdy[(size_t)p * (size_t)dy.w + (size_t)q];
                }
            }
        }
    }
    return sum;
}

static void plain_conv_fwd(struct backend *be, const struct conv_desc *d, struct view x,
                           struct conv_weight w, const struct conv_tail *tail, struct view y,
                           void *scratch)
{
    const int in = x.c / d->groups, out = y.c / d->groups;
    const size_t taps = (size_t)d->kh * (size_t)d->kw;

    (void)be, (void)scratch;
    for (int n = 0; n < y.n; n++) {
        for (int o = 0; o < y.c; o++) {
            real *py = view_at(y, n, o);
            const real *add = tail->add.p ? view_at(tail->add, n, o) : NULL;
            for (int i = 0; i < y.h * y.w; i++) {
                double sum = (tail->bias ? (double)tail->bias[o] : 0) + (add ? (double)add[i] : 0);
                for (int c = 0; c < in; c++) {
                    sum += window_dot(d, x, view_at(x, n, o / out * in + c),
                                      w.w + ((size_t)o * (size_t)in + (size_t)c) * taps, i / y.w,
                                      i % y.w);
                }
                py[i] = (real)act_value(tail->act, sum);
            }
        }
    }
}

static void plain_conv_bwd_data(struct backend *be, const struct conv_desc *d, struct conv_weight w,
                                struct view dy, real beta, struct view dx, void *scratch)
{
    const int in = dx.c / d->groups, out = dy.c / d->groups;
    const size_t taps = (size_t)d->kh * (size_t)d->kw;

    (void)scratch;
    if (beta == 0) {
        be->ops->fill(be, dx, 0);
    }
    for (int n = 0; n < dy.n; n++) {
        for (int o = 0; o < dy.c; o++) {
            const real *pdy = view_at(dy, n, o);
            for (int c = 0; c < in; c++) {
                real *pdx = view_at(dx, n, o / out * in + c);
                const real *pw = w.w + ((size_t)o * (size_t)in + (size_t)c) * taps;
                for (int i = 0; i < dy.h * dy.w; i++) {
                    window_scatter(d, dx, pdx, pw, pdy[i], i / dy.w, i % dy.w);
                }
            }
        }
    }
}

static void plain_conv_bwd_weight(struct backend *be, const struct conv_desc *d, struct view x,
                                  struct view dy, real *dw, real *dbias, void *scratch)
{
    const int in = x.c / d->groups, out = dy.c / d->groups;
    const int taps = d->kh * d->kw;

    (void)scratch;
    for (int o = 0; o < dy.c; o++) {
        for (int c = 0; c < in; c++) {
            real *pdw = dw + ((size_t)o * (size_t)in + (size_t)c) * (size_t)taps;
            for (int k = 0; k < taps; k++) {
                pdw[k] += (real)tap_dot(d, x, o / out * in + c, dy, o, k);
            }
        }
    }
    if (dbias) {
        be->ops->channel_sum(be, dy, dbias);
    }
}

static void plain_gemm(struct backend *be, bool ta, bool tb, int m, int n, int k, const real *a,
                       int lda, const real *b, int ldb, real beta, real *c, int ldc)
{
    const size_t a_row = ta ? 1 : (size_t)lda, a_col = ta ? (size_t)lda : 1;
    const size_t b_row = tb ? 1 : (size_t)ldb, b_col = tb ? (size_t)ldb : 1;

    (void)be;
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
            real *out = c + (size_t)i * (size_t)ldc + (size_t)j;
            double sum = 0;
            for (int l = 0; l < k; l++) {
                sum += (double)a[(size_t)i * a_row + (size_t)l * a_col] *
                       (double)b[(size_t)l * b_row + (size_t)j * b_col];
            }
            *out = plain_scaled(beta, *out) + (real)sum;
        }
    }
}

static const char *plain_conv_algorithm(struct backend *be, const struct conv_desc *d,
                                        enum conv_pass pass, struct view x, struct view y)
{
    (void)be, (void)d, (void)pass, (void)x, (void)y;
    return "loops";
}

void plain_conv_entries(struct backend_ops *ops)
{
    ops->conv_algorithm = plain_conv_algorithm;
    ops->conv_scratch = plain_conv_scratch;
    ops->conv_pack_bytes = plain_conv_pack_bytes;
    ops->conv_pack = plain_conv_pack;
    ops->conv_fwd = plain_conv_fwd;
    ops->conv_bwd_data = plain_conv_bwd_data;
    ops->conv_bwd_weight = plain_conv_bwd_weight;
    ops->gemm = plain_gemm;
}
