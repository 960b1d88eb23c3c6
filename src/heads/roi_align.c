/*
 * roi_align.c - [roi_align]: cuts the regions at hand out of the pyramid (He et al. 2017, 3): those
 * of [rpn] for [roi_box], after it the objects, or what was found, for [roi_mask].
 */
#include "blocks/net.h"
#include "ops/ops.h"
#include "rcnn.h"

#include <math.h>

struct roi_align_keys {
    struct name_list levels;
    int size, sampling;
    bool aligned;
    double canonical;
};

#define AT(field) offsetof(struct roi_align_keys, field)
static const struct key_spec roi_align_table[] = {
    {"levels", NULL, KEY_NAMES, AT(levels), 0, 0, NULL,
     "the pyramid's levels by name or number, the finest first; each halves the one before"},
    {"size", "7", KEY_INT, AT(size), 1, ROI_ALIGN_MAX_SIZE, NULL, "bins along a side"},
    {"sampling", "2", KEY_INT, AT(sampling), 1, ROI_ALIGN_MAX_SAMPLING, NULL,
     "samples along a side of a bin"},
    {"aligned", "0", KEY_BOOL, AT(aligned), 0, 1, NULL,
     "1: half a pixel is taken into account; 0: as the paper's code"},
    {"canonical", "224", KEY_REAL, AT(canonical), 1, 65536, NULL,
     "side of a region that belongs to the level of stride 16"},
    {0},
};
#undef AT

static enum vov_status roi_align_build(struct builder *b, const void *keys, struct err *err)
{
    const struct roi_align_keys *k = keys;
    const int n = k->levels.n;
    struct tensor *in[1 + ROI_ALIGN_MAX_LEVELS];
    struct rcnn *r = NULL;

    TRY(rcnn_of(b, &r, err));
    if (n < 1 || n > ROI_ALIGN_MAX_LEVELS) {
        return err_at(err, builder_at(b, "levels"), VOV_ECFG,
                      "[roi_align] wants 1 to %d levels, not %d", ROI_ALIGN_MAX_LEVELS, n);
    }
    in[0] = r->rois;
    for (int i = 0; i < n; i++) {
        if (builder_ref(b, k->levels.v[i], &in[1 + i], err) != VOV_OK) {
            return err_locate(err, builder_at(b, "levels"), NULL);
        }
    }
    struct roi_align_attr a = {.d = {.size = k->size,
                                     .sampling = k->sampling,
                                     .aligned = k->aligned,
                                     .canonical = (real)k->canonical,
                                     .first_level = net_level(b->net, in[1]->shape.w)},
                               .take = r->take};
    for (int i = 0; i < n; i++) {
        a.d.scale[i] = (real)ldexp(1, -(a.d.first_level + i));
    }
    TRY(build_op(b, &(struct brick){&op_roi_align, "", &a}, in, 1 + n, &b->cur, err));
    r->pooled = b->cur;
    return VOV_OK;
}

extern const struct section_type section_roi_align;
const struct section_type section_roi_align = {
    .name = "roi_align",
    .doc = "Regions cut out of a pyramid: the proposals of [rpn] or, after [roi_box], what masks "
           "are drawn of.",
    .keys = roi_align_table,
    .keys_size = sizeof(struct roi_align_keys),
    .head = true,
    .build = roi_align_build,
};
