/*
 * match.h - COCO's pairing of the detections of one class with the truth, picture by picture, at
 * all IoU thresholds and size classes at once.
 */
#ifndef VOV_MATCH_H
#define VOV_MATCH_H

#include "coco_eval.h"

#include <stdint.h>

/* A truth or a detection among others of its class and picture. */
struct pair_truth {
    double box[4];
    double area;
    bool crowd;
    const struct rle *mask; /* for masks */
};
struct pair_found {
    double box[4];
    double area, score;
    const struct rle *mask;
};

struct pair_picture {
    const struct pair_truth *truth;
    const struct pair_found *found; /* by falling score, at most COCO_MOST */
    int n_truth, n_found;
};

/* A detection after the pairing; bit t of hit[] and ignored[]: at IoU threshold t. */
struct verdict {
    double score;
    int rank; /* in its picture, from 0 */
    uint16_t hit[COCO_AREAS], ignored[COCO_AREAS];
};

/* Everything of one class. */
struct tally {
    struct verdict *v;
    int n, cap;
    long wanted[COCO_AREAS]; /* truths that are to be found */
};

struct matcher {
    double iou[COCO_IOUS]; /* the thresholds */
    double *table;         /* [found, truth] */
    size_t table_cap;
    int *order; /* [truth] those to be found first */
    bool *ignore, *taken;
    int truth_cap;
};

void matcher_init(struct matcher *m);
void matcher_free(struct matcher *m);

/* One picture. Adds to t. */
enum vov_status matcher_add(struct matcher *m, bool segm, const struct pair_picture *p,
                            struct tally *t, struct err *err);

#endif
