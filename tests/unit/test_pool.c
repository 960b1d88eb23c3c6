/*
 * test_pool.c - every chunk runs once, on one to four threads; workers are not shared; results do
 * not depend on the number of threads.
 */
#include "base/clock.h"
#include "base/pool.h"
#include "run.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CHUNKS = 500 };

struct job {
    atomic_int runs[CHUNKS];
    atomic_int busy[4]; /* by worker */
    atomic_int shared;  /* times that a worker was in use twice */
    double part[CHUNKS];
};

static void step(void *ctx, int chunk, int worker)
{
    struct job *job = ctx;
    if (atomic_fetch_add(&job->busy[worker], 1) != 0) {
        atomic_fetch_add(&job->shared, 1);
    }
    atomic_fetch_add(&job->runs[chunk], 1);
    double sum = 0;
    for (int i = 1; i < 200; i++) {
        sum += 1.0 / (chunk + i);
    }
    job->part[chunk] = sum;
    atomic_fetch_sub(&job->busy[worker], 1);
}

static double total(const struct job *job)
{
    double sum = 0;
    for (int i = 0; i < CHUNKS; i++) {
        sum += job->part[i];
    }
    return sum;
}

START_TEST(every_chunk_once)
{
    double reference = 0;
    for (int threads = 1; threads <= 4; threads++) {
        struct pool *pool;
        struct err err = {0};
        static struct job job;
        memset(&job, 0, sizeof job);
        ck_assert_int_eq(pool_open(threads, &pool, &err), VOV_OK);
        ck_assert_int_eq(pool_threads(pool), threads);
        for (int round = 0; round < 20; round++) {
            pool_run(pool, CHUNKS, step, &job);
        }
        for (int i = 0; i < CHUNKS; i++) {
            ck_assert_int_eq(atomic_load(&job.runs[i]), 20);
        }
        ck_assert_int_eq(atomic_load(&job.shared), 0);
        reference = threads == 1 ? total(&job) : reference;
        ck_assert(total(&job) == reference);
        pool_close(pool);
    }
}
END_TEST

static void count(void *ctx, int chunk, int worker)
{
    (void)chunk;
    (void)worker;
    atomic_fetch_add((atomic_int *)ctx, 1);
}

START_TEST(many_small_jobs)
{
    struct pool *pool;
    atomic_int n = 0;
    int wanted = 0;
    ck_assert_int_eq(pool_open(3, &pool, NULL), VOV_OK);
    for (int i = 0; i < 20000; i++) {
        pool_run(pool, i % 4, count, &n);
        wanted += i % 4;
        ck_assert_int_eq(atomic_load(&n), wanted);
    }
    pool_close(pool);
}
END_TEST

static void nap(void *ctx, int chunk, int worker)
{
    (void)ctx;
    (void)chunk;
    (void)worker;
    usleep(20000);
}

START_TEST(threads_work_at_the_same_time)
{
    struct pool *pool;
    ck_assert_int_eq(pool_open(4, &pool, NULL), VOV_OK);
    pool_run(pool, 4, nap, NULL);
    const double start = clock_now();
    pool_run(pool, 40, nap, NULL);
    ck_assert(clock_now() - start < 0.6); /* 0.8 s one after the other, 0.2 s by four */
    pool_close(pool);
}
END_TEST

/* Waits until all four have begun, and notes who had which. */
struct meeting {
    atomic_int begun;
    int worker[4];
};

static void meet(void *ctx, int chunk, int worker)
{
    struct meeting *m = ctx;
    atomic_fetch_add(&m->begun, 1);
    while (atomic_load(&m->begun) < 4) {
        usleep(10);
    }
    m->worker[chunk] = worker;
}

START_TEST(each_thread_begins_with_its_own)
{
    struct pool *pool;
    ck_assert_int_eq(pool_open(4, &pool, NULL), VOV_OK);
    for (int round = 0; round < 200; round++) {
        struct meeting m = {0};
        pool_run(pool, 4, meet, &m);
        for (int i = 0; i < 4; i++) {
            ck_assert_int_eq(m.worker[i], i);
        }
    }
    pool_close(pool);
}
END_TEST

START_TEST(opened_and_closed)
{
    struct pool *pool;
    struct err err = {0};
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(pool_open(1 + i % 4, &pool, &err), VOV_OK);
        pool_close(pool);
    }
    pool_close(NULL);
    ck_assert_int_eq(pool_open(0, &pool, &err), VOV_OK);
    ck_assert_int_ge(pool_threads(pool), 1);
    pool_close(pool);
    ck_assert_int_eq(pool_open(-1, &pool, &err), VOV_EARG);
    ck_assert_ptr_null(pool);
    ck_assert_int_eq(pool_open(100000, &pool, NULL), VOV_EARG);
}
END_TEST

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Threads look for work for a moment only. */
START_TEST(idle_threads_sleep)
{
    struct pool *pool;
    atomic_int n = 0;
    ck_assert_int_eq(pool_open(4, &pool, NULL), VOV_OK);
    pool_run(pool, 8, count, &n);
    const double before = cpu_seconds();
    usleep(300000);
    ck_assert(cpu_seconds() - before < 0.03); /* 0.9 s if three of them did not */
    pool_run(pool, 8, count, &n);
    ck_assert_int_eq(atomic_load(&n), 16);
    pool_close(pool);
}
END_TEST

enum { ROUNDS = 400 };

/* What a model is to a pool: many jobs, and something else between them. */
static void *run_model(void *arg)
{
    struct job *job = arg;
    struct pool *pool;
    if (pool_open(2, &pool, NULL) != VOV_OK) {
        return NULL;
    }
    for (int i = 0; i < ROUNDS; i++) {
        pool_run(pool, CHUNKS, step, job);
    }
    pool_close(pool);
    return job;
}

/* Two models in two threads get what each gets alone, and waste no processor time on each other. */
START_TEST(two_pools)
{
    static struct job alone, both[2];
    pthread_t thread[2];
    void *done;
    const double start = cpu_seconds();
    ck_assert_ptr_nonnull(run_model(&alone));
    const double one = cpu_seconds() - start;
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_create(&thread[i], NULL, run_model, &both[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_join(thread[i], &done), 0);
        ck_assert_ptr_nonnull(done);
        ck_assert_int_eq(atomic_load(&both[i].shared), 0);
        ck_assert(memcmp(both[i].part, alone.part, sizeof alone.part) == 0);
        for (int k = 0; k < CHUNKS; k++) {
            ck_assert(atomic_load(&both[i].runs[k]) == ROUNDS);
        }
    }
    const double two = cpu_seconds() - start - one;
    ck_assert_msg(two < 4 * one + 0.1, "%.3f s for two, %.3f s for one", two, one);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {every_chunk_once,
                                  many_small_jobs,
                                  threads_work_at_the_same_time,
                                  each_thread_begins_with_its_own,
                                  opened_and_closed,
                                  idle_threads_sleep,
                                  two_pools,
                                  NULL};
    return run_tests("pool", tests);
}
