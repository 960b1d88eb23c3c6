/*
 * kernel_pool.h - the largest numbers of the windows of a line, eight windows at a time. NaN is
 * above all, and the first of equals stays. Included by the kernels_*.c files.
 */
#ifndef VOV_CPU_KERNEL_POOL_H
#define VOV_CPU_KERNEL_POOL_H

#include "kernels.h"
#include "vec.h"

#define SELECT8(mask, a, b) ((v8)(((v8_mask)(a) & (mask)) | ((v8_mask)(b) & ~(mask))))

static inline void kernel_larger(size_t n, const real *x, real *most)
{
    size_t i = 0;

    for (; i + (size_t)VEC_LANES <= n; i += (size_t)VEC_LANES) {
        const vec v = VEC_LOAD(x + i), m = VEC_LOAD(most + i);
        VEC_STORE(most + i, VEC_SELECT((v > m) | (v != v), v, m));
    }
    for (; i < n; i++) {
        most[i] = x[i] > most[i] || x[i] != x[i] ? x[i] : most[i];
    }
}

/* Numbers i, i + stride, ... of p: eight of them. */
#define EVEN8(p) __builtin_shufflevector(LOAD8(p), LOAD8((p) + 8), 0, 2, 4, 6, 8, 10, 12, 14)
#define SPREAD8(p, stride)                                                                         \
    ((v8){(p)[0], (p)[stride], (p)[2 * (stride)], (p)[3 * (stride)], (p)[4 * (stride)],            \
          (p)[5 * (stride)], (p)[6 * (stride)], (p)[7 * (stride)]})

/* The loop over eights of windows; v are those windows' numbers of tap k. */
#define LARGEST_LOOP(stride, load)                                                                 \
    for (int i = 0; i < w->n; i += 8) {                                                            \
        const real *p = line + (ptrdiff_t)i * (stride);                                            \
        v8 m = LOAD8(most + i);                                                                    \
        for (int k = 0; k < w->size; k++, p++) {                                                   \
            const v8 v = load;                                                                     \
            m = SELECT8((v > m) | (v != v), v, m);                                                 \
        }                                                                                          \
        STORE8(most + i, m);                                                                       \
    }
#define LARGEST_AT_LOOP(stride, load)                                                              \
    for (int i = 0; i < w->n; i += 8) {                                                            \
        const real *p = line + (ptrdiff_t)i * (stride);                                            \
        v8 m = LOAD8(most + i), a = LOAD8(at + i);                                                 \
        v8 index = (w->index + (real)((ptrdiff_t)i * (stride))) + lane * (real)(stride);           \
        for (int k = 0; k < w->size; k++, p++, index += 1) {                                       \
            const v8 v = load;                                                                     \
            const v8_mask better = (v > m) | ((v != v) & (m == m));                                \
            m = SELECT8(better, v, m);                                                             \
            a = SELECT8(better, index, a);                                                         \
        }                                                                                          \
        STORE8(most + i, m);                                                                       \
        STORE8(at + i, a);                                                                         \
    }

static inline void kernel_largest(const struct windows *w, const real *line, real *most, real *at)
{
    const v8 lane = {0, 1, 2, 3, 4, 5, 6, 7};

    if (at == NULL && w->stride == 1) {
        LARGEST_LOOP(1, LOAD8(p))
    } else if (at == NULL && w->stride == 2) {
        LARGEST_LOOP(2, EVEN8(p))
    } else if (at == NULL) {
        LARGEST_LOOP(w->stride, SPREAD8(p, w->stride))
    } else if (w->stride == 1) {
        LARGEST_AT_LOOP(1, LOAD8(p))
    } else if (w->stride == 2) {
        LARGEST_AT_LOOP(2, EVEN8(p))
    } else {
        LARGEST_AT_LOOP(w->stride, SPREAD8(p, w->stride))
    }
}

#endif
