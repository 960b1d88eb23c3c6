/*
 * bench_csv.c - the results of `vov bench` as comma-separated values (RFC 4180).
 */
#include "bench_write.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static void put_text(struct buf *b, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        buf_puts(b, text);
        return;
    }
    buf_puts(b, "\"");
    for (; *text != '\0'; text++) {
        buf_printf(b, *text == '"' ? "\"%c" : "%c", *text);
    }
    buf_puts(b, "\"");
}

static void put_real(struct buf *b, double v)
{
    buf_puts(b, ",");
    if (isfinite(v)) {
        buf_printf(b, "%.6g", v);
    }
}

static void put_int(struct buf *b, int64_t v)
{
    buf_printf(b, ",%" PRId64, v);
}

static void put_line(struct buf *b, const struct bench_result *r)
{
    const struct summary *t = &r->stage[BENCH_TOTAL];
    const struct bench_joules *j = &r->energy_sum;
    put_text(b, r->config);
    buf_printf(b, ",%s", r->training ? "train" : "inference");
    put_int(b, r->batch);
    put_int(b, r->threads);
    put_int(b, r->width);
    put_int(b, r->height);
    put_int(b, r->cost.params);
    put_int(b, r->cost.madds);
    put_int(b, bench_flops(r));
    put_int(b, bench_paper_flops(r));
    put_int(b, r->cost.mac);
    put_int(b, 4 * r->cost.outputs);
    put_int(b, (int64_t)bench_peak_bytes(r));
    if (r->resident_bytes > 0) {
        put_int(b, (int64_t)r->resident_bytes);
    } else {
        buf_puts(b, ",");
    }
    put_int(b, t->n);
    const double times[] = {t->p50, t->median.lo, t->median.hi, t->p90,
                            t->p95, t->p99,       t->min,       t->mean};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        put_real(b, 1e3 * times[i]);
    }
    put_real(b, t->cov);
    for (int s = 0; s < BENCH_TOTAL; s++) {
        put_real(b, r->stage[s].n > 0 ? 1e3 * r->stage[s].p50 : (double)NAN);
    }
    put_real(b, r->images_per_s);
    put_real(b, r->gflops);
    put_real(b, r->paper_gflops);
    put_real(b, r->roof > 0 ? r->roof : (double)NAN);
    put_real(b, j->readable ? j->per_image : (double)NAN);
    put_real(b, j->readable ? j->net_per_image : (double)NAN);
    put_real(b, j->readable ? j->watts : (double)NAN);
    put_real(b, j->readable ? j->idle_watts : (double)NAN);
    buf_printf(b, ",%s\n", r->n_warnings == 0 ? "yes" : "no");
}

void bench_write_csv(const struct bench_report *report, struct buf *b)
{
    buf_puts(b, "config,mode,batch,threads,width,height,params,madds,flops,paper_flops,mac,"
                "activation_bytes,peak_bytes,resident_bytes,runs,p50_ms,median_lo_ms,"
                "median_hi_ms,p90_ms,p95_ms,p99_ms,min_ms,mean_ms,cov");
    for (int s = 0; s < BENCH_TOTAL; s++) {
        buf_printf(b, ",%s_ms", bench_stage_name[s]);
    }
    buf_puts(b, ",images_per_s,gflops,paper_gflops,roof_share,j_per_image,net_j_per_image,watts,"
                "idle_watts,stable\n");
    for (int i = 0; i < report->n; i++) {
        put_line(b, &report->result[i]);
    }
}
