/*
 * conv.c - [convolutional] and [deconvolutional], with Darknet's keys and defaults: an activation
 * that is not said is logistic, pad=1 pads by half the kernel.
 */
#include "section.h"

#include "ops/ops.h"

struct conv_keys {
    int filters, size, stride, padding, groups, dilation;
    bool pad, batch_normalize, bias;
    int activation, norm, norm_groups;
};

#define AT(field) offsetof(struct conv_keys, field)
static const struct key_spec conv_table[] = {
    {"filters", "1", KEY_INT, AT(filters), 1, 65536, NULL, "channels of the output"},
    {"size", "1", KEY_INT, AT(size), 1, 255, NULL, "side of the kernel"},
    {"stride", "1", KEY_INT, AT(stride), 1, 64, NULL, "pixels between two windows"},
    {"pad", "0", KEY_BOOL, AT(pad), 0, 1, NULL, "1: pad by size / 2 (times dilation)"},
    {"padding", "0", KEY_INT, AT(padding), 0, 255, NULL,
     "zeros around the input, where pad is not 1"},
    {"groups", "1", KEY_INT, AT(groups), 1, 65536, NULL,
     "parts that channels are divided in; as many as channels: depthwise"},
    {"dilation", "1", KEY_INT, AT(dilation), 1, 64, NULL, "pixels between the kernel's numbers"},
    {"batch_normalize", "0", KEY_BOOL, AT(batch_normalize), 0, 1, NULL, "1: batch norm follows"},
    {"norm", "none", KEY_ENUM, AT(norm), 0, 0, "none batch group",
     "the norm that follows; batch is batch_normalize=1"},
    {"norm_groups", "0", KEY_INT, AT(norm_groups), 0, 65536, NULL,
     "of norm=group; 0: 32, or the most under it that divide the filters"},
    {"bias", "1", KEY_BOOL, AT(bias), 0, 1, NULL,
     "a number added to each channel; never where a norm follows"},
    {"activation", "logistic", KEY_ENUM, AT(activation), 0, 0, ACT_WORDS, "what comes last"},
    {0},
};
#undef AT

static enum vov_status conv_build(struct builder *b, const void *keys, struct err *err)
{
    const struct conv_keys *k = keys;
    const struct conv_block c = {
        .out = k->filters,
        .size = k->size,
        .stride = k->stride,
        .pad = k->pad ? k->size / 2 * k->dilation : k->padding,
        .dilation = k->dilation,
        .groups = k->groups,
        .norm = k->batch_normalize ? NORM_BATCH : (enum norm)k->norm,
        .norm_groups = k->norm_groups,
        .bias = k->bias,
        .act = (enum act)k->activation,
    };

    if (k->batch_normalize && k->norm == NORM_GROUP) {
        return err_at(err, builder_at(b, "norm"), VOV_ECFG,
                      "[convolutional] batch_normalize=1 and norm=group exclude "
                      "each other");
    }
    return build_conv(b, "", &c, b->cur, &b->cur, err);
}

const struct section_type section_convolutional = {
    .name = "convolutional",
    .doc = "A convolution, then a norm and an activation where they are asked for. Also called "
           "[conv].",
    .keys = conv_table,
    .keys_size = sizeof(struct conv_keys),
    .build = conv_build,
};

struct deconv_keys {
    int filters, size, stride, padding;
    bool batch_normalize, bias;
    int activation;
};

#define AT(field) offsetof(struct deconv_keys, field)
static const struct key_spec deconv_table[] = {
    {"filters", "1", KEY_INT, AT(filters), 1, 65536, NULL, "channels of the output"},
    {"size", "2", KEY_INT, AT(size), 1, 255, NULL, "side of the kernel"},
    {"stride", "2", KEY_INT, AT(stride), 1, 64, NULL, "how many times larger the output is"},
    {"padding", "0", KEY_INT, AT(padding), 0, 255, NULL, "rows and columns cut off each side"},
    {"batch_normalize", "0", KEY_BOOL, AT(batch_normalize), 0, 1, NULL, "1: batch norm follows"},
    {"bias", "1", KEY_BOOL, AT(bias), 0, 1, NULL,
     "a number added to each channel; never where a norm follows"},
    {"activation", "logistic", KEY_ENUM, AT(activation), 0, 0, ACT_WORDS, "what comes last"},
    {0},
};
#undef AT

static enum vov_status deconv_build(struct builder *b, const void *keys, struct err *err)
{
    const struct deconv_keys *k = keys;
    const enum act act = (enum act)k->activation;
    const struct conv_attr a = {
        .d = {.kh = k->size,
              .kw = k->size,
              .stride = k->stride,
              .pad = k->padding,
              .dilation = 1,
              .groups = 1},
        .out_c = k->filters,
        .bias = k->bias && !k->batch_normalize,
    };

    TRY(build_op(b, &(struct brick){&op_deconv, "", &a}, &b->cur, 1, &b->cur, err));
    if (k->batch_normalize) {
        return build_norm(b, "norm", NORM_BATCH, 0, act, b->cur, &b->cur, err);
    }
    return build_act(b, "act", act, b->cur, &b->cur, err);
}

const struct section_type section_deconvolutional = {
    .name = "deconvolutional",
    .doc = "A transposed convolution: each number of the input paints a kernel into the output.",
    .keys = deconv_table,
    .keys_size = sizeof(struct deconv_keys),
    .build = deconv_build,
};
