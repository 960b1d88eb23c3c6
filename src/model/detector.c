/*
 * detector.c - opening: cfg, weights, folding, and what the weights' file says about classes and
 * pixels; then pictures in and detections out.
 */
#include "detector.h"

#include "base/json.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

static enum vov_status damaged(const char *path, const char *key, struct err *err)
{
    return err_set(err, VOV_EFORMAT, "%s: its metadata \"%s\" is not as vov writes it", path, key);
}

static enum vov_status take_names(struct detector *d, const char *path, const char *text,
                                  struct err *err)
{
    json *j = NULL;
    TRY(json_parse(path, text, strlen(text), &j, err));
    enum vov_status status = VOV_OK;
    int n = 0;
    if (!cJSON_IsArray(j) || json_len(j) != d->n_classes) {
        status = err_set(err, VOV_EFORMAT, "%s: weights for %d classes, and the cfg has %d", path,
                         json_len(j), d->n_classes);
    }
    for (const json *c = status == VOV_OK ? j->child : NULL; c != NULL; c = c->next) {
        if (!cJSON_IsString(c)) {
            status = damaged(path, "classes", err);
            break;
        }
        d->class_name[n] = arena_strdup(&d->mem, c->valuestring);
        if (d->class_name[n++] == NULL) {
            status = err_nomem(err, strlen(c->valuestring));
            break;
        }
    }
    json_free(j);
    return status;
}

static enum vov_status take_keys(struct detector *d, const char *path, const char *text,
                                 struct err *err)
{
    json *j = NULL;
    TRY(json_parse(path, text, strlen(text), &j, err));
    enum vov_status status = VOV_OK;
    int n = 0;
    d->class_key = arena_alloc(&d->mem, (size_t)d->n_classes * sizeof *d->class_key);
    if (d->class_key == NULL) {
        status = err_nomem(err, (size_t)d->n_classes * sizeof *d->class_key);
    } else if (!cJSON_IsArray(j) || json_len(j) != d->n_classes) {
        status = damaged(path, "category_ids", err);
    }
    for (const json *c = status == VOV_OK ? j->child : NULL; c != NULL; c = c->next) {
        if (!json_whole(c, &d->class_key[n++])) {
            status = damaged(path, "category_ids", err);
            break;
        }
    }
    json_free(j);
    return status;
}

/* Finite numbers, none under `least`. */
static bool three(const json *j, double least, double *out)
{
    const json *c = j != NULL ? j->child : NULL;
    int n = 0;
    for (; cJSON_IsArray(j) && c != NULL && cJSON_IsNumber(c) && n < 3; c = c->next) {
        if (!isfinite(c->valuedouble) || c->valuedouble < least) {
            return false;
        }
        out[n++] = c->valuedouble;
    }
    return n == 3 && c == NULL;
}

/* Input size is the cfg's, all else the weights': a net sees pixels as it learned to. */
static enum vov_status take_pixels(struct detector *d, const char *path, const char *text,
                                   const struct log *log, struct err *err)
{
    json *j = NULL;
    TRY(json_parse(path, text, strlen(text), &j, err));
    struct pixels px = d->pixels;
    const json *bgr = json_get(j, "bgr"), *letterbox = json_get(j, "letterbox");
    enum vov_status status = VOV_OK;
    if (!three(json_get(j, "mean"), -1e6, px.mean) || !three(json_get(j, "std"), 1e-6, px.std) ||
        !cJSON_IsBool(bgr) || !cJSON_IsBool(letterbox)) {
        status = damaged(path, "pixels", err);
    } else {
        px.bgr = cJSON_IsTrue(bgr);
        px.letterbox = cJSON_IsTrue(letterbox);
        if (memcmp(px.mean, d->pixels.mean, sizeof px.mean) != 0 ||
            memcmp(px.std, d->pixels.std, sizeof px.std) != 0 || px.bgr != d->pixels.bgr ||
            px.letterbox != d->pixels.letterbox) {
            log_put(log, LOG_WARN,
                    "%s: trained with other mean, std, bgr or fit than the cfg says now; the "
                    "weights' are used",
                    path);
        }
        d->pixels = px;
    }
    json_free(j);
    return status;
}

static enum vov_status take_meta(struct detector *d, const struct safetensors *st, const char *path,
                                 const struct log *log, struct err *err)
{
    const char *classes = safetensors_meta(st, "classes");
    const char *keys = safetensors_meta(st, "category_ids");
    const char *pixels = safetensors_meta(st, "pixels");
    const char *format = safetensors_meta(st, "format");
    if (format == NULL || strncmp(format, "vov ", 4) != 0) {
        return VOV_OK; /* of another program: the cfg rules */
    }
    if (classes != NULL && d->n_classes > 0) {
        TRY(take_names(d, path, classes, err));
    }
    if (keys != NULL && d->n_classes > 0) {
        TRY(take_keys(d, path, keys, err));
    }
    return pixels != NULL ? take_pixels(d, path, pixels, log, err) : VOV_OK;
}

/* The cfg's class names, or numbers. */
static enum vov_status default_names(struct detector *d, struct err *err)
{
    const struct model *m = &d->model;
    d->n_classes = m->head.type != NULL ? m->head.classes : 0;
    d->class_name = arena_alloc(&d->mem, ((size_t)d->n_classes + 1) * sizeof *d->class_name);
    if (d->class_name == NULL) {
        return err_nomem(err, (size_t)d->n_classes * sizeof *d->class_name);
    }
    for (int i = 0; i < d->n_classes; i++) {
        d->class_name[i] =
            m->class_name != NULL ? m->class_name[i] : arena_printf(&d->mem, "class %d", i);
        if (d->class_name[i] == NULL) {
            return err_nomem(err, 16);
        }
    }
    return VOV_OK;
}

static size_t image_count(const struct detector *d)
{
    const struct shape s = d->model.input->shape;
    return (size_t)s.c * (size_t)s.h * (size_t)s.w;
}

static enum vov_status take_memory(struct detector *d, struct backend *be, struct err *err)
{
    struct model *m = &d->model;
    d->batch = m->input->shape.n;
    d->pixels = model_pixels(m);
    TRY(model_start(m, be, 1, err));
    TRY(default_names(d, err));
    const size_t n = image_count(d) * (size_t)d->batch;
    d->images = mem_block_alloc(n * sizeof *d->images);
    d->where = mem_alloc((size_t)d->batch, sizeof *d->where);
    if (d->images == NULL || d->where == NULL) {
        return err_nomem(err, n * sizeof *d->images);
    }
    for (int i = 0; i < d->batch; i++) {
        d->where[i] = placing_whole(m->net.width, m->net.height);
    }
    return VOV_OK;
}

static enum vov_status settle_layer(void *user, const struct tensor *t, struct err *err)
{
    struct exec *e = user;
    return exec_settle_layer(e, t) == VOV_OK ? VOV_OK
                                             : err_nomem(err, shape_count(t->shape) * sizeof(real));
}

static enum vov_status load(struct detector *d, const char *path, const struct log *log,
                            struct err *err)
{
    struct safetensors st;
    struct params *p = &d->model.exec.params;
    TRY(safetensors_read(path, &st, err));
    const struct weights_file file = {&st, path, "", settle_layer, &d->model.exec};
    enum vov_status status = weights_load(&file, p, p->val, NULL, err);
    if (status == VOV_OK && exec_settle_rest(&d->model.exec) != VOV_OK) {
        status = err_nomem(err, p->count * sizeof(real));
    }
    if (status == VOV_OK) {
        status = take_meta(d, &st, path, log, err);
    }
    safetensors_free(&st);
    return status;
}

static enum vov_status fold(struct detector *d, struct err *err)
{
    struct params *p = &d->model.exec.params;
    if (fold_weights(&d->model.graph, p) != VOV_OK) {
        return err_nomem(err, p->count * sizeof(real));
    }
    exec_pack(&d->model.exec);
    return VOV_OK;
}

enum vov_status detector_open(struct detector *d, const char *cfg, const char *weights,
                              const struct model_options *opt, struct backend *be,
                              struct err_list *errs)
{
    struct err err = {0};
    struct model_options how = *opt;
    how.blank = weights != NULL;
    *d = (struct detector){0};
    TRY(model_build(cfg, &how, &d->model, errs));
    enum vov_status status = take_memory(d, be, &err);
    if (status == VOV_OK) {
        status = weights != NULL ? load(d, weights, opt->log, &err) : fold(d, &err);
    }
    return status == VOV_OK ? VOV_OK : err_list_add(errs, &err);
}

enum vov_status detector_of(struct detector *d, const struct model *training, int batch,
                            struct backend *be, struct err *err)
{
    const struct model_options opt = {.batch = batch, .blank = true};
    struct err_list errs = {0};
    struct buf text = {0};
    *d = (struct detector){0};
    cfg_print(&training->cfg, &text);
    if (text.failed || text.p == NULL) {
        buf_free(&text);
        return err_nomem(err, text.n);
    }
    const enum vov_status status =
        model_build_text(training->cfg.path, text.p, text.n, &opt, &d->model, &errs);
    buf_free(&text);
    if (status != VOV_OK) {
        return err_set(err, status, "%s: %s", training->cfg.path,
                       errs.n > 0 ? errs.item[0].msg : "its inference form was not built");
    }
    return take_memory(d, be, err);
}

enum vov_status detector_take(struct detector *d, const struct model *training, struct err *err)
{
    TRY(params_copy(&d->model.exec.params, &training->exec.params, err));
    return fold(d, err);
}

void detector_close(struct detector *d)
{
    model_close(&d->model);
    mem_block_free(d->images);
    mem_free(d->where);
    arena_free(&d->mem);
    *d = (struct detector){0};
}

bool detector_turns(const struct detector *d, int width, int height)
{
    const struct net_config *net = &d->model.net;

    return d->model.turned != NULL && (height > width) != (net->height > net->width);
}

struct model *detector_way(struct detector *d)
{
    return model_way(&d->model, d->turned);
}

enum vov_status detector_put(struct detector *d, int slot, const struct image *img, struct err *err)
{
    real *planes = d->images + image_count(d) * (size_t)slot;
    TRY(model_takes_pictures(&d->model, err));
    if (slot == 0) {
        d->turned = detector_turns(d, img->width, img->height);
    }
    const struct pixels px = d->turned ? pixels_turned(&d->pixels) : d->pixels;
    const enum vov_status status = image_fit(img, &px, planes, &d->where[slot]);
    return status == VOV_OK ? VOV_OK : err_nomem(err, image_count(d) * sizeof *planes);
}

void detector_mirror(struct detector *d)
{
    const struct shape s = detector_way(d)->input->shape;
    real *row = d->images;

    for (size_t n = shape_count((struct shape){s.n, s.c, s.h, 1}); n > 0; n--, row += s.w) {
        for (int a = 0, b = s.w - 1; a < b; a++, b--) {
            const real left = row[a];
            row[a] = row[b];
            row[b] = left;
        }
    }
    for (int i = 0; i < d->batch; i++) {
        d->where[i].mirrored = !d->where[i].mirrored;
    }
}

void detector_send(struct detector *d)
{
    struct model *m = detector_way(d);
    exec_set(&m->exec, m->input, d->images);
    if (m->head.extent != NULL) {
        model_place(m, d->where);
        exec_set(&m->exec, m->head.extent, m->extent);
    }
}

/* A number that is none passes no comparison: without a look it would be "nothing found". */
static enum vov_status check_output(struct detector *d, struct err *err)
{
    struct model *m = detector_way(d);
    struct exec *e = &m->exec;
    struct view out[HEAD_MAX_OUT];

    for (int i = 0; i < m->head.n_out; i++) {
        out[i] = m->head.out[i]->val;
    }
    if (e->be->ops->finite(e->be, out, m->head.n_out)) {
        return VOV_OK;
    }
    detector_send(d);
    const char *node = exec_find_nonfinite(e, 0);
    return err_set(
        err, VOV_ENONFINITE,
        "the network's output is not finite, first in %.60s: the weights are damaged, or "
        "were trained with another mean and std",
        node != NULL ? node : "its head");
}

enum vov_status detector_run(struct detector *d, struct err *err)
{
    detector_send(d);
    TRY(exec_forward(&detector_way(d)->exec, 0, err));
    return check_output(d, err);
}

enum vov_status detector_get(struct detector *d, int slot, int width, int height, double min_score,
                             struct det_list *dets, struct err *err)
{
    return model_detect(detector_way(d), slot, &d->where[slot], width, height, min_score, dets,
                        err);
}
