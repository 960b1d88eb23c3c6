/*
 * conv_corr.c - any correlation, as a blocked matrix product (Goto, van de Geijn 2008): panels of
 * 16 output channels of the weights, [k][16], times V [k][pixel], the input of one chunk of pixels
 * shifted by each tap; k counts channels and, in each, taps. V is made channel by channel: the rows
 * that the chunk touches go to a strip with the zeros around the picture written out and, for
 * stride s, in phases (every s-th row and column), so that each tap's numbers are runs in it. The
 * sums of a panel stay in the first cache over all blocks of k, then leave as rows of pixels.
 */
#include "conv.h"

#include "conv_chunks.h"

#include <string.h>

enum {
    K_BLOCK = 192,     /* rows of V that are multiplied at a time, for the first cache */
    LEAST_PIXELS = 24, /* of a chunk */
    FETCH_AHEAD = 4    /* channels */
};

/* What all workers share. */
struct corr_plan {
    const struct cpu *cpu;
    const struct corr *c;
    bool direct; /* V is the image's own numbers */
    int taps, k, k_block;
    int phases_y, phases_x;
    int reach_y, reach_x; /* how many strip rows and columns the taps reach beyond the grid */
    struct chunks chunks; /* of pixels */
    size_t v_row;         /* step in V */
    size_t strip, v, sums, pixels, work; /* numbers of each, and of a worker */

    /* Of the run. */
    const real *u;
    real *shared_v, *memory;
};

/* The memory of one worker. */
struct corr_work {
    real *strip, *sums, *pixels, *v;
};

static int gcd(int a, int b)
{
    while (b != 0) {
        const int r = a % b;
        a = b;
        b = r;
    }
    return a;
}

/* Taps i and i + cycle lie in the same phase. */
static int phase_count(const struct corr_axis *axis, int stride)
{
    const int cycle = stride / gcd(axis->step, stride);

    return axis->n < cycle ? axis->n : cycle;
}

static int reach(const struct corr_axis *axis, int stride)
{
    return (axis->n - 1) * axis->step / stride;
}

bool corr_reads_planes(const struct corr *c)
{
    return c->y.n == 1 && c->x.n == 1 && c->stride == 1 && c->y.first == 0 && c->x.first == 0 &&
           c->grid_h == c->src.h && c->grid_w == c->src.w;
}

/* So many that V stays in the second cache; but few make all weights be read again for little. */
static int chunk_pixels(const struct conv_cut *cut, int k)
{
    const int row = k * (int)sizeof(real), most = cut->v_most / row;
    int pixels = cut->v_bytes / row;

    if (pixels < cut->few_pixels) {
        pixels = most < cut->few_pixels ? most : cut->few_pixels;
    }
    return pixels < LEAST_PIXELS          ? LEAST_PIXELS
           : pixels > cut->product_pixels ? cut->product_pixels
                                          : pixels;
}

/* An odd number of cache lines, so that rows of V spread over all of the cache. */
static size_t odd_lines(size_t reals)
{
    const size_t line = 64 / sizeof(real);

    return (whole_lines(reals) / line | 1) * line;
}

static void plan_sizes(struct corr_plan *pl)
{
    const int rows = pl->chunks.rows_most, cols = pl->chunks.part_cols;
    const size_t phase = (size_t)(rows + pl->reach_y) * (size_t)(cols + pl->reach_x);

    pl->v_row = odd_lines((size_t)(rows * cols + 8));
    pl->v = whole_lines((size_t)pl->k * pl->v_row + 8);
    pl->strip = pl->direct ? 0 : whole_lines((size_t)(pl->phases_y * pl->phases_x) * phase + 16);
    pl->sums = (size_t)(pl->chunks.job_panels * (rows * cols + 8)) * PANEL_ROWS;
    pl->pixels = pl->c->out_step > 1 ? whole_lines((size_t)(rows * cols + 8) * 8) : 0;
    pl->work = pl->strip + pl->sums + pl->pixels + (pl->chunks.shared ? 0 : pl->v);
}

static struct corr_plan corr_plan(const struct cpu *cpu, const struct corr *c)
{
    struct corr_plan pl = {
        .cpu = cpu, .c = c, .direct = corr_reads_planes(c), .taps = c->y.n * c->x.n};

    pl.k = c->src.c * pl.taps;
    pl.k_block = ceil_div(pl.k, ceil_div(pl.k, K_BLOCK));
    pl.phases_y = phase_count(&c->y, c->stride);
    pl.phases_x = phase_count(&c->x, c->stride);
    pl.reach_y = reach(&c->y, c->stride);
    pl.reach_x = reach(&c->x, c->stride);
    const struct conv_cut *cut = &cpu->kernels->cut;
    const struct chunks_limit limit = {.units = chunk_pixels(cut, pl.k),
                                       .panels = cut->product_panels,
                                       .multiple = cut->multiple,
                                       .weights = corr_pack_bytes(c),
                                       .v = (size_t)pl.k * sizeof(real),
                                       .sums = PANEL_ROWS * sizeof(real),
                                       .large_v = (size_t)cut->large_v,
                                       .most_sums = (size_t)cut->most_sums};
    pl.chunks = chunks_plan(pool_threads(cpu->pool), limit, c->dst.n, c->grid_h, c->grid_w,
                            ceil_div(c->dst.c, PANEL_ROWS));
    plan_sizes(&pl);
    return pl;
}

static struct corr_work work_at(const struct corr_plan *pl, int worker)
{
    struct corr_work w;

    w.strip = pl->memory + (size_t)worker * pl->work;
    w.sums = w.strip + pl->strip;
    w.pixels = w.sums + pl->sums;
    w.v = pl->chunks.shared ? pl->shared_v : w.pixels + pl->pixels;
    return w;
}

/* Rows of pixels of one image that lie in a chunk, and the strip that they are made from. */
struct piece {
    int image, row, rows; /* of the image's grid */
    int col, cols;
    int height, width; /* of a phase */
};

static struct piece piece_at(const struct corr_plan *pl, const struct chunk *ch, int row)
{
    const int image = row / pl->chunks.image_rows;
    const int rows = chunk_image_end(&pl->chunks, ch, row) - row;

    return (struct piece){.image = image,
                          .row = row - image * pl->chunks.image_rows,
                          .rows = rows,
                          .col = ch->col,
                          .cols = ch->cols,
                          .height = rows + pl->reach_y,
                          .width = ch->cols + pl->reach_x};
}

/* Rows are filled in order, for each may write zeros into the next one's beginning. */
static void fill_phase(const struct corr_plan *pl, const struct piece *p, const real *plane, int py,
                       int px, real *out)
{
    const struct corr *c = pl->c;
    const int y0 = p->row * c->stride + c->y.first + py * c->y.step % c->stride;
    const int x0 = p->col * c->stride + c->x.first + px * c->x.step % c->stride;
    const struct row_fill f = row_fill(p->width, x0, c->stride, c->src.w);

    for (int r = 0; r < p->height; r++, out += p->width) {
        const int y = y0 + r * c->stride;
        const bool inside = y >= 0 && y < c->src.h;
        pl->cpu->kernels->fill_row(&f, inside ? plane + (size_t)y * (size_t)c->src.w : NULL, out);
    }
}

/* One channel's rows of V, from its first number of the piece on. */
static void load_taps(const struct corr_plan *pl, const struct piece *p, const real *plane,
                      real *strip, real *v)
{
    const struct corr *c = pl->c;
    const size_t phase = (size_t)p->height * (size_t)p->width;

    for (int f = 0; f < pl->phases_y * pl->phases_x; f++) {
        fill_phase(pl, p, plane, f / pl->phases_x, f % pl->phases_x, strip + (size_t)f * phase);
    }
    for (int t = 0; t < pl->taps; t++, v += pl->v_row) {
        const int y = t / c->x.n, x = t % c->x.n;
        const size_t at = (size_t)(y % pl->phases_y * pl->phases_x + x % pl->phases_x) * phase +
                          (size_t)(y * c->y.step / c->stride) * (size_t)p->width +
                          (size_t)(x * c->x.step / c->stride);
        pl->cpu->kernels->join_rows(p->rows, p->cols, strip + at, (size_t)p->width, v);
    }
}

/* The image's own numbers, or what a norm makes of them. soon: from this channel to one whose turn
 * will come, or 0. */
static void load_direct(const struct corr_plan *pl, const struct piece *p, int channel, int soon,
                        real *v)
{
    const struct corr *c = pl->c;
    const struct conv_head *head = c->head;
    const real *plane = view_at(c->src, p->image, channel);
    const size_t ahead = (size_t)soon * view_plane(c->src);
    const struct norm_line line =
        head ? (struct norm_line){head->stats[2 * channel], head->stats[2 * channel + 1],
                                  head->gamma[channel], head->beta[channel], head->act}
             : (struct norm_line){0};
    const bool whole = pl->chunks.parts == 1;
    const int runs = whole ? 1 : p->rows, n = whole ? p->rows * p->cols : p->cols;
    const struct row_fill f = {n, 0, n, p->col, 1};

    for (int r = 0; r < runs; r++, v += n) {
        const real *row = plane + (size_t)(p->row + r) * (size_t)c->src.w;
        fetch(row + ahead + p->col, (size_t)n);
        if (head) {
            pl->cpu->kernels->norm_apply(&line, (size_t)n, row + p->col, v);
        } else {
            pl->cpu->kernels->fill_row(&f, row, v);
        }
    }
}

static void load(const void *of, const struct chunk *ch, struct span channels, int worker)
{
    const struct corr_plan *pl = of;
    const struct corr_work w = work_at(pl, worker);

    /* Pieces in order, as each may write into the next one's beginning. */
    for (int row = ch->row; row < ch->row_end; row = chunk_image_end(&pl->chunks, ch, row)) {
        const struct piece p = piece_at(pl, ch, row);
        real *v = w.v + (size_t)((row - ch->row) * ch->cols);
        for (int c = channels.from; c < channels.to; c++) {
            real *to = v + (size_t)(c * pl->taps) * pl->v_row;
            if (pl->direct) {
                load_direct(pl, &p, c, c + FETCH_AHEAD < channels.to ? FETCH_AHEAD : 0, to);
            } else {
                load_taps(pl, &p, view_at(pl->c->src, p.image, c), w.strip, to);
            }
        }
    }
}

/* Pixels that do not lie side by side in dst. */
static void scatter(const struct corr_plan *pl, const struct piece *p, int channel, int channels,
                    const real *pixels, size_t row)
{
    const struct corr *c = pl->c;

    const size_t first = (size_t)(c->out_x + p->col * c->out_step);
    const ptrdiff_t step = c->out_step;

    for (int m = 0; m < channels; m++, pixels += row) {
        real *plane = view_at(c->dst, p->image, channel + m) + first;
        const real *from = pixels;
        for (int r = 0; r < p->rows; r++, from += p->cols) {
            const int y = c->out_y + (p->row + r) * c->out_step;
            real *to = plane + (size_t)y * (size_t)c->dst.w;
            for (int i = 0; i < p->cols; i++) {
                to[i * step] = from[i] + (c->add ? to[i * step] : 0);
            }
        }
    }
}

/* A piece of 8 channels whose sums are there. */
static void put(const struct corr_plan *pl, const struct piece *p, int channel, const real *sums,
                real *pixels)
{
    const struct corr *c = pl->c;
    const size_t at = (size_t)p->row * (size_t)c->dst.w + (size_t)p->col;
    const int left = c->dst.c - channel;
    struct rows_out o = {.bias = c->bias ? c->bias + channel : NULL,
                         .plus = c->plus.p ? view_at(c->plus, p->image, channel) + at : NULL,
                         .act = c->act,
                         .add = c->add,
                         .rows = left < 8 ? left : 8,
                         .pixel = PANEL_ROWS,
                         .row = view_plane(c->dst)};

    if (c->out_step > 1) {
        o.add = false;
        o.row = (size_t)(p->rows * p->cols);
        pl->cpu->kernels->put_rows(&o, p->rows * p->cols, sums, pixels);
        scatter(pl, p, channel, o.rows, pixels, o.row);
        return;
    }
    const bool whole = pl->chunks.parts == 1;
    const int runs = whole ? 1 : p->rows, n = whole ? p->rows * p->cols : p->cols;
    real *y = view_at(c->dst, p->image, channel) + at;
    for (int r = 0; r < runs; r++, y += c->dst.w, sums += (size_t)n * PANEL_ROWS) {
        pl->cpu->kernels->put_rows(&o, n, sums, y);
        o.plus = o.plus ? o.plus + c->dst.w : NULL;
    }
}

static const real *panel_at(const struct corr_plan *pl, int panel, int k)
{
    return pl->u + ((size_t)panel * (size_t)pl->k + (size_t)k) * PANEL_ROWS;
}

static void multiply(const void *of, const struct chunk *ch, struct span panels, int worker)
{
    const struct corr_plan *pl = of;
    const struct corr_work w = work_at(pl, worker);
    const int units = chunk_units(ch);

    const size_t panel_sums = (size_t)(units + 8) * PANEL_ROWS;
    const int next_panel = panels.to < pl->chunks.panels ? panels.to : 0;

    for (int k = 0; k < pl->k; k += pl->k_block) {
        const int n = pl->k - k < pl->k_block ? pl->k - k : pl->k_block;
        pl->cpu->kernels->multiply(
            &(struct panel_product){.k = n,
                                    .panels = panels.to - panels.from,
                                    .n = units,
                                    .add = k > 0,
                                    .u = panel_at(pl, panels.from, k),
                                    .u_panel = (size_t)pl->k * PANEL_ROWS,
                                    .v = w.v + (size_t)k * pl->v_row,
                                    .ldv = pl->v_row,
                                    .sums = w.sums,
                                    .sums_panel = panel_sums,
                                    .step = PANEL_ROWS,
                                    .next = k + n < pl->k ? panel_at(pl, panels.from, k + n)
                                                          : panel_at(pl, next_panel, 0)});
    }
    for (int i = panels.from; i < panels.to; i++) {
        const real *of_panel = w.sums + (size_t)(i - panels.from) * panel_sums;
        for (int row = ch->row; row < ch->row_end; row = chunk_image_end(&pl->chunks, ch, row)) {
            const struct piece p = piece_at(pl, ch, row);
            const real *sums = of_panel + (size_t)((row - ch->row) * ch->cols) * PANEL_ROWS;
            for (int m = i * PANEL_ROWS; m < (i + 1) * PANEL_ROWS && m < pl->c->dst.c; m += 8) {
                put(pl, &p, m, sums + m % PANEL_ROWS, w.pixels);
            }
        }
    }
}

struct packing {
    const struct corr *c;
    const struct cpu_kernels *kernels;
    int taps;
    bool in_rows; /* k's numbers of an output channel lie side by side */
    real *u;
};

static size_t tap_weight(const struct corr *c, int t)
{
    return (size_t)(c->y.w_first + t / c->x.n * c->y.w_step + c->x.w_first +
                    t % c->x.n * c->x.w_step);
}

/* Output channel i of a panel; those that do not exist are given any numbers, which nobody reads.
 */
static const real *weight_row(const struct corr *c, int panel, int i)
{
    const int m = panel * PANEL_ROWS + i;

    return c->w + (size_t)(m < c->dst.c ? m : c->dst.c - 1) * c->w_row;
}

static void pack_panel(void *ctx, int panel, int worker)
{
    const struct packing *pk = ctx;
    const struct corr *c = pk->c;
    const int k = c->src.c * pk->taps;
    real *u = pk->u + (size_t)panel * (size_t)k * PANEL_ROWS;
    const real *row[PANEL_ROWS];

    (void)worker;
    for (int i = 0; i < PANEL_ROWS; i++) {
        row[i] = weight_row(c, panel, i);
    }
    if (pk->in_rows) {
        pk->kernels->transpose8((size_t)k, row, PANEL_ROWS, u);
        pk->kernels->transpose8((size_t)k, row + 8, PANEL_ROWS, u + 8);
        return;
    }
    /* The data gradients of 1x1. */
    const bool side_by_side = c->w_row == 1 && (panel + 1) * PANEL_ROWS <= c->dst.c;
    for (int j = 0; j < k; j++) {
        const size_t at = (size_t)(j / pk->taps) * c->w_channel + tap_weight(c, j % pk->taps);
        if (side_by_side) {
            memcpy(u, row[0] + at, PANEL_ROWS * sizeof *u);
        }
        for (int i = 0; !side_by_side && i < PANEL_ROWS; i++) {
            u[i] = row[i][at];
        }
        u += PANEL_ROWS;
    }
}

size_t corr_pack_bytes(const struct corr *c)
{
    return cache_lines((size_t)round_up(c->dst.c, PANEL_ROWS) * (size_t)c->src.c *
                       (size_t)(c->y.n * c->x.n) * sizeof(real));
}

void corr_pack(const struct cpu *cpu, const struct corr *c, real *packed)
{
    struct packing pk = {.c = c,
                         .kernels = cpu->kernels,
                         .taps = c->y.n * c->x.n,
                         .in_rows = c->w_channel == (size_t)(c->y.n * c->x.n),
                         .u = packed};

    for (int t = 0; t < pk.taps; t++) {
        pk.in_rows = pk.in_rows && tap_weight(c, t) == (size_t)t;
    }
    pool_run(cpu->pool, ceil_div(c->dst.c, PANEL_ROWS), pack_panel, &pk);
}

size_t corr_scratch(const struct cpu *cpu, const struct corr *c, bool packed)
{
    const struct corr_plan pl = corr_plan(cpu, c);
    const size_t shared = pl.chunks.shared ? pl.v : 0;

    return (packed ? 0 : corr_pack_bytes(c)) +
           (shared + (size_t)pool_threads(cpu->pool) * pl.work) * sizeof(real);
}

void corr_run(const struct cpu *cpu, const struct corr *c, const real *packed, void *scratch)
{
    static const struct chunks_work work = {load, multiply};
    struct corr_plan pl = corr_plan(cpu, c);

    pl.u = packed;
    pl.shared_v = scratch;
    if (!packed) {
        corr_pack(cpu, c, scratch);
        pl.u = scratch;
        pl.shared_v += corr_pack_bytes(c) / sizeof(real);
    }
    pl.memory = pl.shared_v + (pl.chunks.shared ? pl.v : 0);
    chunks_run(cpu, &pl.chunks, &work, c->src.c, &pl);
}
