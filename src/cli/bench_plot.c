/*
 * bench_plot.c - see bench_plot.h. One mark for each config. "refinedet320-vovnet39" is of the
 * family "vovnet"; a beginning that all names have in common goes into the title.
 */
#include "bench_plot.h"

#include "base/mem.h"
#include "plot/scatter.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

enum { PANELS = 4 };

/* How many letters up to and with a '-' all names begin with. */
static size_t common_beginning(const struct bench_report *report)
{
    const char *first = report->result[0].name, *dash = strrchr(first, '-');
    size_t n = dash != NULL && report->n > 1 ? (size_t)(dash - first) + 1 : 0;
    for (int i = 1; i < report->n; i++) {
        const char *name = report->result[i].name;
        while (n > 0 && (strncmp(first, name, n) != 0 || first[n - 1] != '-')) {
            n--;
        }
    }
    return n;
}

/* "vovnet" of "refinedet320-vovnet39". */
static size_t family_of(const char *name, const char **begin)
{
    const char *dash = strrchr(name, '-');
    size_t n = 0;
    *begin = dash != NULL ? dash + 1 : name;
    while (isalpha((unsigned char)(*begin)[n])) {
        n++;
    }
    return n;
}

static bool same_family(const char *a, const char *b)
{
    const char *family_a, *family_b;
    const size_t n = family_of(a, &family_a), m = family_of(b, &family_b);
    return n == m && strncmp(family_a, family_b, n) == 0;
}

/* That of an earlier mark, or one more than any before. */
static int family_number(const struct bench_report *report, const struct scatter_mark *mark,
                         int which)
{
    int number = 0;
    for (int i = 0; i < which; i++) {
        if (same_family(report->result[i].name, report->result[which].name)) {
            return mark[i].family;
        }
        number = mark[i].family >= number ? mark[i].family + 1 : number;
    }
    return number;
}

static double value_of(const struct bench_result *r, int panel)
{
    switch (panel) {
    case 0:
        return r->images_per_s;
    case 1:
        return r->paper_gflops;
    case 2:
        return (double)bench_peak_bytes(r) / (1 << 20);
    default:
        return r->energy_sum.readable ? r->energy_sum.per_image : (double)NAN;
    }
}

static void fill_marks(const struct bench_report *report, int panel, size_t cut,
                       struct scatter_mark *mark)
{
    for (int i = 0; i < report->n; i++) {
        const struct bench_result *r = &report->result[i];
        mark[i] = (struct scatter_mark){.label = r->name + cut,
                                        .family = family_number(report, mark, i),
                                        .x = 1e-9 * (double)bench_paper_flops(r),
                                        .y = value_of(r, panel)};
    }
}

static enum vov_status draw(const struct bench_report *report, struct scatter_mark *mark,
                            const char *path, struct err *err)
{
    static const char *const title[PANELS] = {"speed", "computation efficiency", "memory",
                                              "energy"};
    static const char *const y_label[PANELS] = {"images/s", "GFLOP/s (multiply-adds + norms)",
                                                "memory, MiB", "J/image"};
    const struct bench_result *r = &report->result[0];
    const size_t cut = common_beginning(report);
    struct scatter_panel panel[PANELS];
    struct canvas c;
    char heading[120], below[240];
    for (int k = 0; k < PANELS; k++) {
        struct scatter_mark *own = mark + (size_t)k * (size_t)report->n;
        fill_marks(report, k, cut, own);
        panel[k] = (struct scatter_panel){title[k],   "GFLOPs of one image (multiply-adds + norms)",
                                          y_label[k], r->energy_sum.reason,
                                          own,        report->n};
    }
    snprintf(heading, sizeof heading, "%.*s%s%s of a batch of %d", cut > 0 ? (int)cut - 1 : 0,
             r->name, cut > 0 ? ": " : "", r->training ? "training steps" : "inference", r->batch);
    snprintf(below, sizeof below, "%.60s, %s, %d thread%s, fp%d, vov %s", report->on.machine.cpu,
             report->on.device, r->threads, r->threads == 1 ? "" : "s", (int)sizeof(real) * 8,
             VOV_VERSION);
    scatter_draw(&c, heading, below, panel, PANELS);
    const enum vov_status status = canvas_write(&c, path, err);
    canvas_close(&c);
    return status;
}

enum vov_status bench_plot(const struct bench_report *report, const char *path, struct err *err)
{
    struct scatter_mark *mark = mem_alloc((size_t)report->n * PANELS, sizeof *mark);
    if (mark == NULL) {
        return err_nomem(err, (size_t)report->n * PANELS * sizeof *mark);
    }
    const enum vov_status status = draw(report, mark, path, err);
    mem_free(mark);
    return status;
}
