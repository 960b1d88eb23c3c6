/*
 * stats.c - see stats.h. The interval of the median is the percentile bootstrap (Efron 1979): from
 * the n samples n are drawn with replacement, a thousand times over, and the medians of those draws
 * lie around the sample's as that lies around the truth. Outliers are kept: they are what users of
 * the machine will meet.
 */
#include "stats.h"

#include "base/mem.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DRAWS = 1000, WINDOW = 20 };

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double stats_percentile(const double *sorted, int n, double p)
{
    const double at = p * (n - 1);
    const int i = (int)at;

    return i + 1 < n ? sorted[i] + (at - i) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}

/* The median of one draw. times[i] counts how often sample i was drawn: no sorting is needed. */
static double draw_median(struct stats_samples s, struct rng *r, int *times)
{
    int below = 0, i = 0;
    memset(times, 0, (size_t)s.n * sizeof *times);
    for (int k = 0; k < s.n; k++) {
        times[rng_int(r, s.n)]++;
    }
    while (below + times[i] <= (s.n - 1) / 2) {
        below += times[i++];
    }
    int j = i; /* of the upper one of the two in the middle */
    while (below + times[j] <= s.n / 2) {
        below += times[j++];
    }
    return (s.v[i] + s.v[j]) / 2;
}

static enum vov_status draw_medians(struct stats_samples s, struct rng r, double medians[DRAWS],
                                    struct err *err)
{
    int *times = mem_alloc((size_t)s.n, sizeof *times);
    if (times == NULL) {
        return err_nomem(err, (size_t)s.n * sizeof *times);
    }
    for (int i = 0; i < DRAWS; i++) {
        medians[i] = draw_median(s, &r, times);
    }
    mem_free(times);
    return VOV_OK;
}

static struct interval middle_95(double v[DRAWS])
{
    qsort(v, DRAWS, sizeof *v, ascending);
    return (struct interval){stats_percentile(v, DRAWS, 0.025), stats_percentile(v, DRAWS, 0.975)};
}

static double spread(const double *v, int n, double mean)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        sum += (v[i] - mean) * (v[i] - mean);
    }
    return n > 1 && mean != 0 ? sqrt(sum / (n - 1)) / fabs(mean) : 0;
}

enum vov_status stats_summarise(double *v, int n, uint64_t seed, struct summary *s, struct err *err)
{
    double medians[DRAWS], sum = 0;
    qsort(v, (size_t)n, sizeof *v, ascending);
    TRY(draw_medians((struct stats_samples){v, n}, rng_open(seed, RNG_RESAMPLE, 0, 0), medians,
                     err));
    for (int i = 0; i < n; i++) {
        sum += v[i];
    }
    *s = (struct summary){.n = n,
                          .min = v[0],
                          .max = v[n - 1],
                          .mean = sum / n,
                          .p50 = stats_percentile(v, n, 0.5),
                          .p90 = stats_percentile(v, n, 0.9),
                          .p95 = stats_percentile(v, n, 0.95),
                          .p99 = stats_percentile(v, n, 0.99),
                          .cov = spread(v, n, sum / n),
                          .median = middle_95(medians)};
    return VOV_OK;
}

enum vov_status stats_ratio(struct stats_samples a, struct stats_samples b, uint64_t seed,
                            struct interval *ratio, struct err *err)
{
    double of_a[DRAWS], of_b[DRAWS];
    TRY(draw_medians(a, rng_open(seed, RNG_RESAMPLE, 1, 0), of_a, err));
    TRY(draw_medians(b, rng_open(seed, RNG_RESAMPLE, 2, 0), of_b, err));
    for (int i = 0; i < DRAWS; i++) {
        of_a[i] /= of_b[i];
    }
    *ratio = middle_95(of_a);
    return VOV_OK;
}

static double median_of(const double *v)
{
    double sorted[WINDOW];
    memcpy(sorted, v, sizeof sorted);
    qsort(sorted, WINDOW, sizeof *sorted, ascending);
    return stats_percentile(sorted, WINDOW, 0.5);
}

bool stats_settled(const double *v, int n)
{
    if (n < 2 * WINDOW) {
        return false;
    }
    const double before = median_of(v + n - 2 * WINDOW), now = median_of(v + n - WINDOW);
    return fabs(now - before) < 0.02 * before;
}
