/*
 * util.h - what several ops share: window arithmetic, scratch of convolutions, costs.
 */
#ifndef VOV_OPS_UTIL_H
#define VOV_OPS_UTIL_H

#include "ops.h"

/* The shape of activations that all tensors of an op must share, as an error otherwise. */
enum vov_status same_shape(const struct node *n, int a, int b, struct err *err);
enum vov_status count_inputs(const struct node *n, int least, int most, struct err *err);

/* VOV_ESHAPE where input i has another shape. */
enum vov_status rows_expect(const struct node *n, int i, struct shape want, struct err *err);

/* A loss of so many numbers. */
void loss_out(struct graph *g, struct node *n, int numbers);

/* The gradient of input i; p NULL: nobody wants it. */
struct view wanted_grad(const struct node *n, int i);

/* Settings of a convolution or a transposed one that no input could mend. */
enum vov_status conv_check(const struct conv_attr *a, int in_c, struct err *err);

/* Rows that a convolution leaves of `in`, less than 1 when it leaves none. */
long long conv_size(int in, int k, const struct conv_desc *d);

/* The largest conv_scratch() of n uses of one convolution. */
size_t most_scratch(struct backend *be, const struct conv_desc *d, const struct conv_use *use,
                    int n, struct view x, struct view y);

/* `given`, or He's normal for this fan-in when it is all zeros. */
struct param_init init_or_he(struct param_init given, double fan_in);

/* An act that a training graph cannot have fused, since its backward pass needs the input. */
enum vov_status check_fused(const struct graph *g, enum act act, struct err *err);

/* dy becomes the gradient before act, in place: nobody else reads out[0]'s gradient. */
void unfuse_act(const struct node *n, const struct op_ctx *ctx, enum act act);

/* Takes what is behind a convolution into it: a batch norm or an activation, as conv_attr and
 * params 2..5, or, of op_conv, a sum with what is its second input then. */
enum vov_status conv_absorb(struct graph *g, struct node *n, const struct node *next, bool *done);

/* The other half: multiplies the absorbed norm into weight [rows][cols][kh*kw] and bias. Channel of
 * the output: the row, or, for `transposed`, row / (rows / groups) * cols + col. */
enum vov_status conv_fold(const struct node *n, struct params *p, bool transposed);

/* Cost of a convolution from an area of `in` to one of `out` pixels; madds: at `places` places. */
void conv_cost(const struct node *n, int64_t places, struct op_cost *cost);

#endif
