/*
 * api.c - vov.h on top of the detector: handles, copies in and out, errors in the caller's struct.
 */
#include "vov.h"

#include "det/mask_paste.h"
#include "model/detector.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct vov_model {
    struct detector detector;
    struct backend *be;
    struct log log;
    float *output[HEAD_MAX_OUT]; /* lent to callers */
};

struct vov_result {
    struct vov_detection **found; /* [n_images] */
    size_t *count;                /* [n_images] */
    int n_images;
    struct arena mem; /* masks */
};

static void copy_text(char *to, size_t size, const char *from)
{
    size_t n = strlen(from);
    n = n < size ? n : size - 1;
    memcpy(to, from, n);
    to[n] = '\0';
}

/* Hands err to the caller, who may not want it. Gives its status. */
static enum vov_status give(const struct err *err, struct vov_error *error)
{
    if (error != NULL) {
        *error = (struct vov_error){
            .code = err->code, .line = err->at.line, .column = err->at.line > 0 ? err->at.col : 0};
        copy_text(error->file, sizeof error->file, err->at.file != NULL ? err->at.file : "");
        copy_text(error->text, sizeof error->text, err->msg);
    }
    return err->code;
}

/* The caller's struct may be an older, shorter one. */
static enum vov_status read_options(const struct vov_options *given, struct vov_options *o,
                                    struct err *err)
{
    *o = (struct vov_options){0};
    if (given != NULL && (given->size < sizeof given->size || given->size > sizeof *o)) {
        return err_set(err, VOV_EARG,
                       "options->size is %zu and must be sizeof(struct vov_options), %zu here",
                       given->size, sizeof *o);
    }
    if (given != NULL) {
        memcpy(o, given, given->size);
    }
    if (o->batch < 0 || o->batch > 65536 || o->threads < 0 || o->threads > 1024) {
        return err_set(err, VOV_EARG,
                       "options: batch %d and threads %d must be 0 to 65536 and 1024", o->batch,
                       o->threads);
    }
    return VOV_OK;
}

static enum vov_status open_model(struct vov_model *m, const char *cfg, const char *weights,
                                  const struct vov_options *o, struct err *err)
{
    struct err_list errs = {0};
    const struct model_options opt = {.batch = o->batch > 0 ? o->batch : 1, .log = &m->log};
    m->log = (struct log){.fn = o->log, .user = o->user};
    TRY(backend_open(o->device, o->threads, &m->be, err));
    const enum vov_status status = detector_open(&m->detector, cfg, weights, &opt, m->be, &errs);
    if (status != VOV_OK && errs.n > 0) {
        *err = errs.item[0];
    }
    return status;
}

enum vov_status vov_open(vov_model **model, const char *cfg, const char *weights,
                         const struct vov_options *options, struct vov_error *error)
{
    struct vov_options o;
    struct err err = {0};
    if (model == NULL || cfg == NULL) {
        err_set(&err, VOV_EARG, "vov_open: model and cfg must not be NULL");
        return give(&err, error);
    }
    *model = NULL;
    if (read_options(options, &o, &err) != VOV_OK) {
        return give(&err, error);
    }
    struct vov_model *m = mem_alloc(1, sizeof *m);
    if (m == NULL) {
        err_nomem(&err, sizeof *m);
        return give(&err, error);
    }
    const enum vov_status status = open_model(m, cfg, weights, &o, &err);
    if (status != VOV_OK) {
        give(&err, error); /* before the text that its place lies in goes */
        vov_close(m);
        return status;
    }
    *model = m;
    return VOV_OK;
}

void vov_close(vov_model *model)
{
    if (model == NULL) {
        return;
    }
    for (int i = 0; i < HEAD_MAX_OUT; i++) {
        mem_free(model->output[i]);
    }
    detector_close(&model->detector);
    backend_close(model->be);
    mem_free(model);
}

const char *vov_class_name(const vov_model *model, int class_id)
{
    const struct detector *d = &model->detector;
    return class_id >= 0 && class_id < d->n_classes ? d->class_name[class_id] : NULL;
}

static enum vov_status check_image(const struct vov_image *im, int index, struct err *err)
{
    if (im->pixels == NULL || im->width < 1 || im->height < 1 ||
        (size_t)im->width > IMAGE_MAX_PIXELS / (size_t)im->height ||
        (im->channels != 1 && im->channels != 3)) {
        return err_set(err, VOV_EARG,
                       "image %d: %dx%d pixels of %d channels; it must have pixels, of 1 or 3 "
                       "channels",
                       index, im->width, im->height, im->channels);
    }
    if (im->row_bytes < (size_t)im->width * (size_t)im->channels) {
        return err_set(err, VOV_EARG, "image %d: row_bytes is %zu, and a row has %zu", index,
                       im->row_bytes, (size_t)im->width * (size_t)im->channels);
    }
    return VOV_OK;
}

/* Dense R G B, as the road for pixels takes it. */
static enum vov_status copy_image(const struct vov_image *im, struct image *img, struct err *err)
{
    const size_t w = (size_t)im->width, h = (size_t)im->height;
    *img = (struct image){.width = im->width, .height = im->height};
    img->rgb = mem_alloc(w * h, 3);
    if (img->rgb == NULL) {
        return err_nomem(err, w * h * 3);
    }
    for (size_t y = 0; y < h; y++) {
        const uint8_t *from = im->pixels + y * im->row_bytes;
        uint8_t *to = img->rgb + y * w * 3;
        if (im->channels == 3) {
            memcpy(to, from, w * 3);
            continue;
        }
        for (size_t x = 0; x < w; x++) {
            to[3 * x] = to[3 * x + 1] = to[3 * x + 2] = from[x];
        }
    }
    return VOV_OK;
}

static enum vov_status put_image(struct vov_model *m, const struct vov_image *im, int index,
                                 int slot, struct err *err)
{
    struct image img;
    TRY(check_image(im, index, err));
    TRY(copy_image(im, &img, err));
    const enum vov_status status = detector_put(&m->detector, slot, &img, err);
    image_free(&img);
    return status;
}

/* The pixels of the image that the box of *v touches. */
static enum vov_status take_mask(struct vov_result *r, const struct vov_image *im,
                                 const struct det_list *dets, int i, struct vov_detection *v,
                                 struct err *err)
{
    const struct box *b = &dets->v[i].box;
    const real *numbers = det_mask(dets, &dets->v[i]);
    struct rle mask;
    if (numbers == NULL) {
        return VOV_OK;
    }
    const int x = (int)b->x0, y = (int)b->y0;
    const int rect[4] = {x, y, (int)ceil((double)b->x1) - x, (int)ceil((double)b->y1) - y};
    const size_t n = (size_t)rect[2] * (size_t)rect[3];
    uint8_t *bytes = arena_alloc(&r->mem, n + 1);
    if (bytes == NULL) {
        return err_nomem(err, n);
    }
    TRY(mask_paste(numbers, dets->mask_side, b, im->height, im->width, &mask, err));
    rle_spread(&mask, rect, bytes);
    rle_free(&mask);
    v->mask = bytes;
    v->mask_width = rect[2];
    v->mask_height = rect[3];
    return VOV_OK;
}

static enum vov_status take_found(struct vov_result *r, int image, const struct vov_image *im,
                                  const struct det_list *dets, struct err *err)
{
    struct vov_detection *v = mem_alloc((size_t)dets->n, sizeof *v);
    if (v == NULL) {
        return err_nomem(err, (size_t)dets->n * sizeof *v);
    }
    r->found[image] = v;
    r->count[image] = (size_t)dets->n;
    for (int i = 0; i < dets->n; i++) {
        const struct detection *d = &dets->v[i];
        v[i] = (struct vov_detection){.x0 = (float)d->box.x0,
                                      .y0 = (float)d->box.y0,
                                      .x1 = (float)d->box.x1,
                                      .y1 = (float)d->box.y1,
                                      .score = (float)d->score,
                                      .class_id = d->class_id};
        TRY(take_mask(r, im, dets, i, &v[i], err));
    }
    return VOV_OK;
}

/* What a call looks at: `order` has first the images that lie one way, n_first of them, and then
 * the others. */
struct work {
    const struct vov_image *images;
    int *order;
    int n, n_first;
    double min_score;
};

static void sort_ways(const struct vov_model *m, struct work *w)
{
    int at = 0;
    for (int turned = 0; turned < 2; turned++) {
        w->n_first = turned == 0 ? 0 : at;
        for (int i = 0; i < w->n; i++) {
            const struct vov_image *im = &w->images[i];
            if (detector_turns(&m->detector, im->width, im->height) == (turned == 1)) {
                w->order[at++] = i;
            }
        }
    }
}

/* Images order[0 .. n - 1], at most a batch, which lie the same way. */
static enum vov_status detect_some(struct vov_model *m, const struct work *w, const int *order,
                                   int n, struct vov_result *r, struct err *err)
{
    struct det_list dets = {0};
    for (int i = 0; i < n; i++) {
        TRY(put_image(m, &w->images[order[i]], order[i], i, err));
    }
    TRY(detector_run(&m->detector, err));
    enum vov_status status = VOV_OK;
    for (int i = 0; i < n && status == VOV_OK; i++) {
        const struct vov_image *im = &w->images[order[i]];
        det_clear(&dets);
        status = detector_get(&m->detector, i, im->width, im->height, w->min_score, &dets, err);
        if (status == VOV_OK) {
            status = take_found(r, order[i], im, &dets, err);
        }
    }
    det_free(&dets);
    return status;
}

static enum vov_status detect_all(struct vov_model *m, struct work *w, struct vov_result *r,
                                  struct err *err)
{
    const int batch = m->detector.batch;
    r->n_images = w->n;
    r->found = mem_alloc((size_t)w->n, sizeof *r->found);
    r->count = mem_alloc((size_t)w->n, sizeof *r->count);
    if (r->found == NULL || r->count == NULL) {
        return err_nomem(err, (size_t)w->n * sizeof *r->found);
    }
    sort_ways(m, w);
    for (int at = 0, some; at < w->n; at += some) {
        const int end = at < w->n_first ? w->n_first : w->n;
        some = end - at < batch ? end - at : batch;
        TRY(detect_some(m, w, w->order + at, some, r, err));
    }
    return VOV_OK;
}

enum vov_status vov_detect(vov_model *model, const struct vov_image *images, int n, float min_score,
                           vov_result **result, struct vov_error *error)
{
    struct err err = {0};
    if (model == NULL || images == NULL || n < 1 || result == NULL) {
        err_set(&err, VOV_EARG, "vov_detect: needs a model, at least one image and a result");
        return give(&err, error);
    }
    *result = NULL;
    struct work w = {.images = images, .n = n, .min_score = (double)min_score};
    struct vov_result *r = mem_alloc(1, sizeof *r);
    w.order = mem_alloc((size_t)n, sizeof *w.order);
    enum vov_status status = r != NULL && w.order != NULL
                                 ? detect_all(model, &w, r, &err)
                                 : err_nomem(&err, (size_t)n * sizeof *w.order);
    mem_free(w.order);
    if (status != VOV_OK) {
        vov_result_free(r);
        return give(&err, error);
    }
    *result = r;
    return VOV_OK;
}

size_t vov_result_count(const vov_result *result, int image)
{
    return image >= 0 && image < result->n_images ? result->count[image] : 0;
}

const struct vov_detection *vov_result_get(const vov_result *result, int image, size_t i)
{
    return i < vov_result_count(result, image) ? &result->found[image][i] : NULL;
}

void vov_result_free(vov_result *result)
{
    if (result == NULL) {
        return;
    }
    for (int i = 0; i < result->n_images && result->found != NULL; i++) {
        mem_free(result->found[i]);
    }
    arena_free(&result->mem);
    mem_free(result->found);
    mem_free(result->count);
    mem_free(result);
}

enum vov_status vov_set_input(vov_model *model, const char *name, const float *data,
                              const int shape[4], struct vov_error *error)
{
    struct err err = {0};
    if (model == NULL || data == NULL || shape == NULL) {
        err_set(&err, VOV_EARG, "vov_set_input: needs a model, data and their shape");
        return give(&err, error);
    }
    const struct detector *d = &model->detector;
    const struct tensor *t = d->model.input;
    const struct shape s = t->shape;
    if (name != NULL && strcmp(name, t->name) != 0) {
        err_set(&err, VOV_EARG, "the network has no input \"%.100s\"; its input is \"%s\"", name,
                t->name);
        return give(&err, error);
    }
    if (shape[0] != s.n || shape[1] != s.c || shape[2] != s.h || shape[3] != s.w) {
        err_set(&err, VOV_ESHAPE, "the input is %dx%dx%dx%d, and the data %dx%dx%dx%d", s.n, s.c,
                s.h, s.w, shape[0], shape[1], shape[2], shape[3]);
        return give(&err, error);
    }
    model->detector.turned = false;
    const size_t n = shape_count(s);
    for (size_t i = 0; i < n; i++) {
        d->images[i] = (real)data[i];
    }
    return VOV_OK;
}

enum vov_status vov_run(vov_model *model, struct vov_error *error)
{
    struct err err = {0};
    if (model == NULL) {
        err_set(&err, VOV_EARG, "vov_run: needs a model");
        return give(&err, error);
    }
    return detector_run(&model->detector, &err) == VOV_OK ? VOV_OK : give(&err, error);
}

/* Index of the named output; -1 and an error that lists them all. */
static int find_output(const struct vov_model *m, const char *name, struct err *err)
{
    const struct head *h = &m->detector.model.head;
    char known[200] = "";
    for (int i = 0; i < h->n_out; i++) {
        if (name == NULL || strcmp(name, h->out[i]->name) == 0) {
            return i;
        }
        const size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "", h->out[i]->name);
    }
    err_set(err, VOV_EARG, "the network has no output \"%.60s\"; it has %s",
            name != NULL ? name : "", known);
    return -1;
}

static enum vov_status get_output(struct vov_model *m, int i, const float **data, int shape[4],
                                  struct err *err)
{
    const struct model *way = detector_way(&m->detector);
    const struct tensor *t = way->head.out[i];
    const size_t n = shape_count(t->shape);
    real *numbers = mem_alloc(n, sizeof *numbers);
    if (m->output[i] == NULL) {
        m->output[i] = mem_alloc(n, sizeof *m->output[i]);
    }
    if (numbers == NULL || m->output[i] == NULL) {
        mem_free(numbers);
        return err_nomem(err, n * sizeof *numbers);
    }
    exec_get(&way->exec, t, numbers);
    for (size_t k = 0; k < n; k++) {
        m->output[i][k] = (float)numbers[k];
    }
    mem_free(numbers);
    *data = m->output[i];
    shape[0] = t->shape.n;
    shape[1] = t->shape.c;
    shape[2] = t->shape.h;
    shape[3] = t->shape.w;
    return VOV_OK;
}

enum vov_status vov_get_output(vov_model *model, const char *name, const float **data, int shape[4],
                               struct vov_error *error)
{
    struct err err = {0};
    if (model == NULL || data == NULL || shape == NULL) {
        err_set(&err, VOV_EARG, "vov_get_output: needs a model, and places for data and shape");
        return give(&err, error);
    }
    const int i = find_output(model, name, &err);
    if (i < 0 || get_output(model, i, data, shape, &err) != VOV_OK) {
        return give(&err, error);
    }
    return VOV_OK;
}
