/*
 * sim.c - settings from the environment, reports, the counting of calls and the end of the program.
 */
#include "sim.h"

#include "exec.h"
#include "handle.h"
#include "mem.h"
#include "stream.h"

#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct sim_settings sim_settings = {
    .deferred = true, .races = true, .steps = 1u << 28, .memory = (size_t)8 << 30};

static struct {
    int reports;
    const char **names; /* of all calls */
    long calls;
    const char *failed;
    sim_site site;
    sim_site *places; /* where calls come from */
    long place_count;
    sim_site failing; /* of them; NULL: none */
    uint64_t random;
    pthread_mutex_t mutex;
} state;

__attribute__((format(printf, 2, 0))) static void report(const char *place, const char *format,
                                                         va_list args)
{
    fputs("cusim: ", stderr);
    if (place) {
        fprintf(stderr, "%s: ", place);
    }
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    state.reports++;
}

void sim_report(const char *format, ...)
{
    char place[160];
    va_list args;
    va_start(args, format);
    report(site_place(state.site, place, sizeof place), format, args);
    va_end(args);
}

void sim_report_at(const char *place, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report(place, format, args);
    va_end(args);
}

void sim_unfit(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report(NULL, format, args);
    va_end(args);
    fflush(NULL);
    _exit(CUSIM_EXIT_UNFIT);
}

sim_site sim_current_site(void)
{
    return state.site;
}

void sim_set_site(sim_site site)
{
    state.site = site;
}

static void remember(sim_site site)
{
    for (long i = 0; i < state.place_count; i++) {
        if (state.places[i] == site) {
            return;
        }
    }
    state.places = sim_grow(state.places, (size_t)state.place_count, sizeof *state.places);
    state.places[state.place_count++] = site;
}

bool sim_call(const char *api, sim_site site)
{
    state.names = sim_grow(state.names, (size_t)state.calls, sizeof *state.names);
    state.names[state.calls++] = api;
    state.site = site;
    remember(site);
    if (sim_settings.trace) {
        char place[160];
        fprintf(stderr, "cusim: call %ld %s at %s\n", state.calls, api,
                site_place(site, place, sizeof place));
    }
    if (state.calls != sim_settings.fail_at && site != state.failing) {
        return false;
    }
    state.failed = api;
    state.failing = NULL;
    return true;
}

void *sim_alloc(size_t bytes)
{
    void *p = calloc(1, bytes ? bytes : 1);
    if (!p) {
        sim_unfit("out of memory for the simulator itself");
    }
    return p;
}

void *sim_grow(void *array, size_t count, size_t size)
{
    if (count & (count - 1)) {
        return array; /* the room is a power of two */
    }
    void *p = realloc(array, (count ? 2 * count : 1) * size);
    if (!p) {
        sim_unfit("out of memory for the simulator itself");
    }
    return p;
}

/* xorshift64* (Vigna 2014). */
uint64_t sim_random(uint64_t n)
{
    uint64_t x = state.random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    state.random = x;
    return n ? (x * 0x2545f4914f6cdd1du >> 16) % n : 0;
}

void sim_lock(void)
{
    pthread_mutex_lock(&state.mutex);
}

void sim_unlock(const int *unused)
{
    (void)unused;
    pthread_mutex_unlock(&state.mutex);
}

void cusim_set_order(enum cusim_order order, uint64_t seed)
{
    sim_settings.order = order;
    sim_settings.seed = seed;
    state.random = 0x9e3779b97f4a7c15u ^ (seed * 0xd1342543de82ef95u);
    state.random += !state.random;
}

void cusim_set_compute(int compute)
{
    sim_settings.compute = compute;
}

long cusim_calls(void)
{
    return state.calls;
}

const char *cusim_call_name(long i)
{
    return state.names[i];
}

void cusim_fail_after(long calls)
{
    sim_settings.fail_at = calls < 0 ? 0 : state.calls + calls + 1;
    state.failing = NULL;
    state.failed = NULL;
}

long cusim_places(void)
{
    return state.place_count;
}

void cusim_fail_place(long i)
{
    state.failing = i >= 0 && i < state.place_count ? state.places[i] : NULL;
    state.failed = NULL;
}

const char *cusim_failed_call(void)
{
    return state.failed;
}

int cusim_reports(void)
{
    return state.reports;
}

void cusim_forget(void)
{
    state.reports = 0;
}

size_t cusim_alive(void)
{
    return mem_alive() + handle_alive();
}

static long number(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text ? strtol(text, NULL, 0) : otherwise;
}

static void read_order(void)
{
    const char *text = getenv("CUSIM_ORDER");
    enum cusim_order order = CUSIM_FORWARD;
    uint64_t seed = 1;
    if (text && strncmp(text, "random", 6) == 0) {
        order = CUSIM_RANDOM;
        seed = text[6] == ':' ? strtoull(text + 7, NULL, 0) : 1;
    } else if (text && strcmp(text, "reversed") == 0) {
        order = CUSIM_REVERSED;
    } else if (text && strcmp(text, "forward") != 0) {
        sim_unfit("CUSIM_ORDER=%s: expected forward, reversed, random or random:SEED", text);
    }
    cusim_set_order(order, seed);
}

static void read_devices(void)
{
    sim_settings.devices = (int)number("CUSIM_DEVICES", 1);
    sim_settings.compute = (int)number("CUSIM_COMPUTE", 80);
    if (sim_settings.devices < 1 || sim_settings.devices > SIM_DEVICES) {
        sim_unfit("CUSIM_DEVICES: expected 1 to %d", SIM_DEVICES);
    }
}

static void at_end(void)
{
    mem_report_leaks();
    handle_report_leaks();
    stream_report_pending();
    if (sim_settings.count) {
        fprintf(stderr, "cusim: %ld calls\n", state.calls);
    }
    if (sim_settings.profile) {
        exec_print_profile();
    }
    if (state.reports > 0) {
        fprintf(stderr, "cusim: %d reports\n", state.reports);
        fflush(NULL);
        _exit(CUSIM_EXIT);
    }
}

/* Before the constructors of the program, which register its kernels. */
__attribute__((constructor(101))) static void at_start(void)
{
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&state.mutex, &recursive);
    mallopt(M_MMAP_THRESHOLD, 64 << 20); /* a launch takes memory that the next takes again */
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    sim_settings.deferred = number("CUSIM_DEFER", 1) != 0;
    sim_settings.races = number("CUSIM_RACE", 1) != 0;
    sim_settings.trace = number("CUSIM_TRACE", 0) != 0;
    sim_settings.profile = number("CUSIM_PROFILE", 0) != 0;
    sim_settings.count = number("CUSIM_COUNT", 0) != 0;
    sim_settings.steps = (uint64_t)number("CUSIM_STEPS", 1 << 28);
    sim_settings.memory = (size_t)number("CUSIM_MEMORY", 8192) << 20;
    sim_settings.fail_at = number("CUSIM_FAIL", 0);
    read_order();
    read_devices();
    mem_start();
    atexit(at_end);
}
