/*
 * conv_wino.c - 3x3 correlations with stride 1 by Winograd's F(m x m, 3 x 3), see kernel_wino.h.
 *
 * The output is cut into tiles of m x m, and rows of tiles, counted over all images, into chunks. A
 * chunk's tiles are transformed to V [product][input channel][tile]; for some panels of 16 output
 * channels at a time, each of the (m+2)^2 products is a matrix product of the filters U [panel]
 * [product][input channel][16] with V, to sums [panel][tile][product][16]; transformed back, they
 * leave as rows of pixels with bias, activation and whatever is to be added. V and the sums stay
 * in the second cache or near it.
 *
 * Threads take chunks; where there are too few, they share one chunk after the other: first its
 * channels, then its panels. No number depends on which of the two it was.
 */
#include "conv.h"

#include "product.h"

#include <string.h>

/* Tiles of a chunk, about; tiles side by side in one; panels whose sums are held at once. */
enum { CHUNK_TILES = 40, SHARED_TILES = 64, WIDEST = 48, SUM_PANELS = 4 };

/* Rows of tiles row..row_end-1, of columns col..col+cols-1. */
struct wino_chunk {
    int row, row_end, col, cols;
};

struct wino_plan {
    const struct cpu *cpu;
    const struct corr *c;
    const struct wino_kernels *k;
    int m, points;
    int tiles_h, tiles_w;  /* of an image */
    int panels;            /* of 16 output channels */
    int parts, part_tiles; /* pieces of the width, and tiles side by side in the widest */
    int row_chunks, tiles; /* tiles of the largest chunk */
    bool shared;           /* threads share chunks */
    int jobs, job_panels;  /* pieces of the panels of a chunk, and the most panels of one */
    size_t v_row, v_point; /* steps in V: channel, product */
    size_t tile_step;      /* in the sums */
    size_t line_reals, spread_reals, plane, pixel_reals, v_reals, sum_reals, work_reals;

    /* Of the run. */
    const real *u;
    real *shared_v, *memory;
    struct wino_chunk chunk; /* shared */
};

/* The memory of one worker. */
struct wino_work {
    real *line, *spread, *planes, *pixels, *sums, *v;
};

static int round_up(int n, int to)
{
    return ceil_div(n, to) * to;
}

static size_t whole_lines(size_t reals)
{
    return cache_lines(reals * sizeof(real)) / sizeof(real);
}

/* A step between planes that are written at one time: not near a multiple of 4096 bytes. */
static size_t spaced(size_t reals)
{
    const size_t n = whole_lines(reals), line = 64 / sizeof(real);

    return n % (8 * line) < line ? n + line : n;
}

static struct wino_chunk chunk_at(const struct wino_plan *pl, int index)
{
    const struct span rows = span_at(pl->tiles_h * pl->c->dst.n, pl->row_chunks, index / pl->parts);
    const struct span cols = span_at(pl->tiles_w, pl->parts, index % pl->parts);

    return (struct wino_chunk){rows.from, rows.to, cols.from, cols.to - cols.from};
}

/* Whether `chunks` chunks of `rows` rows, taken in order, keep all threads busy nearly always. */
static bool balanced(int rows, int chunks, int threads)
{
    const int most = ceil_div(rows, chunks), rounds = ceil_div(chunks, threads);

    return (double)rows >= 0.9 * threads * most * rounds || chunks >= 8 * threads;
}

static void plan_chunks(struct wino_plan *pl)
{
    const int threads = pool_threads(pl->cpu->pool), rows = pl->tiles_h * pl->c->dst.n;
    const int some = CHUNK_TILES / pl->part_tiles > 1 ? CHUNK_TILES / pl->part_tiles : 1;
    const int many = SHARED_TILES / pl->part_tiles > 1 ? SHARED_TILES / pl->part_tiles : 1;

    pl->row_chunks = ceil_div(rows, some);
    if (threads > 1 && !balanced(rows, pl->row_chunks, threads)) {
        const int more = round_up(pl->row_chunks, threads);
        if (rows / more * pl->part_tiles >= CHUNK_TILES / 2 && balanced(rows, more, threads)) {
            pl->row_chunks = more;
        } else {
            pl->shared = true;
            pl->row_chunks = ceil_div(rows, many);
        }
    }
    pl->tiles = ceil_div(rows, pl->row_chunks) * pl->part_tiles;
    const int workers = pl->shared ? threads : 1;
    pl->jobs = workers * ceil_div(ceil_div(pl->panels, workers), SUM_PANELS);
    pl->jobs = pl->jobs < pl->panels ? pl->jobs : pl->panels;
    pl->job_panels = ceil_div(pl->panels, pl->jobs);
}

static void plan_sizes(struct wino_plan *pl)
{
    const int n = pl->m + 2, lanes = round_up(pl->part_tiles, 8);
    const int rows = pl->tiles / pl->part_tiles;
    /* Each row of tiles may be of another image, and has its lines for itself then. */
    const size_t lines = (size_t)rows * (size_t)n;

    pl->line_reals = whole_lines((size_t)(pl->m * lanes + 24));
    pl->spread_reals = lines * (size_t)(n * lanes);
    pl->plane = whole_lines((size_t)(pl->tiles + 16));
    pl->pixel_reals = whole_lines((size_t)(pl->m * (pl->part_tiles * pl->m + 1) + 24) * 8);
    pl->v_row = (size_t)round_up(pl->tiles, 8);
    pl->v_point = spaced(pl->v_row * (size_t)pl->c->src.c);
    pl->v_reals = pl->v_point * (size_t)pl->points;
    pl->tile_step = (size_t)(pl->points + 1) * WINO_ROWS;
    pl->sum_reals = (size_t)pl->job_panels * (size_t)pl->tiles * pl->tile_step;
    pl->work_reals = pl->line_reals + pl->spread_reals + (size_t)pl->points * pl->plane +
                     pl->pixel_reals + pl->sum_reals + (pl->shared ? 0 : pl->v_reals);
    pl->work_reals = whole_lines(pl->work_reals);
}

static struct wino_plan wino_plan(const struct cpu *cpu, const struct corr *c, int m)
{
    struct wino_plan pl = {.cpu = cpu,
                           .c = c,
                           .k = &cpu->kernels->wino[m / 2 - 1],
                           .m = m,
                           .points = (m + 2) * (m + 2),
                           .tiles_h = ceil_div(c->grid_h, m),
                           .tiles_w = ceil_div(c->grid_w, m),
                           .panels = ceil_div(c->dst.c, WINO_ROWS)};

    pl.parts = ceil_div(pl.tiles_w, WIDEST);
    pl.part_tiles = ceil_div(pl.tiles_w, pl.parts);
    plan_chunks(&pl);
    plan_sizes(&pl);
    return pl;
}

static struct wino_work work_at(const struct wino_plan *pl, int worker)
{
    struct wino_work w;

    w.line = pl->memory + (size_t)worker * pl->work_reals;
    w.spread = w.line + pl->line_reals;
    w.planes = w.spread + pl->spread_reals;
    w.pixels = w.planes + (size_t)pl->points * pl->plane;
    w.sums = w.pixels + pl->pixel_reals;
    w.v = pl->shared ? pl->shared_v : w.sums + pl->sum_reals;
    return w;
}

/* The end of the part of rows row..end-1 that lies in row's image. */
static int image_end(const struct wino_plan *pl, int row, int end)
{
    const int last = (row / pl->tiles_h + 1) * pl->tiles_h;

    return last < end ? last : end;
}

/* How the picture's numbers from x0 on lie in a line of n. */
static struct row_fill line_fill(int n, int x0, int width)
{
    struct row_fill f = {.n = n, .stride = 1, .from = x0 < 0 ? -x0 : 0};

    f.to = width - x0 < n ? width - x0 : n;
    f.first = x0 + f.from;
    return f;
}

/* Rows row..end-1, of one image: spread lines, then columns. */
static void transform_down(const struct wino_plan *pl, const struct wino_chunk *ch,
                           const struct wino_work *w, int channel, int row)
{
    const struct corr *c = pl->c;
    const int n = pl->m + 2, lanes = round_up(ch->cols, 8);
    const int end = image_end(pl, row, ch->row_end), image = row / pl->tiles_h;
    const int y0 = row % pl->tiles_h * pl->m + c->y.first;
    const struct row_fill f = line_fill(pl->m * lanes + 8, ch->col * pl->m + c->x.first, c->src.w);
    const real *plane = view_at(c->src, image, channel);
    const size_t spread = (size_t)(n * lanes);

    for (int i = 0; i < (end - row) * pl->m + 2; i++) {
        const int y = y0 + i;
        if (y >= 0 && y < c->src.h && f.from < f.to) {
            pl->cpu->kernels->fill_row(&f, plane + (size_t)y * (size_t)c->src.w, w->line);
            pl->k->spread(lanes, w->line, w->spread + (size_t)i * spread);
        } else {
            memset(w->spread + (size_t)i * spread, 0, spread * sizeof(real));
        }
    }
    for (int r = row; r < end; r++) {
        pl->k->down(lanes, w->spread + (size_t)((r - row) * pl->m) * spread,
                    w->planes + (size_t)(r - ch->row) * (size_t)ch->cols, pl->plane);
    }
}

/* V of some channels of a chunk. */
static void transform_data(const struct wino_plan *pl, const struct wino_chunk *ch,
                           const struct wino_work *w, struct span channels)
{
    const int tiles = (ch->row_end - ch->row) * ch->cols;

    for (int c = channels.from; c < channels.to; c++) {
        for (int row = ch->row; row < ch->row_end; row = image_end(pl, row, ch->row_end)) {
            transform_down(pl, ch, w, c, row);
        }
        pl->k->across(tiles, w->planes, pl->plane, w->v + (size_t)c * pl->v_row, pl->v_point);
    }
}

/* Pixels of 8 channels from `channel` on, of one row of tiles. */
static void put_pixels(const struct wino_plan *pl, const struct wino_chunk *ch,
                       const struct wino_work *w, int channel, int row)
{
    const struct corr *c = pl->c;
    const int image = row / pl->tiles_h, y0 = row % pl->tiles_h * pl->m, x0 = ch->col * pl->m;
    const int height = c->dst.h - y0 < pl->m ? c->dst.h - y0 : pl->m;
    const int most = ch->cols * pl->m, width = c->dst.w - x0 < most ? c->dst.w - x0 : most;
    const size_t at = (size_t)y0 * (size_t)c->dst.w + (size_t)x0;
    const int left = c->dst.c - channel;
    real *y = view_at(c->dst, image, channel) + at;
    struct rows_out o = {.bias = c->bias ? c->bias + channel : NULL,
                         .plus = c->plus.p ? view_at(c->plus, image, channel) + at : NULL,
                         .act = c->act,
                         .add = c->add,
                         .rows = left < 8 ? left : 8,
                         .row = view_plane(c->dst)};

    if (pl->parts == 1) { /* rows of pixels follow each other */
        pl->cpu->kernels->put_rows(&o, height * width, w->pixels, y);
        return;
    }
    for (int i = 0; i < height; i++) {
        const size_t down = (size_t)i * (size_t)c->dst.w;
        struct rows_out line = o;
        line.plus = o.plus ? o.plus + down : NULL;
        pl->cpu->kernels->put_rows(&line, width, w->pixels + (size_t)(i * width) * 8, y + down);
    }
}

static void transform_back(const struct wino_plan *pl, const struct wino_chunk *ch,
                           const struct wino_work *w, int panel, const real *sums)
{
    const int most = ch->cols * pl->m, left = pl->c->dst.w - ch->col * pl->m;
    const int width = left < most ? left : most;

    for (int half = 0; half < WINO_ROWS; half += 8) {
        const int channel = panel * WINO_ROWS + half;
        for (int row = ch->row; row < ch->row_end && channel < pl->c->dst.c; row++) {
            const int tile = (row - ch->row) * ch->cols;
            pl->k->back(ch->cols, sums + (size_t)tile * pl->tile_step + half, pl->tile_step, width,
                        w->pixels);
            put_pixels(pl, ch, w, channel, row);
        }
    }
}

/* Some panels of a chunk whose V is there. */
static void multiply(const struct wino_plan *pl, const struct wino_chunk *ch,
                     const struct wino_work *w, struct span panels)
{
    const int n_c = pl->c->src.c, tiles = (ch->row_end - ch->row) * ch->cols;
    const size_t filters = (size_t)n_c * WINO_ROWS;
    const size_t panel_sums = (size_t)tiles * pl->tile_step;

    for (int p = 0; p < pl->points; p++) {
        for (int i = panels.from; i < panels.to; i++) {
            pl->cpu->kernels->wino_multiply(n_c, pl->u + (size_t)(i * pl->points + p) * filters,
                                            w->v + (size_t)p * pl->v_point, pl->v_row, tiles,
                                            w->sums + (size_t)(i - panels.from) * panel_sums +
                                                (size_t)(p * WINO_ROWS),
                                            pl->tile_step);
        }
    }
    for (int i = panels.from; i < panels.to; i++) {
        transform_back(pl, ch, w, i, w->sums + (size_t)(i - panels.from) * panel_sums);
    }
}

static void run_chunk(void *ctx, int index, int worker)
{
    const struct wino_plan *pl = ctx;
    const struct wino_work w = work_at(pl, worker);
    const struct wino_chunk ch = chunk_at(pl, index);

    transform_data(pl, &ch, &w, (struct span){0, pl->c->src.c});
    for (int j = 0; j < pl->jobs; j++) {
        multiply(pl, &ch, &w, span_at(pl->panels, pl->jobs, j));
    }
}

enum { DATA_JOBS = 4 }; /* pieces of a shared chunk's channels, for each thread */

static void shared_data(void *ctx, int job, int worker)
{
    const struct wino_plan *pl = ctx;
    const struct wino_work w = work_at(pl, worker);
    const int jobs = DATA_JOBS * pool_threads(pl->cpu->pool);

    transform_data(pl, &pl->chunk, &w, span_at(pl->c->src.c, jobs, job));
}

static void shared_panels(void *ctx, int job, int worker)
{
    const struct wino_plan *pl = ctx;
    const struct wino_work w = work_at(pl, worker);

    multiply(pl, &pl->chunk, &w, span_at(pl->panels, pl->jobs, job));
}

/* U of one panel. Rows beyond the last channel are zeros. */
static void transform_filters(const struct wino_plan *pl, int panel, real *u)
{
    const struct corr *c = pl->c;
    const size_t step = (size_t)c->src.c * WINO_ROWS;
    const int rows = c->dst.c - panel * WINO_ROWS;
    real g[9 * WINO_ROWS] = {0};

    for (int ch = 0; ch < c->src.c; ch++, u += WINO_ROWS) {
        for (int r = 0; r < WINO_ROWS && r < rows; r++) {
            const real *w =
                c->w + (size_t)(panel * WINO_ROWS + r) * c->w_row + (size_t)ch * c->w_channel;
            for (int t = 0; t < 9; t++) {
                g[t * WINO_ROWS + r] =
                    w[c->y.w_first + t / 3 * c->y.w_step + c->x.w_first + t % 3 * c->x.w_step];
            }
        }
        pl->k->filters(g, u, step);
    }
}

struct wino_pack {
    const struct wino_plan *pl;
    real *u;
};

static void pack_panel(void *ctx, int panel, int worker)
{
    const struct wino_pack *pk = ctx;

    (void)worker;
    transform_filters(pk->pl, panel,
                      pk->u + (size_t)(panel * pk->pl->points) *
                                  (size_t)(pk->pl->c->src.c * WINO_ROWS));
}

bool wino_fits(const struct corr *c)
{
    return c->y.n == 3 && c->x.n == 3 && c->stride == 1 && c->y.step == 1 && c->x.step == 1 &&
           c->out_step == 1;
}

/* Filters of a whole panel are asked for ahead, and must be readable. */
size_t wino_pack_bytes(const struct corr *c, int m)
{
    return cache_lines((size_t)ceil_div(c->dst.c, WINO_ROWS) * WINO_ROWS * (size_t)c->src.c *
                       (size_t)((m + 2) * (m + 2)) * sizeof(real));
}

void wino_pack(const struct cpu *cpu, const struct corr *c, int m, real *packed)
{
    const struct wino_plan pl = wino_plan(cpu, c, m);
    struct wino_pack pk = {&pl, packed};

    pool_run(cpu->pool, pl.panels, pack_panel, &pk);
}

size_t wino_scratch(const struct cpu *cpu, const struct corr *c, int m)
{
    const struct wino_plan pl = wino_plan(cpu, c, m);

    return wino_pack_bytes(c, m) + ((pl.shared ? whole_lines(pl.v_reals) : 0) +
                                    (size_t)pool_threads(cpu->pool) * pl.work_reals) *
                                       sizeof(real);
}

void wino_run(const struct cpu *cpu, const struct corr *c, int m, const real *packed, void *scratch)
{
    struct wino_plan pl = wino_plan(cpu, c, m);

    pl.u = packed ? packed : scratch;
    pl.memory = (real *)(void *)((char *)scratch + wino_pack_bytes(c, m));
    if (!packed) {
        wino_pack(cpu, c, m, scratch);
    }
    if (!pl.shared) {
        pool_run(cpu->pool, pl.row_chunks * pl.parts, run_chunk, &pl);
        return;
    }
    pl.shared_v = pl.memory;
    pl.memory += whole_lines(pl.v_reals);
    for (int i = 0; i < pl.row_chunks * pl.parts; i++) {
        pl.chunk = chunk_at(&pl, i);
        pool_run(cpu->pool, DATA_JOBS * pool_threads(cpu->pool), shared_data, &pl);
        pool_run(cpu->pool, pl.jobs, shared_panels, &pl);
    }
}
