/*
 * two_way_dense.c - [two_way_dense]: the dense block of PeleeNet (Wang et al. 2018, docs/ssd.md).
 * Each layer adds growth channels: half of them from one 3x3 convolution, half from two in a row,
 * which see further; each way starts with a 1x1 convolution. All are Conv-BN-ReLU.
 */
#include "section.h"

#include <stdio.h>

struct two_way_keys {
    int layers, growth;
    double bottleneck;
};

#define AT(field) offsetof(struct two_way_keys, field)
static const struct key_spec two_way_table[] = {
    {"layers", NULL, KEY_INT, AT(layers), 1, 1024, NULL, "layers of the block"},
    {"growth", "32", KEY_INT, AT(growth), 2, 8192, NULL, "channels that each layer adds (k)"},
    {"bottleneck", "4", KEY_REAL, AT(bottleneck), 0.01, 64, NULL,
     "channels of the 1x1 convolutions, in halves of growth"},
    {0},
};
#undef AT

/* A 1x1 convolution and n of 3x3. */
static enum vov_status add_way(struct builder *b, const struct two_way_keys *k, int layer, int n,
                               struct tensor **y, struct err *err)
{
    const int half = k->growth / 2;
    char s[48];

    snprintf(s, sizeof s, "layer%d/way%d/squeeze", layer, n);
    TRY(build_cbr(b, s, (int)(k->bottleneck * half + 0.5), 1, 1, b->cur, y, err));
    for (int i = 1; i <= n; i++) {
        snprintf(s, sizeof s, "layer%d/way%d/conv%d", layer, n, i);
        TRY(build_cbr(b, s, half, 3, 1, *y, y, err));
    }
    return VOV_OK;
}

static enum vov_status two_way_build(struct builder *b, const void *keys, struct err *err)
{
    const struct two_way_keys *k = keys;
    char s[48];

    if (k->growth % 2 != 0) {
        return err_at(err, builder_at(b, "growth"), VOV_ECFG,
                      "[two_way_dense] wants an even growth, half for each way, not %d", k->growth);
    }
    for (int i = 1; i <= k->layers; i++) {
        struct tensor *in[3] = {b->cur};

        TRY(add_way(b, k, i, 1, &in[1], err));
        TRY(add_way(b, k, i, 2, &in[2], err));
        snprintf(s, sizeof s, "layer%d/concat", i);
        TRY(build_concat(b, s, in, 3, &b->cur, err));
    }
    return VOV_OK;
}

extern const struct section_type section_two_way_dense;
const struct section_type section_two_way_dense = {
    .name = "two_way_dense",
    .doc = "PeleeNet's dense block: each layer looks at two sizes of window.",
    .keys = two_way_table,
    .keys_size = sizeof(struct two_way_keys),
    .build = two_way_build,
};
