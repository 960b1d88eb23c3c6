/*
 * bench_against.c - see bench_against.h.
 */
#include "bench_against.h"

#include "base/file.h"
#include "base/json.h"
#include "bench_paper.h"
#include "table.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

enum { MAX_FILE = 256 << 20 };

static const char *take_text(struct bench_against *a, const json *j, const char *key)
{
    const char *text = json_str(j, key);
    return text != NULL ? arena_strdup(&a->mem, text) : NULL;
}

static int take_int(const json *j, const char *key)
{
    long long v = 0;
    return json_int(j, key, &v) && v > 0 && v < 1000000 ? (int)v : 0;
}

static double take_real(const json *j, const char *key)
{
    double v = (double)NAN;
    json_real(j, key, &v);
    return v;
}

static double number_at(const json *list, int i)
{
    const json *v = cJSON_GetArrayItem(list, i);
    return cJSON_IsNumber(v) ? v->valuedouble : (double)NAN;
}

/* Of [width, height]; 0 where there is none. */
static int side_at(const json *size, int i)
{
    const double v = json_len(size) == 2 ? number_at(size, i) : 0;
    return v >= 1 && v < 1000000 ? (int)v : 0;
}

/* "dir/net.cfg" is called "net". */
static const char *name_of(struct bench_against *a, const char *config)
{
    const char *base = path_base(config), *ext = path_ext(config);
    const int cut = strcmp(ext, "cfg") == 0 ? 4 : 0;
    return arena_printf(&a->mem, "%.*s", (int)strlen(base) - cut, base);
}

static enum vov_status read_past(struct bench_against *a, const json *j, struct bench_past *p,
                                 struct err *err)
{
    const json *latency = json_get(j, "latency_ms"), *size = json_get(j, "size");
    const json *median = json_get(latency, "median_95"), *conditions = json_get(j, "conditions");
    const char *config = json_str(j, "config");
    *p = (struct bench_past){.mode = take_text(a, j, "mode"),
                             .device = take_text(a, j, "device"),
                             .cpu = take_text(a, conditions, "cpu"),
                             .precision = take_text(a, j, "precision"),
                             .batch = take_int(j, "batch"),
                             .threads = take_int(j, "threads"),
                             .p50 = take_real(latency, "p50"),
                             .images_per_s = take_real(j, "images_per_s"),
                             .gflops = take_real(j, "gflops"),
                             .j_per_image = take_real(json_get(j, "energy"), "j_per_image")};
    if (config == NULL || !(p->p50 > 0)) {
        return err_set(err, VOV_EFORMAT,
                       "%s: a list of what `vov bench --json` writes is wanted; an entry has no "
                       "\"config\" or no \"latency_ms\": {\"p50\"}",
                       a->what);
    }
    p->name = name_of(a, config);
    p->lo = json_len(median) == 2 ? number_at(median, 0) : p->p50;
    p->hi = json_len(median) == 2 ? number_at(median, 1) : p->p50;
    p->width = side_at(size, 0);
    p->height = side_at(size, 1);
    return p->name != NULL ? VOV_OK : err_nomem(err, strlen(config));
}

static enum vov_status read_list(struct bench_against *a, const json *list, struct err *err)
{
    const int n = json_len(list);
    if (n < 1) {
        return err_set(err, VOV_EFORMAT, "%s: a list of what `vov bench --json` writes is wanted",
                       a->what);
    }
    a->past = arena_alloc(&a->mem, (size_t)n * sizeof *a->past);
    if (a->past == NULL) {
        return err_nomem(err, (size_t)n * sizeof *a->past);
    }
    for (const json *j = list->child; j != NULL; j = j->next) {
        TRY(read_past(a, j, &a->past[a->n++], err));
    }
    return VOV_OK;
}

enum vov_status bench_against_open(struct bench_against *a, const char *what, bool force,
                                   struct err *err)
{
    json *list = NULL;
    *a = (struct bench_against){.what = what, .paper = strcmp(what, "paper") == 0, .force = force};
    if (a->paper) {
        return VOV_OK;
    }
    TRY(err_of_input(err, json_read(what, MAX_FILE, &list, err), VOV_EFORMAT));
    const enum vov_status status = read_list(a, list, err);
    json_free(list);
    return status;
}

void bench_against_close(struct bench_against *a)
{
    arena_free(&a->mem);
    *a = (struct bench_against){0};
}

/* The best counterpart of r: of equal name, and of equal batch and threads where there are several.
 */
static const struct bench_past *find_past(const struct bench_against *a,
                                          const struct bench_result *r)
{
    const struct bench_past *found = NULL;
    int best = -1;
    for (int i = 0; i < a->n; i++) {
        const struct bench_past *p = &a->past[i];
        const int fits = (p->batch == r->batch) + (p->threads == r->threads) +
                         (p->width == r->width && p->height == r->height);
        if (strcmp(p->name, r->name) == 0 && fits > best) {
            found = p;
            best = fits;
        }
    }
    return found;
}

/* Texts are equal, or one of them is not known. */
static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL || strcmp(a, b) == 0;
}

static bool same_number(int a, int b)
{
    return a == 0 || b == 0 || a == b;
}

/* What differs, or "". */
static void find_difference(const struct bench_past *p, const struct bench_result *r,
                            const struct bench_conditions *on, char *text, size_t size)
{
    const char *mode = r->training ? "train" : "inference";
    const char *precision = sizeof(real) == 4 ? "fp32" : "fp64";
    text[0] = '\0';
    if (!same_number(p->batch, r->batch)) {
        snprintf(text, size, "a batch of %d then and of %d now", p->batch, r->batch);
    } else if (!same_number(p->width, r->width) || !same_number(p->height, r->height)) {
        snprintf(text, size, "an input of %dx%d then and of %dx%d now", p->width, p->height,
                 r->width, r->height);
    } else if (!same_number(p->threads, r->threads)) {
        snprintf(text, size, "%d threads then and %d now", p->threads, r->threads);
    } else if (!same(p->mode, mode)) {
        snprintf(text, size, "%.20s then and %s now", p->mode, mode);
    } else if (!same(p->device, on->device)) {
        snprintf(text, size, "device %.30s then and %s now", p->device, on->device);
    } else if (!same(p->cpu, on->machine.cpu)) {
        snprintf(text, size, "a CPU \"%.60s\" then and \"%s\" now", p->cpu, on->machine.cpu);
    } else if (!same(p->precision, precision)) {
        snprintf(text, size, "%.10s then and %s now", p->precision, precision);
    }
}

static struct bench_past past_of_paper(const struct paper_row *row)
{
    return (struct bench_past){
        .mode = "inference", .batch = 1, .width = row->width, .height = row->height};
}

enum vov_status bench_against_check(const struct bench_against *a,
                                    const struct bench_report *report, const struct log *log,
                                    struct err *err)
{
    for (int i = 0; i < report->n; i++) {
        const struct bench_result *r = &report->result[i];
        const struct paper_row *row = a->paper ? paper_find(r->name) : NULL;
        const struct bench_past *found = a->paper ? NULL : find_past(a, r);
        if (row == NULL && found == NULL) {
            log_put(log, LOG_WARN, "%s has nothing about %s", a->paper ? "the paper" : a->what,
                    r->name);
            continue;
        }
        const struct bench_past p = row != NULL ? past_of_paper(row) : *found;
        char text[240];
        find_difference(&p, r, &report->on, text, sizeof text);
        if (text[0] != '\0' && !a->force) {
            return err_set(err, VOV_EARG,
                           "%s: not comparable with %.80s: %.160s; --force compares all the same",
                           r->name, a->what, text);
        }
        if (text[0] != '\0') {
            log_put(log, LOG_WARN, "%s: compared although it is %s", r->name, text);
        }
    }
    return VOV_OK;
}

/* lacking: what to say where `now` is NAN. */
static void put_row(struct table *t, const char *name, const char *what, double then, double now,
                    const char *lacking)
{
    if (!(then > 0)) {
        return;
    }
    table_text(t, "%s", name);
    table_text(t, "%s", what);
    table_text(t, "%.4g", then);
    if (isfinite(now)) {
        table_text(t, "%.4g", now);
    } else {
        table_text(t, "%s", lacking);
    }
    table_real(t, 3, now / then);
}

static void write_paper(const struct bench_report *report, struct buf *b)
{
    struct table t;
    table_open(&t, "config,what,paper,here,here / paper");
    for (int i = 0; i < report->n; i++) {
        const struct bench_result *r = &report->result[i];
        const struct paper_row *row = paper_find(r->name);
        if (row == NULL) {
            continue;
        }
        const struct bench_joules *j = &r->energy_sum;
        put_row(&t, r->name, "FLOPs G", row->flops_g, 1e-9 * (double)bench_paper_flops(r), NULL);
        put_row(&t, r->name, "params M", row->params_m, 1e-6 * (double)r->cost.params, NULL);
        put_row(&t, r->name, "memory MB", row->memory_mb, 1e-6 * (double)bench_peak_bytes(r), NULL);
        put_row(&t, r->name, "images/s", row->fps, r->images_per_s, NULL);
        put_row(&t, r->name, "GFLOP/s", row->gflops, r->paper_gflops, NULL);
        put_row(&t, r->name, "J/image", row->j_per_image, j->readable ? j->per_image : (double)NAN,
                r->energy_asked ? "not readable" : "without --energy");
    }
    if (t.n_cells > t.n_columns) {
        buf_printf(b, "against %s: %s\n\n", paper_title, paper_machine);
    }
    table_close(&t, b);
}

static void write_past(const struct bench_against *a, const struct bench_report *report,
                       struct buf *b)
{
    struct table t;
    table_open(&t, "config,p50 ms then,p50 ms now,speed,95 %,images/s then,images/s now,"
                   "J/image then,J/image now");
    for (int i = 0; i < report->n; i++) {
        const struct bench_result *r = &report->result[i];
        const struct bench_past *p = find_past(a, r);
        if (p == NULL) {
            continue;
        }
        const struct summary *s = &r->stage[BENCH_TOTAL];
        table_text(&t, "%s", r->name);
        table_real(&t, 3, p->p50);
        table_real(&t, 3, 1e3 * s->p50);
        table_text(&t, "%.3f x", p->p50 / (1e3 * s->p50));
        table_text(&t, "%.3f - %.3f", p->lo / (1e3 * s->median.hi), p->hi / (1e3 * s->median.lo));
        table_real(&t, 2, p->images_per_s);
        table_real(&t, 2, r->images_per_s);
        table_real(&t, 4, p->j_per_image);
        table_real(&t, 4, r->energy_sum.readable ? r->energy_sum.per_image : (double)NAN);
    }
    if (t.n_cells > t.n_columns) {
        buf_printf(b,
                   "against %s; times taken in different minutes: what changed meanwhile, the "
                   "intervals do not know\n\n",
                   a->what);
    }
    table_close(&t, b);
}

void bench_against_write(const struct bench_against *a, const struct bench_report *report,
                         struct buf *b)
{
    if (a->paper) {
        write_paper(report, b);
    } else {
        write_past(a, report, b);
    }
}
