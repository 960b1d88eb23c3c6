/* dataset.c - what the readers of all kinds of data share; see dataset.h. */
#include "dataset.h"

#include <math.h>
#include <string.h>

bool item_clip(const struct item *it, const double bbox[4], struct box *out)
{
    const double w = it->width > 0 ? it->width : 1e9, h = it->height > 0 ? it->height : 1e9;
    const double x0 = fmax(0, bbox[0]), y0 = fmax(0, bbox[1]);
    const double x1 = fmin(w, bbox[0] + bbox[2]), y1 = fmin(h, bbox[1] + bbox[3]);

    const bool inside = x1 > x0 && y1 > y0;

    *out = inside ? (struct box){(real)x0, (real)y0, (real)x1, (real)y1} : (struct box){0};
    return inside;
}

long dataset_count_masks(const struct dataset *d, bool there)
{
    long n = 0;

    for (int i = 0; i < d->n; i++) {
        for (int k = 0; k < d->item[i].n_truth; k++) {
            const struct seg *s = d->item[i].truth[k].seg;
            n += (s != NULL && (s->rle != NULL || s->n_poly > 0)) == there;
        }
    }
    return n;
}

enum vov_status dataset_same_classes(const struct dataset *a, const struct dataset *b,
                                     struct err *err)
{
    if (a->labels != b->labels) {
        return err_set(err, VOV_EFORMAT, "%.120s has %s, %.120s has %s", a->path,
                       a->labels ? "a class for each picture" : "boxes", b->path,
                       b->labels ? "a class for each picture" : "boxes");
    }
    static const char *const way_out = "Pascal VOC's files want a line classes= in the .data file";
    if (a->n_classes != b->n_classes) {
        return err_set(err, VOV_EFORMAT, "%.100s has %d classes, %.100s has %d; %s", a->path,
                       a->n_classes, b->path, b->n_classes, way_out);
    }
    for (int i = 0; i < a->n_classes; i++) {
        if (strcmp(a->class_name[i], b->class_name[i]) != 0) {
            return err_set(err, VOV_EFORMAT,
                           "class %d is \"%.40s\" in %.100s, but \"%.40s\" in %.100s; %s", i + 1,
                           a->class_name[i], a->path, b->class_name[i], b->path, way_out);
        }
    }
    return VOV_OK;
}

void dataset_free(struct dataset *d)
{
    for (int i = 0; i < d->n; i++) {
        mem_free(d->item[i].truth);
    }
    mem_free(d->item);
    mem_free(d->class_name);
    mem_free(d->class_key);
    arena_free(&d->mem);
    *d = (struct dataset){0};
}
