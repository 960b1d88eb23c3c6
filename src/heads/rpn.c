/*
 * rpn.c - [rpn]: the region proposal network (Ren et al. 2015; docs/mask-rcnn.md). One small net,
 * the same for all levels, says of each anchor whether it holds an object and where; its best boxes
 * are the proposals. In training some of these, and of the true boxes, are drawn for the heads to
 * learn.
 */
#include "blocks/net.h"
#include "det/prior.h"
#include "ops/ops.h"
#include "rcnn.h"

#include <math.h>
#include <stdio.h>

enum { RPN_MAX_RATIOS = 16, RPN_MAX_ANCHORS = 1 << 24 };

struct rpn_keys {
    struct name_list levels;
    struct real_list sizes, ratios;
    bool round, inside, per_batch;
    int sample, rois, train_before, train_keep, before, keep;
    double fg_iou, bg_iou, fg_part, nms, min_side, roi_fg_iou, roi_fg_part;
};

#define AT(field) offsetof(struct rpn_keys, field)
static const struct key_spec rpn_table[] = {
    {"levels", NULL, KEY_NAMES, AT(levels), 0, 0, NULL,
     "the pyramid's levels by name or number, the finest first; each halves the one before"},
    {"sizes", "", KEY_REALS, AT(sizes), 1, 65536, NULL,
     "pixels of each level's square anchor; none: 8 times the level's stride"},
    {"ratios", "0.5, 1, 2", KEY_REALS, AT(ratios), 0.01, 100, NULL,
     "heights of anchors over widths"},
    {"round", "1", KEY_BOOL, AT(round), 0, 1, NULL,
     "sides of anchors of one stride's area are rounded before they grow, as Detectron's"},
    {"fg_iou", "0.7", KEY_REAL, AT(fg_iou), 0, 1, NULL,
     "overlap with a true box from which an anchor is an object"},
    {"bg_iou", "0.3", KEY_REAL, AT(bg_iou), 0, 1, NULL, "overlap under which it is background"},
    {"inside", "1", KEY_BOOL, AT(inside), 0, 1, NULL,
     "anchors that cross the picture's edge are not trained on"},
    {"sample", "256", KEY_INT, AT(sample), 1, 65536, NULL,
     "anchors of each picture that are trained on"},
    {"fg_part", "0.5", KEY_REAL, AT(fg_part), 0, 1, NULL, "of them at most are objects"},
    {"nms_thresh", "0.7", KEY_REAL, AT(nms), 0, 1, NULL,
     "overlap of proposals over which the lower scored is dropped"},
    {"min_side", "0", KEY_REAL, AT(min_side), 0, 65536, NULL, "pixels; smaller ones are dropped"},
    {"train_before", "2000", KEY_INT, AT(train_before), 1, 100000, NULL,
     "in training: the best of each level before NMS"},
    {"train_keep", "2000", KEY_INT, AT(train_keep), 1, 100000, NULL,
     "in training: proposals over all levels"},
    {"per_batch", "1", KEY_BOOL, AT(per_batch), 0, 1, NULL,
     "in training: so many of the whole batch, not of each picture"},
    {"before", "1000", KEY_INT, AT(before), 1, 100000, NULL,
     "afterwards: the best of each level before NMS"},
    {"keep", "1000", KEY_INT, AT(keep), 1, 100000, NULL,
     "afterwards: proposals of a picture over all levels"},
    {"rois", "512", KEY_INT, AT(rois), 1, 65536, NULL,
     "regions of each picture that the heads are trained on"},
    {"roi_fg_part", "0.25", KEY_REAL, AT(roi_fg_part), 0, 1, NULL, "of them at most are objects"},
    {"roi_fg_iou", "0.5", KEY_REAL, AT(roi_fg_iou), 0, 1, NULL,
     "overlap with a true box from which a region is an object; under it, background"},
    {0},
};
#undef AT

struct levels {
    struct tensor *map[ROI_MAX_LEVELS];
    int n;
};

static enum vov_status check_keys(const struct builder *b, const struct rpn_keys *k,
                                  struct err *err)
{
    const int n = k->levels.n;

    if (b->net->classes < 1) {
        return err_set(err, VOV_ECFG,
                       "[rpn] wants classes= in [net]: how many, background not counted");
    }
    if (b->head->type != NULL || b->head->attr != NULL) {
        return err_set(err, VOV_ECFG, "[rpn] follows another head; a network has one");
    }
    if (n < 1 || n > ROI_MAX_LEVELS) {
        return err_at(err, builder_at(b, "levels"), VOV_ECFG, "[rpn] wants 1 to %d levels, not %d",
                      ROI_MAX_LEVELS, n);
    }
    if (k->sizes.n != 0 && k->sizes.n != n) {
        return err_at(err, builder_at(b, "sizes"), VOV_ECFG, "[rpn] has %d sizes for %d levels",
                      k->sizes.n, n);
    }
    if (k->ratios.n < 1 || k->ratios.n > RPN_MAX_RATIOS) {
        return err_at(err, builder_at(b, "ratios"), VOV_ECFG, "[rpn] wants 1 to %d ratios, not %d",
                      RPN_MAX_RATIOS, k->ratios.n);
    }
    return VOV_OK;
}

static enum vov_status find_levels(const struct builder *b, const struct rpn_keys *k,
                                   struct levels *l, struct err *err)
{
    l->n = k->levels.n;
    for (int i = 0; i < l->n; i++) {
        if (builder_ref(b, k->levels.v[i], &l->map[i], err) != VOV_OK) {
            return err_locate(err, builder_at(b, "levels"), NULL);
        }
        const struct shape s = l->map[i]->shape, t = l->map[i > 0 ? i - 1 : 0]->shape;
        if (i > 0 && (s.c != t.c || s.w != (t.w + 1) / 2 || s.h != (t.h + 1) / 2)) {
            return err_at(err, builder_at(b, "levels"), VOV_ESHAPE,
                          "[rpn] %s is %dx%dx%d, which does not halve %dx%dx%d before it",
                          k->levels.v[i], s.c, s.h, s.w, t.c, t.h, t.w);
        }
    }
    return VOV_OK;
}

/* The anchors of one cell: of one area but for rounding (docs/mask-rcnn.md). */
static void set_shapes(const struct rpn_keys *k, double size, double stride,
                       struct prior_shape *out)
{
    for (int i = 0; i < k->ratios.n; i++) {
        const double ratio = k->ratios.v[i];
        double w = sqrt(stride * stride / ratio), h = w * ratio;
        if (k->round) {
            w = fmax(1, rint(w));
            h = fmax(1, rint(w * ratio));
        }
        out[i] = (struct prior_shape){w * size / stride, h * size / stride};
    }
}

/* Boxes of all anchors in the graph's memory, in pixels. */
static enum vov_status make_anchors(struct builder *b, const struct rpn_keys *k,
                                    const struct levels *l, struct anchors *a, struct err *err)
{
    long long n = 0;

    for (int i = 0; i < l->n; i++) {
        n += (long long)l->map[i]->shape.h * l->map[i]->shape.w * k->ratios.n;
        a->end[i] = n < RPN_MAX_ANCHORS ? (int)n : RPN_MAX_ANCHORS;
    }
    if (n > RPN_MAX_ANCHORS) {
        return err_set(err, VOV_ESHAPE, "[rpn] %lld anchors are too many", n);
    }
    struct box *box = arena_alloc(&b->graph->mem, (size_t)n * sizeof *box);
    if (box == NULL) {
        return err_nomem(err, (size_t)n * sizeof *box);
    }
    a->box = box;
    a->n_levels = l->n;
    a->width = b->net->width;
    a->height = b->net->height;
    for (int i = 0; i < l->n; i++) {
        const double stride = ldexp(1, net_level(b->net, l->map[0]->shape.w) + i);
        struct prior_shape shape[RPN_MAX_RATIOS];
        set_shapes(k, k->sizes.n > 0 ? k->sizes.v[i] : 8 * stride, stride, shape);
        const struct prior_level p = {l->map[i]->shape.w, l->map[i]->shape.h, stride, stride, shape,
                                      k->ratios.n};
        prior_fill(&p, 1, 1, box);
        box += prior_count(&p);
    }
    return VOV_OK;
}

/* One of the three convolutions, on all levels, with one weight. */
static enum vov_status add_convs(struct builder *b, const char *name, const struct conv_block *c,
                                 const struct levels *x, struct levels *y, struct err *err)
{
    const struct node *first = NULL;

    y->n = x->n;
    for (int i = 0; i < x->n; i++) {
        b->graph->share = first;
        TRY(build_conv(b, name, c, x->map[i], &y->map[i], err));
        first = i == 0 ? y->map[0]->producer : first;
    }
    return VOV_OK;
}

/* Logits and deltas of all anchors. */
static enum vov_status add_network(struct builder *b, const struct rpn_keys *k,
                                   const struct levels *l, struct tensor *out[2], struct err *err)
{
    const struct param_init init = {INIT_NORMAL, 0.01};
    const struct conv_block conv = {.out = l->map[0]->shape.c,
                                    .size = 3,
                                    .stride = 1,
                                    .pad = PAD_SAME,
                                    .bias = true,
                                    .act = ACT_RELU,
                                    .init = init};
    const struct conv_block object = {
        .out = k->ratios.n, .size = 1, .stride = 1, .bias = true, .init = init};
    const struct conv_block boxes = {
        .out = 4 * k->ratios.n, .size = 1, .stride = 1, .bias = true, .init = init};
    const struct prior_rows_attr one = {1}, four = {4};
    struct levels t, y;

    TRY(add_convs(b, "conv", &conv, l, &t, err));
    TRY(add_convs(b, "object", &object, &t, &y, err));
    TRY(build_op(b, &(struct brick){&op_prior_rows, "logits", &one}, y.map, y.n, &out[0], err));
    TRY(add_convs(b, "box", &boxes, &t, &y, err));
    return build_op(b, &(struct brick){&op_prior_rows, "deltas", &four}, y.map, y.n, &out[1], err);
}

static enum vov_status add_proposals(struct builder *b, const struct rpn_keys *k,
                                     const struct anchors *a, struct tensor *const out[2],
                                     struct tensor **y, struct err *err)
{
    const bool training = b->graph->training;
    const int keep = training ? k->train_keep : k->keep;
    const struct proposals_attr p = {.d = {.anchors = *a,
                                           .before = training ? k->train_before : k->before,
                                           .after = keep,
                                           .keep = keep,
                                           .per_batch = training && k->per_batch,
                                           .iou = (real)k->nms,
                                           .min_side = (real)k->min_side}};
    struct tensor *const in[] = {out[0], out[1], b->head->extent};

    return build_op(b, &(struct brick){&op_proposals, "proposals", &p}, in, 3, y, err);
}

static enum vov_status add_loss(struct builder *b, const struct rpn_keys *k,
                                const struct anchors *a, struct tensor *const out[2],
                                struct err *err)
{
    struct head *h = b->head;
    const int n = out[0]->shape.n;
    const struct rpn_loss_attr loss = {.d = {.anchors = *a,
                                             .fg_iou = (real)k->fg_iou,
                                             .bg_iou = (real)k->bg_iou,
                                             .sample = k->sample,
                                             .fg_part = (real)k->fg_part,
                                             .inside = k->inside,
                                             .beta = (real)(1.0 / 9)}};

    h->truth = graph_input(b->graph, "truth", (struct shape){n, b->net->max_boxes, 5, 1});
    if (h->truth == NULL) {
        return err_nomem(err, sizeof(struct tensor));
    }
    struct tensor *const in[] = {out[0], out[1], h->truth, h->extent};
    h->part[0] = "rpn_object";
    h->part[1] = "rpn_box";
    return build_op(b, &(struct brick){&op_rpn_loss, "loss", &loss}, in, 4, &h->loss[h->n_loss++],
                    err);
}

/* In training the heads see what is drawn from the proposals. */
static enum vov_status add_sample(struct builder *b, const struct rpn_keys *k, struct rcnn *r,
                                  struct err *err)
{
    const struct roi_sample_attr a = {
        .d = {.rows = k->rois,
              .fg_part = (real)k->roi_fg_part,
              .fg_iou = (real)k->roi_fg_iou,
              .n_classes = b->net->classes + 1,
              .width = b->net->width,
              .height = b->net->height,
              .variance = {(real)0.1, (real)0.1, (real)0.2, (real)0.2}}};
    struct tensor *const in[] = {r->rois, b->head->truth};

    TRY(build_op(b, &(struct brick){&op_roi_sample, "sample", &a}, in, 2, &r->rois, err));
    r->match = r->rois->producer->out[1];
    r->take = k->rois;
    r->objects = (int)floor((double)((real)k->rois * (real)k->roi_fg_part));
    return VOV_OK;
}

/* In inference the input keeps its memory, so that it is zeros, all of the input, where nobody
 * writes it. */
static enum vov_status add_extent(struct builder *b, int n, struct err *err)
{
    struct tensor *t = graph_input(b->graph, "extent", (struct shape){n, 4, 1, 1});

    if (t == NULL) {
        return err_nomem(err, sizeof *t);
    }
    t->flags |= T_KEEP;
    b->head->extent = t;
    return VOV_OK;
}

static enum vov_status rpn_build(struct builder *b, const void *keys, struct err *err)
{
    const struct rpn_keys *k = keys;
    struct rcnn *r = arena_alloc(&b->graph->mem, sizeof *r);
    struct anchors a = {0};
    struct levels l;
    struct tensor *out[2];

    TRY(check_keys(b, k, err));
    TRY(find_levels(b, k, &l, err));
    TRY(make_anchors(b, k, &l, &a, err));
    if (r == NULL) {
        return err_nomem(err, sizeof *r);
    }
    TRY(add_extent(b, l.map[0]->shape.n, err));
    TRY(add_network(b, k, &l, out, err));
    TRY(add_proposals(b, k, &a, out, &r->rois, err));
    r->take = k->keep;
    if (b->graph->training) {
        TRY(add_loss(b, k, &a, out, err));
        TRY(add_sample(b, k, r, err));
    }
    b->head->attr = r;
    b->head->classes = b->net->classes;
    b->cur = r->rois;
    return VOV_OK;
}

extern const struct section_type section_rpn;
const struct section_type section_rpn = {
    .name = "rpn",
    .doc = "A region proposal network on a pyramid's levels, the first stage of Faster and Mask "
           "R-CNN; [roi_align] follows.",
    .keys = rpn_table,
    .keys_size = sizeof(struct rpn_keys),
    .head = true,
    .build = rpn_build,
};
