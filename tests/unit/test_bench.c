/*
 * test_bench.c - what `vov bench` writes, from made-up results: the JSON's keys and types, numbers
 * that are not known, names that need escaping; the CSV; tables; and which earlier runs compare.
 */
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/bench_against.h"
#include "cli/bench_paper.h"
#include "cli/bench_write.h"
#include "cli/table.h"
#include "run.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static double times[] = {0.010, 0.011, 0.012, 0.014};
static struct bench_result results[2];
static struct bench_report report;

static void make_report(void)
{
    double copy[4];
    memcpy(copy, times, sizeof copy);
    results[0] = (struct bench_result){
        .config = "dir/a,\"b\".cfg",
        .name = "a,\"b\"",
        .batch = 2,
        .threads = 3,
        .width = 320,
        .height = 256,
        .cost = {.madds = 5000000000, .mac = 70, .bn = 11, .params = 13, .outputs = 17},
        .weight_bytes = 100,
        .activation_plan_bytes = 20,
        .workspace_bytes = 3,
        .samples = times,
        .sorted = times,
        .images_per_s = 2 / 0.0115,
        .gflops = 10 * 2 / 0.0115,
        .celsius_begin = (double)NAN,
        .celsius_end = 45};
    ck_assert_int_eq(stats_summarise(copy, 4, 1, &results[0].stage[BENCH_TOTAL], NULL), VOV_OK);
    results[0].stage[BENCH_BACKBONE] = results[0].stage[BENCH_TOTAL];
    snprintf(results[0].warning[0], sizeof results[0].warning[0], "a \"warning\"");
    results[0].n_warnings = 1;
    snprintf(results[0].energy_sum.reason, sizeof results[0].energy_sum.reason, "not readable: x");
    results[1] = results[0];
    results[1].config = "b.cfg";
    snprintf(results[1].name, sizeof results[1].name, "b");
    results[1].training = true;
    results[1].energy_sum = (struct bench_joules){
        .readable = true, .per_image = 4.5, .net_per_image = 3.5, .watts = 90, .source = "rapl"};
    results[1].energy[ENERGY_CPU] = results[1].energy_sum;
    report = (struct bench_report){.result = results, .n = 2};
    report.on.device = "cpu";
    report.on.isa = "avx2";
    snprintf(report.on.machine.cpu, sizeof report.on.machine.cpu, "Test CPU");
}

static double real_of(const json *j, const char *key)
{
    double v = -1;
    ck_assert_msg(json_real(j, key, &v), "no number %s", key);
    return v;
}

static bool is_null(const json *j, const char *key)
{
    const json *v = json_get(j, key);
    ck_assert_msg(v != NULL, "no key %s", key);
    return cJSON_IsNull(v);
}

START_TEST(json_keys)
{
    struct buf out = {0};
    json *list;
    struct err err = {0};
    make_report();
    bench_write_json(&report, true, &out);
    ck_assert_msg(json_parse("out", out.p, out.n, &list, &err) == VOV_OK, "%s", err.msg);
    ck_assert_int_eq(json_len(list), 2);
    const json *j = cJSON_GetArrayItem(list, 0), *latency = json_get(j, "latency_ms");
    ck_assert_str_eq(json_str(j, "schema"), "vov.bench/1");
    ck_assert_str_eq(json_str(j, "config"), "dir/a,\"b\".cfg");
    ck_assert_str_eq(json_str(j, "mode"), "inference");
    ck_assert(real_of(j, "batch") == 2 && real_of(j, "threads") == 3);
    ck_assert(real_of(j, "params") == 13 && real_of(j, "mac") == 70);
    ck_assert(real_of(j, "madds") == 5e9 && real_of(j, "flops") == 1e10);
    ck_assert(real_of(j, "paper_flops") == 5e9 + 11);
    ck_assert(real_of(j, "activation_bytes") == 68 && real_of(j, "peak_bytes") == 123);
    ck_assert(is_null(j, "resident_bytes"));
    ck_assert_double_eq_tol(real_of(latency, "p50"), 11.5, 1e-9);
    ck_assert_double_eq_tol(real_of(latency, "min"), 10, 1e-9);
    ck_assert_double_eq_tol(real_of(latency, "mean"), 11.75, 1e-9);
    ck_assert(real_of(latency, "p90") <= real_of(latency, "p95"));
    ck_assert(real_of(latency, "p95") <= real_of(latency, "p99"));
    ck_assert_int_eq(json_len(json_get(latency, "median_95")), 2);
    ck_assert(json_get(json_get(j, "stages_ms"), "backbone") != NULL);
    ck_assert(json_get(json_get(j, "stages_ms"), "decode") == NULL);
    ck_assert(real_of(j, "images_per_s") > 173 && real_of(j, "gflops") > 1739);
    ck_assert(is_null(json_get(j, "roofline"), "share"));
    ck_assert(is_null(json_get(j, "energy"), "j_per_image"));
    ck_assert_str_eq(json_str(json_get(j, "energy"), "reason"), "not readable: x");
    ck_assert(cJSON_IsFalse(json_get(j, "stable")));
    ck_assert_str_eq(cJSON_GetArrayItem(json_get(j, "warnings"), 0)->valuestring, "a \"warning\"");
    ck_assert(is_null(json_get(j, "conditions"), "celsius_begin"));
    ck_assert(real_of(json_get(j, "conditions"), "celsius_end") == 45);
    ck_assert_int_eq(json_len(json_get(j, "samples_ms")), 4);
    ck_assert(json_get(j, "layers") == NULL);

    j = cJSON_GetArrayItem(list, 1);
    ck_assert_str_eq(json_str(j, "mode"), "train");
    ck_assert(real_of(json_get(j, "energy"), "j_per_image") == 4.5);
    ck_assert(is_null(json_get(j, "energy"), "reason"));
    ck_assert(real_of(json_get(json_get(j, "energy"), "cpu"), "watts") == 90);
    ck_assert(json_get(json_get(j, "energy"), "gpu") == NULL);
    json_free(list);
    buf_free(&out);
}
END_TEST

/* Fields of a line, where quotes hold commas. */
static int fields(const char *line)
{
    int n = 1;
    for (bool quoted = false; *line != '\0' && *line != '\n'; line++) {
        quoted = quoted != (*line == '"');
        n += *line == ',' && !quoted;
    }
    return n;
}

START_TEST(csv)
{
    struct buf out = {0};
    make_report();
    bench_write_csv(&report, &out);
    const char *second = strchr(out.p, '\n') + 1, *third = strchr(second, '\n') + 1;
    const char *const begin = "\"dir/a,\"\"b\"\".cfg\",inference,2,3,320,256,13,5000000000,";
    ck_assert_int_eq(strncmp(second, begin, strlen(begin)), 0);
    ck_assert_int_eq(fields(out.p), fields(second));
    ck_assert_int_eq(fields(out.p), fields(third));
    ck_assert_str_eq(strchr(third, '\n'), "\n");
    buf_free(&out);
}
END_TEST

START_TEST(tables)
{
    struct table t;
    struct buf out = {0};
    table_open(&t, "name,n");
    table_column(&t, "last");
    table_text(&t, "a");
    table_real(&t, 1, 12.345);
    table_text(&t, "x");
    table_text(&t, "long name");
    table_real(&t, 1, (double)NAN);
    table_text(&t, "%d", 7);
    table_close(&t, &out);
    ck_assert_str_eq(out.p, "| name      |    n | last |\n"
                            "|-----------|-----:|------|\n"
                            "| a         | 12.3 | x    |\n"
                            "| long name |    - | 7    |\n\n");
    buf_clear(&out);
    table_open(&t, "nothing");
    table_close(&t, &out);
    ck_assert_uint_eq(out.n, 0);
    make_report();
    bench_write_tables(&report, &out);
    ck_assert(!out.failed);
    ck_assert_ptr_nonnull(strstr(out.p, "a \"warning\""));
    ck_assert(strstr(out.p, "energy of the CPU not readable") == NULL); /* it was not asked for */
    buf_free(&out);
}
END_TEST

/* What --json wrote is comparable with itself, and not once anything differs. */
START_TEST(earlier_runs)
{
    char path[] = "/tmp/vov-bench-XXXXXX";
    struct bench_against a;
    struct buf out = {0};
    struct err err = {0};
    const int file = mkstemp(path);
    ck_assert_int_ge(file, 0);
    close(file);
    make_report();
    bench_write_json(&report, false, &out);
    ck_assert_int_eq(file_write(path, out.p, out.n, NULL), VOV_OK);
    ck_assert_int_eq(bench_against_open(&a, path, false, &err), VOV_OK);
    ck_assert_int_eq(a.n, 2);
    ck_assert_int_eq(bench_against_check(&a, &report, NULL, &err), VOV_OK);
    buf_clear(&out);
    bench_against_write(&a, &report, &out);
    ck_assert_ptr_nonnull(strstr(out.p, "1.000 x"));

    int *const numbers[] = {&results[0].batch, &results[0].threads, &results[1].width,
                            &results[1].height};
    for (int i = 0; i < 4; i++) {
        *numbers[i] += 1;
        err = (struct err){0};
        ck_assert_int_eq(bench_against_check(&a, &report, NULL, &err), VOV_EARG);
        ck_assert_ptr_nonnull(strstr(err.msg, "--force"));
        a.force = true;
        ck_assert_int_eq(bench_against_check(&a, &report, NULL, NULL), VOV_OK);
        a.force = false;
        *numbers[i] -= 1;
    }
    results[1].training = false;
    ck_assert_int_eq(bench_against_check(&a, &report, NULL, &err), VOV_EARG);
    results[1].training = true;
    report.on.device = "cuda";
    ck_assert_int_eq(bench_against_check(&a, &report, NULL, NULL), VOV_EARG);
    report.on.device = "cpu";
    report.on.machine.cpu[0] = 'B';
    ck_assert_int_eq(bench_against_check(&a, &report, NULL, NULL), VOV_EARG);
    bench_against_close(&a);
    ck_assert_int_eq(unlink(path), 0);
    buf_free(&out);
}
END_TEST

static enum vov_status open_text(const char *text)
{
    char path[] = "/tmp/vov-bench-XXXXXX";
    struct bench_against a;
    const int file = mkstemp(path);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(write(file, text, strlen(text)), (ssize_t)strlen(text));
    close(file);
    const enum vov_status status = bench_against_open(&a, path, false, NULL);
    bench_against_close(&a);
    unlink(path);
    return status;
}

START_TEST(damaged_files)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "7",
        "[7]",
        "[{}]",
        "[{\"config\":\"a\"}]",
        "[{\"config\":7,\"latency_ms\":{\"p50\":1}}]",
        "[{\"config\":\"a\",\"latency_ms\":{\"p50\":0}}]",
        "[{\"config\":\"a\",\"latency_ms\":{\"p50\":\"1\"}}]",
        "[{\"config\":\"a\",\"latency_ms\":[1]}]",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_msg(open_text(bad[i]) == VOV_EFORMAT, "took %s", bad[i]);
    }
    /* As little as there may be, and numbers that are none. */
    ck_assert_int_eq(open_text("[{\"config\":\"a\",\"latency_ms\":{\"p50\":1}}]"), VOV_OK);
    ck_assert_int_eq(open_text("[{\"config\":\"\",\"batch\":-1,\"size\":[1e99,\"x\"],"
                               "\"latency_ms\":{\"p50\":1,\"median_95\":[null,{}]}}]"),
                     VOV_OK);
}
END_TEST

/* GFLOP/s is FLOPs times FPS in the paper, to the digits that it prints. */
START_TEST(paper)
{
    static const char *const names[] = {"refinedet320-vovnet39", "refinedet320-resnet50",
                                        "refinedet320-densenet161", "dsod300-vovnet27s"};
    for (int i = 0; i < 4; i++) {
        const struct paper_row *row = paper_find(names[i]);
        ck_assert_ptr_nonnull(row);
        ck_assert_double_eq_tol(row->flops_g * row->fps / row->gflops, 1, 0.01);
    }
    ck_assert_ptr_null(paper_find("vovnet39"));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {json_keys, csv, tables, earlier_runs, damaged_files, paper, NULL};
    return run_tests("bench", tests);
}
