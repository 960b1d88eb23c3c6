/*
 * evaluate.c - the loader feeds pictures in order, the detector finds, COCO's rules score.
 */
#include "evaluate.h"

#include "base/clock.h"
#include "base/json.h"
#include "data/loader.h"

#include <string.h>
#include <unistd.h>

/* map[i]: class of the data that the detector's class i is. */
static enum vov_status match_classes(const struct detector *d, const struct dataset *data, int *map,
                                     const struct log *log, struct err *err)
{
    int found = 0;
    for (int i = 0; i < d->n_classes; i++) {
        map[i] = -1;
        for (int k = 0; k < data->n_classes && map[i] < 0; k++) {
            if (strcmp(d->class_name[i], data->class_name[k]) == 0) {
                map[i] = k;
                found++;
            }
        }
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

static enum vov_status add_result(struct result_list *r, const struct detection *det,
                                  long long image_id, long long category_id, struct err *err)
{
    if (!VEC_GROW(r->v, r->n, r->cap)) {
        return err_nomem(err, ((size_t)r->n + 1) * sizeof *r->v);
    }
    const double w = (double)(det->box.x1 - det->box.x0), h = (double)(det->box.y1 - det->box.y0);
    r->v[r->n++] = (struct result){.image_id = image_id,
                                   .category_id = category_id,
                                   .x = (double)det->box.x0,
                                   .y = (double)det->box.y0,
                                   .w = w,
                                   .h = h,
                                   .score = (double)det->score,
                                   .area = w * h};
    return VOV_OK;
}

static enum vov_status take_batch(struct detector *d, const struct dataset *data,
                                  const struct batch *b, const int *map, struct evaluation *e,
                                  struct err *err)
{
    const struct shape s = d->model.input->shape;
    struct det_list dets = {0};
    enum vov_status status;
    memcpy(d->images, b->images, shape_count((struct shape){b->n, s.c, s.h, s.w}) * sizeof(real));
    memcpy(d->where, b->where, (size_t)b->n * sizeof *b->where);
    e->skipped += b->skipped;
    status = detector_run(d, err);
    for (int i = 0; i < b->n && status == VOV_OK; i++) {
        dets.n = 0;
        if (b->width[i] <= 0) {
            continue; /* could not be read */
        }
        status = detector_get(d, i, b->width[i], b->height[i], 0, &dets, err);
        for (int k = 0; k < dets.n && status == VOV_OK; k++) {
            status = add_result(&e->results, &dets.v[k], data->item[b->item[i]].id,
                                data->class_key[map[dets.v[k].class_id]], err);
        }
    }
    det_free(&dets);
    return status;
}

static enum vov_status run(struct detector *d, const struct dataset *data, int workers,
                           const struct log *log, const int *map, struct evaluation *e,
                           struct err *err)
{
    const struct loader_options opt = {.pixels = d->pixels,
                                       .batch = d->batch,
                                       .workers = workers,
                                       .log = log,
                                       .max_skipped = data->n};
    struct loader *l = NULL;
    struct batch *b = NULL;
    TRY(loader_open(data, &opt, 0, &l, err));
    enum vov_status status = loader_next(l, &b, err);
    while (status == VOV_OK && b != NULL) {
        status = take_batch(d, data, b, map, e, err);
        if (status == VOV_OK) {
            status = loader_next(l, &b, err);
        }
    }
    loader_close(l);
    return status;
}

int evaluate_workers(int threads)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return threads > 0 ? threads : cores > 0 && cores < 64 ? (int)cores : 1;
}

enum vov_status evaluate(struct detector *d, const struct dataset *data, int workers,
                         const struct log *log, struct evaluation *e, struct err *err)
{
    const double start = clock_now();
    *e = (struct evaluation){0};
    if (d->model.head.type == NULL || !d->model.head.type->detects) {
        return err_set(err, VOV_ECFG, "%s has no detector, such as [refinedet], at its end",
                       d->model.cfg.path);
    }
    int *map = mem_alloc((size_t)d->n_classes + 1, sizeof *map);
    if (map == NULL) {
        return err_nomem(err, (size_t)d->n_classes * sizeof *map);
    }
    enum vov_status status = match_classes(d, data, map, log, err);
    if (status == VOV_OK) {
        status = run(d, data, workers, log, map, e, err);
    }
    mem_free(map);
    e->seconds = clock_now() - start;
    return status == VOV_OK ? coco_eval(data, &e->results, false, &e->report, err) : status;
}

void evaluation_free(struct evaluation *e)
{
    results_free(&e->results);
    coco_report_free(&e->report);
    *e = (struct evaluation){0};
}

void evaluation_numbers(const struct coco_report *r, struct buf *out)
{
    for (int i = 0; i < COCO_NUMBERS; i++) {
        buf_printf(out, "%s\"%s\":", i == 0 ? "{" : ",", coco_number_name[i]);
        json_put_real(out, r->number[i]);
    }
    buf_puts(out, "}");
}
