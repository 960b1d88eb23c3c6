/*
 * bench_result.c - from what was measured to what is reported: rates, the machine's bound, joules,
 * and warnings. docs/bench.md has the definitions.
 */
#include "bench_make.h"

#include "base/file.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const bench_stage_name[BENCH_STAGES] = {
    [BENCH_DECODE] = "decode",     [BENCH_PREPROCESS] = "preprocess",
    [BENCH_BACKBONE] = "backbone", [BENCH_HEAD] = "head",
    [BENCH_POST] = "post",         [BENCH_FORWARD] = "forward",
    [BENCH_BACKWARD] = "backward", [BENCH_UPDATE] = "update",
    [BENCH_TOTAL] = "total",
};

/* What is unstable; docs/bench.md lists these. */
static const double max_cov = 0.03, max_stolen = 0.01, max_others = 0.05, max_clock = 0.05;
enum { ENERGY_SECONDS = 20, ENERGY_TICKS = 200 };

/* Convolutions run three times in a training step: forward, and backward for data and weights. */
static double passes_of(const struct bench_result *r)
{
    return r->training ? 3 : 1;
}

static void name_of(const char *config, char *name, size_t size)
{
    const char *base = path_base(config);
    const size_t n = strlen(base), cut = n > 4 && strcmp(base + n - 4, ".cfg") == 0 ? n - 4 : n;
    snprintf(name, size, "%.*s", (int)(cut < size ? cut : size - 1), base);
}

/* FNV-1a of the cfg's text with all overrides in it. */
static enum vov_status hash_config(const struct cfg_file *cfg, char hex[17], struct err *err)
{
    struct buf text = {0};
    uint64_t h = 0xcbf29ce484222325u;
    cfg_print(cfg, &text);
    for (size_t i = 0; i < text.n; i++) {
        h = (h ^ (unsigned char)text.p[i]) * 0x100000001b3u;
    }
    snprintf(hex, 17, "%016llx", (unsigned long long)h);
    const enum vov_status status = text.failed ? err_nomem(err, text.n) : VOV_OK;
    buf_free(&text);
    return status;
}

static void add_memory(struct bench_result *r, struct bench_case *c)
{
    const struct exec *e = &bench_case_model(c)->exec;
    const struct params *p = &e->params;
    size_t replaced = 0; /* weights whose memory was given back when they were packed */
    for (int i = 0; i < e->g->n_nodes; i++) {
        const struct node *n = e->g->nodes[i];
        if (n->packed != NULL && (n->param[0]->flags & T_SHARED) == 0) {
            replaced += shape_count(n->param[0]->shape) * sizeof(real);
        }
    }
    const size_t numbers = p->count + (p->grad != NULL ? 2 * p->n_learn : 0);
    r->weight_bytes = numbers * sizeof(real) - replaced + e->plan.pack_bytes;
    r->activation_plan_bytes = e->plan.arena_bytes;
    r->workspace_bytes = e->plan.scratch_bytes;
    r->resident_bytes = c->resident_bytes;
}

static enum vov_status add_times(struct bench_result *r, const struct bench_case *c, double **own,
                                 struct err *err)
{
    double *copy = mem_alloc((size_t)c->n_runs, sizeof *copy);
    if (copy == NULL) {
        return err_nomem(err, (size_t)c->n_runs * sizeof *copy);
    }
    *own = copy;
    for (int s = 0; s < BENCH_STAGES; s++) { /* the total comes last and stays in `copy` */
        if (c->seconds[s] != NULL) {
            memcpy(copy, c->seconds[s], (size_t)c->n_runs * sizeof *copy);
            TRY(stats_summarise(copy, c->n_runs, (uint64_t)s, &r->stage[s], err));
        }
    }
    r->samples = c->seconds[BENCH_TOTAL];
    r->sorted = copy;
    return VOV_OK;
}

static double net_seconds(const struct bench_result *r)
{
    return r->training ? r->stage[BENCH_FORWARD].p50 + r->stage[BENCH_BACKWARD].p50
                       : r->stage[BENCH_BACKBONE].p50 + r->stage[BENCH_HEAD].p50;
}

static void add_rates(struct bench_result *r)
{
    const double passes = passes_of(r);
    r->images_per_s = r->batch / r->stage[BENCH_TOTAL].p50;
    r->gflops = passes * (double)bench_flops(r) * r->images_per_s * 1e-9;
    r->paper_gflops = passes * (double)bench_paper_flops(r) * r->images_per_s * 1e-9;
    r->net_gflops = passes * (double)bench_flops(r) * r->batch / net_seconds(r) * 1e-9;
}

/* The roofline (Williams, Waterman, Patterson 2009) of each node: as long as its arithmetic or its
 * memory traffic takes, whichever is longer. */
static void add_bound(struct bench_result *r, struct bench_case *c,
                      const struct bench_conditions *on)
{
    const struct graph *g = &bench_case_model(c)->graph;
    if (!(on->peak_flops > 0) || !(on->peak_bytes > 0)) {
        return;
    }
    for (int i = 0; i < g->n_nodes; i++) {
        const struct op_cost cost = node_cost(g->nodes[i]);
        const double arithmetic = 2.0 * (double)cost.madds / on->peak_flops;
        const double traffic = (double)layer_bytes(g->nodes[i]) / on->peak_bytes;
        r->bound += passes_of(r) * fmax(arithmetic, traffic);
    }
    r->roof = r->bound / net_seconds(r);
}

static void sum_windows(const struct bench_turns *t, int unit, struct bench_joules *j,
                        double *images, double *seconds)
{
    double joules = 0;
    for (int i = 0; i < t->n_windows; i++) {
        joules += t->window[i].joules[unit];
        *seconds += t->window[i].seconds;
        *images += (double)t->runs[i] * t->c->plan->batch;
        j->ticks += t->window[i].ticks[unit];
    }
    j->watts = joules / *seconds;
    j->per_image = joules / *images;
}

/* Both ends of each window are sure to a tick; windows differ among themselves by what else there
 * is. The two are independent. */
static double uncertainty(const struct bench_turns *t, int unit, const struct bench_joules *j,
                          double images)
{
    double squares = 0, ends = 0;
    for (int i = 0; i < t->n_windows; i++) {
        const struct energy_window *w = &t->window[i];
        const double each = w->joules[unit] / ((double)t->runs[i] * t->c->plan->batch);
        const double tick = w->joules[unit] / (double)(w->ticks[unit] > 0 ? w->ticks[unit] : 1);
        squares += (each - j->per_image) * (each - j->per_image);
        ends += tick * tick;
    }
    const int n = t->n_windows;
    const double repeats = n > 1 ? 1.96 * sqrt(squares / (n - 1) / n) : 0;
    return sqrt(repeats * repeats + ends / (images * images));
}

static void add_part(struct bench_result *r, const struct bench_turns *t,
                     const struct bench_run *run, enum energy_unit unit)
{
    struct bench_joules *j = &r->energy[unit];
    const struct energy_part *part = energy_part(run->energy, unit);
    double images = 0, seconds = 0;
    j->source = part->source;
    j->readable = part->readable;
    if (!part->readable) {
        snprintf(j->reason, sizeof j->reason, "not readable: %s", part->why);
        return;
    }
    sum_windows(t, unit, j, &images, &seconds);
    j->idle_watts = run->idle.joules[unit] / run->idle.seconds;
    j->net_per_image = j->per_image - j->idle_watts * seconds / images;
    j->plus_minus = uncertainty(t, unit, j, images);
}

static void add_sum(struct bench_result *r)
{
    struct bench_joules *sum = &r->energy_sum;
    double squares = 0;
    for (int i = 0; i < ENERGY_UNITS; i++) {
        const struct bench_joules *j = &r->energy[i];
        if (j->readable) {
            sum->source = sum->readable ? "cpu and gpu" : j->source;
            sum->readable = true;
            sum->per_image += j->per_image;
            sum->net_per_image += j->net_per_image;
            sum->watts += j->watts;
            sum->idle_watts += j->idle_watts;
            sum->ticks += j->ticks;
            squares += j->plus_minus * j->plus_minus;
        } else if (sum->reason[0] == '\0' && j->reason[0] != '\0') {
            snprintf(sum->reason, sizeof sum->reason, "%s", j->reason);
        }
    }
    sum->plus_minus = sqrt(squares);
}

static void add_energy(struct bench_result *r, const struct bench_turns *t,
                       const struct bench_run *run)
{
    r->energy_asked = run->energy != NULL;
    if (!r->energy_asked) {
        snprintf(r->energy_sum.reason, sizeof r->energy_sum.reason,
                 "not measured: --energy was not given");
        return;
    }
    for (int i = 0; i < ENERGY_UNITS; i++) {
        if (energy_part(run->energy, (enum energy_unit)i)->wanted) {
            add_part(r, t, run, (enum energy_unit)i);
        }
    }
    add_sum(r);
}

static void warn(struct bench_result *r, const char *fmt, ...) VOV_PRINTF(2, 3);

static void warn(struct bench_result *r, const char *fmt, ...)
{
    va_list args;
    if (r->n_warnings == BENCH_MAX_WARNINGS) {
        return;
    }
    va_start(args, fmt);
    vsnprintf(r->warning[r->n_warnings++], sizeof r->warning[0], fmt, args);
    va_end(args);
}

static void warn_of_machine(struct bench_result *r, int cores)
{
    const struct disturbance *d = &r->disturbance;
    if (r->threads > cores) {
        warn(r, "%d threads on %d cores", r->threads, cores);
    }
    if (d->all > 0 && d->stolen > max_stolen * d->all) {
        warn(r, "the hypervisor took %.1f %% of the time of all cores", 100 * d->stolen / d->all);
    }
    if (d->all > 0 && d->others > max_others * d->all) {
        warn(r, "other programs took %.0f %% of the time of all cores", 100 * d->others / d->all);
    }
    if (d->mhz_most - d->mhz_least > max_clock * d->mhz_most) {
        warn(r, "the clock went between %.0f and %.0f MHz", d->mhz_least, d->mhz_most);
    }
    if (d->throttled > 0) {
        warn(r, "the clock was lowered for heat %ld times", d->throttled);
    }
}

static void add_warnings(struct bench_result *r, const struct bench_turns *t, int cores)
{
    const struct summary *total = &r->stage[BENCH_TOTAL];
    if (total->cov > max_cov) {
        warn(r, "times vary by %.1f %% (coefficient of variation)", 100 * total->cov);
    }
    if (!r->warm_settled) {
        warn(r, "times had not settled after %.1f s of warm-up", r->warm_seconds);
    }
    warn_of_machine(r, cores);
    double seconds = 0;
    for (int i = 0; i < t->n_windows; i++) {
        seconds += t->window[i].seconds;
    }
    if (r->energy_sum.readable && seconds < ENERGY_SECONDS && r->energy_sum.ticks < ENERGY_TICKS) {
        warn(r, "energy was measured for %.1f s and %ld ticks: %d s or %d ticks are wanted",
             seconds, r->energy_sum.ticks, ENERGY_SECONDS, ENERGY_TICKS);
    }
}

static enum vov_status add_layers(struct bench_result *r, struct bench_case *c,
                                  struct bench_layer **own, struct err *err)
{
    const struct graph *g = &bench_case_model(c)->graph;
    struct bench_layer *layer = mem_alloc((size_t)g->n_nodes, sizeof *layer);
    struct layer_time *times = mem_alloc((size_t)g->n_nodes, sizeof *times);
    *own = layer;
    enum vov_status status = layer != NULL && times != NULL
                                 ? layers_medians(&c->layers, times, err)
                                 : err_nomem(err, (size_t)g->n_nodes * sizeof *layer);
    for (int i = 0; i < g->n_nodes && status == VOV_OK; i++) {
        const struct node *n = g->nodes[i];
        layer[i] = (struct bench_layer){
            .node = n,
            .algorithm = n->type->algorithm != NULL ? n->type->algorithm(n, c->plan->be) : NULL,
            .time = times[i],
            .cost = node_cost(n),
            .bytes = layer_bytes(n),
        };
    }
    mem_free(times);
    r->layer = layer;
    r->n_layers = g->n_nodes;
    return status;
}

enum vov_status bench_describe(struct bench_report *report, const struct bench_run *run, int which,
                               struct err *err)
{
    struct bench_case *c = run->turns[which].c;
    const struct bench_plan *p = c->plan;
    struct bench_result *r = &report->result[which];
    *r = (struct bench_result){
        .config = c->costs.cfg.path,
        .weights = p->weights,
        .training = p->training,
        .batch = p->batch,
        .threads = p->threads,
        .width = c->costs.net.width,
        .height = c->costs.net.height,
        .cost = graph_cost(&c->costs.graph),
    };
    name_of(r->config, r->name, sizeof r->name);
    add_memory(r, c);
    return hash_config(&c->costs.cfg, r->config_hash, err);
}

enum vov_status bench_make(struct bench_report *report, const struct bench_run *run, int which,
                           struct err *err)
{
    const struct bench_turns *t = &run->turns[which];
    struct bench_result *r = &report->result[which];
    r->warm_seconds = t->warm_seconds;
    r->warm_runs = t->warm_runs;
    r->warm_settled = t->warm_settled;
    r->disturbance = t->disturbance;
    r->celsius_begin = t->celsius_begin;
    r->celsius_end = t->celsius_end;
    TRY(add_times(r, t->c, &report->own_times[which], err));
    add_rates(r);
    add_bound(r, t->c, &report->on);
    add_energy(r, t, run);
    add_warnings(r, t, report->on.machine.cores);
    return t->c->plan->layers ? add_layers(r, t->c, &report->own_layers[which], err) : VOV_OK;
}

enum vov_status bench_report_open(struct bench_report *report, int n, struct err *err)
{
    report->n = n;
    report->result = mem_alloc((size_t)n, sizeof *report->result);
    report->own_times = mem_alloc((size_t)n, sizeof *report->own_times);
    report->own_layers = mem_alloc((size_t)n, sizeof *report->own_layers);
    return report->result != NULL && report->own_times != NULL && report->own_layers != NULL
               ? VOV_OK
               : err_nomem(err, (size_t)n * sizeof *report->result);
}

void bench_report_close(struct bench_report *report)
{
    for (int i = 0; i < report->n; i++) {
        mem_free(report->own_times != NULL ? report->own_times[i] : NULL);
        mem_free(report->own_layers != NULL ? report->own_layers[i] : NULL);
    }
    mem_free(report->result);
    mem_free(report->own_times);
    mem_free(report->own_layers);
    *report = (struct bench_report){0};
}
