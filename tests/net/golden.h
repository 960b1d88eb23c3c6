/*
 * golden.h - what tests against numbers of another framework share: a tensor of the file, and how
 * near to it is near enough.
 */
#ifndef VOV_TESTS_GOLDEN_H
#define VOV_TESTS_GOLDEN_H

#include "base/mem.h"
#include "io/safetensors.h"

#include <check.h>
#include <math.h>
#include <stdio.h>

/* Numbers of a tensor of the file; freed by the caller. NULL: it has no such tensor. */
static inline real *golden_maybe(const struct safetensors *golden, const char *kind,
                                 const char *name, size_t *count)
{
    char full[160];
    struct err err = {0};

    snprintf(full, sizeof full, "%s%s", kind, name);
    const struct st_tensor *t = safetensors_find(golden, full);
    if (t == NULL) {
        return NULL;
    }
    real *v = mem_alloc(t->count, sizeof *v);
    ck_assert_ptr_nonnull(v);
    ck_assert(safetensors_numbers(t, v, &err) == VOV_OK);
    *count = t->count;
    return v;
}

/* The same of a tensor that must be there. */
static inline real *golden_numbers(const struct safetensors *golden, const char *kind,
                                   const char *name, size_t *count)
{
    real *v = golden_maybe(golden, kind, name, count);

    ck_assert_msg(v != NULL, "no %s%s", kind, name);
    return v;
}

/* The largest difference, in parts of the largest number that is expected, may be `tolerance`. */
static inline void expect_near(const char *what, const real *got, const real *want, size_t n,
                               double tolerance)
{
    double scale = 1e-3, worst = 0;

    for (size_t i = 0; i < n; i++) {
        const double d = fabs((double)got[i] - (double)want[i]);

        ck_assert_msg(isfinite(d), "%s: number %zu is %g", what, i, (double)got[i]);
        worst = d > worst ? d : worst;
        scale = fabs((double)want[i]) > scale ? fabs((double)want[i]) : scale;
    }
    ck_assert_msg(worst <= tolerance * scale, "%s: off by %g, where numbers reach %g", what, worst,
                  scale);
}

#endif
