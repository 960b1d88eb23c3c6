/*
 * bench_result.h - what `vov bench` has found out about one config: numbers only, from which the
 * tables, JSON, CSV, comparisons and plots are made. docs/bench.md defines each of them.
 */
#ifndef VOV_CLI_BENCH_RESULT_H
#define VOV_CLI_BENCH_RESULT_H

#include "graph/graph.h"
#include "meter/energy.h"
#include "meter/layers.h"
#include "meter/machine.h"
#include "meter/stats.h"

enum bench_stage {
    BENCH_DECODE,
    BENCH_PREPROCESS,
    BENCH_BACKBONE,
    BENCH_HEAD,
    BENCH_POST,
    BENCH_FORWARD,
    BENCH_BACKWARD,
    BENCH_UPDATE,
    BENCH_TOTAL,
    BENCH_STAGES
};
extern const char *const bench_stage_name[BENCH_STAGES];

/* Of one unit, or of all that could be read together. */
struct bench_joules {
    bool readable;
    double per_image, net_per_image; /* joules; net: without what the idle machine takes */
    double plus_minus;               /* of per_image, with 95 % confidence */
    double watts, idle_watts;
    long ticks;
    const char *source;
    char reason[540]; /* where it is not readable */
};

struct bench_layer {
    const struct node *node; /* of the graph that ran */
    const char *algorithm;   /* NULL: there is one way only */
    struct layer_time time;
    struct op_cost cost; /* of the batch */
    size_t bytes;
};

enum { BENCH_MAX_WARNINGS = 12 };

struct bench_result {
    const char *config; /* as it was given */
    char name[80];      /* without folder and ".cfg" */
    char config_hash[17];
    const char *weights; /* NULL: random */
    bool training;
    int batch, threads, width, height;

    struct op_cost cost; /* of one picture, norms kept: as papers count */
    size_t weight_bytes, activation_plan_bytes, workspace_bytes;
    size_t resident_bytes; /* measured growth of the process; 0: not known */

    struct summary stage[BENCH_STAGES]; /* seconds; n is 0 where there is no such stage */
    const double *samples;              /* [stage[BENCH_TOTAL].n] totals as they were taken */
    const double *sorted;               /* the same in order */
    double warm_seconds;
    int warm_runs;
    bool warm_settled;

    double images_per_s, gflops, paper_gflops;
    double net_gflops; /* of the net alone, without decoding and the like */
    double bound;      /* seconds that the machine's limits allow the net at best; 0: not known */
    double roof;       /* bound / what the net took */

    struct disturbance disturbance;
    double celsius_begin, celsius_end; /* NAN: not told */
    char warning[BENCH_MAX_WARNINGS][160];
    int n_warnings;

    bool energy_asked;
    struct bench_joules energy[ENERGY_UNITS], energy_sum;

    const struct bench_layer *layer; /* [n_layers], NULL without --layers */
    int n_layers;
};

/* What all results of a call have in common. */
struct bench_conditions {
    struct machine machine;
    const char *device, *isa; /* isa may be NULL */
    char command[600];
    double peak_flops, peak_bytes; /* each second, measured; 0: not known */
    double load; /* of the machine before the run, in programs that wanted to run */
};

static inline int64_t bench_flops(const struct bench_result *r)
{
    return 2 * r->cost.madds;
}

static inline int64_t bench_paper_flops(const struct bench_result *r)
{
    return r->cost.madds + r->cost.bn;
}

static inline size_t bench_peak_bytes(const struct bench_result *r)
{
    return r->weight_bytes + r->activation_plan_bytes + r->workspace_bytes;
}

#endif
