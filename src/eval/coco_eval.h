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
    double area;
    struct rle mask; /* n 0: none */
};

struct result_list {
    struct result *v;
    int n, cap;
};

/* In the order of a COCO results array: it breaks ties. */
enum vov_status results_read(const char *path, struct result_list *r, struct err *err);
enum vov_status results_write(const char *path, const struct result_list *r, struct err *err);
void results_free(struct result_list *r);

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

struct coco_class {
    double ap, ap50, ap75, ar100; /* -1: nothing to measure */
    double aps, apm, apl;
    double precision50[101]; /* at IoU 0.5, all areas, 100 detections */
};

struct coco_report {
    double number[COCO_NUMBERS]; /* -1 where there is nothing to measure */
    struct coco_class *classes;  /* [n_classes] of the data set */
    int n_classes;
};

/* segm: masks rather than boxes; truth then needs its seg. */
enum vov_status coco_eval(const struct dataset *truth, const struct result_list *results, bool segm,
                          struct coco_report *report, struct err *err);
void coco_report_free(struct coco_report *r);

/* pycocotools' twelve lines of text. */
struct buf;
void coco_report_text(const struct coco_report *r, bool segm, struct buf *out);

#endif
