/*
 * tcb.c - [tcb]: RefineDet's transfer connection block (Zhang et al. 2018, Fig. 2;
 * docs/refinedet.md). A level's features, through two convolutions, plus the next coarser level's
 * block, doubled by a transposed convolution. All convolutions have batch norms.
 */
#include "section.h"

#include "net.h"
#include "ops/ops.h"

struct tcb_keys {
    int channels;
    const char *top;
    double init;
};

#define AT(field) offsetof(struct tcb_keys, field)
static const struct key_spec tcb_table[] = {
    {"channels", "256", KEY_INT, AT(channels), 1, 65536, NULL, "of all its convolutions"},
    {"top", "", KEY_NAME, AT(top), 0, 0, NULL,
     "the block of the next coarser level, by name or number; none: this is the coarsest"},
    {"init", "0", KEY_REAL, AT(init), 0, 1000, NULL,
     "weights start normally distributed with this deviation; 0: He's"},
    {0},
};
#undef AT

static int stride_of(const struct node *n)
{
    if (n->type == &op_conv) {
        return ((const struct conv_attr *)n->attr)->d.stride;
    }
    if (n->type == &op_maxpool || n->type == &op_avgpool) {
        return ((const struct pool_attr *)n->attr)->d.stride;
    }
    return 1;
}

/* Pixels of the input for one of the coarsest level that a block joins: the strides on the way back
 * to the input, which leads up through the transposed convolutions first. */
static int full_stride(const struct tensor *t)
{
    long long product = 1;

    for (; t->producer != NULL && product < 1 << 20; t = t->producer->in[t->producer->n_in - 1]) {
        product *= stride_of(t->producer);
    }
    return (int)product;
}

/* The nearest multiple, of equal ones the greater. */
static int even_side(int side, int unit)
{
    const int units = (side + unit / 2) / unit;

    return units > 0 ? units * unit : unit;
}

/* Doubling must give the level's own size. */
static enum vov_status tcb_check(const struct builder *b, const struct tensor *x,
                                 const struct tensor *top, struct err *err)
{
    const struct shape s = x->shape, t = top->shape;
    const struct net_config *net = b->net;
    const int unit = full_stride(top);
    const int w = even_side(net->width, unit), h = even_side(net->height, unit);

    if (s.w == 2LL * t.w && s.h == 2LL * t.h) {
        return VOV_OK;
    }
    if (w == net->width && h == net->height) {
        return err_at(err, builder_at(b, "top"), VOV_ESHAPE,
                      "[tcb] top must be a block of half the size: the level is %dx%d, top is "
                      "%dx%d",
                      s.w, s.h, t.w, t.h);
    }
    return err_at(err, builder_at(b, "top"), VOV_ESHAPE,
                  "[tcb] the level is %dx%d, and top, which is %dx%d, doubles to %lldx%lld: an "
                  "input of %dx%d does not halve evenly; the nearest that does has width=%d, "
                  "height=%d in [net]",
                  s.w, s.h, t.w, t.h, 2LL * t.w, 2LL * t.h, net->width, net->height, w, h);
}

/* The coarser block, twice as large: transposed convolution 2x2 by 2, batch norm, no ReLU. */
static enum vov_status tcb_up(struct builder *b, const struct tcb_keys *k, struct tensor *top,
                              struct tensor **y, struct err *err)
{
    const struct conv_attr up = {.d = {.kh = 2, .kw = 2, .stride = 2, .dilation = 1, .groups = 1},
                                 .out_c = k->channels,
                                 .init = init_normal(k->init)};

    TRY(build_op(b, &(struct brick){&op_deconv, "up", &up}, &top, 1, y, err));
    return build_norm(b, "up/norm", NORM_BATCH, 0, ACT_LINEAR, *y, y, err);
}

static enum vov_status tcb_build(struct builder *b, const void *keys, struct err *err)
{
    const struct tcb_keys *k = keys;
    const struct conv_block conv = {.out = k->channels,
                                    .size = 3,
                                    .stride = 1,
                                    .pad = PAD_SAME,
                                    .norm = NORM_BATCH,
                                    .act = ACT_RELU,
                                    .init = init_normal(k->init)};
    struct conv_block before_sum = conv;
    struct tensor *top = NULL, *t = b->cur, *up = NULL;

    if (k->top != NULL) {
        if (builder_ref(b, k->top, &top, err) != VOV_OK) {
            return err_locate(err, builder_at(b, "top"), NULL);
        }
        TRY(tcb_check(b, t, top, err));
        before_sum.act = ACT_LINEAR;
    }
    TRY(build_conv(b, "conv1", &conv, t, &t, err));
    TRY(build_conv(b, "conv2", &before_sum, t, &t, err));
    if (top != NULL) {
        TRY(tcb_up(b, k, top, &up, err));
        TRY(build_add(b, "add", ACT_RELU, t, up, &t, err));
    }
    return build_conv(b, "out", &conv, t, &b->cur, err);
}

const struct section_type section_tcb = {
    .name = "tcb",
    .doc = "RefineDet's transfer connection block: joins a level with the coarser one above it.",
    .keys = tcb_table,
    .keys_size = sizeof(struct tcb_keys),
    .head = true,
    .build = tcb_build,
};
