/*
 * multiscale.h - a detector looks at each picture at several sizes, and mirrored, and box voting
 * makes one list of it. One size after the other over all pictures, so that one network is in
 * memory at a time.
 */
#ifndef VOV_CLI_MULTISCALE_H
#define VOV_CLI_MULTISCALE_H

#include "cli.h"
#include "look.h"
#include "scales.h"

struct multiscale {
    const char *cfg, *weights;
    struct model_options opt; /* width and height are set for each size */
    struct backend *be;       /* borrowed */
    int workers;              /* threads of the loader */
    struct scales scales;
    bool flip;

    struct det_list *found; /* [n], of each picture, after multiscale_run */
    bool *lost;             /* [n]: it could not be read */
    int n;
    struct model trial; /* the last that was built to see whether it can be: errs may point to it */
};

#define SCALES_OPTIONS(scales_at, flip_at)                                                         \
    {"scales",                                                                                     \
     0,                                                                                            \
     OPT_TEXT,                                                                                     \
     (scales_at),                                                                                  \
     "SIZES",                                                                                      \
     0,                                                                                            \
     0,                                                                                            \
     "look at each picture at these input sizes, such as 192,320,512, and merge what is found by " \
     "box voting; \"refinedet\": as its published tester does"},                                   \
    {                                                                                              \
        "flip", 0, OPT_FLAG, (flip_at), NULL, 0, 0, "look at each picture mirrored too"            \
    }

/* Reads --scales and builds the network in each size, without memory for its numbers, so that what
 * does not fit is said before the work. The fields before `scales` are the caller's. */
enum vov_status multiscale_init(struct multiscale *m, const char *scales, bool flip,
                                struct err_list *errs);

/* Whether there is more than one look at a picture, or boxes do not count; else the one size in opt
 * is all there is to it. */
bool multiscale_needed(struct multiscale *m);

/* Opens the network in the first size: what it says of classes is that of all. */
enum vov_status multiscale_open(struct multiscale *m, struct detector *d, struct err_list *errs);

/* Fills `found`, of the opened network and then of the others, which take its place in *d. The
 * last one stays open. */
enum vov_status multiscale_run(struct multiscale *m, struct detector *d, const struct dataset *data,
                               struct err_list *errs);
/* After errs was printed. */
void multiscale_free(struct multiscale *m);

#endif
