/*
 * ssd.c - [ssd]: the head of SSD (Liu et al. 2016) as DSOD, MobileNet-SSD and Pelee use it
 * (docs/ssd.md): on each level priors of two square sizes and of ratios 2 and 3, a convolution
 * for their boxes and one for their classes. Priors of a cell come in SSD's order: the square, the
 * one between this size and the next, 2:1, 1:2, 3:1, 1:3.
 */
#include "blocks/net.h"
#include "multibox_head.h"
#include "ops/ops.h"

#include <math.h>
#include <stdio.h>

enum { SSD_LOC, SSD_CONF };
enum { MAX_PRIORS = 6 };

struct ssd_keys {
    struct name_list levels;
    struct real_list sizes, steps;
    struct int_list priors;
    int size;
    bool norm;
    double l2norm;
    struct multibox_keys multibox;
};

#define AT(field) offsetof(struct ssd_keys, field)
static const struct key_spec ssd_table[] = {
    {"levels", NULL, KEY_NAMES, AT(levels), 0, 0, NULL,
     "the sections to look at by name or number, the finest first"},
    {"sizes", NULL, KEY_REALS, AT(sizes), 1, 65536, NULL,
     "pixels of each level's square prior, and of one level more"},
    {"priors", "6", KEY_INTS, AT(priors), 1, MAX_PRIORS, NULL,
     "of each cell, for all levels or each: the square; where even, one of the size between this "
     "level's and the next; then 2:1 and 1:2; then 3:1 and 1:3"},
    {"steps", "0", KEY_REALS, AT(steps), 0, 65536, NULL,
     "pixels between cells, for all levels or each; 0: the input divided by the level"},
    {"size", "3", KEY_INT, AT(size), 1, 31, NULL, "of the predictors' kernels"},
    {"batch_normalize", "0", KEY_BOOL, AT(norm), 0, 1, NULL,
     "batch norm after the predictors, as DSOD; else a bias"},
    {"l2norm", "0", KEY_REAL, AT(l2norm), 0, 1e6, NULL,
     "scale at the start of an L2 norm of each level, as DSOD's 20; 0: none"},
    MULTIBOX_KEYS(struct ssd_keys, multibox, "400", "200"),
    {0},
};
#undef AT

static const struct head_type head_ssd = {
    .name = "ssd", .detects = true, .decode = multibox_decode};

struct levels {
    struct tensor *map[MULTIBOX_MAX_LEVELS];
    struct prior_level prior[MULTIBOX_MAX_LEVELS];
    struct prior_shape shape[MULTIBOX_MAX_LEVELS][MAX_PRIORS];
    int n;
};

static enum vov_status check_keys(const struct builder *b, const struct ssd_keys *k,
                                  struct err *err)
{
    const int n = k->levels.n;

    TRY(multibox_check(b, err));
    if (n < 1 || n > MULTIBOX_MAX_LEVELS) {
        return err_at(err, builder_at(b, "levels"), VOV_ECFG, "[ssd] wants 1 to %d levels, not %d",
                      MULTIBOX_MAX_LEVELS, n);
    }
    if (k->sizes.n != n + 1) {
        return err_at(err, builder_at(b, "sizes"), VOV_ECFG,
                      "[ssd] has %d sizes; for %d levels it wants %d", k->sizes.n, n, n + 1);
    }
    if (k->priors.n != n && k->priors.n != 1) {
        return err_at(err, builder_at(b, "priors"), VOV_ECFG,
                      "[ssd] has %d numbers of priors; for %d levels it wants 1 or %d", k->priors.n,
                      n, n);
    }
    if (k->steps.n != n && k->steps.n != 1) {
        return err_at(err, builder_at(b, "steps"), VOV_ECFG,
                      "[ssd] has %d steps; for %d levels it wants 1 or %d", k->steps.n, n, n);
    }
    return VOV_OK;
}

/* The shapes of a cell in SSD's order; n of them. */
static void set_shapes(double size, double next, int n, struct prior_shape *out)
{
    const struct prior_shape all[] = {
        prior_shape(size, 1), prior_shape(sqrt(size * next), 1),
        prior_shape(size, 2), prior_shape(size, 1.0 / 2),
        prior_shape(size, 3), prior_shape(size, 1.0 / 3),
    };

    for (int i = 0, from = 0; i < n; i++, from++) {
        from += from == 1 && n % 2 != 0;
        out[i] = all[from];
    }
}

static enum vov_status find_levels(const struct builder *b, const struct ssd_keys *k,
                                   struct levels *l, struct err *err)
{
    l->n = k->levels.n;
    for (int i = 0; i < l->n; i++) {
        TRY(multibox_level(b, "levels", k->levels.v[i], &l->map[i], err));
        const struct shape s = l->map[i]->shape;
        const int n = k->priors.v[k->priors.n > 1 ? i : 0];
        const double step = k->steps.v[k->steps.n > 1 ? i : 0];
        set_shapes(k->sizes.v[i], k->sizes.v[i + 1], n, l->shape[i]);
        l->prior[i] = (struct prior_level){
            .w = s.w,
            .h = s.h,
            .step_x = step > 0 ? step : (double)b->net->width / s.w,
            .step_y = step > 0 ? step : (double)b->net->height / s.h,
            .shape = l->shape[i],
            .n_shapes = n,
        };
    }
    return VOV_OK;
}

static enum vov_status add_l2norms(struct builder *b, double scale, struct levels *l,
                                   struct err *err)
{
    const struct l2norm_attr a = {.scale = scale, .eps = 1e-10};
    char name[32];

    for (int i = 0; i < l->n && scale > 0; i++) {
        snprintf(name, sizeof name, "l2norm%d", i + 1);
        TRY(build_op(b, &(struct brick){&op_l2norm, name, &a}, &l->map[i], 1, &l->map[i], err));
    }
    return VOV_OK;
}

static enum vov_status add_loss(struct builder *b, const struct multibox_desc *d, struct err *err)
{
    struct head *h = b->head;

    TRY(multibox_truth(b, err));
    h->part[0] = "loc";
    h->part[1] = "conf";
    return multibox_loss(b, "loss", d,
                         (struct tensor *[]){h->out[SSD_LOC], h->out[SSD_CONF], h->truth}, 3, err);
}

static enum vov_status ssd_build(struct builder *b, const void *keys, struct err *err)
{
    const struct ssd_keys *k = keys;
    struct multibox_desc d = multibox_loss_desc(&k->multibox, b->net->classes + 1);
    struct head *h = b->head;
    struct levels l;

    TRY(check_keys(b, k, err));
    TRY(find_levels(b, k, &l, err));
    TRY(add_l2norms(b, k->l2norm, &l, err));
    const struct multibox_levels levels = {l.map, l.prior, l.n};
    TRY(multibox_priors(b, &levels, &d, err));
    h->type = &head_ssd;
    h->classes = b->net->classes;
    h->n_out = 2;
    TRY(multibox_predict(b, &(struct predictor){"loc", 4, k->size, k->norm}, &levels,
                         &h->out[SSD_LOC], err));
    TRY(multibox_predict(b, &(struct predictor){"conf", d.n_classes, k->size, k->norm}, &levels,
                         &h->out[SSD_CONF], err));
    b->cur = h->out[SSD_CONF];
    if (b->graph->training) {
        return add_loss(b, &d, err);
    }
    const struct multibox_detect_desc detect = multibox_detect_of(b, &k->multibox, &d);
    return multibox_found(b, &detect, h->out, 2, 0, err);
}

extern const struct section_type section_ssd;
const struct section_type section_ssd = {
    .name = "ssd",
    .doc = "SSD's head: priors of several sizes and ratios on each level, their boxes and classes.",
    .keys = ssd_table,
    .keys_size = sizeof(struct ssd_keys),
    .head = true,
    .build = ssd_build,
};
