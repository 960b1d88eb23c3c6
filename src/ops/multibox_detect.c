/*
 * multibox_detect.c - what the outputs of an SSD or RefineDet head say: boxes decoded, thinned out,
 * the best of them. See det/multibox.h.
 */
#include "util.h"

#include <limits.h>

enum { LOC, CONF, ARM_LOC, ARM_CONF };
enum { FOUND, PRIORS };

static enum vov_status detect_infer(struct graph *g, struct node *n, struct err *err)
{
    const struct multibox_detect_attr *a = n->attr;
    const int images = n->in[LOC]->shape.n, p = a->d.n_priors, keep = a->d.keep;
    TRY(count_inputs(n, 2, 4, err));
    if (n->n_in == 3) {
        return err_set(err, VOV_ESHAPE, "arm_loc without arm_conf");
    }
    if (p > INT_MAX / a->d.n_classes || images > INT_MAX / keep) {
        return err_set(err, VOV_ESHAPE,
                       "%d priors of %d classes, or %d detections of %d pictures, "
                       "are too many",
                       p, a->d.n_classes, keep, images);
    }
    TRY(rows_expect(n, LOC, (struct shape){images, p, 4, 1}, err));
    TRY(rows_expect(n, CONF, (struct shape){images, p, a->d.n_classes, 1}, err));
    if (n->n_in == 4) {
        TRY(rows_expect(n, ARM_LOC, (struct shape){images, p, 4, 1}, err));
        TRY(rows_expect(n, ARM_CONF, (struct shape){images, p, 2, 1}, err));
    }
    graph_out(g, n, (struct shape){images * keep, FOUND_ROW, 1, 1});
    struct tensor *priors = graph_out(g, n, (struct shape){1, p, 4, 1});
    if (priors != NULL) {
        priors->constant = &a->d.priors[0].x0;
    }
    return VOV_OK;
}

static size_t detect_scratch(const struct node *n, struct backend *be, bool training)
{
    const struct multibox_detect_attr *a = n->attr;
    (void)training;
    return be->ops->multibox_detect_scratch(be, &a->d, n->in[LOC]->shape.n);
}

static void detect_forward(const struct node *n, const struct op_ctx *ctx)
{
    const struct multibox_detect_attr *a = n->attr;
    const struct view none = {0};
    const bool refined = n->n_in > ARM_CONF;
    ctx->be->ops->multibox_detect(ctx->be, &a->d, n->out[PRIORS]->val, n->in[LOC]->val,
                                  n->in[CONF]->val, refined ? n->in[ARM_LOC]->val : none,
                                  refined ? n->in[ARM_CONF]->val : none, n->out[FOUND]->val,
                                  ctx->scratch);
}

const struct op_type op_multibox_detect = {
    .name = "multibox_detect",
    .attr_size = sizeof(struct multibox_detect_attr),
    .infer = detect_infer,
    .scratch = detect_scratch,
    .forward = detect_forward,
};
