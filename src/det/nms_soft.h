/*
 * nms_soft.h - between nms.c and nms_soft.c: what the greedy thinning left, and soft-NMS.
 */
#ifndef VOV_NMS_SOFT_H
#define VOV_NMS_SOFT_H

#include "nms.h"

struct nms_entry {
    struct detection d;
    int box; /* its number, which breaks ties, as the class does then */
};

/* Lowers scores by class, drops what falls under d->min_score, sorts the rest; how many remain. */
int nms_thin_soft(struct nms_entry *v, int n, const struct nms_desc *d);

#endif
