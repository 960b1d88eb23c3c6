/*
 * dnn_conv.c - convolutions on packed floats: x [n, h, w, c], w [k, r, s, c/groups], y [n, h', w',
 * k]. The three passes are the same sum, sorted by what it is of.
 */
#include "dnn.h"
#include "sim.h"

#include <math.h>
#include <stdlib.h>

/* One tap of the filter on one pixel of the output: the pixels that it joins. */
struct tap {
    size_t x, y;   /* where their channels begin */
    size_t filter; /* r * s_count + s */
};

/* The operands of a pass; output is one of the three. Its sums are kept in double precision: a GPU
 * adds in many short pieces, which loses less than one long sum in floats would.
 */
struct pass {
    const struct dnn_op *op;
    const float *x, *w, *y;
    double *output;
};

typedef void tap_function(const struct pass *p, const struct tap *t);

struct sizes {
    size_t groups, c, k, taps; /* c and k of one group */
};

static struct sizes sizes_of(const struct dnn_op *op)
{
    const size_t groups = (size_t)op->conv.groups;
    return (struct sizes){groups, (size_t)op->w.dim[1], (size_t)op->w.dim[0] / groups,
                          (size_t)(op->w.dim[2] * op->w.dim[3])};
}

/* output: y. w is given as [r, s, group, c, k]. */
static void forward(const struct pass *p, const struct tap *t)
{
    const struct sizes z = sizes_of(p->op);
    for (size_t g = 0; g < z.groups; g++) {
        double *to = p->output + t->y + g * z.k;
        for (size_t c = 0; c < z.c; c++) {
            const float v = p->x[t->x + g * z.c + c];
            const float *row = p->w + ((t->filter * z.groups + g) * z.c + c) * z.k;
            for (size_t k = 0; k < z.k; k++) {
                to[k] += (double)(v * row[k]);
            }
        }
    }
}

/* output: x. */
static void back_data(const struct pass *p, const struct tap *t)
{
    const struct sizes z = sizes_of(p->op);
    for (size_t g = 0; g < z.groups; g++) {
        double *to = p->output + t->x + g * z.c;
        for (size_t k = 0; k < z.k; k++) {
            const float v = p->y[t->y + g * z.k + k];
            const float *row = p->w + ((g * z.k + k) * z.taps + t->filter) * z.c;
            for (size_t c = 0; c < z.c; c++) {
                to[c] += (double)(v * row[c]);
            }
        }
    }
}

/* output: w. */
static void back_filter(const struct pass *p, const struct tap *t)
{
    const struct sizes z = sizes_of(p->op);
    for (size_t g = 0; g < z.groups; g++) {
        const float *from = p->x + t->x + g * z.c;
        for (size_t k = 0; k < z.k; k++) {
            const float v = p->y[t->y + g * z.k + k];
            double *row = p->output + ((g * z.k + k) * z.taps + t->filter) * z.c;
            for (size_t c = 0; c < z.c; c++) {
                row[c] += (double)(v * from[c]);
            }
        }
    }
}

/* All taps of one row of the output. */
static void walk_row(const struct pass *p, tap_function *f, int64_t n, int64_t oy)
{
    const struct dnn_conv *c = &p->op->conv;
    const int64_t *xd = p->op->x.dim, *wd = p->op->w.dim, *yd = p->op->y.dim;
    for (int64_t ox = 0; ox < yd[3]; ox++) {
        for (int64_t tap = 0; tap < wd[2] * wd[3]; tap++) {
            const int64_t iy = oy * c->stride[0] - c->pad[0] + tap / wd[3] * c->dilation[0];
            const int64_t ix = ox * c->stride[1] - c->pad[1] + tap % wd[3] * c->dilation[1];
            if (iy >= 0 && iy < xd[2] && ix >= 0 && ix < xd[3]) {
                const struct tap t = {(size_t)(((n * xd[2] + iy) * xd[3] + ix) * xd[1]),
                                      (size_t)(((n * yd[2] + oy) * yd[3] + ox) * yd[1]),
                                      (size_t)tap};
                f(p, &t);
            }
        }
    }
}

/* [k, r, s, c] as [r, s, group, c, k]. */
static float *sorted_for_forward(const struct dnn_op *op, const float *w)
{
    const struct sizes z = sizes_of(op);
    float *sorted = sim_alloc(dnn_count(&op->w) * sizeof *sorted);
    for (size_t g = 0; g < z.groups; g++) {
        for (size_t k = 0; k < z.k; k++) {
            for (size_t i = 0; i < z.taps * z.c; i++) {
                const size_t tap = i / z.c, c = i % z.c;
                sorted[((tap * z.groups + g) * z.c + c) * z.k + k] =
                    w[(g * z.k + k) * z.taps * z.c + i];
            }
        }
    }
    return sorted;
}

/* The float of a sum, or by chance one of its neighbours, as another order of adding would give. */
static float rounded(double sum, bool varies)
{
    const float f = (float)sum;
    const uint64_t choice = varies ? sim_random(3) : 0;
    return choice == 0 ? f : nextafterf(f, choice == 1 ? INFINITY : -INFINITY);
}

void dnn_convolve(const struct dnn_op *op, const float *x, const float *w, const float *y,
                  float *output, bool varies)
{
    static tap_function *const functions[] = {forward, back_data, back_filter};
    const struct dnn_tensor *tensors[] = {&op->y, &op->x, &op->w};
    const size_t count = dnn_count(tensors[op->kind]);
    float *sorted = op->kind == DNN_FORWARD ? sorted_for_forward(op, w) : NULL;
    double *sums = sim_alloc(count * sizeof *sums);
    const struct pass p = {op, x, sorted ? sorted : w, y, sums};
    for (int64_t row = 0; row < op->y.dim[0] * op->y.dim[2]; row++) {
        walk_row(&p, functions[op->kind], row / op->y.dim[2], row % op->y.dim[2]);
    }
    for (size_t i = 0; i < count; i++) {
        output[i] = rounded(sums[i], varies);
    }
    free(sums);
    free(sorted);
}
