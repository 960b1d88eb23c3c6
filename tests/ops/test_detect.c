/*
 * test_detect.c - what the outputs of SSD and RefineDet heads say. Logits and offsets are halves,
 * so that many scores are equal and boxes coincide: all backends must give the same rows in the
 * same order, to the bit.
 */
#include "opcase.h"

enum { CELLS = 16, PRIORS = CELLS * CELLS * 2, IMAGES = 2 };

/* Of each cell a square and a wide one. */
#define CELL(x, y)                                                                                 \
    {(x) / 16.0 - 0.04, (y) / 16.0 - 0.04, (x) / 16.0 + 0.1, (y) / 16.0 + 0.1},                    \
    {                                                                                              \
        (x) / 16.0 - 0.1, (y) / 16.0, (x) / 16.0 + 0.16, (y) / 16.0 + 0.06                         \
    }
#define FOUR(x, y) CELL(x, y), CELL(x + 1, y), CELL(x + 2, y), CELL(x + 3, y)
#define ROW(y) FOUR(0, y), FOUR(4, y), FOUR(8, y), FOUR(12, y)
static const struct box priors[PRIORS] = {ROW(0),  ROW(1),  ROW(2),  ROW(3), ROW(4),  ROW(5),
                                          ROW(6),  ROW(7),  ROW(8),  ROW(9), ROW(10), ROW(11),
                                          ROW(12), ROW(13), ROW(14), ROW(15)};

/* 0: offsets, 1: logits, 2, 3: of the stage before. */
static void fill(int input, struct shape s, real *v)
{
    for (size_t i = 0; i < shape_count(s); i++) {
        struct rng r = rng_open(3, RNG_TEST, (uint64_t)input, i);
        v[i] = (real)(floor(2 * rng_normal(&r) * (input == 1 ? 3 : 1)) / 2);
    }
}

/* Every fifth number is none that a net should give. */
static void fill_wild(int input, struct shape s, real *v)
{
    const real wild[] = {(real)NAN, (real)INFINITY, -(real)INFINITY, (real)1e5, (real)-1e5};

    fill(input, s, v);
    for (size_t i = (size_t)input; i < shape_count(s); i += 5) {
        struct rng r = rng_open(4, RNG_TEST, (uint64_t)input, i);
        v[i] = i % 15 == 0 ? wild[rng_int(&r, 5)] : v[i];
    }
}

static void fill_alike(int input, struct shape s, real *v)
{
    (void)input;
    for (size_t i = 0; i < shape_count(s); i++) {
        v[i] = 0;
    }
}

#define DETECT(inputs, fill_, p, c, ...)                                                           \
    .type = &op_multibox_detect,                                                                   \
    .attr = &(const struct multibox_detect_attr){.d = {.priors = priors,                           \
                                                       .n_priors = (p),                            \
                                                       .n_classes = (c),                           \
                                                       .variance = {0.1, 0.1, 0.2, 0.2},           \
                                                       __VA_ARGS__}},                              \
    .n_in = (inputs), .fixed = (1 << (inputs)) - 1, .fill = (fill_), .bound = 1e-30
#define SSD(p, c)                                                                                  \
    {                                                                                              \
        {IMAGES, p, 4, 1},                                                                         \
        {                                                                                          \
            IMAGES, p, c, 1                                                                        \
        }                                                                                          \
    }
#define REFINED(p, c)                                                                              \
    {                                                                                              \
        {IMAGES, p, 4, 1}, {IMAGES, p, c, 1}, {IMAGES, p, 4, 1},                                   \
        {                                                                                          \
            IMAGES, p, 2, 1                                                                        \
        }                                                                                          \
    }

static const struct op_case cases[] = {
    {"ssd", DETECT(2, fill, 40, 4, .min_score = 0.1, .iou = 0.45, .top_k = 6, .keep = 10),
     .in = SSD(40, 4)},
    {"refinedet",
     DETECT(4, fill, 100, 5, .arm_threshold = 0.3, .min_score = 0.01, .iou = 0.45, .top_k = 40,
            .keep = 50),
     .in = REFINED(100, 5)},
    {"more than a block at a time",
     DETECT(4, fill, PRIORS, 12, .arm_threshold = 0.01, .min_score = 0.01, .iou = 0.3, .top_k = 300,
            .keep = 200),
     .in = REFINED(PRIORS, 12)},
    {"nothing is dropped",
     DETECT(2, fill, 40, 3, .min_score = 0, .iou = 1, .top_k = 1000, .keep = 500),
     .in = SSD(40, 3)},
    {"one class, of which one",
     DETECT(2, fill, 64, 2, .min_score = 0.01, .iou = 0, .top_k = 1, .keep = 1), .in = SSD(64, 2)},
    {"nothing is found", DETECT(2, fill, 40, 4, .min_score = 1, .iou = 0.45, .top_k = 6, .keep = 3),
     .in = SSD(40, 4)},
    {"all scores alike",
     DETECT(4, fill_alike, PRIORS, 20, .arm_threshold = 0.5, .min_score = 0.04, .iou = 0.45,
            .top_k = 100, .keep = 150),
     .in = REFINED(PRIORS, 20)},
    {"wild numbers",
     DETECT(4, fill_wild, 200, 7, .arm_threshold = 0.1, .min_score = 0.01, .iou = 0.45, .top_k = 50,
            .keep = 60),
     .in = REFINED(200, 7)},
};

static const struct op_bad bad[] = {
    {{"classes", DETECT(2, fill, 40, 4, .top_k = 1, .keep = 1), .in = SSD(40, 5)},
     "x1 must be 2x40x4x1, but is 2x40x5x1"},
    {{"half a stage", DETECT(3, fill, 40, 4, .top_k = 1, .keep = 1), .in = REFINED(40, 4)},
     "arm_loc without arm_conf"},
    {{"too many", DETECT(2, fill, 40, 1 << 28, .top_k = 1, .keep = 1), .in = SSD(40, 4)},
     "40 priors of 268435456 classes"},
};

OP_MAIN("detect")
