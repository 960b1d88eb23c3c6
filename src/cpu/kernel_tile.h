/*
 * kernel_tile.h - the micro-kernel of all matrix products (Goto, van de Geijn 2008; the 6x16 shape
 * of BLIS for AVX2), packing of its operands, and the write-out with bias and activation. The tile
 * is 6x16 everywhere: 12 sums are under way with vectors of 8; with narrower ones, columns follow
 * each other in turns of two vectors; with vectors of 16, even and odd k have their own sums.
 * Included by the kernels_*.c files.
 */
#ifndef VOV_CPU_KERNEL_TILE_H
#define VOV_CPU_KERNEL_TILE_H

#include "kernel_act.h"
#include "kernels.h"
#include "vec.h"

#include <string.h>

/* The accumulators are named: an array of them is kept in memory by gcc 12. */
#define TILE_CLEAR(r) vec c##r##0 = {0}, c##r##1 = {0}
#define TILE_STEP(r)                                                                               \
    c##r##0 += b0 * a[r];                                                                          \
    c##r##1 += b1 * a[r]
/* The next step of k goes to accumulators of its own. */
#define TILE_STEP_TWICE(r)                                                                         \
    c##r##0 += b0 * a[r];                                                                          \
    c##r##1 += b1 * a[TILE_ROWS + (r)]
#define TILE_STEP_ONCE(r) c##r##0 += b0 * a[r]
#define TILE_JOIN(r) c##r##0 += c##r##1
#define TILE_ADD_ONE(r) c##r##0 += VEC_LOAD(c + (r)*TILE_COLS)
#define TILE_STORE_ONE(r) VEC_STORE(c + (r)*TILE_COLS, c##r##0)
#define TILE_ADD(r)                                                                                \
    TILE_ADD_ONE(r);                                                                               \
    c##r##1 += VEC_LOAD(c + (r)*TILE_COLS + VEC_LANES)
#define TILE_STORE(r)                                                                              \
    TILE_STORE_ONE(r);                                                                             \
    VEC_STORE(c + (r)*TILE_COLS + VEC_LANES, c##r##1)
#define ALL_ROWS(of)                                                                               \
    of(0);                                                                                         \
    of(1);                                                                                         \
    of(2);                                                                                         \
    of(3);                                                                                         \
    of(4);                                                                                         \
    of(5)

/* Two vectors of columns. */
static inline void tile_two(const struct tile_runs *runs, const real *a, const real *first,
                            bool add, real *c)
{
    ALL_ROWS(TILE_CLEAR);

    for (int i = 0; i < runs->rows; i++) {
        const real *b = first + runs->row[i];
        const size_t step = runs->step;
#pragma GCC unroll 4
        for (int j = 0; j < runs->cols; j++) {
            const vec b0 = VEC_LOAD(b), b1 = VEC_LOAD(b + VEC_LANES);
            ALL_ROWS(TILE_STEP);
            a += TILE_ROWS;
            b += step;
        }
    }
    if (add) {
        ALL_ROWS(TILE_ADD);
    }
    ALL_ROWS(TILE_STORE);
}

/* Where a vector holds all columns: two steps of k at once, so that enough sums are under way. */
static inline void tile_one(const struct tile_runs *runs, const real *a, const real *first,
                            bool add, real *c)
{
    ALL_ROWS(TILE_CLEAR);

    for (int i = 0; i < runs->rows; i++) {
        const real *b = first + runs->row[i];
        const size_t step = runs->step;
        int j = 0;
#pragma GCC unroll 2
        for (; j + 2 <= runs->cols; j += 2) {
            const vec b0 = VEC_LOAD(b), b1 = VEC_LOAD(b + step);
            ALL_ROWS(TILE_STEP_TWICE);
            a += (ptrdiff_t)(2 * TILE_ROWS);
            b += 2 * step;
        }
        for (; j < runs->cols; j++) {
            const vec b0 = VEC_LOAD(b);
            ALL_ROWS(TILE_STEP_ONCE);
            a += TILE_ROWS;
            b += step;
        }
    }
    ALL_ROWS(TILE_JOIN);
    if (add) {
        ALL_ROWS(TILE_ADD_ONE);
    }
    ALL_ROWS(TILE_STORE_ONE);
}

static inline void kernel_tile(const struct tile_runs *runs, const real *a, const real *b, bool add,
                               real *c)
{
    if (VEC_LANES >= TILE_COLS) {
        tile_one(runs, a, b, add, c);
        return;
    }
    for (int col = 0; col < TILE_COLS; col += 2 * VEC_LANES) {
        tile_two(runs, a, b + col, add, c + col);
    }
}

/* The source may be read PACK_MARGIN numbers beyond either run, so both are loaded whole. */
static inline void pack_two_runs(const struct pack_source *s, const struct lanes *l, real *out)
{
    const size_t first = l->off[0], second = l->off[7] - 7;
    v8_mask from_first;

    for (int i = 0; i < 8; i++) {
        from_first[i] = i < l->split ? -1 : 0;
    }
    for (int c = 0; c < s->n_channels; c++) {
        const real *p = s->p + (size_t)c * s->channel;
        for (int t = 0; t < s->n_taps; t++, out += TILE_COLS) {
            const real *q = p + s->tap[t];
            const v8_mask v = ((v8_mask)LOAD8(q + first) & from_first) |
                              ((v8_mask)LOAD8(q + second) & ~from_first);
            STORE8(out, (v8)v);
        }
    }
}

static inline void pack_any(const struct pack_source *s, const struct lanes *l, real *out)
{
    for (int c = 0; c < s->n_channels; c++) {
        const real *p = s->p + (size_t)c * s->channel;
        for (int t = 0; t < s->n_taps; t++, out += TILE_COLS) {
            const real *q = p + s->tap[t];
            for (int i = 0; i < 8; i++) {
                out[i] = q[l->off[i]];
            }
        }
    }
}

static inline void pack_run(const struct pack_source *s, const struct lanes *l, real *out)
{
    const real *p = s->p + l->off[0];

    for (int c = 0; c < s->n_channels; c++, p += s->channel) {
        for (int t = 0; t < s->n_taps; t++, out += TILE_COLS) {
            STORE8(out, LOAD8(p + s->tap[t]));
        }
    }
}

static inline void kernel_pack_panel(const struct pack_source *s, const struct lanes lanes[2],
                                     real *panel)
{
    for (int half = 0; half < 2; half++) {
        const struct lanes *l = &lanes[half];
        real *out = panel + half * 8;
        if (l->kind == LANES_RUN) {
            pack_run(s, l, out);
        } else if (l->kind == LANES_TWO_RUNS) {
            pack_two_runs(s, l, out);
        } else {
            pack_any(s, l, out);
        }
    }
}

/* Two stages of interleaving and one of halves, as in every 8x8 transposition. */
#define ZIP_LO(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define ZIP_HI(a, b) __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define PAIR_LO(a, b) __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define PAIR_HI(a, b) __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#define HALF_LO(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11)
#define HALF_HI(a, b) __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15)

/* r[8] to o[8], arrays of vectors. */
#define TRANSPOSE8(r, o)                                                                           \
    do {                                                                                           \
        const v8 z0 = ZIP_LO(r[0], r[1]), z1 = ZIP_HI(r[0], r[1]), z2 = ZIP_LO(r[2], r[3]);        \
        const v8 z3 = ZIP_HI(r[2], r[3]), z4 = ZIP_LO(r[4], r[5]), z5 = ZIP_HI(r[4], r[5]);        \
        const v8 z6 = ZIP_LO(r[6], r[7]), z7 = ZIP_HI(r[6], r[7]);                                 \
        const v8 p0 = PAIR_LO(z0, z2), p1 = PAIR_HI(z0, z2), p2 = PAIR_LO(z1, z3);                 \
        const v8 p3 = PAIR_HI(z1, z3), p4 = PAIR_LO(z4, z6), p5 = PAIR_HI(z4, z6);                 \
        const v8 p6 = PAIR_LO(z5, z7), p7 = PAIR_HI(z5, z7);                                       \
        o[0] = HALF_LO(p0, p4);                                                                    \
        o[1] = HALF_LO(p1, p5);                                                                    \
        o[2] = HALF_LO(p2, p6);                                                                    \
        o[3] = HALF_LO(p3, p7);                                                                    \
        o[4] = HALF_HI(p0, p4);                                                                    \
        o[5] = HALF_HI(p1, p5);                                                                    \
        o[6] = HALF_HI(p2, p6);                                                                    \
        o[7] = HALF_HI(p3, p7);                                                                    \
    } while (0)

static inline void kernel_transpose8(size_t n, const real *const row[8], size_t step, real *out)
{
    size_t i = 0;

    for (; i + 8 <= n; i += 8, out += 8 * step) {
        v8 r[8], o[8];
#pragma GCC unroll 8
        for (int l = 0; l < 8; l++) {
            r[l] = LOAD8(row[l] + i);
        }
        TRANSPOSE8(r, o);
#pragma GCC unroll 8
        for (int l = 0; l < 8; l++) {
            STORE8(out + (size_t)l * step, o[l]);
        }
    }
    for (; i < n; i++, out += step) {
        for (int l = 0; l < 8; l++) {
            out[l] = row[l][i];
        }
    }
}

/* A row of a tile goes out. A macro, as a vector argument has another ABI on every machine. */
#define PUT_ROW(o, t0, t1, y)                                                                      \
    do {                                                                                           \
        if ((o)->add) {                                                                            \
            STORE8(y, LOAD8(y) + (t0));                                                            \
            STORE8((y) + 8, LOAD8((y) + 8) + (t1));                                                \
        } else {                                                                                   \
            STORE8(y, t0);                                                                         \
            STORE8((y) + 8, t1);                                                                   \
        }                                                                                          \
    } while (0)

/* Linear and relu, which nearly all tiles are, in one pass. */
static inline void finish_at_once(const struct tile_out *o, const real *tile, real *y)
{
    const bool relu = o->act == ACT_RELU;

    for (int r = 0; r < o->rows; r++, tile += TILE_COLS, y += o->row) {
        const real bias = o->bias ? o->bias[r] : 0;
        v8 t0 = LOAD8(tile) + bias, t1 = LOAD8(tile + 8) + bias;
        if (relu) { /* keeps NaN */
            t0 = (v8)((v8_mask)t0 & ~(t0 < 0));
            t1 = (v8)((v8_mask)t1 & ~(t1 < 0));
        }
        PUT_ROW(o, t0, t1, y);
    }
}

static inline void kernel_finish(const struct tile_out *o, real *tile, real *y)
{
    if (o->act == ACT_LINEAR || o->act == ACT_RELU) {
        finish_at_once(o, tile, y);
        return;
    }
    for (int r = 0; o->bias && r < o->rows; r++) {
        for (int l = 0; l < TILE_COLS; l++) {
            tile[r * TILE_COLS + l] += o->bias[r];
        }
    }
    kernel_act_fwd(o->act, TILE_SIZE, tile, tile);
    for (int r = 0; r < o->rows; r++, tile += TILE_COLS, y += o->row) {
        PUT_ROW(o, LOAD8(tile), LOAD8(tile + 8), y);
    }
}

/* n numbers, of which there are too few for a call of memcpy to be worth it. */
static inline void copy_short(real *out, const real *in, int n)
{
    int i = 0;

    for (; i + 8 <= n; i += 8) {
        STORE8(out + i, LOAD8(in + i));
    }
    if (n - i >= 4) {
        memcpy(out + i, in + i, 4 * sizeof *out);
        i += 4;
    }
    if (n - i >= 2) {
        memcpy(out + i, in + i, 2 * sizeof *out);
        i += 2;
    }
    if (n > i) {
        out[i] = in[i];
    }
}

#define EVENS(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14)

/* out[i] = in[i*stride] */
static inline void copy_strided(real *out, const real *in, int n, int stride)
{
    int i = 0;

    if (stride == 2) {
        /* The last load of a pair ends one number behind the last that is wanted. */
        for (; i + 8 < n; i += 8) {
            const v8 a = LOAD8(in + 2 * i), b = LOAD8(in + 2 * i + 8);
            STORE8(out + i, EVENS(a, b));
        }
    }
    for (; i < n; i++) {
        out[i] = in[(size_t)i * (size_t)stride];
    }
}

static inline void kernel_fill_row(const struct row_fill *f, const real *row, real *out)
{
    const v8 zero = {0};

    if (!row || f->from >= f->to) {
        for (int i = 0; i < f->n; i += 8) {
            STORE8(out + i, zero);
        }
        return;
    }
    for (int i = 0; i < f->from; i += 8) {
        STORE8(out + i, zero);
    }
    if (f->stride == 1) {
        copy_short(out + f->from, row + f->first, f->to - f->from);
    } else {
        copy_strided(out + f->from, row + f->first, f->to - f->from, f->stride);
    }
    for (int i = f->to; i < f->n; i += 8) {
        STORE8(out + i, zero);
    }
}

#endif
