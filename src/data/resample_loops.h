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
 * k + 4, ... */
static inline void blend_columns(const real *restrict blend, const struct taps *t, int x, int each,
                                 wide pixel[4])
{
    for (int k = 0; k < 4; k++) {
        pixel[k] = (wide){0};
    }
    for (int i = 0; i < each; i++) {
        const size_t at = (size_t)i * (size_t)t->n + (size_t)x;
        const int *offset = t->pos + at;
        wide w, one;

        memcpy(&w, t->weight + at, sizeof w);
        load_pixels(blend, offset, &one);
        pixel[0] += one * MIX(w, w, 0, 0, 0, 0);
        load_pixels(blend, offset + 1, &one);
        pixel[1] += one * MIX(w, w, 1, 1, 1, 1);
        load_pixels(blend, offset + 2, &one);
        pixel[2] += one * MIX(w, w, 2, 2, 2, 2);
        load_pixels(blend, offset + 3, &one);
        pixel[3] += one * MIX(w, w, 3, 3, 3, 3);
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

/* n of WIDE numbers. `past`: past the caches, which takes an aligned place. A batch of pictures is
 * more than they hold and is read much later, so that fetching what is overwritten whole and
 * keeping it would be in vain. */
static inline void store(real *out, const wide *v, int n, bool past)
{
#ifdef __AVX2__
    for (size_t k = 0; past && n == WIDE && k < sizeof *v / 32; k++) {
        _mm256_stream_si256((__m256i *)(void *)out + k, ((const __m256i *)v)[k]);
    }
    if (past && n == WIDE) {
        return;
    }
#endif
    (void)past;
    if (n == WIDE) {
        *(wide_any *)out = *v;
    } else {
        memcpy(out, v, (size_t)n * sizeof *out);
    }
}

/* Output row y; `each`, the taps of each column, and `past` are constants where this is inlined. */
static inline void pick(const struct resample_job *j, int y, int each, bool past)
{
    const struct target *to = j->to;
    const struct taps tx = j->tx; /* copies: stores might change the originals */
    const int width = to->width;
    real gain[3], bias[3], *out[3];

    for (int c = 0; c < 3; c++) {
        gain[c] = j->gain[c];
        bias[c] = j->bias[c] * j->ty.sum[y];
        out[c] = to->planes + (size_t)j->plane[c] * to->plane + (size_t)(to->y + y) * to->row +
                 (size_t)to->x;
    }
    for (int x = 0; x < width; x += WIDE) {
        const int n = width - x < WIDE ? width - x : WIDE;
        wide pixel[4], color[3], sum;

        blend_columns(j->blend, &tx, x, each, pixel);
        put_apart(pixel, color);
        memcpy(&sum, tx.sum + x, sizeof sum);
        color[0] = color[0] * gain[0] - sum * bias[0];
        color[1] = color[1] * gain[1] - sum * bias[1];
        color[2] = color[2] * gain[2] - sum * bias[2];
        store(out[0] + x, &color[0], n, past);
        store(out[1] + x, &color[1], n, past);
        store(out[2] + x, &color[2], n, past);
    }
}

static void pick_columns(const struct resample_job *j, int y, bool past)
{
    if (j->tx.each == 2 && past) {
        pick(j, y, 2, true);
    } else if (j->tx.each == 2) {
        pick(j, y, 2, false);
    } else {
        pick(j, y, j->tx.each, false);
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

    for (int y = 0; y < j->to->height; y++) {
        if (y == 0 || !same_taps(&j->ty, y - 1, y)) {
            blend_rows(j, y);
        }
        pick_columns(j, y, past);
    }
#ifdef __AVX2__
    _mm_sfence(); /* before another thread is told that they are there */
#endif
}

#endif
