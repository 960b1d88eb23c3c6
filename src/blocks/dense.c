/*
 * dense.c - [dense] and [transition]: the blocks of DenseNet (Huang et al. 2017). A layer is
 * norm-ReLU-conv3x3, with norm-ReLU-conv1x1 to 4k channels before it in the BC form, and reads all
 * that came before. Each concat is the one before it and one slice more: one buffer that fills.
 */
#include "section.h"

#include <stdio.h>

struct dense_keys {
    int layers, growth;
    double bottleneck;
};

#define AT(field) offsetof(struct dense_keys, field)
static const struct key_spec dense_table[] = {
    {"layers", NULL, KEY_INT, AT(layers), 1, 1024, NULL, "layers of the block"},
    {"growth", NULL, KEY_INT, AT(growth), 1, 8192, NULL, "channels that each layer adds (k)"},
    {"bottleneck", "4", KEY_REAL, AT(bottleneck), 0, 64, NULL,
     "a 1x1 convolution to so many times k channels first; 0: none"},
    {0},
};
#undef AT

static enum vov_status dense_build(struct builder *b, const void *keys, struct err *err)
{
    const struct dense_keys *k = keys;
    const struct conv_block squeeze = {
        .out = (int)(k->bottleneck * k->growth + 0.5), .size = 1, .stride = 1, .pad = PAD_SAME};
    const struct conv_block conv = {.out = k->growth, .size = 3, .stride = 1, .pad = PAD_SAME};
    char s[48];

    for (int i = 1; i <= k->layers; i++) {
        struct tensor *y = b->cur;

        if (squeeze.out > 0) {
            snprintf(s, sizeof s, "layer%d/squeeze", i);
            TRY(build_preact_conv(b, s, &squeeze, y, &y, err));
        }
        snprintf(s, sizeof s, "layer%d/conv", i);
        TRY(build_preact_conv(b, s, &conv, y, &y, err));
        snprintf(s, sizeof s, "layer%d/concat", i);
        TRY(build_concat(b, s, (struct tensor *[]){b->cur, y}, 2, &b->cur, err));
    }
    return VOV_OK;
}

const struct section_type section_dense = {
    .name = "dense",
    .doc = "A dense block, as in DenseNet: each layer reads the outputs of all before it.",
    .keys = dense_table,
    .keys_size = sizeof(struct dense_keys),
    .build = dense_build,
};

struct transition_keys {
    int out;
    double reduction;
    int pool;
};

#define AT(field) offsetof(struct transition_keys, field)
static const struct key_spec transition_table[] = {
    {"out", "0", KEY_INT, AT(out), 0, 65536, NULL, "channels; 0: reduction says"},
    {"reduction", "0.5", KEY_REAL, AT(reduction), 0.001, 1, NULL,
     "channels as a part of the input's"},
    {"pool", "2", KEY_INT, AT(pool), 0, 64, NULL,
     "size and stride of the average pool at the end; 0: none, for a tap before it"},
    {0},
};
#undef AT

static enum vov_status transition_build(struct builder *b, const void *keys, struct err *err)
{
    const struct transition_keys *k = keys;
    const int derived = (int)(k->reduction * b->cur->shape.c + 1e-6);
    const struct conv_block conv = {
        .out = k->out > 0 ? k->out : derived, .size = 1, .stride = 1, .pad = PAD_SAME};

    if (conv.out < 1) {
        return err_set(err, VOV_ECFG, "[transition] reduction=%g leaves none of %d channels",
                       k->reduction, b->cur->shape.c);
    }
    TRY(build_norm(b, "norm", NORM_BATCH, 0, ACT_RELU, b->cur, &b->cur, err));
    TRY(build_conv(b, "conv", &conv, b->cur, &b->cur, err));
    if (k->pool > 1) {
        const struct pool_block p = {.size = k->pool, .stride = k->pool};
        TRY(build_avgpool(b, "pool", &p, b->cur, &b->cur, err));
    }
    return VOV_OK;
}

const struct section_type section_transition = {
    .name = "transition",
    .doc = "Between dense blocks: norm, ReLU, a 1x1 convolution, an average pool.",
    .keys = transition_table,
    .keys_size = sizeof(struct transition_keys),
    .build = transition_build,
};
