/* look.c - see look.h. */
#include "look.h"

#include <string.h>
#include <unistd.h>

int look_workers(int threads)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return threads > 0 ? threads : cores > 0 && cores < 64 ? (int)cores : 1;
}

static enum vov_status one_batch(const struct look *l, struct detector *d,
                                 const struct dataset *data, const struct batch *b, struct err *err)
{
    struct err why = {0};
    const struct shape s = d->model.input->shape;

    memcpy(d->images, b->images, shape_count((struct shape){b->n, s.c, s.h, s.w}) * sizeof(real));
    d->turned = b->turned;
    memcpy(d->where, b->where, (size_t)b->n * sizeof *b->where);
    const enum vov_status status = detector_run(d, &why);
    if (status != VOV_OK) {
        return err_set(err, status, "%s: %s", data->item[b->item[0]].path, why.msg);
    }
    return l->take(l->user, d, b, err);
}

enum vov_status look_over(const struct look *l, struct detector *d, const struct dataset *data,
                          struct err *err)
{
    const struct loader_options opt = {.pixels = d->pixels,
                                       .batch = d->batch,
                                       .both_ways = d->model.turned != NULL,
                                       .workers = l->workers,
                                       .log = l->log,
                                       .max_skipped = data->n};
    struct loader *loader = NULL;
    struct batch *b = NULL;
    TRY(model_takes_pictures(&d->model, err));
    TRY(loader_open(data, &opt, 0, &loader, err));
    enum vov_status status = loader_next(loader, &b, err);
    while (status == VOV_OK && b != NULL) {
        status = one_batch(l, d, data, b, err);
        if (status == VOV_OK) {
            status = loader_next(loader, &b, err);
        }
    }
    loader_close(loader);
    return status;
}
