/*
 * linear.c - [connected]: every output from every input, and [dropout].
 */
#include "section.h"

#include "net.h"
#include "ops/ops.h"

struct connected_keys {
    int output, activation;
    bool batch_normalize, bias;
};

#define AT(field) offsetof(struct connected_keys, field)
static const struct key_spec connected_table[] = {
    {"output", "0", KEY_INT, AT(output), 0, 1000000, NULL, "numbers; 0: as many as [net] classes"},
    {"batch_normalize", "0", KEY_BOOL, AT(batch_normalize), 0, 1, NULL, "1: batch norm follows"},
    {"bias", "1", KEY_BOOL, AT(bias), 0, 1, NULL,
     "a number added to each output; never where a norm follows"},
    {"activation", "logistic", KEY_ENUM, AT(activation), 0, 0, ACT_WORDS, "what comes last"},
    {0},
};
#undef AT

static enum vov_status connected_build(struct builder *b, const void *keys, struct err *err)
{
    const struct connected_keys *k = keys;
    const enum act act = (enum act)k->activation;
    const struct connected_attr a = {
        .out_c = k->output > 0 ? k->output : b->net->classes,
        .bias = k->bias && !k->batch_normalize,
    };

    if (a.out_c == 0) {
        return err_set(err, VOV_ECFG, "[connected] needs output=, or classes= in [net]");
    }
    TRY(build_op(b, &(struct brick){&op_connected, "", &a}, &b->cur, 1, &b->cur, err));
    if (k->batch_normalize) {
        return build_norm(b, "norm", NORM_BATCH, 0, act, b->cur, &b->cur, err);
    }
    return build_act(b, "act", act, b->cur, &b->cur, err);
}

const struct section_type section_connected = {
    .name = "connected",
    .doc = "Every output is a weighted sum of all inputs.",
    .keys = connected_table,
    .keys_size = sizeof(struct connected_keys),
    .head = true,
    .build = connected_build,
};

struct dropout_keys {
    double probability;
};

#define AT(field) offsetof(struct dropout_keys, field)
static const struct key_spec dropout_table[] = {
    {"probability", "0.5", KEY_REAL, AT(probability), 0, 0.999, NULL,
     "part of the numbers that is set to 0 in training; the others grow to make up for it"},
    {0},
};
#undef AT

static enum vov_status dropout_build(struct builder *b, const void *keys, struct err *err)
{
    const struct dropout_keys *k = keys;
    const struct dropout_attr a = {.p = k->probability};

    return build_op(b, &(struct brick){&op_dropout, "", &a}, &b->cur, 1, &b->cur, err);
}

const struct section_type section_dropout = {
    .name = "dropout",
    .doc = "Sets numbers to 0 at random in training; does nothing else.",
    .keys = dropout_table,
    .keys_size = sizeof(struct dropout_keys),
    .build = dropout_build,
};
