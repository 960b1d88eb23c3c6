/*
 * conv_weight.c - the weight gradient, dw[o, c, t] += sum over images and positions of dy[o] times
 * x[c] at tap t: a matrix product whose inner dimension is all positions of all images.
 *
 * A block of k is some output rows. Its left operand is dy's rows, packed once. Its right operand
 * is a strip [position][16 lanes] of x, in which a tap is an offset only, so that one strip of 16
 * channels serves all taps. With few channels (the first layer) or a single tap, the lanes are
 * pairs of channel and tap instead, and each strip row is one output row. A chunk is 16 lanes times
 * some output channels; it adds up its tiles over one batch of blocks, then adds them to dw: blocks
 * and batches in order, so that every sum has one order only. Where the kernels have dot products,
 * conv_dots.c is faster and does all of this.
 */
#include "conv.h"

#include "product.h"

#include <string.h>

/* Positions of a block; bytes of packed dy that a batch may take, and positions that it has at
 * least; tiles that a worker keeps, and of one tap; chunks that are enough. */
enum {
    BLOCK_POSITIONS = 256,
    BATCH_BYTES = 1 << 20,
    BATCH_POSITIONS = 2048,
    MAX_TILES = 640,
    TAP_TILES = 176,
    ENOUGH_CHUNKS = 8,
    FEW_CHANNELS = 12
};

struct weight_plan {
    const struct cpu *cpu;
    const struct conv_desc *d;
    struct view x, dy;
    int n_taps;
    bool by_tap;    /* lanes are (channel, tap) */
    int lanes;      /* of all lane blocks together: channels, or channels * taps */
    int strip_taps; /* that share one strip */
    int row_panels, rows_chunk, n_row_chunks; /* of output channels */
    int block_rows, n_blocks, batch_blocks;
    int strip_w, step; /* strip columns; those between neighbouring positions */
    size_t strip_reals, block_reals, work_bytes;
    size_t rows_step; /* between lanes whose rows are put together; 0: they need not be */

    /* Of the run. */
    int first_block, end_block; /* of the batch */
    real *packed;               /* [blocks of a batch][block_reals] */
    real *dw;
    char *memory;
};

static int tap_reach(const struct conv_desc *d, int taps)
{
    return (taps - 1) * d->dilation;
}

static void plan_strip(struct weight_plan *pl)
{
    const struct conv_desc *d = pl->d;
    const int parts = (pl->block_rows - 2 + pl->dy.h) / pl->dy.h + 1;
    const int images = parts < pl->dy.n ? parts : pl->dy.n;
    size_t rows = (size_t)pl->block_rows;

    pl->step = 1;
    pl->strip_w = pl->dy.w;
    if (!pl->by_tap) {
        pl->step = d->stride;
        pl->strip_w = (pl->dy.w - 1) * d->stride + tap_reach(d, d->kw) + 1;
        rows = rows * (size_t)d->stride + (size_t)images * (size_t)(tap_reach(d, d->kh) + 1);
    }
    pl->strip_reals = rows * (size_t)pl->strip_w * TILE_COLS;
}

static void plan_chunks(struct weight_plan *pl)
{
    const int lane_blocks = ceil_div(pl->lanes, TILE_COLS);
    const int most = MAX_TILES / pl->strip_taps > 1 ? MAX_TILES / pl->strip_taps : 1;

    pl->row_panels = ceil_div(pl->dy.c, TILE_ROWS);
    pl->n_row_chunks = ceil_div(pl->row_panels, most < TAP_TILES ? most : TAP_TILES);
    while (lane_blocks * pl->n_row_chunks < ENOUGH_CHUNKS &&
           pl->row_panels / (pl->n_row_chunks + 1) >= 3) {
        pl->n_row_chunks++;
    }
    pl->rows_chunk = ceil_div(pl->row_panels, pl->n_row_chunks);
}

static struct weight_plan weight_plan(const struct cpu *cpu, const struct conv_desc *d,
                                      struct view x, struct view dy)
{
    struct weight_plan pl = {.cpu = cpu, .d = d, .x = x, .dy = dy, .n_taps = d->kh * d->kw};
    const int all_rows = dy.n * dy.h;
    const int some_rows = BLOCK_POSITIONS / dy.w > 1 ? BLOCK_POSITIONS / dy.w : 1;

    pl.by_tap = x.c < FEW_CHANNELS || pl.n_taps == 1;
    pl.lanes = pl.by_tap ? x.c * pl.n_taps : x.c;
    pl.strip_taps = pl.by_tap ? 1 : pl.n_taps;
    pl.n_blocks = ceil_div(all_rows, some_rows);
    pl.block_rows = ceil_div(all_rows, pl.n_blocks);
    plan_strip(&pl);
    plan_chunks(&pl);

    const size_t positions = (size_t)pl.block_rows * (size_t)dy.w;
    const bool plain = pl.n_taps == 1 && d->stride == 1 && d->pad == 0;
    pl.rows_step = pl.by_tap && !plain ? whole_lines(positions + 8) : 0;
    pl.block_reals = positions * (size_t)pl.row_panels * TILE_ROWS + PACK_MARGIN;
    const size_t by_bytes = BATCH_BYTES / (pl.block_reals * sizeof(real));
    const size_t by_positions = BATCH_POSITIONS / positions;
    const size_t blocks = by_bytes > by_positions ? by_bytes : by_positions;
    pl.batch_blocks = blocks < 1 ? 1 : blocks < (size_t)pl.n_blocks ? (int)blocks : pl.n_blocks;
    pl.work_bytes =
        cache_lines(pl.strip_reals * sizeof(real)) + 8 * pl.rows_step * sizeof(real) +
        cache_lines((size_t)pl.block_rows * sizeof(size_t)) +
        cache_lines((size_t)pl.strip_taps * (size_t)pl.rows_chunk * TILE_SIZE * sizeof(real));
    return pl;
}

/* Output rows of a block, counted over all images. */
static struct span block_span(const struct weight_plan *pl, int block)
{
    return span_at(pl->dy.n * pl->dy.h, pl->n_blocks, block);
}

/* The end of the part of rows from..to that lies in from's image. */
static int part_end(const struct weight_plan *pl, int from, int to)
{
    const int end = (from / pl->dy.h + 1) * pl->dy.h;

    return end < to ? end : to;
}

/* Output channels of one panel, at the positions of one part: [position][TILE_ROWS]. */
static real *pack_part(const struct weight_plan *pl, int panel, int from, int to, real *out)
{
    const size_t n = (size_t)(to - from) * (size_t)pl->dy.w;
    const size_t at = (size_t)(from % pl->dy.h) * (size_t)pl->dy.w;
    const real *row[8];

    for (int i = 0; i < 8; i++) {
        /* Rows that do not exist give tiles that nobody reads. */
        const int o = panel * TILE_ROWS + (i < TILE_ROWS ? i : 0);
        row[i] = view_at(pl->dy, from / pl->dy.h, o < pl->dy.c ? o : pl->dy.c - 1) + at;
    }
    /* Each position writes 8 numbers: the next one's overwrite the last two. */
    pl->cpu->kernels->transpose8(n, row, TILE_ROWS, out);
    return out + n * TILE_ROWS;
}

static void pack_chunk(void *ctx, int chunk, int worker)
{
    const struct weight_plan *pl = ctx;
    const struct span rows = block_span(pl, pl->first_block + chunk);
    real *out = pl->packed + (size_t)chunk * pl->block_reals;

    (void)worker;
    for (int panel = 0; panel < pl->row_panels; panel++) {
        for (int r = rows.from; r < rows.to; r = part_end(pl, r, rows.to)) {
            out = pack_part(pl, panel, r, part_end(pl, r, rows.to), out);
        }
    }
}

/* Lanes of pairs (channel, tap): one strip row for each of the output rows, which are put together
 * before, eight lanes at a time. */
static void fill_by_tap(const struct weight_plan *pl, int lane0, struct span rows, real *together,
                        real *out)
{
    const struct conv_desc *d = pl->d;
    const int n = (rows.to - rows.from) * pl->strip_w;
    const real *lane_rows[8];

    for (int l = 0; l < TILE_COLS; l++) {
        const int lane = lane0 + l < pl->lanes ? lane0 + l : lane0, tap = lane % pl->n_taps;
        const struct row_fill f =
            row_fill(pl->strip_w, tap % d->kw * d->dilation - d->pad, d->stride, pl->x.w);
        const real *plane = view_at(pl->x, rows.from / pl->dy.h, lane / pl->n_taps);
        real *row = together + (size_t)(l % 8) * pl->rows_step;
        int y = rows.from % pl->dy.h * d->stride - d->pad + tap / d->kw * d->dilation;

        lane_rows[l % 8] = row;
        /* In order, as each row may write zeros into the next one's beginning. */
        for (int r = rows.from; r < rows.to; r++, row += pl->strip_w, y += d->stride) {
            const bool inside = y >= 0 && y < pl->x.h;
            pl->cpu->kernels->fill_row(&f, inside ? plane + (size_t)y * (size_t)pl->x.w : NULL,
                                       row);
        }
        if (l % 8 == 7) {
            pl->cpu->kernels->transpose8((size_t)n, lane_rows, TILE_COLS, out + (l - 7));
        }
    }
}

static int clip(int v, int most)
{
    return v < 0 ? 0 : v > most ? most : v;
}

/* Lanes of 16 channels: strip row of the source row y of an image, from column -pad on. */
static void fill_channels(const struct weight_plan *pl, int lane0, int image, int y, real *out)
{
    const int from = clip(pl->d->pad, pl->strip_w);
    const int to = clip(pl->d->pad + pl->x.w, pl->strip_w);
    const int first = from - pl->d->pad;

    if (y < 0 || y >= pl->x.h || from >= to) {
        memset(out, 0, (size_t)pl->strip_w * TILE_COLS * sizeof *out);
        return;
    }
    memset(out, 0, (size_t)from * TILE_COLS * sizeof *out);
    memset(out + (size_t)to * TILE_COLS, 0, (size_t)(pl->strip_w - to) * TILE_COLS * sizeof *out);
    for (int half = 0; half < TILE_COLS; half += 8) {
        const real *row[8];
        for (int i = 0; i < 8; i++) {
            const int c = lane0 + half + i;
            row[i] = view_at(pl->x, image, c < pl->x.c ? c : pl->x.c - 1) +
                     (size_t)y * (size_t)pl->x.w + (size_t)first;
        }
        pl->cpu->kernels->transpose8((size_t)(to - from), row, TILE_COLS,
                                     out + (size_t)from * TILE_COLS + half);
    }
}

/* The same for a single tap that shifts nothing: positions are the source's own numbers. */
static void fill_positions(const struct weight_plan *pl, int lane0, int row, int rows, real *out)
{
    const size_t from = (size_t)(row % pl->dy.h) * (size_t)pl->dy.w;

    for (int half = 0; half < TILE_COLS; half += 8) {
        const real *channel[8];
        for (int i = 0; i < 8; i++) {
            const int c = lane0 + half + i;
            channel[i] = view_at(pl->x, row / pl->dy.h, c < pl->x.c ? c : pl->x.c - 1) + from;
        }
        pl->cpu->kernels->transpose8((size_t)rows * (size_t)pl->dy.w, channel, TILE_COLS,
                                     out + half);
    }
}

/* Rows from..to-1, of one image; returns how many strip rows they take. */
static int fill_part(const struct weight_plan *pl, int lane0, int from, int to, real *together,
                     real *out)
{
    const struct conv_desc *d = pl->d;
    const size_t strip_row = (size_t)pl->strip_w * TILE_COLS;
    const int top = from % pl->dy.h * d->stride - d->pad;

    if (pl->by_tap && pl->rows_step == 0) {
        fill_positions(pl, lane0, from, to - from, out);
        return to - from;
    }
    if (pl->by_tap) {
        fill_by_tap(pl, lane0, (struct span){from, to}, together, out);
        return to - from;
    }
    const int height = (to - from - 1) * d->stride + tap_reach(d, d->kh) + 1;
    for (int i = 0; i < height; i++, out += strip_row) {
        fill_channels(pl, lane0, from / pl->dy.h, top + i, out);
    }
    return height;
}

/* Fills the strip, and where in it each output row of the block begins. */
static void fill_strip(const struct weight_plan *pl, int lane0, struct span rows, real *together,
                       real *strip, size_t *offset)
{
    const size_t strip_row = (size_t)pl->strip_w * TILE_COLS;
    size_t at = 0;

    for (int r = rows.from; r < rows.to;) {
        const int end = part_end(pl, r, rows.to);
        for (int i = r; i < end; i++) {
            offset[i - rows.from] = at + (size_t)(i - r) * (size_t)pl->step * strip_row;
        }
        at += (size_t)fill_part(pl, lane0, r, end, together, strip + at) * strip_row;
        r = end;
    }
}

/* Adds the chunk's tiles to dw. */
static void add_tiles(const struct weight_plan *pl, int lane0, struct span panels, real *tile)
{
    const int rows_to = panels.to * TILE_ROWS < pl->dy.c ? panels.to * TILE_ROWS : pl->dy.c;
    const int lanes = pl->lanes - lane0 < TILE_COLS ? pl->lanes - lane0 : TILE_COLS;
    const size_t row = (size_t)pl->x.c * (size_t)pl->n_taps;

    if (pl->strip_taps == 1 && lanes == TILE_COLS) {
        for (int o = panels.from * TILE_ROWS; o < rows_to; o += TILE_ROWS, tile += TILE_SIZE) {
            const int left = rows_to - o;
            const struct tile_out to = {
                .add = true, .rows = left < TILE_ROWS ? left : TILE_ROWS, .row = row};
            pl->cpu->kernels->finish(&to, tile, pl->dw + (size_t)o * row + lane0);
        }
        return;
    }
    for (int t = 0; t < pl->strip_taps; t++) {
        const real *of_tap = tile + (size_t)t * (size_t)(panels.to - panels.from) * TILE_SIZE;
        for (int o = panels.from * TILE_ROWS; o < rows_to; o++) {
            const real *sum = of_tap + (size_t)(o - panels.from * TILE_ROWS) * TILE_COLS;
            real *dw = pl->dw + (size_t)o * row + (size_t)lane0 * (size_t)pl->strip_taps + t;
            for (int l = 0; l < lanes; l++) {
                dw[l * pl->strip_taps] += sum[l];
            }
        }
    }
}

static void multiply_block(const struct weight_plan *pl, int block, struct span panels,
                           const real *strip, const size_t *offset, real *tile)
{
    const struct span rows = block_span(pl, block);
    const int n_rows = rows.to - rows.from;
    /* Where each strip row is an output row, all positions are one run. */
    const struct tile_runs runs = {pl->by_tap ? 1 : n_rows,
                                   pl->by_tap ? n_rows * pl->dy.w : pl->dy.w, offset,
                                   (size_t)pl->step * TILE_COLS};
    const size_t panel = (size_t)(rows.to - rows.from) * (size_t)pl->dy.w * TILE_ROWS;
    const real *left = pl->packed + (size_t)(block - pl->first_block) * pl->block_reals;

    for (int t = 0; t < pl->strip_taps; t++) {
        const size_t y = (size_t)(t / pl->d->kw * pl->d->dilation);
        const size_t x = (size_t)(t % pl->d->kw * pl->d->dilation);
        const real *right = strip + (y * (size_t)pl->strip_w + x) * TILE_COLS;
        for (int p = panels.from; p < panels.to; p++, tile += TILE_SIZE) {
            pl->cpu->kernels->tile(&runs, left + (size_t)p * panel, right, block > pl->first_block,
                                   tile);
        }
    }
}

static void multiply_chunk(void *ctx, int chunk, int worker)
{
    const struct weight_plan *pl = ctx;
    const struct span panels = span_at(pl->row_panels, pl->n_row_chunks, chunk % pl->n_row_chunks);
    const int lane0 = chunk / pl->n_row_chunks * TILE_COLS;
    char *at = pl->memory + (size_t)worker * pl->work_bytes;
    real *strip = (real *)(void *)at;
    at += cache_lines(pl->strip_reals * sizeof(real));
    real *together = (real *)(void *)at;
    at += 8 * pl->rows_step * sizeof(real);
    size_t *offset = (size_t *)(void *)at;
    at += cache_lines((size_t)pl->block_rows * sizeof(size_t));
    real *tiles = (real *)(void *)at;

    for (int block = pl->first_block; block < pl->end_block; block++) {
        fill_strip(pl, lane0, block_span(pl, block), together, strip, offset);
        multiply_block(pl, block, panels, strip, offset, tiles);
    }
    add_tiles(pl, lane0, panels, tiles);
}

size_t conv_weight_scratch(const struct cpu *cpu, const struct conv_desc *d, struct view x,
                           struct view dy)
{
    if (cpu->kernels->dots) {
        return dots_weight_scratch(cpu, d, x, dy);
    }
    const struct weight_plan pl = weight_plan(cpu, d, x, dy);

    return cache_lines((size_t)pl.batch_blocks * pl.block_reals * sizeof(real)) +
           (size_t)pool_threads(cpu->pool) * pl.work_bytes;
}

void conv_weight_run(const struct cpu *cpu, const struct conv_desc *d, struct view x,
                     struct view dy, real *dw, void *scratch)
{
    if (cpu->kernels->dots) {
        dots_weight_run(cpu, d, x, dy, dw, scratch);
        return;
    }
    struct weight_plan pl = weight_plan(cpu, d, x, dy);
    const int chunks = ceil_div(pl.lanes, TILE_COLS) * pl.n_row_chunks;

    pl.dw = dw;
    pl.packed = scratch;
    pl.memory =
        (char *)scratch + cache_lines((size_t)pl.batch_blocks * pl.block_reals * sizeof(real));
    for (int block = 0; block < pl.n_blocks; block += pl.batch_blocks) {
        const int end = block + pl.batch_blocks;
        pl.first_block = block;
        pl.end_block = end < pl.n_blocks ? end : pl.n_blocks;
        pool_run(cpu->pool, pl.end_block - block, pack_chunk, &pl);
        pool_run(cpu->pool, chunks, multiply_chunk, &pl);
    }
}
