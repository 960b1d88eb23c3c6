/*
 * kernel_pool.h - the largest numbers and the sums of the windows of a line, eight windows at a
 * time. NaN is above all, and the first of equals stays. Included by the kernels_*.c files.
 */
#ifndef VOV_CPU_KERNEL_POOL_H
#define VOV_CPU_KERNEL_POOL_H

#include "kernels.h"
#include "vec.h"

#define SELECT8(mask, a, b) ((v8)(((v8_mask)(a) & (mask)) | ((v8_mask)(b) & ~(mask))))

static inline void kernel_larger(size_t n, const real *x, real *most)
{
    const size_t lanes = VEC_LANES;

    for (size_t i = 0; i < n && n >= lanes; i += lanes) {
        const size_t at = i + lanes <= n ? i : n - lanes; /* some twice, which does no harm */
        const vec v = VEC_LOAD(x + at), m = VEC_LOAD(most + at);
        VEC_STORE(most + at, VEC_SELECT((v > m) | (v != v), v, m));
    }
    for (size_t i = 0; n < lanes && i < n; i++) {
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

static inline void kernel_largest(const struct windows *w, const real *line, real *most)
{
    if (w->stride == 1) {
        LARGEST_LOOP(1, LOAD8(p))
    } else if (w->stride == 2) {
        LARGEST_LOOP(2, EVEN8(p))
    } else {
        LARGEST_LOOP(w->stride, SPREAD8(p, w->stride))
    }
}

/* Every second number, in an order that costs one instruction on most machines; and from the usual
 * order to that one, or back. */
#define EVEN8_MIXED(p) __builtin_shufflevector(LOAD8(p), LOAD8((p) + 8), 0, 2, 8, 10, 4, 6, 12, 14)
#define MIXED8(v) __builtin_shufflevector(v, v, 0, 1, 4, 5, 2, 3, 6, 7)
#define AS_IT_IS(v) (v)

/* Windows by eights, the last eight maybe once more, whose maxima stay in registers over all their
 * numbers. */
#define LARGEST_AT_LOOP(size, stride, load, order)                                                 \
    for (int i = 0; i < w->n; i += 8) {                                                            \
        const int q = i + 8 <= w->n ? i : w->n - 8;                                                \
        const real *row = line + (ptrdiff_t)q * (stride), *p = row;                                \
        v8 index = (w->index + (real)((ptrdiff_t)q * (stride))) + order(lane) * (real)(stride);    \
        v8 m = load, a = index;                                                                    \
        for (int r = 0; r < w->rows; r++, row += w->row, index += (real)w->row) {                  \
            v8 tap = index;                                                                        \
            p = row;                                                                               \
            for (int k = 0; k < (size); k++, p++, tap += 1) {                                      \
                const v8 v = load;                                                                 \
                const v8_mask better = ~(v <= m) & (m == m);                                       \
                m = SELECT8(better, v, m);                                                         \
                a = SELECT8(better, tap, a);                                                       \
            }                                                                                      \
        }                                                                                          \
        STORE8(most + q, order(m));                                                                \
        STORE8(at + q, order(a));                                                                  \
    }

static inline void kernel_largest_at(const struct windows *w, const real *line, real *most,
                                     real *at)
{
    const v8 lane = {0, 1, 2, 3, 4, 5, 6, 7};

    if (w->stride == 2 && w->size == 3) { /* VoVNet's, ResNet's and DenseNet's */
        LARGEST_AT_LOOP(3, 2, EVEN8_MIXED(p), MIXED8)
    } else if (w->stride == 2) {
        LARGEST_AT_LOOP(w->size, 2, EVEN8_MIXED(p), MIXED8)
    } else if (w->stride == 1) {
        LARGEST_AT_LOOP(w->size, 1, LOAD8(p), AS_IT_IS)
    } else {
        LARGEST_AT_LOOP(w->size, w->stride, SPREAD8(p, w->stride), AS_IT_IS)
    }
}

/* sums[i] = sum over k < size of line[i*stride + k]; of whole eights. */
#define SUMS_LOOP(stride, load)                                                                    \
    for (int i = 0; i < w->n; i += 8) {                                                            \
        const real *p = line + (ptrdiff_t)i * (stride);                                            \
        v8 sum = {0};                                                                              \
        for (int k = 0; k < w->size; k++, p++) {                                                   \
            sum += load;                                                                           \
        }                                                                                          \
        STORE8(sums + i, sum);                                                                     \
    }

static inline void kernel_window_sums(const struct windows *w, const real *line, real *sums)
{
    if (w->stride == 1) {
        SUMS_LOOP(1, LOAD8(p))
    } else if (w->stride == 2) {
        SUMS_LOOP(2, EVEN8(p))
    } else {
        SUMS_LOOP(w->stride, SPREAD8(p, w->stride))
    }
}

#define MIX_LO(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define MIX_HI(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)

/* Two neighbouring taps of stride 2, the second of which may be missing. */
static inline void spread_pair(const struct windows *w, const real *g, bool second, bool add,
                               real *line)
{
    const v8 zero = {0};

    for (int i = 0; i < w->n; i += 8, line += 16) {
        const v8 a = LOAD8(g + i), b = second ? a : zero;
        v8 lo = MIX_LO(a, b), hi = MIX_HI(a, b);
        if (add) {
            lo += LOAD8(line);
            hi += LOAD8(line + 8);
        }
        STORE8(line, lo);
        STORE8(line + 8, hi);
    }
}

static inline void kernel_window_spread(const struct windows *w, const real *g, bool add,
                                        real *line)
{
    for (int k = 0; k < w->size; k += w->stride == 2 ? 2 : 1) {
        real *p = line + k;
        if (w->stride == 2) {
            spread_pair(w, g, k + 1 < w->size, add, p);
            continue;
        }
        for (int i = 0; w->stride == 1 && i < w->n; i += 8) {
            const v8 old = add ? (v8)LOAD8(p + i) : (v8){0};
            STORE8(p + i, old + LOAD8(g + i));
        }
        for (int i = 0; w->stride > 1 && i < w->n; i++, p += w->stride) {
            *p = (add ? *p : 0) + g[i];
        }
    }
}

/* Bilinear to twice the width: an output pixel lies a quarter of an input pixel beside one. */
static inline void kernel_twice(size_t n, const real *line, real *out)
{
    size_t i = 0;

    for (; i + 8 <= n; i += 8, out += 16) {
        const v8 before = LOAD8(line + i), at = LOAD8(line + i + 1), after = LOAD8(line + i + 2);
        const v8 lo = at * (real)0.75 + before * (real)0.25;
        const v8 hi = at * (real)0.75 + after * (real)0.25;
        STORE8(out, MIX_LO(lo, hi));
        STORE8(out + 8, MIX_HI(lo, hi));
    }
    for (; i < n; i++, out += 2) {
        out[0] = line[i + 1] * (real)0.75 + line[i] * (real)0.25;
        out[1] = line[i + 1] * (real)0.75 + line[i + 2] * (real)0.25;
    }
}

#define ODD8(p) __builtin_shufflevector(LOAD8(p), LOAD8((p) + 8), 1, 3, 5, 7, 9, 11, 13, 15)

/* Its gradient: of the four output pixels that input pixel i is part of. */
static inline void kernel_twice_back(size_t n, const real *g, real *line)
{
    size_t i = 0;

    for (; i + 8 <= n; i += 8, g += 16) {
        const v8 before = EVEN8(g), first = ODD8(g), second = EVEN8(g + 2), after = ODD8(g + 2);
        STORE8(line + i, (first + second) * (real)0.75 + (before + after) * (real)0.25);
    }
    for (; i < n; i++, g += 2) {
        line[i] = (g[1] + g[2]) * (real)0.75 + (g[0] + g[3]) * (real)0.25;
    }
}

/* y[r][i] = the mean of the four numbers of x, whose rows are twice as many and as long. */
static inline void kernel_quarter(int rows, int n, const real *x, real *y)
{
    const real quarter = (real)0.25;

    for (int r = 0; r < rows; r++, x += (ptrdiff_t)(4 * n), y += n) {
        const real *a = x, *b = x + (ptrdiff_t)(2 * n);
        int i = 0;
        for (; i + 8 <= n; i += 8, a += 16, b += 16) {
            STORE8(y + i, ((EVEN8(a) + EVEN8(b)) + (ODD8(a) + ODD8(b))) * quarter);
        }
        for (; i < n; i++, a += 2, b += 2) {
            y[i] = ((a[0] + b[0]) + (a[1] + b[1])) * quarter;
        }
    }
}

/* Its gradient. */
static inline void kernel_quarter_back(int rows, int n, const real *dy, real *dx)
{
    const real quarter = (real)0.25;

    for (int r = 0; r < rows; r++, dx += (ptrdiff_t)(4 * n), dy += n) {
        real *a = dx, *b = dx + (ptrdiff_t)(2 * n);
        int i = 0;
        for (; i + 8 <= n; i += 8, a += 16, b += 16) {
            const v8 g = LOAD8(dy + i) * quarter, lo = MIX_LO(g, g), hi = MIX_HI(g, g);
            STORE8(a, lo);
            STORE8(a + 8, hi);
            STORE8(b, lo);
            STORE8(b + 8, hi);
        }
        for (; i < n; i++, a += 2, b += 2) {
            a[0] = a[1] = b[0] = b[1] = dy[i] * quarter;
        }
    }
}

#endif
