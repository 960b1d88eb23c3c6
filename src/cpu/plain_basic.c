/*
 * plain_basic.c - reference loops of what works number by number: fill, copy, add, activations,
 * scale by channel, dropout, affine, sums by channel, and the rows of prior maps.
 */
#include "plain.h"

#include "act.h"
#include "base/rng.h"

static void plain_fill(struct backend *be, struct view y, real value)
{
    (void)be;
    for (int n = 0; n < y.n; n++) {
        for (int c = 0; c < y.c; c++) {
            real *py = view_at(y, n, c);
            for (size_t i = 0; i < view_plane(y); i++) {
                py[i] = value;
            }
        }
    }
}

static void plain_copy(struct backend *be, struct view x, real beta, struct view y)
{
    (void)be;
    for (int n = 0; n < y.n; n++) {
        for (int c = 0; c < y.c; c++) {
            const real *px = view_at(x, n, c);
            real *py = view_at(y, n, c);
            for (size_t i = 0; i < view_plane(y); i++) {
                py[i] = plain_scaled(beta, py[i]) + px[i];
            }
        }
    }
}

static void plain_add(struct backend *be, enum act act, struct view a, struct view b, struct view y)
{
    (void)be;
    for (int n = 0; n < y.n; n++) {
        for (int c = 0; c < y.c; c++) {
            const real *pa = view_at(a, n, c), *pb = view_at(b, n, c);
            real *py = view_at(y, n, c);
            for (size_t i = 0; i < view_plane(y); i++) {
                py[i] = (real)act_value(act, (double)(pa[i] + pb[i]));
            }
        }
    }
}

static void plain_act_fwd(struct backend *be, enum act act, struct view x, struct view y)
{
    (void)be;
    for (int n = 0; n < y.n; n++) {
        for (int c = 0; c < y.c; c++) {
            const real *px = view_at(x, n, c);
            real *py = view_at(y, n, c);
            for (size_t i = 0; i < view_plane(y); i++) {
                py[i] = (real)act_value(act, (double)px[i]);
            }
        }
    }
}

static void plain_act_bwd(struct backend *be, enum act act, struct view x, struct view y,
                          struct view dy, real beta, struct view dx)
{
    const bool from_output = act_from_output(act);
    const struct view known = from_output ? y : x;

    (void)be;
    for (int n = 0; n < dx.n; n++) {
        for (int c = 0; c < dx.c; c++) {
            const real *v = act == ACT_LINEAR ? view_at(dy, n, c) : view_at(known, n, c);
            const real *pdy = view_at(dy, n, c);
            real *pdx = view_at(dx, n, c);
            for (size_t i = 0; i < view_plane(dx); i++) {
                const double slope = from_output ? act_slope_of_output(act, (double)v[i])
                                                 : act_slope_of_input(act, (double)v[i]);
                pdx[i] = plain_scaled(beta, pdx[i]) + (real)(slope * (double)pdy[i]);
            }
        }
    }
}

static void plain_mul_channel_fwd(struct backend *be, struct view x, struct view s, struct view y)
{
    (void)be;
    for (int n = 0; n < y.n; n++) {
        for (int c = 0; c < y.c; c++) {
            const real *px = view_at(x, n, c);
            const real scale = *view_at(s, n, c);
            real *py = view_at(y, n, c);
            for (size_t i = 0; i < view_plane(y); i++) {
                py[i] = px[i] * scale;
            }
        }
    }
}

static void mul_channel_bwd_x(struct view s, struct view dy, real beta, struct view dx)
{
    for (int n = 0; n < dy.n; n++) {
        for (int c = 0; c < dy.c; c++) {
            const real *pdy = view_at(dy, n, c);
            const real scale = *view_at(s, n, c);
            real *pdx = view_at(dx, n, c);
            for (size_t i = 0; i < view_plane(dy); i++) {
                pdx[i] = plain_scaled(beta, pdx[i]) + pdy[i] * scale;
            }
        }
    }
}

static void mul_channel_bwd_s(struct view x, struct view dy, real beta, struct view ds)
{
    for (int n = 0; n < dy.n; n++) {
        for (int c = 0; c < dy.c; c++) {
            const real *px = view_at(x, n, c), *pdy = view_at(dy, n, c);
            double sum = 0;
            for (size_t i = 0; i < view_plane(dy); i++) {
                sum += (double)px[i] * (double)pdy[i];
            }
            real *pds = view_at(ds, n, c);
            *pds = plain_scaled(beta, *pds) + (real)sum;
        }
    }
}

static void plain_mul_channel_bwd(struct backend *be, struct view x, struct view s, struct view dy,
                                  real beta_x, struct view dx, real beta_s, struct view ds)
{
    (void)be;
    if (ds.p) {
        mul_channel_bwd_s(x, dy, beta_s, ds);
    }
    if (dx.p) {
        mul_channel_bwd_x(s, dy, beta_x, dx);
    }
}

static void plain_dropout(struct backend *be, uint64_t node, real p, struct view x, real beta,
                          struct view y)
{
    const uint64_t key = dropout_key(be->key, node);
    uint64_t index = 0;

    for (int n = 0; n < y.n; n++) {
        for (int c = 0; c < y.c; c++) {
            const real *px = view_at(x, n, c);
            real *py = view_at(y, n, c);
            for (size_t i = 0; i < view_plane(y); i++, index++) {
                struct rng r = {key, index};
                const bool kept = rng_u32(&r) * 0x1p-32 >= (double)p;
                py[i] = plain_scaled(beta, py[i]) + (kept ? px[i] / (1 - p) : 0);
            }
        }
    }
}

static void plain_affine(struct backend *be, const real *scale, const real *shift, enum act act,
                         struct view x, struct view y)
{
    (void)be;
    for (int n = 0; n < y.n; n++) {
        for (int c = 0; c < y.c; c++) {
            const real *px = view_at(x, n, c);
            const real k = scale ? scale[c] : 1, b = shift ? shift[c] : 0;
            real *py = view_at(y, n, c);
            for (size_t i = 0; i < view_plane(y); i++) {
                py[i] = (real)act_value(act, (double)(k * px[i] + b));
            }
        }
    }
}

static void plain_channel_sum(struct backend *be, struct view x, real *sum)
{
    (void)be;
    for (int c = 0; c < x.c; c++) {
        double total = 0;
        for (int n = 0; n < x.n; n++) {
            const real *px = view_at(x, n, c);
            for (size_t i = 0; i < view_plane(x); i++) {
                total += (double)px[i];
            }
        }
        sum[c] += (real)total;
    }
}

static void plain_prior_rows_fwd(struct backend *be, struct view x, int k, int first, struct view y)
{
    const int anchors = x.c / k;

    (void)be;
    for (int n = 0; n < x.n; n++) {
        for (int c = 0; c < x.c; c++) {
            const real *px = view_at(x, n, c);
            for (int i = 0; i < x.h * x.w; i++) {
                view_at(y, n, first + i * anchors + c / k)[c % k] = px[i];
            }
        }
    }
}

static void plain_prior_rows_bwd(struct backend *be, struct view dy, int k, int first, real beta,
                                 struct view dx)
{
    const int anchors = dx.c / k;

    (void)be;
    for (int n = 0; n < dx.n; n++) {
        for (int c = 0; c < dx.c; c++) {
            real *pdx = view_at(dx, n, c);
            for (int i = 0; i < dx.h * dx.w; i++) {
                pdx[i] =
                    plain_scaled(beta, pdx[i]) + view_at(dy, n, first + i * anchors + c / k)[c % k];
            }
        }
    }
}

void plain_basic_entries(struct backend_ops *ops)
{
    ops->fill = plain_fill;
    ops->copy = plain_copy;
    ops->add = plain_add;
    ops->act_fwd = plain_act_fwd;
    ops->act_bwd = plain_act_bwd;
    ops->mul_channel_fwd = plain_mul_channel_fwd;
    ops->mul_channel_bwd = plain_mul_channel_bwd;
    ops->dropout = plain_dropout;
    ops->affine = plain_affine;
    ops->channel_sum = plain_channel_sum;
    ops->prior_rows_fwd = plain_prior_rows_fwd;
    ops->prior_rows_bwd = plain_prior_rows_bwd;
}
