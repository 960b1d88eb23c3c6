/*
 * roi_mask.c - [roi_mask]: the masks of Mask R-CNN (He et al. 2017, 3; docs/mask-rcnn.md).
 * Convolutions, a transposed one that doubles, and a mask for each class, of which that of the
 * region's counts. In training it sees the regions that are objects, afterwards what [roi_box]
 * found.
 */
#include "blocks/net.h"
#include "ops/ops.h"
#include "rcnn.h"

#include <math.h>

enum { TRUTH_SIDE = 112 };

struct roi_mask_keys {
    int convs, channels, norm;
};

#define AT(field) offsetof(struct roi_mask_keys, field)
static const struct key_spec roi_mask_table[] = {
    {"convs", "4", KEY_INT, AT(convs), 0, 16, NULL, "3x3 convolutions before the doubling"},
    {"channels", "256", KEY_INT, AT(channels), 1, 65536, NULL, "of all convolutions"},
    {"norm", "none", KEY_ENUM, AT(norm), 0, 0, "none batch group", "what follows the 3x3 ones"},
    {0},
};
#undef AT

static enum vov_status add_layers(struct builder *b, const struct roi_mask_keys *k,
                                  struct tensor **x, struct err *err)
{
    const struct roi_convs convs = {k->convs, k->channels, k->norm, 0};
    const struct conv_attr up = {.d = {.kh = 2, .kw = 2, .stride = 2, .dilation = 1, .groups = 1},
                                 .out_c = k->channels,
                                 .bias = true,
                                 .act = ACT_RELU,
                                 .init = {INIT_NORMAL, sqrt(2.0 / (4.0 * k->channels))}};
    const int classes = b->net->classes + 1;
    const struct conv_block masks = {.out = classes,
                                     .size = 1,
                                     .stride = 1,
                                     .bias = true,
                                     .init = {INIT_NORMAL, sqrt(2.0 / classes)}};

    TRY(rcnn_convs(b, &convs, x, err));
    TRY(build_op(b, &(struct brick){&op_deconv, "up", &up}, x, 1, x, err));
    return build_conv(b, "masks", &masks, *x, x, err);
}

static enum vov_status add_loss(struct builder *b, const struct rcnn *r, struct tensor *x,
                                struct err *err)
{
    struct head *h = b->head;
    const struct shape truth = h->truth->shape;
    const struct mask_loss_attr a = {.d = {.width = b->net->width, .height = b->net->height}};

    h->truth_masks = graph_input(b->graph, "truth_masks",
                                 (struct shape){truth.n, truth.c, TRUTH_SIDE, TRUTH_SIDE});
    struct tensor *const in[] = {x, r->rois, r->match, h->truth, h->truth_masks};
    h->part[8] = "mask";
    return build_op(b, &(struct brick){&op_mask_loss, "loss", &a}, in, 5, &h->loss[h->n_loss++],
                    err);
}

static enum vov_status add_masks(struct builder *b, const struct rcnn *r, struct tensor *x,
                                 struct err *err)
{
    struct head *h = b->head;
    struct tensor *const in[] = {x, r->rois};

    TRY(build_op(b, &(struct brick){&op_mask_select, "found", NULL}, in, 2, &b->cur, err));
    b->cur->flags |= T_KEEP;
    h->out[RCNN_MASKS] = b->cur;
    h->n_out = 2;
    h->decodes |= 1u << RCNN_MASKS;
    h->mask_side = x->shape.h;
    return VOV_OK;
}

static enum vov_status roi_mask_build(struct builder *b, const void *keys, struct err *err)
{
    const struct roi_mask_keys *k = keys;
    struct tensor *x = NULL;
    struct rcnn *r = NULL;

    TRY(rcnn_of(b, &r, err));
    if (!r->boxes || b->head->truth_masks != NULL || b->head->mask_side > 0) {
        return err_set(err, VOV_ECFG, "[roi_mask] wants one [roi_box] before it, and no other");
    }
    TRY(rcnn_pooled(b, r, &x, err));
    TRY(add_layers(b, k, &x, err));
    b->cur = x;
    return b->graph->training ? add_loss(b, r, x, err) : add_masks(b, r, x, err);
}

extern const struct section_type section_roi_mask;
const struct section_type section_roi_mask = {
    .name = "roi_mask",
    .doc = "A mask for each region: what makes Faster R-CNN a Mask R-CNN.",
    .keys = roi_mask_table,
    .keys_size = sizeof(struct roi_mask_keys),
    .head = true,
    .build = roi_mask_build,
};
