/*
 * roi.h - what the reference and the threaded kernels of two-stage detectors share: a call cut into
 * parts that do not touch each other's memory, and what one part does (det/roi.h).
 */
#ifndef VOV_CPU_ROI_H
#define VOV_CPU_ROI_H

#include "backend/backend.h"
#include "det/roi.h"

/* Proposals: a part is a level of a picture. */
struct proposals_call {
    const struct proposal_desc *d;
    struct view logits, deltas, extent, rois;
    struct proposals *list; /* [n][levels] */
    char *memory;           /* [n][levels][scratch] */
    void *merge;
};

size_t proposals_bytes(const struct proposal_desc *d, int n);
void proposals_begin(struct proposals_call *c, void *scratch);
void proposals_part(const struct proposals_call *c, int part);
void proposals_end(const struct proposals_call *c);

/* The RPN's loss: a part is a picture. */
struct rpn_call {
    const struct rpn_desc *d;
    uint64_t key;
    struct view logits, deltas, truth, extent, match;
    double (*sum)[4]; /* [n] losses, objects, drawn */
    char *memory;     /* [n][scratch] */
};

size_t rpn_bytes(const struct rpn_desc *d, struct view truth);
void rpn_begin(struct rpn_call *c, void *scratch);
void rpn_part(const struct rpn_call *c, int image);
void rpn_end(const struct rpn_call *c, real *loss);

/* Row r's numbers of a list. */
static inline real *list_row(struct view v, int r)
{
    return view_at(v, r, 0);
}

/* The level of a region, from 0. */
int roi_level(const struct roi_align_desc *d, const real *roi);

/* The region that row r of the result is cut from. */
static inline int roi_of(const struct roi_align_desc *d, int r)
{
    return r / d->take * d->rows + r % d->take;
}

/* Where the samples of a region lie along one axis, in cells: sample i at start + (i + 0.5) * step.
 */
struct roi_axis {
    real start, step;
};
struct roi_axis roi_axis(const struct roi_align_desc *d, real lo, real hi, real scale);

/* A bilinear sample at `at`: (1 - t) * x[a] + t * x[b]. False: outside. */
struct roi_tap {
    int a, b;
    real t;
    bool inside;
};
struct roi_tap roi_tap(real at, int n);

#endif
