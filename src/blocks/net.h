/*
 * net.h - the [net] section: input, classes, pixels and how to train. Darknet's key names.
 */
#ifndef VOV_NET_H
#define VOV_NET_H

#include "cfg/keys.h"

enum lr_policy { LR_CONSTANT, LR_STEP, LR_STEPS, LR_EXP, LR_POLY, LR_SIGMOID, LR_COSINE };
enum net_norm { NET_NORM_BATCH, NET_NORM_GROUP, NET_NORM_FROZEN };
enum fit { FIT_STRETCH, FIT_LETTERBOX, FIT_PAD };
enum precision { PRECISION_FP32, PRECISION_FP16, PRECISION_BF16 };

struct net_config {
    int width, height, channels; /* of the input, 3x320x320 */
    int classes;                 /* without background; 0: not said */

    /* Pixels: 0..255 values minus mean, divided by std, R G B unless bgr. */
    struct real_list mean, std;
    bool bgr;
    int fit;                     /* enum fit: how a picture is brought to width x height */
    bool letter_box;             /* Darknet's word for FIT_LETTERBOX */
    struct real_list short_side; /* of FIT_PAD: pixels of a picture's shorter side. Several:
                                    training takes one of them by chance, all else the largest */
    int long_side;               /* of FIT_PAD: most pixels of its longer side */

    /* Norms of the whole net. */
    int norm;                       /* enum net_norm: what a batch norm is */
    double norm_eps, norm_momentum; /* 1e-5; part of the old statistics that is kept, 0.9 */

    int conv; /* enum conv_alg: how 3x3 convolutions are computed */
    bool tf32, deterministic;
    int conv_workspace; /* MiB of one convolution; 0: the device says */
    int precision;      /* enum precision: of tensors between layers; parameters are fp32 always */

    /* Training. */
    int batch, subdivisions;
    double learning_rate, momentum, decay;
    double bias_learning_rate; /* factor for biases of convolutions without a norm */
    bool nesterov;
    int policy; /* enum lr_policy */
    struct real_list steps, scales;
    double gamma, power;
    int step;
    double scale;                /* of LR_STEP: factor of each change */
    double max_batches, burn_in; /* iterations */
    double epochs;               /* 0: max_batches rules. Steps are epochs too, then */
    double burn_in_power;
    double clip;          /* gradient norm; 0: off */
    double ema;           /* part of the average that an update keeps; 0: no average */
    double loss_scale;    /* of fp16, at the beginning of a run; see train/loss_scale.h */
    int loss_scale_steps; /* good updates after which it is doubled; 0: never */
    int max_boxes;        /* truth boxes of one picture that the loss sees */
    int seed;

    /* Augmentation (SSD: docs/augmentation.md), probabilities; 0 switches off. */
    double distort, expand, crop;
    double max_expand;
    bool flip;                        /* half of the pictures are mirrored */
    double hue, saturation, exposure; /* Darknet's; see distort.h */
    int pad_crop;                     /* of a classifier's pictures, pixels */
    bool difficult;                   /* objects that are marked so are learned */

    /* Detection. */
    double conf_thresh, nms_thresh; /* of the heads' decoders where they do not say */
};

extern const struct key_spec net_keys[]; /* ends with an unnamed entry */
extern const char *const net_doc;

/* Of a map of so many columns: the logarithm to base 2 of the pixels of the input for each. */
int net_level(const struct net_config *n, int columns);

/* Values that Darknet takes and we do not, refused with a reason before keys_fill. */
enum vov_status net_refuse(const struct cfg_section *s, struct err *err);

/* After keys_fill: what follows from other keys (Darknet's colours switch SSD's off), and what
 * values must fulfil together: subdivisions divide the batch, ... */
enum vov_status net_check(const struct cfg_section *s, struct net_config *n, struct err *err);

#endif
