/*
 * usage.c - memory, asked of Linux.
 */
#include "usage.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

size_t usage_peak_bytes(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (size_t)use.ru_maxrss * 1024;
}

/* The number after the word `key` in a file of lines "key number ..."; with key "" the first number
 * of the file. SIZE_MAX: no such file or number. */
static size_t number_in(const char *path, const char *key)
{
    FILE *f = fopen(path, "r");
    char line[256];
    size_t found = SIZE_MAX;
    const size_t n = strlen(key);
    while (f != NULL && found == SIZE_MAX && fgets(line, sizeof line, f) != NULL) {
        unsigned long long v;
        if (strncmp(line, key, n) == 0 && sscanf(line + n, " %llu", &v) == 1 && v < SIZE_MAX) {
            found = (size_t)v;
        }
    }
    if (f != NULL) {
        fclose(f);
    }
    return found;
}

/* What a control group leaves: its limit minus what is in use, page cache not counted. */
static size_t group_left(const char *limit_file, const char *use_file, const char *stat_file,
                         const char *cache_key)
{
    const size_t limit = number_in(limit_file, "");
    const size_t use = number_in(use_file, "");
    if (limit == SIZE_MAX || use == SIZE_MAX) {
        return SIZE_MAX;
    }
    const size_t cache = number_in(stat_file, cache_key);
    const size_t held = cache < use ? use - cache : use;
    return held < limit ? limit - held : 0;
}

/* `ulimit -v`. */
static size_t address_space_left(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
        return SIZE_MAX;
    }
    const size_t kib = number_in("/proc/self/status", "VmSize:");
    const size_t use = kib < SIZE_MAX / 1024 ? kib * 1024 : 0;
    return use < limit.rlim_cur ? (size_t)limit.rlim_cur - use : 0;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t usage_now_bytes(void)
{
    const size_t kib = number_in("/proc/self/status", "VmRSS:");
    return kib < SIZE_MAX / 1024 ? kib * 1024 : SIZE_MAX;
}

bool usage_peak_reset(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "w");
    const bool written = f != NULL && fputs("5", f) >= 0;
    return f != NULL && fclose(f) == 0 && written;
}

size_t usage_left_bytes(void)
{
    const size_t kib = number_in("/proc/meminfo", "MemAvailable:");
    const size_t machine = kib < SIZE_MAX / 1024 ? kib * 1024 : SIZE_MAX;
    const size_t group2 = group_left("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current",
                                     "/sys/fs/cgroup/memory.stat", "file ");
    const size_t group1 = group_left("/sys/fs/cgroup/memory/memory.limit_in_bytes",
                                     "/sys/fs/cgroup/memory/memory.usage_in_bytes",
                                     "/sys/fs/cgroup/memory/memory.stat", "total_cache ");
    return least(least(machine, address_space_left()), least(group1, group2));
}
