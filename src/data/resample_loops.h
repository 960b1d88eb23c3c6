/*
 * resample_loops.h - the loops that resample_rows.h describes, as a template: included by a file
 * that is compiled for one instruction set.
 */
#ifndef VOV_RESAMPLE_LOOPS_H
#define VOV_RESAMPLE_LOOPS_H

#include "resample_rows.h"

#include <string.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

/* A pixel's R, G, B and a stray number. */
typedef real quad __attribute__((vector_size(4 * sizeof(real))));

/* Registers of WIDE numbers are used as groups of four. MIX takes the same four numbers of each
 * group of a (0 to 3) and b (4 to 7). */
#ifdef __AVX2__
enum { WIDE = 8 };
#define MIX(a, b, i, j, k, l)                                                                      \
    __builtin_shufflevector(a, b, FIRST(i), FIRST(j), FIRST(k), FIRST(l), SECOND(i), SECOND(j),    \
                            SECOND(k), SECOND(l))
#define FIRST(i) ((i) < 4 ? (i) : (i) + 4)
#define SECOND(i) ((i) < 4 ? (i) + 4 : (i) + 8)
#else
enum { WIDE = 4 };
#define MIX(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#endif
typedef real wide __attribute__((vector_size(WIDE * sizeof(real))));
/* In memory, where it need not be aligned. */
typedef real wide_any
    __attribute__((vector_size(WIDE * sizeof(real)), aligned(sizeof(real)), may_alias));

#ifdef __AVX2__
typedef int32_t ints __attribute__((vector_size(WIDE * sizeof(int32_t))));

/* WIDE bytes as numbers: vectorisers widen in two steps, which takes twice as long. */
static inline void load_bytes(const uint8_t *p, wide *v)
{
    const ints i = (ints)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));

    *v = __builtin_convertvector(i, wide);
}
#endif

/* blend = wa * a + wb * b, of n numbers. */
static inline void blend_two(real *restrict blend, const uint8_t *restrict a,
                             const uint8_t *restrict b, const real weight[2], int n)
{
    const real wa = weight[0], wb = weight[1];
    int i = 0;

#ifdef __AVX2__
    for (; i + WIDE <= n; i += WIDE) {
        wide va, vb;
        load_bytes(a + i, &va);
        load_bytes(b + i, &vb);
        *(wide_any *)(blend + i) = wa * va + wb * vb;
    }
#endif
    for (; i < n; i++) {
        blend[i] = wa * (real)a[i] + wb * (real)b[i];
    }
}

/* blend = sum of weight * row, over the taps of output row y. */
static void blend_rows(const struct resample_job *j, int y)
{
    const size_t stride = (size_t)j->img->width * 3, taps = (size_t)j->ty.n;
    const int n = j->columns * 3, each = j->ty.each;
    real *restrict blend = j->blend;
    const int *pos = j->ty.pos + y;
    const real *weight = j->ty.weight + y;
    const uint8_t *base = j->img->rgb + (size_t)j->column0 * 3;

    if (each == 2) { /* the common case in one go */
        blend_two(blend, base + (size_t)pos[0] * stride, base + (size_t)pos[taps] * stride,
                  (const real[2]){weight[0], weight[taps]}, n);
        return;
    }
    memset(blend, 0, (size_t)n * sizeof *blend);
    for (int t = 0; t < each; t++) {
        const uint8_t *restrict a = base + (size_t)pos[(size_t)t * taps] * stride;
        const real wa = weight[(size_t)t * taps];
        for (int i = 0; wa != 0 && i < n; i++) {
            blend[i] += wa * (real)a[i];
        }
    }
}

/* The pixels of one output of each group: those that lie at offset[0], offset[4], ... */
static inline void load_pixels(const real *restrict blend, const int *restrict offset, wide *pixels)
{
    quad a;

    memcpy(&a, blend + offset[0], sizeof a);
#ifdef __AVX2__
    quad b;
    memcpy(&b, blend + offset[4], sizeof b);
    *pixels = __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7);
#else
    *pixels = a;
#endif
}

/* The blended pixels of WIDE outputs, `each` taps of each: pixel[k] has those of the outputs k,
 * k + 4, ... `spread` has four times each tap's weight, as these pixels want it. */
static inline void blend_columns(const real *restrict blend, const struct taps *t,
                                 const real *restrict spread, int x, int each, wide pixel[4])
{
    for (int k = 0; k < 4; k++) {
        pixel[k] = (wide){0};
    }
    for (int i = 0; i < each; i++) {
        const size_t at = (size_t)i * (size_t)t->n + (size_t)x;
        for (int k = 0; k < 4; k++) {
            wide one;
            load_pixels(blend, t->pos + at + k, &one);
            pixel[k] += one * *(const wide_any *)(spread + 4 * at + k * WIDE);
        }
    }
}

/* From pixels to their Rs, their Gs, their Bs, in the order of the outputs. */
static inline void put_apart(const wide pixel[4], wide color[3])
{
    const wide rg01 = MIX(pixel[0], pixel[1], 0, 4, 1, 5);
    const wide rg23 = MIX(pixel[2], pixel[3], 0, 4, 1, 5);
    const wide b01 = MIX(pixel[0], pixel[1], 2, 6, 2, 6);
    const wide b23 = MIX(pixel[2], pixel[3], 2, 6, 2, 6);

    color[0] = MIX(rg01, rg23, 0, 1, 4, 5);
    color[1] = MIX(rg01, rg23, 2, 3, 6, 7);
    color[2] = MIX(b01, b23, 0, 1, 4, 5);
}

/* n numbers of a row. `past`: past the caches, which takes an aligned place. A batch of pictures is
 * more than they hold and is read much later, so that fetching what is overwritten whole and
 * keeping it would be in vain. A whole row at once: where other work comes between such stores,
 * some processors (Zen 3) take twice as long as without them. */
static inline void put_row(real *restrict out, const real *restrict row, int n, bool past)
{
    int i = 0;

#ifdef __AVX2__
    enum { NUMBERS = 32 / sizeof(real) };
    for (; past && i + NUMBERS <= n; i += NUMBERS) {
        _mm256_stream_si256((__m256i *)(void *)(out + i),
                            *(const __m256i *)(const void *)(row + i));
    }
#endif
    (void)past;
    memcpy(out + i, row + i, (size_t)(n - i) * sizeof *out);
}

/* Output row y into j->row; `each`, the taps of each column, is a constant where this is inlined.
 */
static inline void pick(const struct resample_job *j, int y, int each)
{
    const struct taps tx = j->tx; /* copies: stores might change the originals */
    real *restrict row[3], gain[3], bias[3];

    for (int c = 0; c < 3; c++) {
        gain[c] = j->gain[c];
        bias[c] = j->bias[c] * j->ty.sum[y];
        row[c] = j->row + (size_t)c * (size_t)tx.n;
    }
    for (int x = 0; x < tx.n; x += WIDE) {
        wide pixel[4], color[3], sum;

        blend_columns(j->blend, &tx, j->spread, x, each, pixel);
        put_apart(pixel, color);
        memcpy(&sum, tx.sum + x, sizeof sum);
        for (int c = 0; c < 3; c++) {
            *(wide_any *)(row[c] + x) = color[c] * gain[c] - sum * bias[c];
        }
    }
}

static void put_columns(const struct resample_job *j, int y, bool past)
{
    const struct target *to = j->to;

    if (j->tx.each == 2) {
        pick(j, y, 2);
    } else {
        pick(j, y, j->tx.each);
    }
    for (int c = 0; c < 3; c++) {
        real *plane = to->planes + (size_t)j->plane[c] * to->plane;
        put_row(plane + (size_t)(to->y + y) * to->row + (size_t)to->x,
                j->row + (size_t)c * (size_t)j->tx.n, to->width, past);
    }
}

/* Four times the weight of each column's taps, in blend_columns' order. */
static void spread_weights(const struct resample_job *j)
{
    const size_t n = (size_t)j->tx.n * (size_t)j->tx.each;
    real *to = j->spread;

    for (size_t t = 0; t < n; t += WIDE) {
        for (size_t k = 0; k < 4; k++) {
            for (size_t g = k; g < WIDE; g += 4, to += 4) {
                to[0] = to[1] = to[2] = to[3] = j->tx.weight[t + g];
            }
        }
    }
}

/* Rows of few source rows are often alike: of a strip that is stretched, and with nearest. */
static bool same_taps(const struct taps *t, int a, int b)
{
    for (int k = 0; k < t->each; k++) {
        const size_t at = (size_t)k * (size_t)t->n;
        if (t->pos[at + (size_t)a] != t->pos[at + (size_t)b] ||
            t->weight[at + (size_t)a] != t->weight[at + (size_t)b]) {
            return false;
        }
    }
    return true;
}

/* Whether all rows of all planes begin at a multiple of 32 bytes. */
static bool is_aligned(const struct target *to)
{
    const size_t numbers = 32 / sizeof(real);

    return (uintptr_t)(to->planes + to->x) % 32 == 0 && to->row % numbers == 0 &&
           to->plane % numbers == 0;
}

static void resample_all_rows(const struct resample_job *j)
{
    const bool past = is_aligned(j->to);

    spread_weights(j);
    for (int y = 0; y < j->to->height; y++) {
        if (y == 0 || !same_taps(&j->ty, y - 1, y)) {
            blend_rows(j, y);
        }
        put_columns(j, y, past);
    }
#ifdef __AVX2__
    _mm_sfence(); /* before another thread is told that they are there */
#endif
}

#endif
