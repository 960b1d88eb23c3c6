/*
 * machine.c - see machine.h.
 */
#include "machine.h"

#include "base/real.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

/* The first line of a file without its end, or "". */
static void first_line(const char *path, char *line, int size)
{
    FILE *f = fopen(path, "r");
    line[0] = '\0';
    if (f != NULL) {
        if (fgets(line, size, f) == NULL) {
            line[0] = '\0';
        }
        fclose(f);
    }
    line[strcspn(line, "\n")] = '\0';
}

static double number_of(const char *path)
{
    char line[64];
    double v;
    first_line(path, line, sizeof line);
    return sscanf(line, "%lf", &v) == 1 ? v : (double)NAN;
}

/* What stands behind "key :" or "key=" in the file's first line with that key; false: nowhere. */
static bool value_of(const char *path, const char *key, char *value, size_t size)
{
    FILE *f = fopen(path, "r");
    char line[4096];
    bool found = false;
    while (f != NULL && !found && fgets(line, sizeof line, f) != NULL) {
        const size_t n = strlen(key);
        found = strncmp(line, key, n) == 0 && strchr("\t :=", line[n]) != NULL;
    }
    if (found) {
        const char *v = line + strcspn(line, ":=") + 1;
        v += strspn(v, " \t\"");
        snprintf(value, size, "%.*s", (int)strcspn(v, "\"\n"), v);
    }
    if (f != NULL) {
        fclose(f);
    }
    return found;
}

static int usable_cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set)
                                                       : (int)sysconf(_SC_NPROCESSORS_ONLN);
}

static void read_os(char *text, size_t size)
{
    struct utsname u;
    char distribution[80] = "";
    value_of("/etc/os-release", "PRETTY_NAME", distribution, sizeof distribution);
    if (uname(&u) == 0) {
        snprintf(text, size, "%.20s %.40s %.10s%s%s", u.sysname, u.release, u.machine,
                 distribution[0] != '\0' ? ", " : "", distribution);
    }
}

void machine_read(struct machine *m)
{
    char flags[4000] = "";
    *m = (struct machine){.cores = usable_cores()};
    if (!value_of("/proc/cpuinfo", "model name", m->cpu, sizeof m->cpu) &&
        !value_of("/proc/cpuinfo", "Hardware", m->cpu, sizeof m->cpu)) {
        snprintf(m->cpu, sizeof m->cpu, "unknown");
    }
    m->virtual = value_of("/proc/cpuinfo", "flags", flags, sizeof flags) &&
                 strstr(flags, " hypervisor") != NULL;
    m->memory_bytes = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
    read_os(m->os, sizeof m->os);
    first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", m->governor,
               sizeof m->governor);
    snprintf(m->program, sizeof m->program, "vov %s%s%s, compiled by %.40s, fp%d", VOV_VERSION,
             VOV_COMMIT[0] != '\0' ? " commit " : "", VOV_COMMIT,
#ifdef __clang__
             "clang " __clang_version__,
#else
             "gcc " __VERSION__,
#endif
             (int)sizeof(real) * 8);
}

void machine_command(char *text, size_t size)
{
    FILE *f = fopen("/proc/self/cmdline", "r");
    const size_t n = f != NULL ? fread(text, 1, size - 1, f) : 0;
    text[n] = '\0';
    for (size_t i = 0; i + 1 < n; i++) {
        text[i] = text[i] == '\0' ? ' ' : text[i];
    }
    if (f != NULL) {
        fclose(f);
    }
}

/* Calls fn for core 0, 1, ... until it says that there is no such core. */
static int each_core(bool (*fn)(const char *dir, void *user), void *user)
{
    char dir[60];
    int n = 0;
    for (; n < 4096; n++) {
        snprintf(dir, sizeof dir, "/sys/devices/system/cpu/cpu%d", n);
        if (!fn(dir, user)) {
            break;
        }
    }
    return n;
}

static bool add_core_mhz(const char *dir, void *sum)
{
    char path[120];
    snprintf(path, sizeof path, "%s/cpufreq/scaling_cur_freq", dir);
    const double khz = number_of(path);
    *(double *)sum += isnan(khz) ? 0 : khz * 1e-3;
    return !isnan(khz);
}

double machine_mhz(void)
{
    double sum = 0, mhz = 0;
    char text[40];
    const int n = each_core(add_core_mhz, &sum);
    if (n > 0) {
        return sum / n;
    }
    return value_of("/proc/cpuinfo", "cpu MHz", text, sizeof text) && sscanf(text, "%lf", &mhz) == 1
               ? mhz
               : 0;
}

double machine_temperature(void)
{
    double most = (double)NAN;
    for (int i = 0; i < 64; i++) {
        char path[80];
        snprintf(path, sizeof path, "/sys/class/thermal/thermal_zone%d/temp", i);
        const double t = number_of(path) * 1e-3;
        most = fmax(most, t); /* the other one where one is NAN */
    }
    return most;
}

static bool add_throttling(const char *dir, void *sum)
{
    char path[120];
    snprintf(path, sizeof path, "%s/thermal_throttle/core_throttle_count", dir);
    const double n = number_of(path);
    *(long *)sum += isnan(n) ? 0 : (long)n;
    return !isnan(n);
}

/* The first line of /proc/stat: user nice system idle iowait irq softirq steal, in ticks. */
static void read_stat(struct moment *m)
{
    char line[300];
    double t[8] = {0};
    const double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
    first_line("/proc/stat", line, sizeof line);
    if (sscanf(line, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &t[0], &t[1], &t[2], &t[3], &t[4],
               &t[5], &t[6], &t[7]) != 8) {
        return;
    }
    m->stolen = t[7] * tick;
    m->busy = (t[0] + t[1] + t[2] + t[5] + t[6]) * tick;
    m->all = m->busy + m->stolen + (t[3] + t[4]) * tick;
}

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + 1e-6 * (double)t.tv_usec;
}

struct moment moment_now(void)
{
    struct moment m = {.mhz = machine_mhz()};
    struct rusage use;
    read_stat(&m);
    getrusage(RUSAGE_SELF, &use);
    m.own = seconds_of(use.ru_utime) + seconds_of(use.ru_stime);
    each_core(add_throttling, &m.throttled);
    return m;
}

void disturbance_add(struct disturbance *d, const struct moment *from, const struct moment *to)
{
    d->others += fmax(0, (to->busy - from->busy) - (to->own - from->own));
    d->stolen += to->stolen - from->stolen;
    d->all += to->all - from->all;
    d->throttled += to->throttled - from->throttled;
    if (to->mhz > 0) {
        d->mhz_least = d->mhz_least > 0 ? fmin(d->mhz_least, to->mhz) : to->mhz;
        d->mhz_most = fmax(d->mhz_most, to->mhz);
    }
}
