/*
 * tensor.h - shapes, and windows of device memory that kernels work on. Knows no device and no op.
 */
#ifndef VOV_TENSOR_H
#define VOV_TENSOR_H

#include "base/real.h"

#include <stddef.h>

struct shape {
    int n, c, h, w;
};

/* What a buffer holds. HALF and BF16 are 16 bits wide (IEEE's binary16, and the upper half of a
 * float): how some devices keep activations; they compute in float all the same. */
enum number { NUMBER_REAL, NUMBER_HALF, NUMBER_BF16 };

static inline size_t number_bytes(enum number type)
{
    return type == NUMBER_REAL ? sizeof(real) : 2;
}

/*
 * Channels c0 .. c0 + c - 1 of a buffer that holds n images of rc channels of h*w numbers. A run of
 * channels inside a wider buffer is a view too, and that is all that a concat without copying
 * needs. The device decides how a buffer lies in memory; the CPU's is NCHW (view_at). A view names
 * its buffer's channel count rather than a stride, so that a device may also lay it out as NHWC.
 */
struct view {
    real *p; /* start of the whole buffer, whatever its type; NULL: no view */
    int n, c, h, w;
    int c0, rc;
    enum number type;
};

static inline size_t shape_count(struct shape s)
{
    return (size_t)s.n * (size_t)s.c * (size_t)s.h * (size_t)s.w;
}

static inline size_t view_plane(struct view v)
{
    return (size_t)v.h * (size_t)v.w;
}

/* CPU layout: the first number of channel c of image i. The v.c channels from c = 0 on are dense.
 */
static inline real *view_at(struct view v, int i, int c)
{
    return v.p + ((size_t)i * (size_t)v.rc + (size_t)v.c0 + (size_t)c) * view_plane(v);
}

/* The window of c channels from channel `first` of v on. */
static inline struct view view_slice(struct view v, int first, int c)
{
    v.c0 += first;
    v.c = c;
    return v;
}

/* Image i alone: images lie behind each other in every layout. */
static inline struct view view_image(struct view v, int i)
{
    char *start = (char *)v.p;
    const size_t image = (size_t)v.rc * view_plane(v) * number_bytes(v.type);

    v.p = (real *)(void *)(start + (size_t)i * image);
    v.n = 1;
    return v;
}

/* A dense buffer of the given shape at p. */
static inline struct view view_dense(real *p, struct shape s)
{
    return (struct view){p, s.n, s.c, s.h, s.w, 0, s.c, NUMBER_REAL};
}

#endif
