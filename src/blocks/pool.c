/*
 * pool.c - [maxpool] with Darknet's padding rule, [avgpool] (of all pixels, as Darknet's, or of
 * windows) and [global_avgpool].
 *
 * Darknet's padding is the number of rows and columns before and after the picture together, half
 * of it (rounded down) before; its output has (h + padding - size) / stride + 1 rows, and padding
 * is size - 1 where it is not given. The paper's pools are padding=0, ceil=1.
 */
#include "section.h"

struct maxpool_keys {
    int size, stride, padding;
    bool ceil;
};

#define AT(field) offsetof(struct maxpool_keys, field)
static const struct key_spec maxpool_table[] = {
    {"size", "0", KEY_INT, AT(size), 0, MAXPOOL_MOST, NULL, "side of the window; 0: as stride"},
    {"stride", "1", KEY_INT, AT(stride), 1, MAXPOOL_MOST, NULL, "pixels between two windows"},
    {"padding", "-1", KEY_INT, AT(padding), -1, 1024, NULL,
     "rows and columns of padding on both sides together; -1: size - 1"},
    {"ceil", "0", KEY_BOOL, AT(ceil), 0, 1, NULL,
     "1: a last window that is cut by the picture's edge counts too"},
    {0},
};
#undef AT

static enum vov_status maxpool_build(struct builder *b, const void *keys, struct err *err)
{
    const struct maxpool_keys *k = keys;
    const int size = k->size > 0 ? k->size : k->stride;
    const struct pool_block p = {
        .size = size,
        .stride = k->stride,
        .pad = k->padding < 0 ? size - 1 : k->padding,
        .ceil_mode = k->ceil,
    };

    return build_maxpool(b, "", &p, b->cur, &b->cur, err);
}

const struct section_type section_maxpool = {
    .name = "maxpool",
    .doc = "The largest number of each window.",
    .keys = maxpool_table,
    .keys_size = sizeof(struct maxpool_keys),
    .build = maxpool_build,
};

struct avgpool_keys {
    int size, stride;
    bool ceil;
};

#define AT(field) offsetof(struct avgpool_keys, field)
static const struct key_spec avgpool_table[] = {
    {"size", "0", KEY_INT, AT(size), 0, 1024, NULL,
     "side of the window; 0: the whole picture, as Darknet's"},
    {"stride", "0", KEY_INT, AT(stride), 0, 1024, NULL, "pixels between two windows; 0: as size"},
    {"ceil", "0", KEY_BOOL, AT(ceil), 0, 1, NULL,
     "1: a last window that is cut by the picture's edge counts too"},
    {0},
};
#undef AT

static enum vov_status avgpool_build(struct builder *b, const void *keys, struct err *err)
{
    const struct avgpool_keys *k = keys;
    const struct pool_block p = {
        .size = k->size, .stride = k->stride > 0 ? k->stride : k->size, .ceil_mode = k->ceil};

    if (k->size == 0) {
        return build_avgpool_global(b, "", b->cur, &b->cur, err);
    }
    return build_avgpool(b, "", &p, b->cur, &b->cur, err);
}

const struct section_type section_avgpool = {
    .name = "avgpool",
    .doc = "The mean of each window, or of each whole channel.",
    .keys = avgpool_table,
    .keys_size = sizeof(struct avgpool_keys),
    .build = avgpool_build,
};

static const struct key_spec global_table[] = {{0}};

static enum vov_status global_build(struct builder *b, const void *keys, struct err *err)
{
    (void)keys;
    return build_avgpool_global(b, "", b->cur, &b->cur, err);
}

const struct section_type section_global_avgpool = {
    .name = "global_avgpool",
    .doc = "The mean of each channel: a picture of one pixel.",
    .keys = global_table,
    .keys_size = 0,
    .build = global_build,
};
