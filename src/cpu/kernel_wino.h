/*
 * kernel_wino.h - Winograd's minimal filtering F(m x m, 3 x 3) (Lavin, Gray 2016, after Winograd
 * 1980 and Toom-Cook), for m = 2, 4, 6: y = A^T [(G g G^T) . (B^T d B)] A, where d is a tile of
 * m + 2 numbers each way and g the filter. With the points 0, +-p_1 ... +-p_q, infinity, q = m/2,
 * and E(x) = product of (x^2 - p_i^2), B^T's row of a point is the coefficients of x*E(x) without
 * that point's factor, G's row is [1, p, p^2] over the value that product has at p, A^T's row i
 * is p^i. All rows but the first and the last come in pairs that share their even and odd parts.
 *
 * The points are 1 (m = 2), 3/4, 3/2 (4) and 1/2, 1, 2 (6): their powers are exact numbers, and of
 * such sets they round least. Lanes are tiles where data are transformed, channels elsewhere:
 * eight, but as many as a panel has for the filters' gradient where a vector holds them. Everything
 * is done in whole vectors, so that a number's roundings do not depend on its neighbours.
 */
#ifndef VOV_CPU_KERNEL_WINO_H
#define VOV_CPU_KERNEL_WINO_H

#include "kernel_act.h"
#include "kernel_tile.h"

enum { WIDE = VEC_LANES >= PANEL_ROWS ? PANEL_ROWS : 8 };
typedef real wide_vec __attribute__((vector_size(WIDE * sizeof(real))));
typedef real wide_any
    __attribute__((vector_size(WIDE * sizeof(real)), aligned(sizeof(real)), may_alias));
typedef real v16 __attribute__((vector_size(16 * sizeof(real))));
typedef real v16_any
    __attribute__((vector_size(16 * sizeof(real)), aligned(sizeof(real)), may_alias));
#define LOAD16(p) (*(const v16_any *)(p))
#define WIDE_LOAD(p) (*(const wide_any *)(p))
#define WIDE_STORE(p, v) (*(wide_any *)(p) = (v))

/* Points of m = 4 and 6, and their squares. */
#define P4A ((real)0.75)
#define P4B ((real)1.5)
#define S4A (P4A * P4A)
#define S4B (P4B * P4B)
#define P6A ((real)0.5)
#define P6C ((real)2)

/* o = B^T d, of vectors V. With the squares 1/4, 1, 4, E = x^6 - 21/4 x^4 + 21/4 x^2 - 1. */
#define WINO_DATA(V, kind)                                                                         \
    ALWAYS_INLINE void kind##_data2(const V *d, V *o)                                              \
    {                                                                                              \
        o[0] = d[2] - d[0];                                                                        \
        o[1] = d[2] + d[1];                                                                        \
        o[2] = d[2] - d[1];                                                                        \
        o[3] = d[3] - d[1];                                                                        \
    }                                                                                              \
    ALWAYS_INLINE void kind##_data4(const V *d, V *o)                                              \
    {                                                                                              \
        const V even_a = d[4] - S4B * d[2], odd_a = P4A * (d[3] - S4B * d[1]);                     \
        const V even_b = d[4] - S4A * d[2], odd_b = P4B * (d[3] - S4A * d[1]);                     \
        o[0] = d[4] - (S4A + S4B) * d[2] + S4A * S4B * d[0];                                       \
        o[1] = even_a + odd_a;                                                                     \
        o[2] = even_a - odd_a;                                                                     \
        o[3] = even_b + odd_b;                                                                     \
        o[4] = even_b - odd_b;                                                                     \
        o[5] = d[5] - (S4A + S4B) * d[3] + S4A * S4B * d[1];                                       \
    }                                                                                              \
    ALWAYS_INLINE void kind##_data6(const V *d, V *o)                                              \
    {                                                                                              \
        const V even_a = d[6] - 5 * d[4] + 4 * d[2], odd_a = P6A * (d[5] - 5 * d[3] + 4 * d[1]);   \
        const V even_b = d[6] - (real)4.25 * d[4] + d[2], odd_b = d[5] - (real)4.25 * d[3] + d[1]; \
        const V even_c = d[6] - (real)1.25 * d[4] + (real)0.25 * d[2];                             \
        const V odd_c = P6C * (d[5] - (real)1.25 * d[3] + (real)0.25 * d[1]);                      \
        o[0] = d[6] - d[0] + (real)5.25 * (d[2] - d[4]);                                           \
        o[1] = even_a + odd_a;                                                                     \
        o[2] = even_a - odd_a;                                                                     \
        o[3] = even_b + odd_b;                                                                     \
        o[4] = even_b - odd_b;                                                                     \
        o[5] = even_c + odd_c;                                                                     \
        o[6] = even_c - odd_c;                                                                     \
        o[7] = d[7] - d[1] + (real)5.25 * (d[3] - d[5]);                                           \
    }                                                                                              \
    ALWAYS_INLINE void kind##_data(int m, const V *d, V *o)                                        \
    {                                                                                              \
        if (m == 2) {                                                                              \
            kind##_data2(d, o);                                                                    \
        } else if (m == 4) {                                                                       \
            kind##_data4(d, o);                                                                    \
        } else {                                                                                   \
            kind##_data6(d, o);                                                                    \
        }                                                                                          \
    }
WINO_DATA(v8, eight)
WINO_DATA(wide_vec, wide)

/* o = A^T p. */
ALWAYS_INLINE void wino_result(int m, const v8 *p, v8 *o)
{
    const v8 sum_a = p[1] + p[2], dif_a = p[1] - p[2];

    if (m == 2) {
        o[0] = p[0] + sum_a;
        o[1] = dif_a + p[3];
        return;
    }
    const v8 sum_b = p[3] + p[4], dif_b = p[3] - p[4];
    if (m == 4) {
        o[0] = p[0] + sum_a + sum_b;
        o[1] = P4A * dif_a + P4B * dif_b;
        o[2] = S4A * sum_a + S4B * sum_b;
        o[3] = P4A * S4A * dif_a + (P4B * S4B * dif_b + p[5]);
        return;
    }
    const v8 sum_c = p[5] + p[6], dif_c = p[5] - p[6];
    o[0] = p[0] + sum_a + (sum_b + sum_c);
    o[1] = (real)0.5 * dif_a + (2 * dif_c + dif_b);
    o[2] = (real)0.25 * sum_a + (4 * sum_c + sum_b);
    o[3] = (real)0.125 * dif_a + (8 * dif_c + dif_b);
    o[4] = (real)0.0625 * sum_a + (16 * sum_c + sum_b);
    o[5] = (real)0.03125 * dif_a + (32 * dif_c + dif_b) + p[7];
}

/* A pair's rows of G: (g0 + p^2 g2 +- p g1) / (2 p^2 F(p^2)), F: E without the pair's factor. */
#define FILTER_PAIR(at, p, f)                                                                      \
    do {                                                                                           \
        const v8 even = g[0] * (1 / (2 * (p) * (p) * (f))) + g[2] * (1 / (2 * (f)));               \
        const v8 odd = g[1] * (1 / (2 * (p) * (f)));                                               \
        o[at] = even + odd;                                                                        \
        o[(at) + 1] = even - odd;                                                                  \
    } while (0)

/* o = G g. */
ALWAYS_INLINE void wino_filter(int m, const v8 *g, v8 *o)
{
    o[m + 1] = g[2];
    if (m == 2) {
        o[0] = -g[0];
        FILTER_PAIR(1, (real)1, (real)1);
    } else if (m == 4) {
        o[0] = g[0] * (1 / (S4A * S4B));
        FILTER_PAIR(1, P4A, S4A - S4B);
        FILTER_PAIR(3, P4B, S4B - S4A);
    } else {
        o[0] = -g[0];
        FILTER_PAIR(1, P6A, (real)(0.75 * 3.75));
        FILTER_PAIR(3, (real)1, (real)(0.75 * -3));
        FILTER_PAIR(5, P6C, (real)(3.75 * 3));
    }
}

/* o = A y: a tile's gradient, m numbers to m + 2. */
ALWAYS_INLINE void wino_grad(int m, const wide_vec *y, wide_vec *o)
{
    o[0] = y[0];
    o[m + 1] = y[m - 1];
    if (m == 2) {
        o[1] = y[0] + y[1];
        o[2] = y[0] - y[1];
    } else if (m == 4) {
        const wide_vec even_a = y[0] + S4A * y[2], odd_a = P4A * (y[1] + S4A * y[3]);
        const wide_vec even_b = y[0] + S4B * y[2], odd_b = P4B * (y[1] + S4B * y[3]);
        o[1] = even_a + odd_a;
        o[2] = even_a - odd_a;
        o[3] = even_b + odd_b;
        o[4] = even_b - odd_b;
    } else {
        const wide_vec even_a = y[0] + (real)0.25 * y[2] + (real)0.0625 * y[4];
        const wide_vec odd_a = P6A * (y[1] + (real)0.25 * y[3] + (real)0.0625 * y[5]);
        const wide_vec even_b = y[0] + y[2] + y[4], odd_b = y[1] + y[3] + y[5];
        const wide_vec even_c = y[0] + 4 * y[2] + 16 * y[4],
                       odd_c = P6C * (y[1] + 4 * y[3] + 16 * y[5]);
        o[1] = even_a + odd_a;
        o[2] = even_a - odd_a;
        o[3] = even_b + odd_b;
        o[4] = even_b - odd_b;
        o[5] = even_c + odd_c;
        o[6] = even_c - odd_c;
    }
}

/* What a pair adds to G^T z. */
#define FILTER_BACK(at, p, f)                                                                      \
    do {                                                                                           \
        const wide_vec sum = z[at] + z[(at) + 1], dif = z[at] - z[(at) + 1];                       \
        o[0] += sum * (1 / (2 * (p) * (p) * (f)));                                                 \
        o[1] += dif * (1 / (2 * (p) * (f)));                                                       \
        o[2] += sum * (1 / (2 * (f)));                                                             \
    } while (0)

/* o = G^T z: m + 2 numbers to 3. */
ALWAYS_INLINE void wino_filter_back(int m, const wide_vec *z, wide_vec *o)
{
    o[0] = m == 4 ? z[0] * (1 / (S4A * S4B)) : -z[0];
    o[1] = (wide_vec){0};
    o[2] = z[m + 1];
    if (m == 2) {
        FILTER_BACK(1, (real)1, (real)1);
    } else if (m == 4) {
        FILTER_BACK(1, P4A, S4A - S4B);
        FILTER_BACK(3, P4B, S4B - S4A);
    } else {
        FILTER_BACK(1, P6A, (real)(0.75 * 3.75));
        FILTER_BACK(3, (real)1, (real)(0.75 * -3));
        FILTER_BACK(5, P6C, (real)(3.75 * 3));
    }
}

/* Every fourth number of a and b, from number j on. */
#define FOURTHS(a, b, j)                                                                           \
    __builtin_shufflevector(a, b, (j), 4 + (j), 8 + (j), 12 + (j), 16 + (j), 20 + (j), 24 + (j),   \
                            28 + (j))

/* wino_spread of m = 4, where an instruction takes any numbers from two vectors of 16. */
static inline void spread_fourths(int n, const real *line, real *d)
{
    for (int t = 0; t < n; t += 8, line += 32, d += 8) {
        const v16 a = LOAD16(line), b = LOAD16(line + 16);
        const v16 a4 = LOAD16(line + 4), b4 = LOAD16(line + 20);
        STORE8(d, FOURTHS(a, b, 0));
        STORE8(d + n, FOURTHS(a, b, 1));
        STORE8(d + 2 * n, FOURTHS(a, b, 2));
        STORE8(d + 3 * n, FOURTHS(a, b, 3));
        STORE8(d + 4 * n, FOURTHS(a4, b4, 0));
        STORE8(d + 5 * n, FOURTHS(a4, b4, 1));
    }
}

/* Numbers m*t + j of the line, j = 0..m+1, of n tiles t: d[j*n + t]. n is a multiple of 8. */
ALWAYS_INLINE void wino_spread(int m, int n, const real *line, real *d)
{
    if (m == 4 && VEC_LANES >= 16) {
        spread_fourths(n, line, d);
        return;
    }
    for (int t = 0; t < n; t += 8, line += (ptrdiff_t)(8 * m)) {
        v8 r[8], o[8];
#pragma GCC unroll 8
        for (int l = 0; l < 8; l++) {
            r[l] = LOAD8(line + l * m);
        }
        TRANSPOSE8(r, o);
#pragma GCC unroll 8
        for (int j = 0; j < m + 2; j++) {
            STORE8(d + j * n + t, o[j]);
        }
    }
}

/* Column transforms of one row of tiles: m + 2 spread lines become s[(i*(m+2) + j)*plane + t]. */
ALWAYS_INLINE void wino_down(int m, int n, const real *d, real *s, size_t plane)
{
    const int line = (m + 2) * n;

    for (int j = 0; j < m + 2; j++, d += n, s += plane) {
        for (int t = 0; t < n; t += 8) {
            v8 r[8], o[8];
#pragma GCC unroll 8
            for (int i = 0; i < m + 2; i++) {
                r[i] = LOAD8(d + i * line + t);
            }
            eight_data(m, r, o);
#pragma GCC unroll 8
            for (int i = 0; i < m + 2; i++) {
                STORE8(s + (size_t)(i * (m + 2)) * plane + t, o[i]);
            }
        }
    }
}

/* Row transforms of n tiles, 8 at a time: product p of tile t goes to v[p*step + t]. */
ALWAYS_INLINE void wino_across(int m, int n, const real *s, size_t plane, real *v, size_t step)
{
    for (int i = 0; i < m + 2; i++) {
        for (int t = 0; t < n; t += 8) {
            v8 r[8], o[8];
#pragma GCC unroll 8
            for (int j = 0; j < m + 2; j++) {
                r[j] = LOAD8(s + (size_t)j * plane + t);
            }
            eight_data(m, r, o);
#pragma GCC unroll 8
            for (int j = 0; j < m + 2; j++) {
                STORE8(v + (size_t)j * step + t, o[j]);
            }
        }
        s += (size_t)(m + 2) * plane;
        v += (size_t)(m + 2) * step;
    }
}

/*
 * Outputs of 8 channels of a row of n tiles, from the products p of tile t at sums[t*tile +
 * p*PANEL_ROWS]: pixel (y, m*t + x) goes to out[(y*width + m*t + x)*8]. The last tile may reach
 * beyond the width, into numbers that the first one writes later.
 */
ALWAYS_INLINE void wino_back(int m, int n, const real *sums, size_t tile, int width, real *out)
{
    for (int t = n - 1; t >= 0; t--) {
        const real *p = sums + (size_t)t * tile;
        v8 q[6][8];
#pragma GCC unroll 8
        for (int j = 0; j < m + 2; j++) {
            v8 r[8], o[8];
#pragma GCC unroll 8
            for (int i = 0; i < m + 2; i++) {
                r[i] = LOAD8(p + (i * (m + 2) + j) * PANEL_ROWS);
            }
            wino_result(m, r, o);
#pragma GCC unroll 6
            for (int y = 0; y < m; y++) {
                q[y][j] = o[y];
            }
        }
        real *to = out + (ptrdiff_t)(m * t * 8);
#pragma GCC unroll 6
        for (int y = 0; y < m; y++, to += (ptrdiff_t)width * 8) {
            v8 o[8];
            wino_result(m, q[y], o);
#pragma GCC unroll 6
            for (int x = 0; x < m; x++) {
                STORE8(to + x * 8, o[x]);
            }
        }
    }
}

/*
 * Tiles t < n of WIDE channels, from pixel (y, x) at pixels[(y*width + x)*WIDE]: product p of tile
 * t goes to out[p*point + t*tile]. grad: tiles of m x m by A, else of m + 2 by B^T.
 */
ALWAYS_INLINE void wino_tiles(int m, bool grad, int n, const real *pixels, int width, real *out,
                              size_t point, size_t tile)
{
    const int side = grad ? m : m + 2;

    for (int t = 0; t < n; t++, pixels += (ptrdiff_t)(m * WIDE), out += tile) {
        wide_vec q[8][8];
#pragma GCC unroll 8
        for (int j = 0; j < side; j++) {
            wide_vec r[8], o[8];
#pragma GCC unroll 8
            for (int i = 0; i < side; i++) {
                r[i] = WIDE_LOAD(pixels + (ptrdiff_t)((i * width + j) * WIDE));
            }
            if (grad) {
                wino_grad(m, r, o);
            } else {
                wide_data(m, r, o);
            }
#pragma GCC unroll 8
            for (int i = 0; i < m + 2; i++) {
                q[i][j] = o[i];
            }
        }
#pragma GCC unroll 8
        for (int i = 0; i < m + 2; i++) {
            wide_vec o[8];
            if (grad) {
                wino_grad(m, q[i], o);
            } else {
                wide_data(m, q[i], o);
            }
#pragma GCC unroll 8
            for (int j = 0; j < m + 2; j++) {
                WIDE_STORE(out + (size_t)(i * (m + 2) + j) * point, o[j]);
            }
        }
    }
}

/* Filters' gradients from sums[p*PANEL_ROWS + channel] to g[tap*PANEL_ROWS + channel]. */
ALWAYS_INLINE void wino_filters_back(int m, const real *sums, real *g)
{
    for (int half = 0; half < PANEL_ROWS; half += WIDE) {
        wide_vec q[3][8];
#pragma GCC unroll 8
        for (int j = 0; j < m + 2; j++) {
            wide_vec r[8], o[3];
#pragma GCC unroll 8
            for (int i = 0; i < m + 2; i++) {
                r[i] = WIDE_LOAD(sums + (i * (m + 2) + j) * PANEL_ROWS + half);
            }
            wino_filter_back(m, r, o);
            q[0][j] = o[0];
            q[1][j] = o[1];
            q[2][j] = o[2];
        }
#pragma GCC unroll 3
        for (int i = 0; i < 3; i++) {
            wide_vec o[3];
            wino_filter_back(m, q[i], o);
            WIDE_STORE(g + (i * 3 + 0) * PANEL_ROWS + half, o[0]);
            WIDE_STORE(g + (i * 3 + 1) * PANEL_ROWS + half, o[1]);
            WIDE_STORE(g + (i * 3 + 2) * PANEL_ROWS + half, o[2]);
        }
    }
}

/* 16 filters, g[tap][filter], become u[p*step + filter]. */
ALWAYS_INLINE void wino_filters(int m, const real *g, real *u, size_t step)
{
    for (int half = 0; half < PANEL_ROWS; half += 8) {
        v8 q[8][3];
#pragma GCC unroll 3
        for (int c = 0; c < 3; c++) {
            v8 r[3], o[8];
#pragma GCC unroll 3
            for (int i = 0; i < 3; i++) {
                r[i] = LOAD8(g + (i * 3 + c) * PANEL_ROWS + half);
            }
            wino_filter(m, r, o);
#pragma GCC unroll 8
            for (int i = 0; i < m + 2; i++) {
                q[i][c] = o[i];
            }
        }
#pragma GCC unroll 8
        for (int i = 0; i < m + 2; i++) {
            v8 o[8];
            wino_filter(m, q[i], o);
#pragma GCC unroll 8
            for (int j = 0; j < m + 2; j++) {
                STORE8(u + (size_t)(i * (m + 2) + j) * step + half, o[j]);
            }
        }
    }
}

/* The table's entries for one m. */
#define WINO_KERNELS(m)                                                                            \
    static inline void kernel_spread##m(int n, const real *line, real *d)                          \
    {                                                                                              \
        wino_spread(m, n, line, d);                                                                \
    }                                                                                              \
    static inline void kernel_down##m(int n, const real *d, real *s, size_t plane)                 \
    {                                                                                              \
        wino_down(m, n, d, s, plane);                                                              \
    }                                                                                              \
    static inline void kernel_across##m(int n, const real *s, size_t plane, real *v, size_t step)  \
    {                                                                                              \
        wino_across(m, n, s, plane, v, step);                                                      \
    }                                                                                              \
    static inline void kernel_back##m(int n, const real *sums, size_t tile, int width, real *out)  \
    {                                                                                              \
        wino_back(m, n, sums, tile, width, out);                                                   \
    }                                                                                              \
    static inline void kernel_filters##m(const real *g, real *u, size_t step)                      \
    {                                                                                              \
        wino_filters(m, g, u, step);                                                               \
    }                                                                                              \
    static inline void kernel_tiles##m(int n, const real *pixels, int width, real *out,            \
                                       size_t point, size_t tile)                                  \
    {                                                                                              \
        wino_tiles(m, false, n, pixels, width, out, point, tile);                                  \
    }                                                                                              \
    static inline void kernel_tiles_grad##m(int n, const real *pixels, int width, real *out,       \
                                            size_t point, size_t tile)                             \
    {                                                                                              \
        wino_tiles(m, true, n, pixels, width, out, point, tile);                                   \
    }                                                                                              \
    static inline void kernel_filters_back##m(const real *sums, real *g)                           \
    {                                                                                              \
        wino_filters_back(m, sums, g);                                                             \
    }

WINO_KERNELS(2)
WINO_KERNELS(4)
WINO_KERNELS(6)

#define WINO_TABLE(n)                                                                              \
    {                                                                                              \
        .m = (n), .lanes = WIDE, .spread = kernel_spread##n, .down = kernel_down##n,               \
        .across = kernel_across##n, .back = kernel_back##n, .filters = kernel_filters##n,          \
        .tiles = kernel_tiles##n, .tiles_grad = kernel_tiles_grad##n,                              \
        .filters_back = kernel_filters_back##n,                                                    \
    }

#endif
