/*
 * gradients.h - after a backward pass: whether a loss reached everything that learns.
 */
#ifndef VOV_TEST_GRADIENTS_H
#define VOV_TEST_GRADIENTS_H

#include "base/mem.h"
#include "graph/exec.h"

#include <check.h>
#include <math.h>

/* Every parameter that learns has a gradient of numbers, and not of zeros. */
static inline void expect_gradients(const struct params *p)
{
    for (int i = 0; i < p->n; i++) {
        const struct tensor *t = p->tensor[i];
        const size_t n = shape_count(t->shape);
        double sum = 0;
        if (!param_learns(t)) {
            continue;
        }
        real *g = mem_alloc(n, sizeof *g);
        ck_assert_ptr_nonnull(g);
        params_get(p, p->grad, t, g);
        for (size_t k = 0; k < n; k++) {
            sum += fabs((double)g[k]);
        }
        mem_free(g);
        ck_assert_msg(isfinite(sum) && sum > 0, "%s: its gradient's sum is %g", t->name, sum);
    }
}

#endif
