/*
 * test_roi.c - the operations of two-stage detectors.
 */
#include "opcase.h"

enum { PICTURES = 2, ROWS = 4, CLASSES = 3, ANCHORS = 20, TRUTHS = 3, SIDE = 8, INPUT = 64 };

/* Of the cases with more than a block of threads has at a time. */
enum { MANY_ANCHORS = 2048, FIRST_LEVEL = 1500, MANY_ROWS = 700 };

#define ALIGN(align, size_, take_, levels) ALIGN_OF(align, size_, take_, levels, fill_rois)
#define ALIGN_OF(align, size_, take_, levels, fill_)                                               \
    .type = &op_roi_align,                                                                         \
    .attr = &(const struct roi_align_attr){.d = {.size = (size_),                                  \
                                                 .sampling = 2,                                    \
                                                 .aligned = (align),                               \
                                                 .canonical = 64,                                  \
                                                 .first_level = 3,                                 \
                                                 .scale = {0.125, 0.0625}},                        \
                                           .take = (take_)},                                       \
    .n_in = 1 + (levels), .fixed = 1, .fill = (fill_)

/* Small and large ones, some over the edges, one without extent, one far outside, one not used. */
static const real rois[PICTURES * ROWS][6] = {
    {3, 5, 21, 30, 0.9},  {-12, 20, 40, 71, 0.7}, {30, 30, 30, 30, 0.5},     {0, 0, 60, 64, 0.1},
    {10, 8, 47, 39, 0.8}, {50, 2, 90, 20, 0.6},   {300, 300, 310, 310, 0.4}, {0},
};

static void fill_rois(int input, struct shape s, real *v)
{
    (void)input;
    for (int i = 0; i < s.n; i++) {
        memcpy(v + (ptrdiff_t)i * s.c, rois[i], (size_t)s.c * sizeof *v);
    }
}

/* The same, moved by some pixels each time; the last of each picture are not used. */
static void fill_many_rois(int input, struct shape s, real *v)
{
    const int each = s.n / PICTURES;

    (void)input;
    for (int i = 0; i < s.n; i++) {
        const real *from = rois[i % 7], moved = (real)(i % each / 7 % 11);
        for (int k = 0; k < s.c && i % each < each - 5; k++) {
            v[(ptrdiff_t)i * s.c + k] = from[k] + (k < 4 ? moved : 0);
        }
    }
}

/* Cells of 16 pixels, a square and a wide one each, and two large ones. */
static const struct box anchor[ANCHORS] = {
#define CELL(x, y)                                                                                 \
    {(x)*16 - 2, (y)*16 - 2, (x)*16 + 18, (y)*16 + 18},                                            \
    {                                                                                              \
        (x) * 16 - 8, (y)*16, (x)*16 + 24, (y)*16 + 16                                             \
    }
    CELL(0, 0), CELL(1, 0), CELL(2, 0), CELL(0, 1),     CELL(1, 1),       CELL(2, 1),
    CELL(0, 2), CELL(1, 2), CELL(2, 2), {0, 0, 40, 40}, {10, 14, 62, 62},
#undef CELL
};

/* Cells of 2 pixels, 32 x 32 of them, so that each overlaps many others. */
static const struct box many_anchors[MANY_ANCHORS] = {
#define CELL(x, y)                                                                                 \
    {(x)*2 - 5, (y)*2 - 5, (x)*2 + 5, (y)*2 + 5},                                                  \
    {                                                                                              \
        (x) * 2 - 8, (y)*2 - 3, (x)*2 + 8, (y)*2 + 4                                               \
    }
#define CELLS_4(x, y) CELL(x, y), CELL((x) + 1, y), CELL((x) + 2, y), CELL((x) + 3, y)
#define CELLS_16(x, y) CELLS_4(x, y), CELLS_4((x) + 4, y), CELLS_4((x) + 8, y), CELLS_4((x) + 12, y)
#define LINE(y) CELLS_16(0, y), CELLS_16(16, y)
#define LINES_8(y)                                                                                 \
    LINE(y), LINE((y) + 1), LINE((y) + 2), LINE((y) + 3), LINE((y) + 4), LINE((y) + 5),            \
        LINE((y) + 6), LINE((y) + 7)
    LINES_8(0),
    LINES_8(8),
    LINES_8(16),
    LINES_8(24),
#undef CELL
};
#define MANY_LEVELS                                                                                \
    {                                                                                              \
        .box = many_anchors, .end = {FIRST_LEVEL, MANY_ANCHORS}, .n_levels = 2, .width = INPUT,    \
        .height = INPUT                                                                            \
    }
#define ANCHOR_LEVELS                                                                              \
    {                                                                                              \
        .box = anchor, .end = {18, ANCHORS}, .n_levels = 2, .width = INPUT, .height = INPUT        \
    }

/* An object that anchors fit, a small one that none overlaps by much, an ignored one; one object.
 */
static const real truth[PICTURES][TRUTHS][5] = {
    {{0.02, 0.03, 0.33, 0.3, 1}, {0.6, 0.62, 0.7, 0.69, 2}, {0.3, 0.3, 0.6, 0.6, -1}},
    {{0.2, 0.22, 0.95, 0.97, 2}},
};

static void fill_extent(real *v)
{
    const real part[PICTURES][4] = {{0, 0, 1, 0.9}, {0}};

    memcpy(v, part, sizeof part);
}

/* Of the RPN's loss, 2: truth, 3: extent; of proposals 2: extent. */
static void fill_rpn(int input, struct shape s, real *v)
{
    if (input == 2 && s.c == TRUTHS) {
        memcpy(v, truth, sizeof truth);
    } else if (input > 1) {
        fill_extent(v);
    } else {
        for (size_t i = 0; i < shape_count(s); i++) {
            struct rng r = rng_open(3, RNG_TEST, (uint64_t)input, i);
            v[i] = (real)(rng_normal(&r) * (input == 1 ? 0.2 : 2));
        }
    }
}

/* The same for many anchors: logits of which many are equal, NaN among them, and boxes that move
 * but do not grow, so that every device finds the same bits. */
static void fill_many(int input, struct shape s, real *v)
{
    fill_rpn(input, s, v);
    for (size_t i = 0; input < 2 && i < shape_count(s); i++) {
        const bool grows = i / MANY_ANCHORS % 4 > 1;
        v[i] = input == 0 ? (real)(rint((double)v[i] * 8) / 8) : grows ? 0 : v[i];
        if (input == 0 && i % 97 == 5) {
            v[i] = (real)NAN;
        }
    }
}

/* fixed_: of many anchors nothing gets a gradient, which finite differences would take too long to
 * confirm. */
#define RPN_OF(levels, n, iou, fixed_, ...)                                                        \
    .type = &op_rpn_loss,                                                                          \
    .attr = &(const struct rpn_loss_attr){.d = {.anchors = levels,                                 \
                                                .fg_iou = (iou),                                   \
                                                .bg_iou = 0.3,                                     \
                                                .fg_part = 0.5,                                    \
                                                .beta = 1.0 / 9,                                   \
                                                __VA_ARGS__}},                                     \
    .n_in = 4, .fixed = (fixed_), .fill = fill_rpn,                                                \
    .in = {                                                                                        \
        {PICTURES, n, 1, 1}, {PICTURES, n, 4, 1}, {PICTURES, TRUTHS, 5, 1}, {PICTURES, 4, 1, 1}}
#define RPN(...) RPN_OF(ANCHOR_LEVELS, ANCHORS, 0.6, 12, __VA_ARGS__)
#define RPN_MANY(...) RPN_OF(MANY_LEVELS, MANY_ANCHORS, 0.3, 15, __VA_ARGS__)
#define PROPOSALS_OF(levels, n, fill_, ...)                                                        \
    .type = &op_proposals,                                                                         \
    .attr = &(const struct proposals_attr){.d = {.anchors = levels, __VA_ARGS__}}, .n_in = 3,      \
    .fixed = 7, .fill = (fill_),                                                                   \
    .in = {{PICTURES, n, 1, 1}, {PICTURES, n, 4, 1}, {PICTURES, 4, 1, 1}}
#define PROPOSALS(...) PROPOSALS_OF(ANCHOR_LEVELS, ANCHORS, fill_rpn, .iou = 0.5, __VA_ARGS__)
#define PROPOSALS_MANY(...) PROPOSALS_OF(MANY_LEVELS, MANY_ANCHORS, fill_many, __VA_ARGS__)

#define VARIANCE                                                                                   \
    {                                                                                              \
        0.1, 0.1, 0.2, 0.2                                                                         \
    }

/* 0: regions, 1: truth. */
static void fill_sample(int input, struct shape s, real *v)
{
    if (input == 0) {
        fill_rois(input, s, v);
    } else {
        memcpy(v, truth, sizeof truth);
    }
}

static void fill_many_sample(int input, struct shape s, real *v)
{
    if (input == 0) {
        fill_many_rois(input, s, v);
    } else {
        memcpy(v, truth, sizeof truth);
    }
}

#define SAMPLE(rows_, regions_, fill_)                                                             \
    .type = &op_roi_sample,                                                                        \
    .attr = &(const struct roi_sample_attr){.d = {.rows = (rows_),                                 \
                                                  .fg_part = 0.25,                                 \
                                                  .fg_iou = 0.5,                                   \
                                                  .n_classes = CLASSES,                            \
                                                  .width = INPUT,                                  \
                                                  .height = INPUT,                                 \
                                                  .variance = VARIANCE}},                          \
    .n_in = 2, .fixed = 3, .fill = (fill_),                                                        \
    .in = {{PICTURES * (regions_), ROI_ROW, 1, 1}, {PICTURES, TRUTHS, 5, 1}}

/* Labels 2, 0, -1, 1 and so on, rows of truth 0, 0, 0, 0. */
static void fill_match(struct shape s, real *v)
{
    static const real label[] = {2, 0, -1, 1, 1, 0, 0, -1};

    for (int i = 0; i < s.n; i++) {
        const real row[MATCH_ROW] = {label[i % 8], 0, 0.3, -0.2, 2.5, (real)(0.1 * i)};
        memcpy(v + (ptrdiff_t)i * MATCH_ROW, row, sizeof row);
    }
}

static void fill_loss(int input, struct shape s, real *v)
{
    (void)input;
    fill_match(s, v);
}

/* 0: regions, 3: extent; 1, 2: what the heads say. */
static void fill_detect(int input, struct shape s, real *v)
{
    if (input == 0) {
        fill_rois(input, s, v);
    } else if (input == 3) {
        fill_extent(v);
    } else {
        fill_rpn(input - 1, s, v);
    }
}

/* The same for many regions, whose boxes do not grow. */
static void fill_many_detect(int input, struct shape s, real *v)
{
    if (input == 0) {
        fill_many_rois(input, s, v);
        return;
    }
    fill_detect(input, s, v);
    for (size_t i = 0; input == 2 && i < shape_count(s); i++) {
        v[i] = i % 4 > 1 ? 0 : v[i];
    }
}

/* 1: regions, 2: match, 3: truth, 4: masks, a disc in its box. */
static void fill_mask(int input, struct shape s, real *v)
{
    if (input == 1) {
        fill_rois(input, s, v);
    } else if (input == 2) {
        fill_match(s, v);
    } else if (input == 3) {
        memcpy(v, truth, sizeof truth);
    } else {
        for (int i = 0; i < (int)shape_count(s); i++) {
            const double y = i / s.w % s.h - 3.6, x = i % s.w - 3.4;
            v[i] = x * x + y * y < 11 ? 1 : 0;
        }
    }
}

/* 0: logits, 1: what was found. */
static void fill_found(int input, struct shape s, real *v)
{
    if (input == 0) {
        fill_rpn(0, s, v);
        return;
    }
    for (int i = 0; i < s.n; i++) {
        const real row[FOUND_ROW] = {1, 2, 3, 4, i == 2 ? 0 : (real)0.5, (real)(i % 2)};
        memcpy(v + (ptrdiff_t)i * FOUND_ROW, row, sizeof row);
    }
}

#define DETECT(rows_, iou_, regions_, fill_)                                                       \
    .type = &op_roi_detect,                                                                        \
    .attr = &(const struct roi_detect_attr){.d = {.rows = (rows_),                                 \
                                                  .n_classes = CLASSES,                            \
                                                  .width = INPUT,                                  \
                                                  .height = INPUT,                                 \
                                                  .min_score = 0.05,                               \
                                                  .iou = (iou_),                                   \
                                                  .variance = VARIANCE}},                          \
    .n_in = 4, .fixed = 15, .fill = (fill_),                                                       \
    .in = {{PICTURES * (regions_), ROI_ROW, 1, 1},                                                 \
           {PICTURES * (regions_), CLASSES, 1, 1},                                                 \
           {PICTURES * (regions_), 4 * CLASSES, 1, 1},                                             \
           {PICTURES, 4, 1, 1}}
#define REGIONS                                                                                    \
    {                                                                                              \
        PICTURES *ROWS, ROI_ROW, 1, 1                                                              \
    }

static const struct op_case cases[] = {
    {"roi align", ALIGN(true, 3, 0, 1), .in = {REGIONS, {PICTURES, 3, 8, 7}}},
    {"roi align of the paper's code", ALIGN(false, 2, 0, 1), .in = {REGIONS, {PICTURES, 2, 8, 8}}},
    {"roi align, two levels, some rows", ALIGN(true, 2, 3, 2),
     .in = {REGIONS, {PICTURES, 3, 8, 8}, {PICTURES, 3, 4, 4}}},
    {"roi align, many channels", ALIGN(false, 1, 0, 2),
     .in = {REGIONS, {PICTURES, 19, 4, 4}, {PICTURES, 19, 2, 2}}},
    {"roi align, many regions", ALIGN_OF(true, 2, 0, 2, fill_many_rois),
     .in = {{PICTURES * 40, ROI_ROW, 1, 1}, {PICTURES, 2, 5, 7}, {PICTURES, 2, 3, 4}}},
    {"rpn loss, all drawn", RPN(.sample = 100)},
    {"rpn loss, some drawn, inside only", RPN(.sample = 5, .inside = true)},
    {"rpn loss, many anchors", RPN_MANY(.sample = 256)},
    {"rpn loss, many anchors, inside only", RPN_MANY(.sample = 1500, .inside = true)},
    {"proposals", PROPOSALS(.before = 9, .after = 5, .keep = 6)},
    {"proposals of a batch",
     PROPOSALS(.before = 40, .after = 40, .keep = 9, .per_batch = true, .min_side = 12)},
    {"proposals, many", PROPOSALS_MANY(.before = 700, .after = 400, .keep = 500, .iou = 0.7)},
    {"proposals of a batch, many", PROPOSALS_MANY(.before = 2000, .after = 2000, .keep = 1500,
                                                  .per_batch = true, .iou = 0.9, .min_side = 4)},
    {"roi sample, all", SAMPLE(12, ROWS, fill_sample)},
    {"roi sample, some", SAMPLE(4, ROWS, fill_sample)},
    {"roi sample, many", SAMPLE(300, MANY_ROWS, fill_many_sample)},
    {"roi sample, all of many", SAMPLE(800, MANY_ROWS, fill_many_sample)},
    {"roi loss", .type = &op_roi_loss, .n_in = 3, .fixed = 4, .fill = fill_loss,
     .in = {{8, CLASSES, 1, 1}, {8, 4 * CLASSES, 1, 1}, {8, MATCH_ROW, 1, 1}}},
    {"roi detect", DETECT(5, 0.5, ROWS, fill_detect)},
    {"roi detect, many", DETECT(200, 0.9, MANY_ROWS, fill_many_detect)},
    {"mask loss", .type = &op_mask_loss,
     .attr = &(const struct mask_loss_attr){.d = {.width = INPUT, .height = INPUT}}, .n_in = 5,
     .fixed = 30, .fill = fill_mask,
     .in = {{PICTURES * 2, CLASSES, 4, 4},
            REGIONS,
            {PICTURES * ROWS, MATCH_ROW, 1, 1},
            {PICTURES, TRUTHS, 5, 1},
            {PICTURES, TRUTHS, SIDE, SIDE}}},
    {"mask select", .type = &op_mask_select, .n_in = 2, .fixed = 3, .fill = fill_found,
     .in = {{4, CLASSES, 3, 3}, {4, FOUND_ROW, 1, 1}}},
};

static const struct op_bad bad[] = {
    {{"channels", ALIGN(true, 2, 0, 2), .in = {REGIONS, {PICTURES, 3, 8, 8}, {PICTURES, 2, 4, 4}}},
     "x1 has 3 channels and x2 has 2"},
    {{"bins", ALIGN(true, 65, 0, 1), .in = {REGIONS, {PICTURES, 3, 8, 8}}}, "65x65 bins"},
    {{"rows", ALIGN(true, 2, 5, 1), .in = {REGIONS, {PICTURES, 3, 8, 8}}},
     "5 of 4 regions of a picture"},
    {{"pictures", ALIGN(true, 2, 0, 1), .in = {REGIONS, {3, 3, 8, 8}}},
     "no rows of regions for 3 pictures"},
    {{"deltas", .type = &op_roi_loss, .n_in = 3, .in = {{8, 3, 1, 1}, {8, 11, 1, 1}, {8, 6, 1, 1}}},
     "x1 must be 8x12x1x1, but is 8x11x1x1"},
};

OP_MAIN("roi")
