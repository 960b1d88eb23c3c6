/*
 * conv_corr.c - correlation as a blocked product (product.h) whose right operand, the matrix of
 * shifted images, is never stored: panels of it are packed straight from a strip, which holds the
 * rows that a chunk's positions touch, of the channels of one block of k, with the zeros around the
 * picture written out. For stride s the strip is kept in phases (every s-th row and column), so
 * that neighbouring positions are neighbours in it whatever the tap. A 1x1 correlation packs from
 * the image itself.
 */
#include "conv.h"

#include "product.h"

/* Rows of B in one block of k: so that a panel of it and one of A fit into the first cache. Panels
 * of columns in a chunk: at least (when there are so many), and at most. */
enum { K_BLOCK = 288, SOME_PANELS = 16, MAX_PANELS = 64 };

/* What all workers share. */
struct corr_plan {
    const struct corr *c;
    struct product product;
    bool direct; /* packs from the image itself */
    int n_taps;
    int channels_block; /* of one block of k */
    int images;         /* of one unit: all of them when they are small, else 1 */
    int phases_y, phases_x;
    int reach_y, reach_x; /* how many strip rows and columns the taps reach beyond the grid */
    int chunk_cols;       /* the most columns of a chunk */
    size_t strip_reals;   /* the most numbers of a strip */
};

/*
 * What one worker packs from now: positions of `images` images from image0 on, `rows` rows of the
 * grid from row0 on, its columns from col0 on.
 */
struct strip {
    int image0, images, row0, rows, col0;
    int height, width;   /* of a phase: with what the taps reach */
    size_t channel;      /* numbers between channels */
    real *memory;        /* strip_reals */
    size_t *tap;         /* [n_taps] offsets */
    size_t *out;         /* [columns] offsets in dst, from its first image on */
    size_t *plus;        /* [columns] the same in plus */
    struct lanes *lanes; /* [columns / 8] */
    struct pack_source source;
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
static int phase_cycle(const struct corr_axis *axis, int stride)
{
    return stride / gcd(axis->step, stride);
}

static int phase_count(const struct corr_axis *axis, int stride)
{
    const int cycle = phase_cycle(axis, stride);

    return axis->n < cycle ? axis->n : cycle;
}

static int reach(const struct corr_axis *axis, int stride)
{
    return (axis->n - 1) * axis->step / stride;
}

static bool is_direct(const struct corr *c)
{
    return c->y.n == 1 && c->x.n == 1 && c->stride == 1 && c->y.first == 0 && c->x.first == 0 &&
           c->grid_h == c->src.h && c->grid_w == c->src.w;
}

static int channels_block(int channels, int taps)
{
    const int most = K_BLOCK / taps > 1 ? K_BLOCK / taps : 1;

    return ceil_div(channels, ceil_div(channels, most));
}

/* The largest strip that a chunk of so many columns can need. */
static size_t strip_reals(const struct corr_plan *pl)
{
    const struct corr *c = pl->c;
    const int plane = c->grid_h * c->grid_w, cols = pl->chunk_cols;
    const int most = (cols - 2 + plane) / plane + 1;
    const int images = most < pl->images ? most : pl->images;
    const int touched = (cols - 2 + c->grid_w) / c->grid_w + 1;
    const int rows = images > 1 || touched > c->grid_h ? c->grid_h : touched;
    const size_t phase = (size_t)(rows + pl->reach_y) * (size_t)(c->grid_w + pl->reach_x);

    if (pl->direct) {
        return 0;
    }
    return (size_t)pl->channels_block * (size_t)images * (size_t)(pl->phases_y * pl->phases_x) *
               phase +
           2 * PACK_MARGIN;
}

static void plan_strip(struct corr_plan *pl)
{
    struct product *p = &pl->product;

    pl->chunk_cols = p->cols_chunk * TILE_COLS;
    pl->strip_reals = strip_reals(pl);
    p->source_bytes = cache_lines(sizeof(struct strip)) +
                      cache_lines(pl->strip_reals * sizeof(real)) +
                      cache_lines((size_t)pl->n_taps * sizeof(size_t)) +
                      2 * cache_lines((size_t)pl->chunk_cols * sizeof(size_t)) +
                      cache_lines((size_t)pl->chunk_cols / 8 * sizeof(struct lanes));
}

/* Chunks of wide pictures hold some rows of them, for neighbours share the strip's rows. */
static int max_panels(const struct corr *c)
{
    const int some_rows = ceil_div(4 * c->grid_w, TILE_COLS);

    return some_rows < SOME_PANELS ? SOME_PANELS : some_rows > MAX_PANELS ? MAX_PANELS : some_rows;
}

static struct corr_plan corr_plan(const struct cpu *cpu, const struct corr *c)
{
    const int plane = c->grid_h * c->grid_w;
    struct corr_plan pl = {.c = c, .direct = is_direct(c), .n_taps = c->y.n * c->x.n};
    struct product *p = &pl.product;

    pl.channels_block = channels_block(c->src.c, pl.n_taps);
    pl.images = plane < SOME_PANELS * TILE_COLS ? c->dst.n : 1;
    pl.phases_y = phase_count(&c->y, c->stride);
    pl.phases_x = phase_count(&c->x, c->stride);
    pl.reach_y = reach(&c->y, c->stride);
    pl.reach_x = reach(&c->x, c->stride);
    *p = (struct product){.cpu = cpu,
                          .m = c->dst.c,
                          .units = c->dst.n / pl.images,
                          .unit_cols = pl.images * plane,
                          .k = c->src.c * pl.n_taps,
                          .k_block = pl.channels_block * pl.n_taps};
    product_plan(p, max_panels(c));
    plan_strip(&pl);
    p->work_bytes += p->source_bytes;
    return pl;
}

/* The strip and its arrays, in the worker's memory. */
static struct strip *strip_at(const struct corr_plan *pl, const struct product_work *w)
{
    char *at = w->source;
    struct strip *s = w->source;

    at += cache_lines(sizeof *s);
    s->memory = (real *)(void *)at;
    at += cache_lines(pl->strip_reals * sizeof(real));
    s->tap = (size_t *)(void *)at;
    at += cache_lines((size_t)pl->n_taps * sizeof(size_t));
    s->out = (size_t *)(void *)at;
    at += cache_lines((size_t)pl->chunk_cols * sizeof(size_t));
    s->plus = (size_t *)(void *)at;
    at += cache_lines((size_t)pl->chunk_cols * sizeof(size_t));
    s->lanes = (struct lanes *)(void *)at;
    return s;
}

/* Which part of the grid the columns of w cover. */
static void strip_window(const struct corr_plan *pl, const struct product_work *w, struct strip *s)
{
    const struct corr *c = pl->c;
    const int plane = c->grid_h * c->grid_w, last = w->first + w->cols - 1;
    int cols = c->grid_w;

    s->image0 = w->first / plane;
    s->images = last / plane - s->image0 + 1;
    s->row0 = s->col0 = 0;
    s->rows = c->grid_h;
    if (s->images == 1) {
        s->row0 = w->first % plane / c->grid_w;
        s->rows = last % plane / c->grid_w - s->row0 + 1;
    }
    if (s->images == 1 && s->rows == 1) {
        s->col0 = w->first % c->grid_w;
        cols = w->cols;
    }
    s->height = s->rows + pl->reach_y;
    s->width = cols + pl->reach_x;
    s->channel = (size_t)s->images * (size_t)(pl->phases_y * pl->phases_x) * (size_t)s->height *
                 (size_t)s->width;
}

static void strip_taps(const struct corr_plan *pl, struct strip *s)
{
    const struct corr *c = pl->c;
    const size_t phase = (size_t)s->height * (size_t)s->width;

    for (int p = 0; p < c->y.n; p++) {
        for (int q = 0; q < c->x.n; q++) {
            const int at = p % pl->phases_y * pl->phases_x + q % pl->phases_x;
            s->tap[p * c->x.n + q] = (size_t)at * phase +
                                     (size_t)(p * c->y.step / c->stride) * (size_t)s->width +
                                     (size_t)(q * c->x.step / c->stride);
        }
    }
}

/* Where column `col` of the unit lies in v, which is as large as dst. */
static size_t column_out(const struct corr *c, struct view v, int col)
{
    const int plane = c->grid_h * c->grid_w;
    const int image = col / plane, i = col % plane / c->grid_w, j = col % c->grid_w;

    return (size_t)image * (size_t)v.rc * view_plane(v) +
           (size_t)(c->out_y + i * c->out_step) * (size_t)v.w +
           (size_t)(c->out_x + j * c->out_step);
}

/* The same in the strip, or in the image itself. */
static size_t column_in(const struct corr_plan *pl, const struct strip *s, int col)
{
    const struct corr *c = pl->c;
    const int plane = c->grid_h * c->grid_w;
    const int image = col / plane, i = col % plane / c->grid_w, j = col % c->grid_w;

    if (pl->direct) {
        return (size_t)image * (size_t)c->src.rc * view_plane(c->src) + (size_t)(col % plane);
    }
    return ((size_t)(image - s->image0) * (size_t)(pl->phases_y * pl->phases_x) *
                (size_t)s->height +
            (size_t)(i - s->row0)) *
               (size_t)s->width +
           (size_t)(j - s->col0);
}

/* Says in which way 8 offsets can be read. */
static void classify(struct lanes *l, int valid, bool direct)
{
    int jumps = 0;

    l->split = 8;
    for (int i = 1; i < 8; i++) {
        if (l->off[i] != l->off[i - 1] + 1) {
            jumps++;
            l->split = i;
        }
    }
    /* Reading beyond a run is allowed in a strip only, not in an image. */
    l->kind = LANES_ANY;
    if (jumps == 0) {
        l->kind = LANES_RUN;
    } else if (jumps == 1 && valid == 8 && !direct) {
        l->kind = LANES_TWO_RUNS;
    }
}

static void strip_lanes(const struct corr_plan *pl, const struct product_work *w, struct strip *s)
{
    const int groups = ceil_div(w->cols, TILE_COLS) * (TILE_COLS / 8);

    for (int g = 0; g < groups; g++) {
        const int valid = w->cols - g * 8;
        for (int i = 0; i < 8; i++) {
            const int col = g * 8 + i, at = w->first + (col < w->cols ? col : 0);
            s->lanes[g].off[i] = column_in(pl, s, at);
            s->out[col] = column_out(pl->c, pl->c->dst, at);
            s->plus[col] = column_out(pl->c, pl->c->plus, at);
        }
        classify(&s->lanes[g], valid, pl->direct);
    }
}

static void corr_open(const struct product *p, struct product_work *w)
{
    const struct corr_plan *pl = p->of;
    struct strip *s = strip_at(pl, w);

    strip_window(pl, w, s);
    if (pl->direct) {
        s->tap[0] = 0;
        s->channel = view_plane(pl->c->src);
    } else {
        strip_taps(pl, s);
    }
    strip_lanes(pl, w, s);
    s->source = (struct pack_source){.channel = s->channel, .n_taps = pl->n_taps, .tap = s->tap};
}

/* out[i] = row[x0 + i*stride], 0 outside the row of `width`. */
static struct row_fill row_fill(int n, int x0, int stride, int width)
{
    struct row_fill f = {.n = n, .stride = stride};
    const int to = x0 < width ? ceil_div(width - x0, stride) : 0;

    f.from = x0 < 0 ? ceil_div(-x0, stride) : 0;
    f.to = to > n ? n : to;
    f.first = x0 + f.from * stride;
    return f;
}

/* One phase of one channel of one image. Rows are filled in order, for each may write zeros into
 * the next one's beginning. */
static void fill_phase(const struct corr_plan *pl, const struct strip *s, const real *plane, int py,
                       int px, real *out)
{
    const struct corr *c = pl->c;
    const int y0 = s->row0 * c->stride + c->y.first + py * c->y.step % c->stride;
    const int x0 = s->col0 * c->stride + c->x.first + px * c->x.step % c->stride;
    const struct row_fill f = row_fill(s->width, x0, c->stride, c->src.w);

    for (int r = 0; r < s->height; r++, out += s->width) {
        const int y = y0 + r * c->stride;
        const bool inside = y >= 0 && y < c->src.h;
        pl->product.cpu->kernels->fill_row(&f, inside ? plane + (size_t)y * (size_t)c->src.w : NULL,
                                           out);
    }
}

static void fill_strip(const struct corr_plan *pl, const struct product_work *w, struct strip *s,
                       int channel)
{
    const size_t phase = (size_t)s->height * (size_t)s->width;
    real *out = s->memory + PACK_MARGIN;

    for (int c = channel; c < channel + s->source.n_channels; c++) {
        for (int i = 0; i < s->images; i++) {
            const real *plane = view_at(pl->c->src, w->unit * pl->images + s->image0 + i, c);
            for (int f = 0; f < pl->phases_y * pl->phases_x; f++, out += phase) {
                fill_phase(pl, s, plane, f / pl->phases_x, f % pl->phases_x, out);
            }
        }
    }
}

static void corr_load(const struct product *p, struct product_work *w, int block)
{
    const struct corr_plan *pl = p->of;
    struct strip *s = w->source;
    const int channel = block * pl->channels_block, left = pl->c->src.c - channel;

    s->source.n_channels = left < pl->channels_block ? left : pl->channels_block;
    if (pl->direct) {
        s->source.p = view_at(pl->c->src, w->unit * pl->images, channel);
    } else {
        s->source.p = s->memory + PACK_MARGIN;
        fill_strip(pl, w, s, channel);
    }
}

static void corr_pack(const struct product *p, struct product_work *w, int block, int panel)
{
    const struct strip *s = w->source;

    (void)block;
    p->cpu->kernels->pack_panel(&s->source, s->lanes + panel * (TILE_COLS / 8), w->panel);
}

/* A tile whose columns do not lie side by side in dst. */
static void scatter(const struct tile_out *o, const struct cpu_kernels *k, const size_t *out,
                    int cols, real *tile, real *dst)
{
    real done[TILE_SIZE];
    struct tile_out dense = *o;

    dense.row = TILE_COLS;
    dense.add = false;
    k->finish(&dense, tile, done);
    for (int r = 0; r < o->rows; r++) {
        for (int l = 0; l < cols; l++) {
            real *y = dst + (size_t)r * o->row + out[l];
            *y = done[r * TILE_COLS + l] + (o->add ? *y : 0);
        }
    }
}

static void add_plus(const struct tile_out *o, const size_t *at, int cols, const real *plus,
                     real *tile)
{
    for (int r = 0; r < o->rows; r++) {
        for (int l = 0; l < cols; l++) {
            tile[r * TILE_COLS + l] += plus[(size_t)r * o->row + at[l]];
        }
    }
}

static void corr_finish(const struct product *p, struct product_work *w, int row_panel, int panel,
                        real *tile)
{
    const struct corr_plan *pl = p->of;
    const struct corr *c = pl->c;
    const struct strip *s = w->source;
    const size_t *out = s->out + panel * TILE_COLS;
    const int m = row_panel * TILE_ROWS, rows = c->dst.c - m;
    const int left = w->cols - panel * TILE_COLS, cols = left < TILE_COLS ? left : TILE_COLS;
    real *dst = view_at(c->dst, w->unit * pl->images, m);
    const struct tile_out o = {.bias = c->bias ? c->bias + m : NULL,
                               .act = c->act,
                               .add = c->add,
                               .rows = rows < TILE_ROWS ? rows : TILE_ROWS,
                               .row = view_plane(c->dst)};

    if (c->plus.p) {
        add_plus(&o, s->plus + panel * TILE_COLS, cols, view_at(c->plus, w->unit * pl->images, m),
                 tile);
    }
    if (cols == TILE_COLS && out[TILE_COLS - 1] - out[0] == TILE_COLS - 1) {
        p->cpu->kernels->finish(&o, tile, dst + out[0]);
    } else {
        scatter(&o, p->cpu->kernels, out, cols, tile, dst);
    }
}

static const struct product_source corr_source = {corr_open, corr_load, corr_pack, corr_finish};

size_t corr_scratch(const struct cpu *cpu, const struct corr *c)
{
    const struct corr_plan pl = corr_plan(cpu, c);

    return product_left_bytes(&pl.product) + cache_lines((size_t)pl.n_taps * sizeof(size_t)) +
           (size_t)pool_threads(cpu->pool) * pl.product.work_bytes;
}

void corr_run(const struct cpu *cpu, const struct corr *c, void *scratch)
{
    struct corr_plan pl = corr_plan(cpu, c);
    char *at = scratch;
    size_t *tap = scratch;

    at += cache_lines((size_t)pl.n_taps * sizeof(size_t));
    for (int t = 0; t < pl.n_taps; t++) {
        tap[t] = (size_t)(c->y.w_first + t / c->x.n * c->y.w_step + c->x.w_first +
                          t % c->x.n * c->x.w_step);
    }
    const struct product_left left = {c->w, c->w_row, c->w_channel, pl.n_taps, tap};
    pl.product.source = &corr_source;
    pl.product.of = &pl;
    product_pack(&pl.product, &left, (real *)(void *)at);
    at += product_left_bytes(&pl.product);
    product_run(&pl.product, at);
}
