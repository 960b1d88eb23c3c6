/*
 * model.h - a cfg file made runnable: sections become a graph, the graph gets memory and weights.
 */
#ifndef VOV_MODEL_H
#define VOV_MODEL_H

#include "blocks/net.h"
#include "data/image.h"
#include "graph/exec.h"
#include "heads/head.h"

struct model {
    struct cfg_file cfg;
    struct net_config net;
    struct graph graph;
    struct tensor *input; /* [batch, channels, height, width] */
    struct head head;     /* type NULL: a backbone only; out[0] is the last tensor then */
    struct exec exec;     /* open after model_start */
    bool started;
    bool blank, brief;       /* as in model_options */
    bool narrow;             /* tensors have 16 bits where net.precision says so */
    const char **class_name; /* [net.classes], or NULL; in cfg.mem */
    /* With fit=pad: the same for pictures that lie the other way, with width and height exchanged;
     * it shares the parameters and the memory of this one. Owned; NULL: there is none. */
    struct model *turned;
    real *host_out[HEAD_MAX_OUT]; /* owned: a detector's outputs, for its decoder */
    real *extent;                 /* owned: numbers for head.extent; NULL where there is none */
};

struct model_options {
    bool training;          /* losses, backward; else inference with folded norms */
    bool keep_norms;        /* inference without folding (costs, tests) */
    bool blank;             /* parameters start as zeros: all of them will be loaded */
    bool brief;             /* it will see a few pictures only: see backend_settings */
    bool wide;              /* fp32 whatever the cfg says: nothing will be computed */
    int batch;              /* 0: what the cfg says for training (batch / subdivisions), 1 else */
    int width, height;      /* 0: as the cfg says */
    bool one_way;           /* no `turned`, although fit=pad */
    const char *const *set; /* n_set overrides, "section.key=value" */
    int n_set;
    const struct log *log;
};

/*
 * Reads, checks and builds; takes no memory for numbers. On failure errs has why; its places point
 * into the text, so that model_close() is called after errs was printed. Closing twice is fine.
 */
enum vov_status model_build(const char *cfg_path, const struct model_options *opt, struct model *m,
                            struct err_list *errs);
/* From a text in memory (a checkpoint's copy). */
enum vov_status model_build_text(const char *name, const char *text, size_t n,
                                 const struct model_options *opt, struct model *m,
                                 struct err_list *errs);

/* Plans and takes memory; parameters start by their init from `seed`, or blank. be is borrowed.
 * VOV_EDEVICE: it does not know the cfg's precision. */
enum vov_status model_start(struct model *m, struct backend *be, uint64_t seed, struct err *err);
void model_close(struct model *m);

/* The first node of the neck and the head; graph.n_nodes where there is none. Nodes before it are
 * the backbone. */
int model_head_node(const struct model *m);

/* This one or `turned`. */
struct model *model_way(struct model *m, bool turned);

struct pixels model_pixels(const struct model *m);

/* VOV_ECFG where the input has other channels than pictures: nothing may fill it with them. */
enum vov_status model_takes_pictures(const struct model *m, struct err *err);

/* Fills `extent`, where the head wants it, from where the pictures of a batch lie; NULL: they fill
 * the input. */
void model_place(struct model *m, const struct placing *where);

/* Runs the head's decoder on the batch in memory: boxes in pixels of pictures of the given sizes.
 */
enum vov_status model_detect(struct model *m, int image, const struct placing *where, int width,
                             int height, double min_score, struct det_list *dets, struct err *err);

#endif
