/*
 * test_norm.c - batch norm, group norm, L2 norm.
 */
#include "opcase.h"

#define NORM(...) .type = &op_norm, .attr = &(const struct norm_attr){__VA_ARGS__}, .n_in = 1
#define BATCH(...) NORM(.eps = 1e-5, .momentum = 0.9, __VA_ARGS__)
#define GROUP(g, ...) NORM(.groups = (g), .eps = 1e-5, __VA_ARGS__)
#define L2(...) .type = &op_l2norm, .attr = &(const struct l2norm_attr){__VA_ARGS__}, .n_in = 1

static const struct op_case cases[] = {
    {"batch", BATCH(.act = ACT_LINEAR), {{2, 3, 4, 5}}},
    {"batch relu", BATCH(.act = ACT_RELU), {{3, 4, 3, 3}}},
    {"batch leaky", BATCH(.act = ACT_LEAKY), {{2, 2, 3, 4}}},
    {"batch relu6", BATCH(.act = ACT_RELU6), {{2, 2, 3, 4}}},
    {"batch logistic", BATCH(.act = ACT_LOGISTIC), {{2, 2, 3, 4}}},
    {"batch hard sigmoid", BATCH(.act = ACT_HSIGMOID), {{2, 2, 3, 4}}},
    {"batch mish", BATCH(.act = ACT_MISH), {{2, 2, 3, 4}}},
    {"batch swish", BATCH(.act = ACT_SWISH), {{2, 2, 3, 4}}},
    {"batch of one image", BATCH(.act = ACT_RELU), {{1, 5, 4, 4}}},
    {"batch of single pixels", BATCH(.act = ACT_LINEAR), {{6, 3, 1, 1}}},
    {"frozen batch", BATCH(.act = ACT_LINEAR, .frozen = true), {{2, 3, 4, 5}}},
    {"frozen batch relu", BATCH(.act = ACT_RELU, .frozen = true), {{2, 3, 4, 5}}},
    {"group", GROUP(2, .act = ACT_LINEAR), {{2, 4, 3, 4}}},
    {"group relu", GROUP(3, .act = ACT_RELU), {{2, 6, 3, 3}}},
    {"group swish", GROUP(2, .act = ACT_SWISH), {{2, 4, 3, 3}}},
    {"one group", GROUP(1, .act = ACT_LINEAR), {{2, 3, 2, 3}}},
    {"instance", GROUP(4, .act = ACT_LINEAR), {{2, 4, 3, 4}}},
    {"l2norm", L2(.eps = 1e-10, .scale = 20), {{2, 5, 3, 4}}},
    {"l2norm, one channel", L2(.eps = 1e-3, .scale = 1), {{2, 1, 3, 2}}},
};

static const struct op_bad bad[] = {
    {{"groups", GROUP(3, .act = ACT_LINEAR), {{1, 8, 2, 2}}},
     "8 channels do not divide into 3 groups"},
    {{"negative", GROUP(-1, .act = ACT_LINEAR), {{1, 8, 2, 2}}}, "into -1 groups"},
};

OP_MAIN("norm")
