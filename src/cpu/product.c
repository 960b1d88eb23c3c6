/*
 * product.c - chunks are blocks of C: some row panels times some column panels. In each, blocks of
 * k follow each other, so that one panel of B (k_block x 16) stays in the first cache while all row
 * panels of A pass by, and the chunk's part of A in the second; the unfinished tiles of C wait in
 * the worker's memory.
 */
#include "product.h"

/* Work that is worth a chunk of its own, in multiply-adds; how many chunks are enough; how many row
 * panels of A and tiles of C a worker's second cache holds. */
enum { CHUNK_MADDS = 2000000, ENOUGH_CHUNKS = 8, MAX_ROW_PANELS = 32, MAX_TILES = 640 };

static int at_least(int a, int b)
{
    return a > b ? a : b;
}

static int at_most(int a, int b)
{
    return a < b ? a : b;
}

/* Parts as equal as can be, none larger than `most`. */
static int equal_part(int total, int most)
{
    return ceil_div(total, ceil_div(total, most));
}

static void count_chunks(struct product *p)
{
    p->n_row_chunks = ceil_div(p->row_panels, p->rows_chunk);
    p->n_col_chunks = ceil_div(p->col_panels, p->cols_chunk);
}

/* More and smaller chunks, while there are too few and they stay worth it. */
static void split_chunks(struct product *p)
{
    const double madds = (double)p->m * p->k * p->units * p->unit_cols;
    const double worth = madds / CHUNK_MADDS;
    const int wanted = worth > ENOUGH_CHUNKS ? ENOUGH_CHUNKS : at_least(1, (int)worth);

    while ((int64_t)p->units * p->n_col_chunks * p->n_row_chunks < wanted) {
        if (p->cols_chunk > 4) {
            p->cols_chunk = ceil_div(p->cols_chunk, 2);
        } else if (p->rows_chunk > 3) {
            p->rows_chunk = ceil_div(p->rows_chunk, 2);
        } else {
            break;
        }
        count_chunks(p);
    }
}

void product_plan(struct product *p, int max_panels)
{
    p->row_panels = ceil_div(p->m, TILE_ROWS);
    p->col_panels = ceil_div(p->unit_cols, TILE_COLS);
    p->cols_chunk = equal_part(p->col_panels, max_panels);
    p->rows_chunk =
        equal_part(p->row_panels, at_least(1, at_most(MAX_ROW_PANELS, MAX_TILES / p->cols_chunk)));
    count_chunks(p);
    split_chunks(p);
    p->work_bytes =
        cache_lines(sizeof(struct product_work)) +
        cache_lines((size_t)p->k_block * TILE_COLS * sizeof(real)) +
        cache_lines((size_t)p->rows_chunk * (size_t)p->cols_chunk * TILE_SIZE * sizeof(real)) +
        cache_lines(p->source_bytes);
}

struct packing {
    const struct product *p;
    const struct product_left *left;
    real *packed;
    bool in_rows; /* k's numbers of a row lie side by side */
};

static int block_rows(const struct product *p, int block)
{
    return at_most(p->k_block, p->k - block * p->k_block);
}

static size_t panel_offset(const struct product *p, int block, int row_panel)
{
    return ((size_t)block * (size_t)p->k_block * (size_t)p->row_panels +
            (size_t)row_panel * (size_t)block_rows(p, block)) *
           TILE_ROWS;
}

/* A panel whose rows are runs of numbers: transposed 8 at a time. Each step writes 8 numbers, the
 * last two of which the next one's overwrite; the last step writes only its own. */
static void pack_rows(const struct packing *pk, int row, size_t from, int n, real *out)
{
    const struct product_left *left = pk->left;
    const real *p[8];

    for (int i = 0; i < 8; i++) {
        /* Rows that do not exist give tiles that nobody reads. */
        const int r = i < TILE_ROWS ? at_most(row + i, pk->p->m - 1) : row;
        p[i] = left->p + (size_t)r * left->row + from;
    }
    pk->p->cpu->kernels->transpose8((size_t)n - 1, p, TILE_ROWS, out);
    for (int i = 0; i < TILE_ROWS; i++) {
        out[(size_t)(n - 1) * TILE_ROWS + (size_t)i] = p[i][n - 1];
    }
}

static void pack_taps(const struct packing *pk, int row, struct span channels, real *out)
{
    const struct product_left *left = pk->left;
    size_t at[TILE_ROWS];

    for (int i = 0; i < TILE_ROWS; i++) {
        at[i] = (size_t)at_most(row + i, pk->p->m - 1) * left->row;
    }
    for (int c = channels.from; c < channels.to; c++) {
        const real *p = left->p + (size_t)c * left->channel;
        for (int t = 0; t < left->n_taps; t++, out += TILE_ROWS) {
            const real *q = p + left->tap[t];
            for (int i = 0; i < TILE_ROWS; i++) {
                out[i] = q[at[i]];
            }
        }
    }
}

/* One panel of one block: [k][TILE_ROWS]. */
static void pack_panel(const struct packing *pk, int block, int row_panel)
{
    const int taps = pk->left->n_taps, rows = block_rows(pk->p, block);
    const int first = block * pk->p->k_block;
    real *out = pk->packed + panel_offset(pk->p, block, row_panel);

    if (pk->in_rows) {
        pack_rows(pk, row_panel * TILE_ROWS, (size_t)first, rows, out);
    } else {
        pack_taps(pk, row_panel * TILE_ROWS, (struct span){first / taps, (first + rows) / taps},
                  out);
    }
}

static void pack_chunk(void *ctx, int chunk, int worker)
{
    const struct packing *pk = ctx;
    const int blocks = ceil_div(pk->p->k, pk->p->k_block);

    (void)worker;
    for (int block = 0; block < blocks; block++) {
        pack_panel(pk, block, chunk);
    }
}

void product_pack(struct product *p, const struct product_left *left, real *packed)
{
    struct packing pk = {p, left, packed, left->channel == (size_t)left->n_taps};

    for (int t = 0; t < left->n_taps; t++) {
        pk.in_rows = pk.in_rows && left->tap[t] == (size_t)t;
    }
    p->a = packed;
    pool_run(p->cpu->pool, p->row_panels, pack_chunk, &pk);
}

/* All tiles of one panel of B. */
static void multiply_panel(const struct product *p, struct product_work *w, struct span rows,
                           int block, int panel)
{
    static const size_t zero = 0;
    const int k = block_rows(p, block);
    const struct tile_runs runs = {1, k, &zero, TILE_COLS};
    const bool last = (block + 1) * p->k_block >= p->k;
    real *tile = w->tiles + (size_t)panel * (size_t)(rows.to - rows.from) * TILE_SIZE;

    p->source->pack(p, w, block, panel);
    for (int i = rows.from; i < rows.to; i++, tile += TILE_SIZE) {
        p->cpu->kernels->tile(&runs, p->a + panel_offset(p, block, i), w->panel, block > 0, tile);
        if (last) {
            p->source->finish(p, w, i, panel, tile);
        }
    }
}

struct running {
    const struct product *p;
    char *memory;
};

static struct product_work *work_open(const struct running *r, int worker)
{
    const struct product *p = r->p;
    char *at = r->memory + (size_t)worker * p->work_bytes;
    struct product_work *w = (struct product_work *)(void *)at;

    at += cache_lines(sizeof *w);
    w->panel = (real *)(void *)at;
    at += cache_lines((size_t)p->k_block * TILE_COLS * sizeof(real));
    w->tiles = (real *)(void *)at;
    at += cache_lines((size_t)p->rows_chunk * (size_t)p->cols_chunk * TILE_SIZE * sizeof(real));
    w->source = at;
    return w;
}

static void run_chunk(void *ctx, int chunk, int worker)
{
    const struct running *r = ctx;
    const struct product *p = r->p;
    struct product_work *w = work_open(r, worker);
    const struct span rows = span_at(p->row_panels, p->n_row_chunks, chunk % p->n_row_chunks);
    const int group = chunk / p->n_row_chunks;
    const struct span cols = span_at(p->col_panels, p->n_col_chunks, group % p->n_col_chunks);

    w->unit = group / p->n_col_chunks;
    w->first = cols.from * TILE_COLS;
    w->cols = at_most(cols.to * TILE_COLS, p->unit_cols) - w->first;
    p->source->open(p, w);
    for (int block = 0; block * p->k_block < p->k; block++) {
        p->source->load(p, w, block);
        for (int panel = 0; panel < cols.to - cols.from; panel++) {
            multiply_panel(p, w, rows, block, panel);
        }
    }
}

void product_run(const struct product *p, void *memory)
{
    struct running r = {p, memory};

    pool_run(p->cpu->pool, p->units * p->n_col_chunks * p->n_row_chunks, run_chunk, &r);
}
