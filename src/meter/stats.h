/*
 * stats.h - what repeated measurements say: percentiles, spread, and how sure the median is.
 */
#ifndef VOV_STATS_H
#define VOV_STATS_H

#include "base/err.h"

struct interval {
    double lo, hi;
};

struct summary {
    int n;
    double min, max, mean, p50, p90, p95, p99;
    double cov;             /* standard deviation (n - 1) over mean; 0 for fewer than 2 */
    struct interval median; /* where the true median lies with 95 % confidence */
};

/* Of ascending values: between two neighbours in proportion (R's type 7). p in 0..1, n >= 1. */
double stats_percentile(const double *sorted, int n, double p);

/* Sorts v. The interval is found by drawing the samples again, with numbers that depend on `seed`
 * only. n >= 1. VOV_ENOMEM. */
enum vov_status stats_summarise(double *v, int n, uint64_t seed, struct summary *s,
                                struct err *err);

/* The interval of median(a) / median(b), both sorted, by the same way. VOV_ENOMEM. */
struct stats_samples {
    const double *v;
    int n;
};
enum vov_status stats_ratio(struct stats_samples a, struct stats_samples b, uint64_t seed,
                            struct interval *ratio, struct err *err);

/* Whether the last 20 of n times, in the order in which they were taken, have a median less than
 * 2 % from that of the 20 before: a warm-up may end. False while there are fewer than 40. */
bool stats_settled(const double *v, int n);

#endif
