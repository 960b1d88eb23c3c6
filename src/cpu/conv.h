/*
 * conv.h - what the files of the fast convolution share. Layer conv.c chooses the algorithm; each
 * of the others is one of them, for one group of channels.
 */
#ifndef VOV_CPU_CONV_H
#define VOV_CPU_CONV_H

#include "cpu.h"
#include "span.h"

/* The taps of one axis: tap i lies at first + i*step of the source (step > 0) and has the weight
 * number w_first + i*w_step. */
struct corr_axis {
    int n, first, step;
    int w_first, w_step;
};

/*
 * A correlation: dst[m, image, i, j] = act(bias[m] + sum over channels c and taps t = (p, q) of
 * w[m, c, t] * src[c, image, i*stride + y(p), j*stride + x(q)]), for a grid of positions (i, j)
 * that lie at (out_y + i*out_step, out_x + j*out_step) of dst. Outside src is 0. Forward passes are
 * that; so are the data gradients, one for each phase of the stride.
 */
struct corr {
    struct view src, dst;
    int grid_h, grid_w, stride;
    struct corr_axis y, x;
    int out_y, out_x, out_step;
    const struct conv_head *head; /* NULL, or how src is read: where corr_reads_planes */
    const real *bias;
    struct view plus; /* added before act; p NULL: nothing is */
    enum act act;
    bool add; /* to dst */

    /* Where the weight of (m, c, p, q) is: w[m*w_row + c*w_channel + y's + x's]. */
    const real *w;
    size_t w_row, w_channel;
};

enum conv_method { METHOD_PRODUCT, METHOD_DEPTHWISE, METHOD_F2, METHOD_F4, METHOD_F6, METHODS };

/* What computes the correlation c, of one group, of a pass of d. Looks at shapes and the
 * instruction set only. */
enum conv_method conv_choose(const struct cpu *cpu, const struct conv_desc *d,
                             const struct corr *c);

/* What computes the weight gradient, of one group. */
enum conv_method conv_choose_weight(const struct cpu *cpu, const struct conv_desc *d, struct view x,
                                    struct view dy);

/* m of Winograd's F(m x m, 3 x 3). */
static inline int conv_tile(enum conv_method method)
{
    return method == METHOD_F2 ? 2 : method == METHOD_F4 ? 4 : 6;
}

/* out[i] = row[x0 + i*stride], 0 outside the row of `width`. */
static inline struct row_fill row_fill(int n, int x0, int stride, int width)
{
    struct row_fill f = {.n = n, .stride = stride};
    const int to = x0 < width ? ceil_div(width - x0, stride) : 0;

    f.from = x0 < 0 ? ceil_div(-x0, stride) : 0;
    f.to = to > n ? n : to;
    f.first = x0 + f.from * stride;
    return f;
}

/*
 * As a matrix product. packed: of corr_pack, or NULL when c->w is to be read. For pack_bytes and
 * scratch only the shapes of the views count.
 */
bool corr_reads_planes(const struct corr *c);
size_t corr_pack_bytes(const struct corr *c);
void corr_pack(const struct cpu *cpu, const struct corr *c, real *packed);
size_t corr_scratch(const struct cpu *cpu, const struct corr *c, bool packed);
void corr_run(const struct cpu *cpu, const struct corr *c, const real *packed, void *scratch);

/*
 * The same by Winograd's F(m x m, 3 x 3), m = 2, 4, 6, where wino_fits: 3x3 taps side by side and
 * stride 1.
 */
bool wino_fits(const struct corr *c);
size_t wino_pack_bytes(const struct corr *c, int m);
void wino_pack(const struct cpu *cpu, const struct corr *c, int m, real *packed);
size_t wino_scratch(const struct cpu *cpu, const struct corr *c, int m, bool packed);
void wino_run(const struct cpu *cpu, const struct corr *c, int m, const real *packed,
              void *scratch);

/* dw[m, c, t] += sum over images and positions of dy[m] * x[c] at tap t, of one group. */
size_t conv_weight_scratch(const struct cpu *cpu, const struct conv_desc *d, struct view x,
                           struct view dy);
void conv_weight_run(const struct cpu *cpu, const struct conv_desc *d, struct view x,
                     struct view dy, real *dw, void *scratch);

/* The same as dot products, where the kernels have them. */
size_t dots_weight_scratch(const struct cpu *cpu, const struct conv_desc *d, struct view x,
                           struct view dy);
void dots_weight_run(const struct cpu *cpu, const struct conv_desc *d, struct view x,
                     struct view dy, real *dw, void *scratch);

/* The same by Winograd's F(m x m, 3 x 3), for 3x3 taps side by side and stride 1. */
size_t wino_weight_scratch(const struct cpu *cpu, const struct conv_desc *d, struct view x,
                           struct view dy, int m);
void wino_weight_run(const struct cpu *cpu, const struct conv_desc *d, struct view x,
                     struct view dy, int m, real *dw, void *scratch);

/* One filter for each channel: groups == channels of x and y. */
void depthwise_fwd(const struct cpu *cpu, const struct conv_desc *d, struct view x, const real *w,
                   const struct conv_tail *tail, struct view y);
void depthwise_bwd_data(const struct cpu *cpu, const struct conv_desc *d, const real *w,
                        struct view dy, real beta, struct view dx);
void depthwise_bwd_weight(const struct cpu *cpu, const struct conv_desc *d, struct view x,
                          struct view dy, real *dw);

#endif
