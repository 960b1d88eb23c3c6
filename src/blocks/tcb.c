/*
 * tcb.c - [tcb]: RefineDet's transfer connection block (Zhang et al. 2018, Fig. 2; paper.md 4.1). A
 * level's features, through two convolutions, plus the next coarser level's block, doubled by a
 * transposed convolution. All convolutions have batch norms.
 */
#include "section.h"

#include "ops/ops.h"

#include <stdio.h>

struct tcb_keys {
    int channels;
    const char *top;
};

#define AT(field) offsetof(struct tcb_keys, field)
static const struct key_spec tcb_table[] = {
    {"channels", "256", KEY_INT, AT(channels), 1, 65536, NULL, "of all its convolutions"},
    {"top", "", KEY_NAME, AT(top), 0, 0, NULL,
     "the block of the next coarser level, by name or number; none: this is the coarsest"},
    {0},
};
#undef AT

struct tcb_names {
    char conv1[64], conv2[64], up[64], norm[64], add[64], out[64];
};

static void tcb_name_all(struct tcb_names *s, const char *name)
{
    const char *const dash = name[0] != '\0' ? "/" : "";

    snprintf(s->conv1, sizeof s->conv1, "%s%sconv1", name, dash);
    snprintf(s->conv2, sizeof s->conv2, "%s%sconv2", name, dash);
    snprintf(s->up, sizeof s->up, "%s%sup", name, dash);
    snprintf(s->norm, sizeof s->norm, "%s%sup/norm", name, dash);
    snprintf(s->add, sizeof s->add, "%s%sadd", name, dash);
    snprintf(s->out, sizeof s->out, "%s%sout", name, dash);
}

/* The coarser block, twice as large: transposed convolution 2x2 by 2, batch norm, no ReLU. */
static enum vov_status tcb_up(struct builder *b, const struct tcb_names *s, int channels,
                              struct tensor *top, struct tensor **y, struct err *err)
{
    const struct conv_attr up = {.d = {2, 2, 2, 0, 1, 1}, .out_c = channels};

    TRY(build_op(b, &(struct brick){&op_deconv, s->up, &up}, &top, 1, y, err));
    return build_norm(b, s->norm, NORM_BATCH, 0, ACT_LINEAR, *y, y, err);
}

enum vov_status build_tcb(struct builder *b, const char *name, int channels, struct tensor *x,
                          struct tensor *top, struct tensor **y, struct err *err)
{
    struct conv_block conv = {
        .out = channels, .size = 3, .stride = 1, .pad = PAD_SAME, .norm = NORM_BATCH};
    struct tensor *t = x, *up = NULL;
    struct tcb_names s;

    tcb_name_all(&s, name);
    TRY(build_cbr(b, s.conv1, channels, 3, 1, t, &t, err));
    conv.act = top == NULL ? ACT_RELU : ACT_LINEAR;
    TRY(build_conv(b, s.conv2, &conv, t, &t, err));
    if (top != NULL) {
        TRY(tcb_up(b, &s, channels, top, &up, err));
        TRY(build_add(b, s.add, ACT_RELU, t, up, &t, err));
    }
    return build_cbr(b, s.out, channels, 3, 1, t, y, err);
}

static enum vov_status tcb_build(struct builder *b, const void *keys, struct err *err)
{
    const struct tcb_keys *k = keys;
    struct tensor *top = NULL;

    if (k->top != NULL) {
        if (builder_ref(b, k->top, &top, err) != VOV_OK) {
            return err_locate(err, builder_at(b, "top"), NULL);
        }
    }
    return build_tcb(b, "", k->channels, b->cur, top, &b->cur, err);
}

const struct section_type section_tcb = {
    .name = "tcb",
    .doc = "RefineDet's transfer connection block: joins a level with the coarser one above it.",
    .keys = tcb_table,
    .keys_size = sizeof(struct tcb_keys),
    .build = tcb_build,
};
