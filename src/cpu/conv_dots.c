/*
 * conv_dots.c - the weight gradient, dw[o, c, t] += sum over images and positions of dy[o] times
 * x[c] at tap t, as dot products of rows of positions: where there are registers for many of them.
 *
 * A block is some output rows, of one image or of several. Of dy, its rows of all output channels
 * are put side by side once, for all threads. Of x, a chunk's worker makes a row of positions for
 * each of its lanes, pairs of channel and tap: what the tap reads for each output, zeros outside
 * the picture. A chunk is some channels with all their taps times some output channels. It adds up
 * its products over a batch of blocks, which is as much of dy as stays in the second cache; where
 * there are several batches, the sums wait for the next in memory of their own. Blocks and batches
 * follow in order, so that every sum has one order only.
 */
#include "conv.h"

#include "span.h"

#include <string.h>

/* Bytes of dy's rows that a batch may take; lanes of a chunk: about, and at least; chunks that are
 * enough; tiles of a chunk where a worker keeps them; output channels that are multiplied and
 * packed at a time. */
enum {
    BATCH_BYTES = 1 << 20,
    CHUNK_LANES = 112,
    LEAST_LANES = 15,
    ENOUGH_CHUNKS = 4,
    MAX_TILES = 4096,
    NEAR_ROWS = 80,
    PACK_ROWS = 8
};

struct weight_plan {
    const struct cpu *cpu;
    const struct conv_desc *d;
    struct view x, dy;
    int taps, reach_y, reach_x; /* rows and columns between the first tap and the last */
    bool plain;                 /* the only lane of a channel is the channel itself */
    int parts, block_rows, n_blocks, batch_blocks; /* parts: blocks of a row that is too wide */
    bool keeps;                                    /* sums, from batch to batch */
    int channels, lane_chunks, row_chunks;         /* channels: of a chunk, at most */
    size_t strip, lanes, tiles, work;              /* numbers of each, and of a worker */

    /* Of the run. */
    struct span blocks; /* of the batch */
    real *packed;       /* [block of the batch][output channel][DOT_STEP] */
    real *kept;         /* tiles of all chunks */
    real *memory, *dw;
};

/* The memory of one worker. */
struct weight_work {
    real *strip, *lanes, *tiles;
};

static void plan_chunks(struct weight_plan *pl)
{
    const int least = ceil_div(LEAST_LANES, pl->taps), most = CHUNK_LANES / pl->taps;
    const int row_panels = dot_panels(pl->dy.c);
    int channels = ceil_div(pl->x.c, ENOUGH_CHUNKS);

    channels = channels < most ? channels : most;
    channels = channels > least ? channels : least;
    pl->lane_chunks = ceil_div(pl->x.c, channels);
    pl->channels = ceil_div(pl->x.c, pl->lane_chunks);

    const int lane_panels = dot_panels(pl->channels * pl->taps);
    pl->row_chunks = ceil_div(row_panels * lane_panels, MAX_TILES);
    while (pl->lane_chunks * pl->row_chunks < ENOUGH_CHUNKS &&
           row_panels / (pl->row_chunks + 1) >= 3) {
        pl->row_chunks++;
    }
    /* Each NEAR_ROWS of them may be one panel more. */
    const int rows = ceil_div(pl->dy.c, pl->row_chunks);
    const int panels = dot_panels(rows) + rows / NEAR_ROWS;
    pl->tiles = whole_lines((size_t)(panels * lane_panels * DOT_TILE));
}

static struct weight_plan weight_plan(const struct cpu *cpu, const struct conv_desc *d,
                                      struct view x, struct view dy)
{
    struct weight_plan pl = {.cpu = cpu, .d = d, .x = x, .dy = dy, .taps = d->kh * d->kw};
    const int all_rows = dy.n * dy.h, fit = DOT_POSITIONS / dy.w;

    pl.reach_y = (d->kh - 1) * d->dilation;
    pl.reach_x = (d->kw - 1) * d->dilation;
    pl.plain = pl.taps == 1 && d->stride == 1 && d->pad == 0;
    pl.parts = ceil_div(dy.w, DOT_POSITIONS);
    pl.n_blocks = pl.parts * ceil_div(all_rows, fit > 1 ? fit : 1);
    pl.block_rows = ceil_div(all_rows * pl.parts, pl.n_blocks);
    plan_chunks(&pl);

    const size_t blocks = BATCH_BYTES / ((size_t)(dy.c * DOT_STEP) * sizeof(real));
    pl.batch_blocks = blocks < 1 ? 1 : blocks < (size_t)pl.n_blocks ? (int)blocks : pl.n_blocks;
    const int strip_rows = (pl.block_rows < dy.h ? pl.block_rows : dy.h) + pl.reach_y;
    pl.strip = pl.plain ? 0 : whole_lines((size_t)(strip_rows * (dy.w + pl.reach_x)) + 16);
    pl.lanes = (size_t)(pl.channels * pl.taps) * DOT_STEP;
    pl.keeps = pl.batch_blocks < pl.n_blocks;
    pl.work = pl.strip + pl.lanes + (pl.keeps ? 0 : pl.tiles);
    return pl;
}

/* Output rows of one image that lie in a block, and the columns of them. */
struct piece {
    int image, row, rows, col, cols;
};

struct pieces {
    struct span rows; /* counted over all images */
    int height, col, cols;
};

static struct pieces block_at(const struct weight_plan *pl, int block)
{
    const struct span cols = span_at(pl->dy.w, pl->parts, block % pl->parts);

    return (struct pieces){
        span_at(pl->dy.n * pl->dy.h, pl->n_blocks / pl->parts, block / pl->parts), pl->dy.h,
        cols.from, cols.to - cols.from};
}

/* The next piece of what is left; false: none. */
static bool next_piece(struct pieces *left, struct piece *p)
{
    const int from = left->rows.from, end = (from / left->height + 1) * left->height;

    if (from >= left->rows.to) {
        return false;
    }
    left->rows.from = end < left->rows.to ? end : left->rows.to;
    *p = (struct piece){from / left->height, from % left->height, left->rows.from - from, left->col,
                        left->cols};
    return true;
}

/* Numbers of a row of positions, which ends with zeros. */
static int block_positions(const struct pieces *b)
{
    return round_up((b->rows.to - b->rows.from) * b->cols, 16);
}

/* Positions of a channel of v, which are all positions of a piece but for parts of rows. */
static real *copy_positions(struct view v, int channel, const struct piece *p, real *out)
{
    const size_t at = (size_t)p->row * (size_t)v.w + (size_t)p->col;
    const real *from = view_at(v, p->image, channel) + at;
    const int runs = p->cols == v.w ? 1 : p->rows;
    const size_t n = (size_t)(p->rows * p->cols) / (size_t)runs;

    for (int r = 0; r < runs; r++, from += v.w, out += n) {
        fetch(from + view_plane(v), n);
        memcpy(out, from, n * sizeof *out);
    }
    return out;
}

static void end_row(real *out, const real *end)
{
    memset(out, 0, (size_t)(end - out) * sizeof *out);
}

static void copy_row(const struct weight_plan *pl, struct view v, int channel, int block, real *out)
{
    struct pieces left = block_at(pl, block);
    const real *end = out + block_positions(&left);

    for (struct piece p; next_piece(&left, &p);) {
        out = copy_positions(v, channel, &p, out);
    }
    end_row(out, end);
}

static int pack_jobs(const struct weight_plan *pl)
{
    return ceil_div(pl->dy.c, PACK_ROWS);
}

/* Some output channels of one block. */
static void pack_chunk(void *ctx, int chunk, int worker)
{
    const struct weight_plan *pl = ctx;
    const int jobs = pack_jobs(pl), block = chunk / jobs;
    const struct span rows = span_at(pl->dy.c, jobs, chunk % jobs);
    real *out = pl->packed + (size_t)(block * pl->dy.c) * DOT_STEP;

    (void)worker;
    for (int o = rows.from; o < rows.to; o++) {
        copy_row(pl, pl->dy, o, pl->blocks.from + block, out + (size_t)o * DOT_STEP);
    }
}

/* out[i] = row[x0 + i*stride] for i < n, 0 outside the picture. */
static void fill(const struct weight_plan *pl, int n, int x0, int stride, const real *row,
                 real *out)
{
    const struct row_fill f = row_fill(n, x0, stride, pl->x.w);

    pl->cpu->kernels->fill_row(&f, row, out);
}

/* Row y of a plane, NULL outside. */
static const real *plane_row(const struct weight_plan *pl, const real *plane, int y)
{
    return y < 0 || y >= pl->x.h ? NULL : plane + (size_t)y * (size_t)pl->x.w;
}

/* A piece of the lanes of one channel, from a strip that has the zeros written out. */
static void lanes_by_strip(const struct weight_plan *pl, const struct piece *p, const real *plane,
                           real *strip, real *out)
{
    const struct conv_desc *d = pl->d;
    const int width = p->cols + pl->reach_x;

    /* In order, as each row may write zeros into the next one's beginning. */
    for (int r = 0; r < p->rows + pl->reach_y; r++) {
        fill(pl, width, p->col - d->pad, 1, plane_row(pl, plane, p->row - d->pad + r),
             strip + (size_t)(r * width));
    }
    for (int t = 0; t < pl->taps; t++, out += DOT_STEP) {
        const int at = t / d->kw * d->dilation * width + t % d->kw * d->dilation;
        pl->cpu->kernels->join_rows(p->rows, p->cols, strip + at, (size_t)width, out);
    }
}

static void lanes_by_rows(const struct weight_plan *pl, const struct piece *p, const real *plane,
                          real *out)
{
    const struct conv_desc *d = pl->d;

    for (int t = 0; t < pl->taps; t++, out += DOT_STEP) {
        const int y = p->row * d->stride - d->pad + t / d->kw * d->dilation;
        const int x = p->col * d->stride - d->pad + t % d->kw * d->dilation;
        for (int r = 0; r < p->rows; r++) {
            fill(pl, p->cols, x, d->stride, plane_row(pl, plane, y + r * d->stride),
                 out + (size_t)(r * p->cols));
        }
    }
}

/* The lanes of one channel, which begin at out. */
static void fill_lanes(const struct weight_plan *pl, int channel, int block, real *strip, real *out)
{
    struct pieces left = block_at(pl, block);
    const int end = block_positions(&left);
    int at = 0;

    if (pl->plain) {
        copy_row(pl, pl->x, channel, block, out);
        return;
    }
    for (struct piece p; next_piece(&left, &p); at += p.rows * p.cols) {
        const real *plane = view_at(pl->x, p.image, channel);
        if (pl->d->stride == 1) {
            lanes_by_strip(pl, &p, plane, strip, out + at);
        } else {
            lanes_by_rows(pl, &p, plane, out + at);
        }
    }
    for (int t = 0; t < pl->taps; t++, out += DOT_STEP) {
        end_row(out + at, out + end);
    }
}

/* Adds the tiles of some output channels and a chunk's lanes to dw. */
static void add_tiles(const struct weight_plan *pl, struct span rows, struct span lanes,
                      const real *tile)
{
    const int n_rows = rows.to - rows.from, n_lanes = lanes.to - lanes.from;
    const int row_panels = dot_panels(n_rows), lane_panels = dot_panels(n_lanes);
    const size_t step = (size_t)(pl->x.c * pl->taps);

    for (int j = 0; j < lane_panels; j++) {
        const struct span l = span_at(n_lanes, lane_panels, j);
        real *dw = pl->dw + (size_t)rows.from * step + (size_t)(lanes.from + l.from);
        for (int i = 0; i < row_panels; i++, tile += DOT_TILE) {
            const struct span r = span_at(n_rows, row_panels, i);
            const real *sum = tile;
            for (int o = r.from; o < r.to; o++, dw += step) {
                for (int k = 0; k < l.to - l.from; k++) {
                    dw[k] += *sum++;
                }
            }
        }
    }
}

static struct weight_work work_at(const struct weight_plan *pl, int chunk, int worker)
{
    struct weight_work w;

    w.strip = pl->memory + (size_t)worker * pl->work;
    w.lanes = w.strip + pl->strip;
    w.tiles = pl->keeps ? pl->kept + (size_t)chunk * pl->tiles : w.lanes + pl->lanes;
    return w;
}

/* Some of a chunk's rows at a time, for the second cache. */
static struct span next_rows(struct span before, struct span all)
{
    const int to = before.to + NEAR_ROWS;

    return (struct span){before.to, to < all.to ? to : all.to};
}

static struct span first_rows(struct span all)
{
    return next_rows((struct span){all.from, all.from}, all);
}

static size_t tiles_of(struct span rows, int lanes)
{
    return (size_t)(dot_panels(rows.to - rows.from) * dot_panels(lanes) * DOT_TILE);
}

/* One block's products. */
static void multiply_rows(const struct weight_plan *pl, int b, struct span rows, int lanes,
                          const struct weight_work *w)
{
    const struct pieces block = block_at(pl, b);
    const real *packed = pl->packed + (size_t)((b - pl->blocks.from) * pl->dy.c) * DOT_STEP;
    real *tiles = w->tiles;

    for (struct span r = first_rows(rows); r.from < r.to; r = next_rows(r, rows)) {
        pl->cpu->kernels->dots(&(struct dot_product){.n = block_positions(&block),
                                                     .rows = r.to - r.from,
                                                     .cols = lanes,
                                                     .add = b > 0,
                                                     .a = packed + (size_t)r.from * DOT_STEP,
                                                     .b = w->lanes,
                                                     .sums = tiles});
        tiles += tiles_of(r, lanes);
    }
}

static void multiply_chunk(void *ctx, int chunk, int worker)
{
    const struct weight_plan *pl = ctx;
    const struct weight_work w = work_at(pl, chunk, worker);
    const struct span rows = span_at(pl->dy.c, pl->row_chunks, chunk % pl->row_chunks);
    const struct span channels = span_at(pl->x.c, pl->lane_chunks, chunk / pl->row_chunks);
    const struct span lanes = {channels.from * pl->taps, channels.to * pl->taps};

    for (int b = pl->blocks.from; b < pl->blocks.to; b++) {
        for (int c = channels.from; c < channels.to; c++) {
            fill_lanes(pl, c, b, w.strip,
                       w.lanes + (size_t)((c - channels.from) * pl->taps) * DOT_STEP);
        }
        multiply_rows(pl, b, rows, lanes.to - lanes.from, &w);
    }
    if (pl->blocks.to < pl->n_blocks) {
        return;
    }
    const real *tile = w.tiles;
    for (struct span r = first_rows(rows); r.from < r.to; r = next_rows(r, rows)) {
        add_tiles(pl, r, lanes, tile);
        tile += tiles_of(r, lanes.to - lanes.from);
    }
}

static size_t packed_bytes(const struct weight_plan *pl)
{
    return (size_t)(pl->batch_blocks * pl->dy.c) * DOT_STEP * sizeof(real);
}

static size_t kept_tiles(const struct weight_plan *pl)
{
    return pl->keeps ? (size_t)(pl->lane_chunks * pl->row_chunks) * pl->tiles : 0;
}

size_t dots_weight_scratch(const struct cpu *cpu, const struct conv_desc *d, struct view x,
                           struct view dy)
{
    const struct weight_plan pl = weight_plan(cpu, d, x, dy);

    return packed_bytes(&pl) +
           (kept_tiles(&pl) + (size_t)pool_threads(cpu->pool) * pl.work) * sizeof(real);
}

void dots_weight_run(const struct cpu *cpu, const struct conv_desc *d, struct view x,
                     struct view dy, real *dw, void *scratch)
{
    struct weight_plan pl = weight_plan(cpu, d, x, dy);

    pl.dw = dw;
    pl.packed = scratch;
    pl.kept = pl.packed + packed_bytes(&pl) / sizeof(real);
    pl.memory = pl.kept + kept_tiles(&pl);
    for (int block = 0; block < pl.n_blocks; block += pl.batch_blocks) {
        const int end = block + pl.batch_blocks;
        pl.blocks = (struct span){block, end < pl.n_blocks ? end : pl.n_blocks};
        pool_run(cpu->pool, (pl.blocks.to - pl.blocks.from) * pack_jobs(&pl), pack_chunk, &pl);
        pool_run(cpu->pool, pl.lane_chunks * pl.row_chunks, multiply_chunk, &pl);
    }
}
