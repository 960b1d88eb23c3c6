/*
 * order.h - which pictures make up which batch of an epoch. Where pictures keep their shape, those
 * that stand make batches of their own.
 */
#ifndef VOV_ORDER_H
#define VOV_ORDER_H

#include <stdbool.h>
#include <stdint.h>

struct order {
    int n, batch; /* pictures; places of a batch */
    bool
        train; /* shuffled by seed and epoch, whole batches; else in order, short ones at the end */
    uint64_t seed;
    const uint8_t *stands; /* [n], 1: of a batch of those that stand; NULL: all are alike */
};

/* Batches in an epoch, at least one. Without `stands` what is left over sits a training epoch out;
 * with it such a batch is filled up with the first ones of its kind, lest a rare kind be unseen. */
long order_batches(const struct order *o);

/* place [batches * batch]: the pictures of that epoch, -1 where an evaluation's batch has no more.
 * scratch [n + 2 * batch]. */
void order_fill(const struct order *o, long epoch, int *place, int *scratch);

#endif
