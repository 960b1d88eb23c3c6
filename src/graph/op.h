/*
 * op.h - one kind of node: how it is shaped, how much scratch it wants, how it runs and how it
 * differentiates. An op is written once, in one file of src/ops; it reaches a device only through
 * ctx->be->ops.
 */
#ifndef VOV_OP_H
#define VOV_OP_H

#include "backend/backend.h"

struct graph;
struct params;

enum { OP_MAX_OUT = 3, OP_MAX_PARAM = 6 };

enum tensor_flag {
    T_INPUT = 1 << 0,   /* written by the caller before a pass */
    T_PARAM = 1 << 1,   /* lives in the parameter block, not in the arena */
    T_KEEP = 1 << 2,    /* read by the caller after a pass: its memory is never reused */
    T_GRAD = 1 << 3,    /* it has a gradient: something before it learns, a loss comes after */
    T_LOSS = 1 << 4,    /* a loss: backward starts here */
    T_DERIVED = 1 << 5, /* a parameter that fold_weights makes: no file has it */
    T_LEARNS = 1 << 6,  /* something before it learns */
    T_SHARED = 1 << 7,  /* a parameter of several nodes */
};

enum param_kind { PARAM_WEIGHT, PARAM_BIAS, PARAM_GAMMA, PARAM_BETA, PARAM_MEAN, PARAM_VAR };

/* How a parameter starts: NORMAL with deviation `scale`, UNIFORM in +-scale, CONST = scale. */
struct param_init {
    enum { INIT_CONST, INIT_NORMAL, INIT_UNIFORM } kind;
    double scale;
};

struct tensor {
    const char *name; /* "osa2_1/conv3", in the graph's own memory */
    struct shape shape;
    enum number type;
    unsigned flags;
    int id;                /* index in graph->tensors */
    struct node *producer; /* NULL for inputs and parameters */
    struct tensor *root;   /* itself, or the aggregate it is a channel slice of (never a slice) */
    int c_off;             /* first channel inside root */
    int again;             /* 0: kept for the backward pass; else computed again, see alias.c */
    struct view val;       /* bound from the plan */
    struct view grad;      /* p is NULL when no gradient is kept */
    /* Whose gradient is this one's too, see grad.c; NULL: it has its own. */
    const struct tensor *grad_of;

    const real *constant; /* numbers that never change, dense NCHW; NULL: it has none */

    /* Of parameters only. */
    enum param_kind kind;
    struct param_init init;
    size_t offset; /* in the parameter block, in numbers */
    bool frozen;   /* learns no more */
};

/* What backward does with the gradient of one input. */
enum grad_mode { GRAD_NONE, GRAD_SET, GRAD_ADD };

struct node {
    const struct op_type *type;
    const char *name;  /* "osa2_1/conv3" */
    struct src_loc at; /* the cfg section that made it */
    int index;         /* in graph->nodes */
    uint64_t salt;     /* of its random numbers, from its name */
    struct tensor **in;
    enum grad_mode *gmode; /* [n_in] */
    int n_in;
    struct tensor *out[OP_MAX_OUT], *param[OP_MAX_PARAM];
    int n_out, n_param;
    bool shares; /* its parameters are another node's */
    void *attr;  /* struct conv_attr and the like, in the graph's own memory */
    size_t scratch_bytes;
    size_t pack_at,
        pack_bytes; /* inference: where param[0] lies prepared, in the executor's block */
    void *packed;   /* NULL: not prepared */
    const struct node *lender; /* of another graph, whose prepared weights these are too; or NULL */
};

struct op_ctx {
    struct backend *be;
    void *scratch; /* node->scratch_bytes of it */
    bool training;
    real gain; /* of every loss's gradient: narrow numbers underflow without it */
};

/* Exact cost of one forward pass over the graph's batch; see docs/cost.md. */
struct op_cost {
    int64_t madds; /* multiply-adds of convolutions, deconvolutions and connected layers */
    int64_t mac;   /* memory access cost, paper Eq. 1: hw(ci+co) + k^2 ci co, input at its size */
    int64_t bn;    /* output elements of batch norms */

    /* Of any node; node_cost fills them, no op does. */
    int64_t params;  /* numbers that learn */
    int64_t outputs; /* numbers that leave a node with multiply-adds */
};

struct op_type {
    const char *name; /* "convolutional" as users know it */
    size_t attr_size;

    /* What backward reads: bit i for input i, output i. Those tensors live (or are computed again)
     * until then. saves() may narrow it by the node's attributes; NULL means the two masks. */
    unsigned saves_in, saves_out;
    void (*saves)(const struct node *n, unsigned *in, unsigned *out);

    bool narrow;   /* in[] and out[0] may be 16 bits wide; else all are reals */
    bool cheap;    /* forward may be run again before backward rather than its output be kept */
    bool view_out; /* out[0] may be a channel slice of a wider buffer */
    bool gathers;  /* out[0] is in[0], in[1] ... one behind the other: a concat */
    /* The channel of in[0] at which out[0] begins when out[0] is nothing but a window of it, -1
     * when it is not. NULL: never. */
    int (*window)(const struct graph *g, const struct node *n);
    bool same_grad;      /* backward gives its two inputs one and the same gradient: a sum */
    unsigned no_grad_in; /* bit i: no gradient passes to input i (labels, other stages' outputs) */

    /* Checks the inputs against attr, adds parameters, creates the outputs (graph_out). Knows
     * neither device nor cfg position; graph_add adds the position to what this reports. */
    enum vov_status (*infer)(struct graph *g, struct node *n, struct err *err);

    /* Scratch for the passes that will run. NULL means none. Views have shapes but no memory. */
    size_t (*scratch)(const struct node *n, struct backend *be, bool training);

    /* Inference: bytes that param[0] takes in the form that forward works with, 0 when there is
     * none, and as many bytes of the same weights are always the same form; and brings it there,
     * from n->param[0] to n->packed. NULL: never. */
    size_t (*pack_bytes)(const struct node *n, struct backend *be);
    void (*pack)(const struct node *n, struct backend *be);

    void (*forward)(const struct node *n, const struct op_ctx *ctx);

    /* Forward again, from the saved outputs where there are some (statistics must not be updated a
     * second time). NULL: forward. Only for cheap ops. */
    void (*again)(const struct node *n, const struct op_ctx *ctx);

    /* Reads out[0]->grad. Sets or adds in[i]->grad as gmode[i] says; always adds to param[]->grad,
     * which is cleared once for each optimizer step. NULL means that no gradient passes. */
    void (*backward)(const struct node *n, const struct op_ctx *ctx);
    /* Whether backward leaves out[0]->grad as it is, which may then be another tensor's as well.
     * NULL: no. */
    bool (*leaves_grad)(const struct node *n);

    void (*cost)(const struct node *n, struct op_cost *cost); /* NULL: nothing counted */
    /* The word for how forward will be computed; views have shapes. NULL: there is one way only. */
    const char *(*algorithm)(const struct node *n, struct backend *be);

    /* For inference: takes the work of `next`, the only reader of out[0], into n when it can (a
     * norm, an activation, a sum after a convolution); true when done. NULL: it never can. */
    enum vov_status (*absorb)(struct graph *g, struct node *n, const struct node *next, bool *done);
    /* The same for `before`, whose out[0], n's in[0], nobody else reads: n reads its in[0]. */
    bool (*absorb_before)(struct node *n, const struct node *before);
    /* Multiplies what was absorbed into n's weights; NULL: nothing to do. */
    enum vov_status (*fold)(const struct node *n, struct params *p);
};

/* 1 when the gradient of input i is to be added to what is there, else 0. */
static inline real node_beta(const struct node *n, int i)
{
    return n->gmode[i] == GRAD_ADD ? 1 : 0;
}

/* True when b is nothing but the channels from `first` on of a, in one buffer. */
static inline bool tensor_is_window(const struct tensor *a, int first, const struct tensor *b)
{
    return a->root == b->root && b->c_off == a->c_off + first;
}

/* A parameter of which a gradient is wanted. */
static inline bool param_learns(const struct tensor *p)
{
    return !p->frozen && p->kind != PARAM_MEAN && p->kind != PARAM_VAR;
}

#endif
