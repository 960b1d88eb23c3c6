/*
 * test_pool.c - every chunk runs once, on one to four threads; workers are not shared; results do
 * not depend on the number of threads.
 */
#include "base/clock.h"
#include "base/pool.h"
#include "run.h"

#include <stdatomic.h>
#include <string.h>
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

int main(void)
{
    const TTest *const tests[] = {every_chunk_once, many_small_jobs, threads_work_at_the_same_time,
                                  opened_and_closed, NULL};
    return run_tests("pool", tests);
}
