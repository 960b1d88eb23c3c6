/*
 * bench_table.c - the results of `vov bench` as Markdown tables whose columns stand under each
 * other, so that they read well on a terminal and can be pasted.
 */
#include "bench_write.h"

#include "table.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static void put_conditions(const struct bench_report *report, struct buf *b)
{
    const struct bench_conditions *on = &report->on;
    const struct bench_result *first = &report->result[0];
    const struct machine *m = &on->machine;
    buf_printf(b, "%s, %d core%s%s, %s\n%s\n", m->cpu, m->cores, m->cores == 1 ? "" : "s",
               m->virtual ? " of a virtual machine" : "", m->os, m->program);
    buf_printf(b, "%s%s%s, %d thread%s, %s of a batch of %d, %s weights", on->device,
               on->isa != NULL ? " " : "", on->isa != NULL ? on->isa : "", first->threads,
               first->threads == 1 ? "" : "s", first->training ? "training steps" : "inference",
               first->batch, first->weights != NULL ? first->weights : "random");
    if (on->peak_flops > 0) {
        buf_printf(b, "; this machine at most %.0f GFLOP/s, %.1f GB/s", 1e-9 * on->peak_flops,
                   1e-9 * on->peak_bytes);
    }
    buf_puts(b, "\n\n");
}

static double mib(size_t bytes)
{
    return (double)bytes / (1 << 20);
}

static void put_costs(const struct bench_report *report, struct buf *b)
{
    struct table t;
    table_open(&t, "config,input,params M,multiply-adds G,FLOPs G,paper's FLOPs G,MAC M,"
                   "activations MiB,peak MiB,measured MiB");
    for (int i = 0; i < report->n; i++) {
        const struct bench_result *r = &report->result[i];
        table_text(&t, "%s", r->name);
        table_text(&t, "%dx%d", r->width, r->height);
        table_real(&t, 3, 1e-6 * (double)r->cost.params);
        table_real(&t, 3, 1e-9 * (double)r->cost.madds);
        table_real(&t, 3, 1e-9 * (double)bench_flops(r));
        table_real(&t, 3, 1e-9 * (double)bench_paper_flops(r));
        table_real(&t, 3, 1e-6 * (double)r->cost.mac);
        table_real(&t, 1, mib(r->activation_plan_bytes));
        table_real(&t, 1, mib(bench_peak_bytes(r)));
        table_real(&t, 1, r->resident_bytes > 0 ? mib(r->resident_bytes) : (double)NAN);
    }
    table_close(&t, b);
}

static void put_times(const struct bench_report *report, struct buf *b)
{
    struct table t;
    table_open(&t, "config,runs,p50 ms,95 % of the median,p90,p95,p99,min,mean,CoV %,images/s,"
                   "GFLOP/s,paper's GFLOP/s,of the roof %");
    for (int i = 0; i < report->n; i++) {
        const struct bench_result *r = &report->result[i];
        const struct summary *s = &r->stage[BENCH_TOTAL];
        table_text(&t, "%s", r->name);
        table_text(&t, "%d", s->n);
        table_real(&t, 3, 1e3 * s->p50);
        table_text(&t, "%.3f - %.3f", 1e3 * s->median.lo, 1e3 * s->median.hi);
        table_real(&t, 3, 1e3 * s->p90);
        table_real(&t, 3, 1e3 * s->p95);
        table_real(&t, 3, 1e3 * s->p99);
        table_real(&t, 3, 1e3 * s->min);
        table_real(&t, 3, 1e3 * s->mean);
        table_real(&t, 1, 100 * s->cov);
        table_real(&t, 2, r->images_per_s);
        table_real(&t, 1, r->gflops);
        table_real(&t, 1, r->paper_gflops);
        table_real(&t, 0, r->roof > 0 ? 100 * r->roof : (double)NAN);
    }
    table_close(&t, b);
}

/* Only the stages that some config has. */
static void put_stages(const struct bench_report *report, struct buf *b)
{
    struct table t;
    bool has[BENCH_STAGES] = {false};
    for (int i = 0; i < report->n; i++) {
        for (int s = 0; s < BENCH_STAGES; s++) {
            has[s] = has[s] || report->result[i].stage[s].n > 0;
        }
    }
    table_open(&t, "stages: p50 ms");
    for (int s = 0; s < BENCH_STAGES; s++) {
        if (has[s]) {
            table_column(&t, bench_stage_name[s]);
        }
    }
    for (int i = 0; i < report->n; i++) {
        const struct bench_result *r = &report->result[i];
        table_text(&t, "%s", r->name);
        for (int s = 0; s < BENCH_STAGES; s++) {
            if (has[s]) {
                table_real(&t, 3, r->stage[s].n > 0 ? 1e3 * r->stage[s].p50 : (double)NAN);
            }
        }
    }
    table_close(&t, b);
}

/* All against the first, which they took turns with. */
static void put_ratios(const struct bench_report *report, struct buf *b)
{
    const struct bench_result *first = &report->result[0];
    const struct stats_samples then = {first->sorted, first->stage[BENCH_TOTAL].n};
    struct table t;
    char head[120];
    snprintf(head, sizeof head, "config,images/s against %.80s,95 %%", first->name);
    table_open(&t, head);
    for (int i = 1; i < report->n; i++) {
        const struct bench_result *r = &report->result[i];
        const struct stats_samples now = {r->sorted, r->stage[BENCH_TOTAL].n};
        struct interval ratio;
        if (stats_ratio(then, now, (uint64_t)i, &ratio, NULL) != VOV_OK) {
            b->failed = true;
            break;
        }
        table_text(&t, "%s", r->name);
        table_text(&t, "%.3f x", r->images_per_s / first->images_per_s);
        table_text(&t, "%.3f - %.3f", ratio.lo, ratio.hi);
    }
    table_close(&t, b);
}

static void put_joules(struct table *t, const char *name, const char *unit,
                       const struct bench_joules *j)
{
    table_text(t, "%s", name);
    table_text(t, "%s", unit);
    table_text(t, "%.4g +- %.2g", j->per_image, j->plus_minus);
    table_text(t, "%.4g", j->net_per_image);
    table_text(t, "%.1f", j->watts);
    table_text(t, "%.1f", j->idle_watts);
    table_text(t, "%ld", j->ticks);
    table_text(t, "%s", j->source);
}

static void put_energy(const struct bench_report *report, struct buf *b)
{
    static const char *const unit[ENERGY_UNITS] = {"CPU", "GPU"};
    struct table t;
    table_open(&t, "config,energy of,J/image,without idle,W,idle W,ticks,source");
    for (int i = 0; i < report->n; i++) {
        const struct bench_result *r = &report->result[i];
        int n = 0;
        for (int u = 0; u < ENERGY_UNITS; u++) {
            if (r->energy[u].readable) {
                put_joules(&t, r->name, unit[u], &r->energy[u]);
                n++;
            }
        }
        if (n > 1) {
            put_joules(&t, r->name, "both", &r->energy_sum);
        }
    }
    table_close(&t, b);
    for (int u = 0; u < ENERGY_UNITS; u++) {
        const struct bench_joules *j = &report->result[0].energy[u];
        if (!j->readable && j->reason[0] != '\0') {
            buf_printf(b, "energy of the %s %s\n\n", unit[u], j->reason);
        }
    }
}

static void put_warnings(const struct bench_report *report, struct buf *b)
{
    for (int i = 0; i < report->n; i++) {
        const struct bench_result *r = &report->result[i];
        for (int k = 0; k < r->n_warnings; k++) {
            buf_printf(b, "%s: unstable: %s\n", r->name, r->warning[k]);
        }
        if (r->stage[BENCH_TOTAL].n < 100) {
            buf_printf(b, "%s: %d runs are few for a p99: it is near the slowest of them\n",
                       r->name, r->stage[BENCH_TOTAL].n);
        }
    }
}

/* 1e9 of them each second; NAN where there are none. */
static double rate(double amount, double seconds)
{
    return amount > 0 && seconds > 0 ? 1e-9 * amount / seconds : (double)NAN;
}

static void write_layers(const struct bench_result *r, struct buf *b)
{
    struct table t;
    table_open(&t, r->training ? "layer,type,output,algorithm,MAC k,forward ms,GFLOP/s,GB/s,"
                                 "backward ms"
                               : "layer,type,output,algorithm,MAC k,ms,GFLOP/s,GB/s");
    for (int i = 0; i < r->n_layers; i++) {
        const struct bench_layer *l = &r->layer[i];
        const struct shape s = l->node->out[0]->shape;
        const double seconds = l->time.forward;
        table_text(&t, "%s", l->node->name);
        table_text(&t, "%s", l->node->type->name);
        table_text(&t, "%dx%dx%d", s.c, s.h, s.w);
        table_text(&t, "%s", l->algorithm != NULL ? l->algorithm : "");
        table_real(&t, 1, l->cost.mac > 0 ? 1e-3 * (double)l->cost.mac : (double)NAN);
        table_real(&t, 3, 1e3 * seconds);
        table_real(&t, 1, rate(2.0 * (double)l->cost.madds, seconds));
        table_real(&t, 1, rate((double)l->bytes, seconds));
        if (r->training) {
            table_real(&t, 3, 1e3 * l->time.backward);
        }
    }
    table_close(&t, b);
}

void bench_write_tables(const struct bench_report *report, struct buf *b)
{
    put_conditions(report, b);
    put_costs(report, b);
    put_times(report, b);
    put_ratios(report, b);
    put_stages(report, b);
    put_energy(report, b);
    for (int i = 0; i < report->n; i++) {
        if (report->result[i].layer != NULL) {
            write_layers(&report->result[i], b);
        }
    }
    put_warnings(report, b);
}
