/*
 * vote.h - makes one list of what several looks at a picture found: boxes of one class that mean
 * the same object become their mean, weighted by score (box voting, Gidaris and Komodakis 2015), in
 * the form of RefineDet's tester (docs/evaluation.md).
 */
#ifndef VOV_VOTE_H
#define VOV_VOTE_H

#include "detection.h"

struct vote_desc {
    real iou; /* boxes that overlap the best of the rest by so much or more vote with it */
    /* Those that voted also stay for themselves, for objects that hide each other, with their score
     * times 1 - overlap, where that is no less than this. Over 1: none does. */
    real min_score;
};

/* Leaves by falling score what the boxes of l agree on. Of equal scores the smaller class is
 * better, then the earlier box. A box that no other votes with stays as it is, to the bit.
 * VOV_ENOMEM leaves l as it was. l has no masks. */
enum vov_status vote_by_class(struct det_list *l, const struct vote_desc *d, struct err *err);

#endif
