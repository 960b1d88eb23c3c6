/*
 * norm.c - norms, activations and gates as sections of their own: [batchnorm], [groupnorm],
 * [l2norm], [activation], [ese].
 */
#include "section.h"

#include "ops/ops.h"

struct norm_keys {
    int activation, groups;
};

#define AT(field) offsetof(struct norm_keys, field)
static const struct key_spec batchnorm_table[] = {
    {"activation", "linear", KEY_ENUM, AT(activation), 0, 0, ACT_WORDS, "what follows"},
    {0},
};

static enum vov_status batchnorm_build(struct builder *b, const void *keys, struct err *err)
{
    const struct norm_keys *k = keys;

    return build_norm(b, "", NORM_BATCH, 0, (enum act)k->activation, b->cur, &b->cur, err);
}

const struct section_type section_batchnorm = {
    .name = "batchnorm",
    .doc = "Each channel to mean 0 and variance 1 over the batch, then a learned scale and shift.",
    .keys = batchnorm_table,
    .keys_size = sizeof(struct norm_keys),
    .build = batchnorm_build,
};

static const struct key_spec groupnorm_table[] = {
    {"groups", "0", KEY_INT, AT(groups), 0, 65536, NULL,
     "of channels; 0: 32, or the most under it that divide them"},
    {"activation", "linear", KEY_ENUM, AT(activation), 0, 0, ACT_WORDS, "what follows"},
    {0},
};
#undef AT

static enum vov_status groupnorm_build(struct builder *b, const void *keys, struct err *err)
{
    const struct norm_keys *k = keys;

    return build_norm(b, "", NORM_GROUP, k->groups, (enum act)k->activation, b->cur, &b->cur, err);
}

const struct section_type section_groupnorm = {
    .name = "groupnorm",
    .doc = "Each group of channels of each picture to mean 0 and variance 1, then a learned scale "
           "and shift.",
    .keys = groupnorm_table,
    .keys_size = sizeof(struct norm_keys),
    .build = groupnorm_build,
};

struct l2norm_keys {
    double scale, eps;
};

#define AT(field) offsetof(struct l2norm_keys, field)
static const struct key_spec l2norm_table[] = {
    {"scale", "10", KEY_REAL, AT(scale), 1e-6, 1e6, NULL, "of each channel, to start with"},
    {"eps", "1e-10", KEY_REAL, AT(eps), 0, 1, NULL, "added to the sum of squares"},
    {0},
};
#undef AT

static enum vov_status l2norm_build(struct builder *b, const void *keys, struct err *err)
{
    const struct l2norm_keys *k = keys;
    const struct l2norm_attr a = {.scale = k->scale, .eps = k->eps};

    return build_op(b, &(struct brick){&op_l2norm, "", &a}, &b->cur, 1, &b->cur, err);
}

const struct section_type section_l2norm = {
    .name = "l2norm",
    .doc = "Each pixel's channels to length 1, times a learned scale for each channel.",
    .keys = l2norm_table,
    .keys_size = sizeof(struct l2norm_keys),
    .build = l2norm_build,
};

struct activation_keys {
    int activation;
};

#define AT(field) offsetof(struct activation_keys, field)
static const struct key_spec activation_table[] = {
    {"activation", NULL, KEY_ENUM, AT(activation), 0, 0, ACT_WORDS, "which"},
    {0},
};
#undef AT

static enum vov_status activation_build(struct builder *b, const void *keys, struct err *err)
{
    const struct activation_keys *k = keys;

    return build_act(b, "", (enum act)k->activation, b->cur, &b->cur, err);
}

const struct section_type section_activation = {
    .name = "activation",
    .doc = "A function of each number alone.",
    .keys = activation_table,
    .keys_size = sizeof(struct activation_keys),
    .build = activation_build,
};

static const struct key_spec ese_table[] = {{0}};

static enum vov_status ese_build(struct builder *b, const void *keys, struct err *err)
{
    (void)keys;
    return build_ese(b, "", b->cur, &b->cur, err);
}

const struct section_type section_ese = {
    .name = "ese",
    .doc = "Effective squeeze-excitation: each channel times a gate that depends on the means of "
           "all channels.",
    .keys = ese_table,
    .keys_size = 0,
    .build = ese_build,
};
