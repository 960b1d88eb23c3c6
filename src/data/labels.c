/*
 * labels.c - pictures with a class each: folders of classes, and CIFAR-10's binary files
 * (Krizhevsky 2009).
 */
#include "dataset.h"
#include "image.h"

#include "base/file.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

enum { SIDE = 32, CIFAR_CLASSES = 10, PLANES = 3 * SIDE * SIDE, RECORD = 1 + PLANES };
enum { MAX_FILE = 1 << 30, MAX_NAMES = 1 << 16 };

static struct item *add_item(struct dataset *d, int label, const char *path, struct err *err)
{
    if (!VEC_GROW(d->item, d->n, d->cap)) {
        err_nomem(err, ((size_t)d->n + 1) * sizeof *d->item);
        return NULL;
    }
    struct item *it = &d->item[d->n];
    *it = (struct item){.path = arena_strdup(&d->mem, path), .id = d->n, .label = label};
    if (it->path == NULL) {
        err_nomem(err, strlen(path));
        return NULL;
    }
    it->file_name = path_base(it->path);
    d->n++;
    return it;
}

static enum vov_status make_room(struct dataset *d, int classes, struct err *err)
{
    const size_t n = (size_t)classes + 1;

    d->class_name = mem_alloc(n, sizeof *d->class_name);
    d->class_key = mem_alloc(n, sizeof *d->class_key);
    return d->class_name != NULL && d->class_key != NULL ? VOV_OK
                                                         : err_nomem(err, n * sizeof *d->class_key);
}

/* There is room. */
static enum vov_status add_class(struct dataset *d, const char *name, struct err *err)
{
    const int n = d->n_classes;

    d->class_name[n] = arena_strdup(&d->mem, name);
    d->class_key[n] = n;
    d->n_classes++;
    return d->class_name[n] != NULL ? VOV_OK : err_nomem(err, strlen(name));
}

/* ---- a folder of class folders ---- */

static enum vov_status add_pictures(struct dataset *d, const char *dir, int label, struct err *err)
{
    char **names;
    int n;

    TRY(file_list(dir, &names, &n, err));
    enum vov_status status = VOV_OK;
    for (int i = 0; i < n && status == VOV_OK; i++) {
        char *path = image_has_name(names[i]) ? path_join(dir, names[i]) : NULL;
        if (path != NULL && add_item(d, label, path, err) == NULL) {
            status = VOV_ENOMEM;
        }
        mem_free(path);
    }
    file_list_free(names, n);
    return status;
}

static enum vov_status read_folder(struct dataset *d, const struct log *log, struct err *err)
{
    char **names;
    int n;

    TRY(file_list(d->path, &names, &n, err));
    enum vov_status status = make_room(d, n, err);
    for (int i = 0; i < n && status == VOV_OK; i++) {
        char *dir = names[i][0] != '.' ? path_join(d->path, names[i]) : NULL;
        if (dir != NULL && file_is_dir(dir)) {
            const int before = d->n;
            status = add_class(d, names[i], err);
            if (status == VOV_OK) {
                status = add_pictures(d, dir, d->n_classes - 1, err);
            }
            if (status == VOV_OK && d->n == before) {
                log_put(log, LOG_WARN, "%s: no JPEG or PNG files in it", dir);
            }
        }
        mem_free(dir);
    }
    file_list_free(names, n);
    if (status == VOV_OK && d->n == 0) {
        return err_set(
            err, VOV_EFORMAT,
            "%s: no pictures; expected a folder of JPEG or PNG files for each class, or, "
            "of boxes, the .data or .json file instead of its folder",
            d->path);
    }
    return status;
}

/* ---- CIFAR-10's binary form ---- */

static enum vov_status read_names(struct dataset *d, const char *first, struct err *err)
{
    char *path = path_beside(first, "batches.meta.txt");
    struct buf text = {0};
    enum vov_status status = path != NULL ? VOV_OK : err_nomem(err, strlen(first));

    if (status == VOV_OK) {
        status = make_room(d, CIFAR_CLASSES, err);
    }
    if (status == VOV_OK && file_exists(path)) {
        status = err_of_input(err, file_read(path, MAX_NAMES, &text, err), VOV_EFORMAT);
    }
    mem_free(path);
    char *rest = text.p;
    while (status == VOV_OK && rest != NULL && d->n_classes < CIFAR_CLASSES) {
        char *line = strsep(&rest, "\n");
        line[strcspn(line, "\r")] = '\0';
        status = line[0] != '\0' ? add_class(d, line, err) : VOV_OK;
    }
    buf_free(&text);
    while (status == VOV_OK && d->n_classes < CIFAR_CLASSES) {
        char name[16];
        snprintf(name, sizeof name, "%d", d->n_classes);
        status = add_class(d, name, err);
    }
    return status;
}

static enum vov_status add_records(struct dataset *d, const char *path, const struct buf *b,
                                   struct err *err)
{
    if (b->n == 0 || b->n % RECORD != 0) {
        return err_set(err, VOV_EFORMAT,
                       "%s: %zu bytes are no whole number of records of %d: no CIFAR-10 file in "
                       "binary form, or a cut one",
                       path, b->n, RECORD);
    }
    uint8_t *planes = arena_alloc(&d->mem, b->n / RECORD * PLANES);
    if (planes == NULL) {
        return err_nomem(err, b->n);
    }
    for (size_t i = 0; i < b->n / RECORD; i++, planes += PLANES) {
        const uint8_t *record = (const uint8_t *)b->p + i * RECORD;
        if (record[0] >= CIFAR_CLASSES) {
            return err_set(err, VOV_EFORMAT, "%s: record %zu has label %d; expected 0 to %d", path,
                           i, record[0], CIFAR_CLASSES - 1);
        }
        struct item *it = add_item(d, record[0], path, err);
        if (it == NULL) {
            return VOV_ENOMEM;
        }
        memcpy(planes, record + 1, PLANES);
        it->planes = planes;
        it->width = it->height = SIDE;
    }
    return VOV_OK;
}

static enum vov_status read_cifar(struct dataset *d, struct err *err)
{
    char *text = mem_strdup(d->path), *rest = text;
    enum vov_status status = text != NULL ? VOV_OK : err_nomem(err, strlen(d->path));

    while (status == VOV_OK && rest != NULL) {
        const char *path = strsep(&rest, ",");
        struct buf b = {0};
        status = d->n_classes == 0 ? read_names(d, path, err) : VOV_OK;
        if (status == VOV_OK) {
            status = err_of_input(err, file_read(path, MAX_FILE, &b, err), VOV_EFORMAT);
        }
        if (status == VOV_OK) {
            status = add_records(d, path, &b, err);
        }
        buf_free(&b);
    }
    mem_free(text);
    return status;
}

enum vov_status labels_read(const char *path, const struct dataset_options *opt, struct dataset *d,
                            struct err *err)
{
    *d = (struct dataset){.labels = true};
    d->path = arena_strdup(&d->mem, path);
    enum vov_status status = d->path != NULL ? VOV_OK : err_nomem(err, strlen(path));
    if (status == VOV_OK) {
        status = file_is_dir(path) ? read_folder(d, opt->log, err) : read_cifar(d, err);
    }
    d->n_truth = d->n;
    if (status != VOV_OK) {
        dataset_free(d);
    }
    return status;
}
