/*
 * conv_wino.c - 3x3 correlations with stride 1 by Winograd's F(m x m, 3 x 3), see kernel_wino.h.
 *
 * The output is cut into tiles of m x m, and rows of tiles, counted over all images, into chunks. A
 * chunk's tiles are transformed to V [product][input channel][tile]; for some panels of 16 output
 * channels at a time, each of the (m+2)^2 products is a matrix product of the filters U [panel]
 * [product][input channel][16] with V, to sums [panel][tile][product][16]; transformed back, they
 * leave as rows of pixels with bias, activation and whatever is to be added. V and the sums stay
 * in the second cache or near it.
 */
#include "conv.h"

#include "conv_chunks.h"

#include <string.h>

/* Input channels whose filters are transformed at a time; products of a tile at most. */
enum { FILTERS = 8, MOST_POINTS = 64 };

struct wino_plan {
    const struct cpu *cpu;
    const struct corr *c;
    const struct wino_kernels *k;
    int m, points;
    struct chunks chunks;  /* of tiles */
    size_t v_row, v_point; /* steps in V: channel, product */
    size_t tile_step;      /* in the sums */
    /* Numbers: of a line, spread lines, planes of column transforms, pixels, V, sums, a worker. */
    size_t line, spread, plane, pixels, v, sums, work;

    /* Of the run. */
    const real *u;
    real *shared_v, *memory;
};

/* The memory of one worker. */
struct wino_work {
    real *line, *spread, *planes, *pixels, *sums, *v;
};

/* A step between planes that are written at one time: not near a multiple of 512 bytes. */
static size_t spaced(size_t reals)
{
    const size_t n = whole_lines(reals), line = 64 / sizeof(real);

    return n % (8 * line) < line ? n + line : n;
}

static struct wino_plan wino_plan(const struct cpu *cpu, const struct corr *c, int m)
{
    const int tiles_h = ceil_div(c->grid_h, m), tiles_w = ceil_div(c->grid_w, m);
    struct wino_plan pl = {.cpu = cpu,
                           .c = c,
                           .k = &cpu->kernels->wino[m / 2 - 1],
                           .m = m,
                           .points = (m + 2) * (m + 2)};

    const struct conv_cut *cut = &cpu->kernels->cut;
    const struct chunks_limit limit = {.units = cut->wino_tiles,
                                       .panels = cut->wino_panels,
                                       .multiple = cut->multiple,
                                       .weights = wino_pack_bytes(c, m),
                                       .v = (size_t)(c->src.c * pl.points) * sizeof(real),
                                       .sums = (size_t)(pl.points + 1) * PANEL_ROWS * sizeof(real),
                                       .large_v = (size_t)cut->large_v,
                                       .most_sums = (size_t)cut->most_sums};
    pl.chunks = chunks_plan(pool_threads(cpu->pool), limit, c->dst.n, tiles_h, tiles_w,
                            ceil_div(c->dst.c, PANEL_ROWS));
    const int n = m + 2, cols = pl.chunks.part_cols, lanes = round_up(cols, 8);
    const int tiles = chunks_units(&pl.chunks);
    /* Each row of tiles may be of another image, and has its lines for itself then. */
    const size_t lines = (size_t)pl.chunks.rows_most * (size_t)n;

    pl.line = whole_lines((size_t)(m * lanes + 24));
    pl.spread = lines * (size_t)(n * lanes);
    pl.plane = whole_lines((size_t)(tiles + 16));
    pl.pixels = whole_lines((size_t)(m * (cols * m + 1) + 24) * 8);
    pl.v_row = (size_t)round_up(tiles, 8);
    pl.v_point = spaced(pl.v_row * (size_t)c->src.c);
    pl.v = whole_lines(pl.v_point * (size_t)pl.points);
    pl.tile_step = (size_t)(pl.points + 1) * PANEL_ROWS;
    pl.sums = (size_t)(pl.chunks.job_panels * tiles) * pl.tile_step;
    pl.work = whole_lines(pl.line + pl.spread + (size_t)pl.points * pl.plane + pl.pixels + pl.sums);
    pl.work += pl.chunks.shared ? 0 : pl.v;
    return pl;
}

static struct wino_work work_at(const struct wino_plan *pl, int worker)
{
    struct wino_work w;

    w.line = pl->memory + (size_t)worker * pl->work;
    w.spread = w.line + pl->line;
    w.planes = w.spread + pl->spread;
    w.pixels = w.planes + (size_t)pl->points * pl->plane;
    w.sums = w.pixels + pl->pixels;
    w.v = pl->chunks.shared ? pl->shared_v : w.sums + pl->sums;
    return w;
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
static void transform_down(const struct wino_plan *pl, const struct chunk *ch,
                           const struct wino_work *w, int channel, int row)
{
    const struct corr *c = pl->c;
    const int n = pl->m + 2, lanes = round_up(ch->cols, 8);
    const int end = chunk_image_end(&pl->chunks, ch, row), image = row / pl->chunks.image_rows;
    const int y0 = row % pl->chunks.image_rows * pl->m + c->y.first;
    const struct row_fill f = line_fill(pl->m * lanes + 8, ch->col * pl->m + c->x.first, c->src.w);
    const real *plane = view_at(c->src, image, channel);
    const size_t spread = (size_t)(n * lanes);
    const size_t next = channel + 1 < c->src.c ? view_plane(c->src) : 0; /* which is fetched */

    for (int i = 0; i < (end - row) * pl->m + 2; i++) {
        const int y = y0 + i;
        if (y >= 0 && y < c->src.h && f.from < f.to) {
            const real *line = plane + (size_t)y * (size_t)c->src.w;
            fetch(line + next + f.first, (size_t)(f.to - f.from));
            pl->cpu->kernels->fill_row(&f, line, w->line);
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
static void load(const void *of, const struct chunk *ch, struct span channels, int worker)
{
    const struct wino_plan *pl = of;
    const struct wino_work w = work_at(pl, worker);

    for (int c = channels.from; c < channels.to; c++) {
        for (int row = ch->row; row < ch->row_end; row = chunk_image_end(&pl->chunks, ch, row)) {
            transform_down(pl, ch, &w, c, row);
        }
        pl->k->across(chunk_units(ch), w.planes, pl->plane, w.v + (size_t)c * pl->v_row,
                      pl->v_point);
    }
}

/* Pixels of 8 channels from `channel` on, of one row of tiles. */
static void put_pixels(const struct wino_plan *pl, const struct chunk *ch,
                       const struct wino_work *w, int channel, int row)
{
    const struct corr *c = pl->c;
    const int image = row / pl->chunks.image_rows, y0 = row % pl->chunks.image_rows * pl->m,
              x0 = ch->col * pl->m;
    const int height = c->dst.h - y0 < pl->m ? c->dst.h - y0 : pl->m;
    const int most = ch->cols * pl->m, width = c->dst.w - x0 < most ? c->dst.w - x0 : most;
    const size_t at = (size_t)y0 * (size_t)c->dst.w + (size_t)x0;
    const int left = c->dst.c - channel;
    real *y = view_at(c->dst, image, channel) + at;
    struct rows_out o = {.bias = c->bias ? c->bias + channel : NULL,
                         .plus = c->plus.p ? view_at(c->plus, image, channel) + at : NULL,
                         .act = c->act,
                         .add = c->add,
                         .pixel = 8,
                         .rows = left < 8 ? left : 8,
                         .row = view_plane(c->dst)};

    if (pl->chunks.parts == 1) { /* rows of pixels follow each other */
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

static void transform_back(const struct wino_plan *pl, const struct chunk *ch,
                           const struct wino_work *w, int panel, const real *sums)
{
    const int most = ch->cols * pl->m, left = pl->c->dst.w - ch->col * pl->m;
    const int width = left < most ? left : most;

    for (int half = 0; half < PANEL_ROWS; half += 8) {
        const int channel = panel * PANEL_ROWS + half;
        for (int row = ch->row; row < ch->row_end && channel < pl->c->dst.c; row++) {
            const int tile = (row - ch->row) * ch->cols;
            pl->k->back(ch->cols, sums + (size_t)tile * pl->tile_step + half, pl->tile_step, width,
                        w->pixels);
            put_pixels(pl, ch, w, channel, row);
        }
    }
}

/* Some panels of a chunk whose V is there. */
static void multiply(const void *of, const struct chunk *ch, struct span panels, int worker)
{
    const struct wino_plan *pl = of;
    const struct wino_work w = work_at(pl, worker);
    const int n_c = pl->c->src.c, tiles = chunk_units(ch);
    const size_t filters = (size_t)n_c * PANEL_ROWS;
    const size_t panel_sums = (size_t)tiles * pl->tile_step;

    for (int p = 0; p < pl->points; p++) {
        const real *u = pl->u + (size_t)(panels.from * pl->points + p) * filters;
        pl->cpu->kernels->multiply(
            &(struct panel_product){.k = n_c,
                                    .panels = panels.to - panels.from,
                                    .n = tiles,
                                    .u = u,
                                    .u_panel = (size_t)pl->points * filters,
                                    .v = w.v + (size_t)p * pl->v_point,
                                    .ldv = pl->v_row,
                                    .sums = w.sums + (size_t)(p * PANEL_ROWS),
                                    .sums_panel = panel_sums,
                                    .step = pl->tile_step,
                                    .next = u + filters});
    }
    for (int i = panels.from; i < panels.to; i++) {
        transform_back(pl, ch, &w, i, w.sums + (size_t)(i - panels.from) * panel_sums);
    }
}

/* Filters of a panel and of n channels from ch on, [channel][tap][PANEL_ROWS]. Rows beyond the last
 * output channel are given any numbers, which nobody reads. */
static void gather_filters(const struct wino_plan *pl, int panel, int ch, int n, real *g)
{
    const struct corr *c = pl->c;
    const bool turned = c->x.w_step < 0, together = c->w_channel == 9 && !turned;
    const int taps = together ? 9 * n : 9;
    real line[PANEL_ROWS];

    for (int i = 0; i < (together ? 1 : n); i++, g += (ptrdiff_t)(9 * PANEL_ROWS)) {
        const real *row[PANEL_ROWS];
        for (int r = 0; r < PANEL_ROWS; r++) {
            const int m = panel * PANEL_ROWS + r, most = c->dst.c - 1;
            row[r] =
                c->w + (size_t)(m < most ? m : most) * c->w_row + (size_t)(ch + i) * c->w_channel;
        }
        pl->cpu->kernels->transpose8((size_t)taps, row, PANEL_ROWS, g);
        pl->cpu->kernels->transpose8((size_t)taps, row + 8, PANEL_ROWS, g + 8);
        for (int t = 0; turned && t < 4; t++) {
            memcpy(line, g + t * PANEL_ROWS, sizeof line);
            memcpy(g + t * PANEL_ROWS, g + (8 - t) * PANEL_ROWS, sizeof line);
            memcpy(g + (8 - t) * PANEL_ROWS, line, sizeof line);
        }
    }
}

/* U of one panel. The products of a filter lie far from each other, mostly in the same place of the
 * caches: those of some channels are written at once. */
static void transform_filters(const struct wino_plan *pl, int panel, real *u)
{
    const int channels = pl->c->src.c;
    real g[FILTERS * 9 * PANEL_ROWS], products[MOST_POINTS * FILTERS * PANEL_ROWS];

    for (int ch = 0; ch < channels; ch += FILTERS) {
        const int n = channels - ch < FILTERS ? channels - ch : FILTERS;
        gather_filters(pl, panel, ch, n, g);
        for (int i = 0; i < n; i++) {
            pl->k->filters(g + i * 9 * PANEL_ROWS, products + i * PANEL_ROWS, FILTERS * PANEL_ROWS);
        }
        for (int p = 0; p < pl->points; p++) {
            memcpy(u + ((size_t)p * (size_t)channels + (size_t)ch) * PANEL_ROWS,
                   products + p * FILTERS * PANEL_ROWS, (size_t)(n * PANEL_ROWS) * sizeof *u);
        }
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
                                  (size_t)(pk->pl->c->src.c * PANEL_ROWS));
}

bool wino_fits(const struct corr *c)
{
    return c->y.n == 3 && c->x.n == 3 && c->stride == 1 && c->y.step == 1 && c->x.step == 1 &&
           c->out_step == 1;
}

/* Filters of a whole panel are asked for ahead, and must be readable. */
size_t wino_pack_bytes(const struct corr *c, int m)
{
    return cache_lines((size_t)ceil_div(c->dst.c, PANEL_ROWS) * PANEL_ROWS * (size_t)c->src.c *
                       (size_t)((m + 2) * (m + 2)) * sizeof(real));
}

void wino_pack(const struct cpu *cpu, const struct corr *c, int m, real *packed)
{
    const struct wino_plan pl = wino_plan(cpu, c, m);
    struct wino_pack pk = {&pl, packed};

    pool_run(cpu->pool, pl.chunks.panels, pack_panel, &pk);
}

size_t wino_scratch(const struct cpu *cpu, const struct corr *c, int m, bool packed)
{
    const struct wino_plan pl = wino_plan(cpu, c, m);
    const size_t shared = pl.chunks.shared ? pl.v : 0;

    return (packed ? 0 : wino_pack_bytes(c, m)) +
           (shared + (size_t)pool_threads(cpu->pool) * pl.work) * sizeof(real);
}

void wino_run(const struct cpu *cpu, const struct corr *c, int m, const real *packed, void *scratch)
{
    static const struct chunks_work work = {load, multiply};
    struct wino_plan pl = wino_plan(cpu, c, m);

    pl.u = packed;
    pl.shared_v = scratch;
    if (!packed) {
        wino_pack(cpu, c, m, scratch);
        pl.u = scratch;
        pl.shared_v += wino_pack_bytes(c, m) / sizeof(real);
    }
    pl.memory = pl.shared_v + (pl.chunks.shared ? pl.v : 0);
    chunks_run(cpu, &pl.chunks, &work, c->src.c, &pl);
}
