/*
 * yolo.c - [yolo]: Darknet's detector of versions 3 and 4, as far as its shape: anchors and masks
 * are checked against the channels that come in, so that such a file can be shown and costed.
 * Training and decoding it are refused by name.
 */
#include "head.h"

struct yolo_keys {
    struct int_list mask;
    struct real_list anchors;
    int classes, num;
    double jitter, ignore_thresh, truth_thresh, scale_x_y;
    bool random;
};

#define AT(field) offsetof(struct yolo_keys, field)
static const struct key_spec yolo_table[] = {
    {"mask", "", KEY_INTS, AT(mask), 0, 10000, NULL,
     "which of the anchors this level has, from 0; none: all"},
    {"anchors", NULL, KEY_REALS, AT(anchors), 0, 1e6, NULL,
     "width, height of each, in pixels of the input"},
    {"classes", NULL, KEY_INT, AT(classes), 1, 100000, NULL, "classes"},
    {"num", "1", KEY_INT, AT(num), 1, 10000, NULL, "anchors"},
    {"jitter", "0.2", KEY_REAL, AT(jitter), 0, 1, NULL, "training: change of aspect and place"},
    {"ignore_thresh", "0.5", KEY_REAL, AT(ignore_thresh), 0, 1, NULL,
     "training: overlap above which a prediction is no negative"},
    {"truth_thresh", "1", KEY_REAL, AT(truth_thresh), 0, 1, NULL,
     "training: overlap above which a prediction is a positive"},
    {"scale_x_y", "1", KEY_REAL, AT(scale_x_y), 0.1, 10, NULL, "stretch of the centre's range"},
    {"random", "0", KEY_BOOL, AT(random), 0, 1, NULL, "training: change the input's size"},
    {0},
};
#undef AT

static enum vov_status yolo_decode(const struct head *h, const real *const *out, int image,
                                   double min_score, struct det_list *dets, struct err *err)
{
    (void)h, (void)out, (void)image, (void)min_score, (void)dets;
    return err_set(err, VOV_EUNSUPPORTED, "detections of [yolo] are not built in this version");
}

static const struct head_type head_yolo = {.name = "yolo", .detects = true, .decode = yolo_decode};

static enum vov_status yolo_check_anchors(const struct builder *b, const struct yolo_keys *k,
                                          struct err *err)
{
    if (k->anchors.n != 2 * k->num) {
        return err_at(err, builder_at(b, "anchors"), VOV_ECFG,
                      "[yolo] num=%d anchors need %d numbers, not %d", k->num, 2 * k->num,
                      k->anchors.n);
    }
    for (int i = 0; i < k->anchors.n; i++) {
        if (k->anchors.v[i] <= 0) {
            return err_at(err, builder_at(b, "anchors"), VOV_ECFG,
                          "[yolo] number %d of anchors must be above 0, not %g", i + 1,
                          k->anchors.v[i]);
        }
    }
    for (int i = 0; i < k->mask.n; i++) {
        if (k->mask.v[i] >= k->num) {
            return err_at(err, builder_at(b, "mask"), VOV_ECFG,
                          "[yolo] mask has %d, but num=%d anchors are 0 to %d", k->mask.v[i],
                          k->num, k->num - 1);
        }
    }
    return VOV_OK;
}

static enum vov_status yolo_build(struct builder *b, const void *keys, struct err *err)
{
    const struct yolo_keys *k = keys;
    const int n = k->mask.n > 0 ? k->mask.n : k->num;
    const long long want = (long long)n * (k->classes + 5);
    struct head *h = b->head;

    TRY(yolo_check_anchors(b, k, err));
    if (b->cur->shape.c != want) {
        return err_set(err, VOV_ESHAPE,
                       "[yolo] wants %lld channels, %d anchors of %d classes + 5, but gets %d; set "
                       "filters=%lld in the section before",
                       want, n, k->classes, b->cur->shape.c, want);
    }
    if (b->graph->training) {
        return err_set(err, VOV_ECFG, "training [yolo] is not built in this version");
    }
    if (h->n_out >= HEAD_MAX_OUT) {
        return err_set(err, VOV_ECFG, "at most %d [yolo] sections", HEAD_MAX_OUT);
    }
    b->cur->flags |= T_KEEP;
    h->type = &head_yolo;
    h->classes = k->classes;
    h->out[h->n_out++] = b->cur;
    return VOV_OK;
}

extern const struct section_type section_yolo;
const struct section_type section_yolo = {
    .name = "yolo",
    .doc = "Darknet's YOLO head: checked and shown only in this version, neither trained nor "
           "decoded.",
    .keys = yolo_table,
    .keys_size = sizeof(struct yolo_keys),
    .head = true,
    .build = yolo_build,
};
