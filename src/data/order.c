/*
 * order.c - see order.h. Pictures are walked in their order, and wait until there are enough of
 * their kind for a batch.
 */
#include "order.h"

#include "base/rng.h"

#include <stddef.h>
#include <string.h>

static int kind_of(const struct order *o, int picture)
{
    return o->stands != NULL && o->stands[picture] ? 1 : 0;
}

/* How many make up the batches of an epoch, of `n` of a kind. */
static long batches_of(const struct order *o, int n)
{
    const bool whole = o->train && o->stands == NULL;

    return whole ? n / o->batch : ((long)n + o->batch - 1) / o->batch;
}

long order_batches(const struct order *o)
{
    int standing = 0;

    for (int i = 0; i < o->n; i++) {
        standing += kind_of(o, i);
    }
    const long n = batches_of(o, standing) + batches_of(o, o->n - standing);
    return n > 0 ? n : 1;
}

/* Fills the rest of a batch with pictures of its kind from the front, or with -1. */
static void fill_up(const struct order *o, int kind, const int *walk, int *batch, int n)
{
    for (int i = 0; n < o->batch; i = (i + 1) % o->n) {
        if (!o->train) {
            batch[n++] = -1;
        } else if (kind_of(o, walk[i]) == kind) {
            batch[n++] = walk[i];
        }
    }
}

void order_fill(const struct order *o, long epoch, int *place, int *scratch)
{
    const long total = order_batches(o) * o->batch;
    int *walk = scratch, *waiting[2] = {scratch + o->n, scratch + o->n + o->batch};
    int n_waiting[2] = {0, 0};
    long n = 0;

    for (int i = 0; i < o->n; i++) {
        walk[i] = i;
    }
    if (o->train) {
        struct rng r = rng_open(o->seed, RNG_ORDER, (uint64_t)epoch, 0);
        rng_shuffle(&r, walk, o->n);
    }
    for (int i = 0; i < o->n; i++) {
        const int kind = kind_of(o, walk[i]);
        waiting[kind][n_waiting[kind]++] = walk[i];
        if (n_waiting[kind] == o->batch) {
            memcpy(place + n, waiting[kind], (size_t)o->batch * sizeof *place);
            n += o->batch;
            n_waiting[kind] = 0;
        }
    }
    for (int kind = 0; kind < 2 && n < total; kind++) {
        if (n_waiting[kind] > 0) {
            fill_up(o, kind, walk, waiting[kind], n_waiting[kind]);
            memcpy(place + n, waiting[kind], (size_t)o->batch * sizeof *place);
            n += o->batch;
        }
    }
}
