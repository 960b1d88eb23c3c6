/*
 * doctor.c - `vov doctor`: what this machine has that the program could use, and what is missing.
 */
#include "backend/plugin.h"
#include "base/json.h"
#include "commands.h"
#include "cpu/blas.h"
#include "cpu/isa.h"
#include "meter/energy.h"
#include "meter/machine.h"

#include <math.h>
#include <stdio.h>

struct doctor_options {
    bool json;
};

#define AT(field) offsetof(struct doctor_options, field)
static const struct cli_option doctor_table[] = {
    {"json", 'j', OPT_FLAG, AT(json), NULL, 0, 0, "all of it as JSON"},
    {0},
};
#undef AT

struct findings {
    struct machine machine;
    struct isa isa[MAX_ISAS];
    int n_isas;
    bool openblas;
    struct gpu_report gpus;
    struct err no_gpu; /* code VOV_OK: there are some */
    struct energy *energy;
    double mhz, temperature;
};

static enum vov_status examine(struct findings *f, struct err *err)
{
    machine_read(&f->machine);
    f->mhz = machine_mhz();
    f->temperature = machine_temperature();
    f->n_isas = isa_list(f->isa);
    f->openblas = blas_open(&(struct blas){0});
    plugin_report(&f->gpus, &f->no_gpu);
    const struct energy_options opt = {.gpu = f->gpus.n > 0,
                                       .pci = f->gpus.n > 0 ? f->gpus.gpu[0].pci : NULL};
    return energy_open(&opt, &f->energy, err);
}

/* "13.0" of 13000; 0 is not known. */
static void put_version(struct buf *b, int version)
{
    if (version > 0) {
        buf_printf(b, "%d.%d", version / 1000, version % 1000 / 10);
    }
}

/* cuDNN counts 10000 * major + 100 * minor + patch. */
static void put_dnn_version(struct buf *b, int version)
{
    if (version > 0) {
        buf_printf(b, "%d.%d.%d", version / 10000, version % 10000 / 100, version % 100);
    }
}

static void put_line(struct buf *b, const char *name)
{
    buf_printf(b, "%-14s", name);
}

static void put_cpu_text(const struct findings *f, struct buf *b)
{
    const struct machine *m = &f->machine;

    put_line(b, "program");
    buf_printf(b, "%s\n", m->program);
    put_line(b, "system");
    buf_printf(b, "%s\n", m->os);
    put_line(b, "cpu");
    buf_printf(b, "%s%s, %d threads", m->cpu, m->virtual ? " (virtual)" : "", m->cores);
    if (f->mhz > 0) {
        buf_printf(b, ", %.0f MHz now", f->mhz);
    }
    if (!isnan(f->temperature)) {
        buf_printf(b, ", %.0f degrees", f->temperature);
    }
    if (m->governor[0] != '\0') {
        buf_printf(b, ", governor %s", m->governor);
    }
    buf_puts(b, "\n");
    put_line(b, "kernels");
    for (int i = 0; i < f->n_isas; i++) {
        buf_printf(b, "%s%s%s", i > 0 ? ", " : "", f->isa[i].name,
                   f->isa[i].runs ? "" : " (not on this cpu)");
    }
    buf_puts(b, "; the first that runs is used\n");
    put_line(b, "openblas");
    buf_puts(b, f->openblas ? "there; for products where it is faster\n"
                            : "not there (libopenblas.so.0): all products have kernels here\n");
    put_line(b, "memory");
    buf_printf(b, "%.1f GB\n", (double)m->memory_bytes / 1e9);
}

static void put_gpu_text(const struct findings *f, struct buf *b)
{
    const struct gpu_report *r = &f->gpus;

    put_line(b, "cuda");
    if (r->runtime > 0) {
        buf_puts(b, "runtime ");
        put_version(b, r->runtime);
        buf_puts(b, r->driver > 0 ? ", driver for " : ", no driver");
        put_version(b, r->driver);
        buf_puts(b, ", cuDNN ");
        put_dnn_version(b, r->dnn);
        buf_puts(b, ", cuBLAS ");
        put_version(b, r->blas);
        buf_puts(b, "\n");
    } else {
        buf_printf(b, "not available: %s\n", f->no_gpu.msg);
    }
    for (int i = 0; i < r->n; i++) {
        const struct gpu *g = &r->gpu[i];
        char name[16];
        snprintf(name, sizeof name, "cuda:%d", i);
        put_line(b, name);
        buf_printf(b, "%s, %.1f GB, %d multiprocessors, architecture %d.%d, PCI %s\n", g->name,
                   (double)g->memory_bytes / 1e9, g->multiprocessors, g->major, g->minor, g->pci);
    }
    if (r->n == 0 && r->runtime > 0) {
        put_line(b, "gpus");
        buf_printf(b, "none: %s\n", f->no_gpu.msg);
    }
}

static const char *const unit_name[ENERGY_UNITS] = {[ENERGY_CPU] = "cpu", [ENERGY_GPU] = "gpu"};

static void put_energy_text(const struct findings *f, struct buf *b)
{
    for (int u = 0; u < ENERGY_UNITS; u++) {
        const struct energy_part *p = energy_part(f->energy, (enum energy_unit)u);
        char name[20];
        snprintf(name, sizeof name, "energy, %s", unit_name[u]);
        if (p->wanted) {
            put_line(b, name);
            buf_printf(b, "%s%s\n",
                       p->readable ? p->source : "not readable: ", p->readable ? "" : p->why);
        }
    }
}

static void put_key(struct buf *b, const char *key)
{
    buf_printf(b, "\"%s\": ", key);
}

static void put_text(struct buf *b, const char *key, const char *text)
{
    put_key(b, key);
    json_put_str(b, text);
}

/* null for an empty one. */
static void put_version_text(struct buf *b, const char *key, const struct buf *version)
{
    put_key(b, key);
    if (version->n > 0) {
        json_put_str(b, version->p);
    } else {
        buf_puts(b, "null");
    }
    buf_puts(b, ", ");
}

static void put_versions_json(const struct gpu_report *r, struct buf *b)
{
    const char *const key[] = {"runtime", "driver", "cublas"};
    const int version[] = {r->runtime, r->driver, r->blas};
    struct buf text = {0};

    for (int i = 0; i < 3; i++) {
        buf_clear(&text);
        put_version(&text, version[i]);
        put_version_text(b, key[i], &text);
    }
    buf_clear(&text);
    put_dnn_version(&text, r->dnn);
    put_version_text(b, "cudnn", &text);
    b->failed = b->failed || text.failed;
    buf_free(&text);
}

static void put_cpu_json(const struct findings *f, struct buf *b)
{
    const struct machine *m = &f->machine;

    put_text(b, "program", m->program);
    buf_puts(b, ", ");
    put_text(b, "os", m->os);
    buf_puts(b, ", \"cpu\": {");
    put_text(b, "model", m->cpu);
    buf_printf(b, ", \"threads\": %d, \"virtual\": %s, \"mhz\": ", m->cores,
               m->virtual ? "true" : "false");
    json_put_real(b, f->mhz > 0 ? f->mhz : (double)NAN);
    buf_puts(b, ", \"kernels\": [");
    for (int i = 0; i < f->n_isas; i++) {
        buf_puts(b, i > 0 ? ", {" : "{");
        put_text(b, "isa", f->isa[i].name);
        buf_printf(b, ", \"runs\": %s}", f->isa[i].runs ? "true" : "false");
    }
    buf_printf(b, "]}, \"openblas\": %s, \"memory_bytes\": %zu", f->openblas ? "true" : "false",
               m->memory_bytes);
}

static void put_gpu_json(const struct findings *f, struct buf *b)
{
    buf_puts(b, ", \"cuda\": {");
    put_versions_json(&f->gpus, b);
    put_key(b, "reason");
    if (f->no_gpu.code == VOV_OK) {
        buf_puts(b, "null");
    } else {
        json_put_str(b, f->no_gpu.msg);
    }
    buf_puts(b, ", \"devices\": [");
    for (int i = 0; i < f->gpus.n; i++) {
        const struct gpu *g = &f->gpus.gpu[i];
        buf_puts(b, i > 0 ? ", {" : "{");
        put_text(b, "name", g->name);
        buf_printf(b,
                   ", \"architecture\": \"%d.%d\", \"memory_bytes\": %zu, \"multiprocessors\": "
                   "%d, \"pci\": \"%s\"}",
                   g->major, g->minor, g->memory_bytes, g->multiprocessors, g->pci);
    }
    buf_puts(b, "]}");
}

static void put_energy_json(const struct findings *f, struct buf *b)
{
    buf_puts(b, ", \"energy\": {");
    for (int u = 0; u < ENERGY_UNITS; u++) {
        const struct energy_part *p = energy_part(f->energy, (enum energy_unit)u);
        buf_printf(b, "%s\"%s\": {\"readable\": %s, ", u > 0 ? ", " : "", unit_name[u],
                   p->wanted && p->readable ? "true" : "false");
        if (p->wanted && p->readable) {
            put_text(b, "source", p->source);
        } else {
            put_text(b, "reason", p->wanted ? p->why : "there is none");
        }
        buf_puts(b, "}");
    }
    buf_puts(b, "}");
}

static int run(const struct cli *cli, const void *options)
{
    const struct doctor_options *o = options;
    struct findings f = {0};
    struct buf b = {0};
    struct err err = {0};

    if (examine(&f, &err) != VOV_OK) {
        return cli_fail(cli, &err);
    }
    if (o->json) {
        buf_puts(&b, "{");
        put_cpu_json(&f, &b);
        put_gpu_json(&f, &b);
        put_energy_json(&f, &b);
        buf_puts(&b, "}\n");
    } else {
        put_cpu_text(&f, &b);
        put_gpu_text(&f, &b);
        put_energy_text(&f, &b);
    }
    energy_close(f.energy);
    if (b.failed) {
        err_nomem(&err, b.n);
    } else {
        fputs(b.p, stdout);
    }
    buf_free(&b);
    return err.code != VOV_OK ? cli_fail(cli, &err) : 0;
}

const struct cli_command doctor_command = {
    .name = "doctor",
    .summary = "show what this machine has to run on",
    .operands = "",
    .options = doctor_table,
    .options_size = sizeof(struct doctor_options),
    .details = "Processor, instruction sets that there are kernels for, memory, CUDA's libraries, "
               "driver and GPUs, and which energy counters can be read, each with the reason where "
               "something cannot be used. Made to be pasted into a report of a fault.",
    .examples = "vov doctor\nvov doctor --json",
    .run = run,
};
