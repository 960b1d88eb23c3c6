/*
 * tiny_rcnn.h - the sections of a tiny Mask R-CNN, for tests with the two pictures of scene.h.
 */
#ifndef VOV_TEST_TINY_RCNN_H
#define VOV_TEST_TINY_RCNN_H

#include "scene.h"

#define FPN "[fpn]\nlevels=s3,s4,s5\nchannels=16\nextra=0\nnorm=group\n"
#define RPN                                                                                        \
    "[rpn]\nlevels=p3,p4,p5\nsizes=16,24,32\ninside=0\nsample=64\ntrain_before=40\n"               \
    "train_keep=80\nbefore=40\nkeep=30\nrois=32\nroi_fg_part=0.5\n"
#define ALIGN(size) "[roi_align]\nlevels=p3,p4,p5\ncanonical=64\naligned=1\nsize=" size "\n"
#define BOX "[roi_box]\nlayers=1\nhidden=48\nkeep=8\n"
#define MASK "[roi_mask]\nconvs=1\nchannels=16\nnorm=group\n"
#define NET(more) TINY_BODY("norm=group\n", FPN RPN more)
#define MASK_RCNN NET(ALIGN("7") BOX ALIGN("14") MASK)

#endif
