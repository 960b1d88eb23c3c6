/*
 * builder.c - the bricks that sections are made of: single nodes with readable names, and the usual
 * groups of them (convolution, norm, activation).
 */
#include "section.h"

#include "base/text.h"
#include "net.h"
#include "ops/ops.h"

#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 96 };

/* "conv1/norm", or "norm" under a brick that is called after its section. */
static const char *name_join(char text[NAME_BYTES], const char *name, const char *part)
{
    snprintf(text, NAME_BYTES, "%s%s%s", name, name[0] != '\0' ? "/" : "", part);
    return text;
}

const struct src_loc *builder_at(const struct builder *b, const char *key)
{
    const struct cfg_key *k = cfg_find(b->section, key);

    return k != NULL ? &k->value_at : &b->section->at;
}

static enum vov_status find_output(const struct builder *b, const char *name, struct tensor **t,
                                   struct err *err)
{
    const char *near;

    *t = map_get(&b->names, name);
    if (*t != NULL) {
        return VOV_OK;
    }
    near = b->names.n == 0
               ? NULL
               : text_nearest(name, &b->names.entry[0].key, b->names.n, sizeof b->names.entry[0]);
    if (near != NULL) {
        return err_set(err, VOV_ECFG, "[%s] no section before has name=%s; did you mean '%s'?",
                       b->section->type, name, near);
    }
    return err_set(err, VOV_ECFG, "[%s] no section before has name=%s", b->section->type, name);
}

enum vov_status builder_layer(const struct builder *b, int number, struct tensor **t,
                              struct err *err)
{
    const int i = number < 0 ? b->index + number : number;

    if (i == b->index) {
        return err_set(err, VOV_ECFG, "[%s] layer %d is this section itself", b->section->type,
                       number);
    }
    if (b->index == 0) {
        return err_set(err, VOV_ECFG, "[%s] there is no layer %d: this is the first section",
                       b->section->type, number);
    }
    if (i < 0 || i > b->index) {
        return err_set(err, VOV_ECFG,
                       "[%s] there is no layer %d before this one; layers are 0 to %d, or -1 back "
                       "to -%d",
                       b->section->type, number, b->index - 1, b->index);
    }
    *t = b->outs[i];
    return VOV_OK;
}

enum vov_status builder_ref(const struct builder *b, const char *text, struct tensor **t,
                            struct err *err)
{
    long long number;

    if (map_get(&b->names, text) == NULL && text_int(text, &number)) {
        const int far = number < 0 ? -1000000 : 1000000;

        return builder_layer(b, number < -1000000 || number > 1000000 ? far : (int)number, t, err);
    }
    return find_output(b, text, t, err);
}

enum vov_status build_op(struct builder *b, const struct brick *brick, struct tensor *const *x,
                         int n, struct tensor **y, struct err *err)
{
    const char *name = brick->name[0] == '\0'
                           ? b->prefix
                           : arena_printf(&b->graph->mem, "%s/%s", b->prefix, brick->name);
    struct tensor *out[OP_MAX_OUT];

    if (name == NULL) {
        return err_nomem(err, strlen(b->prefix) + strlen(brick->name) + 2);
    }
    TRY(graph_add(b->graph, brick->type, name, brick->attr, x, n, out, err));
    *y = out[0];
    return VOV_OK;
}

/* The group count that is meant: 32, or the largest under it that divides c. */
static int default_groups(int c)
{
    int g = 32;

    while (c % g != 0) {
        g--;
    }
    return g;
}

enum vov_status build_norm(struct builder *b, const char *name, enum norm norm, int groups,
                           enum act act, struct tensor *x, struct tensor **y, struct err *err)
{
    const bool group = norm == NORM_GROUP || b->net->norm == NET_NORM_GROUP;
    const int derived = groups > 0 ? groups : default_groups(x->shape.c);
    const bool apart = !act_from_output(act); /* the norm cannot undo it in the backward pass */
    const struct norm_attr a = {
        .groups = group ? derived : 0,
        .frozen = !group && b->net->norm == NET_NORM_FROZEN,
        .eps = b->net->norm_eps,
        .momentum = b->net->norm_momentum,
        .act = apart ? ACT_LINEAR : act,
    };
    char s[NAME_BYTES];

    if (norm == NORM_NONE) {
        return build_act(b, name, act, x, y, err);
    }
    TRY(build_op(b, &(struct brick){&op_norm, name, &a}, &x, 1, y, err));
    return apart ? build_act(b, name_join(s, name, "act"), act, *y, y, err) : VOV_OK;
}

enum vov_status build_act(struct builder *b, const char *name, enum act act, struct tensor *x,
                          struct tensor **y, struct err *err)
{
    const struct act_attr a = {.act = act};

    if (act == ACT_LINEAR) {
        *y = x;
        return VOV_OK;
    }
    return build_op(b, &(struct brick){&op_activation, name, &a}, &x, 1, y, err);
}

enum vov_status build_conv(struct builder *b, const char *name, const struct conv_block *c,
                           struct tensor *x, struct tensor **y, struct err *err)
{
    const int dilation = c->dilation > 0 ? c->dilation : 1;
    const int pad = c->pad == PAD_SAME ? (c->size - 1) / 2 * dilation : c->pad;
    const bool inside = c->norm == NORM_NONE && act_from_output(c->act);
    const struct conv_attr a = {
        .d = {c->size, c->size, c->stride, pad, dilation, c->groups > 0 ? c->groups : 1,
              (enum conv_alg)b->net->conv},
        .out_c = c->out,
        .bias = c->bias && c->norm == NORM_NONE,
        .act = inside ? c->act : ACT_LINEAR,
        .init = c->init,
    };
    char s[NAME_BYTES];

    TRY(build_op(b, &(struct brick){&op_conv, name, &a}, &x, 1, y, err));
    if (inside) {
        return VOV_OK;
    }
    return build_norm(b, name_join(s, name, c->norm == NORM_NONE ? "act" : "norm"), c->norm,
                      c->norm_groups, c->act, *y, y, err);
}

enum vov_status build_cbr(struct builder *b, const char *name, int out, int size, int stride,
                          struct tensor *x, struct tensor **y, struct err *err)
{
    const struct conv_block c = {.out = out,
                                 .size = size,
                                 .stride = stride,
                                 .pad = PAD_SAME,
                                 .norm = NORM_BATCH,
                                 .act = ACT_RELU};

    return build_conv(b, name, &c, x, y, err);
}

enum vov_status build_separable(struct builder *b, const char *name, int out, int size, int stride,
                                struct tensor *x, struct tensor **y, struct err *err)
{
    const struct conv_block depthwise = {
        .out = x->shape.c, .size = size, .stride = stride, .pad = PAD_SAME, .groups = x->shape.c};
    char s[NAME_BYTES];

    TRY(build_conv(b, name_join(s, name, "depth"), &depthwise, x, y, err));
    return build_cbr(b, name, out, 1, 1, *y, y, err);
}

enum vov_status build_concat(struct builder *b, const char *name, struct tensor *const *x, int n,
                             struct tensor **y, struct err *err)
{
    return build_op(b, &(struct brick){&op_concat, name, NULL}, x, n, y, err);
}

enum vov_status build_add(struct builder *b, const char *name, enum act act, struct tensor *x1,
                          struct tensor *x2, struct tensor **y, struct err *err)
{
    const bool apart = !act_from_output(act);
    const struct act_attr a = {.act = apart ? ACT_LINEAR : act};
    char s[NAME_BYTES];

    TRY(build_op(b, &(struct brick){&op_add, name, &a}, (struct tensor *[]){x1, x2}, 2, y, err));
    return apart ? build_act(b, name_join(s, name, "act"), act, *y, y, err) : VOV_OK;
}

enum vov_status build_preact_conv(struct builder *b, const char *name, const struct conv_block *c,
                                  struct tensor *x, struct tensor **y, struct err *err)
{
    char s[NAME_BYTES];

    TRY(build_norm(b, name_join(s, name, "norm"), NORM_BATCH, 0, ACT_RELU, x, y, err));
    return build_conv(b, name, c, *y, y, err);
}

static struct pool_attr pool_attr(const struct pool_block *p)
{
    return (struct pool_attr){
        .d = {p->size, p->stride, p->pad / 2}, .pad_total = p->pad, .ceil_mode = p->ceil_mode};
}

enum vov_status build_maxpool(struct builder *b, const char *name, const struct pool_block *p,
                              struct tensor *x, struct tensor **y, struct err *err)
{
    const struct pool_attr a = pool_attr(p);

    return build_op(b, &(struct brick){&op_maxpool, name, &a}, &x, 1, y, err);
}

enum vov_status build_avgpool(struct builder *b, const char *name, const struct pool_block *p,
                              struct tensor *x, struct tensor **y, struct err *err)
{
    const struct pool_attr a = pool_attr(p);

    return build_op(b, &(struct brick){&op_avgpool, name, &a}, &x, 1, y, err);
}

enum vov_status build_avgpool_global(struct builder *b, const char *name, struct tensor *x,
                                     struct tensor **y, struct err *err)
{
    return build_op(b, &(struct brick){&op_global_avgpool, name, NULL}, &x, 1, y, err);
}

/* x * hard_sigmoid(W mean(x) + b): the gate of VoVNetV2 (Lee and Park 2020). */
enum vov_status build_ese(struct builder *b, const char *name, struct tensor *x, struct tensor **y,
                          struct err *err)
{
    const struct conv_block gate = {
        .out = x->shape.c, .size = 1, .stride = 1, .bias = true, .act = ACT_HSIGMOID};
    struct tensor *g;
    char s[NAME_BYTES];

    TRY(build_avgpool_global(b, name_join(s, name, "mean"), x, &g, err));
    TRY(build_conv(b, name_join(s, name, "gate"), &gate, g, &g, err));
    return build_op(b, &(struct brick){&op_mul_channel, name_join(s, name, "scale"), NULL},
                    (struct tensor *[]){x, g}, 2, y, err);
}
