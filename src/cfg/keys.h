/*
 * keys.h - a table says which keys a section takes, their types, ranges, defaults and what they
 * mean. It fills and checks a struct, and is the only source for `vov help cfg` and docs/cfg.md.
 */
#ifndef VOV_KEYS_H
#define VOV_KEYS_H

#include "cfg.h"

#include <stdbool.h>

enum key_type {
    KEY_INT,     /* int */
    KEY_REAL,    /* double */
    KEY_BOOL,    /* bool: 0 or 1 */
    KEY_ENUM,    /* int: index into the words of `choices` */
    KEY_INTS,    /* struct int_list; lo, hi bound each item */
    KEY_REALS,   /* struct real_list */
    KEY_NAME,    /* const char * */
    KEY_NAMES,   /* struct name_list */
    KEY_REFUSED, /* of Darknet and not built in, as doc says; 0 is taken. At its table's end */
};

struct int_list {
    int *v, n;
};
struct real_list {
    double *v;
    int n;
};
struct name_list {
    const char **v;
    int n;
};

struct key_spec {
    const char *name;
    const char *fallback; /* as text; NULL: the key must be given; "": empty, none, NULL */
    enum key_type type;
    size_t at;           /* offsetof() of the field that it fills */
    double lo, hi;       /* both 0: any */
    const char *choices; /* of KEY_ENUM: "linear relu leaky" */
    const char *doc;     /* one line */
};

/* How many keys a section takes: those of the table that are not refused. */
int keys_count(const struct key_spec *specs);

/*
 * Fills *out (cleared first; lists and names live in cfg->mem). Every wrong key goes into errs: an
 * unknown name with the nearest known one, a refused one with the reason, a value that does not
 * parse or is out of range, a missing key. VOV_OK only when all was right.
 */
enum vov_status keys_fill(struct cfg_file *cfg, const struct cfg_section *s,
                          const struct key_spec *specs, void *out, struct err_list *errs);

#endif
