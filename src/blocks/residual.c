/*
 * residual.c - [bottleneck]: a stage of ResNet-50 and deeper (He et al. 2016). A block is 1x1, 3x3,
 * 1x1 with batch norms, the input added before the last ReLU. The first block of a stage may halve
 * the picture, by its 3x3 (torchvision) or its first 1x1 (the authors' Caffe nets), and brings its
 * input to the right shape by a 1x1 convolution of its own.
 */
#include "section.h"

#include <stdio.h>

enum stride_on { STRIDE_ON_3X3, STRIDE_ON_1X1 };

struct residual_keys {
    int width, out, repeat, stride, stride_on;
    bool project;
    double init;
};

#define AT(field) offsetof(struct residual_keys, field)
static const struct key_spec residual_table[] = {
    {"width", NULL, KEY_INT, AT(width), 1, 65536, NULL, "channels of the 3x3 convolutions"},
    {"out", "0", KEY_INT, AT(out), 0, 65536, NULL, "channels of the blocks; 0: 4 x width"},
    {"repeat", "1", KEY_INT, AT(repeat), 1, 256, NULL, "blocks in a row"},
    {"stride", "1", KEY_INT, AT(stride), 1, 64, NULL, "of the first block"},
    {"stride_on", "3x3", KEY_ENUM, AT(stride_on), 0, 0, "3x3 1x1",
     "which convolution of the first block has it"},
    {"project", "0", KEY_BOOL, AT(project), 0, 1, NULL,
     "1: a 1x1 convolution on the first block's shortcut even where shapes agree"},
    {"init", "0", KEY_REAL, AT(init), 0, 1000, NULL,
     "weights start normally distributed with this deviation; 0: He's"},
    {0},
};
#undef AT

enum vov_status build_residual(struct builder *b, const char *name, const struct residual_block *r,
                               struct tensor *x, struct tensor **y, struct err *err)
{
    const struct param_init init = init_normal(r->init);
    const struct conv_block part[] = {
        {r->out, 1, r->stride, .norm = NORM_BATCH, .init = init},
        {r->width, 1, r->stride_on_1x1 ? r->stride : 1, .norm = NORM_BATCH, .act = ACT_RELU,
         .init = init},
        {r->width, 3, r->stride_on_1x1 ? 1 : r->stride, PAD_SAME, .norm = NORM_BATCH,
         .act = ACT_RELU, .init = init},
        {r->out, 1, 1, .norm = NORM_BATCH, .init = init},
    };
    static const char *const part_name[] = {"project", "conv1", "conv2", "conv3"};
    const bool project = r->project || r->stride != 1 || x->shape.c != r->out;
    const char *const dash = name[0] != '\0' ? "/" : "";
    struct tensor *side = x, *t = x;
    char s[64];

    for (int i = project ? 0 : 1; i < 4; i++) {
        struct tensor **io = i == 0 ? &side : &t;

        snprintf(s, sizeof s, "%s%s%s", name, dash, part_name[i]);
        TRY(build_conv(b, s, &part[i], *io, io, err));
    }
    snprintf(s, sizeof s, "%s%sadd", name, dash);
    return build_add(b, s, ACT_RELU, t, side, y, err);
}

static enum vov_status residual_build(struct builder *b, const void *keys, struct err *err)
{
    const struct residual_keys *k = keys;
    struct residual_block r = {
        .width = k->width,
        .out = k->out > 0 ? k->out : 4 * k->width,
        .stride = k->stride,
        .stride_on_1x1 = k->stride_on == STRIDE_ON_1X1,
        .project = k->project,
        .init = k->init,
    };
    char name[24];

    for (int i = 1; i <= k->repeat; i++) {
        snprintf(name, sizeof name, "block%d", i);
        TRY(build_residual(b, name, &r, b->cur, &b->cur, err));
        r.stride = 1;
        r.project = false;
    }
    return VOV_OK;
}

const struct section_type section_bottleneck = {
    .name = "bottleneck",
    .doc = "Residual blocks of 1x1, 3x3, 1x1 convolutions, the stages of ResNet-50 and deeper.",
    .keys = residual_table,
    .keys_size = sizeof(struct residual_keys),
    .build = residual_build,
};
