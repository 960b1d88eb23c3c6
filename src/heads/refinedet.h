/*
 * refinedet.h - between refinedet.c (the section and its nodes) and refinedet_decode.c.
 */
#ifndef VOV_REFINEDET_H
#define VOV_REFINEDET_H

#include "det/multibox.h"
#include "det/nms.h"
#include "head.h"

enum { REFINEDET_ARM_LOC, REFINEDET_ARM_CONF, REFINEDET_ODM_LOC, REFINEDET_ODM_CONF };

struct refinedet {
    struct multibox_desc arm, odm; /* of one set of priors, in the graph's memory */
    double arm_thresh;
    struct nms_desc nms;
};

/* head_type.decode of [refinedet]. */
enum vov_status refinedet_decode(const struct head *h, const real *const *out, int image,
                                 double min_score, struct det_list *dets, struct err *err);

#endif
