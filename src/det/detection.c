/* detection.c - the growing list of detections. */
#include "detection.h"

#include "base/mem.h"

bool det_add(struct det_list *l, struct detection d)
{
    if (!VEC_GROW(l->v, l->n, l->cap)) {
        return false;
    }
    l->v[l->n++] = d;
    return true;
}

void det_clear(struct det_list *l)
{
    l->n = 0;
    l->n_masks = 0;
}

const real *det_mask(const struct det_list *l, const struct detection *d)
{
    const size_t cells = (size_t)l->mask_side * (size_t)l->mask_side;

    return d->mask > 0 && d->mask <= l->n_masks ? l->mask + (size_t)(d->mask - 1) * cells : NULL;
}

void det_free(struct det_list *l)
{
    mem_free(l->v);
    mem_free(l->mask);
    *l = (struct det_list){0};
}
