/*
 * ops.h - the operations that nets are made of, and the settings of each. An op's formula, its
 * inputs and its outputs are described in docs/ops.md.
 */
#ifndef VOV_OPS_H
#define VOV_OPS_H

#include "det/multibox.h"
#include "det/roi.h"
#include "graph/graph.h"

/* in: x. out: y. A weight init of all zeros means He's: normal, deviation sqrt(2 / fan-in). */
struct conv_attr {
    struct conv_desc d;
    int out_c;
    bool bias;
    enum act act; /* after the bias; in a training graph only what act_from_output() allows */
    struct param_init init;
    double fold_eps; /* set by absorb(): of the batch norm that fold_weights multiplies in */
    const struct node *before; /* NULL, or set by absorb_before(): the batch norm of what is read */
};

/* Transposed convolution with conv_attr: d is that of the convolution from y to x, and weights are
 * [x.c, out_c / groups, kh, kw]. */
extern const struct op_type op_conv, op_deconv;

/* in: x. out: y and, in training, stats. groups 0: batch norm, which uses running statistics in
 * inference. momentum: the part of the old statistics that is kept. */
struct norm_attr {
    int groups;
    double eps, momentum;
    enum act act;
    bool frozen; /* batch norm: running statistics in training too, and nothing learns */
};
extern const struct op_type op_norm;

/* in: x, or for add: a, b of equal shapes. y = act(a + b). */
struct act_attr {
    enum act act;
};
extern const struct op_type op_activation, op_add;

/*
 * in: x. Windows begin at -d.pad. Rows of windows: (h + pad_total - size) / stride + 1, where the
 * quotient is rounded up with ceil_mode (a last window outside the picture is dropped then).
 * Darknet: d.pad = pad_total / 2; others: pad_total = 2 * d.pad.
 */
struct pool_attr {
    struct pool_desc d;
    int pad_total;
    bool ceil_mode;
};
extern const struct op_type op_maxpool, op_avgpool;
extern const struct op_type op_global_avgpool; /* no settings */

/* in: x, taken as [n, c*h*w]. out: [n, out_c, 1, 1]. An init of all zeros: uniform in
 * +-1/sqrt(c*h*w). */
struct connected_attr {
    int out_c;
    bool bias;
    enum act act; /* in a training graph only what act_from_output() allows */
    struct param_init init;
};
extern const struct op_type op_connected;

struct dropout_attr {
    double p; /* part that is set to 0 in training; the rest is divided by 1 - p */
};
extern const struct op_type op_dropout;

/* in: any number of tensors of equal n, h, w. No settings. */
extern const struct op_type op_concat;

/* in: x. out: its channels first .. first + c - 1. */
struct slice_attr {
    int first, c;
};
extern const struct op_type op_slice;

/* in: x [n,c,h,w], s [n,c,1,1]. No settings. */
extern const struct op_type op_mul_channel;

/* in: x. To h rows and w columns, or, where scale is not 0, to scale times the size. */
struct resize_attr {
    int h, w, scale;
    bool bilinear;
};
extern const struct op_type op_resize;

struct l2norm_attr {
    double eps, scale; /* scale: at the start; it is learned for each channel */
};
extern const struct op_type op_l2norm;

extern const struct op_type op_softmax; /* over channels; no settings */

/*
 * Losses. out[0] holds the loss, unweighted, and is kept; the backward pass starts from `weight`
 * times it.
 */
/* in: x [n,c,h,w], label [n,1,h,w]. out: loss [1]. */
struct softmax_loss_attr {
    double weight; /* 0: 1 */
};
extern const struct op_type op_softmax_loss;

/* in: x, target, weight, of one shape. out: loss [1]. */
struct smooth_l1_attr {
    double sigma; /* where the square becomes a line; 0: 1 */
    double norm;  /* what the sum is divided by; 0: 1 */
    double weight;
};
extern const struct op_type op_smooth_l1;

/* in: loc [n,P,4,1], conf [n,P,C,1], truth [n,T,5,1] and, optionally, arm_loc [n,P,4,1] and
 * arm_conf [n,P,2,1], which get no gradient. out: loss [3] (localisation, classification, number
 * of positives) and match. */
struct multibox_attr {
    struct multibox_desc d; /* the priors must live as long as the graph */
    double weight;
};
extern const struct op_type op_multibox;

/* in: loc, conf and, optionally, arm_loc and arm_conf, as above. out: what was found
 * [n*keep,6,1,1]. No gradient. */
struct multibox_detect_attr {
    struct multibox_detect_desc d; /* the priors must live as long as the graph */
};
extern const struct op_type op_multibox_detect;

/* in: maps of several levels, [n, a*k, h, w] each. out: [n, sum of h*w*a, k, 1], the levels one
 * behind the other, each in the order h, w, anchor. */
struct prior_rows_attr {
    int k;
};
extern const struct op_type op_prior_rows;

/*
 * Two-stage detectors. Lists of regions are as in det/roi.h, in tensors [n*rows, numbers, 1, 1];
 * extent [n,4,1,1] is what of the input is picture, in parts (0 0 0 0: all of it).
 */
/* in: rois, then maps of several levels, the finest first, [n,c,h,w] each. out:
 * [n*take,c,size,size] of the first `take` regions of each picture, 0: all. infer() fills d but
 * size, sampling, aligned, canonical, first_level and scale. */
struct roi_align_attr {
    struct roi_align_desc d;
    int take;
};
extern const struct op_type op_roi_align;

/* in: logits [n,P,1,1], deltas [n,P,4,1], extent. out: regions. The anchors must live as long as
 * the graph, here and below. */
struct proposals_attr {
    struct proposal_desc d;
};
extern const struct op_type op_proposals;

/* in: logits, deltas, truth [n,T,5,1], extent. out: loss [4] (objectness, boxes, objects, anchors
 * drawn) and match. */
struct rpn_loss_attr {
    struct rpn_desc d;
};
extern const struct op_type op_rpn_loss;

/* in: regions, truth. out: regions to learn from, and what [n*rows,6,1,1]. */
struct roi_sample_attr {
    struct roi_sample_desc d;
};
extern const struct op_type op_roi_sample;

/* in: logits [N,C,1,1], deltas [N,4*C,1,1], match. out: loss [4] (classes, boxes, objects, all). No
 * settings. */
extern const struct op_type op_roi_loss;

/* in: regions, logits, deltas, extent. out: what was found [n*rows,6,1,1]. */
struct roi_detect_attr {
    struct roi_detect_desc d;
};
extern const struct op_type op_roi_detect;

/* in: logits [n*take,C,h,h] of the first `take` regions of each picture, regions, match, truth, its
 * masks [n,T,side,side]. out: loss [2] (masks, objects) and targets. infer() fills rows and take.
 */
struct mask_loss_attr {
    struct mask_desc d;
};
extern const struct op_type op_mask_loss;

/* in: logits [N,C,h,w], what was found. out: probabilities [N,1,h,w]. No settings. */
extern const struct op_type op_mask_select;

/* "relu" and the like, as cfg files and tables write them. */
const char *act_name(enum act a);

/* For absorb(): does act come out as one of conv's or connected's? Sets *act when it does. */
bool act_absorb(const struct node *next, enum act *act);

/* in: x. out: y, the same numbers in another type; see graph_narrow. No settings. */
extern const struct op_type op_convert;

#endif
