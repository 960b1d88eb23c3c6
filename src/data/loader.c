/*
 * loader.c - see loader.h. Pictures are numbered: picture g of a run is place g % batch of batch
 * g / batch. Workers take the numbers in turn and fill places of a ring of batches; the consumer
 * waits for the batch whose turn it is. An epoch is as many whole batches as the data set gives, in
 * an order shuffled by (seed, epoch); what is left over sits that epoch out.
 */
#include "loader.h"

#include "base/mem.h"

#include <pthread.h>
#include <string.h>

enum { DEPTH = 4 };        /* batches in the ring: one lent out, three made ahead */
enum { MOST_NAMED = 100 }; /* bad pictures that the log names */

/* What the log knows of a picture, so that it says it once in a run. */
enum picture_state { PICTURE_NEW, PICTURE_DAMAGED, PICTURE_BAD };

struct slot {
    struct batch b;
    int missing; /* places not filled yet */
};

/* What a worker has for itself. */
struct worker {
    int *item; /* [n] the order of `epoch` */
    long epoch;
    struct image img; /* the picture it is at; its memory serves for the next one */
};

struct loader {
    const struct dataset *d;
    struct loader_options opt;
    long per_epoch; /* batches */
    size_t planes;  /* numbers of one picture */
    size_t truth;   /* numbers of its truth */
    size_t masks;   /* numbers of its masks */
    struct slot slot[DEPTH];
    pthread_t *thread;
    int n_threads;

    pthread_mutex_t mutex; /* over all below, and the log */
    pthread_cond_t changed;
    long next;  /* picture to be taken */
    long taken; /* batches that the consumer has got, and those before the first */
    bool lent;  /* batch taken - 1 is in the consumer's hands */
    bool stop;
    uint8_t *state; /* [n] enum picture_state */
    int n_bad, n_named;
    struct err failed;
};

long loader_batches(const struct loader *l)
{
    return l->per_epoch;
}

/* What place g holds: the item, and the epoch for its random key. -1: past an evaluation's end. */
static int item_at(const struct loader *l, struct worker *w, long g, long *epoch)
{
    const long batch = g / l->opt.batch, place = g % l->opt.batch;

    if (!l->opt.train) {
        *epoch = 0;
        return g < l->d->n ? (int)g : -1;
    }
    *epoch = batch / l->per_epoch;
    if (w->epoch != *epoch) {
        struct rng r = rng_open(l->opt.seed, RNG_ORDER, (uint64_t)*epoch, 0);
        for (int i = 0; i < l->d->n; i++) {
            w->item[i] = i;
        }
        rng_shuffle(&r, w->item, l->d->n);
        w->epoch = *epoch;
    }
    return (int)((batch % l->per_epoch * l->opt.batch + place) % l->d->n);
}

/* Called with the mutex held. */
static void name_picture(struct loader *l, const char *what, const char *then)
{
    if (l->n_named++ < MOST_NAMED) {
        log_put(l->opt.log, LOG_WARN, "%s%s", what, then);
    } else if (l->n_named == MOST_NAMED + 1) {
        log_put(l->opt.log, LOG_WARN,
                "%s: more bad pictures are not named; `vov data check` lists them all", l->d->path);
    }
}

/* A picture of which something is missing, but which is used. */
static void note_damaged(struct loader *l, int item, const char *what)
{
    pthread_mutex_lock(&l->mutex);
    if (l->state[item] == PICTURE_NEW) {
        l->state[item] = PICTURE_DAMAGED;
        name_picture(l, what, "");
    }
    pthread_mutex_unlock(&l->mutex);
}

/* Notes a picture that cannot be read, once, and ends the run when there are too many. */
static void note_bad(struct loader *l, int item, const struct err *why)
{
    pthread_mutex_lock(&l->mutex);
    if (l->state[item] != PICTURE_BAD) {
        l->state[item] = PICTURE_BAD;
        l->n_bad++;
        name_picture(l, why->msg,
                     l->opt.train ? "; the picture is replaced by another"
                                  : "; the picture is taken as empty");
        if (l->n_bad > l->opt.max_skipped) {
            err_set(&l->failed, VOV_EFORMAT,
                    "%d pictures cannot be read, more than the %d allowed; the last: %.200s; look "
                    "at all of them with `vov data check`",
                    l->n_bad, l->opt.max_skipped, why->msg);
        }
    }
    pthread_mutex_unlock(&l->mutex);
}

/* The first remark of a decoder about a picture. */
struct remark {
    char text[500];
};

static void keep_remark(void *user, int level, const char *text)
{
    struct remark *r = user;

    if (level == LOG_WARN && r->text[0] == '\0') {
        snprintf(r->text, sizeof r->text, "%s", text);
    }
}

/* A picture that came with the labels, from planes to pixels. */
static enum vov_status image_of_planes(const struct item *it, struct image *img, struct err *err)
{
    const size_t n = (size_t)it->width * (size_t)it->height;

    if (!image_take(img, it->width, it->height)) {
        return err_nomem(err, n * 3);
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t c = 0; c < 3; c++) {
            img->rgb[i * 3 + c] = it->planes[c * n + i];
        }
    }
    return VOV_OK;
}

/* Reads picture `item` and notes what is wrong with it; memory alone goes into err. */
static enum vov_status read_picture(struct loader *l, int item, struct image *img, struct err *err)
{
    struct remark remark = {""};
    const struct log log = {keep_remark, &remark};
    struct err why = {0};
    if (l->d->item[item].planes != NULL) {
        return image_of_planes(&l->d->item[item], img, err);
    }
    const enum vov_status status = image_read_again(l->d->item[item].path, &log, img, &why);

    if (status == VOV_ENOMEM) {
        *err = why;
    } else if (status != VOV_OK) {
        note_bad(l, item, &why);
    } else if (remark.text[0] != '\0') {
        note_damaged(l, item, remark.text);
    }
    return status;
}

static enum vov_status prepare(const struct loader *l, int item, long epoch,
                               const struct image *img, struct batch *b, int place, struct err *err)
{
    const struct pixels *px = &l->opt.pixels;
    const struct item *it = &l->d->item[item];
    real *planes = b->images + (size_t)place * l->planes;
    real *truth = b->truth + (size_t)place * l->truth;

    b->item[place] = item;
    b->width[place] = img->width;
    b->height[place] = img->height;
    if (l->d->labels) {
        truth[0] = (real)it->label;
    }
    if (l->opt.train) {
        struct rng r = rng_open(l->opt.seed, RNG_AUGMENT, (uint64_t)epoch, (uint64_t)item);
        const struct sample out = {planes,
                                   truth,
                                   l->masks > 0 ? b->masks + (size_t)place * l->masks : NULL,
                                   l->opt.max_boxes,
                                   l->opt.mask_side,
                                   &b->where[place]};
        b->where[place] = placing_whole(px->width, px->height);
        return l->d->labels ? augment_label(&l->opt.augment, &r, img, px, planes, err)
                            : augment_apply(&l->opt.augment, &r, img, it, px, &out, err);
    }
    return image_fit(img, px, planes, &b->where[place]) == VOV_OK
               ? VOV_OK
               : err_nomem(err, l->planes * sizeof *planes);
}

/* Fills one place. A picture that cannot be read is replaced by the next of the epoch's order
 * (training) or left zero. *skipped counts them. */
static enum vov_status fill_place(struct loader *l, struct worker *w, long g, int *skipped,
                                  struct err *err)
{
    struct batch *b = &l->slot[g / l->opt.batch % DEPTH].b;
    const int place = (int)(g % l->opt.batch), n = l->d->n;
    long epoch;
    const int at = item_at(l, w, g, &epoch);

    for (int tries = 0; tries < (l->opt.train ? n : 1); tries++) {
        const int item = l->opt.train ? w->item[(at + tries) % n] : at;
        const enum vov_status read = read_picture(l, item, &w->img, err);

        if (read == VOV_ENOMEM) {
            return read;
        }
        if (read == VOV_OK) {
            return prepare(l, item, epoch, &w->img, b, place, err);
        }
        ++*skipped;
    }
    if (l->opt.train) {
        return err_set(err, VOV_EFORMAT, "%s: none of its %d pictures can be read", l->d->path, n);
    }
    b->item[place] = at;
    b->width[place] = b->height[place] = 0;
    b->where[place] = placing_whole(l->opt.pixels.width, l->opt.pixels.height);
    memset(b->images + (size_t)place * l->planes, 0, l->planes * sizeof *b->images);
    return VOV_OK;
}

/* Whether picture g may be worked on: the ring must have room, the evaluation must have it. */
static bool may_take(const struct loader *l, long g)
{
    const long first_held = l->taken - (l->lent ? 1 : 0);

    return g / l->opt.batch < first_held + DEPTH && (l->opt.train || g < l->d->n);
}

/* The first place of a batch prepares its slot. Called with the mutex held. */
static void begin_batch(struct loader *l, long number)
{
    struct slot *s = &l->slot[number % DEPTH];
    const long left = l->d->n - number * l->opt.batch;

    s->b.number = number;
    s->b.epoch = l->opt.train ? (int)(number / l->per_epoch) : 0;
    s->b.n = !l->opt.train && left < l->opt.batch ? (int)left : l->opt.batch;
    s->b.skipped = 0;
    s->missing = s->b.n;
}

static void *work(void *arg)
{
    struct loader *l = arg;
    struct worker w = {.item = mem_alloc((size_t)l->d->n, sizeof(int)), .epoch = -1};
    struct err err = {0};

    if (w.item == NULL) {
        err_nomem(&err, (size_t)l->d->n * sizeof(int));
    }
    pthread_mutex_lock(&l->mutex);
    while (!l->stop && l->failed.code == VOV_OK && err.code == VOV_OK) {
        const long g = l->next;
        if (!may_take(l, g)) {
            pthread_cond_wait(&l->changed, &l->mutex);
            continue;
        }
        l->next++;
        if (g % l->opt.batch == 0) {
            begin_batch(l, g / l->opt.batch);
        }
        pthread_mutex_unlock(&l->mutex);
        int skipped = 0;
        fill_place(l, &w, g, &skipped, &err);
        pthread_mutex_lock(&l->mutex);
        struct slot *s = &l->slot[g / l->opt.batch % DEPTH];
        s->b.skipped += skipped;
        s->missing--;
        pthread_cond_broadcast(&l->changed);
    }
    if (err.code != VOV_OK && l->failed.code == VOV_OK) {
        l->failed = err;
    }
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->mutex);
    mem_free(w.item);
    image_free(&w.img);
    return NULL;
}

static bool slot_open(const struct loader *l, struct slot *s)
{
    const size_t n = (size_t)l->opt.batch;
    struct batch *b = &s->b;

    b->images = mem_alloc(n * l->planes, sizeof *b->images);
    b->truth = mem_alloc(n * l->truth + 1, sizeof *b->truth);
    b->masks = mem_alloc(n * l->masks + 1, sizeof *b->masks);
    b->item = mem_alloc(n, sizeof *b->item);
    b->where = mem_alloc(n, sizeof *b->where);
    b->width = mem_alloc(n, sizeof *b->width);
    b->height = mem_alloc(n, sizeof *b->height);
    b->number = -1;
    return b->images != NULL && b->truth != NULL && b->masks != NULL && b->item != NULL &&
           b->where != NULL && b->width != NULL && b->height != NULL;
}

static void slot_close(struct slot *s)
{
    mem_free(s->b.images);
    mem_free(s->b.truth);
    mem_free(s->b.masks);
    mem_free(s->b.item);
    mem_free(s->b.where);
    mem_free(s->b.width);
    mem_free(s->b.height);
}

static enum vov_status start_workers(struct loader *l, struct err *err)
{
    const int want = l->opt.workers > 0 ? l->opt.workers : 1;

    l->thread = mem_alloc((size_t)want, sizeof *l->thread);
    if (l->thread == NULL) {
        return err_nomem(err, (size_t)want * sizeof *l->thread);
    }
    for (; l->n_threads < want; l->n_threads++) {
        if (pthread_create(&l->thread[l->n_threads], NULL, work, l) != 0) {
            return err_set(err, VOV_ENOMEM, "the system gives no thread for loading pictures");
        }
    }
    return VOV_OK;
}

static enum vov_status fill_loader(struct loader *l, struct err *err)
{
    bool ok = true;

    l->state = mem_alloc((size_t)l->d->n, sizeof *l->state);
    for (int i = 0; i < DEPTH; i++) {
        ok = slot_open(l, &l->slot[i]) && ok;
    }
    if (!ok || l->state == NULL) {
        const double bytes =
            (double)DEPTH * l->opt.batch * (double)((l->planes + l->masks) * sizeof(real));
        return err_set(err, VOV_ENOMEM,
                       "no memory for %d batches of %d pictures, %.1f MiB, that are read ahead; a "
                       "smaller batch or more subdivisions need less",
                       (int)DEPTH, l->opt.batch, bytes / 1048576);
    }
    return start_workers(l, err);
}

enum vov_status loader_open(const struct dataset *d, const struct loader_options *opt,
                            long first_batch, struct loader **out, struct err *err)
{
    struct loader *l;

    *out = NULL;
    if (d->n < 1) {
        return err_set(err, VOV_EFORMAT, "%s: no pictures in it", d->path);
    }
    l = mem_alloc(1, sizeof *l);
    if (l == NULL) {
        return err_nomem(err, sizeof *l);
    }
    l->d = d;
    l->opt = *opt;
    l->planes = 3 * (size_t)opt->pixels.width * (size_t)opt->pixels.height;
    l->truth = d->labels ? 1 : (size_t)opt->max_boxes * 5;
    l->masks = (size_t)opt->max_boxes * (size_t)opt->mask_side * (size_t)opt->mask_side;
    l->per_epoch = opt->train ? d->n / opt->batch : (d->n + opt->batch - 1) / opt->batch;
    l->per_epoch = l->per_epoch > 0 ? l->per_epoch : 1;
    l->taken = first_batch;
    l->next = first_batch * opt->batch;
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->changed, NULL);
    const enum vov_status status = fill_loader(l, err);
    if (status != VOV_OK) {
        loader_close(l);
        return status;
    }
    *out = l;
    return VOV_OK;
}

enum vov_status loader_next(struct loader *l, struct batch **b, struct err *err)
{
    enum vov_status status = VOV_OK;

    *b = NULL;
    pthread_mutex_lock(&l->mutex);
    l->lent = false; /* the batch before is given back */
    pthread_cond_broadcast(&l->changed);
    if (l->opt.train || l->taken < l->per_epoch) {
        struct slot *s = &l->slot[l->taken % DEPTH];
        while (l->failed.code == VOV_OK && (s->b.number != l->taken || s->missing > 0)) {
            pthread_cond_wait(&l->changed, &l->mutex);
        }
        if (l->failed.code != VOV_OK) {
            status = l->failed.code;
            if (err != NULL) {
                *err = l->failed;
            }
        } else {
            *b = &s->b;
            l->taken++;
            l->lent = true;
        }
    }
    pthread_mutex_unlock(&l->mutex);
    return status;
}

void loader_close(struct loader *l)
{
    if (l == NULL) {
        return;
    }
    pthread_mutex_lock(&l->mutex);
    l->stop = true;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->mutex);
    for (int i = 0; i < l->n_threads; i++) {
        pthread_join(l->thread[i], NULL);
    }
    for (int i = 0; i < DEPTH; i++) {
        slot_close(&l->slot[i]);
    }
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->mutex);
    mem_free(l->thread);
    mem_free(l->state);
    mem_free(l);
}
