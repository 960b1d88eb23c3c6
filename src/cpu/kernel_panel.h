/*
 * kernel_panel.h - the micro-kernel of convolutions: a panel of 16 output channels, as vectors,
 * times up to 6 columns (pixels, or tiles) whose numbers are broadcast, and the write-out of
 * pixels, whose channels lie side by side, as rows of their channels. Included by the kernels_*.c
 * files.
 */
#ifndef VOV_CPU_KERNEL_PANEL_H
#define VOV_CPU_KERNEL_PANEL_H

#include "kernel_act.h"
#include "kernel_tile.h"

#define UPTO_1(of) of(0)
#define UPTO_2(of)                                                                                 \
    UPTO_1(of);                                                                                    \
    of(1)
#define UPTO_3(of)                                                                                 \
    UPTO_2(of);                                                                                    \
    of(2)
#define UPTO_4(of)                                                                                 \
    UPTO_3(of);                                                                                    \
    of(3)
#define UPTO_5(of)                                                                                 \
    UPTO_4(of);                                                                                    \
    of(4)
#define UPTO_6(of)                                                                                 \
    UPTO_5(of);                                                                                    \
    of(5)

/* Sums of column t: in two vectors of channels or, where one vector holds all channels, in one for
 * even and one for odd k. */
#define PANEL_CLEAR(t) vec s##t##0 = {0}, s##t##1 = {0}
#define PANEL_STEP(t)                                                                              \
    s##t##0 += u0 * v[t];                                                                          \
    s##t##1 += u1 * v[t]
#define PANEL_STEP_TWICE(t)                                                                        \
    s##t##0 += u0 * v[t];                                                                          \
    s##t##1 += u1 * v[ldv + (t)]
#define PANEL_STEP_ONCE(t) s##t##0 += u0 * v[t]
#define PANEL_JOIN(t) s##t##0 += s##t##1
#define PANEL_ADD_ONE(t) s##t##0 += VEC_LOAD(sums + (t)*step)
#define PANEL_STORE_ONE(t) VEC_STORE(sums + (t)*step, s##t##0)
#define PANEL_ADD(t)                                                                               \
    PANEL_ADD_ONE(t);                                                                              \
    s##t##1 += VEC_LOAD(sums + (t)*step + VEC_LANES)
#define PANEL_STORE(t)                                                                             \
    PANEL_STORE_ONE(t);                                                                            \
    VEC_STORE(sums + (t)*step + VEC_LANES, s##t##1)

/* While these weights are worked with, the next ones are fetched to the second cache. */
#define PANEL_AHEAD                                                                                \
    __builtin_prefetch(next, 0, 2);                                                                \
    next += advance

#define PANEL_COLUMNS(n)                                                                           \
    static inline void panel_two_##n(int k, const real *u, const real *v, size_t ldv, bool add,    \
                                     real *sums, size_t step, const char *next, size_t advance)    \
    {                                                                                              \
        UPTO_##n(PANEL_CLEAR);                                                                     \
        for (int i = 0; i < k; i++, u += PANEL_ROWS, v += ldv) {                                   \
            const vec u0 = VEC_LOAD(u), u1 = VEC_LOAD(u + VEC_LANES);                              \
            PANEL_AHEAD;                                                                           \
            UPTO_##n(PANEL_STEP);                                                                  \
        }                                                                                          \
        if (add) {                                                                                 \
            UPTO_##n(PANEL_ADD);                                                                   \
        }                                                                                          \
        UPTO_##n(PANEL_STORE);                                                                     \
    }                                                                                              \
    static inline void panel_one_##n(int k, const real *u, const real *v, size_t ldv, bool add,    \
                                     real *sums, size_t step, const char *next, size_t advance)    \
    {                                                                                              \
        int i = 0;                                                                                 \
        UPTO_##n(PANEL_CLEAR);                                                                     \
        for (; i + 2 <= k; i += 2, u += (ptrdiff_t)(2 * PANEL_ROWS), v += 2 * ldv) {               \
            const vec u0 = VEC_LOAD(u), u1 = VEC_LOAD(u + PANEL_ROWS);                             \
            PANEL_AHEAD;                                                                           \
            UPTO_##n(PANEL_STEP_TWICE);                                                            \
        }                                                                                          \
        if (i < k) {                                                                               \
            const vec u0 = VEC_LOAD(u);                                                            \
            UPTO_##n(PANEL_STEP_ONCE);                                                             \
        }                                                                                          \
        UPTO_##n(PANEL_JOIN);                                                                      \
        if (add) {                                                                                 \
            UPTO_##n(PANEL_ADD_ONE);                                                               \
        }                                                                                          \
        UPTO_##n(PANEL_STORE_ONE);                                                                 \
    }                                                                                              \
    static inline void panel_columns_##n(int k, const real *u, const real *v, size_t ldv,          \
                                         bool add, real *sums, size_t step, const char *next,      \
                                         size_t advance)                                           \
    {                                                                                              \
        if (VEC_LANES >= PANEL_ROWS) {                                                             \
            panel_one_##n(k, u, v, ldv, add, sums, step, next, advance);                           \
            return;                                                                                \
        }                                                                                          \
        for (int i = 0; i < PANEL_ROWS; i += 2 * VEC_LANES) {                                      \
            panel_two_##n(k, u + i, v, ldv, add, sums + i, step, next, advance);                   \
        }                                                                                          \
    }

PANEL_COLUMNS(1)
PANEL_COLUMNS(2)
PANEL_COLUMNS(3)
PANEL_COLUMNS(4)
PANEL_COLUMNS(5)
PANEL_COLUMNS(6)

static inline void kernel_multiply(int k, const real *u, const real *v, size_t ldv, int n, bool add,
                                   real *sums, size_t step, const real *next)
{
    static void (*const columns[])(int, const real *, const real *, size_t, bool, real *, size_t,
                                   const char *, size_t) = {panel_columns_1, panel_columns_2,
                                                            panel_columns_3, panel_columns_4,
                                                            panel_columns_5, panel_columns_6};
    const int groups = (n + 5) / 6;
    const size_t advance = (PANEL_ROWS * sizeof(real) + (size_t)groups - 1) / (size_t)groups;
    const char *ahead = (const char *)next;

    for (int g = 0, t = 0; g < groups; g++, ahead += advance * (size_t)k) {
        const int end = n * (g + 1) / groups;
        columns[end - t - 1](k, u, v + t, ldv, add, sums + (size_t)t * step, step, ahead, advance);
        t = end;
    }
}

static inline void kernel_join_rows(int rows, int n, const real *x, size_t step, real *y)
{
    for (int r = 0; r < rows; r++, x += step, y += n) {
        for (int i = 0; i < n; i += 8) {
            STORE8(y + i, LOAD8(x + i));
        }
    }
}

/* Pixels of 8 channels, which lie side by side, go out as rows. Eight whole ones, from number i of
 * the rows on. */
ALWAYS_INLINE void put_plain(const struct rows_out *o, const v8 *t, bool relu, bool plus, size_t i,
                             real *y)
{
#pragma GCC unroll 8
    for (int r = 0; r < 8; r++) {
        const size_t at = (size_t)r * o->row + i;
        v8 p = t[r] + (o->bias ? o->bias[r] : 0);
        if (plus) {
            p += LOAD8(o->plus + at);
        }
        STORE8(y + at, relu ? (v8)((v8_mask)p & ~(p < 0)) : p);
    }
}

/* Any of them: n pixels, at most 8, from number i of the rows on. */
static inline void put_any(const struct rows_out *o, const v8 *t, size_t i, int n, real *y)
{
    for (int r = 0; r < o->rows; r++) {
        real p[8];
        STORE8(p, t[r] + (o->bias ? o->bias[r] : 0));
        const size_t at = (size_t)r * o->row + i;
        for (int l = 0; o->plus && l < n; l++) {
            p[l] += o->plus[at + (size_t)l];
        }
        kernel_act_fwd(o->act, (size_t)n, p, p);
        for (int l = 0; l < n; l++) {
            y[at + (size_t)l] = p[l] + (o->add ? y[at + (size_t)l] : 0);
        }
    }
}

static inline void kernel_put_rows(const struct rows_out *o, int n, const real *pixels, real *y)
{
    const bool plain = o->rows == 8 && !o->add && (o->act == ACT_RELU || o->act == ACT_LINEAR);
    const bool relu = o->act == ACT_RELU;

    for (int i = 0; i < n; i += 8, pixels += 8 * o->pixel) {
        v8 p[8], t[8];
#pragma GCC unroll 8
        for (int l = 0; l < 8; l++) {
            p[l] = LOAD8(pixels + (size_t)l * o->pixel);
        }
        TRANSPOSE8(p, t);
        if (plain && i + 8 <= n && o->plus) {
            put_plain(o, t, relu, true, (size_t)i, y);
        } else if (plain && i + 8 <= n && relu) {
            put_plain(o, t, true, false, (size_t)i, y);
        } else if (plain && i + 8 <= n) {
            put_plain(o, t, false, false, (size_t)i, y);
        } else {
            put_any(o, t, (size_t)i, n - i < 8 ? n - i : 8, y);
        }
    }
}

#endif
