/*
 * route.c - [route]: outputs of earlier sections side by side, or a part of their channels; and
 * [shortcut]: their sum. Layers are counted as Darknet counts, or called by name.
 */
#include "section.h"

#include "ops/ops.h"

enum { ROUTE_MAX = 64 };

struct route_keys {
    struct int_list layers;
    struct name_list from;
    int groups, group_id;
};

#define AT(field) offsetof(struct route_keys, field)
static const struct key_spec route_table[] = {
    {"layers", "", KEY_INTS, AT(layers), -100000, 100000, NULL,
     "numbers of sections: from 0, or back from here (-1: the one before)"},
    {"from", "", KEY_NAMES, AT(from), 0, 0, NULL, "names of sections, instead of layers"},
    {"groups", "1", KEY_INT, AT(groups), 1, 65536, NULL,
     "take one part of so many of each one's channels"},
    {"group_id", "0", KEY_INT, AT(group_id), 0, 65535, NULL, "which part, from 0"},
    {0},
};
#undef AT

/* Replaces t by channels group_id * c / groups .. of it. */
static enum vov_status take_group(struct builder *b, const struct route_keys *k, struct tensor **t,
                                  struct err *err)
{
    const int c = (*t)->shape.c / k->groups;
    const struct slice_attr a = {.first = k->group_id * c, .c = c};

    if ((*t)->shape.c % k->groups != 0) {
        return err_at(err, builder_at(b, "groups"), VOV_ECFG,
                      "[route] %d channels do not divide into groups=%d", (*t)->shape.c, k->groups);
    }
    return build_op(b, &(struct brick){&op_slice, "split", &a}, t, 1, t, err);
}

static enum vov_status route_inputs(const struct builder *b, const struct route_keys *k,
                                    struct tensor **t, int *n, struct err *err)
{
    if ((k->layers.n == 0) == (k->from.n == 0)) {
        return err_set(err, VOV_ECFG,
                       "[route] needs either layers= or from=, with at least one "
                       "layer");
    }
    *n = k->layers.n + k->from.n;
    if (*n > ROUTE_MAX) {
        return err_set(err, VOV_ECFG, "[route] joins at most %d layers, not %d", ROUTE_MAX, *n);
    }
    for (int i = 0; i < k->layers.n; i++) {
        TRY(builder_layer(b, k->layers.v[i], &t[i], err));
    }
    for (int i = 0; i < k->from.n; i++) {
        TRY(builder_ref(b, k->from.v[i], &t[i], err));
    }
    return VOV_OK;
}

static enum vov_status route_build(struct builder *b, const void *keys, struct err *err)
{
    const struct route_keys *k = keys;
    struct tensor *t[ROUTE_MAX];
    int n = 0;

    if (route_inputs(b, k, t, &n, err) != VOV_OK) {
        return err_locate(err, builder_at(b, k->layers.n > 0 ? "layers" : "from"), NULL);
    }
    if (k->group_id >= k->groups) {
        return err_at(err, builder_at(b, "group_id"), VOV_ECFG,
                      "[route] group_id=%d is out of range; groups=%d has parts 0 "
                      "to %d",
                      k->group_id, k->groups, k->groups - 1);
    }
    for (int i = 0; i < n && k->groups > 1; i++) {
        TRY(take_group(b, k, &t[i], err));
    }
    if (n == 1) {
        b->cur = t[0];
        return VOV_OK;
    }
    return build_concat(b, "", t, n, &b->cur, err);
}

const struct section_type section_route = {
    .name = "route",
    .doc = "Outputs of earlier sections side by side (one: goes on from there).",
    .keys = route_table,
    .keys_size = sizeof(struct route_keys),
    .build = route_build,
};

struct shortcut_keys {
    const char *from;
    int activation;
};

#define AT(field) offsetof(struct shortcut_keys, field)
static const struct key_spec shortcut_table[] = {
    {"from", NULL, KEY_NAME, AT(from), 0, 0, NULL,
     "number or name of the section whose output is added to the one before"},
    {"activation", "linear", KEY_ENUM, AT(activation), 0, 0, ACT_WORDS, "of the sum"},
    {0},
};
#undef AT

static enum vov_status shortcut_build(struct builder *b, const void *keys, struct err *err)
{
    const struct shortcut_keys *k = keys;
    struct tensor *t = NULL;

    if (builder_ref(b, k->from, &t, err) != VOV_OK) {
        return err_locate(err, builder_at(b, "from"), NULL);
    }
    return build_add(b, "", (enum act)k->activation, b->cur, t, &b->cur, err);
}

const struct section_type section_shortcut = {
    .name = "shortcut",
    .doc = "The sum of the output before and an earlier one of the same shape.",
    .keys = shortcut_table,
    .keys_size = sizeof(struct shortcut_keys),
    .build = shortcut_build,
};
