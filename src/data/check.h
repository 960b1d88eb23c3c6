/*
 * check.h - looks at a whole data set before anybody trains on it: every annotation, every picture
 * to its last pixel, and what train and valid have in common.
 */
#ifndef VOV_CHECK_H
#define VOV_CHECK_H

#include "base/log.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>

/* What can be wrong. Errors would spoil a training or stop it; warnings were mended or left out. */
enum check_kind {
    CHECK_ANNOTATIONS, /* error: a file that cannot be read at all */
    CHECK_MISSING,     /* error: no such picture */
    CHECK_UNREADABLE,  /* error: a file that gives no picture */
    CHECK_SIZE,        /* error: another size than the annotations say */
    CHECK_CLASSES,     /* error: train and valid have other classes */
    CHECK_DAMAGED,     /* warning: a picture that gave most of its pixels */
    CHECK_BBOX,        /* warning: no area, outside, not finite */
    CHECK_CUT,         /* warning: a box reaches beyond its picture by more than a pixel */
    CHECK_CATEGORY,    /* warning: of no known class */
    CHECK_IMAGE,       /* warning: an entry of a picture, or of none */
    CHECK_ID,
    CHECK_DUPLICATE,
    CHECK_SEGMENTATION,
    CHECK_TWINS,    /* warning: the same bytes twice: in train and valid, or in one of them */
    CHECK_NO_BOXES, /* warning: a class, or a whole split, without any; without pictures */
    CHECK_KINDS
};
extern const char *const check_kind_name[CHECK_KINDS]; /* "annotations", "missing", ... */
bool check_is_error(enum check_kind kind);

struct check_list {
    long count;        /* all of them */
    const char **text; /* [n_text], the first ones */
    int n_text, cap;
};

enum { CHECK_BINS = 8 };
extern const int check_bin_side[CHECK_BINS]; /* upper ends of the bins, pixels; the last is open */

struct check_class {
    const char *name;
    long long id;
    long boxes;
    int images;
};

struct check_split {
    const char *name; /* "train", "valid", "all" */
    const char *path; /* the annotation file, or folder */
    bool labels;      /* a class for each picture: nothing below tells of boxes */
    int images, without_boxes;
    long boxes, crowd, skipped;
    long small, medium, large; /* by area, COCO's: under 32 x 32, under 96 x 96, the rest */
    long bin[CHECK_BINS];      /* by the square root of the area */
    int least[2], most[2];     /* width and height of the pictures that could be read */
    struct check_class *classes;
    int n_classes;
};

struct check_report {
    struct arena mem;
    struct check_list list[CHECK_KINDS];
    struct check_split split[2];
    int n_splits;
    int width, height; /* of a single picture that was good; else 0 */
    long errors, warnings;
};

struct check_options {
    int threads; /* 0: all cores */
    int limit;   /* texts kept of each kind */
    const struct log *log;
};

/* path: a .data file, an annotation file, a folder of class folders, or a picture. What is wrong
 * with them goes into the report, freed by check_free; only memory and threads can fail. */
enum vov_status check_data(const char *path, const struct check_options *opt,
                           struct check_report *report, struct err *err);
void check_free(struct check_report *report);

#endif
