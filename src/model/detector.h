/*
 * detector.h - a network with its weights, ready to find things in pictures: what eval, detect, the
 * library's interface and the evaluation inside a training run have in common.
 */
#ifndef VOV_DETECTOR_H
#define VOV_DETECTOR_H

#include "io/weights.h"
#include "model.h"

struct detector {
    struct model model; /* for inference, norms folded */
    struct pixels pixels;
    int batch;
    bool turned; /* the batch goes through model.turned, its inputs have the shape of that */
    const char **class_name; /* [n_classes] */
    long long *class_key; /* [n_classes] category ids of the data it learned from; NULL: unknown */
    int n_classes;
    real *images;          /* [batch, channels, height, width] to be filled */
    struct placing *where; /* [batch] */
    struct arena mem;
};

/*
 * Opens the network of a cfg file with the weights of a file (NULL: random ones). Class names and
 * pixel settings are those that the weights were trained with, where the file knows them. be is
 * borrowed. detector_close() is to be called on failure too, after errs was printed.
 */
enum vov_status detector_open(struct detector *d, const char *cfg, const char *weights,
                              const struct model_options *opt, struct backend *be,
                              struct err_list *errs);

/* The same network as a training one; detector_take() copies its parameters as they are now. */
enum vov_status detector_of(struct detector *d, const struct model *training, int batch,
                            struct backend *be, struct err *err);
enum vov_status detector_take(struct detector *d, const struct model *training, struct err *err);
void detector_close(struct detector *d);

/* Whether a picture of that size is for model.turned. */
bool detector_turns(const struct detector *d, int width, int height);
/* The one that the batch goes through. */
struct model *detector_way(struct detector *d);

/* Brings a picture into place `slot` of the batch. The one in slot 0 says which way the batch lies;
 * others are made to fit. */
enum vov_status detector_put(struct detector *d, int slot, const struct image *img,
                             struct err *err);
/* Turns the pictures in `images` left to right. detector_get() gives boxes of the pictures as they
 * were. */
void detector_mirror(struct detector *d);
/* Brings `images` and where they lie to the device, which detector_run does too. */
void detector_send(struct detector *d);
/* Runs the batch in `images`. Then detections of one slot, in pixels of its picture of that size.
 */
enum vov_status detector_run(struct detector *d, struct err *err);
enum vov_status detector_get(struct detector *d, int slot, int width, int height, double min_score,
                             struct det_list *dets, struct err *err);

#endif
