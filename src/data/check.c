/*
 * check.c - see check.h. The annotations are read as training reads them, with all masks, and every
 * complaint of the reader is kept by its kind; then come the pictures, the twins and the classes.
 */
#include "check_part.h"

#include "base/file.h"
#include "base/pool.h"

#include <math.h>
#include <string.h>
#include <strings.h>

const char *const check_kind_name[CHECK_KINDS] = {
    "annotations", "missing",   "unreadable",   "size",     "classes",
    "damaged",     "bbox",      "cut",          "category", "image",
    "id",          "duplicate", "segmentation", "twins",    "no_boxes"};

const int check_bin_side[CHECK_BINS] = {8, 16, 32, 64, 96, 128, 256, 0};

bool check_is_error(enum check_kind kind)
{
    return kind <= CHECK_CLASSES;
}

void check_add(struct check *c, enum check_kind kind, const char *fmt, ...)
{
    struct check_list *list = &c->report->list[kind];
    char text[1024];
    va_list args;

    *(check_is_error(kind) ? &c->report->errors : &c->report->warnings) += 1;
    if (list->count++ >= c->opt->limit) {
        return;
    }
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    const char *copy = arena_strdup(&c->report->mem, text);
    if (copy == NULL || !VEC_GROW(list->text, list->n_text, list->cap)) {
        c->failed = true;
        return;
    }
    list->text[list->n_text++] = copy;
}

/* The reader's words for what is wrong are the names of kinds. */
static void on_problem(void *user, const char *kind, bool skipped, const char *text)
{
    (void)skipped;
    for (int k = 0; k < CHECK_KINDS; k++) {
        if (strcmp(check_kind_name[k], kind) == 0) {
            check_add(user, (enum check_kind)k, "%s", text);
            return;
        }
    }
    check_add(user, CHECK_IMAGE, "%s", text);
}

static void count_box(struct check_split *s, const struct truth *t)
{
    const double side = sqrt(fmax(0, t->area));
    int bin = 0;

    s->boxes++;
    s->crowd += t->crowd ? 1 : 0;
    if (t->area < 32 * 32) {
        s->small++;
    } else if (t->area < 96 * 96) {
        s->medium++;
    } else {
        s->large++;
    }
    while (bin < CHECK_BINS - 1 && side >= check_bin_side[bin]) {
        bin++;
    }
    s->bin[bin]++;
}

/* last[k]: the picture in which class k was met last, counted from 1. */
static void count_item(struct check_split *s, const struct item *it, int number, int *last)
{
    const long before = s->boxes;

    for (int i = 0; i < it->n_truth; i++) {
        const struct truth *t = &it->truth[i];
        struct check_class *k = &s->classes[t->class_id];
        if (t->unfit) {
            continue;
        }
        count_box(s, t);
        k->boxes++;
        k->images += last[t->class_id] != number ? 1 : 0;
        last[t->class_id] = number;
    }
    s->without_boxes += s->boxes == before ? 1 : 0;
}

static void report_no_pictures(struct check *c, const struct check_split *s)
{
    for (int i = 0; i < s->n_classes; i++) {
        if (s->classes[i].images == 0) {
            check_add(c, CHECK_NO_BOXES, "%s: no pictures of class \"%s\"", s->path,
                      s->classes[i].name);
        }
    }
}

static void report_no_boxes(struct check *c, const struct check_split *s)
{
    if (s->labels) {
        report_no_pictures(c, s);
        return;
    }
    if (s->boxes == 0) {
        check_add(c, CHECK_NO_BOXES, "%s: no boxes at all", s->path);
        return;
    }
    for (int i = 0; i < s->n_classes; i++) {
        if (s->classes[i].boxes == 0) {
            check_add(c, CHECK_NO_BOXES, "%s: no boxes of class \"%s\"", s->path,
                      s->classes[i].name);
        }
    }
}

static enum vov_status count_split(struct check *c, int split, struct err *err)
{
    const struct dataset *d = &c->data[split];
    struct check_split *s = &c->report->split[split];
    int *last = mem_alloc((size_t)d->n_classes + 1, sizeof *last);

    s->classes = arena_alloc(&c->report->mem, ((size_t)d->n_classes + 1) * sizeof *s->classes);
    if (last == NULL || s->classes == NULL) {
        mem_free(last);
        return err_nomem(err, (size_t)d->n_classes * sizeof *s->classes);
    }
    s->labels = d->labels;
    s->n_classes = d->n_classes;
    s->images = d->n;
    s->skipped = d->skipped;
    for (int i = 0; i < d->n_classes; i++) {
        s->classes[i].id = d->class_key[i];
        s->classes[i].name = arena_strdup(&c->report->mem, d->class_name[i]);
        c->failed = c->failed || s->classes[i].name == NULL;
    }
    for (int i = 0; i < d->n && !c->failed; i++) {
        if (d->labels) {
            s->classes[d->item[i].label].images++;
        } else {
            count_item(s, &d->item[i], i + 1, last);
        }
    }
    mem_free(last);
    return c->failed ? err_nomem(err, sizeof *s) : VOV_OK;
}

/* Reads one split; `path` is what dataset_open takes, `file` the annotation file in it. */
static enum vov_status check_split(struct check *c, const char *name, const char *path, bool valid,
                                   const char *file, struct err *err)
{
    const int at = c->report->n_splits;
    struct check_split *s = &c->report->split[at];
    const struct dataset_options opt = {.masks = MASKS_CHECK, .problem = on_problem, .user = c};
    struct err why = {0};

    const enum vov_status status = dataset_open(path, valid, &opt, &c->data[at], &why);
    if (status == VOV_ENOMEM) {
        *err = why;
        return status;
    }
    if (status != VOV_OK) {
        check_add(c, CHECK_ANNOTATIONS, "%s", why.msg);
        return VOV_OK;
    }
    s->name = name;
    s->path = arena_strdup(&c->report->mem, file);
    if (s->path == NULL) {
        return err_nomem(err, strlen(file));
    }
    c->report->n_splits++;
    TRY(count_split(c, at, err));
    report_no_boxes(c, s);
    return check_pictures(c, at, err);
}

static void compare_classes(struct check *c)
{
    struct err why = {0};

    if (c->report->n_splits == 2 &&
        dataset_same_classes(&c->data[0], &c->data[1], &why) != VOV_OK) {
        check_add(c, CHECK_CLASSES, "%s", why.msg);
    }
}

static enum vov_status check_data_file(struct check *c, const char *path, struct err *err)
{
    struct data_file f;
    struct err why = {0};
    enum vov_status status = data_file_read(path, &f, &why);

    if (status != VOV_OK) {
        check_add(c, CHECK_ANNOTATIONS, "%s", why.msg);
        return status == VOV_ENOMEM ? err_nomem(err, strlen(path)) : VOV_OK;
    }
    if (f.train == NULL && f.valid == NULL) {
        check_add(c, CHECK_ANNOTATIONS, "%s: neither \"train = ...\" nor \"valid = ...\" in it",
                  path);
    }
    if (f.train != NULL) {
        status = check_split(c, "train", path, false, f.train, err);
    }
    if (status == VOV_OK && f.valid != NULL) {
        status = check_split(c, "valid", path, true, f.valid, err);
    }
    data_file_free(&f);
    return status;
}

/* Of class folders, or of folders train and val that hold them. */
static enum vov_status check_folder(struct check *c, const char *path, struct err *err)
{
    TRY(check_split(c, "train", path, false, path, err));
    if (c->report->n_splits == 0 || strcmp(c->data[0].path, path) == 0) {
        return VOV_OK;
    }
    TRY(check_split(c, "valid", path, true, path, err));
    compare_classes(c);
    return VOV_OK;
}

static enum vov_status check_one_picture(struct check *c, const char *path, struct err *err)
{
    struct check_picture p = {0};

    check_read(path, &p);
    if (p.status == VOV_ENOMEM) {
        mem_free(p.text);
        return err_set(err, VOV_ENOMEM, "%s: no memory to read it", path);
    }
    if (p.status != VOV_OK) {
        check_add(c, p.missing ? CHECK_MISSING : CHECK_UNREADABLE, "%s",
                  p.text != NULL ? p.text : path);
    } else if (p.text != NULL) {
        check_add(c, CHECK_DAMAGED, "%s", p.text);
    }
    c->report->width = p.width;
    c->report->height = p.height;
    mem_free(p.text);
    return VOV_OK;
}

enum input { INPUT_PICTURE, INPUT_JSON, INPUT_FOLDER, INPUT_DATA };

/* By the name's end; where that says nothing, by the first byte. */
static enum input kind_of(const char *path)
{
    static const char *const pictures[] = {"jpg", "jpeg", "png",  "webp", "gif", "bmp",
                                           "tif", "tiff", "avif", "heic", "jpe", "jfif"};
    const char *ext = path_ext(path);

    if (file_is_dir(path)) {
        return INPUT_FOLDER;
    }
    if (strcasecmp(ext, "json") == 0) {
        return INPUT_JSON;
    }
    for (size_t i = 0; i < sizeof pictures / sizeof *pictures; i++) {
        if (strcasecmp(ext, pictures[i]) == 0) {
            return INPUT_PICTURE;
        }
    }
    FILE *f;
    int first = EOF;
    if (strcmp(ext, "data") != 0 && file_open(path, &f, NULL) == VOV_OK) {
        first = fgetc(f);
        fclose(f);
    }
    return first == 0xff || first == 0x89 ? INPUT_PICTURE : first == '{' ? INPUT_JSON : INPUT_DATA;
}

static enum vov_status check_input(struct check *c, const char *path, struct err *err)
{
    switch (kind_of(path)) {
    case INPUT_PICTURE:
        return check_one_picture(c, path, err);
    case INPUT_JSON:
        TRY(check_split(c, "all", path, false, path, err));
        break;
    case INPUT_FOLDER:
        TRY(check_folder(c, path, err));
        break;
    default:
        TRY(check_data_file(c, path, err));
        compare_classes(c);
    }
    return check_twins(c, err);
}

enum vov_status check_data(const char *path, const struct check_options *opt,
                           struct check_report *report, struct err *err)
{
    struct check c = {.opt = opt, .report = report};

    *report = (struct check_report){0};
    TRY(pool_open(opt->threads, &c.pool, err));
    enum vov_status status = check_input(&c, path, err);
    if (status == VOV_OK && c.failed) {
        status = err_nomem(err, sizeof(char *));
    }
    pool_close(c.pool);
    for (int s = 0; s < 2; s++) {
        for (int i = 0; c.picture[s] != NULL && i < c.data[s].n; i++) {
            mem_free(c.picture[s][i].text);
        }
        mem_free(c.picture[s]);
        dataset_free(&c.data[s]);
    }
    if (status != VOV_OK) {
        check_free(report);
    }
    return status;
}

void check_free(struct check_report *report)
{
    for (int k = 0; k < CHECK_KINDS; k++) {
        mem_free(report->list[k].text);
    }
    arena_free(&report->mem);
    *report = (struct check_report){0};
}
