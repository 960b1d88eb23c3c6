/*
 * rapl.h - the energy counters of a CPU, as Linux shows them under /sys/class/powercap: Intel's
 * RAPL, and AMD's, which goes by the same name there. Private to src/meter.
 */
#ifndef VOV_METER_RAPL_H
#define VOV_METER_RAPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RAPL_MAX_ZONES = 32, RAPL_PATH = 300 };

struct rapl_zone {
    char path[RAPL_PATH]; /* of its counter, in microjoules */
    uint64_t last;
    uint64_t range; /* where the counter begins again at 0 */
};

struct rapl {
    struct rapl_zone zone[RAPL_MAX_ZONES];
    int n;
};

/*
 * Finds the packages and their memory ("dram"). Other zones are left out: cores and graphics are
 * parts of a package, a platform ("psys") holds the packages, and intel-rapl-mmio shows a package a
 * second time. False: `why` has the reason and the command that would help.
 */
bool rapl_open(struct rapl *r, const char *root, char *why, size_t why_size);

/* Joules since rapl_open or the call before. False: a counter could not be read, `why` says which.
 */
bool rapl_read(struct rapl *r, double *joules, char *why, size_t why_size);

#endif
