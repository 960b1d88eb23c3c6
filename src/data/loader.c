/*
 * loader.c - see loader.h. Places are numbered: place g of a run is place g % batch of batch g /
 * batch. Workers take the numbers in turn and fill places of a ring of batches; the consumer waits
 * for the batch whose turn it is. Which picture stands in which place of an epoch is order.c's to
 * say.
 */
#include "loader.h"

#include "base/mem.h"
#include "order.h"
#include "pack.h"

#include <pthread.h>
#include <string.h>

enum { DEPTH = 4 };        /* batches in the ring: one lent out, three made ahead */
enum { MOST_NAMED = 100 }; /* bad pictures that the log names */

/* What the log knows of a picture, so that it says it once in a run. */
enum picture_state { PICTURE_NEW, PICTURE_DAMAGED, PICTURE_BAD };

struct slot {
    struct batch b;
    char *images; /* [batch] of loader.room bytes: of b.images, or of the blocks of b.picture */
    int missing;  /* places not filled yet */
};

/* What a worker has for itself. */
struct worker {
    int *item; /* [batches * batch] the order of `epoch` */
    int *scratch;
    long epoch;
    struct image img; /* the picture it is at; its memory serves for the next one */
};

struct loader {
    const struct dataset *d;
    struct loader_options opt;
    struct order order;
    uint8_t *stands;      /* [n] for order; NULL where pictures do not keep their shape */
    struct pixels way[2]; /* of inputs that lie as the options say, or are turned */
    long per_epoch;       /* batches */
    size_t planes;        /* numbers of one picture */
    size_t room;          /* bytes of one picture */
    size_t truth;         /* numbers of its truth */
    size_t masks;         /* numbers of its masks */
    struct slot slot[DEPTH];
    pthread_t *thread;
    int n_threads;

    pthread_mutex_t mutex; /* over all below, and the log */
    pthread_cond_t changed;
    long next;  /* of our places, the one to be taken */
    long taken; /* our batches that the consumer has got, and those before the first */
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

/* Brings the worker to the epoch of a batch. */
static void take_order(const struct loader *l, struct worker *w, long epoch)
{
    if (w->epoch != epoch) {
        order_fill(&l->order, epoch, w->item, w->scratch);
        w->epoch = epoch;
    }
}

/* An evaluation is one epoch long. */
static long epoch_of(const struct loader *l, long batch)
{
    return l->opt.train ? batch / l->per_epoch : 0;
}

/* The number of our n-th batch. */
static long number_of(const struct loader *l, long n)
{
    return l->opt.shares > 0 ? n * l->opt.shares + l->opt.share : n;
}

/* Where our place g stands in the order of its epoch. */
static long at_of(const struct loader *l, long g)
{
    const long batch = number_of(l, g / l->opt.batch) % l->per_epoch;

    return batch * l->opt.batch + g % l->opt.batch;
}

/* The kind of a batch: whether its pictures stand. */
static bool stands(const struct loader *l, int item)
{
    return item >= 0 && l->stands != NULL && l->stands[item] != 0;
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

static enum vov_status prepare(const struct loader *l, int item, const struct image *img,
                               struct batch *b, int place, struct err *err)
{
    const struct pixels *px = &l->way[b->turned];
    const struct item *it = &l->d->item[item];
    struct picture *picture = b->picture != NULL ? b->picture[place] : NULL;
    real *planes =
        picture != NULL ? picture_planes(picture) : b->images + (size_t)place * l->planes;
    real *truth = b->truth + (size_t)place * l->truth;

    b->item[place] = item;
    b->width[place] = img->width;
    b->height[place] = img->height;
    if (l->d->labels) {
        truth[0] = (real)it->label;
    }
    if (l->opt.train) {
        struct rng r = rng_open(l->opt.seed, RNG_AUGMENT, (uint64_t)b->epoch, (uint64_t)item);
        const struct sample out = {planes,
                                   truth,
                                   l->masks > 0 ? b->masks + (size_t)place * l->masks : NULL,
                                   l->opt.max_boxes,
                                   l->opt.mask_side,
                                   &b->where[place],
                                   picture,
                                   l->room};
        b->where[place] = placing_whole(px->width, px->height);
        return l->d->labels ? augment_label(&l->opt.augment, &r, img, px, &out, err)
                            : augment_apply(&l->opt.augment, &r, img, it, px, &out, err);
    }
    return image_fit(img, px, planes, &b->where[place]) == VOV_OK
               ? VOV_OK
               : err_nomem(err, l->planes * sizeof *planes);
}

/* A picture of an evaluation that cannot be read. */
static void leave_empty(const struct loader *l, int item, struct batch *b, int place)
{
    b->item[place] = item;
    b->width[place] = b->height[place] = 0;
    b->where[place] = placing_whole(l->way[b->turned].width, l->way[b->turned].height);
    memset(b->images + (size_t)place * l->planes, 0, l->planes * sizeof *b->images);
}

/* Fills one place. A picture that cannot be read is replaced by the next of its kind in the epoch's
 * order (training) or left zero. *skipped counts them. */
static enum vov_status fill_place(struct loader *l, struct worker *w, long g, int *skipped,
                                  struct err *err)
{
    struct batch *b = &l->slot[g / l->opt.batch % DEPTH].b;
    const int place = (int)(g % l->opt.batch);
    const long places = l->per_epoch * l->opt.batch, at = at_of(l, g);

    take_order(l, w, epoch_of(l, number_of(l, g / l->opt.batch)));
    const int wanted = w->item[at];
    if (wanted < 0) {
        return VOV_OK; /* the end of an evaluation's batch */
    }
    for (long tries = 0; tries < (l->opt.train ? places : 1); tries++) {
        const int item = w->item[(at + tries) % places];
        if (stands(l, item) != stands(l, wanted)) {
            continue;
        }
        const enum vov_status read = read_picture(l, item, &w->img, err);
        if (read == VOV_ENOMEM) {
            return read;
        }
        if (read == VOV_OK) {
            return prepare(l, item, &w->img, b, place, err);
        }
        ++*skipped;
    }
    if (l->opt.train) {
        return err_set(err, VOV_EFORMAT, "%s: none of its %d pictures can be read", l->d->path,
                       l->d->n);
    }
    leave_empty(l, wanted, b, place);
    return VOV_OK;
}

/* Whether place g may be worked on: the ring must have room, the evaluation must have it. */
static bool may_take(const struct loader *l, long g)
{
    const long first_held = l->taken - (l->lent ? 1 : 0), batch = g / l->opt.batch;

    return batch < first_held + DEPTH && (l->opt.train || batch < l->per_epoch);
}

/* The first place of our n-th batch prepares its slot. Called with the mutex held. */
static void begin_batch(struct loader *l, struct worker *w, long n)
{
    struct slot *s = &l->slot[n % DEPTH];
    const int *item = w->item + at_of(l, n * l->opt.batch);
    const long number = number_of(l, n);

    take_order(l, w, epoch_of(l, number));
    s->b.number = number;
    s->b.epoch = (int)epoch_of(l, number);
    s->b.turned =
        l->stands != NULL && stands(l, item[0]) != (l->opt.pixels.height > l->opt.pixels.width);
    s->b.n = 0;
    while (s->b.n < l->opt.batch && item[s->b.n] >= 0) {
        s->b.n++;
    }
    s->b.skipped = 0;
    s->missing = l->opt.batch;
}

static void *work(void *arg)
{
    struct loader *l = arg;
    const size_t places = (size_t)l->per_epoch * (size_t)l->opt.batch;
    const size_t n = (size_t)l->d->n + 2 * (size_t)l->opt.batch;
    struct worker w = {
        .item = mem_alloc(places, sizeof(int)), .scratch = mem_alloc(n, sizeof(int)), .epoch = -1};
    struct err err = {0};

    if (w.item == NULL || w.scratch == NULL) {
        err_nomem(&err, (places + n) * sizeof(int));
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
            begin_batch(l, &w, g / l->opt.batch);
        }
        pthread_mutex_unlock(&l->mutex);
        int skipped = 0;
        fill_place(l, &w, g, &skipped, &err);
        pthread_mutex_lock(&l->mutex);
        struct slot *s = &l->slot[g / l->opt.batch % DEPTH];
        s->b.skipped += skipped;
        if (--s->missing == 0) { /* nobody waits for a single place */
            pthread_cond_broadcast(&l->changed);
        }
    }
    if (err.code != VOV_OK && l->failed.code == VOV_OK) {
        l->failed = err;
    }
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->mutex);
    mem_free(w.item);
    mem_free(w.scratch);
    image_free(&w.img);
    return NULL;
}

static bool slot_open(const struct loader *l, struct slot *s)
{
    const size_t n = (size_t)l->opt.batch;
    struct batch *b = &s->b;

    s->images = mem_block_alloc(n * l->room);
    if (l->opt.pictures) {
        b->picture = mem_alloc(n, sizeof *b->picture);
    } else {
        b->images = (real *)(void *)s->images;
    }
    for (size_t i = 0; s->images != NULL && b->picture != NULL && i < n; i++) {
        b->picture[i] = (struct picture *)(void *)(s->images + i * l->room);
    }
    b->truth = mem_alloc(n * l->truth + 1, sizeof *b->truth);
    b->masks = mem_alloc(n * l->masks + 1, sizeof *b->masks);
    b->item = mem_alloc(n, sizeof *b->item);
    b->where = mem_alloc(n, sizeof *b->where);
    b->width = mem_alloc(n, sizeof *b->width);
    b->height = mem_alloc(n, sizeof *b->height);
    b->number = -1;
    return s->images != NULL && (b->picture != NULL) == l->opt.pictures && b->truth != NULL &&
           b->masks != NULL && b->item != NULL && b->where != NULL && b->width != NULL &&
           b->height != NULL;
}

static void slot_close(struct slot *s)
{
    mem_block_free(s->images);
    mem_free(s->b.picture);
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

/* By the sizes that the data gives, else by the head of the file; one that cannot be read will be
 * named when its turn comes. */
static enum vov_status find_standing(struct loader *l, struct err *err)
{
    l->stands = mem_alloc((size_t)l->d->n, sizeof *l->stands);
    if (l->stands == NULL) {
        return err_nomem(err, (size_t)l->d->n);
    }
    for (int i = 0; i < l->d->n; i++) {
        const struct item *it = &l->d->item[i];
        int w = it->width, h = it->height;
        if (w > 0 || image_size(it->path, &w, &h, NULL) == VOV_OK) {
            l->stands[i] = h > w;
        }
    }
    return VOV_OK;
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
    l->room = opt->pictures ? picture_room(&opt->pixels) : l->planes * sizeof(real);
    l->truth = d->labels ? 1 : (size_t)opt->max_boxes * 5;
    l->masks = (size_t)opt->max_boxes * (size_t)opt->mask_side * (size_t)opt->mask_side;
    l->way[0] = opt->pixels;
    l->way[1] = pixels_turned(&opt->pixels);
    l->taken = opt->shares > 0 ? first_batch / opt->shares : first_batch;
    l->next = l->taken * opt->batch;
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->changed, NULL);
    enum vov_status status = opt->both_ways ? find_standing(l, err) : VOV_OK;
    l->order = (struct order){d->n, opt->batch, opt->train, opt->seed, l->stands};
    l->per_epoch = order_batches(&l->order);
    status = status == VOV_OK ? fill_loader(l, err) : status;
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
        while (l->failed.code == VOV_OK &&
               (s->b.number != number_of(l, l->taken) || s->missing > 0)) {
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
    mem_free(l->stands);
    mem_free(l);
}
