/*
 * sim.h - settings, reports and the counting of calls: what every part of the simulator shares.
 */
#ifndef VOV_TESTS_CUDASIM_SIM_H
#define VOV_TESTS_CUDASIM_SIM_H

#include "cusim.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SIM_DEVICES = 4 };

/* What the environment and cusim.h choose. */
struct sim_settings {
    bool deferred; /* CUSIM_DEFER=0: work runs when it is queued, not as late as the rules allow */
    bool races;    /* CUSIM_RACE=0: no search for races, which halves the time */
    bool trace;    /* CUSIM_TRACE=1: print each call */
    bool count;    /* CUSIM_COUNT=1: print the number of calls at the end */
    enum cusim_order order; /* CUSIM_ORDER=forward, reversed, random or random:SEED */
    uint64_t seed;
    bool profile;   /* CUSIM_PROFILE=1: at the end, what each kernel ran */
    uint64_t steps; /* CUSIM_STEPS: warp instructions after which a block "does not end" */
    size_t memory;  /* CUSIM_MEMORY: bytes of a device's memory, given in MiB */
    int devices;    /* CUSIM_DEVICES=1 to SIM_DEVICES */
    int compute;    /* CUSIM_COMPUTE: 10 times the compute capability that they say they have */
    long fail_at;   /* CUSIM_FAIL=n: the n-th call fails; 0: none */
};
extern struct sim_settings sim_settings;

/* Prints one line "cusim: PLACE: ..." on stderr and counts it. The place is where the program made
 * the call that is at work, or that put the work at hand on a stream.
 */
void sim_report(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same with a place that the caller knows; NULL: none. */
void sim_report_at(const char *place, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Ends the program with CUSIM_EXIT_UNFIT: it cannot be simulated. */
void sim_unfit(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Where in the program: a return address, which site.c turns into "file.c:12". */
typedef const void *sim_site;
sim_site sim_current_site(void);
void sim_set_site(sim_site site);
const char *site_place(sim_site site, char *text, size_t size);

/* Counts one call of the libraries, made at `site`. True: this call was chosen to fail. */
bool sim_call(const char *api, sim_site site);

/* The calling thread's current device (cudaSetDevice). is_here: whether it is this one; if not, a
 * report says that `who` works on another's.
 */
int sim_device(void);
bool sim_is_here(const char *who, int device);

/* The simulator's own memory: never NULL, zeroed. */
void *sim_alloc(size_t bytes);

/* Makes room for one more element of `size` bytes in an array of `count`, which may be NULL. */
void *sim_grow(void *array, size_t count, size_t size);

/* A random number below n, from the seed. */
uint64_t sim_random(uint64_t n);

/* One thread at a time is inside the libraries. Recursive. */
void sim_lock(void);
void sim_unlock(const int *unused);

/* At the start of each function of the libraries: SIM_LOCK takes the lock until its end;
 * SIM_CALL also counts the call.
 * sim_fails: this call was chosen to fail.
 */
#define SIM_LOCK()                                                                                 \
    sim_lock();                                                                                    \
    __attribute__((cleanup(sim_unlock), unused)) const int sim_locked = 0
#define SIM_CALL()                                                                                 \
    SIM_LOCK();                                                                                    \
    __attribute__((unused)) const bool sim_fails = sim_call(__func__, __builtin_return_address(0))

#endif
