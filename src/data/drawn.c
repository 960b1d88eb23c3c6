/*
 * drawn.c - see drawn.h. Every picture has a random key of its own and is drawn and written by any
 * thread; the annotations are put together afterwards, in order.
 */
#include "drawn.h"

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/text.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

enum { DEFAULT_CLASSES = 4 };

static const char data_file_name[] = "drawn.data";

/* One picture without its pixels. */
struct sheet {
    struct scene_object *object; /* [n] */
    int n, width, height;
    enum vov_status status;
};

struct drawing {
    const char *dir;
    const struct drawn_options *opt;
    struct sheet *sheet; /* [images] */
    int first, count;    /* of this pool_run */
};

static int count_train(const struct drawn_options *opt)
{
    return opt->images - opt->images / 5;
}

static const char *folder_of(const struct drawn_options *opt, int i)
{
    return i < count_train(opt) ? "train" : "val";
}

static enum vov_status draw_sheet(const struct drawing *w, int i, struct err *err)
{
    struct sheet *sheet = &w->sheet[i];
    struct rng r = rng_open(w->opt->seed, RNG_DRAW, (uint64_t)i, 0);
    struct scene *s = mem_alloc(1, sizeof *s);
    char path[4096];

    if (s == NULL) {
        return err_nomem(err, sizeof *s);
    }
    snprintf(path, sizeof path, "%.4000s/images/%s/%06d.jpg", w->dir, folder_of(w->opt, i), i + 1);
    enum vov_status status = scene_draw(&w->opt->scene, &r, s, err);
    if (status == VOV_OK) {
        status = image_write(path, &s->img, err);
        sheet->width = s->img.width;
        sheet->height = s->img.height;
    }
    if (status == VOV_OK) {
        sheet->object = mem_alloc((size_t)s->n + 1, sizeof *sheet->object);
        status = sheet->object != NULL ? VOV_OK : err_nomem(err, sizeof *s);
    }
    if (status == VOV_OK) {
        memcpy(sheet->object, s->object, (size_t)s->n * sizeof *s->object);
        sheet->n = s->n;
    }
    image_free(&s->img);
    mem_free(s);
    return status;
}

static void draw_chunk(void *ctx, int chunk, int worker)
{
    const struct drawing *w = ctx;
    struct err ignored = {0}; /* said by the second try, in draw_pictures */

    (void)worker;
    w->sheet[chunk].status = draw_sheet(w, chunk, &ignored);
}

static enum vov_status draw_pictures(struct drawing *w, struct err *err)
{
    struct pool *pool;

    TRY(pool_open(w->opt->threads, &pool, err));
    pool_run(pool, w->opt->images, draw_chunk, w);
    pool_close(pool);
    for (int i = 0; i < w->opt->images; i++) {
        if (w->sheet[i].status != VOV_OK) {
            mem_free(w->sheet[i].object);
            w->sheet[i].object = NULL;
            TRY(draw_sheet(w, i, err));
        }
    }
    return VOV_OK;
}

static double cents(double v)
{
    return round(v * 100) / 100;
}

static void put_object(struct buf *b, const struct scene_object *o, long id, int image_id)
{
    struct figure s = o->shape;
    double x0, y0, x1, y1;

    for (int i = 0; i < s.n; i++) {
        s.xy[i][0] = cents(s.xy[i][0]);
        s.xy[i][1] = cents(s.xy[i][1]);
    }
    shape_bounds(&s, &x0, &y0, &x1, &y1);
    buf_printf(b, "{\"id\": %ld, \"image_id\": %d, \"category_id\": %d, ", id, image_id,
               o->class_id + 1);
    buf_printf(b, "\"bbox\": [%.2f, %.2f, %.2f, %.2f], \"area\": %.2f, \"iscrowd\": 0, ", x0, y0,
               x1 - x0, y1 - y0, shape_area(&s));
    buf_puts(b, "\"segmentation\": [[");
    for (int i = 0; i < s.n; i++) {
        buf_printf(b, "%s%.2f, %.2f", i > 0 ? ", " : "", s.xy[i][0], s.xy[i][1]);
    }
    buf_puts(b, "]]}");
}

static void put_images(struct buf *b, const struct drawing *w)
{
    buf_puts(b, "\"images\": [\n");
    for (int i = w->first; i < w->first + w->count; i++) {
        buf_printf(b, "{\"id\": %d, \"file_name\": \"%s/%06d.jpg\", ", i + 1, folder_of(w->opt, i),
                   i + 1);
        buf_printf(b, "\"width\": %d, \"height\": %d}%s\n", w->sheet[i].width, w->sheet[i].height,
                   i + 1 < w->first + w->count ? "," : "");
    }
    buf_puts(b, "],\n");
}

static void put_annotations(struct buf *b, const struct drawing *w, long *id)
{
    bool first = true;

    buf_puts(b, "\"annotations\": [");
    for (int i = w->first; i < w->first + w->count; i++) {
        for (int k = 0; k < w->sheet[i].n; k++) {
            buf_puts(b, first ? "\n" : ",\n");
            put_object(b, &w->sheet[i].object[k], ++*id, i + 1);
            first = false;
        }
    }
    buf_puts(b, "\n],\n");
}

static void put_categories(struct buf *b, const struct scene_options *opt)
{
    buf_puts(b, "\"categories\": [\n");
    for (int i = 0; i < opt->n_classes; i++) {
        buf_printf(b, "{\"id\": %d, \"name\": \"%s\", \"supercategory\": \"shape\"}%s\n", i + 1,
                   shape_name[opt->kind[i]], i + 1 < opt->n_classes ? "," : "");
    }
    buf_puts(b, "]}\n");
}

static enum vov_status write_file(const struct drawing *w, const char *name, const struct buf *b,
                                  struct err *err)
{
    char *path = path_join(w->dir, name);
    enum vov_status status = path == NULL || b->failed ? err_nomem(err, b->n) : VOV_OK;

    if (status == VOV_OK) {
        status = file_write(path, b->p, b->n, err);
    }
    mem_free(path);
    return status;
}

static enum vov_status write_split(struct drawing *w, const char *name, int first, int count,
                                   long *id, struct err *err)
{
    struct buf b = {0};

    w->first = first;
    w->count = count;
    buf_printf(&b,
               "{\"info\": {\"description\": \"drawn by vov data draw\", \"seed\": %llu, "
               "\"size\": %d},\n\"licenses\": [],\n",
               (unsigned long long)w->opt->seed, w->opt->scene.size);
    put_images(&b, w);
    put_annotations(&b, w, id);
    put_categories(&b, &w->opt->scene);
    const enum vov_status status = write_file(w, name, &b, err);
    buf_free(&b);
    return status;
}

static enum vov_status write_data_file(const struct drawing *w, struct err *err)
{
    struct buf b = {0};

    buf_puts(&b, "# Drawn by `vov data draw`. Paths are relative to this file.\n"
                 "train = train.json\nvalid = val.json\nimages = images\n");
    const enum vov_status status = write_file(w, data_file_name, &b, err);
    buf_free(&b);
    return status;
}

static void count_objects(const struct drawing *w, struct drawn_counts *counts)
{
    for (int i = 0; i < w->opt->images; i++) {
        for (int k = 0; k < w->sheet[i].n; k++) {
            counts->objects++;
            counts->of_class[w->sheet[i].object[k].class_id]++;
        }
    }
}

/* Our own files of an earlier time, or none. */
static bool may_be_ours(const char *name)
{
    return strcmp(name, "images") == 0 || strcmp(name, "train.json") == 0 ||
           strcmp(name, "val.json") == 0 || strcmp(name, data_file_name) == 0;
}

static enum vov_status make_folder(const char *dir, const char *name, struct err *err)
{
    char *path = path_join(dir, name);
    const enum vov_status status =
        path != NULL ? file_mkdirs(path, err) : err_nomem(err, strlen(dir));

    mem_free(path);
    return status;
}

/* Annotations of pictures that are about to be drawn anew. */
static void remove_splits(const char *dir)
{
    static const char *const splits[] = {"train.json", "val.json"};

    for (int i = 0; i < 2; i++) {
        char *path = path_join(dir, splits[i]);
        if (path != NULL) {
            unlink(path); /* may not be there; writing the new one will say what is wrong */
        }
        mem_free(path);
    }
}

/* Makes the folder, or makes sure that what is there was drawn. */
static enum vov_status claim_folder(const char *dir, struct err *err)
{
    char **names = NULL;
    int n = 0;
    bool ours = false;

    TRY(file_mkdirs(dir, err));
    TRY(file_list(dir, &names, &n, err));
    for (int i = 0; i < n; i++) {
        ours = ours || strcmp(names[i], data_file_name) == 0;
    }
    enum vov_status status = VOV_OK;
    for (int i = 0; i < n && status == VOV_OK; i++) {
        if (!ours || !may_be_ours(names[i])) {
            status = err_set(err, VOV_EIO,
                             "%s: holds \"%s\" already; give a folder that is new, empty, or holds "
                             "nothing but a drawn data set",
                             dir, names[i]);
        }
    }
    file_list_free(names, n);
    if (status == VOV_OK) {
        status = make_folder(dir, "images/train", err);
    }
    if (status == VOV_OK) {
        status = make_folder(dir, "images/val", err);
    }
    if (status == VOV_OK) {
        remove_splits(dir);
    }
    return status;
}

enum vov_status drawn_write(const char *dir, const struct drawn_options *opt,
                            struct drawn_counts *counts, struct err *err)
{
    struct drawing w = {.dir = dir, .opt = opt};
    long id = 0;

    *counts =
        (struct drawn_counts){.train = count_train(opt), .val = opt->images - count_train(opt)};
    TRY(claim_folder(dir, err));
    w.sheet = mem_alloc((size_t)opt->images, sizeof *w.sheet);
    if (w.sheet == NULL) {
        return err_nomem(err, (size_t)opt->images * sizeof *w.sheet);
    }
    enum vov_status status = write_data_file(&w, err); /* first: it marks the folder as ours */
    if (status == VOV_OK) {
        status = draw_pictures(&w, err);
    }
    if (status == VOV_OK) {
        status = write_split(&w, "train.json", 0, counts->train, &id, err);
    }
    if (status == VOV_OK) {
        status = write_split(&w, "val.json", counts->train, counts->val, &id, err);
    }
    if (status == VOV_OK) {
        count_objects(&w, counts);
    }
    for (int i = 0; i < opt->images; i++) {
        mem_free(w.sheet[i].object);
    }
    mem_free(w.sheet);
    return status;
}

static enum vov_status add_class(struct scene_options *opt, const char *name, struct err *err)
{
    int kind = 0;

    while (kind < SHAPE_KINDS && strcmp(shape_name[kind], name) != 0) {
        kind++;
    }
    if (kind == SHAPE_KINDS) {
        const char *near = text_nearest(name, shape_name, SHAPE_KINDS, sizeof *shape_name);
        return err_set(err, VOV_EARG, "no shape is called \"%.40s\"%s%s%s", name,
                       near != NULL ? "; did you mean \"" : "", near != NULL ? near : "",
                       near != NULL ? "\"?" : "");
    }
    for (int i = 0; i < opt->n_classes; i++) {
        if (opt->kind[i] == kind) {
            return err_set(err, VOV_EARG, "the shape \"%s\" is given twice", name);
        }
    }
    opt->kind[opt->n_classes++] = kind;
    return VOV_OK;
}

enum vov_status drawn_classes(const char *names, struct scene_options *opt, struct err *err)
{
    long long n = DEFAULT_CLASSES;

    opt->n_classes = 0;
    if (names == NULL || text_int(names, &n)) {
        if (n < 1 || n > SHAPE_KINDS) {
            return err_set(err, VOV_EARG, "classes must be 1 to %d, not %lld", SHAPE_KINDS, n);
        }
        for (; opt->n_classes < n; opt->n_classes++) {
            opt->kind[opt->n_classes] = opt->n_classes;
        }
        return VOV_OK;
    }
    char *copy = mem_strdup(names), *rest = copy;
    enum vov_status status = copy != NULL ? VOV_OK : err_nomem(err, strlen(names));
    while (status == VOV_OK && rest != NULL) {
        status = add_class(opt, strsep(&rest, ","), err);
    }
    mem_free(copy);
    return status;
}
