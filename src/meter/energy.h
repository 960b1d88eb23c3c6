/*
 * energy.h - joules of the CPU (RAPL) and of a GPU (NVML) between two moments. What cannot be read
 * is never 0: it has a reason, with the command that would make it readable.
 */
#ifndef VOV_METER_ENERGY_H
#define VOV_METER_ENERGY_H

#include "base/err.h"

enum energy_unit { ENERGY_CPU, ENERGY_GPU, ENERGY_UNITS };

/*
 * AUTO: RAPL, and the counter of the GPU where one is asked for (its power, sampled, where it has
 * no counter). COUNTER and SAMPLE100 add the GPU; SAMPLE100 is the VoVNet paper's way: the mean of
 * its power, asked each 100 ms, times the duration. RAPL: the CPU alone.
 */
enum energy_method { ENERGY_AUTO, ENERGY_RAPL, ENERGY_COUNTER, ENERGY_SAMPLE100 };

struct energy_options {
    enum energy_method method;
    bool gpu;             /* the nets run on a GPU */
    const char *pci;      /* which GPU; NULL: the first */
    const char *powercap; /* NULL: /sys/class/powercap */
    const char *nvml;     /* NULL: the driver's library */
};

struct energy_part {
    bool wanted, readable;
    const char *source; /* "rapl", "nvml counter", "nvml power, each 100 ms" */
    char why[500];      /* where it is wanted and not readable */
};

struct energy_window {
    double seconds;
    double joules[ENERGY_UNITS]; /* NAN: not readable */
    long ticks[ENERGY_UNITS];    /* how often a value was seen to change (at most each 100 ms), or
                                    was sampled: an end of the window is sure to that much */
};

struct energy;

/* That nothing can be read is no failure. VOV_ENOMEM. */
enum vov_status energy_open(const struct energy_options *opt, struct energy **energy,
                            struct err *err);
void energy_close(struct energy *e); /* NULL is fine */
const struct energy_part *energy_part(const struct energy *e, enum energy_unit unit);
bool energy_readable(const struct energy *e); /* any part of it */

/* Windows follow each other and do not overlap. A thread looks at the counters each 100 ms between
 * the two. VOV_ENOMEM: it could not be started. */
enum vov_status energy_begin(struct energy *e, struct err *err);
void energy_end(struct energy *e, struct energy_window *w);

#endif
