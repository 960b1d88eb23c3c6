/*
 * pool.c - threads that wait on a condition variable for a job, join it, and take chunks from it by
 * an atomic counter.
 *
 * A job is open from pool_run's start until the caller finds no chunk left. A thread that wakes
 * while it is open joins; one that is late does not, and nobody waits for it. pool_run ends when
 * all who joined have left. A thread looks for the next job for a moment before it sleeps, since
 * layers follow each other within microseconds.
 */
#include "pool.h"

#include "mem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum { MAX_THREADS = 256, SPINS = 2000 };

struct worker {
    struct pool *pool;
    pthread_t thread;
    int index;
};

struct pool {
    struct worker *workers; /* [n_threads]; number 0 is the caller */
    int n_threads, n_started;
    int spins;

    pthread_mutex_t lock;
    pthread_cond_t work, left;
    atomic_int n_joined; /* changed under the lock */
    atomic_uint jobs;    /* counts them, so that a sleeper knows a new one; under the lock */
    bool open, closing;  /* under the lock */

    /* The job: written by the caller while nobody has joined. */
    void (*fn)(void *ctx, int chunk, int worker);
    void *ctx;
    int n;
    atomic_int next;
};

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static void take_chunks(struct pool *p, int worker)
{
    for (;;) {
        const int chunk = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
        if (chunk >= p->n) {
            return;
        }
        p->fn(p->ctx, chunk, worker);
    }
}

/* Joins the job after number `seen`; false when the pool closes. */
static bool join_job(struct pool *p, unsigned *seen)
{
    for (int i = 0; i < p->spins && atomic_load(&p->jobs) == *seen; i++) {
        pause_briefly();
    }
    pthread_mutex_lock(&p->lock);
    while (!p->closing && (!p->open || atomic_load(&p->jobs) == *seen)) {
        pthread_cond_wait(&p->work, &p->lock);
    }
    const bool joined = !p->closing;
    if (joined) {
        *seen = atomic_load(&p->jobs);
        atomic_fetch_add(&p->n_joined, 1);
    }
    pthread_mutex_unlock(&p->lock);
    return joined;
}

static void leave_job(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    if (atomic_fetch_sub(&p->n_joined, 1) == 1) {
        pthread_cond_signal(&p->left);
    }
    pthread_mutex_unlock(&p->lock);
}

static void *work(void *arg)
{
    const struct worker *w = arg;
    unsigned seen = 0;
    while (join_job(w->pool, &seen)) {
        take_chunks(w->pool, w->index);
        leave_job(w->pool);
    }
    return NULL;
}

static int cores(void)
{
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : (int)n;
}

static enum vov_status start(struct pool *p, struct err *err)
{
    for (int i = 1; i < p->n_threads; i++) {
        struct worker *w = &p->workers[i];
        *w = (struct worker){.pool = p, .index = i};
        const int failure = pthread_create(&w->thread, NULL, work, w);
        if (failure != 0) {
            char reason[128];
            return err_set(err, VOV_ENOMEM, "cannot start thread %d of %d: %s", i + 1, p->n_threads,
                           strerror_r(failure, reason, sizeof reason));
        }
        p->n_started++;
    }
    return VOV_OK;
}

enum vov_status pool_open(int threads, struct pool **pool, struct err *err)
{
    *pool = NULL;
    if (threads < 0 || threads > MAX_THREADS) {
        return err_set(err, VOV_EARG, "threads must be between 0 and %d, not %d", MAX_THREADS,
                       threads);
    }
    const int n = threads > 0 ? threads : cores();
    struct pool *p = mem_alloc(1, sizeof *p);
    struct worker *workers = mem_alloc((size_t)n, sizeof *workers);
    if (p == NULL || workers == NULL) {
        mem_free(p);
        mem_free(workers);
        return err_nomem(err, (size_t)n * sizeof *workers);
    }
    p->workers = workers;
    p->n_threads = n;
    p->spins = n <= cores() ? SPINS : 0;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->left, NULL);
    const enum vov_status status = start(p, err);
    if (status != VOV_OK) {
        pool_close(p);
        return status;
    }
    *pool = p;
    return VOV_OK;
}

void pool_close(struct pool *p)
{
    if (p == NULL) {
        return;
    }
    pthread_mutex_lock(&p->lock);
    p->closing = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (int i = 1; i <= p->n_started; i++) {
        pthread_join(p->workers[i].thread, NULL);
    }
    pthread_cond_destroy(&p->left);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    mem_free(p->workers);
    mem_free(p);
}

int pool_threads(const struct pool *pool)
{
    return pool->n_threads;
}

static void open_job(struct pool *p, int n, void (*fn)(void *, int, int), void *ctx)
{
    pthread_mutex_lock(&p->lock);
    p->fn = fn;
    p->ctx = ctx;
    p->n = n;
    atomic_store(&p->next, 0);
    p->open = true;
    atomic_fetch_add(&p->jobs, 1);
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
}

static void close_job(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->open = false;
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->spins && atomic_load(&p->n_joined) > 0; i++) {
        pause_briefly();
    }
    pthread_mutex_lock(&p->lock);
    while (atomic_load(&p->n_joined) > 0) {
        pthread_cond_wait(&p->left, &p->lock);
    }
    pthread_mutex_unlock(&p->lock);
}

void pool_run(struct pool *p, int n, void (*fn)(void *ctx, int chunk, int worker), void *ctx)
{
    if (p->n_threads == 1 || n <= 1) {
        for (int i = 0; i < n; i++) {
            fn(ctx, i, 0);
        }
        return;
    }
    open_job(p, n, fn, ctx);
    take_chunks(p, 0);
    close_job(p);
}
