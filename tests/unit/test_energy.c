/*
 * test_energy.c - energy from a made-up tree of powercap files and from a stand-in for NVML: what
 * is summed and what is not, wrapping counters, windows, and the reason where nothing can be read.
 */
#include "meter/energy.h"
#include "meter/nvml.h"
#include "meter/rapl.h"
#include "run.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char root[200], stub[300];

static void put(const char *zone, const char *leaf, const char *text)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s/%s", root, zone, leaf);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

static void add_zone(const char *zone, const char *name, const char *micro)
{
    char path[500];
    snprintf(path, sizeof path, "%s/%s", root, zone);
    ck_assert_int_eq(mkdir(path, 0755), 0);
    put(zone, "name", name);
    put(zone, "energy_uj", micro);
    put(zone, "max_energy_range_uj", "1000000\n");
}

/* Two packages with memory; cores, graphics, a platform and a second face of package 0 beside them.
 */
static void make_tree(void)
{
    snprintf(root, sizeof root, "/tmp/vov-energy-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    add_zone("intel-rapl:0", "package-0\n", "100000\n");
    add_zone("intel-rapl:0:0", "core\n", "5\n");
    add_zone("intel-rapl:0:1", "uncore\n", "5\n");
    add_zone("intel-rapl:0:2", "dram\n", "200000\n");
    add_zone("intel-rapl:1", "package-1\n", "300000\n");
    add_zone("intel-rapl:1:0", "dram\n", "400000\n");
    add_zone("intel-rapl:2", "psys\n", "5\n");
    add_zone("intel-rapl:2:0", "dram\n", "5\n");
    add_zone("intel-rapl-mmio:0", "package-0\n", "5\n");
    char path[300];
    snprintf(path, sizeof path, "%s/intel-rapl", root);
    ck_assert_int_eq(mkdir(path, 0755), 0);
}

static void remove_tree(void)
{
    char command[300];
    snprintf(command, sizeof command, "rm -r %s", root);
    ck_assert_int_eq(system(command), 0);
}

static void sleep_ms(long ms)
{
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

START_TEST(packages_and_memory)
{
    struct rapl r;
    char why[500];
    double joules;
    make_tree();
    ck_assert_msg(rapl_open(&r, root, why, sizeof why), "%s", why);
    ck_assert_int_eq(r.n, 4);
    put("intel-rapl:0", "energy_uj", "100010\n");
    put("intel-rapl:0:0", "energy_uj", "700000\n");
    put("intel-rapl:0:2", "energy_uj", "200200\n");
    put("intel-rapl:1", "energy_uj", "303000\n");
    put("intel-rapl:1:0", "energy_uj", "440000\n");
    put("intel-rapl:2", "energy_uj", "900000\n");
    put("intel-rapl-mmio:0", "energy_uj", "900000\n");
    ck_assert(rapl_read(&r, &joules, why, sizeof why));
    ck_assert_double_eq_tol(joules, 0.043210, 1e-12);
    ck_assert(rapl_read(&r, &joules, why, sizeof why));
    ck_assert(joules == 0);

    put("intel-rapl:1", "energy_uj", "999999\n");
    ck_assert(rapl_read(&r, &joules, why, sizeof why));
    put("intel-rapl:1", "energy_uj", "7\n"); /* 1 up to the range, 7 from 0 on */
    ck_assert(rapl_read(&r, &joules, why, sizeof why));
    ck_assert_double_eq_tol(joules, 8e-6, 1e-15);

    put("intel-rapl:1", "energy_uj", "soon\n");
    ck_assert(!rapl_read(&r, &joules, why, sizeof why));
    ck_assert_ptr_nonnull(strstr(why, "intel-rapl:1/energy_uj can no longer be read"));
    remove_tree();
}
END_TEST

START_TEST(reasons)
{
    struct rapl r;
    char why[500];
    ck_assert(!rapl_open(&r, "/no/such/place", why, sizeof why));
    ck_assert_ptr_nonnull(strstr(why, "sudo modprobe intel_rapl_msr"));
    make_tree();
    char path[300];
    snprintf(path, sizeof path, "%s/intel-rapl:1/energy_uj", root);
    ck_assert_int_eq(chmod(path, 0400), 0);
    if (getuid() == 0) { /* the counters belong to root; look at them as somebody else */
        ck_assert_int_eq(chmod(root, 0755), 0);
        ck_assert_int_eq(seteuid(65534), 0);
    } else {
        ck_assert_int_eq(chmod(path, 0), 0);
    }
    const bool opened = rapl_open(&r, root, why, sizeof why);
    if (getuid() == 0) {
        ck_assert_int_eq(seteuid(0), 0);
    }
    ck_assert(!opened);
    ck_assert_ptr_nonnull(strstr(why, "intel-rapl:1/energy_uj: Permission denied; sudo chmod a+r"));
    ck_assert_ptr_nonnull(strstr(why, "/intel-rapl:*/energy_uj"));
    remove_tree();
}
END_TEST

/* A CPU of 2 W: package 0 counts from 0.1 J on, and begins again at 1 J. */
static atomic_bool burning;

static void *burn(void *arg)
{
    struct timespec t;
    (void)arg;
    clock_gettime(CLOCK_MONOTONIC, &t);
    const double began = (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
    while (burning) {
        clock_gettime(CLOCK_MONOTONIC, &t);
        const double micro = 1e5 + 2e6 * ((double)t.tv_sec + 1e-9 * (double)t.tv_nsec - began);
        char text[40];
        snprintf(text, sizeof text, "%lld\n", (long long)micro % 1000000);
        char path[300], hidden[300];
        snprintf(path, sizeof path, "%s/intel-rapl:0/energy_uj", root);
        snprintf(hidden, sizeof hidden, "%s/new", root);
        FILE *f = fopen(hidden, "w");
        fputs(text, f);
        fclose(f);
        rename(hidden, path);
        sleep_ms(5);
    }
    return NULL;
}

START_TEST(windows_of_a_cpu)
{
    struct energy *e;
    struct energy_window w;
    pthread_t fire;
    make_tree();
    const struct energy_options opt = {.powercap = root};
    burning = true;
    ck_assert_int_eq(pthread_create(&fire, NULL, burn, NULL), 0);
    sleep_ms(20);
    ck_assert_int_eq(energy_open(&opt, &e, NULL), VOV_OK);
    ck_assert(energy_readable(e));
    ck_assert_str_eq(energy_part(e, ENERGY_CPU)->source, "rapl");
    ck_assert(!energy_part(e, ENERGY_GPU)->wanted);
    sleep_ms(150);
    for (int i = 0; i < 2; i++) { /* 2 W, and the counter wraps in the window */
        ck_assert_int_eq(energy_begin(e, NULL), VOV_OK);
        sleep_ms(500);
        energy_end(e, &w);
        ck_assert_double_eq_tol(w.joules[ENERGY_CPU] / w.seconds, 2, 0.4);
        ck_assert(w.seconds >= 0.5);
        ck_assert_int_ge(w.ticks[ENERGY_CPU], 2);
        ck_assert(isnan(w.joules[ENERGY_GPU]));
    }
    energy_close(e);
    burning = false;
    pthread_join(fire, NULL);
    remove_tree();
}
END_TEST

START_TEST(nothing_readable)
{
    const struct energy_options opt = {
        .powercap = "/no/such", .nvml = "/no/such.so", .method = ENERGY_COUNTER};
    struct energy *e;
    struct energy_window w;
    ck_assert_int_eq(energy_open(&opt, &e, NULL), VOV_OK);
    ck_assert(!energy_readable(e));
    ck_assert(energy_part(e, ENERGY_GPU)->wanted);
    ck_assert_ptr_nonnull(strstr(energy_part(e, ENERGY_GPU)->why, "no NVIDIA driver: /no/such.so"));
    ck_assert_int_eq(energy_begin(e, NULL), VOV_OK);
    energy_end(e, &w);
    ck_assert(isnan(w.joules[ENERGY_CPU]) && isnan(w.joules[ENERGY_GPU]));
    energy_close(e);
}
END_TEST

static void gpu_window(enum energy_method method, const char *part, struct energy_window *w,
                       struct energy_part *seen)
{
    const struct energy_options opt = {.powercap = "/no/such", .nvml = stub, .method = method};
    struct energy *e;
    setenv("VOV_STUB_NVML", part, 1);
    ck_assert_int_eq(energy_open(&opt, &e, NULL), VOV_OK);
    ck_assert_int_eq(energy_begin(e, NULL), VOV_OK);
    sleep_ms(350);
    energy_end(e, w);
    *seen = *energy_part(e, ENERGY_GPU);
    energy_close(e);
}

START_TEST(windows_of_a_gpu)
{
    struct energy_window w;
    struct energy_part p;
    gpu_window(ENERGY_COUNTER, "new", &w, &p);
    ck_assert_msg(p.readable, "%s", p.why);
    ck_assert_str_eq(p.source, "nvml counter");
    ck_assert_double_eq_tol(w.joules[ENERGY_GPU], 50 * w.seconds, 2.1); /* two ticks of 1 J */
    ck_assert_int_ge(w.ticks[ENERGY_GPU], 2);

    gpu_window(ENERGY_SAMPLE100, "new", &w, &p);
    ck_assert_str_eq(p.source, "nvml power, each 100 ms");
    ck_assert_double_eq_tol(w.joules[ENERGY_GPU], 50 * w.seconds, 1e-9);
    ck_assert_int_ge(w.ticks[ENERGY_GPU], 2);
    ck_assert_int_le(w.ticks[ENERGY_GPU], 6);

    gpu_window(ENERGY_SAMPLE100, "old", &w, &p);
    ck_assert(p.readable);
    gpu_window(ENERGY_COUNTER, "old", &w, &p);
    ck_assert(!p.readable && isnan(w.joules[ENERGY_GPU]));
    ck_assert_ptr_nonnull(strstr(p.why, "--energy-method=sample100"));
    gpu_window(ENERGY_COUNTER, "absent", &w, &p);
    ck_assert(!p.readable);
    ck_assert_ptr_nonnull(strstr(p.why, "Driver Not Loaded"));
    gpu_window(ENERGY_COUNTER, "lost", &w, &p);
    ck_assert(!p.readable && isnan(w.joules[ENERGY_GPU]));
    ck_assert_ptr_nonnull(strstr(p.why, "GPU is lost"));
}
END_TEST

START_TEST(which_gpu)
{
    struct nvml n;
    char why[500];
    setenv("VOV_STUB_NVML", "new", 1);
    ck_assert(nvml_open(&n, stub, "0000:65:00.0", why, sizeof why));
    nvml_close(&n);
    ck_assert(!nvml_open(&n, stub, "0000:01:00.0", why, sizeof why));
    ck_assert_ptr_nonnull(strstr(why, "no such GPU"));
    ck_assert_ptr_null(n.handle);
    ck_assert(!nvml_open(&n, "libm.so.6", NULL, why, sizeof why));
    ck_assert_ptr_nonnull(strstr(why, "NVML has no nvmlInit_v2"));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        packages_and_memory, reasons, windows_of_a_cpu, nothing_readable, which_gpu,
        windows_of_a_gpu,    NULL};
    const char *build = getenv("VOV_BUILD");
    snprintf(stub, sizeof stub, "%s/tests/stub/nvml.so", build != NULL ? build : "build/release");
    return run_tests("energy", tests);
}
