/*
 * dataset.h - pictures with labelled boxes, or with a class each, whatever kind of file they came
 * from. Ids of the source are kept, to be written back in results.
 */
#ifndef VOV_DATASET_H
#define VOV_DATASET_H

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "det/detection.h"

struct truth {
    struct box box; /* pixels, clipped to the picture */
    double bbox[4]; /* x y width height as the file gives them, for evaluation */
    int class_id;   /* index into classes */
    bool crowd;     /* a region of many: no target, ignored in evaluation */
    bool difficult;
    bool unfit;  /* no area, outside, no numbers: no target, box is empty; evaluation counts it as
                    one to be found, as pycocotools does */
    double area; /* the annotation's own, else the box's */
    long long id;
    struct seg *seg; /* the mask as the file gives it; NULL when dropped or none */
};

/* A mask as annotated: polygons (x y x y ..., in pixels) or run lengths. */
struct seg {
    int height, width; /* of run lengths: that of the picture, unless the truth is unfit */
    double **poly;     /* [n_poly] */
    int *poly_len;     /* numbers in each, even */
    int n_poly;
    unsigned *rle; /* column-major runs, zeros first; NULL: polygons */
    int n_rle;
};

struct item {
    const char *path;      /* as it can be opened from here */
    const char *file_name; /* as the file gives it */
    long long id;
    int width, height;     /* 0: not known before the picture is read */
    const uint8_t *planes; /* [3][height][width] red, green, blue where they came with the labels;
                              NULL: they are read from path */
    int label;             /* index into classes, of a data set with labels */
    struct truth *truth;
    int n_truth, cap_truth;
};

struct dataset {
    struct arena mem;
    const char *path; /* the annotation file, or folder */
    bool labels;      /* for a classifier: a class for each picture, no boxes */
    struct item *item;
    int n, cap;
    const char **class_name; /* [n_classes], in order of their ids */
    long long *class_key;    /* category_id of each */
    int n_classes;
    long n_truth; /* those that training can use, and crowds */
    long skipped; /* annotations left out or unfit, said in the log */
};

enum masks { MASKS_DROP, MASKS_CHECK, MASKS_KEEP }; /* check: reported when damaged, not kept */

struct dataset_options {
    enum masks masks;    /* what becomes of segmentations */
    bool pictures_only;  /* "annotations" and "categories" may be missing */
    const char *classes; /* of VOC data, in order, with commas between; NULL: those met */
    const char *images;  /* folder of the pictures; NULL: the annotation file's, or images/ there */
    const struct log *log; /* may be NULL. Gets the first few problems of each kind, and how many */
    /* May be NULL: called for each thing that is wrong with an annotation or a picture's entry,
     * whether it was skipped or taken; kind is a fixed word: "bbox", "category", "image", "id",
     * "segmentation", "duplicate". */
    void (*problem)(void *user, const char *kind, bool skipped, const char *text);
    void *user;
};

enum vov_status coco_read(const char *path, const struct dataset_options *opt, struct dataset *d,
                          struct err *err);

/*
 * Pictures with a class each. path is a folder with a folder of pictures for each class (classes
 * are the folders in order of their names), or files of CIFAR-10's binary form by name, with commas
 * between: records of a label and 3072 bytes, 32x32 red, green, blue. Their class names are the
 * lines of batches.meta.txt beside the first, else numbers. VOV_EFORMAT, VOV_EIO, VOV_ENOMEM.
 */
enum vov_status labels_read(const char *path, const struct dataset_options *opt, struct dataset *d,
                            struct err *err);

/*
 * Pascal VOC: path is a text file of picture names as in ImageSets/Main (several with commas
 * between), whose annotations are ../../Annotations/NAME.xml, or a folder of XML files. Pictures
 * are looked for in opt->images, or in ../JPEGImages from the annotation and beside it. Classes
 * are opt->classes. Errors as above.
 */
enum vov_status voc_read(const char *path, const struct dataset_options *opt, struct dataset *d,
                         struct err *err);
void dataset_free(struct dataset *d);

/* A net has one list of classes. VOV_EFORMAT where b's are not a's, in order, or one of the two has
 * classes of whole pictures and the other boxes. */
enum vov_status dataset_same_classes(const struct dataset *a, const struct dataset *b,
                                     struct err *err);

/* How many truths, of all kinds, have a mask, or have none. */
long dataset_count_masks(const struct dataset *d, bool there);

/* The part of a box x y width height that lies inside the picture, as far as its size is known;
 * false, and an empty box, when nothing does. */
bool item_clip(const struct item *it, const double bbox[4], struct box *out);

/*
 * A .data text file: key = value lines
 *   train = annotations.json     valid = annotations.json     (COCO JSON)
 *   train = folder               valid = folder               (a folder for each class)
 *   train = a.bin, b.bin         valid = test.bin             (CIFAR-10's binary form)
 *   train = ImageSets/Main/trainval.txt                       (Pascal VOC; or a folder of its XML)
 *   images = folder              train_images =, valid_images = where they differ
 *   classes = circle, square     what the annotations must have, in the order of their ids
 * Paths are relative to the file; classes may be left out. The strings live in mem.
 */
struct data_file {
    struct arena mem;
    const char *path;
    const char *train, *valid;
    const char *train_images, *valid_images;
    const char *classes; /* as written; NULL: not said */
};
enum vov_status data_file_read(const char *path, struct data_file *d, struct err *err);
void data_file_free(struct data_file *d);

/* Either split of DATA as users give it: a .data file, an annotation .json (both splits), or a
 * folder of class folders (both splits, or its folders train and val, valid or test). */
enum vov_status dataset_open(const char *path, bool valid, const struct dataset_options *opt,
                             struct dataset *d, struct err *err);

#endif
