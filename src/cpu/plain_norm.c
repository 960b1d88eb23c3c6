/*
 * plain_norm.c - reference loops of batch norm (Ioffe 2015), group norm (Wu 2018) and L2 norm with
 * a learned scale (ParseNet, Liu 2015). A "set" is what one mean belongs to: channel c over all
 * images (groups == 0), or the channels of one group of one image.
 */
#include "plain.h"

#include "act.h"

struct norm_set {
    int n0, n1, c0, c1; /* images and channels, half open */
    double count;       /* numbers in it */
};

static int set_count(struct view x, int groups)
{
    return groups ? x.n * groups : x.c;
}

static struct norm_set set_at(struct view x, int groups, int i)
{
    struct norm_set s = {0, x.n, i, i + 1, 0};

    if (groups) {
        const int width = x.c / groups;
        s = (struct norm_set){i / groups, i / groups + 1, i % groups * width,
                              (i % groups + 1) * width, 0};
    }
    s.count = (double)(s.n1 - s.n0) * (double)(s.c1 - s.c0) * (double)view_plane(x);
    return s;
}

/* Sum over the set of (x - from)^power. */
static double set_moment(struct view x, struct norm_set s, double from, int power)
{
    double sum = 0;

    for (int n = s.n0; n < s.n1; n++) {
        for (int c = s.c0; c < s.c1; c++) {
            const real *px = view_at(x, n, c);
            for (size_t i = 0; i < view_plane(x); i++) {
                const double d = (double)px[i] - from;
                sum += power == 1 ? d : d * d;
            }
        }
    }
    return sum;
}

static void find_stats(struct view x, int groups, real eps, real momentum, real *run_mean,
                       real *run_var, real *stats)
{
    for (int i = 0; i < set_count(x, groups); i++) {
        const struct norm_set s = set_at(x, groups, i);
        const double mean = set_moment(x, s, 0, 1) / s.count;
        const double squares = set_moment(x, s, mean, 2);
        stats[2 * i] = (real)mean;
        stats[2 * i + 1] = (real)(1 / sqrt(squares / s.count + (double)eps));
        if (run_mean) {
            const double unbiased = squares / (s.count > 1 ? s.count - 1 : 1);
            run_mean[i] = momentum * run_mean[i] + (1 - momentum) * (real)mean;
            run_var[i] = momentum * run_var[i] + (1 - momentum) * (real)unbiased;
        }
    }
}

static void plain_norm_running(struct backend *be, int c, real eps, const real *mean,
                               const real *var, real *stats)
{
    (void)be;
    for (int i = 0; i < c; i++) {
        stats[2 * i] = mean[i];
        stats[2 * i + 1] = (real)(1 / sqrt((double)var[i] + (double)eps));
    }
}

static void plain_norm_apply(struct backend *be, struct view x, int groups, const real *stats,
                             const real *gamma, const real *beta, enum act act, struct view y)
{
    (void)be;
    for (int j = 0; j < set_count(x, groups); j++) {
        const struct norm_set s = set_at(x, groups, j);
        for (int n = s.n0; n < s.n1; n++) {
            for (int c = s.c0; c < s.c1; c++) {
                const real *px = view_at(x, n, c);
                real *py = view_at(y, n, c);
                for (size_t i = 0; i < view_plane(x); i++) {
                    const real xhat = (px[i] - stats[2 * j]) * stats[2 * j + 1];
                    py[i] = (real)act_value(act, (double)(gamma[c] * xhat + beta[c]));
                }
            }
        }
    }
}

static void plain_norm_fwd(struct backend *be, struct view x, int groups, real eps, real momentum,
                           real *run_mean, real *run_var, real *stats, const real *gamma,
                           const real *beta, enum act act, struct view y)
{
    find_stats(x, groups, eps, momentum, run_mean, run_var, stats);
    plain_norm_apply(be, x, groups, stats, gamma, beta, act, y);
}

/* What the gradient needs to know of one set. */
struct norm_bwd {
    struct view x, dy, dx;
    const real *gamma, *beta;
    enum act act;
    double mean, invstd;
    double sum_g, sum_gx; /* over the set, of gamma*g and gamma*g*xhat */
};

/* xhat, and the gradient g before the activation, of one number. */
static double norm_g(const struct norm_bwd *b, int c, real x, real dy, double *xhat)
{
    *xhat = ((double)x - b->mean) * b->invstd;
    return act_slope_of_input(b->act, (double)b->gamma[c] * *xhat + (double)b->beta[c]) *
           (double)dy;
}

static void norm_bwd_sums(struct norm_bwd *b, struct norm_set s, real *dgamma, real *dbeta)
{
    b->sum_g = b->sum_gx = 0;
    for (int c = s.c0; c < s.c1; c++) {
        double g_sum = 0, gx_sum = 0;
        for (int n = s.n0; n < s.n1; n++) {
            const real *px = view_at(b->x, n, c), *pdy = view_at(b->dy, n, c);
            for (size_t i = 0; i < view_plane(b->x); i++) {
                double xhat;
                const double g = norm_g(b, c, px[i], pdy[i], &xhat);
                g_sum += g;
                gx_sum += g * xhat;
            }
        }
        dgamma[c] += (real)gx_sum;
        dbeta[c] += (real)g_sum;
        b->sum_g += (double)b->gamma[c] * g_sum;
        b->sum_gx += (double)b->gamma[c] * gx_sum;
    }
}

static void norm_bwd_dx(const struct norm_bwd *b, struct norm_set s, real add)
{
    for (int c = s.c0; c < s.c1; c++) {
        for (int n = s.n0; n < s.n1; n++) {
            const real *px = view_at(b->x, n, c), *pdy = view_at(b->dy, n, c);
            real *pdx = view_at(b->dx, n, c);
            for (size_t i = 0; i < view_plane(b->x); i++) {
                double xhat;
                const double g = norm_g(b, c, px[i], pdy[i], &xhat);
                const double mean_part = (b->sum_g + xhat * b->sum_gx) / s.count;
                pdx[i] = plain_scaled(add, pdx[i]) +
                         (real)(b->invstd * ((double)b->gamma[c] * g - mean_part));
            }
        }
    }
}

static void plain_norm_bwd(struct backend *be, struct view x, int groups, const real *stats,
                           const real *gamma, const real *beta, enum act act, struct view dy,
                           real add, struct view dx, real *dgamma, real *dbeta)
{
    struct norm_bwd b = {x, dy, dx, gamma, beta, act, 0, 0, 0, 0};

    (void)be;
    for (int i = 0; i < set_count(x, groups); i++) {
        const struct norm_set s = set_at(x, groups, i);
        b.mean = (double)stats[2 * i];
        b.invstd = (double)stats[2 * i + 1];
        norm_bwd_sums(&b, s, dgamma, dbeta);
        if (dx.p) {
            norm_bwd_dx(&b, s, add);
        }
    }
}

/* Over the channels of pixel i: 1 / sqrt(eps + sum of squares). */
static double pixel_invnorm(struct view x, int n, size_t i, real eps)
{
    double sum = (double)eps;

    for (int c = 0; c < x.c; c++) {
        const double v = (double)view_at(x, n, c)[i];
        sum += v * v;
    }
    return 1 / sqrt(sum);
}

static void plain_l2norm_fwd(struct backend *be, struct view x, const real *scale, real eps,
                             struct view y)
{
    (void)be;
    for (int n = 0; n < x.n; n++) {
        for (size_t i = 0; i < view_plane(x); i++) {
            const double inv = pixel_invnorm(x, n, i, eps);
            for (int c = 0; c < x.c; c++) {
                view_at(y, n, c)[i] = (real)((double)scale[c] * (double)view_at(x, n, c)[i] * inv);
            }
        }
    }
}

/* dx = inv * scale*dy - inv^3 * x * sum over c of scale*dy*x. */
static void plain_l2norm_bwd(struct backend *be, struct view x, const real *scale, real eps,
                             struct view dy, real beta, struct view dx, real *dscale)
{
    (void)be;
    for (int n = 0; n < x.n; n++) {
        for (size_t i = 0; i < view_plane(x); i++) {
            const double inv = pixel_invnorm(x, n, i, eps);
            double dot = 0;
            for (int c = 0; c < x.c; c++) {
                const double xdy = (double)view_at(x, n, c)[i] * (double)view_at(dy, n, c)[i];
                dscale[c] += (real)(xdy * inv);
                dot += (double)scale[c] * xdy;
            }
            for (int c = 0; dx.p && c < x.c; c++) {
                const double g = (double)scale[c] * (double)view_at(dy, n, c)[i] * inv -
                                 inv * inv * inv * (double)view_at(x, n, c)[i] * dot;
                real *pdx = view_at(dx, n, c) + i;
                *pdx = plain_scaled(beta, *pdx) + (real)g;
            }
        }
    }
}

void plain_norm_entries(struct backend_ops *ops)
{
    ops->norm_fwd = plain_norm_fwd;
    ops->norm_running = plain_norm_running;
    ops->norm_apply = plain_norm_apply;
    ops->norm_bwd = plain_norm_bwd;
    ops->l2norm_fwd = plain_l2norm_fwd;
    ops->l2norm_bwd = plain_l2norm_bwd;
}
