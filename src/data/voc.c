/*
 * voc.c - Pascal VOC's annotations (Everingham et al. 2010): an XML file for each picture, read by
 * expat. A split is a text file of picture names as in ImageSets/Main, or a folder of XML files.
 * VOC counts pixels from 1 and names the last one inside: xmin..xmax is xmin - 1 .. xmax here.
 */
#include "dataset.h"
#include "image.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#include <expat.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_XML = 1 << 24, MAX_LIST = 1 << 28, PATH_TEXT = 128, VALUE_TEXT = 512 };

/* An <object> as far as it was read. */
struct object {
    char name[VALUE_TEXT];
    double edge[4]; /* xmin ymin xmax ymax; NaN until met */
    bool difficult;
};

struct voc {
    struct dataset *d;
    const struct dataset_options *opt;
    const char **name; /* [n_names] classes as they were met, in d->mem */
    int n_names, cap_names;

    /* The file being read. */
    const char *xml;
    XML_Parser parser;
    struct item it;
    char path[PATH_TEXT]; /* "/annotation/object/name" */
    size_t depth;         /* of path that is too long to keep, characters */
    char value[VALUE_TEXT];
    size_t n_value;
    char file_name[VALUE_TEXT];
    struct object object;
    char other_root[64]; /* what stands in place of <annotation> */
    bool failed;         /* no memory */
};

static void problem(struct voc *v, const char *kind, const char *text)
{
    char line[600];

    snprintf(line, sizeof line, "%.300s:%lu: %.200s", v->xml,
             (unsigned long)XML_GetCurrentLineNumber(v->parser), text);
    log_put(v->opt->log, LOG_WARN, "%s", line);
    v->d->skipped++;
    if (v->opt->problem != NULL) {
        v->opt->problem(v->opt->user, kind, true, line);
    }
}

/* Its number in the order of meeting; -1: no memory. */
static int name_number(struct voc *v, const char *text)
{
    for (int i = 0; i < v->n_names; i++) {
        if (strcmp(v->name[i], text) == 0) {
            return i;
        }
    }
    if (!VEC_GROW(v->name, v->n_names, v->cap_names)) {
        return -1;
    }
    v->name[v->n_names] = arena_strdup(&v->d->mem, text);
    return v->name[v->n_names] != NULL ? v->n_names++ : -1;
}

static void add_object(struct voc *v)
{
    const double *e = v->object.edge;
    const double w = e[2] - e[0] + 1, h = e[3] - e[1] + 1;

    if (v->object.name[0] == '\0') {
        problem(v, "category", "an object without a name is left out");
        return;
    }
    if (!(w > 0 && h > 0 && fabs(e[0]) < 1e6 && fabs(e[1]) < 1e6 && w < 1e6 && h < 1e6)) {
        problem(v, "bbox", "an object whose bndbox lacks a number or has no area is left out");
        return;
    }
    const int class_id = name_number(v, v->object.name);
    if (class_id < 0 || !VEC_GROW(v->it.truth, v->it.n_truth, v->it.cap_truth)) {
        v->failed = true;
        return;
    }
    v->it.truth[v->it.n_truth++] = (struct truth){
        .class_id = class_id,
        .bbox = {e[0] - 1, e[1] - 1, w, h},
        .difficult = v->object.difficult,
        .area = w * h,
    };
}

static void XMLCALL on_start(void *user, const XML_Char *tag, const XML_Char **attributes)
{
    struct voc *v = user;
    const size_t n = strlen(v->path), more = strlen(tag) + 1;

    (void)attributes;
    if (n == 0 && v->depth == 0 && strcmp(tag, "annotation") != 0) {
        snprintf(v->other_root, sizeof v->other_root, "%s", tag);
        XML_StopParser(v->parser, XML_FALSE);
        return;
    }
    if (v->depth > 0 || n + more >= sizeof v->path) {
        v->depth += more;
        return;
    }
    snprintf(v->path + n, sizeof v->path - n, "/%s", tag);
    v->n_value = 0;
    if (strcmp(v->path, "/annotation/object") == 0) {
        v->object = (struct object){.edge = {(double)NAN, (double)NAN, (double)NAN, (double)NAN}};
    }
}

static void XMLCALL on_text(void *user, const XML_Char *text, int n)
{
    struct voc *v = user;
    const size_t room = sizeof v->value - 1 - v->n_value;
    const size_t take = (size_t)n < room ? (size_t)n : room;

    memcpy(v->value + v->n_value, text, take);
    v->n_value += take;
}

static int pixels(const char *text)
{
    double x;

    return text_real(text, &x) && x >= 1 && x < 1 << 20 ? (int)x : 0;
}

/* The value of the element that ends, where it is one that counts. */
static void take_value(struct voc *v)
{
    static const char *const edges[] = {"xmin", "ymin", "xmax", "ymax"};
    static const char bndbox[] = "/annotation/object/bndbox/";
    const char *text = text_trim(v->value);

    if (strcmp(v->path, "/annotation/filename") == 0) {
        snprintf(v->file_name, sizeof v->file_name, "%s", text);
    } else if (strcmp(v->path, "/annotation/size/width") == 0) {
        v->it.width = pixels(text);
    } else if (strcmp(v->path, "/annotation/size/height") == 0) {
        v->it.height = pixels(text);
    } else if (strcmp(v->path, "/annotation/object/name") == 0) {
        snprintf(v->object.name, sizeof v->object.name, "%s", text);
    } else if (strcmp(v->path, "/annotation/object/difficult") == 0) {
        v->object.difficult = strcmp(text, "1") == 0;
    }
    for (int i = 0; i < 4; i++) {
        if (strncmp(v->path, bndbox, sizeof bndbox - 1) == 0 &&
            strcmp(v->path + sizeof bndbox - 1, edges[i]) == 0) {
            double x;
            v->object.edge[i] = text_real(text, &x) ? x : (double)NAN;
        }
    }
}

static void XMLCALL on_end(void *user, const XML_Char *tag)
{
    struct voc *v = user;

    if (v->depth > 0) {
        v->depth -= strlen(tag) + 1;
        return;
    }
    v->value[v->n_value] = '\0';
    take_value(v);
    v->n_value = 0;
    if (strcmp(v->path, "/annotation/object") == 0) {
        add_object(v);
    }
    *strrchr(v->path, '/') = '\0';
}

/* In the folder that was asked for; else in JPEGImages beside the folder of the annotations, or,
 * where it is there, beside the annotation. In d->mem. */
static const char *find_picture(struct voc *v, const char *name)
{
    char inside[VALUE_TEXT + 20];

    snprintf(inside, sizeof inside, "../JPEGImages/%s", name);
    char *path =
        v->opt->images != NULL ? path_join(v->opt->images, name) : path_beside(v->xml, inside);
    char *beside = v->opt->images == NULL ? path_beside(v->xml, name) : NULL;
    const bool is_beside = beside != NULL && file_exists(beside);
    const char *found = path != NULL ? arena_strdup(&v->d->mem, is_beside ? beside : path) : NULL;

    mem_free(path);
    mem_free(beside);
    return found;
}

static enum vov_status parse(struct voc *v, const struct buf *text, struct err *err)
{
    const enum XML_Status status =
        XML_Parse(v->parser, text->p != NULL ? text->p : "", (int)text->n, 1);

    if (v->failed) {
        return err_nomem(err, text->n);
    }
    if (v->other_root[0] != '\0') {
        return err_set(err, VOV_EFORMAT,
                       "%s:%lu: no annotation of Pascal VOC: it begins with <%s> in place of "
                       "<annotation>",
                       v->xml, (unsigned long)XML_GetCurrentLineNumber(v->parser), v->other_root);
    }
    if (status != XML_STATUS_OK) {
        return err_set(err, VOV_EFORMAT, "%s:%lu:%lu: %s", v->xml,
                       (unsigned long)XML_GetCurrentLineNumber(v->parser),
                       (unsigned long)XML_GetCurrentColumnNumber(v->parser) + 1,
                       XML_ErrorString(XML_GetErrorCode(v->parser)));
    }
    return VOV_OK;
}

static enum vov_status add_picture(struct voc *v, const char *id, struct err *err)
{
    struct dataset *d = v->d;
    char fallback[VALUE_TEXT];

    snprintf(fallback, sizeof fallback, "%.500s.jpg", id);
    v->it.file_name = arena_strdup(&d->mem, v->file_name[0] != '\0' ? v->file_name : fallback);
    v->it.path = v->it.file_name != NULL ? find_picture(v, v->it.file_name) : NULL;
    v->it.id = d->n + 1;
    if (v->it.path == NULL || !VEC_GROW(d->item, d->n, d->cap)) {
        return err_nomem(err, sizeof v->it);
    }
    for (int i = 0; i < v->it.n_truth; i++) {
        struct truth *t = &v->it.truth[i];
        t->id = d->n_truth++;
        t->unfit = !item_clip(&v->it, t->bbox, &t->box);
    }
    d->item[d->n++] = v->it;
    v->it.truth = NULL; /* the data set's now */
    return VOV_OK;
}

static enum vov_status read_xml(struct voc *v, const char *path, const char *id, struct err *err)
{
    struct buf text = {0};
    enum vov_status status = err_of_input(err, file_read(path, MAX_XML, &text, err), VOV_EFORMAT);

    v->xml = path;
    v->it = (struct item){0};
    v->path[0] = v->file_name[0] = v->other_root[0] = '\0';
    v->depth = v->n_value = 0;
    v->parser = status == VOV_OK ? XML_ParserCreate(NULL) : NULL;
    if (status == VOV_OK && v->parser == NULL) {
        status = err_nomem(err, text.n);
    }
    if (status == VOV_OK) {
        XML_SetUserData(v->parser, v);
        XML_SetElementHandler(v->parser, on_start, on_end);
        XML_SetCharacterDataHandler(v->parser, on_text);
        status = parse(v, &text, err);
    }
    if (status == VOV_OK) {
        status = add_picture(v, id, err);
    }
    XML_ParserFree(v->parser);
    mem_free(v->it.truth);
    buf_free(&text);
    return status;
}

/* ---- which annotations there are ---- */

static enum vov_status read_folder(struct voc *v, const char *dir, struct err *err)
{
    char **names;
    int n;

    TRY(file_list(dir, &names, &n, err));
    enum vov_status status = VOV_OK;
    for (int i = 0; i < n && status == VOV_OK; i++) {
        char *path = strcasecmp(path_ext(names[i]), "xml") == 0 ? path_join(dir, names[i]) : NULL;
        if (path != NULL) {
            *strrchr(names[i], '.') = '\0';
            status = read_xml(v, path, names[i], err);
        }
        mem_free(path);
    }
    file_list_free(names, n);
    return status;
}

/* A line of a list: a name, perhaps with a number that says whether the class of the list is in
 * the picture. Its annotation is Annotations/NAME.xml, two folders up from the list. */
static enum vov_status read_line(struct voc *v, const char *list, char *line, struct err *err)
{
    char inside[VALUE_TEXT];

    line += strspn(line, " \t\r");
    line[strcspn(line, " \t\r")] = '\0';
    if (line[0] == '\0') {
        return VOV_OK;
    }
    if (image_has_name(line)) {
        return err_set(
            err, VOV_EFORMAT,
            "%s: a list of pictures, such as \"%.60s\"; a .txt file lists names of Pascal "
            "VOC's annotations, as in ImageSets/Main. Of Darknet's labels make COCO's "
            ".json",
            list, line);
    }
    snprintf(inside, sizeof inside, "../../Annotations/%.400s.xml", line);
    char *path = path_beside(list, inside);
    const enum vov_status status =
        path != NULL ? read_xml(v, path, line, err) : err_nomem(err, strlen(inside));
    mem_free(path);
    return status;
}

static enum vov_status read_list(struct voc *v, const char *list, struct err *err)
{
    struct buf text = {0};
    enum vov_status status = err_of_input(err, file_read(list, MAX_LIST, &text, err), VOV_EFORMAT);
    char *rest = text_skip_bom(text.p);

    while (status == VOV_OK && rest != NULL) {
        status = read_line(v, list, strsep(&rest, "\n"), err);
    }
    buf_free(&text);
    return status;
}

/* ---- classes: those of the .data file, else those met in the order of the alphabet, which for
 * VOC's own twenty is the usual one ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The classes in their order, in d->mem. */
static enum vov_status order_classes(const struct voc *v, struct dataset *d, struct err *err)
{
    const char **sorted = mem_alloc((size_t)v->n_names + 1, sizeof *sorted);
    const char *given = v->opt->classes;
    int n = given != NULL ? 1 : v->n_names;

    for (const char *p = given; p != NULL && *p != '\0'; p++) {
        n += *p == ',';
    }
    d->class_name = mem_alloc((size_t)n + 1, sizeof *d->class_name);
    d->class_key = mem_alloc((size_t)n + 1, sizeof *d->class_key);
    char *text = given != NULL ? arena_strdup(&d->mem, given) : NULL;
    if (sorted == NULL || d->class_name == NULL || d->class_key == NULL ||
        (given != NULL && text == NULL)) {
        mem_free(sorted);
        return err_nomem(err, (size_t)n * sizeof *d->class_key);
    }
    if (v->n_names > 0) {
        memcpy(sorted, v->name, (size_t)v->n_names * sizeof *sorted);
    }
    qsort(sorted, (size_t)v->n_names, sizeof *sorted, by_text);
    d->n_classes = n;
    for (int i = 0; i < n; i++) {
        d->class_name[i] = text != NULL ? text_trim(strsep(&text, ",")) : sorted[i];
        d->class_key[i] = i + 1;
    }
    mem_free(sorted);
    return VOV_OK;
}

static enum vov_status set_classes(struct voc *v, struct err *err)
{
    struct dataset *d = v->d;

    TRY(order_classes(v, d, err));
    for (int i = 0; i < d->n; i++) {
        for (int k = 0; k < d->item[i].n_truth; k++) {
            struct truth *t = &d->item[i].truth[k];
            const char *name = v->name[t->class_id];
            t->class_id = 0;
            while (t->class_id < d->n_classes && strcmp(d->class_name[t->class_id], name) != 0) {
                t->class_id++;
            }
            if (t->class_id == d->n_classes) {
                return err_set(err, VOV_EFORMAT,
                               "%s: the picture %s has an object \"%.60s\", which is none of the "
                               "classes in the .data file",
                               d->path, d->item[i].file_name, name);
            }
        }
    }
    return VOV_OK;
}

enum vov_status voc_read(const char *path, const struct dataset_options *opt, struct dataset *d,
                         struct err *err)
{
    struct voc v = {.d = d, .opt = opt};

    *d = (struct dataset){0};
    d->path = arena_strdup(&d->mem, path);
    char *text = mem_strdup(path), *rest = text;
    enum vov_status status =
        d->path != NULL && text != NULL ? VOV_OK : err_nomem(err, strlen(path));
    if (status == VOV_OK && file_is_dir(path)) {
        status = read_folder(&v, path, err);
        rest = NULL;
    }
    while (status == VOV_OK && rest != NULL) {
        status = read_list(&v, strsep(&rest, ","), err);
    }
    if (status == VOV_OK && d->n == 0) {
        status = err_set(err, VOV_EFORMAT, "%s: names no pictures", path);
    }
    if (status == VOV_OK) {
        status = set_classes(&v, err);
    }
    mem_free(v.name);
    mem_free(text);
    if (status != VOV_OK) {
        dataset_free(d);
    }
    return status;
}
