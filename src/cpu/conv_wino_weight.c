/*
 * conv_wino_weight.c - the weight gradient of 3x3 convolutions with stride 1 by Winograd's tiles,
 * the transpose of the forward pass (kernel_wino.h): dw = G^T [sum over tiles of (B^T x B) . (A dy
 * A^T)] G for each pair of channels.
 *
 * Tiles are counted over all images, and cut into batches of whole rows of tiles. Of a batch, x is
 * transformed to X [panel of 16 input channels][product][tile][16], dy to Y [group of output
 * channels][product][tile][channel]; then each of the (m+2)^2 products is a matrix product over the
 * tiles. A job owns the sums of some panels and one group, [panel][output channel][product][16];
 * they wait for the next batch in memory of their own where there is more than one. Where all sums
 * are few, as there are few channels and so few jobs, the batches are dealt to parts instead: a
 * part has sums of its own, one worker does all of it, and X and Y stay in its second cache.
 * Batches, parts and blocks of tiles are added in their order, and none of it depends on the number
 * of threads.
 */
#include "conv.h"

#include "span.h"

#include <string.h>

enum {
    LEAST_NUMBERS = 1 << 18, /* of a batch's X and Y */
    MANY_NUMBERS = 1 << 20,  /* for a small part of the third cache */
    MOST_NUMBERS = 4 << 20,  /* for all of it */
    NEAR_NUMBERS = 1 << 18,  /* for the second cache of processors with wide vectors */
    FEW_NUMBERS = 1 << 17,   /* of others */
    PARTS = 8,
    FEW_PARTS = 4,
    PART_SUMS = 5 << 19,      /* numbers, of all parts */
    TILE_BLOCK = 128,         /* tiles that are multiplied at a time, for the first */
    STRIP_NUMBERS = 36 << 10, /* of lines that are transformed from, for the second */
    MOST_CHANNELS = 48,       /* of a group */
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
    int parts; /* with sums of their own; 1: the threads share each batch */
    size_t x_point, x_panel, y_point, y_group; /* steps in X and Y */
    size_t sum_step;                           /* between output channels in the sums */
    int width;                                 /* pixels of a line */
    int strip;                                 /* rows of tiles whose lines are filled at once */
    size_t x_reals, y_reals, sums, work;       /* sums: of all panels; work: of a worker */

    /* Of the run. */
    struct span rows; /* of tiles, of the batch */
    bool first, last;
    real *in, *out, *kept, *memory, *dw;
};

/* How many numbers X and Y may be in one batch: few, but not fewer than the sums, which each batch
 * reads and writes again. */
static size_t batch_numbers(const struct weight_plan *pl)
{
    const struct view x = pl->x, dy = pl->dy;
    const bool wide = pl->k->lanes == PANEL_ROWS;
    const size_t inputs =
        (size_t)x.n * ((size_t)x.c * view_plane(x) + (size_t)dy.c * view_plane(dy));
    const size_t sums = (size_t)(pl->points * x.c) * (size_t)dy.c;
    const size_t many = wide ? NEAR_NUMBERS : MANY_NUMBERS;
    const size_t few = inputs / 2 < many ? inputs / 2 : many;
    const size_t n = sums > few ? sums : few;

    if (pl->parts > 1) {
        const size_t near = wide ? NEAR_NUMBERS : FEW_NUMBERS;
        return sums > near ? sums : near;
    }
    return n < LEAST_NUMBERS ? LEAST_NUMBERS : n > MOST_NUMBERS ? MOST_NUMBERS : n;
}

/* Batches, and parts of them where their sums are few. */
static void plan_batches(struct weight_plan *pl)
{
    const int rows = pl->tiles_h * pl->dy.n;
    const size_t channels = (size_t)(pl->panels * PANEL_ROWS + pl->groups * pl->group);
    const size_t row = (size_t)(pl->points * pl->tiles_w) * channels;

    pl->sums = (size_t)(pl->panels * pl->dy.c) * pl->sum_step;
    pl->parts = PARTS * pl->sums <= PART_SUMS / 2   ? PARTS
                : FEW_PARTS * pl->sums <= PART_SUMS ? FEW_PARTS
                                                    : 1;
    pl->parts = rows < pl->parts ? 1 : pl->parts;
    const int fit = (int)(batch_numbers(pl) / row);
    pl->batches = ceil_div(rows, fit > 1 ? fit : 1);
    pl->batches = pl->batches > pl->parts ? pl->batches : pl->parts;
    pl->batch_tiles = ceil_div(rows, pl->batches) * pl->tiles_w;
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
    pl.group = round_up(ceil_div(dy.c, pl.groups), pl.k->lanes);
    pl.pieces = ceil_div(pl.panels, JOB_PANELS);
    pl.sum_step = (size_t)(pl.points + 1) * PANEL_ROWS;
    plan_batches(&pl);
    /* An odd number of lines, so that a tile's products do not meet in one place of the caches. */
    pl.x_point = (size_t)(pl.batch_tiles | 1) * PANEL_ROWS;
    pl.x_panel = (size_t)pl.points * pl.x_point;
    pl.x_reals = (size_t)pl.panels * pl.x_panel;
    pl.y_point = (size_t)(pl.batch_tiles * pl.group) + PANEL_ROWS;
    pl.y_group = (size_t)pl.points * pl.y_point;
    pl.y_reals = (size_t)pl.groups * pl.y_group;
    pl.width = pl.tiles_w * m + 2;
    pl.strip = (STRIP_NUMBERS / (pl.width * pl.k->lanes) - 2) / m;
    pl.strip = pl.strip < 1 ? 1 : pl.strip > pl.tiles_h ? pl.tiles_h : pl.strip;
    pl.work = whole_lines((size_t)((pl.strip * m + 2) * pl.width * pl.k->lanes));
    if (pl.parts > 1) {
        pl.work += pl.x_reals + pl.y_reals;
    } else if (pl.batches == 1) {
        const size_t own = whole_lines((size_t)(JOB_PANELS * pl.group) * pl.sum_step);
        pl.work = own > pl.work ? own : pl.work;
    }
    return pl;
}

/* Lines of k->lanes channels of an image. */
struct lines {
    struct view v;
    int image, channel;
    int y, n, x0; /* lines y..y+n-1, pixels from x0 on */
};

static const real *line_at(const struct lines *l, int image, int lane, int y)
{
    /* Channels that do not exist give sums that nobody reads. */
    const int c = l->channel + lane < l->v.c ? l->channel + lane : l->v.c - 1;

    return view_at(l->v, image, c) + (size_t)y * (size_t)l->v.w;
}

/* The lines as they lie below these, or in the next image, will be wanted then. */
static void fetch_next(const struct weight_plan *pl, const struct lines *l, int y)
{
    const bool below = y + l->n < l->v.h;

    for (int i = 0; i < pl->k->lanes && (below || l->image + 1 < l->v.n); i++) {
        fetch(line_at(l, below ? l->image : l->image + 1, i, below ? y + l->n : y), (size_t)l->v.w);
    }
}

/* Line y, with zeros outside the picture. */
static void fill_line(const struct weight_plan *pl, const struct lines *l, int y, real *line)
{
    const size_t lanes = (size_t)pl->k->lanes;
    const int from = l->x0 < 0 ? -l->x0 : 0;
    const int most = l->v.w - l->x0, to = most < pl->width ? most : pl->width;
    const real *row[PANEL_ROWS];

    if (y < 0 || y >= l->v.h || from >= to) {
        memset(line, 0, (size_t)pl->width * lanes * sizeof *line);
        return;
    }
    fetch_next(pl, l, y);
    for (int i = 0; i < pl->k->lanes; i++) {
        row[i] = line_at(l, l->image, i, y) + l->x0 + from;
    }
    memset(line, 0, (size_t)from * lanes * sizeof *line);
    for (size_t i = 0; i < lanes; i += 8) {
        pl->cpu->kernels->transpose8((size_t)(to - from), row + i, lanes,
                                     line + (size_t)from * lanes + i);
    }
    memset(line + (size_t)to * lanes, 0, (size_t)(pl->width - to) * lanes * sizeof *line);
}

/* Rows of tiles of k->lanes channels from `channel` on, of x or of dy. */
static void transform(const struct weight_plan *pl, int channel, bool grad, real *pixels)
{
    const size_t tile = grad ? (size_t)pl->group : PANEL_ROWS,
                 point = grad ? pl->y_point : pl->x_point;
    const size_t line = (size_t)(pl->width * pl->k->lanes);
    const int off = grad ? 0 : -pl->pad, beyond = grad ? 0 : 2;
    struct lines l = {.v = grad ? pl->dy : pl->x, .channel = channel, .x0 = off};
    real *out = grad ? pl->out + (size_t)(channel / pl->group) * pl->y_group + channel % pl->group
                     : pl->in + (size_t)(channel / PANEL_ROWS) * pl->x_panel + channel % PANEL_ROWS;

    for (int row = pl->rows.from, rows; row < pl->rows.to; row += rows) {
        const int first = row % pl->tiles_h;
        const int left = pl->rows.to - row, image_left = pl->tiles_h - first;
        rows = left < image_left ? left : image_left;
        rows = rows < pl->strip ? rows : pl->strip;
        l.image = row / pl->tiles_h;
        l.y = first * pl->m + off;
        l.n = rows * pl->m;
        for (int i = 0; i < l.n + beyond; i++) {
            fill_line(pl, &l, l.y + i, pixels + (size_t)i * line);
        }
        for (int i = 0; i < rows; i++, out += (size_t)pl->tiles_w * tile) {
            (grad ? pl->k->tiles_grad : pl->k->tiles)(
                pl->tiles_w, pixels + (size_t)(i * pl->m) * line, pl->width, out, point, tile);
        }
    }
}

static int x_jobs(const struct weight_plan *pl)
{
    return pl->panels * (PANEL_ROWS / pl->k->lanes);
}

static void run_transform(void *ctx, int job, int worker)
{
    const struct weight_plan *pl = ctx;
    real *pixels = pl->memory + (size_t)worker * pl->work;

    if (job < x_jobs(pl)) {
        transform(pl, job * pl->k->lanes, false, pixels);
    } else {
        transform(pl, (job - x_jobs(pl)) * pl->k->lanes, true, pixels);
    }
}

/* Adds the gradient of panel's filters of one output channel. */
static void add_filters(const struct weight_plan *pl, int panel, int channel, const real *sums)
{
    const int c0 = panel * PANEL_ROWS, left = pl->x.c - c0;
    real *dw = pl->dw + ((size_t)channel * (size_t)pl->x.c + (size_t)c0) * 9;
    real g[9 * PANEL_ROWS], turned[9 * PANEL_ROWS];
    const real *tap[8];

    pl->k->filters_back(sums, g);
    for (int t = 0; t < 8; t++) {
        tap[t] = g + t * PANEL_ROWS;
    }
    pl->cpu->kernels->transpose8(PANEL_ROWS, tap, 9, turned);
    for (int c = 0; c < PANEL_ROWS; c++) {
        turned[c * 9 + 8] = g[8 * PANEL_ROWS + c];
    }
    pl->cpu->kernels->add(ACT_LINEAR, (size_t)(9 * (left < PANEL_ROWS ? left : PANEL_ROWS)), dw,
                          turned, dw);
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

/* What all workers share: X and Y, and the sums that wait. */
static size_t shared_reals(const struct weight_plan *pl)
{
    return pl->parts > 1     ? (size_t)pl->parts * pl->sums
           : pl->batches > 1 ? pl->x_reals + pl->y_reals + pl->sums
                             : pl->x_reals + pl->y_reals;
}

size_t wino_weight_scratch(const struct cpu *cpu, const struct conv_desc *d, struct view x,
                           struct view dy, int m)
{
    const struct weight_plan pl = weight_plan(cpu, d, x, dy, m);

    return (shared_reals(&pl) + (size_t)pool_threads(cpu->pool) * pl.work) * sizeof(real);
}

static int transforms(const struct weight_plan *pl)
{
    return x_jobs(pl) + ceil_div(pl->dy.c, pl->k->lanes);
}

/* Batches of a part, by one worker with X and Y of its own. */
static void run_part(void *ctx, int part, int worker)
{
    struct weight_plan pl = *(const struct weight_plan *)ctx;
    const struct span batches = span_at(pl.batches, pl.parts, part);

    pl.in = pl.memory + (size_t)worker * pl.work;
    pl.out = pl.in + pl.x_reals;
    pl.memory = pl.out + pl.y_reals;
    pl.kept += (size_t)part * pl.sums;
    for (int b = batches.from; b < batches.to; b++) {
        pl.rows = span_at(pl.tiles_h * pl.dy.n, pl.batches, b);
        pl.first = b == batches.from;
        for (int job = 0; job < transforms(&pl); job++) {
            run_transform(&pl, job, 0);
        }
        for (int job = 0; job < pl.pieces * pl.groups; job++) {
            run_multiply(&pl, job, 0);
        }
    }
}

/* The sums of all parts, of one panel. */
static void join_parts(void *ctx, int panel, int worker)
{
    const struct weight_plan *pl = ctx;

    (void)worker;
    for (int o = 0; o < pl->dy.c; o++) {
        real *sums = pl->kept + (size_t)(panel * pl->dy.c + o) * pl->sum_step;
        for (int part = 1; part < pl->parts; part++) {
            pl->cpu->kernels->add(ACT_LINEAR, (size_t)(pl->points * PANEL_ROWS), sums,
                                  sums + (size_t)part * pl->sums, sums);
        }
        add_filters(pl, panel, o, sums);
    }
}

static void share_batches(struct weight_plan *pl, struct pool *pool)
{
    for (int b = 0; b < pl->batches; b++) {
        pl->rows = span_at(pl->tiles_h * pl->dy.n, pl->batches, b);
        pl->first = b == 0;
        pl->last = b == pl->batches - 1;
        pool_run(pool, transforms(pl), run_transform, pl);
        pool_run(pool, pl->pieces * pl->groups, run_multiply, pl);
    }
}

void wino_weight_run(const struct cpu *cpu, const struct conv_desc *d, struct view x,
                     struct view dy, int m, real *dw, void *scratch)
{
    struct weight_plan pl = weight_plan(cpu, d, x, dy, m);

    pl.dw = dw;
    pl.memory = (real *)scratch + shared_reals(&pl);
    if (pl.parts > 1) {
        pl.kept = scratch;
        pool_run(cpu->pool, pl.parts, run_part, &pl);
        pool_run(cpu->pool, pl.panels, join_parts, &pl);
        return;
    }
    pl.in = scratch;
    pl.out = pl.in + pl.x_reals;
    pl.kept = pl.batches > 1 ? pl.out + pl.y_reals : NULL;
    share_batches(&pl, cpu->pool);
}
