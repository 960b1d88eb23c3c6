/*
 * detections.h - what a head of the SSD family makes of outputs that a test gives it: the operation
 * that its graph ends in, on the host, and the head's own decoder behind it.
 */
#ifndef VOV_DETECTIONS_H
#define VOV_DETECTIONS_H

#include "det/multibox.h"
#include "model/model.h"
#include "ops/ops.h"

#include <check.h>
#include <stdlib.h>

/* Of a model that was built for inference. */
static inline const struct multibox_detect_desc *detect_desc(const struct model *m)
{
    const struct multibox_detect_attr *a = m->head.out[m->head.n_out - 1]->producer->attr;

    ck_assert_str_eq(m->head.out[m->head.n_out - 1]->producer->type->name, "multibox_detect");
    return &a->d;
}

/* The rows that one image's outputs give; to be freed. */
static inline real *detect_rows(const struct multibox_detect_desc *d,
                                const struct multibox_input *in)
{
    real *found = calloc((size_t)d->keep, FOUND_ROW * sizeof *found);
    void *scratch = malloc(multibox_detect_bytes(d));

    ck_assert(found != NULL && scratch != NULL);
    multibox_detect(d, in, found, scratch);
    free(scratch);
    return found;
}

/* Detections of one image's outputs, by the model's head. */
static inline void detect_outputs(const struct model *m, const struct multibox_input *in,
                                  double min_score, struct det_list *dets)
{
    real *found = detect_rows(detect_desc(m), in);
    const real *out[HEAD_MAX_OUT] = {0};
    struct err err = {0};

    out[m->head.n_out - 1] = found;
    ck_assert(m->head.decodes == 1u << (m->head.n_out - 1));
    ck_assert(m->head.type->decode(&m->head, out, 0, min_score, dets, &err) == VOV_OK);
    free(found);
}

#endif
