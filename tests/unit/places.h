/*
 * places.h - what the addresses of any plan must fulfil: buffers in use at the same step do not
 * overlap, all lie aligned inside of the arena, and the arena is no smaller than what is in use at
 * the fullest step. Found by looking at each step, not by the code that made the plan.
 */
#ifndef VOV_TEST_PLACES_H
#define VOV_TEST_PLACES_H

#include "graph/plan.h"

#include <check.h>
#include <stdlib.h>

static bool in_use(const struct plan_item *it, int step)
{
    return it->bytes > 0 && ((it->first[0] <= step && step <= it->last[0]) ||
                             (it->first[1] <= step && step <= it->last[1]));
}

static size_t rounded(size_t bytes)
{
    return (bytes + PLAN_ALIGN - 1) / PLAN_ALIGN * PLAN_ALIGN;
}

static int by_place(const void *x, const void *y)
{
    const struct plan_item *const *a = x, *const *b = y;
    return (*a)->offset < (*b)->offset ? -1 : (*a)->offset > (*b)->offset;
}

/* Bytes in use at the step, after looking whether they overlap. list has room for all items. */
static size_t check_step(const struct plan *p, int step, const struct plan_item **list,
                         const char *what)
{
    size_t sum = 0, end = 0;
    int n = 0;
    for (int i = 0; i < p->n_items; i++) {
        if (in_use(&p->items[i], step)) {
            list[n++] = &p->items[i];
        }
    }
    qsort(list, (size_t)n, sizeof *list, by_place);
    for (int i = 0; i < n; i++) {
        ck_assert_msg(list[i]->offset >= end, "%s: step %d: a buffer at %zu begins before %zu",
                      what, step, list[i]->offset, end);
        ck_assert_uint_eq(list[i]->offset % PLAN_ALIGN, 0);
        end = list[i]->offset + list[i]->bytes;
        sum += rounded(list[i]->bytes);
    }
    ck_assert_uint_le(end, p->arena_bytes);
    return sum;
}

/* The most bytes in use at once: no arena could be smaller. */
static size_t check_places(const struct plan *p, const char *what)
{
    const struct plan_item **list = calloc((size_t)p->n_items + 1, sizeof *list);
    size_t most = 0;
    for (int step = 0; step < p->n_steps; step++) {
        const size_t bytes = check_step(p, step, list, what);
        most = bytes > most ? bytes : most;
    }
    free(list);
    ck_assert_uint_ge(p->arena_bytes, most);
    return most;
}

#endif
