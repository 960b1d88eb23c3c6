/*
 * kernel_dots.h - the micro-kernel of weight gradients: the dot products of some rows of numbers
 * with some others, whose positions are the vectors' lanes, so that both operands are used as they
 * lie in pictures. 25 products are under way, which takes 31 registers: where there are fewer, the
 * kernel of kernel_tile.h is faster. A product's lanes are added up once for each call. Included by
 * the kernels_*.c files.
 */
#ifndef VOV_CPU_KERNEL_DOTS_H
#define VOV_CPU_KERNEL_DOTS_H

#include "kernel_tile.h"
#include "kernels.h"
#include "vec.h"

#if VEC_BYTES == 64

/* Neighbours are added up: of a and b, then of ab and cd, then halves. */
#define EVEN_ODD(a, b)                                                                             \
    (__builtin_shufflevector(a, b, 0, 2, 8, 10, 4, 6, 12, 14) +                                    \
     __builtin_shufflevector(a, b, 1, 3, 9, 11, 5, 7, 13, 15))

/* sums[i] (+)= all lanes of product i, of n, a multiple of 8. */
static inline void dot_lanes(int n, real (*product)[VEC_LANES], bool add, real *sums)
{
    for (int i = 0; i < n; i += 8) {
        v8 p[8];
#pragma GCC unroll 8
        for (int l = 0; l < 8; l++) {
            p[l] = LOAD8(product[i + l]);
            if (VEC_LANES > 8) {
                p[l] += LOAD8(product[i + l] + VEC_LANES - 8);
            }
        }
        const v8 s01 = EVEN_ODD(p[0], p[1]), s23 = EVEN_ODD(p[2], p[3]);
        const v8 s45 = EVEN_ODD(p[4], p[5]), s67 = EVEN_ODD(p[6], p[7]);
        const v8 s03 = EVEN_ODD(s01, s23), s47 = EVEN_ODD(s45, s67);
        const v8 all = HALF_LO(s03, s47) + HALF_HI(s03, s47);
        if (add) {
            STORE8(sums + i, LOAD8(sums + i) + all);
        } else {
            STORE8(sums + i, all);
        }
    }
}

/* The products are named: an array of them is kept in memory by gcc 12. */
#define DOT_COLS_1(of, i) of(i, 0)
#define DOT_COLS_2(of, i)                                                                          \
    DOT_COLS_1(of, i);                                                                             \
    of(i, 1)
#define DOT_COLS_3(of, i)                                                                          \
    DOT_COLS_2(of, i);                                                                             \
    of(i, 2)
#define DOT_COLS_4(of, i)                                                                          \
    DOT_COLS_3(of, i);                                                                             \
    of(i, 3)
#define DOT_COLS_5(of, i)                                                                          \
    DOT_COLS_4(of, i);                                                                             \
    of(i, 4)
#define DOT_ROWS_1(cols, of) cols(of, 0)
#define DOT_ROWS_2(cols, of)                                                                       \
    DOT_ROWS_1(cols, of);                                                                          \
    cols(of, 1)
#define DOT_ROWS_3(cols, of)                                                                       \
    DOT_ROWS_2(cols, of);                                                                          \
    cols(of, 2)
#define DOT_ROWS_4(cols, of)                                                                       \
    DOT_ROWS_3(cols, of);                                                                          \
    cols(of, 3)
#define DOT_ROWS_5(cols, of)                                                                       \
    DOT_ROWS_4(cols, of);                                                                          \
    cols(of, 4)

#define DOT_CLEAR(i, j) vec p##i##j = {0}
#define DOT_COL(i, j) const vec b##j = VEC_LOAD(b + (j)*DOT_STEP)
#define DOT_ROW(of, i)                                                                             \
    const vec a##i = VEC_LOAD(a + (i)*DOT_STEP);                                                   \
    of(DOT_ADD, i)
#define DOT_ADD(i, j) p##i##j += a##i * b##j
#define DOT_PUT(i, j) VEC_STORE(product[n_put++], p##i##j)

#define DOT_PRODUCTS(rows, cols)                                                                   \
    static void dots_##rows##_##cols(int n, const real *a, const real *b, bool add, real *sums)    \
    {                                                                                              \
        real product[DOT_TILE][VEC_LANES] __attribute__((aligned(64)));                            \
        int n_put = 0;                                                                             \
        DOT_ROWS_##rows(DOT_COLS_##cols, DOT_CLEAR);                                               \
        for (int k = 0; k < n; k += VEC_LANES, a += VEC_LANES, b += VEC_LANES) {                   \
            DOT_COLS_##cols(DOT_COL, 0);                                                           \
            DOT_ROWS_##rows(DOT_ROW_##cols, 0);                                                    \
        }                                                                                          \
        DOT_ROWS_##rows(DOT_COLS_##cols, DOT_PUT);                                                 \
        while (n_put % 8 != 0) {                                                                   \
            VEC_STORE(product[n_put++], (vec){0});                                                 \
        }                                                                                          \
        dot_lanes(n_put, product, add, sums);                                                      \
    }
#define DOT_ROW_1(of, i) DOT_ROW(DOT_COLS_1, i)
#define DOT_ROW_2(of, i) DOT_ROW(DOT_COLS_2, i)
#define DOT_ROW_3(of, i) DOT_ROW(DOT_COLS_3, i)
#define DOT_ROW_4(of, i) DOT_ROW(DOT_COLS_4, i)
#define DOT_ROW_5(of, i) DOT_ROW(DOT_COLS_5, i)

#define DOT_PRODUCTS_OF(cols)                                                                      \
    DOT_PRODUCTS(1, cols)                                                                          \
    DOT_PRODUCTS(2, cols)                                                                          \
    DOT_PRODUCTS(3, cols)                                                                          \
    DOT_PRODUCTS(4, cols)                                                                          \
    DOT_PRODUCTS(5, cols)
DOT_PRODUCTS_OF(1)
DOT_PRODUCTS_OF(2)
DOT_PRODUCTS_OF(3)
DOT_PRODUCTS_OF(4)
DOT_PRODUCTS_OF(5)

#define DOT_ROWS_OF(r)                                                                             \
    {                                                                                              \
        dots_##r##_1, dots_##r##_2, dots_##r##_3, dots_##r##_4, dots_##r##_5                       \
    }
#define DOT_ALL                                                                                    \
    {                                                                                              \
        DOT_ROWS_OF(1), DOT_ROWS_OF(2), DOT_ROWS_OF(3), DOT_ROWS_OF(4), DOT_ROWS_OF(5)             \
    }
static inline void kernel_dots(const struct dot_product *d)
{
    static void (*const dots[DOT_SIDE][DOT_SIDE])(int, const real *, const real *, bool, real *) =
        DOT_ALL;
    const int row_panels = dot_panels(d->rows);
    const int col_panels = dot_panels(d->cols);
    real *sums = d->sums;

    /* A panel of b stays in the first cache while those of a follow each other. */
    for (int j = 0; j < col_panels; j++) {
        const int left = d->cols * j / col_panels, right = d->cols * (j + 1) / col_panels;
        for (int i = 0; i < row_panels; i++, sums += DOT_TILE) {
            const int from = d->rows * i / row_panels, to = d->rows * (i + 1) / row_panels;
            dots[to - from - 1][right - left - 1](d->n, d->a + (size_t)from * DOT_STEP,
                                                  d->b + (size_t)left * DOT_STEP, d->add, sums);
        }
    }
}

#define KERNEL_DOTS kernel_dots
#else
#define KERNEL_DOTS NULL
#endif

#endif
