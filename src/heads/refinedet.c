/*
 * refinedet.c - [refinedet]: the head of RefineDet (Zhang et al. 2018; docs/refinedet.md). The
 * anchor refinement module (ARM) looks at the backbone's levels and tells objects from background;
 * the object detection module (ODM) looks at the transfer connection blocks ([tcb]) of the same
 * levels and classifies the boxes that the ARM refined. All channels are derived.
 */
#include "blocks/net.h"
#include "multibox_head.h"

#include <stdio.h>

enum { REFINEDET_ARM_LOC, REFINEDET_ARM_CONF, REFINEDET_ODM_LOC, REFINEDET_ODM_CONF };

struct refinedet_keys {
    struct name_list arm, odm;
    struct real_list sizes, ratios;
    bool inter;
    int inter_width, inter_out;
    double arm_thresh, soft_nms, init;
    struct multibox_keys multibox;
};

#define AT(field) offsetof(struct refinedet_keys, field)
static const struct key_spec refinedet_table[] = {
    {"arm", NULL, KEY_NAMES, AT(arm), 0, 0, NULL,
     "the backbone's levels by name or number, the finest first"},
    {"odm", NULL, KEY_NAMES, AT(odm), 0, 0, NULL, "the [tcb] of each of these levels"},
    {"sizes", "", KEY_REALS, AT(sizes), 1, 65536, NULL,
     "pixels of a level's square prior; none: 4 times the level's stride"},
    {"ratios", "1, 2, 0.5", KEY_REALS, AT(ratios), 0.01, 100, NULL, "widths over heights"},
    {"inter", "0", KEY_BOOL, AT(inter), 0, 1, NULL,
     "a residual block before the predictors of each level, as the ResNet version of the paper"},
    {"inter_width", "256", KEY_INT, AT(inter_width), 1, 65536, NULL, "its 3x3 convolution"},
    {"inter_out", "1024", KEY_INT, AT(inter_out), 1, 65536, NULL, "its output"},
    {"arm_thresh", "0.01", KEY_REAL, AT(arm_thresh), 0, 1, NULL,
     "priors less likely to hold an object are passed over, in the loss of the ODM and after it"},
    {"soft_nms", "0", KEY_REAL, AT(soft_nms), 0, 1, NULL,
     "linear soft-NMS afterwards, from this overlap on; 0: off"},
    {"init", "0", KEY_REAL, AT(init), 0, 1000, NULL,
     "weights of the residual blocks start normally distributed with this deviation; 0: He's"},
    MULTIBOX_KEYS(struct refinedet_keys, multibox, "1000", "500"),
    {0},
};
#undef AT

static const struct head_type head_refinedet = {
    .name = "refinedet", .detects = true, .decode = multibox_decode};

struct levels {
    struct tensor *arm[MULTIBOX_MAX_LEVELS], *odm[MULTIBOX_MAX_LEVELS];
    struct prior_level prior[MULTIBOX_MAX_LEVELS];
    struct prior_shape shape[MULTIBOX_MAX_LEVELS][MULTIBOX_MAX_SHAPES];
    int n;
};

static enum vov_status check_keys(const struct builder *b, const struct refinedet_keys *k,
                                  struct err *err)
{
    TRY(multibox_check(b, err));
    if (k->arm.n < 1 || k->arm.n > MULTIBOX_MAX_LEVELS) {
        return err_at(err, builder_at(b, "arm"), VOV_ECFG,
                      "[refinedet] wants 1 to %d levels, not %d", MULTIBOX_MAX_LEVELS, k->arm.n);
    }
    if (k->odm.n != k->arm.n) {
        return err_at(err, builder_at(b, "odm"), VOV_ECFG,
                      "[refinedet] wants as many levels in odm as in arm, but has %d and %d",
                      k->odm.n, k->arm.n);
    }
    if (k->sizes.n != 0 && k->sizes.n != k->arm.n) {
        return err_at(err, builder_at(b, "sizes"), VOV_ECFG,
                      "[refinedet] has %d sizes for %d levels", k->sizes.n, k->arm.n);
    }
    if (k->ratios.n < 1 || k->ratios.n > MULTIBOX_MAX_SHAPES) {
        return err_at(err, builder_at(b, "ratios"), VOV_ECFG,
                      "[refinedet] wants 1 to %d ratios, not %d", MULTIBOX_MAX_SHAPES, k->ratios.n);
    }
    return VOV_OK;
}

static void set_priors(const struct builder *b, const struct refinedet_keys *k, struct levels *l,
                       int i)
{
    const struct shape s = l->arm[i]->shape;
    const double step_x = (double)b->net->width / s.w, step_y = (double)b->net->height / s.h;
    const double size = k->sizes.n > 0 ? k->sizes.v[i] : 4 * (step_x > step_y ? step_x : step_y);

    for (int j = 0; j < k->ratios.n; j++) {
        l->shape[i][j] = prior_shape(size, k->ratios.v[j]);
    }
    l->prior[i] = (struct prior_level){s.w, s.h, step_x, step_y, l->shape[i], k->ratios.n};
}

static enum vov_status find_levels(const struct builder *b, const struct refinedet_keys *k,
                                   struct levels *l, struct err *err)
{
    l->n = k->arm.n;
    for (int i = 0; i < l->n; i++) {
        TRY(multibox_level(b, "arm", k->arm.v[i], &l->arm[i], err));
        TRY(multibox_level(b, "odm", k->odm.v[i], &l->odm[i], err));
        const struct shape s = l->arm[i]->shape, t = l->odm[i]->shape;
        if (s.w != t.w || s.h != t.h) {
            return err_at(err, builder_at(b, "odm"), VOV_ESHAPE,
                          "[refinedet] level %s is %dx%d but %s is %dx%d", k->arm.v[i], s.w, s.h,
                          k->odm.v[i], t.w, t.h);
        }
        set_priors(b, k, l, i);
    }
    return VOV_OK;
}

/* Of one set of priors. */
struct descs {
    struct multibox_desc arm, odm;
};

static enum vov_status make_descs(struct builder *b, const struct refinedet_keys *k,
                                  const struct levels *l, struct descs *d, struct err *err)
{
    d->arm = multibox_loss_desc(&k->multibox, 2);
    TRY(multibox_priors(b, &(struct multibox_levels){l->arm, l->prior, l->n}, &d->arm, err));
    d->odm = d->arm;
    d->odm.n_classes = b->net->classes + 1;
    d->odm.arm_threshold = (real)k->arm_thresh;
    d->arm.objectness = true;
    return VOV_OK;
}

static enum vov_status add_inter(struct builder *b, const struct refinedet_keys *k,
                                 const char *what, struct tensor **level, int n, struct err *err)
{
    const struct residual_block r = {.width = k->inter_width,
                                     .out = k->inter_out,
                                     .stride = 1,
                                     .project = true,
                                     .init = k->init};
    char name[64];

    for (int i = 0; i < n && k->inter; i++) {
        snprintf(name, sizeof name, "%s_inter%d", what, i + 1);
        TRY(build_residual(b, name, &r, level[i], &level[i], err));
    }
    return VOV_OK;
}

static enum vov_status add_losses(struct builder *b, const struct descs *d, struct err *err)
{
    struct head *h = b->head;

    TRY(multibox_truth(b, err));
    struct tensor *const arm[] = {h->out[REFINEDET_ARM_LOC], h->out[REFINEDET_ARM_CONF], h->truth};
    struct tensor *const odm[] = {h->out[REFINEDET_ODM_LOC], h->out[REFINEDET_ODM_CONF], h->truth,
                                  h->out[REFINEDET_ARM_LOC], h->out[REFINEDET_ARM_CONF]};
    TRY(multibox_loss(b, "arm_loss", &d->arm, arm, 3, err));
    TRY(multibox_loss(b, "odm_loss", &d->odm, odm, 5, err));
    h->part[0] = "arm_loc";
    h->part[1] = "arm_conf";
    h->part[3] = "odm_loc";
    h->part[4] = "odm_conf";
    return VOV_OK;
}

/* The four convolutions of each level. */
static enum vov_status predict(struct builder *b, const struct levels *l, int n_classes,
                               struct err *err)
{
    const struct multibox_levels arm = {l->arm, l->prior, l->n}, odm = {l->odm, l->prior, l->n};
    struct tensor **out = b->head->out;

    TRY(multibox_predict(b, &(struct predictor){"arm_loc", 4, 3, false}, &arm,
                         &out[REFINEDET_ARM_LOC], err));
    TRY(multibox_predict(b, &(struct predictor){"arm_conf", 2, 3, false}, &arm,
                         &out[REFINEDET_ARM_CONF], err));
    TRY(multibox_predict(b, &(struct predictor){"odm_loc", 4, 3, false}, &odm,
                         &out[REFINEDET_ODM_LOC], err));
    return multibox_predict(b, &(struct predictor){"odm_conf", n_classes, 3, false}, &odm,
                            &out[REFINEDET_ODM_CONF], err);
}

static enum vov_status add_found(struct builder *b, const struct refinedet_keys *k,
                                 const struct multibox_desc *odm, struct err *err)
{
    struct tensor *const *out = b->head->out;
    struct tensor *const in[] = {out[REFINEDET_ODM_LOC], out[REFINEDET_ODM_CONF],
                                 out[REFINEDET_ARM_LOC], out[REFINEDET_ARM_CONF]};
    struct multibox_detect_desc d = multibox_detect_of(b, &k->multibox, odm);

    d.arm_threshold = odm->arm_threshold;
    return multibox_found(b, &d, in, 4, k->soft_nms, err);
}

static enum vov_status refinedet_build(struct builder *b, const void *keys, struct err *err)
{
    const struct refinedet_keys *k = keys;
    struct head *h = b->head;
    struct levels l;
    struct descs d;

    TRY(check_keys(b, k, err));
    TRY(find_levels(b, k, &l, err));
    TRY(make_descs(b, k, &l, &d, err));
    h->type = &head_refinedet;
    h->classes = b->net->classes;
    h->n_out = 4;
    TRY(add_inter(b, k, "arm", l.arm, l.n, err));
    TRY(add_inter(b, k, "odm", l.odm, l.n, err));
    TRY(predict(b, &l, d.odm.n_classes, err));
    b->cur = h->out[REFINEDET_ODM_CONF];
    return b->graph->training ? add_losses(b, &d, err) : add_found(b, k, &d.odm, err);
}

extern const struct section_type section_refinedet;
const struct section_type section_refinedet = {
    .name = "refinedet",
    .doc =
        "RefineDet's head: anchor refinement on the backbone's levels, detection on their [tcb].",
    .keys = refinedet_table,
    .keys_size = sizeof(struct refinedet_keys),
    .head = true,
    .build = refinedet_build,
};
