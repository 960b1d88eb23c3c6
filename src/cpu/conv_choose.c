/*
 * conv_choose.c - which algorithm computes a correlation: the one that a model of its time says is
 * fastest. The model knows shapes only, no clock, no number of threads and no other state, so that
 * a network's numbers are the same in each run. Its constants were measured on one core of an AMD
 * Zen 3 with AVX2 (`make bench-kernels`); what matters is their ratios, which differ little between
 * machines that have several multiplications for each load from memory.
 */
#include "conv.h"

#include "span.h"

/* Billions of each in a second: operations of the panel kernel, bytes of weights from memory. */
#define OPERATIONS 92.0
#define WEIGHT_BYTES 14.0

/* Part of the shorter of the two, computing and fetching weights, that the longer does not hide. */
#define NOT_HIDDEN 0.4

/* Nanoseconds to bring a number of V, or of the sums, to its place; for F2, F4, F6. */
#define PRODUCT_MOVE 0.35
static const double wino_move[] = {0.40, 0.45, 0.50};

/* An algorithm that rounds more must be so much faster. */
#define WORTH 0.93

struct work {
    double numbers; /* of input and output that are moved */
    double madds, weights;
    double move; /* nanoseconds */
};

/* Nanoseconds. */
static double time_of(const struct work *w)
{
    const double compute = 2 * w->madds / OPERATIONS + w->numbers * w->move;
    const double fetch = w->weights * sizeof(float) / WEIGHT_BYTES;

    return compute > fetch ? compute + NOT_HIDDEN * fetch : fetch + NOT_HIDDEN * compute;
}

static double product_time(const struct corr *c)
{
    const double in = (double)c->src.c * c->y.n * c->x.n, out = round_up(c->dst.c, PANEL_ROWS);
    const double pixels = (double)c->dst.n * c->grid_h * c->grid_w;
    const struct work w = {.numbers = pixels * in,
                           .madds = pixels * in * out,
                           .weights = in * out,
                           .move = PRODUCT_MOVE};

    return time_of(&w);
}

static double wino_time(const struct corr *c, int m)
{
    const double in = c->src.c, out = round_up(c->dst.c, PANEL_ROWS);
    const double products = (double)(m + 2) * (m + 2);
    const double tiles = (double)c->dst.n * ceil_div(c->grid_h, m) * ceil_div(c->grid_w, m);
    const struct work w = {.numbers = tiles * products * (in + out),
                           .madds = tiles * products * in * out,
                           .weights = products * in * out,
                           .move = wino_move[m / 2 - 1]};

    return time_of(&w);
}

static enum conv_method fastest(const struct corr *c, enum conv_method most)
{
    enum conv_method best = METHOD_PRODUCT;
    double least = product_time(c);

    for (int i = METHOD_F2; i <= (int)most; i++) {
        const double t = wino_time(c, conv_tile((enum conv_method)i));
        if (t < WORTH * least) {
            least = t;
            best = (enum conv_method)i;
        }
    }
    return best;
}

/* By tiles of the sums' kernel; filters are moved once at the end. */
static double weight_product_time(struct view x, struct view dy)
{
    const double pixels = (double)dy.n * dy.h * dy.w;
    const double pairs = (double)round_up(x.c, TILE_COLS) * round_up(dy.c, TILE_ROWS);
    const struct work w = {
        .numbers = pixels * (x.c + dy.c), .madds = 9 * pixels * pairs, .move = PRODUCT_MOVE};

    return time_of(&w);
}

static double weight_wino_time(struct view x, struct view dy, int m)
{
    const double in = round_up(x.c, PANEL_ROWS), out = round_up(dy.c, 8);
    const double products = (double)(m + 2) * (m + 2);
    const double tiles = (double)dy.n * ceil_div(dy.h, m) * ceil_div(dy.w, m);
    const struct work w = {.numbers = products * (tiles * (in + out) + in * out),
                           .madds = tiles * products * in * out,
                           .move = wino_move[m / 2 - 1]};

    return time_of(&w);
}

/* F6 only where it is asked for: what it gains is not worth its rounding in training. */
enum conv_method conv_choose_weight(const struct conv_desc *d, struct view x, struct view dy)
{
    const bool fits = d->kh == 3 && d->kw == 3 && d->stride == 1 && d->dilation == 1;

    if (d->groups > 1 && x.c == 1 && dy.c == 1) {
        return METHOD_DEPTHWISE;
    }
    if (!fits || d->alg == CONV_EXACT) {
        return METHOD_PRODUCT;
    }
    if (d->alg == CONV_AUTO || d->alg == CONV_AUTO_F4) {
        return weight_wino_time(x, dy, 4) < WORTH * weight_product_time(x, dy) ? METHOD_F4
                                                                               : METHOD_PRODUCT;
    }
    return d->alg == CONV_F2 ? METHOD_F2 : d->alg == CONV_F6 ? METHOD_F6 : METHOD_F4;
}

enum conv_method conv_choose(const struct conv_desc *d, const struct corr *c)
{
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
        return fastest(c, METHOD_F6);
    case CONV_AUTO_F4:
        return fastest(c, METHOD_F4);
    case CONV_EXACT:
        break;
    }
    return METHOD_PRODUCT;
}
