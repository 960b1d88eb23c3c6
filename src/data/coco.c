/*
 * coco.c - COCO's annotation files: images, annotations and categories, in any order, read item by
 * item in memory that grows with what is kept only. An annotation that cannot be used is left out,
 * or kept for evaluation only where pycocotools would count it, with a warning that names the file
 * and its id; what would make the whole file doubtful (ids that are no whole numbers, a missing
 * list) is an error.
 */
#include "coco_seg.h"
#include "dataset.h"
#include "image.h"

#include "base/file.h"
#include "base/json.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* An annotation before its image and class are known. */
struct raw {
    long long id, image, category; /* id: where it has none, its place in the list */
    double bbox[4], area;
    bool has_id, has_box, has_image, has_category, crowd, difficult;
    struct seg *seg;
    int mask_height, mask_width; /* of run lengths */
    const char *wrong_seg;       /* what is wrong with its segmentation */
};

/* Of each kind of problem the log gets this many. */
enum { MOST_SAID = 10, MOST_KINDS = 8 };

struct said {
    const char *kind;
    long n;
};

struct reader {
    struct dataset *d;
    const struct dataset_options *opt;
    const char *images; /* folder, in d->mem */
    struct raw *raw;
    int n_raw, cap_raw, cap_classes;
    struct idmap image_of, class_of, seen;
    bool saw_images, saw_annotations, saw_categories;
    struct said said[MOST_KINDS];
};

/* How often this kind was met, with this time. */
static long count_problem(struct reader *r, const char *kind)
{
    int i = 0;

    while (i < MOST_KINDS - 1 && r->said[i].kind != NULL && strcmp(r->said[i].kind, kind) != 0) {
        i++;
    }
    r->said[i].kind = kind;
    return ++r->said[i].n;
}

static void problem(struct reader *r, const char *kind, bool skipped, const char *fmt, ...)
    VOV_PRINTF(4, 5);

static void problem(struct reader *r, const char *kind, bool skipped, const char *fmt, ...)
{
    char what[256], text[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    snprintf(text, sizeof text, "%.200s: %s", r->d->path, what);
    if (count_problem(r, kind) <= MOST_SAID) {
        log_put(r->opt->log, LOG_WARN, "%s", text);
    }
    r->d->skipped += skipped ? 1 : 0;
    if (r->opt->problem != NULL) {
        r->opt->problem(r->opt->user, kind, skipped, text);
    }
}

static void say_how_many(const struct reader *r)
{
    for (int i = 0; i < MOST_KINDS; i++) {
        if (r->said[i].n > MOST_SAID) {
            log_put(r->opt->log, LOG_WARN,
                    "%s: and %ld more of this kind (%s); `vov data check` lists them", r->d->path,
                    r->said[i].n - MOST_SAID, r->said[i].kind);
        }
    }
}

static enum vov_status bad_id(const struct reader *r, const char *list, long index, struct err *err)
{
    return err_set(err, VOV_EFORMAT,
                   "%s: %s[%ld]: \"id\" must be a whole number under 2^53; number the items anew",
                   r->d->path, list, index);
}

/* Where the picture lies, in d->mem; NULL: no memory. */
static const char *image_path(const struct reader *r, const char *name)
{
    char *path =
        r->opt->images != NULL ? path_join(r->images, name) : path_beside(r->d->path, name);
    const char *kept = path != NULL ? arena_strdup(&r->d->mem, name[0] == '/' ? name : path) : NULL;

    mem_free(path);
    return kept;
}

/* A size that is none is as good as missing: it comes from the picture. */
static void read_size(struct reader *r, const json *j, struct item *it)
{
    long long w = 0, h = 0;

    if (json_int(j, "width", &w) && json_int(j, "height", &h) && w > 0 && h > 0 && w < 1 << 20 &&
        h < 1 << 20) {
        it->width = (int)w;
        it->height = (int)h;
    } else if (json_get(j, "width") != NULL || json_get(j, "height") != NULL) {
        problem(r, "image", false,
                "image %lld: \"width\" and \"height\" are no size; the picture's own is taken",
                it->id);
    }
}

static enum vov_status add_image(struct reader *r, long index, const json *j, struct err *err)
{
    struct dataset *d = r->d;
    const char *name = json_str(j, "file_name");
    struct item it = {0};

    if (!json_int(j, "id", &it.id)) {
        return bad_id(r, "images", index, err);
    }
    if (name == NULL || name[0] == '\0') {
        return err_set(err, VOV_EFORMAT, "%s: image %lld has no \"file_name\"", d->path, it.id);
    }
    if (idmap_get(&r->image_of, it.id) >= 0) {
        problem(r, "duplicate", true, "image id %lld stands there twice; the second is left out",
                it.id);
        return VOV_OK;
    }
    it.path = image_path(r, name);
    it.file_name = arena_strdup(&d->mem, name);
    read_size(r, j, &it);
    if (it.path == NULL || it.file_name == NULL || !VEC_GROW(d->item, d->n, d->cap) ||
        !idmap_put(&r->image_of, it.id, d->n)) {
        return err_nomem(err, sizeof it);
    }
    d->item[d->n++] = it;
    return VOV_OK;
}

static enum vov_status add_category(struct reader *r, long index, const json *j, struct err *err)
{
    struct dataset *d = r->d;
    const char *name = json_str(j, "name");
    long long id;

    if (!json_int(j, "id", &id)) {
        return bad_id(r, "categories", index, err);
    }
    if (name == NULL || name[0] == '\0') {
        return err_set(err, VOV_EFORMAT, "%s: category %lld has no \"name\"", d->path, id);
    }
    if (idmap_get(&r->class_of, id) >= 0) {
        problem(r, "duplicate", true, "category id %lld stands there twice", id);
        return VOV_OK;
    }
    int cap = r->cap_classes;
    if (!VEC_GROW(d->class_name, d->n_classes, cap) ||
        !VEC_GROW(d->class_key, d->n_classes, r->cap_classes)) {
        return err_nomem(err, sizeof id);
    }
    d->class_name[d->n_classes] = arena_strdup(&d->mem, name);
    d->class_key[d->n_classes] = id;
    if (d->class_name[d->n_classes] == NULL || !idmap_put(&r->class_of, id, d->n_classes)) {
        return err_nomem(err, sizeof id);
    }
    d->n_classes++;
    return VOV_OK;
}

static bool read_box(const json *j, double box[4])
{
    const cJSON *v = json_get(j, "bbox");

    if (!cJSON_IsArray(v) || json_len(v) != 4) {
        return false;
    }
    v = v->child;
    for (int i = 0; i < 4; i++, v = v->next) {
        if (!cJSON_IsNumber(v) || !isfinite(v->valuedouble)) {
            return false;
        }
        box[i] = v->valuedouble;
    }
    return true;
}

static bool is_one(const json *j, const char *key)
{
    const cJSON *v = json_get(j, key);

    return cJSON_IsTrue(v) || (cJSON_IsNumber(v) && v->valuedouble != 0);
}

static enum vov_status read_mask(struct reader *r, const json *j, struct raw *a, struct err *err)
{
    const bool keep = r->opt->masks == MASKS_KEEP;
    struct arena scratch = {0};

    if (r->opt->masks == MASKS_DROP) {
        return VOV_OK;
    }
    const enum vov_status status = coco_seg_read(
        json_get(j, "segmentation"), keep ? &r->d->mem : &scratch, &a->seg, &a->wrong_seg, err);
    if (a->seg != NULL) {
        a->mask_height = a->seg->height;
        a->mask_width = a->seg->width;
    }
    a->seg = keep ? a->seg : NULL;
    arena_free(&scratch);
    return status;
}

static enum vov_status add_annotation(struct reader *r, long index, const json *j, struct err *err)
{
    struct raw a = {.id = index};

    a.has_id = json_int(j, "id", &a.id);
    a.has_image = json_int(j, "image_id", &a.image);
    a.has_category = json_int(j, "category_id", &a.category);
    a.has_box = read_box(j, a.bbox);
    a.area = a.bbox[2] * a.bbox[3];
    json_real(j, "area", &a.area);
    a.crowd = is_one(j, "iscrowd");
    a.difficult = is_one(j, "difficult");
    TRY(read_mask(r, j, &a, err));
    if (!VEC_GROW(r->raw, r->n_raw, r->cap_raw)) {
        return err_nomem(err, sizeof a);
    }
    r->raw[r->n_raw++] = a;
    return VOV_OK;
}

static enum vov_status take_item(void *user, const char *key, long index, const json *item,
                                 struct err *err)
{
    struct reader *r = user;

    if (key[0] == '\0') {
        return err_set(err, VOV_EFORMAT,
                       "%s: the top level must be an object with \"images\", \"annotations\" and "
                       "\"categories\", not a list",
                       r->d->path);
    }
    const bool list = index >= 0;
    if (list && strcmp(key, "images") == 0) {
        return add_image(r, index, item, err);
    }
    if (list && strcmp(key, "categories") == 0) {
        return add_category(r, index, item, err);
    }
    return list && strcmp(key, "annotations") == 0 ? add_annotation(r, index, item, err) : VOV_OK;
}

static enum vov_status take_array(void *user, const char *key, struct err *err)
{
    struct reader *r = user;

    if (key[0] == '\0') {
        return take_item(user, key, -1, NULL, err);
    }
    r->saw_images = r->saw_images || strcmp(key, "images") == 0;
    r->saw_annotations = r->saw_annotations || strcmp(key, "annotations") == 0;
    r->saw_categories = r->saw_categories || strcmp(key, "categories") == 0;
    return VOV_OK;
}

struct class_entry {
    long long key;
    const char *name;
};

static int by_key(const void *a, const void *b)
{
    const struct class_entry *x = a, *y = b;

    return x->key < y->key ? -1 : x->key > y->key;
}

/* Classes in the order of their ids, whatever the order in the file. */
static enum vov_status sort_classes(struct reader *r, struct err *err)
{
    struct dataset *d = r->d;
    struct class_entry *c = mem_alloc((size_t)d->n_classes + 1, sizeof *c);

    if (c == NULL) {
        return err_nomem(err, (size_t)d->n_classes * sizeof *c);
    }
    for (int i = 0; i < d->n_classes; i++) {
        c[i] = (struct class_entry){d->class_key[i], d->class_name[i]};
    }
    qsort(c, (size_t)d->n_classes, sizeof *c, by_key);
    for (int i = 0; i < d->n_classes; i++) {
        d->class_key[i] = c[i].key;
        d->class_name[i] = c[i].name;
    }
    mem_free(c);
    for (int i = 0; i < d->n_classes; i++) {
        if (!idmap_put(&r->class_of, d->class_key[i], i)) {
            return err_nomem(err, sizeof(int));
        }
    }
    return VOV_OK;
}

/* Whether an annotation can be used; if not, why. *kind as in dataset_options. */
static bool usable(const struct reader *r, const struct raw *a, const char **kind, char why[100])
{
    *kind = "id";
    if (!a->has_image) {
        snprintf(why, 100, "its \"image_id\" is no whole number");
        return false;
    }
    if (idmap_get(&r->image_of, a->image) < 0) {
        snprintf(why, 100, "there is no image with its \"image_id\", %lld", a->image);
        return false;
    }
    *kind = "category";
    if (!a->has_category) {
        snprintf(why, 100, "its \"category_id\" is no whole number");
        return false;
    }
    if (idmap_get(&r->class_of, a->category) < 0) {
        snprintf(why, 100, "there is no category with its \"category_id\", %lld", a->category);
        return false;
    }
    *kind = "segmentation";
    snprintf(why, 100, "%s", a->wrong_seg != NULL ? a->wrong_seg : "");
    return a->wrong_seg == NULL;
}

/* Why a box cannot be learned; NULL: it can, and *out is what lies inside the picture. */
static const char *unfit(const struct item *it, const struct raw *a, struct box *out)
{
    if (!a->has_box) {
        return "its \"bbox\" is not four finite numbers";
    }
    if (a->bbox[2] <= 0 || a->bbox[3] <= 0) {
        return "its \"bbox\" has no area";
    }
    return item_clip(it, a->bbox, out) ? NULL : "its \"bbox\" lies outside the picture";
}

static bool mask_fits(const struct raw *a, const struct item *it)
{
    return a->mask_width == 0 || it->width == 0 ||
           (a->mask_width == it->width && a->mask_height == it->height);
}

/* "annotation 7" or, where it has no id, "annotations[2]". */
struct name {
    char text[40];
};

static struct name name_of(const struct raw *a)
{
    struct name name;

    snprintf(name.text, sizeof name.text, a->has_id ? "annotation %lld" : "annotations[%lld]",
             a->id);
    return name;
}

static enum vov_status note_id(struct reader *r, const struct raw *a, struct err *err)
{
    if (!a->has_id) {
        return VOV_OK;
    }
    if (idmap_get(&r->seen, a->id) >= 0) {
        problem(r, "duplicate", false, "annotation id %lld stands there twice", a->id);
        return VOV_OK;
    }
    if (a->id == 0) {
        problem(r, "id", false,
                "an annotation has the id 0, which pycocotools takes for \"not found\": its "
                "numbers will be lower than those of vov; count from 1");
    }
    return idmap_put(&r->seen, a->id, 0) ? VOV_OK : err_nomem(err, sizeof(int));
}

static enum vov_status add_truth(struct reader *r, struct item *it, const struct raw *a,
                                 struct err *err)
{
    struct truth t = {
        .crowd = a->crowd, .difficult = a->difficult, .area = a->area, .id = a->id, .seg = a->seg};
    const char *why = unfit(it, a, &t.box);

    if (why != NULL) {
        problem(r, "bbox", true, "%s is left out of training: %s", name_of(a).text, why);
        t.box = (struct box){0};
    } else if (!mask_fits(a, it)) {
        problem(r, "segmentation", true,
                "%s is left out of training: its mask has %d x %d pixels, its picture %d x %d",
                name_of(a).text, a->mask_width, a->mask_height, it->width, it->height);
        why = "mask";
    }
    t.unfit = why != NULL;
    memcpy(t.bbox, a->bbox, sizeof t.bbox);
    t.class_id = idmap_get(&r->class_of, a->category);
    if (!VEC_GROW(it->truth, it->n_truth, it->cap_truth)) {
        return err_nomem(err, sizeof t);
    }
    it->truth[it->n_truth++] = t;
    r->d->n_truth += t.unfit ? 0 : 1;
    return VOV_OK;
}

static enum vov_status place(struct reader *r, const struct raw *a, struct err *err)
{
    const char *kind;
    char why[100];

    TRY(note_id(r, a, err));
    if (!usable(r, a, &kind, why)) {
        problem(r, kind, true, "%s is left out: %s", name_of(a).text, why);
        return VOV_OK;
    }
    return add_truth(r, &r->d->item[idmap_get(&r->image_of, a->image)], a, err);
}

/* Boxes in parts of the picture's sides, as other programs write them, lie in its first pixel. */
static enum vov_status check_unit(const struct dataset *d, struct err *err)
{
    bool parts = false;

    for (int i = 0; i < d->n; i++) {
        for (int k = 0; k < d->item[i].n_truth; k++) {
            const struct truth *t = &d->item[i].truth[k];
            if (!t->unfit && (t->box.x1 > 1 || t->box.y1 > 1)) {
                return VOV_OK;
            }
            parts = parts || (!t->unfit && (t->bbox[2] < 1 || t->bbox[3] < 1));
        }
    }
    return !parts ? VOV_OK
                  : err_set(err, VOV_EFORMAT,
                            "%s: all boxes lie in the first pixel of their pictures; \"bbox\" is "
                            "[x, y, width, height] in pixels, not in parts of the picture's sides",
                            d->path);
}

static enum vov_status check_lists(const struct reader *r, struct err *err)
{
    const bool labelled = !r->opt->pictures_only;
    const char *missing = !r->saw_images                    ? "images"
                          : labelled && !r->saw_annotations ? "annotations"
                          : labelled && !r->saw_categories  ? "categories"
                                                            : NULL;

    if (missing != NULL) {
        return err_set(err, VOV_EFORMAT, "%s: no list \"%s\" in it", r->d->path, missing);
    }
    const char *empty = r->d->n == 0                       ? "images"
                        : labelled && r->d->n_classes == 0 ? "categories"
                                                           : NULL;
    if (empty != NULL) {
        return err_set(err, VOV_EFORMAT, "%s: the list \"%s\" is empty", r->d->path, empty);
    }
    return VOV_OK;
}

/* Sizes that the file does not give come from the pictures. */
static void find_sizes(struct reader *r)
{
    for (int i = 0; i < r->d->n; i++) {
        struct item *it = &r->d->item[i];
        struct err why = {0};
        if (it->width == 0 && image_size(it->path, &it->width, &it->height, &why) != VOV_OK) {
            problem(r, "image", false, "image %lld has no size: %.150s", it->id, why.msg);
        }
    }
}

/* Takes dir/name where the picture is there and not at its path. */
static enum vov_status look_in(struct dataset *d, const char *dir, struct item *it, struct err *err)
{
    if (file_exists(it->path)) {
        return VOV_OK;
    }
    char *path = path_join(dir, it->file_name);
    if (path != NULL && file_exists(path)) {
        it->path = arena_strdup(&d->mem, path);
    }
    const bool ok = path != NULL && it->path != NULL;
    mem_free(path);
    return ok ? VOV_OK : err_nomem(err, strlen(it->file_name));
}

/* With no folder given: each picture beside the file, or in images/ beside it. */
static enum vov_status find_pictures(struct reader *r, struct err *err)
{
    struct dataset *d = r->d;

    if (r->opt->images != NULL) {
        return VOV_OK;
    }
    char *dir = path_beside(d->path, "images");
    enum vov_status status = dir != NULL ? VOV_OK : err_nomem(err, strlen(d->path));
    const bool there = dir != NULL && file_is_dir(dir);
    for (int i = 0; there && status == VOV_OK && i < d->n; i++) {
        status = look_in(d, dir, &d->item[i], err);
    }
    mem_free(dir);
    return status;
}

static enum vov_status read_all(struct reader *r, struct err *err)
{
    static const char *const masks[] = {"segmentation", NULL};
    const struct json_stream stream = {.drop = r->opt->masks != MASKS_DROP ? NULL : masks,
                                       .item = take_item,
                                       .array = take_array,
                                       .user = r};

    if (r->opt->images != NULL) {
        r->images = arena_strdup(&r->d->mem, r->opt->images);
    }
    TRY(err_of_input(err, json_stream_file(r->d->path, &stream, err), VOV_EFORMAT));
    TRY(check_lists(r, err));
    TRY(find_pictures(r, err));
    find_sizes(r);
    TRY(sort_classes(r, err));
    for (int i = 0; i < r->n_raw; i++) {
        TRY(place(r, &r->raw[i], err));
    }
    say_how_many(r);
    return check_unit(r->d, err);
}

enum vov_status coco_read(const char *path, const struct dataset_options *opt, struct dataset *d,
                          struct err *err)
{
    struct reader r = {.d = d, .opt = opt};

    *d = (struct dataset){0};
    d->path = arena_strdup(&d->mem, path);
    const enum vov_status status =
        d->path != NULL ? read_all(&r, err) : err_nomem(err, strlen(path));
    mem_free(r.raw);
    idmap_free(&r.image_of);
    idmap_free(&r.class_of);
    idmap_free(&r.seen);
    if (status != VOV_OK) {
        dataset_free(d);
    }
    return status;
}
