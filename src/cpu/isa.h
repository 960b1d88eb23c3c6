/*
 * isa.h - which of the kernels that were compiled this machine can run.
 */
#ifndef VOV_CPU_ISA_H
#define VOV_CPU_ISA_H

#include "base/err.h"
#include "kernels.h"

#include <stdbool.h>

struct isa {
    const char *name; /* "base" is plain C for any machine */
    const struct cpu_kernels *kernels;
    bool runs; /* here */
};

enum { MAX_ISAS = 4 };

/* Fills in those compiled into this program, the best first and "base" last; returns how many. */
int isa_list(struct isa list[MAX_ISAS]);

/* The best that runs, or the one named; NULL or "" names none. VOV_EARG for an unknown one,
 * VOV_EUNSUPPORTED for one that does not run here. */
enum vov_status isa_choose(const char *name, struct isa *isa, struct err *err);

#endif
