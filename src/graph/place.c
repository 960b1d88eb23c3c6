/*
 * place.c - addresses in the arena: items one after the other, each at the lowest offset where no
 * item lies that is in use at the same time. Two orders are tried, the largest first and the
 * longest in use first, and the smaller arena is kept.
 */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

/* Whether two items are ever in use at one time. */
static bool overlap(const struct plan_item *a, const struct plan_item *b)
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

/* The lowest place for `it` among the n that have theirs, in the order of their offsets. */
static size_t lowest_gap(const struct plan_item *it, const struct plan_item *const *placed, int n)
{
    size_t at = 0;

    for (int i = 0; i < n && placed[i]->offset < at + it->bytes; i++) {
        const size_t end = placed[i]->offset + aligned(placed[i]->bytes);
        if (end > at && overlap(it, placed[i])) {
            at = end;
        }
    }
    return at;
}

/* Into the n of `placed`, behind those at no higher offset. */
static void insert(const struct plan_item *it, const struct plan_item **placed, int n)
{
    for (; n > 0 && placed[n - 1]->offset > it->offset; n--) {
        placed[n] = placed[n - 1];
    }
    placed[n] = it;
}

static size_t place_in_order(struct plan *plan, const struct entry *order, int n,
                             const struct plan_item **placed, bool reuse)
{
    size_t total = 0;

    for (int i = 0; i < n; i++) {
        struct plan_item *it = &plan->items[order[i].index];
        it->offset = reuse ? lowest_gap(it, placed, i) : total;
        insert(it, placed, i);
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
    const struct plan_item **placed = mem_alloc((size_t)plan->n_items + 1, sizeof *placed);
    const bool ok = order != NULL && placed != NULL;

    if (ok) {
        const size_t by_life =
            place_in_order(plan, order, list_items(plan, true, order), placed, reuse);
        plan->arena_bytes =
            place_in_order(plan, order, list_items(plan, false, order), placed, reuse);
        if (by_life < plan->arena_bytes) {
            plan->arena_bytes =
                place_in_order(plan, order, list_items(plan, true, order), placed, reuse);
        }
    }
    mem_free(order);
    mem_free(placed);
    return ok ? VOV_OK : VOV_ENOMEM;
}
