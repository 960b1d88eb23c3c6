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

void det_free(struct det_list *l)
{
    mem_free(l->v);
    mem_free(l->mask);
    *l = (struct det_list){0};
}
