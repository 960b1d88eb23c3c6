/*
 * product.h - a blocked matrix product C[m, n] = A[m, k] B[k, n] over the threads (Goto, van de
 * Geijn 2008). A is packed beforehand; B is packed panel by panel, from wherever it comes, just
 * before it is used; nothing of B is ever stored whole. Chunks and the order of every sum follow
 * from the sizes only.
 *
 * The columns of C come in `units` equal runs (the images of a batch) that no panel crosses.
 */
#ifndef VOV_CPU_PRODUCT_H
#define VOV_CPU_PRODUCT_H

#include "cpu.h"
#include "kernels.h"
#include "span.h"

struct product;

/* The memory of one worker, and what it is working on. */
struct product_work {
    int unit, first, cols; /* columns first .. first + cols - 1 of unit */
    real *panel;           /* [k of a block][TILE_COLS] */
    real *tiles;           /* [panels][row panels][TILE_SIZE] */
    void *source;          /* source_bytes of it */
};

/* Where B comes from, and C goes to. All are called by the worker that owns w. */
struct product_source {
    void (*open)(const struct product *p, struct product_work *w);            /* new columns */
    void (*load)(const struct product *p, struct product_work *w, int block); /* new block of k */
    void (*pack)(const struct product *p, struct product_work *w, int block, int panel);
    void (*finish)(const struct product *p, struct product_work *w, int row_panel, int panel,
                   real *tile);
};

struct product {
    const struct cpu *cpu;
    const struct product_source *source;
    const void *of; /* the source's own description */
    int m, units, unit_cols;
    int k, k_block; /* rows of B: all, and of each block but the last */
    const real *a;  /* packed: product_pack */
    size_t source_bytes;

    /* Filled by product_plan. */
    int row_panels, rows_chunk, n_row_chunks; /* in panels of TILE_ROWS */
    int col_panels, cols_chunk, n_col_chunks; /* of one unit, in panels of TILE_COLS */
    size_t work_bytes;
};

/* How A is read: number (row i, k = c*n_taps + t) is p[i*row + c*channel + tap[t]]. */
struct product_left {
    const real *p;
    size_t row, channel;
    int n_taps;
    const size_t *tap;
};

/* Chooses chunks of at most max_panels panels of columns. */
void product_plan(struct product *p, int max_panels);
/* Packs A to `packed`, and makes it p->a. k_block must be a multiple of left->n_taps. */
void product_pack(struct product *p, const struct product_left *left, real *packed);
/* memory: work_bytes for each thread. */
void product_run(const struct product *p, void *memory);

#endif
