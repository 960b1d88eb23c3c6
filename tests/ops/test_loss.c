/*
 * test_loss.c - connected layers, softmax, and the losses.
 */
#include "opcase.h"

#define CONNECTED(...)                                                                             \
    .type = &op_connected, .attr = &(const struct connected_attr){__VA_ARGS__}, .n_in = 1
#define ENTROPY(w)                                                                                 \
    .type = &op_softmax_loss, .attr = &(const struct softmax_loss_attr){w}, .n_in = 2, .fixed = 2, \
    .fill = fill_labels, .weight = (w)
#define SMOOTH(...)                                                                                \
    .type = &op_smooth_l1, .attr = &(const struct smooth_l1_attr){__VA_ARGS__}, .n_in = 3,         \
    .fixed = 6, .fill = fill_random
#define MULTIBOX(n, w, ...)                                                                        \
    .type = &op_multibox, .attr = &(const struct multibox_attr){__VA_ARGS__, .weight = (w)},       \
    .n_in = (n), .fixed = 28, .fill = fill_truth, .weight = (w)

/* Classes 0, 1, 2 and, at every seventh place, -1: not counted. */
static void fill_labels(int input, struct shape s, real *v)
{
    (void)input;
    for (size_t i = 0; i < shape_count(s); i++) {
        v[i] = i % 7 == 6 ? -1 : (real)(i * 5 % 3);
    }
}

static void fill_random(int input, struct shape s, real *v)
{
    for (size_t i = 0; i < shape_count(s); i++) {
        struct rng r = rng_open(3, RNG_TEST, (uint64_t)input, i);
        v[i] = (real)rng_normal(&r);
    }
}

enum { PRIORS = 9 };
static const struct box priors[PRIORS] = {
    {0.0, 0.0, 0.3, 0.3}, {0.3, 0.0, 0.6, 0.3}, {0.6, 0.0, 1.0, 0.4},
    {0.0, 0.3, 0.4, 0.7}, {0.3, 0.3, 0.7, 0.7}, {0.6, 0.3, 1.0, 0.7},
    {0.0, 0.6, 0.4, 1.0}, {0.3, 0.6, 0.7, 1.0}, {0.6, 0.6, 1.0, 1.0},
};

/* Input 2: boxes near some priors; the second image has one only. 3, 4: a stage before. */
static void fill_truth(int input, struct shape s, real *v)
{
    const real truth[2][3][5] = {
        {{0.02, 0.01, 0.33, 0.28, 1}, {0.31, 0.33, 0.68, 0.71, 2}, {0.7, 0.62, 0.99, 0.97, 1}},
        {{0.05, 0.62, 0.42, 0.95, 2}},
    };
    if (input != 2) {
        fill_random(input, s, v);
        for (size_t i = 0; i < shape_count(s); i++) {
            v[i] *= (real)0.3;
        }
        return;
    }
    for (size_t i = 0; i < shape_count(s); i++) {
        v[i] = (&truth[0][0][0])[i];
    }
}

#define ARM                                                                                        \
    .d = {.priors = priors,                                                                        \
          .n_priors = PRIORS,                                                                      \
          .n_classes = 2,                                                                          \
          .objectness = true,                                                                      \
          .match_iou = 0.5,                                                                        \
          .neg_iou = 0.5,                                                                          \
          .neg_ratio = 3,                                                                          \
          .variance = {0.1, 0.1, 0.2, 0.2}}
#define ODM                                                                                        \
    .d = {.priors = priors,                                                                        \
          .n_priors = PRIORS,                                                                      \
          .n_classes = 3,                                                                          \
          .match_iou = 0.5,                                                                        \
          .neg_iou = 0.5,                                                                          \
          .neg_ratio = 3,                                                                          \
          .arm_threshold = 0.01,                                                                   \
          .variance = {0.1, 0.1, 0.2, 0.2}}
#define LOC                                                                                        \
    {                                                                                              \
        2, PRIORS, 4, 1                                                                            \
    }
#define CONF(c)                                                                                    \
    {                                                                                              \
        2, PRIORS, c, 1                                                                            \
    }
#define TRUTH                                                                                      \
    {                                                                                              \
        2, 3, 5, 1                                                                                 \
    }

static const struct op_case cases[] = {
    {"connected", CONNECTED(.out_c = 5, .bias = true), .in = {{3, 2, 3, 2}}},
    {"connected relu", CONNECTED(.out_c = 4, .bias = true, .act = ACT_RELU), .in = {{2, 7, 1, 1}}},
    {"connected, no bias", CONNECTED(.out_c = 3), .in = {{2, 2, 2, 2}}},
    {"softmax", .type = &op_softmax, .n_in = 1, .in = {{2, 5, 3, 2}}},
    {"entropy", ENTROPY(0), .in = {{6, 3, 1, 1}, {6, 1, 1, 1}}},
    {"entropy of a map", ENTROPY(0.5), .in = {{2, 3, 4, 3}, {2, 1, 4, 3}}},
    {"smooth l1", SMOOTH(.sigma = 1), .in = {{2, 3, 4, 1}, {2, 3, 4, 1}, {2, 3, 4, 1}}},
    {"smooth l1, norm 7, weight 2", SMOOTH(.sigma = 1.0 / 9, .norm = 7, .weight = 2),
     .in = {{2, 3, 4, 1}, {2, 3, 4, 1}, {2, 3, 4, 1}}, .weight = 2},
    {"arm", MULTIBOX(3, 0, ARM), .in = {LOC, CONF(2), TRUTH}},
    {"odm", MULTIBOX(5, 0.7, ODM), .in = {LOC, CONF(3), TRUTH, LOC, CONF(2)}},
};

static const struct op_bad bad[] = {
    {{"outputs", CONNECTED(.out_c = 0), .in = {{1, 3, 2, 2}}}, "must be at least 1, not 0"},
    {{"labels", ENTROPY(0), .in = {{2, 3, 4, 3}, {2, 1, 4, 4}}},
     "labels must be 1x4x3, but x1 is 1x4x4"},
    {{"targets", SMOOTH(.sigma = 1), .in = {{2, 3, 4, 1}, {2, 3, 5, 1}, {2, 3, 4, 1}}},
     "x0 is 3x4x1 and x1 is 3x5x1"},
    {{"priors", MULTIBOX(3, 0, ARM), .in = {{2, 8, 4, 1}, CONF(2), TRUTH}},
     "x0 must be 9x4x1, but is 8x4x1"},
    {{"classes", MULTIBOX(3, 0, ODM), .in = {LOC, CONF(2), TRUTH}},
     "x1 must be 9x3x1, but is 9x2x1"},
    {{"half a stage", MULTIBOX(4, 0, ODM), .in = {LOC, CONF(3), TRUTH, LOC}},
     "arm_loc without arm_conf"},
};

OP_MAIN("loss")
