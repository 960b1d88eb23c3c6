/*
 * gemm.c - the dense matrix product, for connected layers: a blocked product (product.h) whose
 * right operand is packed from rows, or transposed. The entry has no scratch: parts of the left
 * operand that fit into the backend's own memory follow each other, and add to C.
 */
#include "gemm.h"

#include "fast.h"
#include "product.h"

enum { K_BLOCK = 256, MAX_PANELS = 16, PART_ROWS = 96, PART_K = 2048 };

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

static void fast_gemm(struct backend *be, bool ta, bool tb, int m, int n, int k, const real *a,
                      int lda, const real *b, int ldb, real beta, real *c, int ldc)
{
    static const size_t no_tap = 0;
    const size_t a_row = ta ? 1 : (size_t)lda, a_col = ta ? (size_t)lda : 1;

    for (int k0 = 0; k0 < k; k0 += PART_K) {
        const real *b_part = b + (size_t)k0 * (tb ? 1 : (size_t)ldb);
        for (int row = 0; row < m; row += PART_ROWS) {
            const struct gemm g = {b_part,
                                   c + (size_t)row * (size_t)ldc,
                                   k0 > 0 ? 1 : beta,
                                   (size_t)ldb,
                                   (size_t)ldc,
                                   tb,
                                   n};
            const struct product_left left = {a + (size_t)row * a_row + (size_t)k0 * a_col, a_row,
                                              a_col, 1, &no_tap};
            struct product p = {.of = &g,
                                .m = m - row < PART_ROWS ? m - row : PART_ROWS,
                                .unit_cols = n,
                                .k = k - k0 < PART_K ? k - k0 : PART_K};
            gemm_part(be->ctx, &p, &left);
        }
    }
}

void fast_gemm_entries(struct backend_ops *ops)
{
    ops->gemm = fast_gemm;
}
