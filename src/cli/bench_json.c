/*
 * bench_json.c - the results of `vov bench` as JSON, vov.bench/1.
 */
#include "bench_write.h"

#include "base/json.h"

#include <inttypes.h>
#include <math.h>

/* `"key":`, after a comma where it is not the first. */
static void key(struct buf *b, const char *name)
{
    const char last = b->n > 0 ? b->p[b->n - 1] : '{';
    buf_printf(b, "%s\"%s\":", last == '{' ? "" : ",", name);
}

static void put_text(struct buf *b, const char *name, const char *text)
{
    key(b, name);
    if (text != NULL && text[0] != '\0') {
        json_put_str(b, text);
    } else {
        buf_puts(b, "null");
    }
}

static void put_real(struct buf *b, const char *name, double v)
{
    key(b, name);
    json_put_real(b, v); /* null when it is not finite */
}

/* 0 stands for what is not known. */
static void put_known(struct buf *b, const char *name, double v)
{
    put_real(b, name, v > 0 ? v : (double)NAN);
}

static void put_int(struct buf *b, const char *name, int64_t v)
{
    key(b, name);
    buf_printf(b, "%" PRId64, v);
}

static void put_bool(struct buf *b, const char *name, bool v)
{
    key(b, name);
    buf_puts(b, v ? "true" : "false");
}

/* Seconds in, milliseconds out. */
static void put_summary(struct buf *b, const struct summary *s)
{
    buf_puts(b, "{");
    put_real(b, "p50", 1e3 * s->p50);
    put_real(b, "p90", 1e3 * s->p90);
    put_real(b, "p95", 1e3 * s->p95);
    put_real(b, "p99", 1e3 * s->p99);
    put_real(b, "min", 1e3 * s->min);
    put_real(b, "max", 1e3 * s->max);
    put_real(b, "mean", 1e3 * s->mean);
    put_real(b, "cov", s->cov);
    key(b, "median_95");
    buf_puts(b, "[");
    json_put_real(b, 1e3 * s->median.lo);
    buf_puts(b, ",");
    json_put_real(b, 1e3 * s->median.hi);
    buf_puts(b, "]}");
}

static void put_joules(struct buf *b, const char *name, const struct bench_joules *j)
{
    key(b, name);
    buf_puts(b, "{");
    put_real(b, "j_per_image", j->readable ? j->per_image : (double)NAN);
    put_text(b, "reason", j->readable ? NULL : j->reason);
    if (j->readable) {
        put_real(b, "net_j_per_image", j->net_per_image);
        put_real(b, "plus_minus", j->plus_minus);
        put_real(b, "watts", j->watts);
        put_real(b, "idle_watts", j->idle_watts);
        put_int(b, "ticks", j->ticks);
        put_text(b, "source", j->source);
    }
}

static void put_energy(struct buf *b, const struct bench_result *r)
{
    put_joules(b, "energy", &r->energy_sum);
    for (int i = 0; i < ENERGY_UNITS; i++) {
        if (r->energy[i].source != NULL) {
            put_joules(b, i == ENERGY_CPU ? "cpu" : "gpu", &r->energy[i]);
            buf_puts(b, "}");
        }
    }
    buf_puts(b, "}");
}

static void put_costs(struct buf *b, const struct bench_result *r)
{
    put_int(b, "params", r->cost.params);
    put_int(b, "madds", r->cost.madds);
    put_int(b, "flops", bench_flops(r));
    put_int(b, "bn_elements", r->cost.bn);
    put_int(b, "paper_flops", bench_paper_flops(r));
    put_int(b, "mac", r->cost.mac);
    put_int(b, "activation_bytes", 4 * r->cost.outputs);
    put_int(b, "peak_bytes", (int64_t)bench_peak_bytes(r));
    put_known(b, "resident_bytes", (double)r->resident_bytes);
    key(b, "memory");
    buf_puts(b, "{");
    put_int(b, "weights", (int64_t)r->weight_bytes);
    put_int(b, "activations", (int64_t)r->activation_plan_bytes);
    put_int(b, "workspace", (int64_t)r->workspace_bytes);
    buf_puts(b, "}");
}

static void put_times(struct buf *b, const struct bench_result *r)
{
    key(b, "latency_ms");
    put_summary(b, &r->stage[BENCH_TOTAL]);
    put_int(b, "runs", r->stage[BENCH_TOTAL].n);
    key(b, "stages_ms");
    buf_puts(b, "{");
    for (int s = 0; s < BENCH_STAGES; s++) {
        if (r->stage[s].n > 0) {
            key(b, bench_stage_name[s]);
            put_summary(b, &r->stage[s]);
        }
    }
    buf_puts(b, "}");
    put_real(b, "images_per_s", r->images_per_s);
    put_real(b, "gflops", r->gflops);
    put_real(b, "paper_gflops", r->paper_gflops);
    put_real(b, "net_gflops", r->net_gflops);
}

static void put_roofline(struct buf *b, const struct bench_result *r,
                         const struct bench_conditions *on)
{
    key(b, "roofline");
    buf_puts(b, "{");
    put_known(b, "peak_gflops", 1e-9 * on->peak_flops);
    put_known(b, "peak_gbytes_per_s", 1e-9 * on->peak_bytes);
    put_known(b, "bound_ms", 1e3 * r->bound);
    put_known(b, "share", r->roof);
    buf_puts(b, "}");
}

static void put_layer(struct buf *b, const struct bench_layer *l)
{
    const struct shape s = l->node->out[0]->shape;
    const double seconds = l->time.forward, flops = 2.0 * (double)l->cost.madds;
    buf_puts(b, "{");
    put_text(b, "name", l->node->name);
    put_text(b, "type", l->node->type->name);
    key(b, "output");
    buf_printf(b, "[%d,%d,%d,%d]", s.n, s.c, s.h, s.w);
    put_text(b, "algorithm", l->algorithm);
    put_int(b, "madds", l->cost.madds);
    put_int(b, "mac", l->cost.mac);
    put_int(b, "bytes", (int64_t)l->bytes);
    put_real(b, "ms", 1e3 * seconds);
    put_real(b, "backward_ms", 1e3 * l->time.backward);
    put_real(b, "gflops", seconds > 0 ? 1e-9 * flops / seconds : (double)NAN);
    put_real(b, "gbytes_per_s", seconds > 0 ? 1e-9 * (double)l->bytes / seconds : (double)NAN);
    buf_puts(b, "}");
}

static void put_layers(struct buf *b, const struct bench_result *r)
{
    key(b, "layers");
    for (int i = 0; i < r->n_layers; i++) {
        buf_puts(b, i == 0 ? "[\n" : ",\n");
        put_layer(b, &r->layer[i]);
    }
    buf_puts(b, "]");
}

static void put_samples(struct buf *b, const struct bench_result *r)
{
    key(b, "samples_ms");
    for (int i = 0; i < r->stage[BENCH_TOTAL].n; i++) {
        buf_printf(b, "%s%.6g", i == 0 ? "[" : ",", 1e3 * r->samples[i]);
    }
    buf_puts(b, "]");
}

static void put_stability(struct buf *b, const struct bench_result *r)
{
    key(b, "warm_up");
    buf_puts(b, "{");
    put_real(b, "seconds", r->warm_seconds);
    put_int(b, "runs", r->warm_runs);
    put_bool(b, "settled", r->warm_settled);
    buf_puts(b, "}");
    put_bool(b, "stable", r->n_warnings == 0);
    key(b, "warnings");
    buf_puts(b, "[");
    for (int i = 0; i < r->n_warnings; i++) {
        buf_puts(b, i > 0 ? "," : "");
        json_put_str(b, r->warning[i]);
    }
    buf_puts(b, "]");
}

static void put_conditions(struct buf *b, const struct bench_result *r,
                           const struct bench_conditions *on)
{
    const struct machine *m = &on->machine;
    const struct disturbance *d = &r->disturbance;
    key(b, "conditions");
    buf_puts(b, "{");
    put_text(b, "cpu", m->cpu);
    put_int(b, "cores", m->cores);
    put_bool(b, "virtual_machine", m->virtual);
    put_int(b, "memory_bytes", (int64_t)m->memory_bytes);
    put_text(b, "os", m->os);
    put_text(b, "governor", m->governor);
    put_text(b, "program", m->program);
    put_text(b, "command", on->command);
    put_text(b, "config_hash", r->config_hash);
    put_real(b, "load_before", on->load);
    put_known(b, "mhz_least", d->mhz_least);
    put_known(b, "mhz_most", d->mhz_most);
    put_real(b, "celsius_begin", r->celsius_begin);
    put_real(b, "celsius_end", r->celsius_end);
    put_real(b, "other_programs", d->all > 0 ? d->others / d->all : (double)NAN);
    put_real(b, "hypervisor", d->all > 0 ? d->stolen / d->all : (double)NAN);
    buf_puts(b, "}");
}

static void put_result(struct buf *b, const struct bench_report *report, int which, bool samples)
{
    const struct bench_result *r = &report->result[which];
    const struct bench_conditions *on = &report->on;
    buf_puts(b, "{");
    put_text(b, "schema", "vov.bench/1");
    put_text(b, "config", r->config);
    put_text(b, "name", r->name);
    put_text(b, "mode", r->training ? "train" : "inference");
    put_int(b, "batch", r->batch);
    put_int(b, "threads", r->threads);
    key(b, "size");
    buf_printf(b, "[%d,%d]", r->width, r->height);
    put_text(b, "device", on->device);
    put_text(b, "isa", on->isa);
    put_text(b, "precision", sizeof(real) == 4 ? "fp32" : "fp64");
    put_text(b, "weights", r->weights != NULL ? r->weights : "random");
    put_costs(b, r);
    put_times(b, r);
    put_roofline(b, r, on);
    put_energy(b, r);
    put_stability(b, r);
    put_conditions(b, r, on);
    if (r->layer != NULL) {
        put_layers(b, r);
    }
    if (samples) {
        put_samples(b, r);
    }
    buf_puts(b, "}");
}

void bench_write_json(const struct bench_report *report, bool samples, struct buf *b)
{
    for (int i = 0; i < report->n; i++) {
        buf_puts(b, i == 0 ? "[" : ",\n");
        put_result(b, report, i, samples);
    }
    buf_puts(b, "]\n");
}
