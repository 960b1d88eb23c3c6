/*
 * backend.h - what a device must be able to do: one table of functions for each device. Nothing
 * above this header knows which device runs. Kernels return nothing; the first failure stays in the
 * backend (CUDA reports late) until backend_check() asks for it.
 *
 * `beta` is 0 (overwrite; the old numbers may be NaN) or 1 (add to them) wherever it appears.
 * Gradients of parameters always add. Views of one call have equal n unless it says otherwise.
 */
#ifndef VOV_BACKEND_H
#define VOV_BACKEND_H

#include "base/err.h"
#include "base/log.h"
#include "tensor.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

struct backend;

enum act {
    ACT_LINEAR,
    ACT_RELU,
    ACT_LEAKY, /* slope 0.1 below 0, as Darknet */
    ACT_RELU6,
    ACT_LOGISTIC,
    ACT_HSIGMOID, /* relu6(x + 3) / 6 */
    ACT_MISH,
    ACT_SWISH,
    ACT_COUNT
};

/* True when the derivative follows from the output alone, so that the input need not be kept. */
static inline bool act_from_output(enum act a)
{
    return a != ACT_MISH && a != ACT_SWISH;
}

/*
 * How a convolution is computed: EXACT sums the products as the formula says, F2, F4 and F6 are
 * Winograd's F(m x m, 3 x 3), which need fewer multiplications and round more. AUTO leaves the
 * choice to the backend, AUTO_F4 all but F6. Where what is asked for does not fit the kernel or the
 * device, EXACT is taken.
 */
enum conv_alg { CONV_AUTO, CONV_EXACT, CONV_F2, CONV_F4, CONV_F6, CONV_AUTO_F4 };

struct conv_desc {
    int kh, kw, stride, pad, dilation, groups;
    enum conv_alg alg;
};
enum conv_pass { CONV_FWD, CONV_BWD_DATA, CONV_BWD_WEIGHT };

/* What a call will be, for conv_scratch. */
struct conv_use {
    enum conv_pass pass;
    bool bias;        /* forward: there is one; backward of the weight: its gradient too */
    enum act act;     /* forward only */
    bool add;         /* backward of the data: beta is 1 */
    bool packed;      /* weights will be given as conv_pack prepares them, where it prepares any */
    struct view plus; /* forward: the shape of what is added to the sum; c 0: nothing is */
};

/* A convolution's weights, [y.c, x.c/groups, kh, kw]. packed: what conv_pack made of them for this
 * very pass, and w is not read then; NULL: nothing was prepared. */
struct conv_weight {
    const real *w;
    const void *packed;
};

/* What is done to x as it is read: norm_apply's batch norm, before any padding. */
struct conv_head {
    const real *stats, *gamma, *beta;
    enum act act;
};

/* What follows the sum: act(sum + bias[c] + add). bias and add.p may be NULL; add has y's shape. */
struct conv_tail {
    const real *bias;
    struct view add;
    enum act act;
    const struct conv_head *head; /* and what comes before it: NULL, or where conv_norms is true */
};

/* Of max pooling: the largest window and the largest stride. */
enum { MAXPOOL_MOST = 1024 };
struct pool_desc {
    int size, stride;
    int pad; /* rows and columns before the first; the end is where the output's last window is */
};

/*
 * Cuts regions of interest out of maps (He et al. 2017, 3): each of size x size bins is the mean of
 * sampling x sampling bilinear samples. A region belongs to the map of level
 * floor(4 + log2(sqrt(area) / canonical + 1e-6)), which level 2 begins where the stride is 4, cut
 * off at the first and the last map. aligned: pixels are taken to lie at half cells, as they do;
 * else, as the paper's code had it, at whole cells, and regions are at least a cell wide and high.
 */
enum { ROI_ALIGN_MAX_LEVELS = 8, ROI_ALIGN_MAX_SIZE = 64, ROI_ALIGN_MAX_SAMPLING = 8 };
struct roi_align_desc {
    int size, sampling;
    bool aligned;
    real canonical;  /* pixels: 224 */
    int first_level; /* log2 of the first map's stride */
    int n_levels;
    real scale[ROI_ALIGN_MAX_LEVELS]; /* of each map: 1 / stride */
    int rows;                         /* regions of one picture */
    int take;                         /* the first so many of them are cut out */
};

/* Square pixels from which on a region belongs to map `level` > 0 or a later one: on all devices a
 * comparison of real numbers. */
static inline real roi_level_area(const struct roi_align_desc *d, int level)
{
    const double side = (double)d->canonical * (ldexp(1, d->first_level + level - 4) - 1e-6);

    return (real)(side * side);
}

/* Which rows of a picture's RoIs a mask head sees, and the input's size. */
struct mask_desc {
    int rows, take, width, height;
};

struct picture;

/* Two-stage detectors: see det/roi.h. */
struct proposal_desc;
struct rpn_desc;
struct roi_sample_desc;
struct roi_detect_desc;

/* One kind of SSD-like loss for one set of priors: RefineDet's ARM or ODM. See det/multibox.h. */
struct multibox_desc;
struct multibox_detect_desc;

/*
 * An update. rate: the learning rate, one number in the device's memory, times rate_factor. The
 * gradient is multiplied by scale first. guard [n_guard] in the device's memory, NULL for none:
 * numbers of which all must be finite, else nothing changes; guard[0] is the gradient's norm, and
 * where norm * scale is over clip (0: no limit) the gradient is shortened to it.
 */
struct sgd_desc {
    const real *rate;
    real rate_factor, momentum, decay;
    bool nesterov;
    real scale, clip;
    const real *guard;
    int n_guard;
};

/* The most that a device can do: operations on reals, a multiply-add being two, and bytes of memory
 * read and written, each second; 0: not known. */
struct backend_peak {
    double flops, bytes;
};

/* Numbers, or pictures, of the host that may be on their way to the device, see stage. */
struct staged {
    const void *host;
    void *on_way; /* NULL: they have not left */
};

/* What the random numbers of a pass's dropout are drawn from, for one node. */
static inline uint64_t dropout_key(uint64_t pass, uint64_t node)
{
    return (pass ^ (node + 1)) * UINT64_C(0x9e3779b97f4a7c15);
}

/* What the caller may choose of a device that has the choice, before a graph is planned for it. All
 * zeros: exact sums in float, the same bits every time, a sensible workspace. */
struct backend_settings {
    bool tf32;              /* products of floats may be rounded to 11 bits first (tensor cores) */
    bool varies;            /* faster ways whose bits differ from run to run may be taken */
    size_t workspace_bytes; /* of one convolution at most; 0: the backend says */
    bool brief;             /* the graph will run a few times only: the host's memory comes in small
                               pages, which are quicker to get and slower to use than huge ones */
};

/* Every entry must be filled but those that say "optional". */
struct backend_ops {
    const char *name; /* "cpu", "plain", "cuda" */
    void (*close)(struct backend *be);

    /* Memory: a call for each block, none while a model runs. alloc gives zeroed memory or NULL.
     * free_bytes: what could still be had; 0: not known. */
    void *(*alloc)(struct backend *be, size_t bytes);
    void (*release)(struct backend *be, void *p);
    size_t (*free_bytes)(struct backend *be);
    /* Part of a block whose numbers are not needed any more, as nothing reads it before it is
     * written again: a device that can takes back its memory until then. */
    void (*discard)(struct backend *be, void *p, size_t bytes);
    void (*sync)(struct backend *be);
    struct backend_peak (*peak)(struct backend *be); /* measured, takes a part of a second */

    /* Before each pass: what its random numbers are drawn from. */
    void (*begin)(struct backend *be, uint64_t key);

    /* All numbers of a view from and to the host's memory, dense and in NCHW order whatever the
     * device's layout. The host's memory is the caller's again on return. */
    void (*write)(struct backend *be, struct view y, const real *host);
    void (*read)(struct backend *be, struct view x, real *host);
    /* A write in two halves: after the first the numbers may cross while the device still works on
     * what was called before. The host's memory stays as it is until the second. */
    struct staged (*stage)(struct backend *be, const real *host, size_t count);
    void (*write_staged)(struct backend *be, struct view y, const struct staged *s);
    /* Whether all numbers of n views are. */
    bool (*finite)(struct backend *be, const struct view *x, int n);

    /* Number by number. y = act(a + b), whose gradients are act_bwd of y. */
    void (*fill)(struct backend *be, struct view y, real value);
    /* copy: x and y may hold numbers of different types. */
    void (*copy)(struct backend *be, struct view x, real beta, struct view y);
    void (*add)(struct backend *be, enum act act, struct view a, struct view b, struct view y);
    void (*act_fwd)(struct backend *be, enum act act, struct view x, struct view y);
    /* dx = beta*dx + act'(x) * dy. x.p may be NULL where act_from_output(act), y.p where not. */
    void (*act_bwd)(struct backend *be, enum act act, struct view x, struct view y, struct view dy,
                    real beta, struct view dx);
    /* y[n,c,:] = x[n,c,:] * s[n,c]; s is [n, c, 1, 1]. bwd: dx or ds with p NULL are not wanted. */
    void (*mul_channel_fwd)(struct backend *be, struct view x, struct view s, struct view y);
    void (*mul_channel_bwd)(struct backend *be, struct view x, struct view s, struct view dy,
                            real beta_x, struct view dx, real beta_s, struct view ds);
    /* y = beta*y + x * m / (1 - p), m drawn from (dropout_key(the pass's, node), index in the dense
     * [n,c,h,w] order): forward and backward are the same call. */
    void (*dropout)(struct backend *be, uint64_t node, real p, struct view x, real beta,
                    struct view y);

    /*
     * Convolution. forward: y = act(conv(x) + bias + add). scratch holds conv_scratch() bytes.
     * bwd_weight: dw += , and dbias += unless NULL.
     */
    size_t (*conv_scratch)(struct backend *be, const struct conv_desc *d,
                           const struct conv_use *use, struct view x, struct view y);
    /* How a pass will be computed, as a word for tables: "product", "depthwise", "loops". */
    const char *(*conv_algorithm)(struct backend *be, const struct conv_desc *d,
                                  enum conv_pass pass, struct view x, struct view y);
    void (*conv_fwd)(struct backend *be, const struct conv_desc *d, struct view x,
                     struct conv_weight w, const struct conv_tail *tail, struct view y,
                     void *scratch);
    void (*conv_bwd_data)(struct backend *be, const struct conv_desc *d, struct conv_weight w,
                          struct view dy, real beta, struct view dx, void *scratch);
    void (*conv_bwd_weight)(struct backend *be, const struct conv_desc *d, struct view x,
                            struct view dy, real *dw, real *dbias, void *scratch);
    /*
     * Weights, and in a forward pass the bias, which may be NULL, brought once into the form that a
     * pass (not BWD_WEIGHT) works with, for as long as they do not change. pack_bytes 0: there is
     * no such form, or none that helps. x and y have shapes but no memory.
     */
    size_t (*conv_pack_bytes)(struct backend *be, const struct conv_desc *d, enum conv_pass pass,
                              struct view x, struct view y);
    void (*conv_pack)(struct backend *be, const struct conv_desc *d, enum conv_pass pass,
                      struct view x, struct view y, const real *w, const real *bias, void *packed);

    /* y = act(scale[c] * x + shift[c]); scale may be NULL for 1, shift for 0. y may be x. */
    void (*affine)(struct backend *be, const real *scale, const real *shift, enum act act,
                   struct view x, struct view y);
    /* sum[c] += over n, h, w of x. */
    void (*channel_sum)(struct backend *be, struct view x, real *sum);

    /*
     * Normalisation over (n,h,w) for each channel, groups == 0, or over (c/groups,h,w) for each
     * image and group. stats is [C, 2] or [n, groups, 2]: mean and 1/sqrt(var + eps).
     *   norm_fwd     x -> stats, and y as of norm_apply. With run_mean, run_var (batch norm only;
     *                else NULL): run = momentum*run + (1 - momentum)*new, the variance unbiased.
     *   norm_running stats of C channels from the running mean and variance (inference)
     *   norm_apply   y = act(gamma[c] * (x - mean) * invstd + beta[c])
     *   norm_bwd     from dy (the gradient after act): dx, and dgamma += , dbeta += .
     *                dx.p NULL: not wanted. dx may be dy's own memory when add is 0.
     */
    void (*norm_fwd)(struct backend *be, struct view x, int groups, real eps, real momentum,
                     real *run_mean, real *run_var, real *stats, const real *gamma,
                     const real *beta, enum act act, struct view y);
    void (*norm_running)(struct backend *be, int c, real eps, const real *mean, const real *var,
                         real *stats);
    void (*norm_apply)(struct backend *be, struct view x, int groups, const real *stats,
                       const real *gamma, const real *beta, enum act act, struct view y);
    void (*norm_bwd)(struct backend *be, struct view x, int groups, const real *stats,
                     const real *gamma, const real *beta, enum act act, struct view dy, real add,
                     struct view dx, real *dgamma, real *dbeta);

    /* y[n,:,h,w] = scale[:] * x / sqrt(eps + sum over c of x^2). */
    void (*l2norm_fwd)(struct backend *be, struct view x, const real *scale, real eps,
                       struct view y);
    void (*l2norm_bwd)(struct backend *be, struct view x, const real *scale, real eps,
                       struct view dy, real beta, struct view dx, real *dscale);

    /*
     * Windows are clipped to the picture. argmax (same shape as y, or p NULL when no backward pass
     * follows) gets, as a number, the index h*w of the first maximum in the input plane.
     * avgpool divides by the number of pixels inside the picture.
     */
    void (*maxpool_fwd)(struct backend *be, const struct pool_desc *d, struct view x, struct view y,
                        struct view argmax);
    void (*maxpool_bwd)(struct backend *be, const struct pool_desc *d, struct view argmax,
                        struct view dy, real beta, struct view dx);
    void (*avgpool_fwd)(struct backend *be, const struct pool_desc *d, struct view x,
                        struct view y);
    void (*avgpool_bwd)(struct backend *be, const struct pool_desc *d, struct view dy, real beta,
                        struct view dx);

    /* From x's size to y's: nearest (source index floor(i * in / out)) or bilinear with half-pixel
     * centres, clamped (align_corners = false). */
    void (*resize_fwd)(struct backend *be, bool bilinear, struct view x, struct view y);
    void (*resize_bwd)(struct backend *be, bool bilinear, struct view dy, real beta,
                       struct view dx);

    /* Dense row-major C[m,n] = op(A) op(B) + beta*C; ta, tb: A is [k,m], B is [n,k]. */
    void (*gemm)(struct backend *be, bool ta, bool tb, int m, int n, int k, const real *a, int lda,
                 const real *b, int ldb, real beta, real *c, int ldc);

    /*
     * Convolution maps of one level, [n, a*k, h, w] with channel index anchor*k + j, to and from
     * rows first .. first + h*w*a - 1 of y = [n, priors, k, 1]: row order h, w, anchor. bwd reads
     * those rows of dy.
     */
    void (*prior_rows_fwd)(struct backend *be, struct view x, int k, int first, struct view y);
    void (*prior_rows_bwd)(struct backend *be, struct view dy, int k, int first, real beta,
                           struct view dx);

    /* Over channels, for each n, h, w. */
    void (*softmax_fwd)(struct backend *be, struct view x, struct view y);
    void (*softmax_bwd)(struct backend *be, struct view y, struct view dy, real beta,
                        struct view dx);
    /* loss[0] = mean over n, h, w of -log softmax(x)[label]; label [n,1,h,w] as numbers, negative:
     * not counted. bwd: dx = beta*dx + gain * (softmax(x) - onehot) / count. */
    void (*softmax_loss_fwd)(struct backend *be, struct view x, struct view label, real *loss);
    void (*softmax_loss_bwd)(struct backend *be, struct view x, struct view label, real gain,
                             real beta, struct view dx);
    /* loss[0] = sum over all of weight * smoothl1(x - target; sigma) / max(1, norm), smoothl1(d) =
     * d^2/(2 sigma) under sigma, |d| - sigma/2 over it (Girshick 2015, Eq. 3). */
    void (*smooth_l1_fwd)(struct backend *be, struct view x, struct view target, struct view weight,
                          real sigma, real norm, real *loss);
    void (*smooth_l1_bwd)(struct backend *be, struct view x, struct view target, struct view weight,
                          real sigma, real norm, real gain, real beta, struct view dx);
    /*
     * One MultiBox loss. priors [1,P,4,1] are those of d in the device's memory; loc [n,P,4,1],
     * conf [n,P,C,1]; arm_loc, arm_conf the same of the stage before, or p NULL; truth [n,T,5,1]
     * rows x0 y0 x1 y1 (parts of the picture) class (from 1; 0: no more rows, negative: ignored).
     * match [n,P,5,1] gets label (-1: not counted, 0: negative, else class) and four targets;
     * loss[0] = localisation, loss[1] = classification, loss[2] = number of positives. bwd reads
     * match.
     */
    void (*multibox_fwd)(struct backend *be, const struct multibox_desc *d, struct view priors,
                         struct view loc, struct view conf, struct view arm_loc,
                         struct view arm_conf, struct view truth, struct view match, real *loss,
                         void *scratch);
    size_t (*multibox_scratch)(struct backend *be, const struct multibox_desc *d, struct view conf,
                               struct view truth);
    void (*multibox_bwd)(struct backend *be, const struct multibox_desc *d, struct view loc,
                         struct view conf, struct view match, const real *loss, real gain,
                         real beta_loc, struct view dloc, real beta_conf, struct view dconf);
    /* What such outputs say of each image, the same bits on all devices: found [n*keep,6,1,1] gets
     * rows as det/multibox.h says, the first of score 0 behind the last in use. */
    void (*multibox_detect)(struct backend *be, const struct multibox_detect_desc *d,
                            struct view priors, struct view loc, struct view conf,
                            struct view arm_loc, struct view arm_conf, struct view found,
                            void *scratch);
    size_t (*multibox_detect_scratch)(struct backend *be, const struct multibox_detect_desc *d,
                                      int n);

    /*
     * Two-stage detectors. rois [n*rows,5,1,1] and found [n*rows,6,1,1] are lists as in det/roi.h,
     * anchors [1,P,4,1] those of d in the device's memory, logits [n,P,1,1] and deltas [n,P,4,1]
     * theirs, class logits [n*rows,C,1,1], class deltas [n*rows,4*C,1,1], truth as above, extent
     * [n,4,1,1] what of the input is picture, in parts (see roi_extent). `node` as in dropout: what
     * choices by chance depend on beside the pass.
     */

    /* The row of a region that is not in use gives zeros. bwd adds to dmaps; p NULL: not wanted. */
    void (*roi_align_fwd)(struct backend *be, const struct roi_align_desc *d,
                          const struct view *maps, struct view rois, struct view y);
    void (*roi_align_bwd)(struct backend *be, const struct roi_align_desc *d, struct view rois,
                          struct view dy, const struct view *dmaps);

    /* rois from logits and deltas. */
    size_t (*proposals_scratch)(struct backend *be, const struct proposal_desc *d, int n);
    void (*proposals)(struct backend *be, const struct proposal_desc *d, struct view anchors,
                      struct view logits, struct view deltas, struct view extent, struct view rois,
                      void *scratch);

    /* match [n,P,5,1]; loss[0] = mean cross-entropy of the anchors drawn, loss[1] = smooth L1 of
     * the objects over the number drawn, loss[2] = objects, loss[3] = drawn. */
    size_t (*rpn_scratch)(struct backend *be, const struct rpn_desc *d, struct view truth);
    void (*rpn_fwd)(struct backend *be, const struct rpn_desc *d, uint64_t node,
                    struct view anchors, struct view logits, struct view deltas, struct view truth,
                    struct view extent, struct view match, real *loss, void *scratch);
    void (*rpn_bwd)(struct backend *be, const struct rpn_desc *d, struct view logits,
                    struct view deltas, struct view match, const real *loss, real gain,
                    real beta_logits, struct view dlogits, real beta_deltas, struct view ddeltas);

    /* sampled, and match [n*rows,6,1,1], from rois and truth. */
    size_t (*roi_sample_scratch)(struct backend *be, const struct roi_sample_desc *d,
                                 struct view rois, struct view truth);
    void (*roi_sample)(struct backend *be, const struct roi_sample_desc *d, uint64_t node,
                       struct view rois, struct view truth, struct view sampled, struct view match,
                       void *scratch);

    /* The same four numbers as of rpn for class logits and deltas, over the rows in use. */
    void (*roi_loss_fwd)(struct backend *be, struct view logits, struct view deltas,
                         struct view match, real *loss);
    void (*roi_loss_bwd)(struct backend *be, struct view logits, struct view deltas,
                         struct view match, const real *loss, real gain, real beta_logits,
                         struct view dlogits, real beta_deltas, struct view ddeltas);

    /* found of n pictures from rois, `rows` of each, class logits and deltas. */
    size_t (*roi_detect_scratch)(struct backend *be, const struct roi_detect_desc *d, int n,
                                 int rows);
    void (*roi_detect)(struct backend *be, const struct roi_detect_desc *d, struct view rois,
                       struct view logits, struct view deltas, struct view extent,
                       struct view found, void *scratch);

    /* target [n*take,1,h,w]; loss[0] = mean cross-entropy of logits [n*take,C,h,w] in the channel
     * of each object's class, loss[1] = objects. */
    void (*mask_loss_fwd)(struct backend *be, const struct mask_desc *d, struct view logits,
                          struct view rois, struct view match, struct view truth, struct view masks,
                          struct view target, real *loss);
    void (*mask_loss_bwd)(struct backend *be, const struct mask_desc *d, struct view logits,
                          struct view match, struct view target, const real *loss, real gain,
                          real beta, struct view dlogits);

    /* y [n*rows,1,h,w]: probabilities of the channel of what was found. */
    void (*mask_select)(struct backend *be, struct view logits, struct view found, struct view y);

    /* On blocks of n numbers. sgd: g = scale*g + decay*w; m = momentum*m + g;
     * w -= rate*rate_factor * (nesterov ? momentum*m + g : m). */
    void (*sgd)(struct backend *be, const struct sgd_desc *d, size_t n, real *w, const real *g,
                real *m);
    /* average += rate[0] * (w - average), rate in the device's memory; nothing where one of the
     * n_guard numbers is not finite, as in sgd_desc. */
    void (*block_average)(struct backend *be, const real *rate, const real *guard, int n_guard,
                          size_t n, const real *w, real *average);
    void (*block_fill)(struct backend *be, size_t n, real *x, real value);
    /* norm[0] = root of the sum of squares in a fixed order; infinite or NaN when a number is. */
    void (*block_norm)(struct backend *be, size_t n, const real *x, real *norm);

    /* Optional, both or none: n pictures (base/picture.h) become the images of a view with three
     * channels, in two halves as of stage, with the bits that the loader would have made. */
    struct staged (*stage_pictures)(struct backend *be, const struct picture *const *p, int n);
    void (*write_pictures)(struct backend *be, struct view y, const struct staged *s);
    /* Optional, both or none: what is called between the two is part of the pass or node of that
     * name, which lives as long as the graph. There only where a profiler listens. */
    void (*enter)(struct backend *be, const char *name);
    void (*leave)(struct backend *be);

    /* Optional: whether conv_fwd can take a head. */
    bool (*conv_norms)(struct backend *be, const struct conv_desc *d, struct view x, struct view y);

    /*
     * Optional, all four or none (see tape.h): between record and recorded calls are kept instead
     * of run, and replay runs them. false or NULL: it cannot be done, with the reason in `failed`.
     */
    bool (*record)(struct backend *be);
    void *(*recorded)(struct backend *be);
    void (*replay)(struct backend *be, void *recording);
    void (*forget)(struct backend *be, void *recording);
};

/* A backend serves one thread at a time, and not always the same; a thread may use several. */
struct backend {
    const struct backend_ops *ops;
    const char *isa;   /* of its kernels, for reports: "avx2", ...; NULL: there is no choice */
    void *ctx;         /* the thread pool, or the CUDA stream and library handles */
    const char *doing; /* name of the node being run, for messages */
    bool half, bf16;   /* whether views of NUMBER_HALF, of NUMBER_BF16 can be worked on */
    char about[160];   /* the device, for messages: "GPU Tesla T4 of compute capability 7.5" */
    struct backend_settings settings;
    uint64_t key;           /* of the pass's random numbers, where the host draws them */
    bool recording;         /* see tape.h */
    struct err failed;      /* code VOV_OK when nothing has failed */
    struct err passed_over; /* why this is the CPU and no GPU, where one may have been expected */
};

/* The optional entries of those names. */
static inline void backend_enter(struct backend *be, const char *name)
{
    if (be->ops->enter != NULL) {
        be->ops->enter(be, name);
    }
}
static inline void backend_leave(struct backend *be)
{
    if (be->ops->leave != NULL) {
        be->ops->leave(be);
    }
}

/*
 * name: "cpu", "plain" (the reference loops), "cuda" or "cuda:N", or "auto" or NULL for the best
 * there is: a GPU, else the CPU. With "auto", and where a GPU seems to be there, passed_over then
 * says why. threads 0: all cores. VOV_EDEVICE: no such GPU, or what it needs is missing.
 */
enum vov_status backend_open(const char *name, int threads, struct backend **be, struct err *err);
enum vov_status backend_check(struct backend *be, struct err *err); /* waits, hands over, clears */
void backend_close(struct backend *be);                             /* NULL is fine */

#endif
