/*
 * classify.c - [softmax]: the head of a classifier. Inference gives each class's probability;
 * training the mean cross-entropy of the right class.
 */
#include "head.h"

#include "blocks/net.h"
#include "ops/ops.h"

struct softmax_keys {
    int groups;
    double temperature;
};

#define AT(field) offsetof(struct softmax_keys, field)
static const struct key_spec softmax_table[] = {
    {"groups", "1", KEY_INT, AT(groups), 1, 1000000, NULL, "only 1 is built in this version"},
    {"temperature", "1", KEY_REAL, AT(temperature), 0, 1e6, NULL,
     "only 1 is built in this version"},
    {0},
};
#undef AT

static const struct head_type head_softmax = {.name = "softmax", .detects = false};

static enum vov_status softmax_check(const struct builder *b, const struct softmax_keys *k,
                                     struct err *err)
{
    const struct shape s = b->cur->shape;

    if (k->groups != 1) {
        return err_at(err, builder_at(b, "groups"), VOV_ECFG,
                      "[softmax] groups=%d is not built in this version, only 1", k->groups);
    }
    if (k->temperature < 1 || k->temperature > 1) {
        return err_at(err, builder_at(b, "temperature"), VOV_ECFG,
                      "[softmax] temperature=%g is not built in this version, only 1",
                      k->temperature);
    }
    if (s.h != 1 || s.w != 1) {
        return err_set(err, VOV_ESHAPE,
                       "[softmax] wants one pixel, not %dx%d: put [global_avgpool] or [connected] "
                       "before it",
                       s.w, s.h);
    }
    if (b->net->classes != 0 && b->net->classes != s.c) {
        return err_set(err, VOV_ESHAPE, "[softmax] gets %d numbers for the %d classes of [net]",
                       s.c, b->net->classes);
    }
    return VOV_OK;
}

/* truth: labels [n, 1, 1, 1]; the loss and its gradient come from the numbers before the softmax.
 */
static enum vov_status softmax_loss(struct builder *b, struct err *err)
{
    const struct softmax_loss_attr a = {.weight = 1};
    struct head *h = b->head;
    struct tensor *in[2] = {b->cur};

    h->truth = graph_input(b->graph, "label", (struct shape){b->cur->shape.n, 1, 1, 1});
    if (h->truth == NULL) {
        return err_nomem(err, sizeof(struct tensor));
    }
    in[1] = h->truth;
    TRY(build_op(b, &(struct brick){&op_softmax_loss, "loss", &a}, in, 2, &h->loss[0], err));
    h->n_loss = 1;
    h->part[0] = "loss";
    return VOV_OK;
}

static enum vov_status softmax_build(struct builder *b, const void *keys, struct err *err)
{
    TRY(softmax_check(b, keys, err));
    b->head->type = &head_softmax;
    b->head->classes = b->cur->shape.c;
    if (b->graph->training) {
        return softmax_loss(b, err);
    }
    TRY(build_op(b, &(struct brick){&op_softmax, "", NULL}, &b->cur, 1, &b->cur, err));
    b->cur->flags |= T_KEEP;
    b->head->out[0] = b->cur;
    b->head->n_out = 1;
    return VOV_OK;
}

extern const struct section_type section_softmax;
const struct section_type section_softmax = {
    .name = "softmax",
    .doc = "The head of a classifier: probabilities; in training the cross-entropy. Also called "
           "[soft].",
    .keys = softmax_table,
    .keys_size = sizeof(struct softmax_keys),
    .head = true,
    .build = softmax_build,
};
