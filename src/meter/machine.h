/*
 * machine.h - what a measurement ran on, and what disturbed it: read from /proc and /sys, of which
 * any part may be missing.
 */
#ifndef VOV_METER_MACHINE_H
#define VOV_METER_MACHINE_H

#include <stdbool.h>
#include <stddef.h>

struct machine {
    char cpu[100]; /* "AMD EPYC 7R13" */
    int cores;     /* that this program may use */
    bool virtual;  /* the CPU says that a hypervisor stands behind it */
    size_t memory_bytes;
    char os[200];      /* kernel and distribution */
    char governor[32]; /* of the clock; "" where it is not told */
    char program[100]; /* vov's version and commit, compiler, precision */
};
void machine_read(struct machine *m);

/* The command line of this program, cut to size. */
void machine_command(char *text, size_t size);

double machine_mhz(void);         /* now, the mean over cores; 0: not told */
double machine_temperature(void); /* now, of the hottest sensor, degrees Celsius; NAN: none */

/* A moment, and what happened between two of them. Sums of windows may be taken. */
struct moment {
    double busy, stolen, all; /* seconds of all cores together, since the start of the machine */
    double own;               /* of this process */
    long throttled;           /* how often the clock was lowered for heat */
    double mhz;
};
struct disturbance {
    double others, stolen,
        all; /* core seconds: other programs', the hypervisor's, all there were */
    long throttled;
    double mhz_least, mhz_most; /* at the ends of windows; 0: not told */
};
struct moment moment_now(void);
void disturbance_add(struct disturbance *d, const struct moment *from, const struct moment *to);

#endif
