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

/* The tensors of a file whose names begin with `prefix`; "" leaves out what only training needs. */
struct weights_file {
    const struct safetensors *st;
    const char *path; /* for messages */
    const char *prefix;
    /* Told of each PARAM_WEIGHT when it has been filled, and all other kinds with it. NULL: nobody
     * is. */
    enum vov_status (*filled)(void *user, const struct tensor *t, struct err *err);
    void *user;
};

/*
 * Fills `which` (p->val, mom or avg) with the tensors called prefix + parameter's name, or
 * PyTorch's name for it: dots for slashes; of norms weight, bias, running_mean, running_var. With a
 * report what fits is taken and the report says the rest; without one anything that does not fit
 * is an error, VOV_EFORMAT, and nothing was changed. VOV_EFORMAT too when a number is not finite;
 * what came before it has been taken then.
 */
enum vov_status weights_load(const struct weights_file *f, struct params *p, real *which,
                             struct weights_report *report, struct err *err);

/* The values from the file of that name, which must have all of them and nothing else. */
enum vov_status weights_read(const char *path, struct params *p, struct err *err);

/* Describes parameter t as a tensor to write under `name`: its result (params_result), or its
 * momentum or its value where the name begins with WEIGHTS_MOMENTUM or WEIGHTS_UNAVERAGED. The name
 * is borrowed. */
struct st_source weights_source(const struct params *p, const struct tensor *t, const char *name);

/* What only training needs: the momentum, and where an average is kept the values themselves. */
#define WEIGHTS_MOMENTUM "momentum/"
#define WEIGHTS_UNAVERAGED "unaveraged/"

/* Whether a file has tensors of such a kind. */
bool weights_have(const struct safetensors *st, const char *prefix);

#endif
