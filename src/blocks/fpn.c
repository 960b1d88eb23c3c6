/*
 * fpn.c - [fpn]: a feature pyramid (Lin et al. 2017; docs/mask-rcnn.md). Each level of the backbone
 * goes through a 1x1 convolution, the coarser one is doubled and added, and a 3x3 convolution
 * smooths the sum. Levels are called p2, p3, ... after the logarithm of their stride; coarser ones
 * than the backbone's take every second pixel of the one before.
 */
#include "section.h"

#include "net.h"
#include "ops/ops.h"

#include <math.h>
#include <stdio.h>

enum { FPN_MAX_LEVELS = 8 };

struct fpn_keys {
    struct name_list levels;
    int channels, extra, norm;
};

#define AT(field) offsetof(struct fpn_keys, field)
static const struct key_spec fpn_table[] = {
    {"levels", NULL, KEY_NAMES, AT(levels), 0, 0, NULL,
     "the backbone's sections by name or number, the finest first"},
    {"channels", "256", KEY_INT, AT(channels), 1, 65536, NULL, "of all levels"},
    {"extra", "1", KEY_INT, AT(extra), 0, 4, NULL, "coarser levels than the backbone has"},
    {"norm", "none", KEY_ENUM, AT(norm), 0, 0, "none batch group",
     "what follows its convolutions; none: a bias"},
    {0},
};
#undef AT

/* Caffe2's XavierFill, uniform in +-sqrt(3 / fan-in). */
static struct conv_block fpn_conv(const struct fpn_keys *k, int size, int in_c)
{
    return (struct conv_block){.out = k->channels,
                               .size = size,
                               .stride = 1,
                               .pad = PAD_SAME,
                               .norm = (enum norm)k->norm,
                               .bias = k->norm == NORM_NONE,
                               .init = {INIT_UNIFORM, sqrt(3.0 / ((double)size * size * in_c))}};
}

static enum vov_status add_lateral(struct builder *b, const struct fpn_keys *k, int level,
                                   struct tensor *coarser, struct tensor **x, struct err *err)
{
    const struct conv_block c = fpn_conv(k, 1, (*x)->shape.c);
    char name[32];

    snprintf(name, sizeof name, "lateral%d", level + 1);
    TRY(build_conv(b, name, &c, *x, x, err));
    if (coarser == NULL) {
        return VOV_OK;
    }
    const struct resize_attr up = {.h = (*x)->shape.h, .w = (*x)->shape.w};
    snprintf(name, sizeof name, "up%d", level + 1);
    TRY(build_op(b, &(struct brick){&op_resize, name, &up}, &coarser, 1, &coarser, err));
    snprintf(name, sizeof name, "add%d", level + 1);
    return build_add(b, name, ACT_LINEAR, *x, coarser, x, err);
}

/* p2 where 2 to the power of 2 pixels of the input are one of x. */
static enum vov_status name_level(struct builder *b, struct tensor *x, struct err *err)
{
    const char *name = arena_printf(&b->graph->mem, "p%d", net_level(b->net, x->shape.w));

    if (name == NULL) {
        return err_nomem(err, 8);
    }
    if (map_get(&b->names, name) != NULL) {
        return err_set(err, VOV_ECFG, "[fpn] there is a %s already", name);
    }
    return map_put(&b->names, name, x) ? VOV_OK : err_nomem(err, sizeof(struct map_entry));
}

static enum vov_status add_extra(struct builder *b, const struct fpn_keys *k, struct tensor *x,
                                 struct err *err)
{
    const struct pool_block every_second = {.size = 1, .stride = 2};
    char name[32];

    for (int i = 0; i < k->extra; i++) {
        snprintf(name, sizeof name, "extra%d", i + 1);
        TRY(build_maxpool(b, name, &every_second, x, &x, err));
        TRY(name_level(b, x, err));
    }
    return VOV_OK;
}

static enum vov_status fpn_build(struct builder *b, const void *keys, struct err *err)
{
    const struct fpn_keys *k = keys;
    const int n = k->levels.n;
    struct tensor *level[FPN_MAX_LEVELS];
    const struct conv_block smooth = fpn_conv(k, 3, k->channels);
    char name[32];

    if (n < 1 || n > FPN_MAX_LEVELS) {
        return err_at(err, builder_at(b, "levels"), VOV_ECFG, "[fpn] wants 1 to %d levels, not %d",
                      FPN_MAX_LEVELS, n);
    }
    for (int i = n - 1; i >= 0; i--) {
        if (builder_ref(b, k->levels.v[i], &level[i], err) != VOV_OK) {
            return err_locate(err, builder_at(b, "levels"), NULL);
        }
        TRY(add_lateral(b, k, i, i + 1 < n ? level[i + 1] : NULL, &level[i], err));
    }
    for (int i = n - 1; i >= 0; i--) {
        snprintf(name, sizeof name, "smooth%d", i + 1);
        TRY(build_conv(b, name, &smooth, level[i], &level[i], err));
        TRY(name_level(b, level[i], err));
    }
    b->cur = level[0];
    return add_extra(b, k, level[n - 1], err);
}

const struct section_type section_fpn = {
    .name = "fpn",
    .doc = "A feature pyramid: levels of the backbone joined from the coarsest down, called p2, "
           "p3, ... after the logarithm of their stride.",
    .keys = fpn_table,
    .keys_size = sizeof(struct fpn_keys),
    .head = true,
    .build = fpn_build,
};
