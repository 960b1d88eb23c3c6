/*
 * stem.c - [stem]: the first convolutions of a network, 3x3 with batch norm and ReLU each. VoVNet's
 * paper has strides 2, 1, 1 before a pooling layer, its released code 2, 1, 2 without one.
 */
#include "section.h"

#include <stdio.h>

struct stem_keys {
    struct int_list channels, strides;
    int size;
    bool depthwise;
};

#define AT(field) offsetof(struct stem_keys, field)
static const struct key_spec stem_table[] = {
    {"channels", NULL, KEY_INTS, AT(channels), 1, 65536, NULL,
     "of each convolution: as many convolutions as numbers"},
    {"strides", "2,1,1", KEY_INTS, AT(strides), 1, 64, NULL, "of each convolution"},
    {"size", "3", KEY_INT, AT(size), 1, 31, NULL, "kernel of all of them"},
    {"depthwise", "0", KEY_BOOL, AT(depthwise), 0, 1, NULL,
     "all after the first are depthwise and 1x1"},
    {0},
};
#undef AT

static enum vov_status stem_build(struct builder *b, const void *keys, struct err *err)
{
    const struct stem_keys *k = keys;
    struct tensor *y = b->cur;
    char name[24];

    if (k->channels.n != k->strides.n) {
        return err_at(err, builder_at(b, "strides"), VOV_ECFG,
                      "[stem] channels has %d numbers, strides has %d", k->channels.n,
                      k->strides.n);
    }
    for (int i = 0; i < k->channels.n; i++) {
        const int c = k->channels.v[i], stride = k->strides.v[i];

        snprintf(name, sizeof name, "conv%d", i + 1);
        if (k->depthwise && i > 0) {
            TRY(build_separable(b, name, c, k->size, stride, y, &y, err));
        } else {
            TRY(build_cbr(b, name, c, k->size, stride, y, &y, err));
        }
    }
    b->cur = y;
    return VOV_OK;
}

const struct section_type section_stem = {
    .name = "stem",
    .doc = "The first convolutions of a network, with batch norm and ReLU each.",
    .keys = stem_table,
    .keys_size = sizeof(struct stem_keys),
    .build = stem_build,
};
