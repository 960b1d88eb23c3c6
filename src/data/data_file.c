/*
 * data_file.c - the .data text file that names a data set's parts, and opening either of its
 * splits.
 */
#include "dataset.h"

#include "base/file.h"
#include "base/text.h"

#include <string.h>
#include <strings.h>

enum { MAX_BYTES = 1 << 20 };

static const char *const key_names[] = {"train",        "valid",        "images",
                                        "train_images", "valid_images", "classes"};
enum { N_KEYS = sizeof key_names / sizeof *key_names };

static bool has_ext(const char *path, const char *ext)
{
    return strcasecmp(path_ext(path), ext) == 0;
}

/* path_beside; of a list of .bin or .txt files, each of them. */
static char *paths_beside(const char *from, const char *value)
{
    struct buf all = {0};
    char *text, *rest;

    if (!has_ext(value, "bin") && !has_ext(value, "txt")) {
        return path_beside(from, value);
    }
    text = rest = mem_strdup(value);
    while (rest != NULL) {
        char *path = path_beside(from, text_trim(strsep(&rest, ",")));
        all.failed |= path == NULL;
        buf_printf(&all, "%s%s", all.n > 0 ? "," : "", path != NULL ? path : "");
        mem_free(path);
    }
    char *out = all.failed || text == NULL ? NULL : mem_strdup(all.p);
    mem_free(text);
    buf_free(&all);
    return out;
}

static enum vov_status take(struct data_file *d, int key, const char *value, struct err *err)
{
    const char **const field[N_KEYS] = {&d->train,        &d->valid,        NULL,
                                        &d->train_images, &d->valid_images, &d->classes};
    char *beside = field[key] == &d->classes ? mem_strdup(value) : paths_beside(d->path, value);
    const char *path = beside != NULL ? arena_strdup(&d->mem, beside) : NULL;

    mem_free(beside);
    if (path == NULL) {
        return err_nomem(err, strlen(value));
    }
    if (field[key] != NULL) {
        *field[key] = path;
        return VOV_OK;
    }
    d->train_images = d->train_images != NULL ? d->train_images : path;
    d->valid_images = d->valid_images != NULL ? d->valid_images : path;
    return VOV_OK;
}

/* A key's value. *seen has a bit for each key that was met. */
static enum vov_status take_once(struct data_file *d, int number, int key, const char *value,
                                 unsigned *seen, struct err *err)
{
    const char *name = key_names[key];

    if (value[0] == '\0') {
        return err_set(err, VOV_EFORMAT, "%s:%d: \"%s\" has no value", d->path, number, name);
    }
    if ((*seen >> key & 1) != 0) {
        return err_set(err, VOV_EFORMAT, "%s:%d: \"%s\" is given twice", d->path, number, name);
    }
    *seen |= 1u << key;
    return take(d, key, value, err);
}

static enum vov_status take_line(struct data_file *d, int number, char *line, unsigned *seen,
                                 struct err *err)
{
    char *text = text_trim(line);
    char *equals = strchr(text, '=');

    if (text[0] == '\0' || text[0] == '#' || text[0] == ';') {
        return VOV_OK;
    }
    if (equals == NULL) {
        return err_set(err, VOV_EFORMAT,
                       "%s:%d: expected key = value, such as train = train.json, found \"%.60s\"",
                       d->path, number, text);
    }
    *equals = '\0';
    const char *name = text_trim(text), *value = text_trim(equals + 1);
    for (int i = 0; i < N_KEYS; i++) {
        if (strcmp(name, key_names[i]) == 0) {
            return take_once(d, number, i, value, seen, err);
        }
    }
    const char *near = text_nearest(name, key_names, N_KEYS, sizeof *key_names);
    return err_set(err, VOV_EFORMAT, "%s:%d: unknown key \"%.60s\"; %s%s%s", d->path, number, name,
                   near != NULL ? "did you mean \"" : "there are ",
                   near != NULL ? near
                                : "train, valid, images, train_images, valid_images, classes",
                   near != NULL ? "\"?" : "");
}

enum vov_status data_file_read(const char *path, struct data_file *d, struct err *err)
{
    struct buf text = {0};
    enum vov_status status = err_of_input(err, file_read(path, MAX_BYTES, &text, err), VOV_EFORMAT);
    int number = 0;
    unsigned seen = 0;

    *d = (struct data_file){0};
    d->path = arena_strdup(&d->mem, path);
    if (status == VOV_OK && d->path == NULL) {
        status = err_nomem(err, strlen(path));
    }
    if (status == VOV_OK && text.p != NULL && memchr(text.p, '\0', text.n) != NULL) {
        status = err_set(err, VOV_EFORMAT, "%s: NUL bytes in it: not a text file", path);
    }
    char *rest = text_skip_bom(text.p);
    while (status == VOV_OK && rest != NULL) {
        char *line = strsep(&rest, "\n");
        status = take_line(d, ++number, line, &seen, err);
    }
    buf_free(&text);
    if (status != VOV_OK) {
        data_file_free(d);
    }
    return status;
}

void data_file_free(struct data_file *d)
{
    arena_free(&d->mem);
    *d = (struct data_file){0};
}

/* Whether the classes of the annotations are those that the .data file lists. */
static enum vov_status check_classes(const struct data_file *f, const struct dataset *d,
                                     struct err *err)
{
    char *text = mem_strdup(f->classes), *rest = text;
    enum vov_status status = text != NULL ? VOV_OK : err_nomem(err, strlen(f->classes));
    int n = 0;
    long long number;

    if (status == VOV_OK && d->n_classes > 0 && text_int(text, &number) &&
        strcmp(text, d->class_name[0]) != 0) {
        status = err_set(err, VOV_EFORMAT,
                         "%s: \"classes\" lists names with commas between, as %s has them, and not "
                         "how many there are; the line may be left out",
                         f->path, d->path);
    }

    while (status == VOV_OK && rest != NULL) {
        const char *name = text_trim(strsep(&rest, ","));
        if (n >= d->n_classes || strcmp(name, d->class_name[n]) != 0) {
            status =
                n < d->n_classes
                    ? err_set(err, VOV_EFORMAT, "%s: class %d is \"%.60s\", but %s has \"%.60s\"",
                              f->path, n + 1, name, d->path, d->class_name[n])
                    : err_set(err, VOV_EFORMAT, "%s: class %d is \"%.60s\", but %s has only %d",
                              f->path, n + 1, name, d->path, d->n_classes);
        }
        n++;
    }
    if (status == VOV_OK && n < d->n_classes) {
        status = err_set(err, VOV_EFORMAT, "%s: lists %d classes, but %s has %d; \"%.60s\" is next",
                         f->path, n, d->path, d->n_classes, d->class_name[n]);
    }
    mem_free(text);
    return status;
}

static bool holds_xml(const char *dir)
{
    char **names;
    int n;
    bool found = false;

    if (!file_is_dir(dir) || file_list(dir, &names, &n, NULL) != VOV_OK) {
        return false;
    }
    for (int i = 0; i < n; i++) {
        found = found || has_ext(names[i], "xml");
    }
    file_list_free(names, n);
    return found;
}

/* What one line of a .data file names. */
static enum vov_status read_split(const char *path, const struct dataset_options *opt,
                                  struct dataset *d, struct err *err)
{
    if (has_ext(path, "txt") || holds_xml(path)) {
        return voc_read(path, opt, d, err);
    }
    return file_is_dir(path) || has_ext(path, "bin") ? labels_read(path, opt, d, err)
                                                     : coco_read(path, opt, d, err);
}

/* The split's own folder in a folder of data, or that folder itself. */
static enum vov_status open_folder(const char *path, bool valid, const struct dataset_options *opt,
                                   struct dataset *d, struct err *err)
{
    static const char *const names[][3] = {{"train"}, {"val", "valid", "test"}};

    for (int i = 0; i < 3 && names[valid][i] != NULL; i++) {
        char *inside = path_join(path, names[valid][i]);
        if (inside == NULL) {
            return err_nomem(err, strlen(path));
        }
        const bool is_it = file_is_dir(inside);
        const enum vov_status status = is_it ? read_split(inside, opt, d, err) : VOV_OK;
        mem_free(inside);
        if (is_it) {
            return status;
        }
    }
    return read_split(path, opt, d, err);
}

enum vov_status dataset_open(const char *path, bool valid, const struct dataset_options *opt,
                             struct dataset *d, struct err *err)
{
    struct data_file f;

    *d = (struct dataset){0};
    if (has_ext(path, "json")) {
        return coco_read(path, opt, d, err);
    }
    if (file_is_dir(path)) {
        return open_folder(path, valid, opt, d, err);
    }
    TRY(data_file_read(path, &f, err));
    const char *list = valid ? f.valid : f.train;
    struct dataset_options with = *opt;
    with.classes = f.classes;
    if (with.images == NULL) {
        with.images = valid ? f.valid_images : f.train_images;
    }
    enum vov_status status =
        list != NULL ? read_split(list, &with, d, err)
                     : err_set(err, VOV_EFORMAT, "%s: no line \"%s = annotations.json\"", path,
                               valid ? "valid" : "train");
    if (status == VOV_OK && f.classes != NULL) {
        status = check_classes(&f, d, err);
        if (status != VOV_OK) {
            dataset_free(d);
        }
    }
    data_file_free(&f);
    return status;
}
