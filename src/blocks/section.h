/*
 * section.h - one kind of cfg section: the keys that it takes and how it adds nodes to the graph.
 * One file of src/blocks or src/heads each; sections.c lists them all.
 */
#ifndef VOV_SECTION_H
#define VOV_SECTION_H

#include "base/map.h"
#include "cfg/keys.h"
#include "graph/graph.h"

struct net_config; /* blocks/net.h */
struct head;       /* heads/head.h */

struct builder {
    struct graph *graph;
    struct cfg_file *cfg;
    const struct net_config *net;
    const struct cfg_section *section; /* being built: the place that errors name */
    int index;                         /* of it among the layers, from 0 after [net], as Darknet */
    const char *prefix;                /* "osa2", or name= : nodes are called prefix/what */
    struct tensor *cur;                /* output of the section before, as in Darknet */
    struct tensor **outs;              /* [index] output of each section: route layers=-1, 5 */
    struct map names;                  /* name= -> struct tensor */
    struct head *head;                 /* the last head section's, NULL before it */
};

struct section_type {
    const char *name;            /* "osa" */
    const char *doc;             /* what it is, a sentence or two */
    const struct key_spec *keys; /* ends with an unnamed entry; name= and from= are common to all
                                    sections but those whose own table has a key of that name */
    size_t keys_size;
    bool head; /* a neck's or a head's: from the first such section on, a net is no backbone */

    /* `keys` points to a struct of keys_size bytes, filled and checked by the table. Sets b->cur.
     */
    enum vov_status (*build)(struct builder *b, const void *keys, struct err *err);
};

extern const struct section_type *const section_types[];   /* ends with NULL */
const struct section_type *section_find(const char *name); /* NULL: unknown; knows aliases */

/* Why [name], which section_find does not know, cannot be: a Darknet section that is not built in
 * this version, or an unknown one with the nearest that there is. Returns err->code. */
enum vov_status section_refuse(const struct cfg_section *s, struct err *err);

/* The keys that every section takes, with struct common_keys: ends with an unnamed entry. */
struct common_keys {
    const char *name, *from;
};
extern const struct key_spec common_key_table[];

/* Outputs by name, for `name = stage3` and later `from = stage3, stage4`, or by layer number as
 * Darknet counts: from 0, or back when it is negative (-1: the section before). Not found: an error
 * with the nearest name. */
enum vov_status builder_ref(const struct builder *b, const char *text, struct tensor **t,
                            struct err *err);
enum vov_status builder_layer(const struct builder *b, int number, struct tensor **t,
                              struct err *err);

/* Where the section's key was written, for err_at: its value, or the section's head without it. */
const struct src_loc *builder_at(const struct builder *b, const char *key);

/* Adds one node of any kind, called "<prefix>/<name>", or "<prefix>" where name is "". */
struct brick {
    const struct op_type *type;
    const char *name;
    const void *attr;
};
enum vov_status build_op(struct builder *b, const struct brick *brick, struct tensor *const *x,
                         int n, struct tensor **y, struct err *err);

/* The words of enum act for key tables, in its order. */
#define ACT_WORDS "linear relu leaky relu6 logistic hard_sigmoid mish swish"

/* What stands between a convolution and the next: a norm, an activation. */
enum norm { NORM_NONE, NORM_BATCH, NORM_GROUP };

struct conv_block {
    int out, size, stride;
    int pad;              /* PAD_SAME: (size - 1) / 2 * dilation */
    int dilation, groups; /* 0: 1 */
    enum norm norm;
    int norm_groups; /* 0: 32, or the largest count under it that divides out */
    bool bias;       /* a norm's shift takes its place where there is a norm */
    enum act act;
    struct param_init init; /* scale 0: He normal over fan-in */
};
enum { PAD_SAME = -1 };

/*
 * The bricks of most blocks. Nodes are called "<prefix>/<name>"; *y is the new output and may be
 * the same variable as x. Batch norm's eps and momentum are the net's.
 */
enum vov_status build_conv(struct builder *b, const char *name, const struct conv_block *c,
                           struct tensor *x, struct tensor **y, struct err *err);
/* conv, batch norm, ReLU: the Conv-BN-ReLU of the paper. */
enum vov_status build_cbr(struct builder *b, const char *name, int out, int size, int stride,
                          struct tensor *x, struct tensor **y, struct err *err);
/* batch norm, ReLU, then the convolution alone: DenseNet's order. */
enum vov_status build_preact_conv(struct builder *b, const char *name, const struct conv_block *c,
                                  struct tensor *x, struct tensor **y, struct err *err);
enum vov_status build_norm(struct builder *b, const char *name, enum norm norm, int groups,
                           enum act act, struct tensor *x, struct tensor **y, struct err *err);
enum vov_status build_act(struct builder *b, const char *name, enum act act, struct tensor *x,
                          struct tensor **y, struct err *err);
enum vov_status build_concat(struct builder *b, const char *name, struct tensor *const *x, int n,
                             struct tensor **y, struct err *err);
enum vov_status build_add(struct builder *b, const char *name, enum act act, struct tensor *x1,
                          struct tensor *x2, struct tensor **y, struct err *err);
/* pad: rows and columns on both sides together, as Darknet's. ceil_mode: a last window that the
 * edge cuts counts. */
struct pool_block {
    int size, stride, pad;
    bool ceil_mode;
};
enum vov_status build_maxpool(struct builder *b, const char *name, const struct pool_block *p,
                              struct tensor *x, struct tensor **y, struct err *err);
enum vov_status build_avgpool(struct builder *b, const char *name, const struct pool_block *p,
                              struct tensor *x, struct tensor **y, struct err *err);
enum vov_status build_avgpool_global(struct builder *b, const char *name, struct tensor *x,
                                     struct tensor **y, struct err *err);
/* Depthwise convolution, 1x1 convolution, batch norm, ReLU (VoVNetV2's light form). */
enum vov_status build_separable(struct builder *b, const char *name, int out, int size, int stride,
                                struct tensor *x, struct tensor **y, struct err *err);
enum vov_status build_ese(struct builder *b, const char *name, struct tensor *x, struct tensor **y,
                          struct err *err);

/* A residual block of 1x1, 3x3, 1x1 convolutions; its shortcut is a 1x1 convolution where `project`
 * asks for it, the stride is not 1 or the channels change. */
struct residual_block {
    int width, out, stride;
    bool stride_on_1x1, project;
    double init; /* deviation of the weights at the start; 0: He's */
};
enum vov_status build_residual(struct builder *b, const char *name, const struct residual_block *r,
                               struct tensor *x, struct tensor **y, struct err *err);

/* How a weight starts: normal with this deviation; 0: the op's own way, He's. */
static inline struct param_init init_normal(double deviation)
{
    return deviation > 0 ? (struct param_init){INIT_NORMAL, deviation} : (struct param_init){0};
}

#endif
