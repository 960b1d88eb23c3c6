/*
 * multibox_head.h - what the heads of the SSD family ([ssd], [refinedet]) share: levels with
 * priors, a convolution on each that predicts numbers for each prior, the MultiBox loss, and class
 * scores as detections.
 */
#ifndef VOV_MULTIBOX_HEAD_H
#define VOV_MULTIBOX_HEAD_H

#include "det/multibox.h"
#include "det/nms.h"
#include "det/prior.h"
#include "head.h"

enum { MULTIBOX_MAX_LEVELS = 8, MULTIBOX_MAX_SHAPES = 32 };

/* The maps that a head looks at, and the priors on each. All borrowed. */
struct multibox_levels {
    struct tensor *const *map;
    const struct prior_level *prior;
    int n;
};

/* The keys that all of them take: of the loss, and of the choice of detections. */
struct multibox_keys {
    double conf_thresh, nms_thresh, match_iou, neg_ratio;
    int top_k, keep_top_k;
};

/* Their lines in the table of struct `type`, whose field `field` is a struct multibox_keys. */
#define MULTIBOX_KEYS(type, field, top_k_text, keep_text)                                          \
    {"conf_thresh",                                                                                \
     "0",                                                                                          \
     KEY_REAL,                                                                                     \
     offsetof(type, field.conf_thresh),                                                            \
     0,                                                                                            \
     1,                                                                                            \
     NULL,                                                                                         \
     "lowest score of a detection; 0: that of [net]"},                                             \
        {"nms_thresh",                                                                             \
         "0",                                                                                      \
         KEY_REAL,                                                                                 \
         offsetof(type, field.nms_thresh),                                                         \
         0,                                                                                        \
         1,                                                                                        \
         NULL,                                                                                     \
         "overlap over which the lower scored box is dropped; 0: that of [net]"},                  \
        {"match_iou", "0.5", KEY_REAL, offsetof(type, field.match_iou),                            \
         0.01,        1,     NULL,     "overlap from which a prior is a positive"},                \
        {"neg_ratio", "3",  KEY_REAL, offsetof(type, field.neg_ratio),                             \
         0,           1000, NULL,     "negatives for each positive"},                              \
        {"top_k", top_k_text, KEY_INT, offsetof(type, field.top_k),                                \
         1,       100000,     NULL,    "boxes of a class before NMS"},                             \
    {                                                                                              \
        "keep_top_k", keep_text, KEY_INT, offsetof(type, field.keep_top_k), 1, 100000, NULL,       \
            "detections of a picture"                                                              \
    }

/* The loss without its priors. classes: background included. */
struct multibox_desc multibox_loss_desc(const struct multibox_keys *k, int classes);
/* How detections are chosen with the priors and classes of that loss. */
struct multibox_detect_desc multibox_detect_of(const struct builder *b,
                                               const struct multibox_keys *k,
                                               const struct multibox_desc *loss);

/* VOV_ECFG where the section cannot stand here: no classes in [net], or a second head. */
enum vov_status multibox_check(const struct builder *b, struct err *err);

/* The output called `name` by the section's key; an error is placed at that key. */
enum vov_status multibox_level(const struct builder *b, const char *key, const char *name,
                               struct tensor **t, struct err *err);

/* Gives d the boxes of all levels, in the graph's memory. VOV_ESHAPE for more than 2^24. */
enum vov_status multibox_priors(struct builder *b, const struct multibox_levels *l,
                                struct multibox_desc *d, struct err *err);

/* `values` numbers for each prior by a convolution on each level: with bias, or a batch norm
 * instead. Weights start by Xavier's uniform rule (docs/refinedet.md). */
struct predictor {
    const char *what; /* "conf" */
    int values, size;
    bool norm;
};

/* *y is [n, priors, values, 1], kept for the decoder where no loss will read it. */
enum vov_status multibox_predict(struct builder *b, const struct predictor *p,
                                 const struct multibox_levels *l, struct tensor **y,
                                 struct err *err);

/* Adds h->truth. */
enum vov_status multibox_truth(struct builder *b, struct err *err);
/* Adds a loss to the head. in: loc, conf, truth and, for an ODM, loc and conf of the ARM. */
enum vov_status multibox_loss(struct builder *b, const char *name, const struct multibox_desc *d,
                              struct tensor *const *in, int n_in, struct err *err);

/* Of an inference graph: adds what is found as a further output of the head, and the thinning,
 * soft- NMS from an overlap of `soft` on. in: loc, conf and, of an ODM, loc and conf of the ARM. */
enum vov_status multibox_found(struct builder *b, const struct multibox_detect_desc *d,
                               struct tensor *const *in, int n_in, double soft, struct err *err);

/* head_type.decode of the heads whose last output that is. */
enum vov_status multibox_decode(const struct head *h, const real *const *out, int image,
                                double min_score, struct det_list *dets, struct err *err);

#endif
