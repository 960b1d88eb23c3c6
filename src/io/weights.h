/*
 * weights.h - named tensors of a file into the parameters of a graph, and back.
 */
#ifndef VOV_WEIGHTS_H
#define VOV_WEIGHTS_H

#include "graph/params.h"
#include "safetensors.h"

/* How a file and a net fit together. The texts name up to a few tensors each, "" when none. */
struct weights_report {
    int matched, missing, misshapen, extra;
    char missing_names[100], misshapen_names[200], extra_names[100];
};

/* The tensors of a file whose names begin with `prefix`; "" leaves out those of the momentum. */
struct weights_file {
    const struct safetensors *st;
    const char *path; /* for messages */
    const char *prefix;
};

/*
 * Fills `which` (p->val or p->mom) with the tensors called prefix + parameter's name, or PyTorch's
 * name for it: dots for slashes; of norms weight, bias, running_mean, running_var. With a
 * report what fits is taken and the report says the rest; without one anything that does not fit
 * is an error, VOV_EFORMAT, and nothing was changed. VOV_EFORMAT too when a number is not finite;
 * what came before it has been taken then. The file's numbers that were taken are gone from f->st
 * (safetensors_forget): they are loaded once.
 */
enum vov_status weights_load(const struct weights_file *f, struct params *p, real *which,
                             struct weights_report *report, struct err *err);

/* Describes parameter t as a tensor to write under `name`: its value, or its momentum where the
 * name begins with WEIGHTS_MOMENTUM. The name is borrowed. */
struct st_source weights_source(const struct params *p, const struct tensor *t, const char *name);

#define WEIGHTS_MOMENTUM "momentum/"

#endif
