/*
 * roi_box.c - [roi_box]: what a region holds, and where exactly (Girshick 2015; docs/mask-rcnn.md).
 * Two connected layers as in Faster R-CNN, or some convolutions and one connected layer as in the
 * paper of group norm; then the classes, and a box for each. After training the best boxes are
 * thinned out in the graph, so that masks can be drawn of them there. Without [roi_mask] it is
 * Faster R-CNN.
 */
#include "blocks/net.h"
#include "ops/ops.h"
#include "rcnn.h"

#include <stdio.h>
#include <string.h>

struct roi_box_keys {
    int convs, channels, norm, layers, hidden, keep;
    double conf, nms;
};

#define AT(field) offsetof(struct roi_box_keys, field)
static const struct key_spec roi_box_table[] = {
    {"convs", "0", KEY_INT, AT(convs), 0, 16, NULL, "3x3 convolutions before the connected layers"},
    {"channels", "256", KEY_INT, AT(channels), 1, 65536, NULL, "of these convolutions"},
    {"norm", "none", KEY_ENUM, AT(norm), 0, 0, "none batch group", "what follows them"},
    {"layers", "2", KEY_INT, AT(layers), 0, 16, NULL, "connected layers before the predictions"},
    {"hidden", "1024", KEY_INT, AT(hidden), 1, 65536, NULL, "numbers of each of them"},
    {"conf_thresh", "0.05", KEY_REAL, AT(conf), 0, 1, NULL, "lowest score of a detection"},
    {"nms_thresh", "0.5", KEY_REAL, AT(nms), 0, 1, NULL,
     "overlap over which the lower scored box of a class is dropped"},
    {"keep", "100", KEY_INT, AT(keep), 1, 10000, NULL, "detections of a picture"},
    {0},
};
#undef AT

/* The head's attr is a struct rcnn; what is found lies in out[RCNN_FOUND]. */
static enum vov_status add_masks(const struct head *h, const real *masks, int n,
                                 struct det_list *dets, struct err *err)
{
    const size_t cells = (size_t)h->mask_side * (size_t)h->mask_side;
    const size_t all = (size_t)(dets->n_masks + n);
    real *room = mem_resize(dets->mask, all * cells + 1, sizeof *room);

    if (room == NULL) {
        return err_nomem(err, all * cells * sizeof *room);
    }
    memcpy(room + (size_t)dets->n_masks * cells, masks, (size_t)n * cells * sizeof *room);
    dets->mask = room;
    dets->mask_side = h->mask_side;
    dets->n_masks += n;
    return VOV_OK;
}

static enum vov_status rcnn_decode(const struct head *h, const real *const *out, int image,
                                   double min_score, struct det_list *dets, struct err *err)
{
    const struct roi_detect_attr *a = h->out[RCNN_FOUND]->producer->attr;
    const size_t first = (size_t)image * (size_t)a->d.rows;
    const real w = (real)a->d.width, height = (real)a->d.height;
    const real *found = out[RCNN_FOUND] + first * FOUND_ROW;
    const int masks_before = dets->n_masks;
    int n = 0;

    while (n < a->d.rows && found[n * FOUND_ROW + 4] > 0 &&
           (double)found[n * FOUND_ROW + 4] >= min_score) {
        n++;
    }
    if (h->mask_side > 0) {
        const size_t cells = (size_t)h->mask_side * (size_t)h->mask_side;
        TRY(add_masks(h, out[RCNN_MASKS] + first * cells, n, dets, err));
    }
    for (int i = 0; i < n; i++) {
        const real *row = found + (ptrdiff_t)i * FOUND_ROW;
        const struct detection d = {
            .box = {row[0] / w, row[1] / height, row[2] / w, row[3] / height},
            .score = row[4],
            .class_id = (int)row[5],
            .mask = h->mask_side > 0 ? masks_before + i + 1 : 0,
        };
        if (!det_add(dets, d)) {
            return err_nomem(err, sizeof d);
        }
    }
    return VOV_OK;
}

static const struct head_type head_rcnn = {
    .name = "roi_box", .detects = true, .decode = rcnn_decode};

enum vov_status rcnn_of(const struct builder *b, struct rcnn **r, struct err *err)
{
    const bool other = b->head->type != NULL && b->head->type != &head_rcnn;

    *r = b->head->attr;
    if (other || *r == NULL) {
        return err_set(err, VOV_ECFG, "[%s] wants [rpn] before it", b->section->type);
    }
    return VOV_OK;
}

enum vov_status rcnn_pooled(const struct builder *b, struct rcnn *r, struct tensor **x,
                            struct err *err)
{
    *x = r->pooled;
    r->pooled = NULL;
    if (*x == NULL) {
        return err_set(err, VOV_ECFG, "[%s] wants [roi_align] right before it", b->section->type);
    }
    return VOV_OK;
}

enum vov_status rcnn_convs(struct builder *b, const struct roi_convs *c, struct tensor **x,
                           struct err *err)
{
    const struct conv_block conv = {.out = c->channels,
                                    .size = 3,
                                    .stride = 1,
                                    .pad = PAD_SAME,
                                    .norm = (enum norm)c->norm,
                                    .bias = c->norm == NORM_NONE,
                                    .act = ACT_RELU,
                                    .init = init_normal(c->init)};
    char name[24];

    for (int i = 0; i < c->n; i++) {
        snprintf(name, sizeof name, "conv%d", i + 1);
        TRY(build_conv(b, name, &conv, *x, x, err));
    }
    return VOV_OK;
}

/* out: class logits, deltas. */
static enum vov_status add_layers(struct builder *b, const struct roi_box_keys *k, struct tensor *x,
                                  struct tensor *out[2], struct err *err)
{
    const int classes = b->net->classes + 1;
    const struct roi_convs convs = {k->convs, k->channels, k->norm, 0.01};
    const struct connected_attr hidden = {.out_c = k->hidden, .bias = true, .act = ACT_RELU};
    const struct connected_attr class = {
        .out_c = classes, .bias = true, .init = {INIT_NORMAL, 0.01}};
    const struct connected_attr box = {
        .out_c = 4 * classes, .bias = true, .init = {INIT_NORMAL, 0.001}};
    char name[24];

    TRY(rcnn_convs(b, &convs, &x, err));
    for (int i = 0; i < k->layers; i++) {
        snprintf(name, sizeof name, "fc%d", i + 1);
        TRY(build_op(b, &(struct brick){&op_connected, name, &hidden}, &x, 1, &x, err));
    }
    TRY(build_op(b, &(struct brick){&op_connected, "class", &class}, &x, 1, &out[0], err));
    return build_op(b, &(struct brick){&op_connected, "box", &box}, &x, 1, &out[1], err);
}

static enum vov_status add_loss(struct builder *b, struct rcnn *r, struct tensor *const out[2],
                                struct err *err)
{
    struct head *h = b->head;
    struct tensor *const in[] = {out[0], out[1], r->match};

    h->part[4] = "roi_class";
    h->part[5] = "roi_box";
    r->take = r->objects;
    return build_op(b, &(struct brick){&op_roi_loss, "loss", NULL}, in, 3, &h->loss[h->n_loss++],
                    err);
}

static enum vov_status add_detections(struct builder *b, const struct roi_box_keys *k,
                                      struct rcnn *r, struct tensor *const out[2], struct err *err)
{
    struct head *h = b->head;
    const struct roi_detect_attr a = {
        .d = {.rows = k->keep,
              .n_classes = b->net->classes + 1,
              .width = b->net->width,
              .height = b->net->height,
              .min_score = (real)k->conf,
              .iou = (real)k->nms,
              .variance = {(real)0.1, (real)0.1, (real)0.2, (real)0.2}}};
    struct tensor *const in[] = {r->rois, out[0], out[1], h->extent};

    TRY(build_op(b, &(struct brick){&op_roi_detect, "found", &a}, in, 4, &r->rois, err));
    r->rois->flags |= T_KEEP;
    r->take = k->keep;
    h->out[RCNN_FOUND] = r->rois;
    h->n_out = 1;
    h->decodes = 1u << RCNN_FOUND;
    return VOV_OK;
}

static enum vov_status roi_box_build(struct builder *b, const void *keys, struct err *err)
{
    const struct roi_box_keys *k = keys;
    struct tensor *x = NULL, *out[2];
    struct rcnn *r = NULL;

    TRY(rcnn_of(b, &r, err));
    TRY(rcnn_pooled(b, r, &x, err));
    if (r->boxes) {
        return err_set(err, VOV_ECFG, "[roi_box] may stand only once");
    }
    r->boxes = true;
    b->head->type = &head_rcnn;
    TRY(add_layers(b, k, x, out, err));
    b->cur = out[0];
    return b->graph->training ? add_loss(b, r, out, err) : add_detections(b, k, r, out, err);
}

extern const struct section_type section_roi_box;
const struct section_type section_roi_box = {
    .name = "roi_box",
    .doc = "The class and the box of each region, the second stage of Faster and Mask R-CNN.",
    .keys = roi_box_table,
    .keys_size = sizeof(struct roi_box_keys),
    .head = true,
    .build = roi_box_build,
};
