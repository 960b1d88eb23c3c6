/*
 * coco_eval.h - COCO's average precision and recall, equal to pycocotools: 10 IoU thresholds, 101
 * recall points, four area ranges, 1/10/100 detections of each class in an image, crowds ignored.
 */
#ifndef VOV_COCO_EVAL_H
#define VOV_COCO_EVAL_H

#include "data/dataset.h"
#include "det/rle.h"

struct result {
    long long image_id, category_id;
    double x, y, w, h, score;
    double area;     /* w * h, or the mask's where there is no box: it decides the size class */
    struct rle mask; /* n 0: none */
    struct seg *polygons; /* a mask given so; NULL: none. One block; mem_free */
};

struct result_list {
    struct result *v;
    int n, cap;
    const char *path; /* where they were read, borrowed; NULL: made here */
};

/* In the order of a COCO results array: it breaks ties. VOV_EFORMAT names the entry, from 0, and
 * what it lacks. On failure *r is empty. */
enum vov_status results_read(const char *path, struct result_list *r, struct err *err);
enum vov_status results_write(const char *path, const struct result_list *r, struct err *err);
void results_free(struct result_list *r);

/* What a result says of a detection beside its numbers: of which picture, how large that is. */
struct result_of {
    long long image_id, category_id;
    int width, height;
};
/* Adds detection i of the list; its mask, where it has one, as a mask of the picture. */
enum vov_status results_add(struct result_list *r, const struct result_of *of,
                            const struct det_list *dets, int i, struct err *err);

/* {"size":[height,width],"counts":"..."} */
struct buf;
void result_put_mask(const struct rle *mask, struct buf *out);

enum coco_number {
    COCO_AP,
    COCO_AP50,
    COCO_AP75,
    COCO_APS,
    COCO_APM,
    COCO_APL,
    COCO_AR1,
    COCO_AR10,
    COCO_AR100,
    COCO_ARS,
    COCO_ARM,
    COCO_ARL,
    COCO_NUMBERS
};
extern const char *const coco_number_name[COCO_NUMBERS]; /* "AP", "AP50", ..., "ARl" */

enum { COCO_AREAS = 4, COCO_IOUS = 10, COCO_RECALLS = 101, COCO_MOST = 100 };

struct coco_class {
    double ap, ap50, ap75, ar100; /* -1: nothing to measure */
    double aps, apm, apl;
    double ars, arm, arl, ar1, ar10;
    long n_truth;                     /* without crowds */
    double precision50[COCO_RECALLS]; /* at IoU 0.5, all areas, 100 detections */
};

struct coco_report {
    double number[COCO_NUMBERS]; /* -1 where there is nothing to measure */
    struct coco_class *classes;  /* [n_classes] of the data set */
    int n_classes;
};

/*
 * segm: masks rather than boxes; truth then needs its seg. Results of classes that the data set
 * does not have count for nothing; those of pictures that it does not have are VOV_EFORMAT.
 */
enum vov_status coco_eval(const struct dataset *truth, const struct result_list *results, bool segm,
                          struct coco_report *report, struct err *err);
void coco_report_free(struct coco_report *r);

/* pycocotools' twelve lines of text. */
void coco_report_text(const struct coco_report *r, bool segm, struct buf *out);

/* A line for each class of truth. */
void coco_report_classes(const struct coco_report *r, const struct dataset *truth, struct buf *out);

/* {"bbox": {"AP": ..., ...}, "per_class": [{"id": , "name": , "AP": , ...}]}, of masks alone "segm"
 * in place of "bbox"; of both, each class has its "segm" too. Either may be NULL, not both. */
void coco_report_json(const struct coco_report *boxes, const struct coco_report *masks,
                      const struct dataset *truth, struct buf *out);
/* {"AP": ..., ..., "ARl": ...} */
void coco_report_numbers(const struct coco_report *r, struct buf *out);

#endif
