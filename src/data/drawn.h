/*
 * drawn.h - a whole data set of drawn pictures in COCO's form: pictures in DIR/images/train and
 * DIR/images/val, train.json, val.json and drawn.data. What the demo and the tests train on.
 */
#ifndef VOV_DRAWN_H
#define VOV_DRAWN_H

#include "base/log.h"
#include "scene.h"

struct drawn_options {
    struct scene_options scene;
    int images; /* four of five go to train, the rest to val */
    uint64_t seed;
    int threads; /* 0: all cores */
    const struct log *log;
};

struct drawn_counts {
    int train, val; /* pictures */
    long objects;
    long of_class[SHAPE_KINDS];
};

/*
 * Equal options give equal bytes. A folder that holds anything but an earlier drawn data set is
 * refused (VOV_EIO): nothing of the user's is overwritten. The annotations are
 * written last: a set that was interrupted has none, and may be drawn again.
 */
enum vov_status drawn_write(const char *dir, const struct drawn_options *opt,
                            struct drawn_counts *counts, struct err *err);

/* Class names, separated by commas, or a number of classes; VOV_EARG when one is unknown or given
 * twice. NULL gives the default four. */
enum vov_status drawn_classes(const char *names, struct scene_options *opt, struct err *err);

#endif
