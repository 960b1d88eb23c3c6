/*
 * kernels.h - the innermost loops, as a table that exists once for every instruction set: they are
 * written once, in the kernel_*.h files, in portable C with GCC's vector types (vec.h), and
 * compiled by kernels_base.c for any machine and by the other kernels_*.c for one instruction set
 * each; isa.h says which of them run here. Nothing here knows threads or views.
 */
#ifndef VOV_CPU_KERNELS_H
#define VOV_CPU_KERNELS_H

#include "backend/backend.h"

/* A tile of a matrix product: rows and columns of the result that are held in registers. Left
 * operands are packed in panels [k][TILE_ROWS], right ones in panels [k][TILE_COLS]. */
enum { TILE_ROWS = 6, TILE_COLS = 16, TILE_SIZE = TILE_ROWS * TILE_COLS };

/* Numbers that may be read before and after the ends of a packing source. */
enum { PACK_MARGIN = 8 };

/* Where the right operand of a tile product lies: `rows` runs of `cols` k-steps, run i from b +
 * row[i] on, `step` numbers from one k-step to the next. A packed panel is one run, step 16. */
struct tile_runs {
    int rows, cols;
    const size_t *row;
    size_t step;
};

/* Where 8 neighbouring columns of a product lie in a packing source. */
enum lane_kind { LANES_RUN, LANES_TWO_RUNS, LANES_ANY };
struct lanes {
    enum lane_kind kind;
    int split;     /* LANES_TWO_RUNS: the first lane of the second run */
    size_t off[8]; /* of each lane */
};

/* A packing source: number (channel c, tap t, lane l) at p[c*channel + tap[t] + off[l]]. */
struct pack_source {
    const real *p;
    size_t channel;
    int n_channels, n_taps;
    const size_t *tap;
};

/* Where a finished tile goes: y[r*row + l] (+)= act(tile[r][l] + bias[r]); bias may be NULL. */
struct tile_out {
    const real *bias;
    enum act act;
    bool add;
    int rows;
    size_t row;
};

/*
 * Where pixels of 8 channels go: y[r*row + i] (+)= act(pixels[i*pixel + r] + bias[r] + plus[r*row +
 * i]) for r < rows. bias and plus may be NULL.
 */
struct rows_out {
    const real *bias, *plus;
    enum act act;
    bool add;
    int rows;
    size_t pixel, row; /* steps, in pixels and in y and plus */
};

/* Output channels of a panel of packed weights or transformed filters. */
enum { PANEL_ROWS = 16 };

/*
 * The transforms of F(m x m, 3 x 3), see kernel_wino.h. Tiles of m + 2 numbers each way, which lie
 * m apart, become (m + 2)^2 products; n counts tiles and, but for `back`, is taken up to a multiple
 * of 8, and the lanes too many are filled with whatever is there.
 */
struct wino_kernels {
    int m, lanes; /* lanes: channels that the filters' gradient is transformed of at a time */
    /* A line of the picture, 0 beyond its ends, by tiles: d[j*n + t] = line[m*t + j], j < m + 2. */
    void (*spread)(int n, const real *line, real *d);
    /* m + 2 spread lines, one behind the other, by columns to s[(i*(m + 2) + j)*plane + t]. */
    void (*down)(int n, const real *d, real *s, size_t plane);
    /* By rows: product p of tile t to v[p*step + t]. */
    void (*across)(int n, const real *s, size_t plane, real *v, size_t step);
    /* From 8 channels' sums[t*tile + p*PANEL_ROWS] the pixels of a row of tiles, out[(y*width + m*t
     * + x)*8]. The last tile may reach beyond the width. */
    void (*back)(int n, const real *sums, size_t tile, int width, real *out);
    /* Filters g[tap][PANEL_ROWS] to u[p*step + row]. */
    void (*filters)(const real *g, real *u, size_t step);

    /* For the filters' gradient, with channels as lanes: `lanes` channels of n tiles, from
     * pixels[(y*width + x)*lanes], product p of tile t to out[p*point + t*tile]; the same of
     * gradients of m x m outputs; and sums[p][PANEL_ROWS] over all tiles back to
     * g[tap][PANEL_ROWS]. */
    void (*tiles)(int n, const real *pixels, int width, real *out, size_t point, size_t tile);
    void (*tiles_grad)(int n, const real *pixels, int width, real *out, size_t point, size_t tile);
    void (*filters_back)(const real *sums, real *g);
};

/*
 * Of each panel i < panels: sums[i*sums_panel + t*step + r] (+)= sum over k of u[i*u_panel +
 * k*PANEL_ROWS + r] * v[k*ldv + t], for t < n. next: the weights that will be asked for then, which
 * are fetched meanwhile. Each sum is made in the order of k, whatever the other sizes are.
 */
struct panel_product {
    int k, panels, n;
    bool add;
    const real *u, *v, *next;
    size_t u_panel, ldv, sums_panel, step;
    real *sums;
};

/*
 * Dot products of rows of numbers with others, over n <= DOT_POSITIONS numbers of each, a multiple
 * of 16. Rows lie DOT_STEP apart, an odd number of cache lines. Both sides are cut into panels, as
 * equal as can be, of at most DOT_SIDE rows; the products of a panel of a and one of b,
 * [row][column], are a tile of DOT_TILE numbers. Those of b's first panel come first.
 */
enum { DOT_POSITIONS = 1024, DOT_STEP = DOT_POSITIONS + 16, DOT_SIDE = 5, DOT_TILE = 32 };
struct dot_product {
    int n, rows, cols; /* rows: of a, cols: rows of b */
    bool add;          /* to the sums */
    const real *a, *b;
    real *sums;
};
static inline int dot_panels(int rows)
{
    return (rows + DOT_SIDE - 1) / DOT_SIDE;
}

/* How a strip's row of n numbers is filled: out[i] = row[first + (i - from)*stride] for i
 * from..to-1, 0 elsewhere. */
struct row_fill {
    int n, from, to, first, stride;
};

/* Windows of `size` numbers of a line, window i from number i*stride on. n is taken up to a
 * multiple of 8, and up to 16 numbers behind the last window are read. But of largest_at n is at
 * least 8, 8*stride + size - 1 numbers are read of the last eight's lines, and windows go over
 * `rows` lines, `row` numbers apart; number i from `line` on is called index + i. */
struct windows {
    int n, size, stride;
    int rows;
    ptrdiff_t row;
    real index;
};

/* Sums over one run of numbers. */
struct moments {
    double mean, squares; /* squares of the distances from the mean, summed */
};

/* A normalisation of one channel: xhat = (x - mean) * invstd, z = gamma * xhat + beta, y = act(z).
 */
struct norm_line {
    real mean, invstd, gamma, beta;
    enum act act;
};

/* How the work of convolutions is cut, for the caches of the machines that run an instruction set.
 */
struct conv_cut {
    int wino_tiles;                  /* of a chunk, at most (about) */
    int product_pixels;              /* the same */
    int wino_panels, product_panels; /* whose sums are held at once */
    int multiple;                    /* of how many panels their pieces should be */
    int v_bytes;                     /* of a product's chunk */
    int few_pixels, v_most;          /* fewer pixels may make V so large */
    int large_v, most_sums; /* bytes: V beyond the second cache; of sums held at once then */
};

/* What convolutions cost on them: billions in a second of operations and of weights' bytes from
 * memory; which part of the shorter of the two the longer does not hide; nanoseconds to bring a
 * number of V or of the sums to its place, in products and for F2, F4, F6. */
struct conv_costs {
    double operations, weight_bytes, not_hidden;
    double product_move, wino_move[3];
};

/* Gradients have no aliasing rule but this: dx may be dy itself. */
struct cpu_kernels {
    struct conv_cut cut;
    struct conv_costs costs;

    /* c[6][16] = a b, or += when add. */
    void (*tile)(const struct tile_runs *runs, const real *a, const real *b, bool add, real *c);
    void (*dots)(const struct dot_product *d); /* NULL: too few registers */
    /* Fills a panel [n_channels * n_taps][16] from two times 8 lanes. */
    void (*pack_panel)(const struct pack_source *src, const struct lanes lanes[2], real *panel);
    /* Numbers i of 8 rows go side by side to out[i*step], for all n. */
    void (*transpose8)(size_t n, const real *const row[8], size_t step, real *out);
    /* row NULL: all zeros. May write zeros to the 7 numbers behind the row. */
    void (*fill_row)(const struct row_fill *fill, const real *row, real *out);
    /* tile is used up. */
    void (*finish)(const struct tile_out *out, real *tile, real *y);

    void (*act_fwd)(enum act act, size_t n, const real *x, real *y);
    void (*act_bwd)(enum act act, size_t n, const real *known, const real *dy, real beta, real *dx);
    void (*add)(enum act act, size_t n, const real *a, const real *b, real *y);
    void (*affine)(real scale, real shift, enum act act, size_t n, const real *x, real *y);
    void (*scale)(size_t n, real scale, const real *x, real beta, real *y); /* y = beta*y + s*x */
    void (*product)(size_t n, real scale, const real *a, const real *b, real *y); /* y = s*a*b */
    void (*add_product)(size_t n, real scale, const real *a, const real *b, real *y); /* y += */
    void (*exp_less)(size_t n, const real *x, const real *most, real *y); /* exp(x - most) */

    /* Of each pair the larger number, NaN above all, to `most`. */
    void (*larger)(size_t n, const real *x, real *most);
    /* Of `most` and each window the largest; largest_at: of each window, and to `at` what the first
     * such number is called. */
    void (*largest)(const struct windows *w, const real *line, real *most);
    void (*largest_at)(const struct windows *w, const real *line, real *most, real *at);
    /* sums: of each window. spread: all numbers of window i become g[i], or get it added, as they
     * must where windows overlap. Both work on whole eights of windows. */
    void (*window_sums)(const struct windows *w, const real *line, real *sums);
    void (*window_spread)(const struct windows *w, const real *g, bool add, real *line);
    /* A line of n numbers, with one more on each side, to the 2n of twice the resolution; and what
     * their gradients, with one more on each side, give to the n. */
    void (*twice)(size_t n, const real *line, real *out);
    void (*twice_back)(size_t n, const real *g, real *line);
    /* y[rows][n]: means of fours of x[2*rows][2*n]; and what its gradient gives to x. */
    void (*quarter)(int rows, int n, const real *x, real *y);
    void (*quarter_back)(int rows, int n, const real *dy, real *dx);

    double (*sum)(size_t n, const real *x);
    double (*dot)(size_t n, const real *x, const real *y);
    struct moments (*moments)(size_t n, const real *x);
    void (*norm_apply)(const struct norm_line *line, size_t n, const real *x, real *y);
    /* sums[0] += g, sums[1] += g * xhat, where g = act'(z) * dy. */
    void (*norm_sums)(const struct norm_line *line, size_t n, const real *x, const real *dy,
                      double sums[2]);
    /* dx = add*dx + coef[0]*g + coef[1]*xhat + coef[2] */
    void (*norm_dx)(const struct norm_line *line, const real coef[3], size_t n, const real *x,
                    const real *dy, real add, real *dx);

    struct wino_kernels wino[3]; /* m = 2, 4, 6 */
    void (*multiply)(const struct panel_product *p);
    /* rows runs of n numbers, `step` apart, go one behind the other to y. Up to 7 numbers behind
     * each run are read, and behind the last written. */
    void (*join_rows)(int rows, int n, const real *x, size_t step, real *y);
    /* Up to 7 pixels behind the last are read. */
    void (*put_rows)(const struct rows_out *out, int n, const real *pixels, real *y);

    /* n steps of multiply-adds on 64 numbers at io, for the measurement of what the machine can do.
     * How many multiply-adds that were. */
    double (*multiply_adds)(size_t n, real *io);
};

extern const struct cpu_kernels kernels_base, kernels_avx2, kernels_avx512, kernels_neon;

#endif
