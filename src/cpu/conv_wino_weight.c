/*
 * conv_wino_weight.c - the weight gradient of 3x3 convolutions with stride 1 by Winograd's tiles,
 * the transpose of the forward pass (kernel_wino.h): dw = G^T [sum over tiles of (B^T x B) . (A dy
 * A^T)] G for each pair of channels.
 *
 * Tiles are counted over all images, and cut into batches of whole rows of tiles. Of a batch, x is
 * transformed to X [panel of 16 input channels][product][tile][16], dy to Y [group of output
 * channels][product][tile][channel]; then each of the (m+2)^2 products is a matrix product over the
 * tiles. A job owns the sums of some panels and one group, [panel][output channel][product][16];
 * they wait for the next batch in memory of their own where there is more than one. Batches and
 * blocks of tiles are added in their order, and none of it depends on the number of threads.
 */
#include "conv.h"

#include "span.h"

#include <string.h>

enum {
    LEAST_NUMBERS = 1 << 18, /* of a batch's X and Y */
    MANY_NUMBERS = 1 << 20,  /* for a small part of the third cache */
    MOST_NUMBERS = 4 << 20,  /* for all of it */
    TILE_BLOCK = 128,        /* tiles that are multiplied at a time, for the first */
    MOST_CHANNELS = 48,      /* of a group */
    JOB_PANELS = 2
};

struct weight_plan {
    const struct cpu *cpu;
    const struct wino_kernels *k;
    struct view x, dy;
    int pad, m, points;
    int tiles_h, tiles_w; /* of an image */
    int panels, groups;   /* of input and output channels */
    int group;            /* output channels of a group */
    int pieces;           /* of the panels */
    int batches, batch_tiles;
    size_t x_point, x_panel, y_point, y_group; /* steps in X and Y */
    size_t sum_step;                           /* between output channels in the sums */
    int width;                                 /* pixels of a line */
    size_t x_reals, y_reals, sums, work; /* sums: of all panels, or of a worker; work: of one */

    /* Of the run. */
    struct span rows; /* of tiles, of the batch */
    bool first, last;
    real *in, *out, *kept, *memory, *dw;
};

/* How many numbers X and Y may be in one batch: few, but not fewer than the sums, which each batch
 * reads and writes again. */
static size_t batch_numbers(struct view x, struct view dy, int m)
{
    const size_t inputs =
        (size_t)x.n * ((size_t)x.c * view_plane(x) + (size_t)dy.c * view_plane(dy));
    const size_t sums = (size_t)((m + 2) * (m + 2)) * (size_t)x.c * (size_t)dy.c;
    const size_t few = inputs / 2 < MANY_NUMBERS ? inputs / 2 : MANY_NUMBERS;
    const size_t n = sums > few ? sums : few;

    return n < LEAST_NUMBERS ? LEAST_NUMBERS : n > MOST_NUMBERS ? MOST_NUMBERS : n;
}

static struct weight_plan weight_plan(const struct cpu *cpu, const struct conv_desc *d,
                                      struct view x, struct view dy, int m)
{
    struct weight_plan pl = {.cpu = cpu,
                             .k = &cpu->kernels->wino[m / 2 - 1],
                             .x = x,
                             .dy = dy,
                             .pad = d->pad,
                             .m = m,
                             .points = (m + 2) * (m + 2),
                             .tiles_h = ceil_div(dy.h, m),
                             .tiles_w = ceil_div(dy.w, m),
                             .panels = ceil_div(x.c, PANEL_ROWS),
                             .groups = ceil_div(dy.c, MOST_CHANNELS)};
    pl.group = round_up(ceil_div(dy.c, pl.groups), 8);
    const int rows = pl.tiles_h * dy.n;
    const size_t channels = (size_t)(pl.panels * PANEL_ROWS + pl.groups * pl.group);
    const size_t row = (size_t)(pl.points * pl.tiles_w) * channels;
    const int fit = (int)(batch_numbers(x, dy, m) / row);

    pl.pieces = ceil_div(pl.panels, JOB_PANELS);
    pl.batches = ceil_div(rows, fit > 1 ? fit : 1);
    pl.batch_tiles = ceil_div(rows, pl.batches) * pl.tiles_w;
    pl.x_point = (size_t)pl.batch_tiles * PANEL_ROWS;
    pl.x_panel = (size_t)pl.points * pl.x_point;
    pl.x_reals = (size_t)pl.panels * pl.x_panel;
    pl.y_point = (size_t)(pl.batch_tiles * pl.group);
    pl.y_group = (size_t)pl.points * pl.y_point;
    pl.y_reals = (size_t)pl.groups * pl.y_group;
    pl.sum_step = (size_t)(pl.points + 1) * PANEL_ROWS;
    pl.width = pl.tiles_w * m + 2;
    pl.sums = (size_t)(pl.batches > 1 ? pl.panels * dy.c : JOB_PANELS * pl.group) * pl.sum_step;
    pl.work = (size_t)((m + 2) * pl.width) * 8;
    pl.work = whole_lines(pl.batches == 1 && pl.sums > pl.work ? pl.sums : pl.work);
    return pl;
}

/* A line of 8 channels: pixels from x0 on, 0 outside the picture. */
static void fill_line(const struct weight_plan *pl, struct view v, int image, int channel, int y,
                      int x0, real *line)
{
    const int from = x0 < 0 ? -x0 : 0;
    const int most = v.w - x0, to = most < pl->width ? most : pl->width;
    const real *row[8];

    if (y < 0 || y >= v.h || from >= to) {
        memset(line, 0, (size_t)pl->width * 8 * sizeof *line);
        return;
    }
    for (int i = 0; i < 8; i++) {
        /* Channels that do not exist give sums that nobody reads. */
        const int c = channel + i < v.c ? channel + i : v.c - 1;
        row[i] = view_at(v, image, c) + (size_t)y * (size_t)v.w + (size_t)(x0 + from);
    }
    memset(line, 0, (size_t)from * 8 * sizeof *line);
    pl->cpu->kernels->transpose8((size_t)(to - from), row, 8, line + (size_t)from * 8);
    memset(line + (size_t)to * 8, 0, (size_t)(pl->width - to) * 8 * sizeof *line);
}

/* Rows of tiles of 8 channels from `channel` on, of x or of dy. */
static void transform(const struct weight_plan *pl, int channel, bool grad, real *pixels)
{
    const struct view v = grad ? pl->dy : pl->x;
    const int lines = grad ? pl->m : pl->m + 2, off = grad ? 0 : -pl->pad;
    const size_t tile = grad ? (size_t)pl->group : PANEL_ROWS,
                 point = grad ? pl->y_point : pl->x_point;
    real *out = grad ? pl->out + (size_t)(channel / pl->group) * pl->y_group + channel % pl->group
                     : pl->in + (size_t)(channel / PANEL_ROWS) * pl->x_panel + channel % PANEL_ROWS;

    for (int row = pl->rows.from; row < pl->rows.to; row++) {
        const int y0 = row % pl->tiles_h * pl->m + off;
        for (int i = 0; i < lines; i++) {
            fill_line(pl, v, row / pl->tiles_h, channel, y0 + i, off,
                      pixels + (size_t)(i * pl->width) * 8);
        }
        (grad ? pl->k->tiles_grad : pl->k->tiles)(pl->tiles_w, pixels, pl->width, out, point, tile);
        out += (size_t)pl->tiles_w * tile;
    }
}

static int x_jobs(const struct weight_plan *pl)
{
    return pl->panels * (PANEL_ROWS / 8);
}

static void run_transform(void *ctx, int job, int worker)
{
    const struct weight_plan *pl = ctx;
    real *pixels = pl->memory + (size_t)worker * pl->work;

    if (job < x_jobs(pl)) {
        transform(pl, job * 8, false, pixels);
    } else {
        transform(pl, (job - x_jobs(pl)) * 8, true, pixels);
    }
}

/* Adds the gradient of panel's filters of one output channel. */
static void add_filters(const struct weight_plan *pl, int panel, int channel, const real *sums)
{
    const int c0 = panel * PANEL_ROWS, left = pl->x.c - c0;
    real *dw = pl->dw + ((size_t)channel * (size_t)pl->x.c + (size_t)c0) * 9;
    real g[9 * PANEL_ROWS];

    pl->k->filters_back(sums, g);
    for (int c = 0; c < PANEL_ROWS && c < left; c++) {
        for (int t = 0; t < 9; t++) {
            *dw++ += g[t * PANEL_ROWS + c];
        }
    }
}

/* All tiles of product p: sums of the panels from..to-1 and one group of n output channels. */
static void multiply_point(const struct weight_plan *pl, int p, struct span panels, const real *out,
                           int n, real *sums, size_t panel_sums)
{
    const int tiles = (pl->rows.to - pl->rows.from) * pl->tiles_w;

    for (int t = 0; t < tiles; t += TILE_BLOCK) {
        const int block = tiles - t < TILE_BLOCK ? tiles - t : TILE_BLOCK;
        const real *u = pl->in + (size_t)panels.from * pl->x_panel + (size_t)p * pl->x_point +
                        (size_t)(t * PANEL_ROWS);
        pl->cpu->kernels->multiply(
            &(struct panel_product){.k = block,
                                    .panels = panels.to - panels.from,
                                    .n = n,
                                    .add = t > 0 || !pl->first,
                                    .u = u,
                                    .u_panel = pl->x_panel,
                                    .v = out + (size_t)(t * pl->group),
                                    .ldv = (size_t)pl->group,
                                    .sums = sums + (size_t)(p * PANEL_ROWS),
                                    .sums_panel = panel_sums,
                                    .step = pl->sum_step,
                                    .next = u + (size_t)(block * PANEL_ROWS)});
    }
}

static void run_multiply(void *ctx, int job, int worker)
{
    const struct weight_plan *pl = ctx;
    const struct span panels = span_at(pl->panels, pl->pieces, job / pl->groups);
    const int group = job % pl->groups, o0 = group * pl->group;
    const int n = pl->dy.c - o0 < pl->group ? pl->dy.c - o0 : pl->group;
    const real *out = pl->out + (size_t)group * pl->y_group;
    real *sums = pl->memory + (size_t)worker * pl->work;
    size_t panel_sums = (size_t)pl->group * pl->sum_step;

    if (pl->kept) {
        panel_sums = (size_t)pl->dy.c * pl->sum_step;
        sums = pl->kept + (size_t)panels.from * panel_sums + (size_t)o0 * pl->sum_step;
    }
    for (int p = 0; p < pl->points; p++) {
        multiply_point(pl, p, panels, out + (size_t)p * pl->y_point, n, sums, panel_sums);
    }
    for (int i = 0; pl->last && i < (panels.to - panels.from) * n; i++) {
        const int panel = i / n, o = i % n;
        add_filters(pl, panels.from + panel, o0 + o,
                    sums + (size_t)panel * panel_sums + (size_t)o * pl->sum_step);
    }
}

size_t wino_weight_scratch(const struct cpu *cpu, const struct conv_desc *d, struct view x,
                           struct view dy, int m)
{
    const struct weight_plan pl = weight_plan(cpu, d, x, dy, m);

    return (pl.x_reals + pl.y_reals + (pl.batches > 1 ? pl.sums : 0) +
            (size_t)pool_threads(cpu->pool) * pl.work) *
           sizeof(real);
}

void wino_weight_run(const struct cpu *cpu, const struct conv_desc *d, struct view x,
                     struct view dy, int m, real *dw, void *scratch)
{
    struct weight_plan pl = weight_plan(cpu, d, x, dy, m);

    pl.dw = dw;
    pl.in = scratch;
    pl.out = pl.in + pl.x_reals;
    pl.memory = pl.out + pl.y_reals;
    if (pl.batches > 1) {
        pl.kept = pl.memory;
        pl.memory += pl.sums;
    }
    for (int b = 0; b < pl.batches; b++) {
        pl.rows = span_at(pl.tiles_h * dy.n, pl.batches, b);
        pl.first = b == 0;
        pl.last = b == pl.batches - 1;
        pool_run(cpu->pool, x_jobs(&pl) + ceil_div(dy.c, 8), run_transform, &pl);
        pool_run(cpu->pool, pl.pieces * pl.groups, run_multiply, &pl);
    }
}
