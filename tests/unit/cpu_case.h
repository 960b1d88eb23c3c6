/*
 * cpu_case.h - holds the fast kernels against the reference loops. A case is some buffers and a
 * call; it runs on "plain", on "cpu" with 1, 2, 3 and 4 threads, and with the kernels of every
 * other instruction set that this machine has, each time from the same numbers. So do the kernels
 * with vectors of 64 bytes, as AVX-512's, but made of what this file is compiled for, and
 * OpenBLAS as it is used where there are no kernels of ours. All of every buffer is compared, so a
 * number written where none belongs is found too; 2 to 4 threads must give the bits of 1.
 */
#ifndef VOV_TEST_CPU_CASE_H
#define VOV_TEST_CPU_CASE_H

#define VEC_BYTES 64
#include "cpu/kernel_table.h"

#include "backend/backend.h"
#include "base/mem.h"
#include "base/rng.h"
#include "cpu/cpu.h"
#include "cpu/isa.h"

#include <check.h>
#include <math.h>
#include <string.h>

enum { CASE_BUFFERS = 8, CASE_THREADS = 4, CASE_BACKENDS = 3 + CASE_THREADS + MAX_ISAS };

static const struct cpu_kernels kernels_wide = KERNEL_TABLE;

/* buf: the buffers of this run; const ones among them by convention. */
typedef void (*case_fn)(struct backend *be, const void *args, real *const buf[]);

struct cpu_case {
    const char *name;
    case_fn run;
    const void *args;
    double tolerance; /* of |got - want| / (1 + |want|) */
    int n;            /* buffers */
    size_t size[CASE_BUFFERS];
    real *start[CASE_BUFFERS]; /* filled by case_buffer; the caller may change the numbers */
};

/* A buffer of n random numbers around 0; returns its index. */
static inline int case_buffer(struct cpu_case *c, size_t n)
{
    struct rng r = rng_open(7, RNG_TEST, (uint64_t)c->n, n);
    real *p = mem_alloc(n, sizeof *p);

    ck_assert_ptr_nonnull(p);
    for (size_t i = 0; i < n; i++) {
        p[i] = (real)rng_normal(&r);
    }
    c->size[c->n] = n;
    c->start[c->n] = p;
    return c->n++;
}

/* A view of s in the middle of a buffer that is `extra` channels wider on both sides. */
static inline struct view case_view(struct cpu_case *c, struct shape s, int extra, int *index)
{
    struct view v = {NULL, s.n, s.c, s.h, s.w, extra, s.c + 2 * extra, NUMBER_REAL};

    *index = case_buffer(c, (size_t)s.n * (size_t)v.rc * view_plane(v));
    v.p = c->start[*index];
    return v;
}

/* The same window of another run's buffer. */
static inline struct view case_bind(struct view v, real *p)
{
    v.p = p;
    return v;
}

static inline void case_fill(struct view v, real value)
{
    for (int n = 0; n < v.n; n++) {
        for (int c = 0; c < v.c; c++) {
            for (size_t i = 0; i < view_plane(v); i++) {
                view_at(v, n, c)[i] = value;
            }
        }
    }
}

static inline void case_run(const struct cpu_case *c, struct backend *be, real *out[])
{
    struct err err = {0};

    for (int b = 0; b < c->n; b++) {
        out[b] = mem_alloc(c->size[b], sizeof(real));
        ck_assert_ptr_nonnull(out[b]);
        memcpy(out[b], c->start[b], c->size[b] * sizeof(real));
    }
    c->run(be, c->args, out);
    ck_assert_msg(backend_check(be, &err) == VOV_OK, "%s: %s", c->name, err.msg);
}

static inline void case_compare(const struct cpu_case *c, int b, const real *want, const real *got)
{
    for (size_t i = 0; i < c->size[b]; i++) {
        const double w = (double)want[i], g = (double)got[i];
        const bool fits = (isnan(w) && isnan(g)) || fabs(w - g) <= c->tolerance * (1 + fabs(w));
        if (!fits) { /* every ck_assert writes to a file: too slow to be asked for each number */
            ck_abort_msg("%s: buffer %d number %zu of %zu: %.9g, reference %.9g", c->name, b, i,
                         c->size[b], g, w);
        }
    }
}

static inline struct backend *case_open(const char *name, int threads)
{
    struct backend *be;
    struct err err = {0};

    ck_assert_msg(backend_open(name, threads, &be, &err) == VOV_OK, "%s", err.msg);
    return be;
}

/* Backend 0 is the reference, 1 to CASE_THREADS have as many threads, the others 2 threads and
 * other kernels; the last two have OpenBLAS, with 1 and 2. Returns how many there are. */
static inline int case_backends(struct backend *be[CASE_BACKENDS])
{
    struct isa list[MAX_ISAS];
    const int isas = isa_list(list);
    int n = 0;

    be[n++] = case_open("plain", 1);
    for (int threads = 1; threads <= CASE_THREADS; threads++) {
        be[n++] = case_open("cpu", threads);
    }
    const struct cpu_kernels *best = ((struct cpu *)be[1]->ctx)->kernels;
    for (int i = 0; i <= isas; i++) {
        const struct cpu_kernels *k = i < isas ? list[i].kernels : &kernels_wide;
        if (k != best && (i == isas || list[i].runs)) {
            be[n] = case_open("cpu", 2);
            ((struct cpu *)be[n++]->ctx)->kernels = k;
        }
    }
    for (int threads = 1; threads <= 2; threads++) {
        ck_assert_int_eq(cpu_open_isa("base", threads, &be[n++], NULL), VOV_OK);
    }
    return n;
}

/* Runs, compares, and frees the buffers. */
static inline void case_check(struct cpu_case *c)
{
    real *out[CASE_BACKENDS][CASE_BUFFERS];
    struct backend *be[CASE_BACKENDS];
    const int backends = case_backends(be);

    for (int i = 0; i < backends; i++) {
        case_run(c, be[i], out[i]);
        backend_close(be[i]);
        for (int b = 0; i > 0 && b < c->n; b++) {
            case_compare(c, b, out[0][b], out[i][b]);
            ck_assert_msg(i < 2 || i > CASE_THREADS ||
                              memcmp(out[1][b], out[i][b], c->size[b] * sizeof(real)) == 0,
                          "%s: %d threads differ from 1", c->name, i);
        }
    }
    for (int b = 0; b < c->n; b++) {
        ck_assert_msg(
            memcmp(out[backends - 2][b], out[backends - 1][b], c->size[b] * sizeof(real)) == 0,
            "%s: OpenBLAS: 2 threads differ from 1", c->name);
        for (int i = 0; i < backends; i++) {
            mem_free(out[i][b]);
        }
        mem_free(c->start[b]);
    }
}

/* One test case as a program. */
static inline int case_main(TCase *tests)
{
    Suite *suite = suite_create("cpu");
    SRunner *runner;

    tcase_set_timeout(tests, 120);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}

#endif
