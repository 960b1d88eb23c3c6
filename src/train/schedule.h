/*
 * schedule.h - the learning rate of each update, by [net] policy=, burn_in= and epochs=.
 */
#ifndef VOV_SCHEDULE_H
#define VOV_SCHEDULE_H

#include "blocks/net.h"

struct schedule {
    const struct net_config *net; /* borrowed */
    long per_epoch;               /* iterations in one pass over the data */
    long total;                   /* iterations of the run */
    double unit;                  /* iterations in one unit of steps= and step= */
};

/* VOV_ECFG when the cfg says neither epochs= nor max_batches=. */
enum vov_status schedule_init(struct schedule *s, const struct net_config *net, long per_epoch,
                              struct err *err);

/* The rate of the update that ends `iteration`, counted from 1 as Darknet does. */
double schedule_rate(const struct schedule *s, long iteration);

#endif
