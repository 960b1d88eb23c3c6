/*
 * bench.c - `vov bench`: how fast configs run, what they cost, and how sure that is. This file
 * reads the options and goes through the steps; docs/bench.md describes them.
 */
#include "bench_against.h"
#include "bench_plot.h"
#include "bench_write.h"
#include "commands.h"
#include "device.h"
#include "interrupt.h"

#include "base/file.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_UNSTABLE = 8 };

struct bench_options {
    int batch, threads;
    struct cli_size size;
    bool train, layers, energy, strict, force, samples, mlperf_like;
    double time, warmup, idle, thresh;
    const char *device;
    const char *json, *csv, *plot, *against, *weights, *energy_method, *powercap, *nvml;
    struct text_list set;
};

#define AT(field) offsetof(struct bench_options, field)
static const struct cli_option bench_table[] = {
    {"batch", 'b', OPT_INT, AT(batch), "N", 1, 65536, "images in one run (1; 8 with --train)"},
    {"size", 0, OPT_SIZE, AT(size), "WxH", 0, 0, "another size of input than the cfg's"},
    {"threads", 't', OPT_INT, AT(threads), "N", 1, 256, "threads; all cores unless given"},
    DEVICE_OPTION(AT(device)),
    {"train", 0, OPT_FLAG, AT(train), NULL, 0, 0,
     "time training steps (forward, backward, update) on random images"},
    {"time", 0, OPT_REAL, AT(time), "S", 0.001, 86400,
     "measure each config for S seconds; unless given until 200 runs and 5 s, at most 30 s (20 s "
     "with --energy where it can be read)"},
    {"warmup", 0, OPT_REAL, AT(warmup), "S", 0, 86400,
     "at most S seconds of warm-up (10, or twice --time where that is less); it ends when times "
     "have settled, after 1 s at least"},
    {"mlperf-like", 0, OPT_FLAG, AT(mlperf_like), NULL, 0, 0,
     "until 1024 runs and 60 s, however long that takes"},
    {"json", 'j', OPT_TEXT, AT(json), "FILE", 0, 0,
     "write all results as JSON; - for standard output"},
    {"csv", 0, OPT_TEXT, AT(csv), "FILE", 0, 0,
     "write a line for each config; - for standard output"},
    {"samples", 0, OPT_FLAG, AT(samples), NULL, 0, 0, "with the time of every run in the JSON"},
    {"layers", 'l', OPT_FLAG, AT(layers), NULL, 0, 0,
     "time, GFLOP/s, GB/s and algorithm of each layer"},
    {"energy", 'e', OPT_FLAG, AT(energy), NULL, 0, 0,
     "joules for each image, with and without what the idle machine takes"},
    {"energy-method", 0, OPT_TEXT, AT(energy_method), "HOW", 0, 0,
     "rapl: the CPU alone; counter: a GPU's joules, too; sample100: a GPU's power each 100 ms, as "
     "the VoVNet paper did"},
    {"idle", 0, OPT_REAL, AT(idle), "S", 0, 3600,
     "seconds for which the idle machine's power is measured (10)"},
    {"against", 0, OPT_TEXT, AT(against), "paper|FILE", 0, 0,
     "compare with the VoVNet paper's tables, or with what --json wrote earlier"},
    {"force", 'f', OPT_FLAG, AT(force), NULL, 0, 0,
     "compare although size, batch, threads or machine differ"},
    {"plot", 0, OPT_TEXT, AT(plot), "FILE", 0, 0,
     "draw images/s, GFLOP/s, memory and energy over FLOPs, a mark for each config: FILE.svg or "
     "FILE.png, or both where FILE has no such end"},
    {"strict", 0, OPT_FLAG, AT(strict), NULL, 0, 0,
     "exit with 8 when the measurement was disturbed"},
    {"weights", 'w', OPT_TEXT, AT(weights), "FILE", 0, 0, "weights; random ones unless given"},
    {"thresh", 0, OPT_REAL, AT(thresh), "T", 0, 1,
     "least score of a detection, 0 to 1; 0.3 unless given, as of vov detect"},
    {"set", 's', OPT_TEXTS, AT(set), "SECTION.KEY=VALUE", 0, 0, "overrides a value of the cfgs"},
    {"powercap", 0, OPT_TEXT, AT(powercap), "DIR", 0, 0, NULL},
    {"nvml", 0, OPT_TEXT, AT(nvml), "FILE", 0, 0, NULL},
    {0},
};
#undef AT

/* All that a call holds. */
struct bench {
    const struct cli *cli;
    const struct bench_options *opt;
    struct bench_plan plan;
    struct bench_protocol how;
    struct bench_against against;
    struct bench_case *cases; /* [n_opened] */
    int n_opened;
    struct bench_run run;
    struct bench_report report;
};

static enum vov_status read_method(const char *word, enum energy_method *method, struct err *err)
{
    static const char *const words[] = {"auto", "rapl", "counter", "sample100"};
    for (int i = 0; i < 4; i++) {
        if (word == NULL || strcmp(word, words[i]) == 0) {
            *method = (enum energy_method)i;
            return VOV_OK;
        }
    }
    return err_set(err, VOV_EARG, "--energy-method takes rapl, counter or sample100, not \"%.40s\"",
                   word);
}

static enum vov_status open_energy(struct bench *b, struct err *err)
{
    struct energy_options opt = {.gpu = strcmp(b->plan.be->ops->name, "cuda") == 0,
                                 .powercap = b->opt->powercap,
                                 .nvml = b->opt->nvml};
    TRY(read_method(b->opt->energy_method, &opt.method, err));
    return b->opt->energy || b->opt->energy_method != NULL ? energy_open(&opt, &b->run.energy, err)
                                                           : VOV_OK;
}

/* docs/bench.md says why these. */
static void choose_protocol(struct bench *b)
{
    const struct bench_options *o = b->opt;
    const bool energy = b->run.energy != NULL && energy_readable(b->run.energy);
    struct bench_protocol *p = &b->how;
    *p = (struct bench_protocol){.warm_most = 10,
                                 .least = energy ? 20 : 5,
                                 .most = 30,
                                 .runs = 200,
                                 .idle = cli_given(b->cli, "idle") ? o->idle : 10,
                                 .cool = energy || b->cli->n_operands > 1};
    if (o->mlperf_like) {
        p->least = 60;
        p->most = 1e9;
        p->runs = 1024;
    }
    if (cli_given(b->cli, "time")) {
        p->least = p->most = o->time;
        p->warm_most = fmin(10, 2 * o->time);
    }
    if (cli_given(b->cli, "warmup")) {
        p->warm_most = o->warmup;
    }
    p->warm_least = fmin(1, p->warm_most);
}

static double load_now(void)
{
    double load[1];
    return getloadavg(load, 1) == 1 ? load[0] : 0;
}

static void describe_machine(struct bench *b)
{
    struct bench_conditions *on = &b->report.on;
    const struct backend *be = b->plan.be;
    machine_read(&on->machine);
    machine_command(on->command, sizeof on->command);
    on->load = load_now();
    on->device = be->ops->name;
    on->isa = be->isa;
}

/* Before and after the nets: what disturbs one of the two makes it only slower. */
static void measure_peak(struct bench *b)
{
    struct bench_conditions *on = &b->report.on;
    const struct backend_peak peak = b->plan.be->ops->peak(b->plan.be);
    on->peak_flops = fmax(on->peak_flops, peak.flops);
    on->peak_bytes = fmax(on->peak_bytes, peak.bytes);
}

static bool uses_stdout(const char *path)
{
    return path != NULL && strcmp(path, "-") == 0;
}

static enum vov_status prepare(struct bench *b, struct err *err)
{
    const struct bench_options *o = b->opt;
    const size_t n = (size_t)b->cli->n_operands;
    struct machine m;
    machine_read(&m);
    b->plan = (struct bench_plan){.training = o->train,
                                  .layers = o->layers,
                                  .batch = o->batch > 0 ? o->batch
                                           : o->train   ? 8
                                                        : 1,
                                  .threads = o->threads > 0 ? o->threads : m.cores,
                                  .size = o->size,
                                  .weights = o->weights,
                                  .thresh = cli_given(b->cli, "thresh") ? o->thresh : 0.3,
                                  .set = &o->set,
                                  .log = &b->cli->log};
    b->cases = mem_alloc(n, sizeof *b->cases);
    b->run.turns = mem_alloc(n, sizeof *b->run.turns);
    if (b->cases == NULL || b->run.turns == NULL) {
        return err_nomem(err, n * sizeof *b->cases);
    }
    TRY(bench_report_open(&b->report, (int)n, err));
    if (uses_stdout(o->json) && uses_stdout(o->csv)) {
        return err_set(err, VOV_EARG, "--json and --csv cannot both be on standard output");
    }
    TRY(uses_stdout(o->json) ? VOV_OK : cli_try_output(b->cli, o->json, err));
    TRY(uses_stdout(o->csv) ? VOV_OK : cli_try_output(b->cli, o->csv, err));
    TRY(cli_try_output(b->cli, o->plot, err));
    if (o->against != NULL) {
        TRY(bench_against_open(&b->against, o->against, o->force, err));
    }
    TRY(device_open(b->cli, o->device, b->plan.threads, &b->plan.be, err));
    TRY(open_energy(b, err));
    choose_protocol(b);
    describe_machine(b);
    b->run.how = &b->how;
    b->run.log = &b->cli->log;
    b->run.stop = interrupt_watch();
    return VOV_OK;
}

static enum vov_status open_cases(struct bench *b, struct err_list *errs)
{
    for (int i = 0; i < b->cli->n_operands; i++) {
        b->n_opened++;
        TRY(bench_case_open(&b->cases[i], &b->plan, b->cli->operand[i], errs));
        b->run.turns[i].c = &b->cases[i];
        b->run.n++;
        struct err err = {0};
        if (bench_describe(&b->report, &b->run, i, &err) != VOV_OK) {
            return err_list_add(errs, &err);
        }
    }
    return VOV_OK;
}

static enum vov_status measure(struct bench *b, struct err *err)
{
    if (b->opt->against != NULL) {
        TRY(bench_against_check(&b->against, &b->report, &b->cli->log, err));
    }
    if (b->run.energy != NULL && energy_readable(b->run.energy)) {
        TRY(bench_idle(&b->run, err));
    }
    measure_peak(b);
    for (int i = 0; i < b->run.n; i++) {
        TRY(bench_warm(&b->run, i, err));
    }
    TRY(bench_measure(&b->run, err));
    measure_peak(b);
    for (int i = 0; i < b->run.n; i++) {
        TRY(bench_make(&b->report, &b->run, i, err));
    }
    return VOV_OK;
}

/* To a file, or to standard output where it is called "-". Frees the text. */
static enum vov_status put_file(const char *path, struct buf *text, struct err *err)
{
    enum vov_status status = text->failed ? err_nomem(err, text->n) : VOV_OK;
    if (status == VOV_OK && strcmp(path, "-") != 0) {
        status = file_write(path, text->p, text->n, err);
    } else if (status == VOV_OK && fwrite(text->p, 1, text->n, stdout) != text->n) {
        status = err_io(err, "write", "standard output");
    }
    buf_free(text);
    return status;
}

static enum vov_status write_all(struct bench *b, struct err *err)
{
    const struct bench_options *o = b->opt;
    struct buf text = {0};
    if (!uses_stdout(o->json) && !uses_stdout(o->csv)) {
        bench_write_tables(&b->report, &text);
        if (o->against != NULL) {
            bench_against_write(&b->against, &b->report, &text);
        }
        TRY(put_file("-", &text, err));
    }
    if (o->json != NULL) {
        bench_write_json(&b->report, o->samples, &text);
        TRY(put_file(o->json, &text, err));
    }
    if (o->csv != NULL) {
        bench_write_csv(&b->report, &text);
        TRY(put_file(o->csv, &text, err));
    }
    return o->plot != NULL ? bench_plot(&b->report, o->plot, err) : VOV_OK;
}

static bool any_unstable(const struct bench_report *report)
{
    for (int i = 0; i < report->n; i++) {
        if (report->result[i].n_warnings > 0) {
            return true;
        }
    }
    return false;
}

static int go(struct bench *b)
{
    struct err_list errs = {0};
    struct err err = {0};
    if (prepare(b, &err) != VOV_OK) {
        return cli_fail(b->cli, &err);
    }
    if (open_cases(b, &errs) != VOV_OK) {
        return cli_fail_list(b->cli, &errs);
    }
    if (measure(b, &err) != VOV_OK || write_all(b, &err) != VOV_OK) {
        return cli_fail(b->cli, &err);
    }
    return b->opt->strict && any_unstable(&b->report) ? EXIT_UNSTABLE : 0;
}

static int run(const struct cli *cli, const void *options)
{
    struct bench b = {.cli = cli, .opt = options};
    const int code = go(&b);
    bench_report_close(&b.report);
    for (int i = 0; i < b.n_opened; i++) {
        bench_case_close(&b.cases[i]);
    }
    bench_plan_free(&b.plan);
    bench_against_close(&b.against);
    energy_close(b.run.energy);
    backend_close(b.plan.be);
    mem_free(b.cases);
    mem_free(b.run.turns);
    return code;
}

const struct cli_command bench_command = {
    .name = "bench",
    .summary = "measure speed, cost, memory and energy",
    .operands = "CFG...",
    .min_operands = 1,
    .max_operands = -1,
    .options = bench_table,
    .options_size = sizeof(struct bench_options),
    .details =
        "A classifier or a backbone is timed from its input to its output; a detector from the "
        "bytes of 640x480 JPEG files to boxes, with its stages apart. Several configs take turns, "
        "A B B A, so that they can be compared. Weights are random unless --weights is given.\n\n"
        "Times come as percentiles with the interval in which the median lies with 95 % "
        "confidence. What disturbed the measurement is said, and with --strict makes the exit code "
        "8: times that vary by more than 3 %, a warm-up that did not settle, other programs, a "
        "hypervisor that took time, a clock that changed, more threads than cores.\n\n"
        "FLOPs are two for each multiply-add. The paper's FLOPs are multiply-adds and the elements "
        "that leave batch norms, and its GFLOP/s those times images/s. docs/bench.md defines every "
        "figure and every key of the JSON.",
    .examples = "vov bench cfg/backbone/vovnet39.cfg\n"
                "vov bench cfg/backbone/vovnet39.cfg cfg/backbone/resnet50.cfg --threads 1\n"
                "vov bench cfg/backbone/vovnet27s.cfg --batch 8 --layers --json v27.json\n"
                "vov bench cfg/backbone/vovnet27s.cfg --batch 8 --against v27.json\n"
                "vov bench cfg/detect/refinedet320-*.cfg --against paper --energy --plot table4\n"
                "vov bench cfg/backbone/vovnet39.cfg --train --batch 8",
    .run = run,
};
