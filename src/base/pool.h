/*
 * pool.h - threads for data-parallel loops. Work is cut into chunks whose number does not depend on
 * the number of threads: results that depend on chunks only are therefore equal for any number.
 */
#ifndef VOV_POOL_H
#define VOV_POOL_H

#include "err.h"

struct pool;

/* threads: 0 for all cores; 1 runs everything in the caller. */
enum vov_status pool_open(int threads, struct pool **pool, struct err *err);
void pool_close(struct pool *pool); /* NULL is fine */
int pool_threads(const struct pool *pool);

/*
 * Calls fn(ctx, chunk, worker) for every chunk 0..n-1, in any order and on any thread, and returns
 * when all are done. worker is 0..threads-1 and never shared by two calls at one time: it selects
 * scratch memory. Not to be called from inside fn.
 */
void pool_run(struct pool *pool, int n, void (*fn)(void *ctx, int chunk, int worker), void *ctx);

#endif
