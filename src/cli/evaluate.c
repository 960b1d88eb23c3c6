/*
 * evaluate.c - the loader feeds pictures in order, the network looks, COCO's rules or the count of
 * right answers score.
 */
#include "evaluate.h"

#include "base/clock.h"
#include "base/json.h"
#include "look.h"

#include <string.h>

/* The data's class of that name which is none of map[0..n-1], or -1: names may be given twice. */
static int find_class(const struct dataset *data, const char *name, const int *map, int n)
{
    for (int k = 0; k < data->n_classes; k++) {
        bool free = strcmp(name, data->class_name[k]) == 0;
        for (int i = 0; i < n && free; i++) {
            free = map[i] != k;
        }
        if (free) {
            return k;
        }
    }
    return -1;
}

/* map[i]: class of the data that the detector's class i is. */
static enum vov_status match_classes(const struct detector *d, const struct dataset *data, int *map,
                                     const struct log *log, struct err *err)
{
    int found = 0;
    for (int i = 0; i < d->n_classes; i++) {
        map[i] = find_class(data, d->class_name[i], map, i);
        found += map[i] >= 0;
    }
    if (found == d->n_classes) {
        return VOV_OK;
    }
    if (d->n_classes != data->n_classes) {
        return err_set(err, VOV_EFORMAT,
                       "%s has %d classes (first: %s), the weights know %d (first: %s)", data->path,
                       data->n_classes, data->n_classes > 0 ? data->class_name[0] : "none",
                       d->n_classes, d->class_name[0]);
    }
    if (found > 0) {
        log_put(log, LOG_WARN,
                "%s: only %d of %d class names are those of the weights; classes are "
                "taken in order",
                data->path, found, d->n_classes);
    }
    for (int i = 0; i < d->n_classes; i++) {
        map[i] = i;
    }
    return VOV_OK;
}

/* The detections of image i of a batch that was run. */
static enum vov_status take_detections(struct detector *d, const struct dataset *data,
                                       const struct batch *b, int i, const int *map,
                                       struct evaluation *e, struct err *err)
{
    struct det_list dets = {0};
    struct result_of of = {
        .image_id = data->item[b->item[i]].id, .width = b->width[i], .height = b->height[i]};
    enum vov_status status = detector_get(d, i, b->width[i], b->height[i], 0, &dets, err);

    for (int k = 0; k < dets.n && status == VOV_OK; k++) {
        of.category_id = data->class_key[map[dets.v[k].class_id]];
        status = results_add(&e->results, &of, &dets, k, err);
    }
    det_free(&dets);
    return status;
}

/* The answer for image i, by the data's classes. */
static enum vov_status take_answer(struct detector *d, const struct dataset *data,
                                   const struct batch *b, int i, const int *map,
                                   struct evaluation *e, struct err *err)
{
    const int n = d->n_classes, label = data->item[b->item[i]].label;
    real *score = mem_alloc((size_t)n + 1, sizeof *score);
    int truth = 0;

    if (score == NULL) {
        return err_nomem(err, (size_t)n * sizeof *score);
    }
    struct model *m = detector_way(d);
    exec_get_rows(&m->exec, m->head.out[0], i, 1, score);
    while (truth < n && map[truth] != label) {
        truth++;
    }
    if (truth < n) {
        topk_add(&e->top, score, n, truth);
    } else {
        e->top.n++; /* a class that the net does not know */
    }
    mem_free(score);
    return VOV_OK;
}

/* What take_batch needs. */
struct taking {
    const struct dataset *data;
    const int *map;
    struct evaluation *e;
};

static enum vov_status take_batch(void *user, struct detector *d, const struct batch *b,
                                  struct err *err)
{
    const struct taking *t = user;
    struct evaluation *e = t->e;
    enum vov_status status = VOV_OK;

    e->skipped += b->skipped;
    for (int i = 0; i < b->n && status == VOV_OK; i++) {
        if (b->width[i] <= 0) {
            e->top.n += e->labels;
            continue; /* could not be read */
        }
        status = e->labels ? take_answer(d, t->data, b, i, t->map, e, err)
                           : take_detections(d, t->data, b, i, t->map, e, err);
    }
    return status;
}

static enum vov_status measure(const struct detector *d, const struct dataset *data,
                               const struct log *log, struct evaluation *e, struct err *err)
{
    TRY(coco_eval(data, &e->results, false, &e->report, err));
    if (d->model.head.mask_side == 0) {
        return VOV_OK;
    }
    const long without = dataset_count_masks(data, false);
    if (without > 0) {
        log_put(log, LOG_WARN,
                "%s: %ld annotations have no \"segmentation\"; masks are measured only where all "
                "have one",
                data->path, without);
        return VOV_OK;
    }
    e->has_masks = true;
    return coco_eval(data, &e->results, true, &e->masks, err);
}

struct dataset_options evaluate_data(const struct model *m, const struct log *log)
{
    const bool masks = m->head.mask_side > 0 || m->head.truth_masks != NULL;
    return (struct dataset_options){.masks = masks ? MASKS_KEEP : MASKS_DROP, .log = log};
}

/* Whether a network and a data set are for each other; *map as match_classes fills it, to be freed
 * by the caller. */
static enum vov_status open_map(const struct detector *d, const struct dataset *data,
                                const struct log *log, int **map, struct err *err)
{
    const struct head_type *head = d->model.head.type;
    if (head == NULL) {
        return err_set(err, VOV_ECFG,
                       "%s has no head, such as [refinedet] or [softmax], at its end",
                       d->model.cfg.path);
    }
    if (head->detects == data->labels) {
        return err_set(err, VOV_ECFG, "%s ends in [%s], a %s, but %s has %s", d->model.cfg.path,
                       head->name, head->detects ? "detector" : "classifier", data->path,
                       data->labels ? "classes of whole pictures and no boxes"
                                    : "boxes; it wants a folder of pictures for each class");
    }
    *map = mem_alloc((size_t)d->n_classes + 1, sizeof **map);
    if (*map == NULL) {
        return err_nomem(err, (size_t)d->n_classes * sizeof **map);
    }
    return match_classes(d, data, *map, log, err);
}

enum vov_status evaluate(struct detector *d, const struct dataset *data, int workers,
                         const struct log *log, struct evaluation *e, struct err *err)
{
    const double start = clock_now();
    int *map = NULL;
    *e = (struct evaluation){.labels = data->labels};
    enum vov_status status = open_map(d, data, log, &map, err);
    if (status == VOV_OK) {
        struct taking taking = {data, map, e};
        const struct look look = {
            .workers = workers, .log = log, .take = take_batch, .user = &taking};
        status = look_over(&look, d, data, err);
    }
    mem_free(map);
    e->seconds = clock_now() - start;
    if (status != VOV_OK || e->labels) {
        return status;
    }
    return measure(d, data, log, e, err);
}

/* What was found at all sizes, as results. */
static enum vov_status take_found(const struct multiscale *m, const struct dataset *data,
                                  const int *map, struct evaluation *e, struct err *err)
{
    for (int i = 0; i < m->n; i++) {
        e->skipped += m->lost[i];
        for (int k = 0; k < m->found[i].n; k++) {
            const struct result_of of = {.image_id = data->item[i].id,
                                         .category_id =
                                             data->class_key[map[m->found[i].v[k].class_id]]};
            TRY(results_add(&e->results, &of, &m->found[i], k, err));
        }
    }
    return VOV_OK;
}

enum vov_status evaluate_scales(struct multiscale *m, struct detector *d,
                                const struct dataset *data, struct evaluation *e,
                                struct err_list *errs)
{
    const double start = clock_now();
    struct err err = {0};
    int *map = NULL;
    *e = (struct evaluation){0};
    TRY(multiscale_open(m, d, errs));
    enum vov_status status = open_map(d, data, m->opt.log, &map, &err);
    if (status == VOV_OK) {
        status = multiscale_run(m, d, data, errs);
        status = status == VOV_OK ? take_found(m, data, map, e, &err) : status;
    }
    mem_free(map);
    e->seconds = clock_now() - start;
    if (status == VOV_OK) {
        status = coco_eval(data, &e->results, false, &e->report, &err);
    }
    return err.code != VOV_OK ? err_list_add(errs, &err) : status;
}

void evaluation_free(struct evaluation *e)
{
    results_free(&e->results);
    coco_report_free(&e->report);
    coco_report_free(&e->masks);
    *e = (struct evaluation){0};
}

double evaluation_score(const struct evaluation *e)
{
    return e->labels ? topk_top1(&e->top) : e->report.number[COCO_AP];
}

void evaluation_line(const struct evaluation *e, struct buf *out)
{
    const double *v = e->report.number;

    if (e->labels) {
        buf_printf(out, "top-1 %.4f  top-5 %.4f", topk_top1(&e->top), topk_top5(&e->top));
    } else {
        buf_printf(out, "AP %.3f  AP50 %.3f  AP75 %.3f", v[COCO_AP], v[COCO_AP50], v[COCO_AP75]);
    }
    if (e->has_masks) {
        v = e->masks.number;
        buf_printf(out, "  masks AP %.3f  AP50 %.3f", v[COCO_AP], v[COCO_AP50]);
    }
}

void evaluation_numbers(const struct evaluation *e, struct buf *out)
{
    if (e->labels) {
        buf_puts(out, "{\"top1\":");
        json_put_real(out, topk_top1(&e->top));
        buf_puts(out, ",\"top5\":");
        json_put_real(out, topk_top5(&e->top));
        buf_puts(out, "}");
        return;
    }
    coco_report_numbers(&e->report, out);
    if (e->has_masks && out->n > 0 && !out->failed) {
        out->n--; /* the object is closed again below */
        buf_puts(out, ",\"segm\":");
        coco_report_numbers(&e->masks, out);
        buf_puts(out, "}");
    }
}
