/*
 * pool.c - threads that wait for a job, join it, and take chunks from it. Each has a run of
 * neighbouring chunks, equal parts of all, and takes those first, in order; then what is left of
 * the others' runs. So a chunk mostly meets the thread that had it in the job before, whose cache
 * has what was written then.
 *
 * A job is open from pool_run's start until the caller finds no chunk left. A thread that wakes
 * while it is open joins; one that is late does not, and nobody waits for it. pool_run ends when
 * all who joined have left. All this is one number: how many jobs there were, whether the last is
 * open, and how many have joined it.
 *
 * Who waits looks at that number for some microseconds, since layers follow each other closely, and
 * then sleeps on a condition variable; who changes it wakes the sleepers only where there are any.
 * Each side announces itself before it looks at the other, both in sequentially consistent order,
 * so that one of them sees the other.
 */
#include "pool.h"

#include "clock.h"
#include "mem.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

enum { MAX_THREADS = 256 };

/* Waking a sleeper takes some 50 microseconds, looking longer than that is a waste. */
static const double SPIN_SECONDS = 30e-6;

/* state = jobs * ONE_JOB + open * OPEN + joined */
enum { OPEN = 1 << 16, ONE_JOB = 2 * OPEN };

struct worker {
    struct pool *pool;
    pthread_t thread;
    int index;
    _Alignas(64) atomic_int next; /* of its run of chunks; away from what others look at */
};

struct pool {
    struct worker *workers; /* [n_threads]; number 0 is the caller */
    int n_threads, n_started;
    double spin_seconds;

    atomic_ullong state;
    atomic_bool closing;
    atomic_int sleepers;       /* workers that wait for a job */
    atomic_bool caller_sleeps; /* until all have left */
    pthread_mutex_t lock;      /* of the two conditions */
    pthread_cond_t work, left;

    /* The job: written by the caller while it is closed and nobody is in it. */
    void (*fn)(void *ctx, int chunk, int worker);
    void *ctx;
    int n;
};

static unsigned long long job_of(unsigned long long state)
{
    return state / ONE_JOB;
}

static bool is_open(unsigned long long state)
{
    return state & OPEN;
}

static int joined(unsigned long long state)
{
    return (int)(state % OPEN);
}

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Looks until `ready` or for spin_seconds. */
static void spin(struct pool *p, bool (*ready)(struct pool *p, unsigned long long arg),
                 unsigned long long arg)
{
    enum { LOOKS = 32 };
    const double end = p->spin_seconds > 0 ? clock_now() + p->spin_seconds : 0;

    do {
        for (int i = 0; i < LOOKS; i++) {
            if (ready(p, arg)) {
                return;
            }
            pause_briefly();
        }
    } while (p->spin_seconds > 0 && clock_now() < end);
}

/* The first chunk of a worker's run. */
static int run_start(const struct pool *p, int worker)
{
    return (int)((long long)p->n * worker / p->n_threads);
}

static void take_chunks(struct pool *p, int worker)
{
    for (int i = 0; i < p->n_threads; i++) {
        const int owner = (worker + i) % p->n_threads, end = run_start(p, owner + 1);
        atomic_int *next = &p->workers[owner].next;
        /* Looking first keeps the line where it is used. */
        while (atomic_load_explicit(next, memory_order_relaxed) < end) {
            const int chunk = atomic_fetch_add_explicit(next, 1, memory_order_relaxed);
            if (chunk < end) {
                p->fn(p->ctx, chunk, worker);
            }
        }
    }
}

static bool has_news(struct pool *p, unsigned long long seen)
{
    return job_of(atomic_load(&p->state)) != seen || atomic_load(&p->closing);
}

static void wait_for_job(struct pool *p, unsigned long long seen)
{
    spin(p, has_news, seen);
    if (has_news(p, seen)) {
        return;
    }
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->sleepers, 1);
    while (!has_news(p, seen)) {
        pthread_cond_wait(&p->work, &p->lock);
    }
    atomic_fetch_sub(&p->sleepers, 1);
    pthread_mutex_unlock(&p->lock);
}

/* The latest job becomes *seen; true when it is still open and this thread is now in it. */
static bool join_job(struct pool *p, unsigned long long *seen)
{
    unsigned long long state = atomic_load(&p->state);

    *seen = job_of(state);
    while (is_open(state) && job_of(state) == *seen) {
        if (atomic_compare_exchange_weak(&p->state, &state, state + 1)) {
            return true;
        }
    }
    return false;
}

static void leave_job(struct pool *p)
{
    const unsigned long long state = atomic_fetch_sub(&p->state, 1) - 1;

    if (joined(state) == 0 && !is_open(state) && atomic_load(&p->caller_sleeps)) {
        pthread_mutex_lock(&p->lock);
        pthread_cond_signal(&p->left);
        pthread_mutex_unlock(&p->lock);
    }
}

static void *work(void *arg)
{
    const struct worker *w = arg;
    struct pool *p = w->pool;
    unsigned long long seen = 0;

    for (;;) {
        wait_for_job(p, seen);
        if (atomic_load(&p->closing)) {
            return NULL;
        }
        if (join_job(p, &seen)) {
            take_chunks(p, w->index);
            leave_job(p);
        }
    }
}

/* Those that this process may run on. */
static int cores(void)
{
    cpu_set_t set;
    const int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;

    return n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : n;
}

static enum vov_status start(struct pool *p, struct err *err)
{
    for (int i = 1; i < p->n_threads; i++) {
        struct worker *w = &p->workers[i];
        w->pool = p;
        w->index = i;
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
    struct pool *p = mem_alloc_aligned(sizeof *p);
    struct worker *workers = mem_alloc_aligned((size_t)n * sizeof *workers);
    if (p == NULL || workers == NULL) {
        mem_free(p);
        mem_free(workers);
        return err_nomem(err, (size_t)n * sizeof *workers);
    }
    p->workers = workers;
    p->n_threads = n;
    p->spin_seconds = n <= cores() ? SPIN_SECONDS : 0;
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
    atomic_store(&p->closing, true);
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
    p->fn = fn;
    p->ctx = ctx;
    p->n = n;
    for (int i = 0; i < p->n_threads; i++) {
        atomic_store_explicit(&p->workers[i].next, run_start(p, i), memory_order_relaxed);
    }
    atomic_store(&p->state, (job_of(atomic_load(&p->state)) + 1) * ONE_JOB + OPEN);
    if (atomic_load(&p->sleepers) > 0) {
        pthread_mutex_lock(&p->lock);
        for (int i = 1; i < n && i < p->n_threads; i++) { /* the caller takes chunks too */
            pthread_cond_signal(&p->work);
        }
        pthread_mutex_unlock(&p->lock);
    }
}

static bool all_left(struct pool *p, unsigned long long unused)
{
    (void)unused;
    return joined(atomic_load(&p->state)) == 0;
}

static void close_job(struct pool *p)
{
    atomic_fetch_sub(&p->state, OPEN);
    spin(p, all_left, 0);
    if (all_left(p, 0)) {
        return;
    }
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->caller_sleeps, true);
    while (!all_left(p, 0)) {
        pthread_cond_wait(&p->left, &p->lock);
    }
    atomic_store(&p->caller_sleeps, false);
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
