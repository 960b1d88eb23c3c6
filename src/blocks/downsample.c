/*
 * downsample.c - [downsample]: DSOD's dense downsampling block (Shen et al. 2017, docs/ssd.md).
 * Half of its channels are learned (norm-ReLU-conv1x1, norm-ReLU-conv3x3 of stride 2), half are the
 * pooled input (max pool, norm-ReLU-conv1x1).
 */
#include "section.h"

struct downsample_keys {
    int width;
};

#define AT(field) offsetof(struct downsample_keys, field)
static const struct key_spec downsample_table[] = {
    {"width", NULL, KEY_INT, AT(width), 1, 32768, NULL,
     "channels of each half; the output has twice as many"},
    {0},
};
#undef AT

static enum vov_status downsample_build(struct builder *b, const void *keys, struct err *err)
{
    const struct downsample_keys *k = keys;
    const struct pool_block pool = {.size = 2, .stride = 2, .ceil_mode = true};
    const struct conv_block squeeze = {.out = k->width, .size = 1, .stride = 1, .pad = PAD_SAME};
    const struct conv_block stride2 = {.out = k->width, .size = 3, .stride = 2, .pad = PAD_SAME};
    struct tensor *learned = b->cur, *pooled = b->cur;

    TRY(build_maxpool(b, "pool", &pool, pooled, &pooled, err));
    TRY(build_preact_conv(b, "pooled", &squeeze, pooled, &pooled, err));
    TRY(build_preact_conv(b, "squeeze", &squeeze, learned, &learned, err));
    TRY(build_preact_conv(b, "conv", &stride2, learned, &learned, err));
    return build_concat(b, "concat", (struct tensor *[]){pooled, learned}, 2, &b->cur, err);
}

extern const struct section_type section_downsample;
const struct section_type section_downsample = {
    .name = "downsample",
    .doc = "DSOD's dense downsampling block: half learned, half the pooled input; half the size.",
    .keys = downsample_table,
    .keys_size = sizeof(struct downsample_keys),
    .build = downsample_build,
};
