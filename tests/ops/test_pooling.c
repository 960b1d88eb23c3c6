/*
 * test_pooling.c - pooling, resizing.
 */
#include "opcase.h"

#define MAX(...) .type = &op_maxpool, .attr = &(const struct pool_attr){__VA_ARGS__}, .n_in = 1
#define AVG(...) .type = &op_avgpool, .attr = &(const struct pool_attr){__VA_ARGS__}, .n_in = 1
#define GLOBAL .type = &op_global_avgpool, .n_in = 1
#define SIZE(...) .type = &op_resize, .attr = &(const struct resize_attr){__VA_ARGS__}, .n_in = 1

/* .d: size, stride, padding before the first window */
static const struct op_case cases[] = {
    {"max 2", MAX(.d = {2, 2, 0}), {{2, 3, 6, 4}}},
    {"max 3 by 2, ceil, even", MAX(.d = {3, 2, 0}, .ceil_mode = true), {{1, 2, 8, 8}}},
    {"max 3 by 2, ceil, odd", MAX(.d = {3, 2, 0}, .ceil_mode = true), {{2, 2, 7, 9}}},
    {"max 3 by 2, padded", MAX(.d = {3, 2, 1}, .pad_total = 2), {{1, 2, 7, 8}}},
    {"max, as Darknet: 2 by 1", MAX(.d = {2, 1, 0}, .pad_total = 1), {{1, 2, 5, 5}}},
    {"max, as Darknet: 2 by 2, odd", MAX(.d = {2, 2, 0}, .pad_total = 1), {{1, 2, 5, 7}}},
    {"max, as Darknet: 5 by 1", MAX(.d = {5, 1, 2}, .pad_total = 4), {{1, 2, 6, 6}}},
    {"average 2", AVG(.d = {2, 2, 0}), {{2, 3, 6, 4}}},
    {"average 3 by 2, padded", AVG(.d = {3, 2, 1}, .pad_total = 2), {{1, 2, 7, 8}}},
    {"average 3 by 2, ceil", AVG(.d = {3, 2, 0}, .ceil_mode = true), {{1, 2, 8, 6}}},
    {"global average", GLOBAL, {{2, 3, 5, 5}}},
    {"global average, wide picture", GLOBAL, {{2, 3, 3, 7}}},
    {"nearest 2", SIZE(.scale = 2), {{2, 2, 3, 4}}},
    {"nearest, smaller", SIZE(.h = 3, .w = 2), {{1, 2, 7, 5}}},
    {"nearest, odd", SIZE(.h = 7, .w = 5), {{1, 2, 3, 3}}},
    {"bilinear 2", SIZE(.scale = 2, .bilinear = true), {{2, 2, 3, 4}}},
    {"bilinear, smaller", SIZE(.h = 3, .w = 2, .bilinear = true), {{1, 2, 7, 5}}},
    {"bilinear, odd", SIZE(.h = 7, .w = 5, .bilinear = true), {{1, 2, 3, 3}}},
};

static const struct op_bad bad[] = {
    {{"big window", MAX(.d = {5, 1, 0}), {{1, 2, 4, 8}}},
     "a 4x8 input leaves nothing of a window of 5"},
    {{"stride", MAX(.d = {2, 0, 0}), {{1, 2, 4, 8}}}, "stride 0"},
    {{"padding", MAX(.d = {2, 2, 2}, .pad_total = 4), {{1, 2, 4, 8}}},
     "the padding less than the size"},
    {{"padding behind", AVG(.d = {2, 1, 0}, .pad_total = 9), {{1, 2, 4, 8}}},
     "a padding of 9 puts whole windows of 2 outside a 4x8 input"},
    {{"size", SIZE(.h = 0, .w = 4), {{1, 2, 4, 8}}}, "cannot be resized to 0x4"},
    {{"scale", SIZE(.scale = 1 << 29), {{1, 2, 4, 8}}}, "cannot be resized"},
};

OP_MAIN("pooling")
