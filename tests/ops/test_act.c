/*
 * test_act.c - what works number by number: activations, addition, factors for channels, dropout.
 */
#include "opcase.h"

#define ACT(a) .type = &op_activation, .attr = &(const struct act_attr){a}, .n_in = 1
#define ADD(a) .type = &op_add, .attr = &(const struct act_attr){a}, .n_in = 2
#define DROP(p) .type = &op_dropout, .attr = &(const struct dropout_attr){p}, .n_in = 1
#define MUL .type = &op_mul_channel, .n_in = 2

static const struct op_case cases[] = {
    {"linear", ACT(ACT_LINEAR), {{2, 3, 4, 5}}},
    {"relu", ACT(ACT_RELU), {{2, 3, 4, 5}}},
    {"leaky", ACT(ACT_LEAKY), {{2, 3, 4, 5}}},
    {"relu6", ACT(ACT_RELU6), {{2, 3, 4, 5}}},
    {"logistic", ACT(ACT_LOGISTIC), {{2, 3, 4, 5}}},
    {"hard sigmoid", ACT(ACT_HSIGMOID), {{2, 3, 4, 5}}},
    {"mish", ACT(ACT_MISH), {{2, 3, 4, 5}}},
    {"swish", ACT(ACT_SWISH), {{2, 3, 4, 5}}},
    {"add", ADD(ACT_LINEAR), {{2, 3, 4, 5}, {2, 3, 4, 5}}},
    {"add relu", ADD(ACT_RELU), {{1, 2, 3, 7}, {1, 2, 3, 7}}},
    {"mul_channel", MUL, {{2, 3, 4, 5}, {2, 3, 1, 1}}},
    {"mul_channel, one pixel", MUL, {{2, 3, 1, 1}, {2, 3, 1, 1}}},
    {"dropout", DROP(0.4), {{2, 3, 4, 5}}},
    {"dropout of nothing", DROP(0), {{1, 3, 2, 2}}},
};

static const struct op_bad bad[] = {
    {{"add", ADD(ACT_LINEAR), {{1, 3, 4, 5}, {1, 3, 4, 6}}},
     "x0 is 3x4x5 and x1 is 3x4x6; they must be equal"},
    {{"add swish", ADD(ACT_SWISH), {{1, 3, 4, 5}, {1, 3, 4, 5}}}, "swish cannot be fused"},
    {{"mul_channel", MUL, {{1, 3, 4, 5}, {1, 2, 1, 1}}}, "factors must be 3x1x1, but x1 is 2x1x1"},
    {{"dropout of all", DROP(1), {{1, 3, 4, 5}}}, "the probability must be in [0, 1), not 1"},
    {{"inputs", .type = &op_mul_channel, .n_in = 1, .in = {{1, 3, 4, 5}}}, "takes 2 to 2 inputs"},
};

OP_MAIN("act")
