/*
 * gemm.c - the dense matrix product, for connected layers: by OpenBLAS, piece by piece over our
 * threads, or by our own kernels. Those make a blocked product (product.h) whose right operand is
 * packed from rows, or transposed. The entry has no scratch: parts of the left operand that fit
 * into the backend's own memory follow each other, and add to C. Of few rows nothing is packed:
 * each number is a sum of products along a row of the weights.
 */
#include "gemm.h"

#include "blas.h"
#include "fast.h"
#include "product.h"

enum { K_BLOCK = 256, MAX_PANELS = 16, PART_ROWS = 96, PART_K = 2048 };
/* A product by OpenBLAS, and from which size on more than one thread is worth it. */
enum { MIN_PIECE = 128, MAX_PIECES = 16, WORTH_MADDS = 200000 };
/* So few rows of A that B is only read; and its numbers that are worth a thread. */
enum { FEW_ROWS = 4, ROW_MADDS = 100000 };

struct gemm {
    const real *b;
    real *c, beta;
    size_t ldb, ldc;
    bool tb;
    int n;
};

static void gemm_open(const struct product *p, struct product_work *w)
{
    (void)p, (void)w;
}

static void gemm_load(const struct product *p, struct product_work *w, int block)
{
    (void)p, (void)w, (void)block;
}

/* The panel's columns are rows of b. */
static void pack_transposed(const struct product *p, const struct gemm *g, int col, int k0, int k,
                            real *panel)
{
    for (int half = 0; half < TILE_COLS; half += 8) {
        const real *row[8];
        for (int i = 0; i < 8; i++) {
            const int at = col + half + i < g->n ? col + half + i : g->n - 1;
            row[i] = g->b + (size_t)at * g->ldb + (size_t)k0;
        }
        p->cpu->kernels->transpose8((size_t)k, row, TILE_COLS, panel + half);
    }
}

static void pack_straight(const struct gemm *g, int col, int k0, int k, real *panel)
{
    const int cols = g->n - col < TILE_COLS ? g->n - col : TILE_COLS;
    const real *b = g->b + (size_t)k0 * g->ldb + (size_t)col;

    for (int i = 0; i < k; i++, b += g->ldb, panel += TILE_COLS) {
        for (int l = 0; l < TILE_COLS; l++) {
            panel[l] = l < cols ? b[l] : 0;
        }
    }
}

static void gemm_pack(const struct product *p, struct product_work *w, int block, int panel)
{
    const struct gemm *g = p->of;
    const int col = w->first + panel * TILE_COLS, k0 = block * p->k_block;
    const int k = p->k - k0 < p->k_block ? p->k - k0 : p->k_block;

    if (g->tb) {
        pack_transposed(p, g, col, k0, k, w->panel);
    } else {
        pack_straight(g, col, k0, k, w->panel);
    }
}

static void gemm_finish(const struct product *p, struct product_work *w, int row_panel, int panel,
                        real *tile)
{
    const struct gemm *g = p->of;
    const int row = row_panel * TILE_ROWS, col = w->first + panel * TILE_COLS;
    const int rows = p->m - row < TILE_ROWS ? p->m - row : TILE_ROWS;
    const int cols = g->n - col < TILE_COLS ? g->n - col : TILE_COLS;

    for (int r = 0; r < rows; r++) {
        real *c = g->c + (size_t)(row + r) * g->ldc + (size_t)col;
        for (int l = 0; l < cols; l++) {
            c[l] = tile[r * TILE_COLS + l] + (g->beta != 0 ? c[l] : 0);
        }
    }
}

static const struct product_source gemm_source = {gemm_open, gemm_load, gemm_pack, gemm_finish};

/* C's rows row..row+p->m-1, from k's numbers at k0 on. */
static void gemm_part(const struct cpu *cpu, struct product *p, const struct product_left *left)
{
    const size_t left_bytes = cache_lines((size_t)PART_ROWS * PART_K * sizeof(real));

    p->cpu = cpu;
    p->source = &gemm_source;
    p->units = 1;
    p->k_block = ceil_div(p->k, ceil_div(p->k, K_BLOCK));
    product_plan(p, MAX_PANELS);
    product_pack(p, left, (real *)cpu->gemm_memory);
    product_run(p, (char *)cpu->gemm_memory + left_bytes);
}

/* Panels and tiles of one worker, for the largest part. */
static size_t worker_bytes(void)
{
    const size_t tiles = (size_t)(PART_ROWS / TILE_ROWS) * MAX_PANELS * TILE_SIZE * sizeof(real);

    return cache_lines(sizeof(struct product_work)) +
           cache_lines((size_t)K_BLOCK * TILE_COLS * sizeof(real)) + cache_lines(tiles);
}

size_t gemm_memory_bytes(int threads)
{
    return cache_lines((size_t)PART_ROWS * PART_K * sizeof(real)) +
           (size_t)threads * worker_bytes();
}

struct rows {
    const struct cpu *cpu;
    const struct blas_product *of;
};

static int row_chunks(const struct blas_product *of)
{
    const double rows = (double)of->n * of->k / ROW_MADDS;
    const int chunks = rows > MAX_PIECES ? MAX_PIECES : (int)rows;

    return chunks < 1 ? 1 : chunks < of->n ? chunks : of->n;
}

/* Each number by itself: with few rows of a, what counts is that b is read once, in its order. */
static void rows_chunk(void *ctx, int chunk, int worker)
{
    const struct rows *j = ctx;
    const struct blas_product *of = j->of;
    const struct span s = span_at(of->n, row_chunks(of), chunk);

    (void)worker;
    for (int n = s.from; n < s.to; n++) {
        for (int m = 0; m < of->m; m++) {
            real *c = of->c + (size_t)m * (size_t)of->ldc + n;
            const double sum =
                j->cpu->kernels->dot((size_t)of->k, of->a + (size_t)m * (size_t)of->lda,
                                     of->b + (size_t)n * (size_t)of->ldb);
            *c = (real)sum + (of->beta != 0 ? of->beta * *c : 0);
        }
    }
}

/* Our own kernels, in parts that fit into the backend's memory. */
static void own_gemm(struct cpu *cpu, const struct blas_product *of)
{
    static const size_t no_tap = 0;
    const size_t lda = (size_t)of->lda, ldb = (size_t)of->ldb, ldc = (size_t)of->ldc;
    const size_t a_row = of->ta ? 1 : lda, a_col = of->ta ? lda : 1;

    for (int k0 = 0; k0 < of->k; k0 += PART_K) {
        const real *b = of->b + (size_t)k0 * (of->tb ? 1 : ldb);
        const real beta = k0 > 0 ? 1 : of->beta;
        for (int row = 0; row < of->m; row += PART_ROWS) {
            const struct gemm g = {b, of->c + (size_t)row * ldc, beta, ldb, ldc, of->tb, of->n};
            const struct product_left left = {of->a + (size_t)row * a_row + (size_t)k0 * a_col,
                                              a_row, a_col, 1, &no_tap};
            struct product p = {.of = &g,
                                .m = of->m - row < PART_ROWS ? of->m - row : PART_ROWS,
                                .unit_cols = of->n,
                                .k = of->k - k0 < PART_K ? of->k - k0 : PART_K};
            gemm_part(cpu, &p, &left);
        }
    }
}

struct pieces {
    const struct blas *blas;
    const struct blas_product *of;
};

/* The longer side of c, cut into pieces that are long enough for packing the other operand again
 * not to matter. */
static int blas_pieces(const struct blas_product *of)
{
    const int side = of->m > of->n ? of->m : of->n;
    const int pieces = side / MIN_PIECE < MAX_PIECES ? side / MIN_PIECE : MAX_PIECES;

    return pieces > 0 && (double)of->m * of->n * of->k >= WORTH_MADDS ? pieces : 1;
}

static void blas_chunk(void *ctx, int chunk, int worker)
{
    const struct pieces *j = ctx;
    const struct blas_product *of = j->of;
    const struct span s = span_at(of->m > of->n ? of->m : of->n, blas_pieces(of), chunk);
    const size_t from = (size_t)s.from;
    struct blas_product p = *of;

    (void)worker;
    if (of->m > of->n) {
        p.m = s.to - s.from;
        p.a += from * (of->ta ? 1 : (size_t)of->lda);
        p.c += from * (size_t)of->ldc;
    } else {
        p.n = s.to - s.from;
        p.b += from * (of->tb ? (size_t)of->ldb : 1);
        p.c += from;
    }
    blas_gemm(j->blas, &p);
}

/* Ours are faster where little is computed with each number that is read: see docs/cpu.md. */
static bool wants_own(struct cpu *cpu, const struct blas_product *p)
{
    if (!cpu->prefers_blas && ((p->tb && p->m < 32) || p->k < 32)) {
        return true;
    }
    return !blas_open(&cpu->blas);
}

static void fast_gemm(struct backend *be, bool ta, bool tb, int m, int n, int k, const real *a,
                      int lda, const real *b, int ldb, real beta, real *c, int ldc)
{
    struct cpu *cpu = be->ctx;
    const struct blas_product p = {ta, tb, m, n, k, a, b, lda, ldb, beta, c, ldc};

    if (!cpu->prefers_blas && tb && !ta && m <= FEW_ROWS) {
        struct rows j = {cpu, &p};
        pool_run(cpu->pool, row_chunks(&p), rows_chunk, &j);
    } else if (wants_own(cpu, &p)) {
        own_gemm(cpu, &p);
    } else {
        struct pieces j = {&cpu->blas, &p};
        pool_run(cpu->pool, blas_pieces(&p), blas_chunk, &j);
    }
}

void fast_gemm_entries(struct backend_ops *ops)
{
    ops->gemm = fast_gemm;
}
