/*
 * resize.c - [upsample]: every pixel repeated, as Darknet's; [bilinear]: to a size of choice, or
 * that of another section's output.
 */
#include "section.h"

#include "ops/ops.h"

struct upsample_keys {
    int stride;
};

#define AT(field) offsetof(struct upsample_keys, field)
static const struct key_spec upsample_table[] = {
    {"stride", "2", KEY_INT, AT(stride), 1, 64, NULL, "how many times larger"},
    {0},
};
#undef AT

static enum vov_status upsample_build(struct builder *b, const void *keys, struct err *err)
{
    const struct upsample_keys *k = keys;
    const struct shape s = b->cur->shape;
    const struct resize_attr a = {.h = s.h * k->stride, .w = s.w * k->stride, .bilinear = false};

    return build_op(b, &(struct brick){&op_resize, "", &a}, &b->cur, 1, &b->cur, err);
}

const struct section_type section_upsample = {
    .name = "upsample",
    .doc = "A larger picture: every pixel repeated stride x stride times.",
    .keys = upsample_table,
    .keys_size = sizeof(struct upsample_keys),
    .build = upsample_build,
};

struct bilinear_keys {
    int width, height;
    double scale;
    const char *like;
};

#define AT(field) offsetof(struct bilinear_keys, field)
static const struct key_spec bilinear_table[] = {
    {"scale", "2", KEY_REAL, AT(scale), 1.0 / 64, 64, NULL, "how many times larger"},
    {"width", "0", KEY_INT, AT(width), 0, 65536, NULL, "pixels across, with height; 0: scale says"},
    {"height", "0", KEY_INT, AT(height), 0, 65536, NULL, "pixels down, with width"},
    {"like", "", KEY_NAME, AT(like), 0, 0, NULL, "section whose output has the size wanted"},
    {0},
};
#undef AT

static enum vov_status bilinear_build(struct builder *b, const void *keys, struct err *err)
{
    const struct bilinear_keys *k = keys;
    struct resize_attr a = {
        .h = (int)(b->cur->shape.h * k->scale + 1e-6),
        .w = (int)(b->cur->shape.w * k->scale + 1e-6),
        .bilinear = true,
    };
    struct tensor *like = NULL;

    if ((k->width > 0) != (k->height > 0)) {
        return err_set(err, VOV_ECFG, "[bilinear] width and height must be given together");
    }
    if (k->width > 0) {
        a.h = k->height;
        a.w = k->width;
    }
    if (k->like != NULL) {
        if (builder_ref(b, k->like, &like, err) != VOV_OK) {
            return err_locate(err, builder_at(b, "like"), NULL);
        }
        a.h = like->shape.h;
        a.w = like->shape.w;
    }
    if (a.h < 1 || a.w < 1) {
        return err_set(err, VOV_ECFG, "[bilinear] scale=%g leaves nothing of a %dx%d input",
                       k->scale, b->cur->shape.w, b->cur->shape.h);
    }
    return build_op(b, &(struct brick){&op_resize, "", &a}, &b->cur, 1, &b->cur, err);
}

const struct section_type section_bilinear = {
    .name = "bilinear",
    .doc = "Another size by bilinear interpolation, pixel centres at one half.",
    .keys = bilinear_table,
    .keys_size = sizeof(struct bilinear_keys),
    .build = bilinear_build,
};
