/*
 * conv_choose.c - which algorithm computes a correlation: the one that a model of its time says is
 * fastest. The model knows shapes only, no clock, no number of threads and no other state, so that
 * a network's numbers are the same in each run. What things cost is measured for each instruction
 * set (struct conv_costs, kernel_table.h); what matters is the ratios, which differ little between
 * machines of one kind.
 */
#include "conv.h"

#include "span.h"

/* An algorithm that rounds more must be so much faster, and one of MANY bytes of weights, which are
 * read from memory and kept there, by this. */
#define WORTH 0.93
#define WORTH_OF_MANY 0.87
enum { MANY = 8 << 20 };

struct work {
    double numbers; /* of input and output that are moved */
    double madds, weights;
    double move; /* nanoseconds */
};

/* Nanoseconds. */
static double time_of(const struct conv_costs *costs, const struct work *w)
{
    const double compute = 2 * w->madds / costs->operations + w->numbers * w->move;
    const double fetch = w->weights * sizeof(float) / costs->weight_bytes;

    return compute > fetch ? compute + costs->not_hidden * fetch
                           : fetch + costs->not_hidden * compute;
}

static double product_time(const struct conv_costs *costs, const struct corr *c)
{
    const double in = (double)c->src.c * c->y.n * c->x.n, out = round_up(c->dst.c, PANEL_ROWS);
    const double pixels = (double)c->dst.n * c->grid_h * c->grid_w;
    const struct work w = {.numbers = pixels * in,
                           .madds = pixels * in * out,
                           .weights = in * out,
                           .move = costs->product_move};

    return time_of(costs, &w);
}

static double wino_time(const struct conv_costs *costs, const struct corr *c, int m)
{
    const double in = c->src.c, out = round_up(c->dst.c, PANEL_ROWS);
    const double products = (double)(m + 2) * (m + 2);
    const double tiles = (double)c->dst.n * ceil_div(c->grid_h, m) * ceil_div(c->grid_w, m);
    const struct work w = {.numbers = tiles * products * (in + out),
                           .madds = tiles * products * in * out,
                           .weights = products * in * out,
                           .move = costs->wino_move[m / 2 - 1]};

    return time_of(costs, &w);
}

static enum conv_method fastest(const struct conv_costs *costs, const struct corr *c,
                                enum conv_method most)
{
    enum conv_method best = METHOD_PRODUCT;
    double least = product_time(costs, c);

    for (int i = METHOD_F2; i <= (int)most; i++) {
        const int m = conv_tile((enum conv_method)i);
        const double t = wino_time(costs, c, m);
        if (t < (wino_pack_bytes(c, m) > MANY ? WORTH_OF_MANY : WORTH) * least) {
            least = t;
            best = (enum conv_method)i;
        }
    }
    return best;
}

/* By tiles of the sums' kernel, or by dot products, for which each tap's numbers are copied;
 * filters are moved once at the end. */
static double weight_product_time(const struct cpu_kernels *kernels, struct view x, struct view dy)
{
    const double pixels = (double)dy.n * dy.h * dy.w;
    struct work w = {.move = kernels->costs.product_move};

    if (kernels->dots) {
        w.numbers = pixels * (9 * x.c + dy.c);
        w.madds = pixels * round_up(9 * x.c, DOT_SIDE) * round_up(dy.c, DOT_SIDE);
    } else {
        w.numbers = pixels * (x.c + dy.c);
        w.madds = 9 * pixels * round_up(x.c, TILE_COLS) * round_up(dy.c, TILE_ROWS);
    }
    return time_of(&kernels->costs, &w);
}

static double weight_wino_time(const struct conv_costs *costs, struct view x, struct view dy, int m)
{
    const double in = round_up(x.c, PANEL_ROWS), out = round_up(dy.c, 8);
    const double products = (double)(m + 2) * (m + 2);
    const double tiles = (double)dy.n * ceil_div(dy.h, m) * ceil_div(dy.w, m);
    const struct work w = {.numbers = products * (tiles * (in + out) + in * out),
                           .madds = tiles * products * in * out,
                           .move = costs->wino_move[m / 2 - 1]};

    return time_of(costs, &w);
}

/* F6 only where it is asked for: what it gains is not worth its rounding in training. */
enum conv_method conv_choose_weight(const struct cpu *cpu, const struct conv_desc *d, struct view x,
                                    struct view dy)
{
    const struct conv_costs *costs = &cpu->kernels->costs;
    const bool fits = d->kh == 3 && d->kw == 3 && d->stride == 1 && d->dilation == 1;

    if (d->groups > 1 && x.c == 1 && dy.c == 1) {
        return METHOD_DEPTHWISE;
    }
    if (!fits || d->alg == CONV_EXACT) {
        return METHOD_PRODUCT;
    }
    if (d->alg == CONV_AUTO || d->alg == CONV_AUTO_F4) {
        return weight_wino_time(costs, x, dy, 4) < WORTH * weight_product_time(cpu->kernels, x, dy)
                   ? METHOD_F4
                   : METHOD_PRODUCT;
    }
    return d->alg == CONV_F2 ? METHOD_F2 : d->alg == CONV_F6 ? METHOD_F6 : METHOD_F4;
}

enum conv_method conv_choose(const struct cpu *cpu, const struct conv_desc *d, const struct corr *c)
{
    const struct conv_costs *costs = &cpu->kernels->costs;

    if (d->groups > 1 && c->src.c == 1 && c->dst.c == 1) {
        return METHOD_DEPTHWISE;
    }
    if (!wino_fits(c)) {
        return METHOD_PRODUCT;
    }
    switch (d->alg) {
    case CONV_F2:
        return METHOD_F2;
    case CONV_F4:
        return METHOD_F4;
    case CONV_F6:
        return METHOD_F6;
    case CONV_AUTO:
        return fastest(costs, c, METHOD_F6);
    case CONV_AUTO_F4:
        return fastest(costs, c, METHOD_F4);
    case CONV_EXACT:
        break;
    }
    return METHOD_PRODUCT;
}
