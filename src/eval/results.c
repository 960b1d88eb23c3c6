/*
 * results.c - COCO's results file: an array of {"image_id", "category_id", "score", "bbox" and/or
 * "segmentation"}, read entry by entry and written in one piece.
 */
#include "coco_eval.h"

#include "base/file.h"
#include "base/json.h"
#include "det/mask_paste.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

enum { MAX_RESULTS = 1 << 26 };

static void result_free(struct result *r)
{
    rle_free(&r->mask);
    mem_free(r->polygons);
}

void results_free(struct result_list *r)
{
    for (int i = 0; i < r->n; i++) {
        result_free(&r->v[i]);
    }
    mem_free(r->v);
    *r = (struct result_list){0};
}

struct reading {
    const char *path;
    struct result_list *list;
    bool is_list;
};

/* Whether there is a box; an error when what is there is none. */
static enum vov_status read_box(const json *j, struct result *r, bool *found, struct err *err)
{
    const json *b = json_get(j, "bbox"), *v;
    double *const to[] = {&r->x, &r->y, &r->w, &r->h};
    int n = 0;

    *found = false;
    if (!b || cJSON_IsNull(b) || (cJSON_IsArray(b) && json_len(b) == 0)) {
        return VOV_OK;
    }
    if (json_len(b) != 4) {
        return err_set(err, VOV_EFORMAT, "\"bbox\" is not a list of four numbers");
    }
    cJSON_ArrayForEach(v, b)
    {
        if (!cJSON_IsNumber(v) || !isfinite(v->valuedouble)) {
            return err_set(err, VOV_EFORMAT, "\"bbox\" is not a list of four numbers");
        }
        *to[n++] = v->valuedouble;
    }
    *found = true;
    return VOV_OK;
}

/* Whole numbers from 0 to 2^31. */
static enum vov_status read_runs(const json *list, int h, int w, struct rle *m, struct err *err)
{
    const size_t n = (size_t)json_len(list);
    unsigned *run = mem_alloc(n + 1, sizeof *run);
    enum vov_status status = run ? VOV_OK : err_nomem(err, (n + 1) * sizeof *run);
    const json *v;
    int i = 0;

    if (!run) {
        return status;
    }
    cJSON_ArrayForEach(v, list)
    {
        const double x = cJSON_IsNumber(v) ? v->valuedouble : -1;
        if (!(x >= 0 && x <= 2147483647.0) || x != floor(x)) {
            status =
                err_set(err, VOV_EFORMAT, "run %d of the mask is no whole number of pixels", i);
            break;
        }
        run[i++] = (unsigned)x;
    }
    status = status == VOV_OK ? rle_from_runs(run, (int)n, h, w, m, err) : status;
    mem_free(run);
    return status;
}

static enum vov_status read_rle(const json *seg, struct rle *m, struct err *err)
{
    const json *size = json_get(seg, "size"), *counts = json_get(seg, "counts");
    long long h, w;

    if (json_len(size) != 2 || !json_whole(size->child, &h) || !json_whole(size->child->next, &w) ||
        h < 1 || w < 1 || h > RLE_MAX_SIDE || w > RLE_MAX_SIDE) {
        return err_set(err, VOV_EFORMAT,
                       "the \"size\" of the mask is not [height, width], each 1 to %d",
                       RLE_MAX_SIDE);
    }
    if (cJSON_IsArray(counts)) {
        return read_runs(counts, (int)h, (int)w, m, err);
    }
    if (!cJSON_IsString(counts)) {
        return err_set(err, VOV_EFORMAT, "the mask has no \"counts\"");
    }
    return rle_from_string(counts->valuestring, strlen(counts->valuestring), (int)h, (int)w, m,
                           err);
}

/* All polygons in one block: the struct, pointers, lengths, numbers. */
static enum vov_status read_polygons(const json *list, struct seg **out, struct err *err)
{
    const size_t n = (size_t)json_len(list);
    size_t numbers = 0;
    const json *p, *v;

    cJSON_ArrayForEach(p, list)
    {
        if (!cJSON_IsArray(p)) {
            return err_set(err, VOV_EFORMAT, "a polygon of the mask is not a list of numbers");
        }
        numbers += (size_t)json_len(p);
    }
    const size_t bytes =
        sizeof(struct seg) + n * (sizeof(double *) + sizeof(double)) + numbers * sizeof(double);
    struct seg *s = mem_alloc(1, bytes);
    if (!s) {
        return err_nomem(err, bytes);
    }
    s->poly = (double **)(s + 1);
    double *at = (double *)(s->poly + n);
    s->poly_len = (int *)(at + numbers);
    *out = s;
    cJSON_ArrayForEach(p, list)
    {
        s->poly[s->n_poly] = at;
        s->poly_len[s->n_poly++] = json_len(p);
        cJSON_ArrayForEach(v, p)
        {
            *at++ = cJSON_IsNumber(v) ? v->valuedouble : (double)NAN;
        }
    }
    return VOV_OK;
}

static enum vov_status read_mask(const json *j, struct result *r, bool has_box, struct err *err)
{
    const json *seg = json_get(j, "segmentation");

    if (cJSON_IsObject(seg)) {
        TRY(read_rle(seg, &r->mask, err));
    } else if (cJSON_IsArray(seg) && json_len(seg) > 0 && has_box) {
        TRY(read_polygons(seg, &r->polygons, err));
    } else if (has_box && seg != NULL && !cJSON_IsNull(seg) && !cJSON_IsArray(seg)) {
        return err_set(err, VOV_EFORMAT,
                       "its \"segmentation\" is neither run lengths nor a list of polygons");
    } else if (!has_box) {
        return err_set(err, VOV_EFORMAT,
                       "neither a \"bbox\" nor a \"segmentation\" of run lengths");
    }
    return VOV_OK;
}

static enum vov_status read_result(const json *j, struct result *r, struct err *err)
{
    bool has_box;

    if (!cJSON_IsObject(j)) {
        return err_set(err, VOV_EFORMAT, "not an object");
    }
    if (!json_int(j, "image_id", &r->image_id)) {
        return err_set(err, VOV_EFORMAT, "no \"image_id\", or it is not a whole number");
    }
    if (!json_int(j, "category_id", &r->category_id)) {
        return err_set(err, VOV_EFORMAT, "no \"category_id\", or it is not a whole number");
    }
    if (!json_real(j, "score", &r->score)) {
        return err_set(err, VOV_EFORMAT, "no \"score\", or it is not a number");
    }
    TRY(read_box(j, r, &has_box, err));
    TRY(read_mask(j, r, has_box, err));
    if (!has_box) {
        double box[4];
        rle_box(&r->mask, box);
        r->x = box[0];
        r->y = box[1];
        r->w = box[2];
        r->h = box[3];
    }
    r->area = has_box ? r->w * r->h : rle_area(&r->mask);
    return VOV_OK;
}

static enum vov_status on_item(void *user, const char *key, long index, const json *item,
                               struct err *err)
{
    struct reading *in = user;
    struct result_list *l = in->list;
    struct result r = {0};
    struct err why = {0};

    if (key[0] != '\0') {
        return VOV_OK;
    }
    if (l->n >= MAX_RESULTS) {
        return err_set(err, VOV_EFORMAT, "%s: more than %d results", in->path, MAX_RESULTS);
    }
    enum vov_status status = read_result(item, &r, &why);
    if (status == VOV_OK && !VEC_GROW(l->v, l->n, l->cap)) {
        status = err_nomem(&why, (size_t)l->cap * 2 * sizeof *l->v);
    }
    if (status != VOV_OK) {
        result_free(&r);
        return err_set(err, status, "%s: result %ld: %s", in->path, index, why.msg);
    }
    l->v[l->n++] = r;
    return VOV_OK;
}

static enum vov_status on_array(void *user, const char *key, struct err *err)
{
    struct reading *in = user;

    (void)err;
    in->is_list = in->is_list || key[0] == '\0';
    return VOV_OK;
}

enum vov_status results_read(const char *path, struct result_list *r, struct err *err)
{
    struct reading in = {path, r, false};
    const struct json_stream stream = {.item = on_item, .array = on_array, .user = &in};

    *r = (struct result_list){.path = path};
    enum vov_status status = err_of_input(err, json_stream_file(path, &stream, err), VOV_EFORMAT);
    if (status == VOV_OK && !in.is_list) {
        status = err_set(err, VOV_EFORMAT,
                         "%s: not a list of results: [{\"image_id\": ..., \"category_id\": ..., "
                         "\"bbox\": [x, y, w, h], \"score\": ...}, ...]",
                         path);
    }
    if (status != VOV_OK) {
        results_free(r);
    }
    return status;
}

enum vov_status results_add(struct result_list *r, const struct result_of *of,
                            const struct det_list *dets, int i, struct err *err)
{
    const struct detection *d = &dets->v[i];
    const real *mask = det_mask(dets, d);
    const double w = (double)(d->box.x1 - d->box.x0), h = (double)(d->box.y1 - d->box.y0);
    struct result add = {.image_id = of->image_id,
                         .category_id = of->category_id,
                         .x = (double)d->box.x0,
                         .y = (double)d->box.y0,
                         .w = w,
                         .h = h,
                         .score = (double)d->score,
                         .area = w * h};

    if (mask != NULL) {
        TRY(mask_paste(mask, dets->mask_side, &d->box, of->height, of->width, &add.mask, err));
    }
    if (!VEC_GROW(r->v, r->n, r->cap)) {
        result_free(&add);
        return err_nomem(err, ((size_t)r->n + 1) * sizeof *r->v);
    }
    r->v[r->n++] = add;
    return VOV_OK;
}

void result_put_mask(const struct rle *mask, struct buf *out)
{
    struct buf text = {0};

    rle_to_string(mask, &text);
    buf_printf(out, "{\"size\":[%d,%d],\"counts\":", mask->h, mask->w);
    json_put_str(out, text.p ? text.p : "");
    buf_puts(out, "}");
    out->failed = out->failed || text.failed;
    buf_free(&text);
}

static void put_result(const struct result *r, struct buf *b)
{
    const double box[] = {r->x, r->y, r->w, r->h};

    buf_printf(b, "{\"image_id\":%lld,\"category_id\":%lld,\"bbox\":", r->image_id, r->category_id);
    for (int i = 0; i < 4; i++) {
        buf_puts(b, i == 0 ? "[" : ",");
        json_put_real(b, box[i]);
    }
    buf_puts(b, "],\"score\":");
    json_put_real(b, r->score);
    if (r->mask.n > 0) {
        buf_puts(b, ",\"segmentation\":");
        result_put_mask(&r->mask, b);
    }
    buf_puts(b, "}");
}

enum vov_status results_write(const char *path, const struct result_list *r, struct err *err)
{
    struct file_writer out;
    struct buf b = {0};
    bool failed = false;

    TRY(file_create(path, &out, err));
    for (int i = 0; i < r->n && !failed; i++) {
        buf_clear(&b);
        buf_puts(&b, i == 0 ? "[\n" : ",\n");
        put_result(&r->v[i], &b);
        failed = b.failed;
        file_put(&out, b.p, b.n);
    }
    buf_free(&b);
    if (failed) {
        file_abort(&out);
        return err_nomem(err, b.max);
    }
    const char *end = r->n == 0 ? "[]\n" : "\n]\n";
    file_put(&out, end, strlen(end));
    return file_commit(&out, err);
}
