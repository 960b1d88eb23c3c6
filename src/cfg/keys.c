/*
 * keys.c - fills a struct from a section by a table of keys. Defaults go through the same parsers
 * as what a file says.
 */
#include "keys.h"

#include "base/text.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

struct filler {
    struct cfg_file *cfg;
    const struct cfg_section *section;
    const struct key_spec *spec;
    const char *value;
    struct src_loc at; /* of the value */
    struct err *err;
};

static enum vov_status expected(const struct filler *f, const char *what)
{
    if (f->value[0] == '\0') {
        return err_at(f->err, &f->at, VOV_ECFG, "[%s] %s must be %s, and it is empty",
                      f->section->type, f->spec->name, what);
    }
    return err_at(f->err, &f->at, VOV_ECFG, "[%s] %s must be %s, not \"%s\"", f->section->type,
                  f->spec->name, what, f->value);
}

static bool bounded(const struct key_spec *spec)
{
    return spec->lo != 0 || spec->hi != 0;
}

static enum vov_status check_range(const struct filler *f, double v, double lo, double hi)
{
    if (v >= lo && v <= hi) {
        return VOV_OK;
    }
    return err_at(f->err, &f->at, VOV_ECFG, "[%s] %s must be between %.10g and %.10g, not %.10g",
                  f->section->type, f->spec->name, lo, hi, v);
}

static enum vov_status parse_int(const struct filler *f, const char *text, int *out)
{
    long long v;
    const bool any = !bounded(f->spec);
    if (!text_int(text, &v)) {
        return expected(f, "a whole number");
    }
    TRY(check_range(f, (double)v, any ? INT_MIN : f->spec->lo, any ? INT_MAX : f->spec->hi));
    *out = (int)v;
    return VOV_OK;
}

static enum vov_status parse_real(const struct filler *f, const char *text, double *out)
{
    double v;
    if (!text_real(text, &v)) {
        return expected(f, "a number");
    }
    if (bounded(f->spec)) {
        TRY(check_range(f, v, f->spec->lo, f->spec->hi));
    }
    *out = v;
    return VOV_OK;
}

/* Position of `value` among the blank-separated words of `choices`, or -1. */
static int choice_index(const char *choices, const char *value)
{
    const size_t n = strlen(value);
    int index = 0;
    for (const char *p = choices; *p != '\0'; index++) {
        const size_t length = strcspn(p, " ");
        if (length == n && memcmp(p, value, n) == 0) {
            return index;
        }
        p += length;
        p += strspn(p, " ");
    }
    return -1;
}

/* The choice that is meant, in memory of the cfg, or NULL. */
static const char *nearest_choice(const struct filler *f)
{
    enum { MOST = 64 };
    const char *words[MOST];
    int n = 0;
    char *copy = arena_strdup(&f->cfg->mem, f->spec->choices);
    for (char *p = copy; p != NULL && *p != '\0' && n < MOST; n++) {
        words[n] = p;
        p += strcspn(p, " ");
        if (*p != '\0') {
            *p++ = '\0';
        }
    }
    return text_nearest(f->value, words, n, sizeof words[0]);
}

static enum vov_status parse_enum(const struct filler *f, int *out)
{
    const int index = choice_index(f->spec->choices, f->value);
    if (index >= 0) {
        *out = index;
        return VOV_OK;
    }
    const char *near = nearest_choice(f);
    return err_at(f->err, &f->at, VOV_ECFG, "[%s] unknown %s \"%s\"; %s%s%sone of: %s",
                  f->section->type, f->spec->name, f->value, near != NULL ? "did you mean \"" : "",
                  near != NULL ? near : "", near != NULL ? "\"? " : "", f->spec->choices);
}

static enum vov_status parse_bool(const struct filler *f, bool *out)
{
    if (strcmp(f->value, "0") != 0 && strcmp(f->value, "1") != 0) {
        return expected(f, "0 or 1");
    }
    *out = f->value[0] == '1';
    return VOV_OK;
}

/* Cuts the value at its commas, trimmed, each piece in the cfg's memory. */
static enum vov_status split(struct filler *f, const char ***pieces, int *n)
{
    const char *whole = f->value;
    const struct src_loc whole_at = f->at;
    size_t most = 1;
    for (const char *p = whole; *p != '\0'; p++) {
        most += *p == ',';
    }
    char *copy = arena_strdup(&f->cfg->mem, whole);
    *pieces = most < INT_MAX ? arena_alloc(&f->cfg->mem, most * sizeof **pieces) : NULL;
    *n = 0;
    if (copy == NULL || *pieces == NULL) {
        return err_nomem(f->err, most * sizeof **pieces);
    }
    for (char *p = copy; p != NULL;) {
        char *comma = strchr(p, ',');
        char *end = comma != NULL ? comma : p + strlen(p);
        while (isspace((unsigned char)*p)) {
            p++;
        }
        f->at.col = whole_at.col + (int)(p - copy);
        while (end > p && isspace((unsigned char)end[-1])) {
            end--;
        }
        *end = '\0';
        if (*p == '\0') {
            f->value = p;
            return expected(f, "a list of values between single commas");
        }
        (*pieces)[(*n)++] = p;
        p = comma != NULL ? comma + 1 : NULL;
    }
    f->at = whole_at;
    return VOV_OK;
}

/* Items keep their own columns: `pieces` are cut from one copy of the value. */
static void look_at(struct filler *f, const char *const *pieces, int i, int col0)
{
    f->value = pieces[i];
    f->at.col = col0 + (int)(pieces[i] - pieces[0]);
}

static enum vov_status parse_ints(struct filler *f, struct int_list *out)
{
    const char **pieces;
    int n;
    TRY(split(f, &pieces, &n));
    int *v = arena_alloc(&f->cfg->mem, (size_t)n * sizeof *v);
    const int col0 = f->at.col;
    for (int i = 0; v != NULL && i < n; i++) {
        look_at(f, pieces, i, col0);
        TRY(parse_int(f, pieces[i], &v[i]));
    }
    *out = (struct int_list){v, n};
    return v != NULL ? VOV_OK : err_nomem(f->err, (size_t)n * sizeof *v);
}

static enum vov_status parse_reals(struct filler *f, struct real_list *out)
{
    const char **pieces;
    int n;
    TRY(split(f, &pieces, &n));
    double *v = arena_alloc(&f->cfg->mem, (size_t)n * sizeof *v);
    const int col0 = f->at.col;
    for (int i = 0; v != NULL && i < n; i++) {
        look_at(f, pieces, i, col0);
        TRY(parse_real(f, pieces[i], &v[i]));
    }
    *out = (struct real_list){v, n};
    return v != NULL ? VOV_OK : err_nomem(f->err, (size_t)n * sizeof *v);
}

static size_t field_bytes(enum key_type type)
{
    switch (type) {
    case KEY_INT:
    case KEY_ENUM:
        return sizeof(int);
    case KEY_REAL:
        return sizeof(double);
    case KEY_BOOL:
        return sizeof(bool);
    case KEY_INTS:
        return sizeof(struct int_list);
    case KEY_REALS:
        return sizeof(struct real_list);
    case KEY_NAME:
        return sizeof(const char *);
    case KEY_NAMES:
        return sizeof(struct name_list);
    case KEY_REFUSED:
        break;
    }
    return 0;
}

static enum vov_status parse(struct filler *f, void *field)
{
    switch (f->spec->type) {
    case KEY_INT:
        return parse_int(f, f->value, field);
    case KEY_REAL:
        return parse_real(f, f->value, field);
    case KEY_BOOL:
        return parse_bool(f, field);
    case KEY_ENUM:
        return parse_enum(f, field);
    case KEY_INTS:
        return parse_ints(f, field);
    case KEY_REALS:
        return parse_reals(f, field);
    case KEY_NAMES: {
        struct name_list *names = field;
        return split(f, &names->v, &names->n);
    }
    case KEY_NAME:
        if (f->value[0] == '\0') {
            return expected(f, "a name");
        }
        memcpy(field, &f->value, sizeof f->value);
        return VOV_OK;
    case KEY_REFUSED:
        break;
    }
    return VOV_EARG;
}

static enum vov_status fill_one(struct cfg_file *cfg, const struct cfg_section *s,
                                const struct key_spec *spec, void *out, struct err *err)
{
    const struct cfg_key *key = cfg_find(s, spec->name);
    char *field = (char *)out + spec->at;
    memset(field, 0, field_bytes(spec->type));
    if (key == NULL && spec->fallback == NULL) {
        return err_at(err, &s->at, VOV_ECFG, "[%s] the key %s is missing: %s", s->type, spec->name,
                      spec->doc != NULL ? spec->doc : "it has no default");
    }
    if (key == NULL && spec->fallback[0] == '\0') {
        return VOV_OK;
    }
    struct filler f = {.cfg = cfg, .section = s, .spec = spec, .err = err};
    f.value = key != NULL ? key->value : spec->fallback;
    f.at = key != NULL ? key->value_at : s->at;
    return parse(&f, field);
}

int keys_count(const struct key_spec *specs)
{
    int n = 0;
    while (specs[n].name != NULL && specs[n].type != KEY_REFUSED) {
        n++;
    }
    return n;
}

static enum vov_status check_known(const struct cfg_section *s, const struct key_spec *specs, int n,
                                   const struct cfg_key *key, struct err *err)
{
    for (const struct key_spec *k = specs; k->name != NULL; k++) {
        if (strcmp(k->name, key->name) == 0) {
            const bool known = k->type != KEY_REFUSED || strcmp(key->value, "0") == 0;
            return known ? VOV_OK
                         : err_at(err, &key->at, VOV_ECFG, "[%s] Darknet's %s is not built in: %s",
                                  s->type, k->name, k->doc);
        }
    }
    const char *near = n > 0 ? text_nearest(key->name, &specs[0].name, n, sizeof *specs) : NULL;
    if (near == NULL) {
        return err_at(err, &key->at, VOV_ECFG,
                      "[%s] unknown key \"%s\"; `vov help cfg %s` lists those that it has", s->type,
                      key->name, s->type);
    }
    return err_at(err, &key->at, VOV_ECFG, "[%s] unknown key \"%s\"; did you mean \"%s\"?", s->type,
                  key->name, near);
}

enum vov_status keys_fill(struct cfg_file *cfg, const struct cfg_section *s,
                          const struct key_spec *specs, void *out, struct err_list *errs)
{
    enum vov_status status = VOV_OK;
    const int n = keys_count(specs);
    for (int i = 0; i < s->n_keys; i++) {
        struct err err = {0};
        if (check_known(s, specs, n, &s->keys[i], &err) != VOV_OK) {
            status = err_list_add(errs, &err);
        }
    }
    for (int i = 0; i < n; i++) {
        struct err err = {0};
        if (fill_one(cfg, s, &specs[i], out, &err) != VOV_OK) {
            status = err_list_add(errs, &err);
        }
    }
    return status;
}
