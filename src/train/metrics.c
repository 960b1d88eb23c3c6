/*
 * metrics.c - a resumed run goes on where its checkpoint is: later lines of the part that was lost
 * are taken out first, so that each iteration stands in the file once.
 */
#include "metrics.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/usage.h"

#include <math.h>
#include <string.h>

enum { MAX_LINES = 20000 };

/* Keeps the whole lines up to iteration `last`. */
static enum vov_status cut_back(const char *path, long last, struct err *err)
{
    struct buf old = {0}, kept = {0};
    enum vov_status status = file_read(path, (size_t)1 << 30, &old, err);
    const char *line = old.p;
    while (status == VOV_OK && line != NULL && *line != '\0') {
        const char *end = strchr(line, '\n');
        json *j = NULL;
        long long iteration = -1;
        if (end == NULL) {
            break;
        }
        if (json_parse(path, line, (size_t)(end - line), &j, NULL) == VOV_OK) {
            json_int(j, "iteration", &iteration);
            json_free(j);
        }
        if (iteration >= 0 && iteration <= last) {
            buf_add(&kept, line, (size_t)(end - line) + 1);
        }
        line = end + 1;
    }
    if (status == VOV_OK) {
        status = kept.failed ? err_nomem(err, old.n) : file_write(path, kept.p, kept.n, err);
    }
    buf_free(&old);
    buf_free(&kept);
    return status;
}

static enum vov_status put_line(struct metrics *m, const struct buf *line, struct err *err)
{
    if (line->failed) {
        return err_nomem(err, line->n);
    }
    if (fwrite(line->p, 1, line->n, m->f) != line->n || fflush(m->f) != 0) {
        return err_io(err, "write", m->path);
    }
    return VOV_OK;
}

static enum vov_status start(void *user, struct trainer *t, struct err *err)
{
    struct metrics *m = user;
    m->path = path_join(t->opt->out, "metrics.jsonl");
    if (m->path == NULL) {
        return err_nomem(err, strlen(t->opt->out));
    }
    if (file_exists(m->path)) {
        TRY(cut_back(m->path, t->resumed ? t->state.iteration : -1, err));
    }
    m->f = fopen(m->path, "ab");
    m->time = clock_now();
    m->at = t->state.iteration;
    return m->f != NULL ? VOV_OK : err_io(err, "write", m->path);
}

static void put(struct buf *b, const char *key, double v)
{
    buf_printf(b, ",\"%s\":", key);
    json_put_real(b, v);
}

static enum vov_status step(void *user, struct trainer *t, struct err *err)
{
    struct metrics *m = user;
    struct buf b = {0};
    const long every = (t->schedule.total + MAX_LINES - 1) / MAX_LINES;
    if (t->state.iteration % every != 0 && t->state.iteration != t->schedule.total) {
        return VOV_OK;
    }
    const double now = clock_now();
    const double images = (double)(t->state.iteration - m->at) * t->model->net.batch;
    buf_printf(&b, "{\"iteration\":%ld", t->state.iteration);
    put(&b, "epoch", (double)t->state.iteration / (double)t->schedule.per_epoch);
    put(&b, "loss", t->loss);
    for (int i = 0; i < t->n_parts; i++) {
        put(&b, t->part_name[i], t->part[i]);
    }
    put(&b, "lr", t->rate);
    put(&b, "gradient_norm", t->gradient_norm);
    if (t->model->net.precision == PRECISION_FP16) {
        put(&b, "loss_scale", t->state.scale.value);
    }
    put(&b, "images_per_second", images / fmax(now - m->time, 1e-9));
    buf_printf(&b, ",\"memory_bytes\":%zu,\"skipped\":%ld}\n", usage_peak_bytes(), t->skipped);
    m->time = now;
    m->at = t->state.iteration;
    const enum vov_status status = put_line(m, &b, err);
    buf_free(&b);
    return status;
}

void metrics_hook(struct metrics *m, struct hook *h)
{
    *m = (struct metrics){0};
    *h = (struct hook){.start = start, .step = step, .user = m};
}

enum vov_status metrics_val(struct metrics *m, const struct trainer *t, const char *val,
                            struct err *err)
{
    struct buf b = {0};
    buf_printf(&b, "{\"iteration\":%ld", t->state.iteration);
    put(&b, "epoch", (double)t->state.iteration / (double)t->schedule.per_epoch);
    buf_printf(&b, ",\"val\":%s}\n", val);
    const enum vov_status status = put_line(m, &b, err);
    buf_free(&b);
    m->time = clock_now(); /* evaluation is no part of the training speed */
    m->at = t->state.iteration;
    return status;
}

void metrics_close(struct metrics *m)
{
    if (m->f != NULL) {
        fclose(m->f);
    }
    mem_free(m->path);
    *m = (struct metrics){0};
}
