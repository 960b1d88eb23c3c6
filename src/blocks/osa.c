/*
 * osa.c - [osa]: one-shot aggregation (Lee et al. 2019, Fig. 1b and Table 1). A chain of 3x3
 * convolutions whose outputs, and the input, are concatenated once and mixed by a 1x1 convolution.
 * The concat copies nothing: its inputs become slices of one buffer.
 *
 * Version 2 (CenterMask) adds eSE, a gate for each channel, and in every block but a stage's first
 * the input to the output. The released code of version 1 has the sums too; the paper does not.
 */
#include "section.h"

#include <stdio.h>

enum { OSA_MAX_LAYERS = 64, NAME_MAX_BYTES = 48 };
enum osa_ese { ESE_NONE, ESE_LAST, ESE_ALL };
enum osa_identity { IDENTITY_NONE, IDENTITY_REST, IDENTITY_ALL };

struct osa_keys {
    int layers, width, out, repeat, size;
    int ese, identity;
    bool depthwise, bottleneck;
};

#define AT(field) offsetof(struct osa_keys, field)
static const struct key_spec osa_table[] = {
    {"layers", "5", KEY_INT, AT(layers), 1, OSA_MAX_LAYERS, NULL, "convolutions in the chain"},
    {"width", NULL, KEY_INT, AT(width), 1, 65536, NULL, "channels of each of them"},
    {"out", NULL, KEY_INT, AT(out), 1, 65536, NULL, "channels after the 1x1 convolution"},
    {"repeat", "1", KEY_INT, AT(repeat), 1, 256, NULL, "blocks in a row"},
    {"size", "3", KEY_INT, AT(size), 1, 31, NULL, "kernel of the chain's convolutions"},
    {"ese", "none", KEY_ENUM, AT(ese), 0, 0, "none last all",
     "squeeze-excitation: in no block, the last of them, all"},
    {"identity", "none", KEY_ENUM, AT(identity), 0, 0, "none rest all",
     "input added to the output: in no block, all but the first, all"},
    {"depthwise", "0", KEY_BOOL, AT(depthwise), 0, 1, NULL,
     "the chain's convolutions are depthwise and 1x1"},
    {"bottleneck", "0", KEY_BOOL, AT(bottleneck), 0, 1, NULL,
     "a 1x1 convolution to width / 2 before each of the chain"},
    {0},
};
#undef AT

/* "osa2/conv3" in a section that repeats, "conv3" in one that does not. */
static const char *osa_name(char *text, const struct osa_keys *k, int block, const char *what,
                            int layer)
{
    int n = 0;

    if (k->repeat > 1) {
        n = snprintf(text, NAME_MAX_BYTES, "osa%d/", block + 1);
    }
    if (layer > 0) {
        snprintf(text + n, (size_t)(NAME_MAX_BYTES - n), "%s%d", what, layer);
    } else {
        snprintf(text + n, (size_t)(NAME_MAX_BYTES - n), "%s", what);
    }
    return text;
}

static enum vov_status osa_layer(struct builder *b, const struct osa_keys *k, const char *name,
                                 struct tensor *x, struct tensor **y, struct err *err)
{
    if (k->depthwise) {
        return build_separable(b, name, k->width, k->size, 1, x, y, err);
    }
    return build_cbr(b, name, k->width, k->size, 1, x, y, err);
}

/* One block. The concat takes the block's input as it came, whatever reduces it for the chain. */
static enum vov_status osa_block(struct builder *b, const struct osa_keys *k, int block,
                                 struct tensor **io, struct err *err)
{
    struct tensor *part[OSA_MAX_LAYERS + 1] = {*io};
    struct tensor *y = *io;
    char s[NAME_MAX_BYTES];

    if (k->depthwise && y->shape.c != k->width) {
        TRY(build_cbr(b, osa_name(s, k, block, "reduce", 0), k->width, 1, 1, y, &y, err));
    }
    for (int i = 1; i <= k->layers; i++) {
        if (k->bottleneck) {
            TRY(build_cbr(b, osa_name(s, k, block, "squeeze", i), (k->width + 1) / 2, 1, 1, y, &y,
                          err));
        }
        TRY(osa_layer(b, k, osa_name(s, k, block, "conv", i), y, &y, err));
        part[i] = y;
    }
    TRY(build_concat(b, osa_name(s, k, block, "concat", 0), part, k->layers + 1, &y, err));
    TRY(build_cbr(b, osa_name(s, k, block, "mix", 0), k->out, 1, 1, y, &y, err));
    if (k->ese == ESE_ALL || (k->ese == ESE_LAST && block == k->repeat - 1)) {
        TRY(build_ese(b, osa_name(s, k, block, "ese", 0), y, &y, err));
    }
    if (k->identity == IDENTITY_ALL || (k->identity == IDENTITY_REST && block > 0)) {
        TRY(build_add(b, osa_name(s, k, block, "add", 0), ACT_LINEAR, y, *io, &y, err));
    }
    *io = y;
    return VOV_OK;
}

static enum vov_status osa_build(struct builder *b, const void *keys, struct err *err)
{
    const struct osa_keys *k = keys;

    for (int block = 0; block < k->repeat; block++) {
        TRY(osa_block(b, k, block, &b->cur, err));
    }
    return VOV_OK;
}

const struct section_type section_osa = {
    .name = "osa",
    .doc =
        "One-shot aggregation blocks, the stages of VoVNet: a chain of convolutions, all outputs "
        "and the input concatenated once, a 1x1 convolution.",
    .keys = osa_table,
    .keys_size = sizeof(struct osa_keys),
    .build = osa_build,
};
