/*
 * nms.h - thins detections out: of boxes of one class that overlap, the best scored stays (greedy),
 * or the others' scores fall with the overlap (soft-NMS, Bodla et al. 2017, linear).
 */
#ifndef VOV_NMS_H
#define VOV_NMS_H

#include "detection.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct nms_desc {
    int classes; /* 0 to classes - 1 */
    real iou;    /* a box is dropped when it overlaps a better one by more; 1: none is */
    int top_k;   /* of each class before the thinning, 1 or more */
    int keep;    /* over all classes, after it, 1 or more */
};

/*
 * A score of a box for a class, as a number that is larger the better it is: of equal scores the
 * earlier box's, then the smaller class's, so that no two are equal and the result depends on
 * nothing else. place: box * classes + class. score: 0 or more, and a float in any build.
 */
static inline uint64_t nms_key(real score, uint32_t place)
{
    const float s = (float)score;
    uint32_t bits;

    memcpy(&bits, &s, sizeof bits);
    return (uint64_t)bits << 32 | (UINT32_MAX - place);
}

/* How many overlaps of boxes were computed, and how many scores looked at. */
struct nms_work {
    size_t overlaps, looked_at;
};

/* n keys, in any order, which lose theirs; box and class of each are below what their places say.
 */
struct nms_input {
    const struct box *box;
    uint64_t *key;
    int n;
    struct nms_work *work; /* added to; NULL: not wanted */
};

/* What remains, by falling score, in rows of FOUND_ROW; returns how many, `keep` at most. memory:
 * nms_bytes() of it, aligned as malloc's. */
size_t nms_bytes(const struct nms_desc *d);
int nms_thin(const struct nms_desc *d, const struct nms_input *in, real *found, void *memory);

/* Of n detections by falling score: multiplies scores by 1 - overlap with each better box of the
 * class where that is over `from`, drops what falls under min_score, and sorts the rest, of equal
 * scores the earlier first. Returns how many remain. */
int nms_soften(struct detection *v, int n, real from, real min_score);

#endif
