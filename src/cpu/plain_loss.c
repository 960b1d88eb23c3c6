/*
 * plain_loss.c - reference loops of softmax, softmax with cross-entropy, smooth L1 (Girshick 2015,
 * Eq. 3), and the MultiBox loss and detections, which are det/multibox.h for each image in turn.
 */
#include "plain.h"

#include "det/multibox.h"

#include <math.h>

/* Over the channels of one pixel: the largest, and the sum of exp(x - most). */
struct softmax_norm {
    double most, sum;
};

static struct softmax_norm softmax_norm(struct view x, int n, size_t i)
{
    struct softmax_norm s = {-HUGE_VAL, 0};

    for (int c = 0; c < x.c; c++) {
        const double v = (double)view_at(x, n, c)[i];
        s.most = v > s.most ? v : s.most;
    }
    for (int c = 0; c < x.c; c++) {
        s.sum += exp((double)view_at(x, n, c)[i] - s.most);
    }
    return s;
}

static void plain_softmax_fwd(struct backend *be, struct view x, struct view y)
{
    (void)be;
    for (int n = 0; n < x.n; n++) {
        for (size_t i = 0; i < view_plane(x); i++) {
            const struct softmax_norm s = softmax_norm(x, n, i);
            for (int c = 0; c < x.c; c++) {
                view_at(y, n, c)[i] = (real)(exp((double)view_at(x, n, c)[i] - s.most) / s.sum);
            }
        }
    }
}

static void plain_softmax_bwd(struct backend *be, struct view y, struct view dy, real beta,
                              struct view dx)
{
    (void)be;
    for (int n = 0; n < y.n; n++) {
        for (size_t i = 0; i < view_plane(y); i++) {
            double dot = 0;
            for (int c = 0; c < y.c; c++) {
                dot += (double)view_at(y, n, c)[i] * (double)view_at(dy, n, c)[i];
            }
            for (int c = 0; c < y.c; c++) {
                const double g = (double)view_at(dy, n, c)[i] - dot;
                real *pdx = view_at(dx, n, c) + i;
                *pdx = plain_scaled(beta, *pdx) + (real)((double)view_at(y, n, c)[i] * g);
            }
        }
    }
}

/* The label of pixel i, or -1: not counted. One that names no channel is a failure. */
static int label_at(struct backend *be, struct view label, int n, size_t i, int classes)
{
    const double v = (double)view_at(label, n, 0)[i];

    if (v >= 0 && v < classes) {
        return (int)v;
    }
    if (!(v < 0)) {
        err_set(&be->failed, VOV_EARG, "softmax loss: label %g is not below %d classes", v,
                classes);
    }
    return -1;
}

static void plain_softmax_loss_fwd(struct backend *be, struct view x, struct view label, real *loss)
{
    double sum = 0, count = 0;

    for (int n = 0; n < x.n; n++) {
        for (size_t i = 0; i < view_plane(x); i++) {
            const int l = label_at(be, label, n, i, x.c);
            if (l >= 0) {
                const struct softmax_norm s = softmax_norm(x, n, i);
                sum += log(s.sum) + s.most - (double)view_at(x, n, l)[i];
                count++;
            }
        }
    }
    loss[0] = (real)(count > 0 ? sum / count : 0);
}

static double label_count(struct backend *be, struct view label, int classes)
{
    double count = 0;

    for (int n = 0; n < label.n; n++) {
        for (size_t i = 0; i < view_plane(label); i++) {
            count += label_at(be, label, n, i, classes) >= 0;
        }
    }
    return count;
}

static void plain_softmax_loss_bwd(struct backend *be, struct view x, struct view label, real gain,
                                   real beta, struct view dx)
{
    const double count = label_count(be, label, x.c);

    for (int n = 0; n < x.n; n++) {
        for (size_t i = 0; i < view_plane(x); i++) {
            const int l = label_at(be, label, n, i, x.c);
            const struct softmax_norm s = softmax_norm(x, n, i);
            for (int c = 0; c < x.c; c++) {
                const double p = exp((double)view_at(x, n, c)[i] - s.most) / s.sum;
                const double g = l < 0 ? 0 : (double)gain * (p - (c == l)) / count;
                real *pdx = view_at(dx, n, c) + i;
                *pdx = plain_scaled(beta, *pdx) + (real)g;
            }
        }
    }
}

static double smooth_l1(double d, double sigma)
{
    d = fabs(d);
    return d < sigma ? d * d / (2 * sigma) : d - sigma / 2;
}

static double smooth_l1_slope(double d, double sigma)
{
    return fabs(d) < sigma ? d / sigma : d > 0 ? 1 : d < 0 ? -1 : 0;
}

static void plain_smooth_l1_fwd(struct backend *be, struct view x, struct view target,
                                struct view weight, real sigma, real norm, real *loss)
{
    double sum = 0;

    (void)be;
    for (int n = 0; n < x.n; n++) {
        for (int c = 0; c < x.c; c++) {
            const real *px = view_at(x, n, c), *pt = view_at(target, n, c);
            const real *pw = view_at(weight, n, c);
            for (size_t i = 0; i < view_plane(x); i++) {
                sum += (double)pw[i] * smooth_l1((double)px[i] - (double)pt[i], (double)sigma);
            }
        }
    }
    loss[0] = (real)(sum / fmax(1, (double)norm));
}

static void plain_smooth_l1_bwd(struct backend *be, struct view x, struct view target,
                                struct view weight, real sigma, real norm, real gain, real beta,
                                struct view dx)
{
    const double k = (double)gain / fmax(1, (double)norm);

    (void)be;
    for (int n = 0; n < x.n; n++) {
        for (int c = 0; c < x.c; c++) {
            const real *px = view_at(x, n, c), *pt = view_at(target, n, c);
            const real *pw = view_at(weight, n, c);
            real *pdx = view_at(dx, n, c);
            for (size_t i = 0; i < view_plane(x); i++) {
                const double slope = smooth_l1_slope((double)px[i] - (double)pt[i], (double)sigma);
                pdx[i] = plain_scaled(beta, pdx[i]) + (real)(k * (double)pw[i] * slope);
            }
        }
    }
}

static size_t plain_multibox_scratch(struct backend *be, const struct multibox_desc *d,
                                     struct view conf, struct view truth)
{
    (void)be, (void)conf;
    return multibox_scratch_bytes(d, truth.c);
}

static void plain_multibox_fwd(struct backend *be, const struct multibox_desc *d,
                               struct view priors, struct view loc, struct view conf,
                               struct view arm_loc, struct view arm_conf, struct view truth,
                               struct view match, real *loss, void *scratch)
{
    double total[3] = {0};

    (void)be, (void)priors; /* d has them too */
    for (int n = 0; n < loc.n; n++) {
        double part[3];
        const struct multibox_input in = {.loc = view_at(loc, n, 0),
                                          .conf = view_at(conf, n, 0),
                                          .arm_loc = arm_loc.p ? view_at(arm_loc, n, 0) : NULL,
                                          .arm_conf = arm_conf.p ? view_at(arm_conf, n, 0) : NULL,
                                          .truth = view_at(truth, n, 0),
                                          .max_truth = truth.c};
        multibox_match(d, &in, view_at(match, n, 0), part, scratch);
        for (int k = 0; k < 3; k++) {
            total[k] += part[k];
        }
    }
    loss[0] = (real)(total[0] / fmax(1, total[2]));
    loss[1] = (real)(total[1] / fmax(1, total[2]));
    loss[2] = (real)total[2];
}

static void plain_multibox_bwd(struct backend *be, const struct multibox_desc *d, struct view loc,
                               struct view conf, struct view match, const real *loss, real gain,
                               real beta_loc, struct view dloc, real beta_conf, struct view dconf)
{
    (void)be;
    for (int n = 0; n < loc.n; n++) {
        const struct multibox_input in = {.loc = view_at(loc, n, 0), .conf = view_at(conf, n, 0)};
        const struct multibox_output out = {.dloc = dloc.p ? view_at(dloc, n, 0) : NULL,
                                            .dconf = dconf.p ? view_at(dconf, n, 0) : NULL,
                                            .beta_loc = beta_loc,
                                            .beta_conf = beta_conf};
        multibox_grad(d, &in, view_at(match, n, 0), gain, loss[2], &out);
    }
}

static size_t plain_multibox_detect_scratch(struct backend *be,
                                            const struct multibox_detect_desc *d, int n)
{
    (void)be, (void)n;
    return multibox_detect_bytes(d);
}

static void plain_multibox_detect(struct backend *be, const struct multibox_detect_desc *d,
                                  struct view priors, struct view loc, struct view conf,
                                  struct view arm_loc, struct view arm_conf, struct view found,
                                  void *scratch)
{
    (void)be, (void)priors; /* d has them too */
    for (int n = 0; n < loc.n; n++) {
        const struct multibox_input in = {.loc = view_at(loc, n, 0),
                                          .conf = view_at(conf, n, 0),
                                          .arm_loc = arm_loc.p ? view_at(arm_loc, n, 0) : NULL,
                                          .arm_conf = arm_conf.p ? view_at(arm_conf, n, 0) : NULL};
        multibox_detect(d, &in, view_at(found, n * d->keep, 0), scratch);
    }
}

void plain_loss_entries(struct backend_ops *ops)
{
    ops->softmax_fwd = plain_softmax_fwd;
    ops->softmax_bwd = plain_softmax_bwd;
    ops->softmax_loss_fwd = plain_softmax_loss_fwd;
    ops->softmax_loss_bwd = plain_softmax_loss_bwd;
    ops->smooth_l1_fwd = plain_smooth_l1_fwd;
    ops->smooth_l1_bwd = plain_smooth_l1_bwd;
    ops->multibox_fwd = plain_multibox_fwd;
    ops->multibox_scratch = plain_multibox_scratch;
    ops->multibox_bwd = plain_multibox_bwd;
    ops->multibox_detect = plain_multibox_detect;
    ops->multibox_detect_scratch = plain_multibox_detect_scratch;
}
