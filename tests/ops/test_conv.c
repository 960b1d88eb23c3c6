/*
 * test_conv.c - convolution and transposed convolution.
 */
#include "opcase.h"

#define CONV(...) .type = &op_conv, .attr = &(const struct conv_attr){__VA_ARGS__}, .n_in = 1
#define DECONV(...) .type = &op_deconv, .attr = &(const struct conv_attr){__VA_ARGS__}, .n_in = 1

/* .d: kh, kw, stride, pad, dilation, groups, algorithm */
static const struct op_case cases[] = {
    {"3x3", CONV(.d = {3, 3, 1, 1, 1, 1, CONV_AUTO}, .out_c = 4, .bias = true), {{2, 3, 7, 5}}},
    {"1x1", CONV(.d = {1, 1, 1, 0, 1, 1, CONV_AUTO}, .out_c = 5), {{2, 6, 4, 3}}},
    {"1x1 stride 2", CONV(.d = {1, 1, 2, 0, 1, 1, CONV_AUTO}, .out_c = 4), {{2, 3, 5, 6}}},
    {"stride 2", CONV(.d = {3, 3, 2, 1, 1, 1, CONV_AUTO}, .out_c = 3), {{1, 2, 8, 7}}},
    {"7x7 stride 2", CONV(.d = {7, 7, 2, 3, 1, 1, CONV_AUTO}, .out_c = 2), {{1, 3, 9, 9}}},
    {"dilation 2",
     CONV(.d = {3, 3, 1, 2, 2, 1, CONV_AUTO}, .out_c = 2, .bias = true),
     {{1, 2, 6, 6}}},
    {"groups", CONV(.d = {3, 3, 1, 1, 1, 2, CONV_AUTO}, .out_c = 6, .bias = true), {{2, 4, 5, 5}}},
    {"depthwise", CONV(.d = {3, 3, 2, 1, 1, 4, CONV_AUTO}, .out_c = 4), {{1, 4, 6, 5}}},
    {"5x3, no padding",
     CONV(.d = {5, 3, 1, 0, 1, 1, CONV_AUTO}, .out_c = 2, .bias = true),
     {{1, 2, 6, 5}}},
    {"one pixel", CONV(.d = {3, 3, 1, 1, 1, 1, CONV_AUTO}, .out_c = 3), {{3, 2, 1, 1}}},
    {"relu inside",
     CONV(.d = {3, 3, 1, 1, 1, 1, CONV_AUTO}, .out_c = 4, .bias = true, .act = ACT_RELU),
     {{2, 2, 4, 4}}},
    {"logistic inside",
     CONV(.d = {1, 1, 1, 0, 1, 1, CONV_AUTO}, .out_c = 3, .bias = true, .act = ACT_LOGISTIC),
     {{1, 2, 3, 3}}},

    {"deconv 2x2 stride 2", DECONV(.d = {2, 2, 2, 0, 1, 1, CONV_AUTO}, .out_c = 3), {{2, 4, 3, 4}}},
    {"deconv 4x4 stride 2",
     DECONV(.d = {4, 4, 2, 1, 1, 1, CONV_AUTO}, .out_c = 2, .bias = true),
     {{1, 3, 4, 3}}},
    {"deconv 3x3 relu",
     DECONV(.d = {3, 3, 1, 1, 1, 1, CONV_AUTO}, .out_c = 2, .bias = true, .act = ACT_RELU),
     {{2, 2, 4, 4}}},
    {"deconv groups",
     DECONV(.d = {2, 2, 2, 0, 1, 2, CONV_AUTO}, .out_c = 4, .bias = true),
     {{1, 4, 3, 3}}},
    {"deconv dilation", DECONV(.d = {3, 3, 2, 0, 2, 1, CONV_AUTO}, .out_c = 2), {{1, 2, 3, 3}}},
};

static const struct op_bad bad[] = {
    {{"small", CONV(.d = {3, 3, 1, 0, 1, 1, CONV_AUTO}, .out_c = 4), {{1, 3, 1, 1}}},
     "a 1x1 input leaves nothing of a 3x3 kernel"},
    {{"groups", CONV(.d = {3, 3, 1, 1, 1, 2, CONV_AUTO}, .out_c = 4), {{1, 3, 8, 8}}},
     "3 input and 4 output channels do not divide into 2 groups"},
    {{"stride", CONV(.d = {3, 3, 0, 1, 1, 1, CONV_AUTO}, .out_c = 4), {{1, 3, 8, 8}}}, "stride 0"},
    {{"filters", CONV(.d = {3, 3, 1, 1, 1, 1, CONV_AUTO}, .out_c = 0), {{1, 3, 8, 8}}},
     "0 filters of 3x3"},
    {{"mish",
      CONV(.d = {3, 3, 1, 1, 1, 1, CONV_AUTO}, .out_c = 4, .act = ACT_MISH),
      {{1, 3, 8, 8}}},
     "mish cannot be fused in training; make it a layer of its own"},
    {{"many filters", CONV(.d = {3, 3, 1, 1, 1, 1, CONV_AUTO}, .out_c = 1 << 30), {{1, 3, 8, 8}}},
     "a tensor of 1073741824x8x8 numbers cannot be"},
    {{"many weights",
      CONV(.d = {10000, 10000, 1, 9999, 1, 1, CONV_AUTO}, .out_c = 10),
      {{1, 3, 8, 8}}},
     "a tensor of 10x3x10000x10000 numbers cannot be"},
    {{"deconv padding", DECONV(.d = {2, 2, 2, 9, 1, 1, CONV_AUTO}, .out_c = 4), {{1, 3, 8, 8}}},
     "make -2x-2 pixels"},
    {{"deconv far", DECONV(.d = {2, 2, 1 << 30, 0, 1, 1, CONV_AUTO}, .out_c = 4), {{1, 3, 8, 8}}},
     "make 7516192770x7516192770 pixels"},
};

OP_MAIN("conv")
