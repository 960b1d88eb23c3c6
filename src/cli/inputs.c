/*
 * inputs.c - paths to a list of pictures with ids; detections to JSON and COCO results.
 */
#include "inputs.h"

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static enum vov_status add(struct inputs *in, const char *path, long long id, struct err *err)
{
    char *copy = arena_strdup(&in->mem, path);
    if (copy == NULL || !VEC_GROW(in->item, in->n, in->cap)) {
        return err_nomem(err, strlen(path));
    }
    in->item[in->n++] = (struct input){.path = copy, .id = id};
    return VOV_OK;
}

static bool has_end(const char *path, const char *const *ends)
{
    const char *ext = path_ext(path);
    for (int i = 0; ends[i] != NULL; i++) {
        if (strcasecmp(ext, ends[i]) == 0) {
            return true;
        }
    }
    return false;
}

static enum vov_status add_folder(struct inputs *in, const char *dir, struct err *err)
{
    char **names;
    int n;
    TRY(file_list(dir, &names, &n, err));
    enum vov_status status = VOV_OK;
    for (int i = 0; i < n && status == VOV_OK; i++) {
        if (!image_has_name(names[i])) {
            continue;
        }
        char *path = path_join(dir, names[i]);
        status = path != NULL ? add(in, path, -1, err) : err_nomem(err, strlen(names[i]));
        mem_free(path);
    }
    file_list_free(names, n);
    return status;
}

static enum vov_status open_data(struct inputs *in, const char *path, const struct log *log,
                                 const struct dataset **data, struct err *err)
{
    const struct dataset_options opt = {.pictures_only = true, .log = log};
    struct dataset *more = mem_resize(in->data, (size_t)in->n_data + 1, sizeof *more);
    if (more == NULL) {
        return err_nomem(err, sizeof *more);
    }
    in->data = more;
    TRY(dataset_open(path, true, &opt, &in->data[in->n_data], err));
    *data = &in->data[in->n_data++];
    return VOV_OK;
}

static enum vov_status add_path(struct inputs *in, const char *path, const struct log *log,
                                struct err *err)
{
    static const char *const lists[] = {"json", "data", NULL};
    if (file_is_dir(path)) {
        return add_folder(in, path, err);
    }
    if (!has_end(path, lists)) {
        return add(in, path, -1, err);
    }
    const struct dataset *d;
    TRY(open_data(in, path, log, &d, err));
    for (int i = 0; i < d->n; i++) {
        TRY(add(in, d->item[i].path, d->item[i].id, err));
    }
    return VOV_OK;
}

/* The number that a name consists of, before its end: "000000000139.jpg" is 139; -1: none. */
static long long number_of(const char *path)
{
    const char *base = path_base(path), *ext = path_ext(path);
    const size_t n = strlen(base) - (ext[0] != '\0' ? strlen(ext) + 1 : 0);
    long long v = 0;
    if (n == 0 || n > 18) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        if (base[i] < '0' || base[i] > '9') {
            return -1;
        }
        v = v * 10 + (base[i] - '0');
    }
    return v;
}

/* By path, then by name alone. */
static bool find_id(const struct map *by_path, struct input *in)
{
    const struct item *it = map_get(by_path, in->path);
    it = it != NULL ? it : map_get(by_path, path_base(in->path));
    if (it != NULL) {
        in->id = it->id;
    }
    return it != NULL;
}

static enum vov_status ids_from_data(struct inputs *in, const char *path, const struct log *log,
                                     struct err *err)
{
    const struct dataset *d;
    struct map by_path = {0};
    enum vov_status status = open_data(in, path, log, &d, err);
    for (int i = 0; status == VOV_OK && i < d->n; i++) {
        if (!map_put(&by_path, path_base(d->item[i].path), &d->item[i]) ||
            !map_put(&by_path, d->item[i].path, &d->item[i])) {
            status = err_nomem(err, sizeof(struct item));
        }
    }
    for (int i = 0; status == VOV_OK && i < in->n; i++) {
        if (in->item[i].id < 0 && !find_id(&by_path, &in->item[i])) {
            status = err_set(err, VOV_EFORMAT, "%s is no picture of %s, which was to give its id",
                             in->item[i].path, path);
        }
    }
    map_free(&by_path);
    return status;
}

/* Without a data file: numbers from the names where all are numbers, else positions. */
static void ids_from_names(struct inputs *in)
{
    bool all = true;
    for (int i = 0; i < in->n; i++) {
        all = all && (in->item[i].id >= 0 || number_of(in->item[i].path) >= 0);
    }
    for (int i = 0; i < in->n; i++) {
        if (in->item[i].id < 0) {
            in->item[i].id = all ? number_of(in->item[i].path) : i + 1;
        }
    }
}

static enum vov_status count_repeats(struct inputs *in, struct err *err)
{
    struct map last = {0};
    enum vov_status status = VOV_OK;
    for (int i = 0; i < in->n && status == VOV_OK; i++) {
        const char *base = path_base(in->item[i].path);
        const struct input *before = map_get(&last, base);
        in->item[i].repeat = before != NULL ? before->repeat + 1 : 0;
        if (!map_put(&last, base, &in->item[i])) {
            status = err_nomem(err, sizeof(struct map_entry));
        }
    }
    map_free(&last);
    return status;
}

enum vov_status inputs_find(struct inputs *in, const char *const *paths, int n, const char *data,
                            const struct log *log, struct err *err)
{
    *in = (struct inputs){0};
    for (int i = 0; i < n; i++) {
        TRY(add_path(in, paths[i], log, err));
    }
    if (in->n == 0) {
        return err_set(err, VOV_EFORMAT, "%s: no JPEG or PNG picture there", paths[0]);
    }
    if (data != NULL) {
        TRY(ids_from_data(in, data, log, err));
    }
    ids_from_names(in);
    return count_repeats(in, err);
}

void inputs_free(struct inputs *in)
{
    for (int i = 0; i < in->n_data; i++) {
        dataset_free(&in->data[i]);
    }
    mem_free(in->data);
    mem_free(in->item);
    arena_free(&in->mem);
    *in = (struct inputs){0};
}

static void put_detection(struct buf *b, const struct detector *d, const struct detection *det,
                          const struct rle *mask)
{
    const struct box *x = &det->box;
    buf_puts(b, "{\"class\":");
    json_put_str(b, d->class_name[det->class_id]);
    buf_printf(b, ",\"class_id\":%d,\"score\":%.6f,\"box\":[%.2f,%.2f,%.2f,%.2f]", det->class_id,
               (double)det->score, (double)x->x0, (double)x->y0, (double)(x->x1 - x->x0),
               (double)(x->y1 - x->y0));
    if (mask->n > 0) {
        buf_puts(b, ",\"segmentation\":");
        result_put_mask(mask, b);
    }
    buf_puts(b, "}");
}

enum vov_status findings_add(struct findings *f, const struct input *in, const struct image *img,
                             const struct detector *d, const struct det_list *dets, struct err *err)
{
    struct result_of of = {.image_id = in->id, .width = img->width, .height = img->height};
    struct buf *b = &f->json;
    buf_puts(b, b->n > 0 ? ",\n{\"file\":" : "{\"file\":");
    json_put_str(b, in->path);
    buf_printf(b, ",\"width\":%d,\"height\":%d,\"detections\":[", img->width, img->height);
    for (int i = 0; i < dets->n; i++) {
        const int c = dets->v[i].class_id;
        of.category_id = d->class_key != NULL ? d->class_key[c] : c + 1;
        TRY(results_add(&f->results, &of, dets, i, err));
        buf_puts(b, i > 0 ? "," : "");
        put_detection(b, d, &dets->v[i], &f->results.v[f->results.n - 1].mask);
    }
    buf_puts(b, "]}");
    return b->failed ? err_nomem(err, b->n) : VOV_OK;
}

enum vov_status findings_write_json(const struct findings *f, const char *path, struct err *err)
{
    struct file_writer w;
    TRY(file_create(path, &w, err));
    file_put(&w, "[", 1);
    file_put(&w, f->json.p, f->json.n);
    file_put(&w, "]\n", 2);
    return file_commit(&w, err);
}

void findings_free(struct findings *f)
{
    buf_free(&f->json);
    results_free(&f->results);
}
