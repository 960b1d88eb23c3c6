/*
 * kernel_panel.h - the micro-kernel of convolutions: two vectors of output channels, of a panel of
 * 16 or of two panels, times up to 6 or 14 columns (pixels, or tiles) whose numbers are broadcast,
 * and the write-out of pixels, whose channels lie side by side, as rows of their channels. Included
 * by the kernels_*.c files.
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
#define UPTO_7(of)                                                                                 \
    UPTO_6(of);                                                                                    \
    of(6)
#define UPTO_8(of)                                                                                 \
    UPTO_7(of);                                                                                    \
    of(7)
#define UPTO_9(of)                                                                                 \
    UPTO_8(of);                                                                                    \
    of(8)
#define UPTO_10(of)                                                                                \
    UPTO_9(of);                                                                                    \
    of(9)
#define UPTO_11(of)                                                                                \
    UPTO_10(of);                                                                                   \
    of(10)
#define UPTO_12(of)                                                                                \
    UPTO_11(of);                                                                                   \
    of(11)
#define UPTO_13(of)                                                                                \
    UPTO_12(of);                                                                                   \
    of(12)
#define UPTO_14(of)                                                                                \
    UPTO_13(of);                                                                                   \
    of(13)

/* Columns of one call: where there are 32 registers, 28 sums, two vectors of weights and a number
 * of a column fill them; where there are 16, 12 sums. */
#if VEC_BYTES == 64
#define PANEL_COLS 14
#define PANEL_COLS_OF(f)                                                                           \
    {                                                                                              \
        f##1, f##2, f##3, f##4, f##5, f##6, f##7, f##8, f##9, f##10, f##11, f##12, f##13, f##14    \
    }
#else
#define PANEL_COLS 6
#define PANEL_COLS_OF(f)                                                                           \
    {                                                                                              \
        f##1, f##2, f##3, f##4, f##5, f##6                                                         \
    }
#endif

/* Two vectors of channels: of one panel or, where a vector holds all of a panel, of two; or one. */
struct panel_run {
    int k;
    bool add;
    const real *u[2], *v;
    size_t ldv, step;
    real *sums[2];
    const char *next[2];
    size_t advance;
};

#define PANEL_CLEAR(t) vec s##t##0 = {0}, s##t##1 = {0}
#define PANEL_STEP(t)                                                                              \
    s##t##0 += u0 * v[t];                                                                          \
    s##t##1 += u1 * v[t]
#define PANEL_ADD(t)                                                                               \
    s##t##0 += VEC_LOAD(sums0 + (t)*step);                                                         \
    s##t##1 += VEC_LOAD(sums1 + (t)*step)
#define PANEL_STORE(t)                                                                             \
    VEC_STORE(sums0 + (t)*step, s##t##0);                                                          \
    VEC_STORE(sums1 + (t)*step, s##t##1)
#define PANEL_CLEAR_ONE(t) vec s##t = {0}
#define PANEL_STEP_ONE(t) s##t += u0 * v[t]
#define PANEL_ADD_ONE(t) s##t += VEC_LOAD(sums0 + (t)*step)
#define PANEL_STORE_ONE(t) VEC_STORE(sums0 + (t)*step, s##t)

/* While these weights are worked with, the next ones are fetched to the second cache. */
#define PANEL_AHEAD(p)                                                                             \
    __builtin_prefetch(p, 0, 2);                                                                   \
    (p) += advance

#define PANEL_COLUMNS(n)                                                                           \
    static void panel_two_##n(const struct panel_run *r)                                           \
    {                                                                                              \
        const real *v = r->v, *w0 = r->u[0], *w1 = r->u[1];                                        \
        const char *next0 = r->next[0], *next1 = r->next[1];                                       \
        const size_t ldv = r->ldv, step = r->step, advance = r->advance;                           \
        real *sums0 = r->sums[0], *sums1 = r->sums[1];                                             \
        UPTO_##n(PANEL_CLEAR);                                                                     \
        for (int i = r->k; i > 0; i--, w0 += PANEL_ROWS, w1 += PANEL_ROWS, v += ldv) {             \
            const vec u0 = VEC_LOAD(w0), u1 = VEC_LOAD(w1);                                        \
            PANEL_AHEAD(next0);                                                                    \
            if (VEC_LANES >= PANEL_ROWS) {                                                         \
                PANEL_AHEAD(next1);                                                                \
            }                                                                                      \
            UPTO_##n(PANEL_STEP);                                                                  \
        }                                                                                          \
        if (r->add) {                                                                              \
            UPTO_##n(PANEL_ADD);                                                                   \
        }                                                                                          \
        UPTO_##n(PANEL_STORE);                                                                     \
    }                                                                                              \
    static void panel_one_##n(const struct panel_run *r)                                           \
    {                                                                                              \
        const real *v = r->v, *w0 = r->u[0];                                                       \
        const char *next0 = r->next[0];                                                            \
        const size_t ldv = r->ldv, step = r->step, advance = r->advance;                           \
        real *sums0 = r->sums[0];                                                                  \
        UPTO_##n(PANEL_CLEAR_ONE);                                                                 \
        for (int i = r->k; i > 0; i--, w0 += PANEL_ROWS, v += ldv) {                               \
            const vec u0 = VEC_LOAD(w0);                                                           \
            PANEL_AHEAD(next0);                                                                    \
            UPTO_##n(PANEL_STEP_ONE);                                                              \
        }                                                                                          \
        if (r->add) {                                                                              \
            UPTO_##n(PANEL_ADD_ONE);                                                               \
        }                                                                                          \
        UPTO_##n(PANEL_STORE_ONE);                                                                 \
    }

PANEL_COLUMNS(1)
PANEL_COLUMNS(2)
PANEL_COLUMNS(3)
PANEL_COLUMNS(4)
PANEL_COLUMNS(5)
PANEL_COLUMNS(6)
#if PANEL_COLS > 6
PANEL_COLUMNS(7)
PANEL_COLUMNS(8)
PANEL_COLUMNS(9)
PANEL_COLUMNS(10)
PANEL_COLUMNS(11)
PANEL_COLUMNS(12)
PANEL_COLUMNS(13)
PANEL_COLUMNS(14)
#endif

/* All columns of one vector or two. */
static inline void panel_all(const struct panel_product *p, struct panel_run r, bool two)
{
    static void (*const columns[2][PANEL_COLS])(const struct panel_run *) = {
        PANEL_COLS_OF(panel_one_), PANEL_COLS_OF(panel_two_)};
    const int groups = (p->n + PANEL_COLS - 1) / PANEL_COLS;

    r.k = p->k;
    r.add = p->add;
    r.ldv = p->ldv;
    r.step = p->step;
    r.advance = (PANEL_ROWS * sizeof(real) + (size_t)groups - 1) / (size_t)groups;
    for (int g = 0, t = 0; g < groups; g++) {
        const int end = p->n * (g + 1) / groups;
        r.v = p->v + t;
        columns[two][end - t - 1](&r);
        for (int i = 0; i < 2; i++) {
            r.sums[i] += (size_t)(end - t) * p->step;
            r.next[i] += r.advance * (size_t)p->k;
        }
        t = end;
    }
}

/* Where a vector holds all of a panel, panels go by twos, and a last one alone. */
static inline void multiply_pairs(const struct panel_product *p)
{
    for (int i = 0; i < p->panels; i += 2) {
        const real *u = p->u + (size_t)i * p->u_panel;
        real *sums = p->sums + (size_t)i * p->sums_panel;
        const real *next = i + 2 < p->panels ? u + 2 * p->u_panel : p->next;
        const struct panel_run r = {
            .u = {u, u + p->u_panel},
            .sums = {sums, sums + p->sums_panel},
            .next = {(const char *)next, (const char *)(next + p->u_panel)}};
        panel_all(p, r, i + 1 < p->panels);
    }
}

static inline void multiply_each(const struct panel_product *p)
{
    for (int i = 0; i < p->panels; i++) {
        const real *u = p->u + (size_t)i * p->u_panel;
        real *sums = p->sums + (size_t)i * p->sums_panel;
        const char *next = (const char *)(i + 1 < p->panels ? u + p->u_panel : p->next);
        for (int row = 0; row < PANEL_ROWS; row += 2 * VEC_LANES) {
            const struct panel_run r = {.u = {u + row, u + row + VEC_LANES},
                                        .sums = {sums + row, sums + row + VEC_LANES},
                                        .next = {next, next}};
            panel_all(p, r, true);
        }
    }
}

static inline void kernel_multiply(const struct panel_product *p)
{
    if (VEC_LANES >= PANEL_ROWS) {
        multiply_pairs(p);
    } else {
        multiply_each(p);
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

/* What nearly all convolutions end with, and one vector of it. */
#define PLAIN_ACT(act) ((act) == ACT_LINEAR || (act) == ACT_RELU || (act) == ACT_LEAKY)
#define PLAIN_VALUE(act, p)                                                                        \
    ((act) == ACT_RELU ? (v8)((v8_mask)(p) & ~((p) < 0))                                           \
     : (act) == ACT_LEAKY                                                                          \
         ? (v8)(((v8_mask)(p) & ((p) > 0)) | ((v8_mask)((p) * (real)0.1) & ~((p) > 0)))            \
         : (p))

/* Pixels of 8 channels, which lie side by side, go out as rows. Eight whole ones, from number i of
 * the rows on. */
ALWAYS_INLINE void put_eight(const struct rows_out *o, const v8 *t, enum act act, bool plus,
                             size_t i, real *y)
{
#pragma GCC unroll 8
    for (int r = 0; r < 8; r++) {
        const size_t at = (size_t)r * o->row + i;
        v8 p = t[r] + (o->bias ? o->bias[r] : 0);
        if (plus) {
            p += LOAD8(o->plus + at);
        }
        STORE8(y + at, PLAIN_VALUE(act, p));
    }
}

/* n pixels, at most 8. */
static inline void put_few(const struct rows_out *o, const v8 *t, size_t i, int n, real *y)
{
    for (int r = 0; r < o->rows; r++) {
        const size_t at = (size_t)r * o->row + i;
        v8 p = t[r] + (o->bias ? o->bias[r] : 0);
        real line[8] = {0};
        if (o->plus) {
            copy_short(line, o->plus + at, n);
            p += LOAD8(line);
        }
        STORE8(line, PLAIN_VALUE(o->act, p));
        copy_short(y + at, line, n);
    }
}

/* Any of them. */
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

ALWAYS_INLINE void put_rows(const struct rows_out *o, enum act act, bool plus, int n,
                            const real *pixels, real *y)
{
    const bool plain = !o->add && PLAIN_ACT(act);

    for (int i = 0; i < n; i += 8, pixels += 8 * o->pixel) {
        v8 p[8], t[8];
#pragma GCC unroll 8
        for (int l = 0; l < 8; l++) {
            p[l] = LOAD8(pixels + (size_t)l * o->pixel);
        }
        TRANSPOSE8(p, t);
        if (plain && o->rows == 8 && i + 8 <= n) {
            put_eight(o, t, act, plus, (size_t)i, y);
        } else if (plain) {
            put_few(o, t, (size_t)i, n - i < 8 ? n - i : 8, y);
        } else {
            put_any(o, t, (size_t)i, n - i < 8 ? n - i : 8, y);
        }
    }
}

static inline void kernel_put_rows(const struct rows_out *o, int n, const real *pixels, real *y)
{
    const bool plus = o->plus != NULL;

    if (o->add && o->act == ACT_LINEAR && !plus) { /* gradients: y is what is added */
        struct rows_out sum = *o;
        sum.add = false;
        sum.plus = y;
        put_rows(&sum, ACT_LINEAR, true, n, pixels, y);
    } else if (o->act == ACT_RELU && plus) {
        put_rows(o, ACT_RELU, true, n, pixels, y);
    } else if (o->act == ACT_RELU) {
        put_rows(o, ACT_RELU, false, n, pixels, y);
    } else if (o->act == ACT_LEAKY && !plus) {
        put_rows(o, ACT_LEAKY, false, n, pixels, y);
    } else if (o->act == ACT_LINEAR && !plus) {
        put_rows(o, ACT_LINEAR, false, n, pixels, y);
    } else {
        put_rows(o, o->act, plus, n, pixels, y);
    }
}

#endif
