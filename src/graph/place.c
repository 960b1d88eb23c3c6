/*
 * place.c - addresses in the arena: items one after the other, each at the lowest offset where no
 * item lies that is in use at the same time. Two orders are tried, the largest first and the
 * longest in use first, and the smaller arena is kept.
 */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

bool plan_overlap(const struct plan_item *a, const struct plan_item *b)
{
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 2; k++) {
            const bool alive = a->first[i] <= a->last[i] && b->first[k] <= b->last[k];
            if (alive && a->first[i] <= b->last[k] && b->first[k] <= a->last[i]) {
                return true;
            }
        }
    }
    return false;
}

static size_t aligned(size_t bytes)
{
    return (bytes + PLAN_ALIGN - 1) / PLAN_ALIGN * PLAN_ALIGN;
}

static long life(const struct plan_item *a)
{
    long n = 0;

    for (int i = 0; i < 2; i++) {
        n += a->first[i] <= a->last[i] ? a->last[i] - a->first[i] + 1 : 0;
    }
    return n;
}

/* An item in the list to be sorted; ties keep the order of the tensors. */
struct entry {
    size_t major, minor;
    int index;
};

static int by_falling_size(const void *x, const void *y)
{
    const struct entry *a = x, *b = y;

    if (a->major != b->major) {
        return a->major > b->major ? -1 : 1;
    }
    if (a->minor != b->minor) {
        return a->minor > b->minor ? -1 : 1;
    }
    return a->index < b->index ? -1 : 1;
}

static int by_offset(const void *x, const void *y)
{
    const struct plan_item *const *a = x, *const *b = y;

    return (*a)->offset < (*b)->offset ? -1 : (*a)->offset > (*b)->offset;
}

/* The lowest place for `it` beside the n placed items of `busy`, which are sorted here. */
static size_t lowest_gap(const struct plan_item *it, const struct plan_item **busy, int n)
{
    size_t at = 0;

    qsort(busy, (size_t)n, sizeof *busy, by_offset);
    for (int i = 0; i < n; i++) {
        if (at + it->bytes <= busy[i]->offset) {
            break;
        }
        const size_t end = busy[i]->offset + aligned(busy[i]->bytes);
        at = end > at ? end : at;
    }
    return at;
}

static size_t place_in_order(struct plan *plan, const struct entry *order, int n,
                             const struct plan_item **busy, bool reuse)
{
    size_t total = 0;

    for (int i = 0; i < n; i++) {
        struct plan_item *it = &plan->items[order[i].index];
        int n_busy = 0;
        for (int k = 0; reuse && k < i; k++) {
            const struct plan_item *other = &plan->items[order[k].index];
            if (plan_overlap(it, other)) {
                busy[n_busy++] = other;
            }
        }
        it->offset = reuse ? lowest_gap(it, busy, n_busy) : total;
        const size_t end = it->offset + aligned(it->bytes);
        total = end > total ? end : total;
    }
    return total;
}

static int list_items(const struct plan *plan, bool by_life, struct entry *order)
{
    int n = 0;

    for (int i = 0; i < plan->n_items; i++) {
        const struct plan_item *it = &plan->items[i];
        if (it->bytes > 0) {
            const size_t time = (size_t)life(it);
            order[n++] =
                by_life ? (struct entry){time, it->bytes, i} : (struct entry){it->bytes, time, i};
        }
    }
    qsort(order, (size_t)n, sizeof *order, by_falling_size);
    return n;
}

enum vov_status plan_place(struct plan *plan, bool reuse)
{
    struct entry *order = mem_alloc((size_t)plan->n_items + 1, sizeof *order);
    const struct plan_item **busy = mem_alloc((size_t)plan->n_items + 1, sizeof *busy);
    const bool ok = order != NULL && busy != NULL;

    if (ok) {
        const size_t by_life =
            place_in_order(plan, order, list_items(plan, true, order), busy, reuse);
        plan->arena_bytes =
            place_in_order(plan, order, list_items(plan, false, order), busy, reuse);
        if (by_life < plan->arena_bytes) {
            plan->arena_bytes =
                place_in_order(plan, order, list_items(plan, true, order), busy, reuse);
        }
    }
    mem_free(order);
    mem_free(busy);
    return ok ? VOV_OK : VOV_ENOMEM;
}
