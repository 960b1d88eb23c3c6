/*
 * dist.c - ranks as threads: each brings its numbers to the host, a meeting; each adds up a part of
 * them in the order of the ranks, a meeting; each takes all of it back.
 */
#include "dist.h"

#include "base/mem.h"

#include <pthread.h>

enum { PIECE = 1 << 22 }; /* numbers that cross at once */

struct member {
    struct dist dist; /* first: what sum and leave are given */
    struct dist_group *group;
    real *host; /* [PIECE] */
};

struct dist_group {
    int size;
    struct member *member; /* [size] */

    pthread_mutex_t mutex; /* over all below */
    pthread_cond_t changed;
    int here;      /* ranks that wait for the meeting */
    long meetings; /* so far */
    bool left;     /* one has gone: nobody meets any more */
    struct err why;
};

/* Waits until all ranks are here. */
static enum vov_status meet(struct dist_group *g, struct err *err)
{
    pthread_mutex_lock(&g->mutex);
    const long meeting = g->meetings;
    if (++g->here == g->size) {
        g->here = 0;
        g->meetings++;
        pthread_cond_broadcast(&g->changed);
    }
    while (g->meetings == meeting && !g->left) {
        pthread_cond_wait(&g->changed, &g->mutex);
    }
    const bool met = g->meetings != meeting;
    const struct err why = g->why;
    pthread_mutex_unlock(&g->mutex);
    return met ? VOV_OK : err_set(err, why.code, "%s", why.msg);
}

/* Rank r's part of the sums, into every rank's memory. */
static void add_part(const struct dist_group *g, int rank, size_t n, bool mean)
{
    const size_t size = (size_t)g->size;
    const size_t from = n * (size_t)rank / size, to = n * ((size_t)rank + 1) / size;

    for (size_t i = from; i < to; i++) {
        double sum = 0; /* whose mean of equal numbers is that number */
        for (int r = 0; r < g->size; r++) {
            sum += (double)g->member[r].host[i];
        }
        for (int r = 0; r < g->size; r++) {
            g->member[r].host[i] = (real)(mean ? sum / g->size : sum);
        }
    }
}

static enum vov_status sum(struct dist *d, struct backend *be, size_t n, real *x, bool mean,
                           struct err *err)
{
    struct member *m = (struct member *)d;

    for (size_t at = 0; at < n; at += PIECE) {
        const size_t count = n - at < PIECE ? n - at : PIECE;
        const struct view v = view_dense(x + at, (struct shape){1, 1, 1, (int)count});
        be->ops->read(be, v, m->host);
        TRY(backend_check(be, err));
        TRY(meet(m->group, err));
        add_part(m->group, d->rank, count, mean);
        TRY(meet(m->group, err));
        be->ops->write(be, v, m->host);
    }
    return VOV_OK;
}

static void leave(struct dist *d, const struct err *why)
{
    struct dist_group *g = ((struct member *)d)->group;

    pthread_mutex_lock(&g->mutex);
    if (!g->left) {
        g->why = *why;
        if (why->code == VOV_OK) {
            err_set(&g->why, VOV_EINTERRUPTED, "device %d has ended its run", d->rank);
        }
    }
    g->left = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->mutex);
}

enum vov_status dist_group_open(int size, struct dist_group **out, struct err *err)
{
    struct dist_group *g = mem_alloc(1, sizeof *g);
    bool ok = g != NULL;

    *out = NULL;
    if (ok) {
        pthread_mutex_init(&g->mutex, NULL);
        pthread_cond_init(&g->changed, NULL);
        g->member = mem_alloc((size_t)size, sizeof *g->member);
        g->size = g->member != NULL ? size : 0;
        ok = g->member != NULL;
    }
    for (int r = 0; ok && r < size; r++) {
        struct member *m = &g->member[r];
        m->dist = (struct dist){r, size, sum, leave};
        m->group = g;
        m->host = mem_block_alloc(PIECE * sizeof *m->host);
        ok = m->host != NULL;
    }
    if (!ok) {
        dist_group_close(g);
        return err_nomem(err, (size_t)size * PIECE * sizeof(real));
    }
    *out = g;
    return VOV_OK;
}

struct dist *dist_group_rank(struct dist_group *g, int rank)
{
    return &g->member[rank].dist;
}

void dist_group_close(struct dist_group *g)
{
    if (g == NULL) {
        return;
    }
    for (int r = 0; r < g->size; r++) {
        mem_block_free(g->member[r].host);
    }
    mem_free(g->member);
    pthread_cond_destroy(&g->changed);
    pthread_mutex_destroy(&g->mutex);
    mem_free(g);
}
