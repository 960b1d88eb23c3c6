/*
 * loader.h - batches for training and evaluation, made ahead by worker threads. What a batch holds
 * depends on the seed, the epoch and the position only, never on timing or the number of workers.
 */
#ifndef VOV_LOADER_H
#define VOV_LOADER_H

#include "augment.h"
#include "dataset.h"
#include "image.h"

struct batch {
    int n;       /* images: the last batch of an evaluation may be short */
    long number; /* from 0, over all epochs */
    int epoch;
    bool turned;              /* the input's width and height have changed places; see both_ways */
    real *images;             /* [n, 3, h, w]; or NULL and instead: */
    struct picture **picture; /* [n], where `pictures` asks for them */
    real *truth; /* [n, max_boxes, 5], see multibox_fwd; of a data set with labels [n] */
    real *masks; /* in training, where asked for: [n, max_boxes, mask_side, mask_side], see
                    mask_grid */
    int *item;   /* [n] index into the dataset */
    struct placing *where; /* [n]; of a training picture as if it were not mirrored */
    int *width, *height;   /* [n] of the picture as read */
    int skipped;           /* pictures that could not be read and were replaced (training) or left
                              zero (evaluation) while this batch was made */
};

struct loader_options {
    struct pixels pixels;
    int batch, max_boxes;
    int mask_side;     /* of the objects' masks; 0: they are not wanted */
    int workers;       /* threads; 0: one */
    int share, shares; /* of others who share the batches: every shares-th, from number share on;
                          shares 0: all are taken */
    bool both_ways; /* pictures that lie the other way than the input get batches of their own, with
                       an input that is turned */
    bool train;     /* shuffle, augment, endless, whole batches; else once through, in order */
    bool pictures;  /* in training: not numbers but what a device makes them of; see augment.h */
    uint64_t seed;
    struct augment augment;
    const struct log *log;
    int max_skipped; /* more unreadable pictures than this in one epoch end with an error */
};

struct loader;
/* first_batch: the number of the first that would be taken, were none left to others. */
enum vov_status loader_open(const struct dataset *d, const struct loader_options *opt,
                            long first_batch, struct loader **l, struct err *err);
/* *b is lent until the next call; NULL at the end of an evaluation. */
enum vov_status loader_next(struct loader *l, struct batch **b, struct err *err);
void loader_close(struct loader *l);         /* NULL is fine */
long loader_batches(const struct loader *l); /* in one epoch */

#endif
