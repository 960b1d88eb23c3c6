/*
 * peak.c - what this machine can do at most with the threads of the backend: multiply-adds from
 * registers, and y += s * x over arrays that no cache holds. The best of several tries counts, as
 * whatever disturbs one only makes it slower.
 */
#include "fast.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cpu.h"

enum { TRIES = 8, STEPS = 3000000, ARRAY_NUMBERS = 16 << 20, IO_NUMBERS = 64 };

struct
try {
    const struct cpu *cpu;
    real *io;    /* [threads][IO_NUMBERS] */
    real *x, *y; /* [ARRAY_NUMBERS] */
    int n_chunks;
};

static void multiply_add(void *ctx, int chunk, int worker)
{
    const struct try *t = ctx;
    (void)worker;
    t->cpu->kernels->multiply_adds(STEPS, t->io + (size_t)chunk * IO_NUMBERS);
}

static void stream(void *ctx, int chunk, int worker)
{
    const struct try *t = ctx;
    const size_t each = ARRAY_NUMBERS / (size_t)t->n_chunks, first = (size_t)chunk * each;
    (void)worker;
    t->cpu->kernels->scale(each, (real)0.5, t->x + first, 1, t->y + first);
}

static double best_seconds(struct try *t, void (*fn)(void *, int, int))
{
    double best = 0;
    for (int i = 0; i < TRIES; i++) {
        const double start = clock_now();
        pool_run(t->cpu->pool, t->n_chunks, fn, t);
        const double passed = clock_now() - start;
        best = i == 0 || passed < best ? passed : best;
    }
    return best;
}

static void measure(struct try *t, struct backend_peak *p)
{
    const double n = (double)t->n_chunks;
    for (int i = 0; i < ARRAY_NUMBERS; i++) {
        t->x[i] = 1; /* memory that was never written to is one page of zeros */
    }
    for (int i = 0; i < t->n_chunks * IO_NUMBERS; i++) {
        t->io[i] = (real)0.5; /* factor and term: chains stay near 1 */
    }
    const double each = t->cpu->kernels->multiply_adds(1, t->io); /* of one step */
    p->flops = 2 * each * STEPS * n / best_seconds(t, multiply_add);
    const double numbers = n * (ARRAY_NUMBERS / t->n_chunks);
    p->bytes = 3 * numbers * (double)sizeof(real) / best_seconds(t, stream);
}

static struct backend_peak fast_peak(struct backend *be)
{
    const struct cpu *cpu = be->ctx;
    struct backend_peak p = {0};
    struct try t = {.cpu = cpu, .n_chunks = pool_threads(cpu->pool)};
    t.io = mem_alloc_aligned((size_t)t.n_chunks * IO_NUMBERS * sizeof(real));
    t.x = mem_alloc_aligned(ARRAY_NUMBERS * sizeof(real));
    t.y = mem_alloc_aligned(ARRAY_NUMBERS * sizeof(real));
    if (t.io != NULL && t.x != NULL && t.y != NULL) {
        measure(&t, &p);
    }
    mem_free(t.io);
    mem_free(t.x);
    mem_free(t.y);
    return p;
}

void fast_peak_entries(struct backend_ops *ops)
{
    ops->peak = fast_peak;
}
