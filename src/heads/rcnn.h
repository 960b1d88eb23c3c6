/*
 * rcnn.h - between the sections of a two-stage detector: [rpn] finds regions, [roi_align] cuts them
 * out, [roi_box] tells what they are and where, [roi_mask] draws their masks. What one leaves for
 * the next is the head's attr.
 */
#ifndef VOV_RCNN_H
#define VOV_RCNN_H

#include "head.h"

enum { RCNN_FOUND, RCNN_MASKS };

struct rcnn {
    /* The regions at hand, and how many of each picture's rows the next [roi_align] cuts out: all
     * that were drawn or proposed, then, for masks, the objects or what was found. */
    struct tensor *rois;
    int take;
    bool boxes;            /* [roi_box] was there */
    struct tensor *match;  /* in training: what each region is to learn */
    int objects;           /* in training: the first rows of a picture's, where objects are */
    struct tensor *pooled; /* what [roi_align] cut out and nobody has looked at yet, or NULL */
};

/* The head's, for a section that follows [rpn]; what must have been before it ("[roi_align]") is
 * named in the error. */
enum vov_status rcnn_of(const struct builder *b, struct rcnn **r, struct err *err);

/* The part of [roi_box] and [roi_mask] that is alike: n times a 3x3 convolution, a norm, ReLU. */
struct roi_convs {
    int n, channels, norm;
    double init; /* deviation of the weights; 0: He's */
};
enum vov_status rcnn_convs(struct builder *b, const struct roi_convs *c, struct tensor **x,
                           struct err *err);

/* What [roi_align] cut out, which may be used once. */
enum vov_status rcnn_pooled(const struct builder *b, struct rcnn *r, struct tensor **x,
                            struct err *err);

#endif
