/*
 * test_joint.c - concat, channel split, and predictions as rows.
 */
#include "opcase.h"

#define CONCAT(n) .type = &op_concat, .n_in = (n)
#define SLICE(...) .type = &op_slice, .attr = &(const struct slice_attr){__VA_ARGS__}, .n_in = 1
#define ROWS(n, per)                                                                               \
    .type = &op_prior_rows, .attr = &(const struct prior_rows_attr){per}, .n_in = (n)

static const struct op_case cases[] = {
    {"concat of 2", CONCAT(2), {{2, 3, 4, 5}, {2, 2, 4, 5}}},
    {"concat of 4", CONCAT(4), {{2, 1, 2, 2}, {2, 2, 2, 2}, {2, 3, 2, 2}, {2, 1, 2, 2}}},
    {"concat of 1", CONCAT(1), {{1, 3, 2, 2}}},
    {"first half", SLICE(.first = 0, .c = 2), {{2, 4, 3, 3}}},
    {"second half", SLICE(.first = 2, .c = 2), {{2, 4, 3, 3}}},
    {"all", SLICE(.first = 0, .c = 4), {{2, 4, 3, 3}}},
    {"rows of one map", ROWS(1, 4), {{2, 12, 3, 2}}},
    {"rows of three maps", ROWS(3, 2), {{2, 6, 4, 4}, {2, 6, 2, 2}, {2, 4, 1, 1}}},
};

static const struct op_bad bad[] = {
    {{"sizes", CONCAT(2), {{1, 3, 4, 5}, {1, 2, 5, 5}}},
     "x0 is 4x5 and x1 is 5x5; only channels may differ"},
    {{"none", CONCAT(0), {{0}}}, "concat takes 1 to"},
    {{"channels", SLICE(.first = 3, .c = 2), {{1, 4, 3, 3}}},
     "channels 3 to 4 are not all among the 4 of x0"},
    {{"no channel", SLICE(.first = 0, .c = 0), {{1, 4, 3, 3}}}, "channels 0 to -1"},
    {{"rows", ROWS(1, 5), {{1, 4, 3, 3}}}, "x0 has 4 channels, no multiple of 5"},
};

OP_MAIN("joint")
