/*
 * pad_channels.c - [pad_channels]: channels of zeros before and behind the input's, as in the
 * shortcuts without parameters of ResNet for CIFAR (He et al. 2016, 3.3, option A).
 */
#include "section.h"

#include "ops/ops.h"

struct pad_keys {
    int before, after;
};

#define AT(field) offsetof(struct pad_keys, field)
static const struct key_spec pad_table[] = {
    {"before", "0", KEY_INT, AT(before), 0, 65536, NULL, "channels of zeros before the input's"},
    {"after", "0", KEY_INT, AT(after), 0, 65536, NULL, "channels of zeros behind them"},
    {0},
};
#undef AT

/* n channels of zeros, as large as x. */
static enum vov_status zeros(struct builder *b, const char *name, int n, const struct tensor *x,
                             struct tensor **y, struct err *err)
{
    struct graph *g = b->graph;
    const struct shape s = {x->shape.n, n, x->shape.h, x->shape.w};
    const char *full = arena_printf(&g->mem, "%s/%s", b->prefix, name);
    const real *numbers = arena_alloc(&g->mem, shape_count(s) * sizeof *numbers);

    *y = full != NULL && numbers != NULL ? graph_input(g, full, s) : NULL;
    if (*y == NULL) {
        return err_nomem(err, shape_count(s) * sizeof *numbers);
    }
    (*y)->constant = numbers;
    return VOV_OK;
}

static enum vov_status pad_build(struct builder *b, const void *keys, struct err *err)
{
    const struct pad_keys *k = keys;
    struct tensor *part[3];
    int n = 0;

    if (k->before > 0) {
        TRY(zeros(b, "before", k->before, b->cur, &part[n++], err));
    }
    part[n++] = b->cur;
    if (k->after > 0) {
        TRY(zeros(b, "after", k->after, part[n - 1], &part[n], err));
        n++;
    }
    return build_concat(b, "", part, n, &b->cur, err);
}

extern const struct section_type section_pad_channels;
const struct section_type section_pad_channels = {
    .name = "pad_channels",
    .doc = "Channels of zeros on both sides of the input's.",
    .keys = pad_table,
    .keys_size = sizeof(struct pad_keys),
    .build = pad_build,
};
