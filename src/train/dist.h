/*
 * dist.h - several trainers of one net, each with a device and a share of each batch. Between the
 * backward pass and the update what they found is added up, and then all make the same update of
 * equal parameters. Here they are threads of one process and numbers cross the host's memory.
 */
#ifndef VOV_DIST_H
#define VOV_DIST_H

#include "backend/backend.h"

struct dist {
    int rank, size; /* rank 0 has the folder of the run, and evaluates */

    /*
     * x [n] on the rank's device becomes the sum over all ranks, the same bits for each, or their
     * mean. All ranks call alike and wait for each other. Where one has left, with an error or at
     * the end of its run: its status, VOV_EINTERRUPTED for VOV_OK.
     */
    enum vov_status (*sum)(struct dist *d, struct backend *be, size_t n, real *x, bool mean,
                           struct err *err);
    void (*leave)(struct dist *d, const struct err *why); /* sum is not called again */
};

/* Ranks in threads of this process. */
struct dist_group;
enum vov_status dist_group_open(int size, struct dist_group **g, struct err *err);
struct dist *dist_group_rank(struct dist_group *g, int rank); /* lives as long as the group */
void dist_group_close(struct dist_group *g);                  /* NULL is fine */

#endif
