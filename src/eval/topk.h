/*
 * topk.h - how often a classifier is right: the true class is the likeliest (top-1), or among the
 * five likeliest (top-5).
 */
#ifndef VOV_TOPK_H
#define VOV_TOPK_H

#include "base/real.h"

struct topk {
    long n, top1, top5; /* pictures; those that were right */
};

/* One picture: probabilities, or any scores, of n classes. Classes of equal score count as likelier
 * than the true one, so that a net that says the same of all is never right by chance. */
void topk_add(struct topk *t, const real *score, int n, int label);

/* Parts of all pictures; 0 where there are none. */
double topk_top1(const struct topk *t);
double topk_top5(const struct topk *t);

#endif
