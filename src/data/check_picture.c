/*
 * check_picture.c - the pictures of a data set: read and decoded over all cores, compared with what
 * the annotations say, and with each other. Equal files are found by length and a 64-bit hash, and
 * certain enough with that: a million files have a chance of 1 in 10^7 for one false alarm.
 */
#include "check_part.h"

#include "base/file.h"
#include "base/pool.h"
#include "image.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_FILE = 1 << 30 };

static uint64_t hash_bytes(const char *p, size_t n)
{
    uint64_t h = 0x9e3779b97f4a7c15u ^ n, word;

    for (; n > 0; n -= n < 8 ? n : 8, p += 8) {
        word = 0;
        memcpy(&word, p, n < 8 ? n : 8);
        h = (h ^ word) * 0xbf58476d1ce4e5b9u;
        h ^= h >> 29;
    }
    return h * 0x94d049bb133111ebu;
}

static void keep_text(void *user, int level, const char *text)
{
    struct check_picture *p = user;

    if (level == LOG_WARN && p->text == NULL) {
        p->text = mem_strdup(text);
    }
}

void check_read(const char *path, struct check_picture *p)
{
    const struct log log = {keep_text, p};
    struct image img = {0};
    struct buf file = {0};
    struct err err = {0};
    struct stat st;

    p->status = file_read(path, MAX_FILE, &file, &err);
    p->missing = p->status != VOV_OK && stat(path, &st) != 0 && errno == ENOENT;
    if (p->status == VOV_OK) {
        p->bytes = file.n;
        p->hash = hash_bytes(file.p != NULL ? file.p : "", file.n);
        p->status = image_decode(path, file.p, file.n, &log, &img, &err);
    }
    p->width = img.width;
    p->height = img.height;
    if (p->status != VOV_OK) {
        mem_free(p->text);
        p->text = mem_strdup(err.msg);
    }
    image_free(&img);
    buf_free(&file);
}

/* A picture that came with the labels is there and whole. */
static void read_item(const struct item *it, struct check_picture *p)
{
    if (it->planes == NULL) {
        check_read(it->path, p);
        return;
    }
    p->width = it->width;
    p->height = it->height;
    p->bytes = 3 * (size_t)it->width * (size_t)it->height;
    p->hash = hash_bytes((const char *)it->planes, p->bytes);
}

struct reading {
    const struct dataset *d;
    struct check_picture *picture;
};

static void read_chunk(void *ctx, int chunk, int worker)
{
    const struct reading *r = ctx;

    (void)worker;
    read_item(&r->d->item[chunk], &r->picture[chunk]);
}

static void note_size(struct check *c, struct check_split *s, const struct item *it,
                      const struct check_picture *p)
{
    const int size[2] = {p->width, p->height};

    for (int i = 0; i < 2; i++) {
        s->least[i] = s->least[i] == 0 || size[i] < s->least[i] ? size[i] : s->least[i];
        s->most[i] = size[i] > s->most[i] ? size[i] : s->most[i];
    }
    if (it->width != 0 && (it->width != p->width || it->height != p->height)) {
        const bool turned = it->width == p->height && it->height == p->width;
        check_add(c, CHECK_SIZE, "%s: %d x %d pixels%s, but image %lld of %s says %d x %d",
                  it->path, p->width, p->height, turned ? " (turned as its EXIF data ask for)" : "",
                  it->id, s->path, it->width, it->height);
    }
}

/* A box that reaches out by a pixel or less is rounding. */
static void note_cut_boxes(struct check *c, const struct check_split *s, const struct item *it,
                           const struct check_picture *p)
{
    for (int i = 0; i < it->n_truth; i++) {
        const double *b = it->truth[i].bbox;
        const double over =
            fmax(fmax(-b[0], -b[1]), fmax(b[0] + b[2] - p->width, b[1] + b[3] - p->height));
        if (over > 1 && !it->truth[i].unfit) {
            check_add(c, CHECK_CUT,
                      "%s: annotation %lld reaches %.6g pixels beyond %s; cut to the picture",
                      s->path, it->truth[i].id, over, it->file_name);
        }
    }
}

static void report_picture(struct check *c, struct check_split *s, const struct item *it,
                           const struct check_picture *p)
{
    if (p->status != VOV_OK) {
        check_add(c, p->missing ? CHECK_MISSING : CHECK_UNREADABLE, "%s (image %lld of %s)",
                  p->text != NULL ? p->text : it->path, it->id, s->path);
        return;
    }
    if (p->text != NULL) {
        check_add(c, CHECK_DAMAGED, "%s", p->text);
    }
    note_size(c, s, it, p);
    note_cut_boxes(c, s, it, p);
}

enum vov_status check_pictures(struct check *c, int split, struct err *err)
{
    const struct dataset *d = &c->data[split];
    struct reading r = {d, mem_alloc((size_t)d->n + 1, sizeof *r.picture)};

    if (r.picture == NULL) {
        return err_nomem(err, (size_t)d->n * sizeof *r.picture);
    }
    c->picture[split] = r.picture;
    log_put(c->opt->log, LOG_INFO, "%s: reading %d pictures", d->path, d->n);
    pool_run(c->pool, d->n, read_chunk, &r);
    for (int i = 0; i < d->n; i++) {
        if (r.picture[i].status == VOV_ENOMEM) {
            return err_set(err, VOV_ENOMEM, "%s: no memory to read it", d->item[i].path);
        }
        report_picture(c, &c->report->split[split], &d->item[i], &r.picture[i]);
    }
    return VOV_OK;
}

/* A picture of either split. */
struct place {
    const struct check_picture *picture;
    const char *path;
    int split, at;
};

static int by_bytes(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->picture->hash != y->picture->hash) {
        return x->picture->hash < y->picture->hash ? -1 : 1;
    }
    if (x->picture->bytes != y->picture->bytes) {
        return x->picture->bytes < y->picture->bytes ? -1 : 1;
    }
    return x->split != y->split ? x->split - y->split : x->at - y->at;
}

static bool same_bytes(const struct place *a, const struct place *b)
{
    return a->picture->hash == b->picture->hash && a->picture->bytes == b->picture->bytes;
}

static int in_order(const void *a, const void *b)
{
    const struct place *x = *(const struct place *const *)a, *y = *(const struct place *const *)b;

    return x->split != y->split ? x->split - y->split : x->at - y->at;
}

static int list_places(const struct check *c, struct place *place)
{
    int n = 0;

    for (int s = 0; s < c->report->n_splits; s++) {
        for (int i = 0; c->picture[s] != NULL && i < c->data[s].n; i++) {
            if (c->picture[s][i].status == VOV_OK) {
                place[n++] = (struct place){&c->picture[s][i], c->data[s].item[i].path, s, i};
            }
        }
    }
    return n;
}

/* Each file that is equal to an earlier one, in the order of the data set. */
static void report_twins(struct check *c, const struct place *place, int n,
                         const struct place **twin)
{
    int count = 0;

    for (int i = 1; i < n; i++) {
        if (same_bytes(&place[i - 1], &place[i])) {
            twin[count++] = &place[i];
        }
    }
    qsort(twin, (size_t)count, sizeof *twin, in_order);
    for (int i = 0; i < count; i++) {
        const struct place *first = twin[i];
        while (first > place && same_bytes(first - 1, twin[i])) {
            first--;
        }
        check_add(c, CHECK_TWINS, "%s (%s) has the same bytes as %s (%s)", twin[i]->path,
                  c->report->split[twin[i]->split].name, first->path,
                  c->report->split[first->split].name);
    }
}

enum vov_status check_twins(struct check *c, struct err *err)
{
    const size_t room = (size_t)c->data[0].n + (size_t)c->data[1].n + 1;
    struct place *place = mem_alloc(room, sizeof *place);
    const struct place **twin = mem_alloc(room, sizeof *twin);
    enum vov_status status = VOV_OK;

    if (place == NULL || twin == NULL) {
        status = err_nomem(err, room * sizeof *place);
    } else {
        const int n = list_places(c, place);
        qsort(place, (size_t)n, sizeof *place, by_bytes);
        report_twins(c, place, n, twin);
    }
    mem_free(place);
    mem_free(twin);
    return status;
}
