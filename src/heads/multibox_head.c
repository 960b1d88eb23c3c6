/* multibox_head.c - see multibox_head.h. */
#include "multibox_head.h"

#include "blocks/net.h"
#include "ops/ops.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum vov_status multibox_check(const struct builder *b, struct err *err)
{
    const char *type = b->section->type;

    if (b->net->classes < 1) {
        return err_set(err, VOV_ECFG,
                       "[%s] wants classes= in [net]: how many, background not counted", type);
    }
    if (b->head->type != NULL) {
        return err_set(err, VOV_ECFG, "[%s] follows [%s]; a network has one head", type,
                       b->head->type->name);
    }
    return VOV_OK;
}

struct multibox_desc multibox_loss_desc(const struct multibox_keys *k, int classes)
{
    return (struct multibox_desc){
        .n_classes = classes,
        .match_iou = (real)k->match_iou,
        .neg_iou = (real)k->match_iou,
        .neg_ratio = (real)k->neg_ratio,
        .variance = {(real)0.1, (real)0.1, (real)0.2, (real)0.2},
    };
}

struct multibox_detect_desc multibox_detect_of(const struct builder *b,
                                               const struct multibox_keys *k,
                                               const struct multibox_desc *loss)
{
    const double conf = k->conf_thresh > 0 ? k->conf_thresh : b->net->conf_thresh;
    const double iou = k->nms_thresh > 0 ? k->nms_thresh : b->net->nms_thresh;
    struct multibox_detect_desc d = {
        .priors = loss->priors,
        .n_priors = loss->n_priors,
        .n_classes = loss->n_classes,
        .min_score = (real)conf,
        .iou = (real)iou,
        .top_k = k->top_k,
        .keep = k->keep_top_k,
    };

    memcpy(d.variance, loss->variance, sizeof d.variance);
    return d;
}

enum vov_status multibox_level(const struct builder *b, const char *key, const char *name,
                               struct tensor **t, struct err *err)
{
    const enum vov_status status = builder_ref(b, name, t, err);

    return status == VOV_OK ? VOV_OK : err_locate(err, builder_at(b, key), NULL);
}

enum vov_status multibox_priors(struct builder *b, const struct multibox_levels *l,
                                struct multibox_desc *d, struct err *err)
{
    long long n = 0;

    for (int i = 0; i < l->n; i++) {
        n += (long long)l->prior[i].h * l->prior[i].w * l->prior[i].n_shapes;
    }
    if (n > 1 << 24) {
        return err_set(err, VOV_ESHAPE, "[%s] %lld priors are too many", b->section->type, n);
    }
    struct box *prior = arena_alloc(&b->graph->mem, (size_t)n * sizeof *prior);
    if (prior == NULL) {
        return err_nomem(err, (size_t)n * sizeof *prior);
    }
    d->priors = prior;
    d->n_priors = (int)n;
    for (int i = 0; i < l->n; i++) {
        prior_fill(&l->prior[i], b->net->width, b->net->height, prior);
        prior += prior_count(&l->prior[i]);
    }
    return VOV_OK;
}

enum vov_status multibox_predict(struct builder *b, const struct predictor *p,
                                 const struct multibox_levels *l, struct tensor **y,
                                 struct err *err)
{
    struct tensor *map[MULTIBOX_MAX_LEVELS];
    const struct prior_rows_attr rows = {p->values};
    char name[64];

    for (int i = 0; i < l->n; i++) {
        const double fan_in = (double)p->size * p->size * l->map[i]->shape.c;
        const struct conv_block c = {.out = l->prior[i].n_shapes * p->values,
                                     .size = p->size,
                                     .stride = 1,
                                     .pad = PAD_SAME,
                                     .norm = p->norm ? NORM_BATCH : NORM_NONE,
                                     .bias = !p->norm,
                                     .init = {INIT_UNIFORM, sqrt(3 / fan_in)}};
        snprintf(name, sizeof name, "%s%d", p->what, i + 1);
        TRY(build_conv(b, name, &c, l->map[i], &map[i], err));
    }
    TRY(build_op(b, &(struct brick){&op_prior_rows, p->what, &rows}, map, l->n, y, err));
    if (!b->graph->training) {
        (*y)->flags |= T_KEEP;
    }
    return VOV_OK;
}

enum vov_status multibox_truth(struct builder *b, struct err *err)
{
    struct head *h = b->head;
    const int n = h->out[0]->shape.n;

    h->truth = graph_input(b->graph, "truth", (struct shape){n, b->net->max_boxes, 5, 1});
    return h->truth != NULL ? VOV_OK : err_nomem(err, sizeof(struct tensor));
}

enum vov_status multibox_loss(struct builder *b, const char *name, const struct multibox_desc *d,
                              struct tensor *const *in, int n_in, struct err *err)
{
    struct head *h = b->head;
    const struct multibox_attr a = {.d = *d, .weight = 1};

    return build_op(b, &(struct brick){&op_multibox, name, &a}, in, n_in, &h->loss[h->n_loss++],
                    err);
}
