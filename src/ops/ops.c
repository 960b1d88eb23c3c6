/*
 * ops.c - the list of all operations.
 */
#include "ops.h"

const struct op_type *const op_types[] = {
    &op_conv,         &op_deconv,    &op_norm,     &op_activation,
    &op_add,          &op_maxpool,   &op_avgpool,  &op_global_avgpool,
    &op_connected,    &op_dropout,   &op_concat,   &op_slice,
    &op_mul_channel,  &op_resize,    &op_l2norm,   &op_softmax,
    &op_softmax_loss, &op_smooth_l1, &op_multibox, &op_prior_rows,
    &op_convert,      NULL,
};
