/*
 * plan.h - between the files that make a plan: steps.c (the order of work), plan.c (lives), place.c
 * (addresses).
 */
#ifndef VOV_PLAN_H
#define VOV_PLAN_H

#include "graph.h"

/* Which inputs and outputs the backward step of n reads, as bits. */
void node_saves(const struct node *n, unsigned *in, unsigned *out);

/* Fills plan->steps. VOV_OK or VOV_ENOMEM. */
enum vov_status plan_steps(const struct graph *g, bool again, struct plan *plan);

/* Fills the items' offsets and arena_bytes from their bytes and lives. VOV_OK or VOV_ENOMEM. */
enum vov_status plan_place(struct plan *plan, bool reuse);

#endif
