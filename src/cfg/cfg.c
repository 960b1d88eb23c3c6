/*
 * cfg.c - reads a Darknet-style text file line by line. Every line is kept, so that an error can
 * show it; reading goes on after a bad line, so that several are reported at once.
 */
#include "cfg.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/text.h"

#include <ctype.h>
#include <string.h>

static const size_t file_max = (size_t)4 << 20;
enum { KEYS_MAX = 256 }; /* of one section; no table of keys is near it */

struct reader {
    struct cfg_file *cfg;
    const struct log *log;
    struct err_list *errs;
    struct src_loc at;     /* the line; col moves */
    enum vov_status worst; /* VOV_ENOMEM stops, VOV_ECFG does not */
};

/* A piece of a line: p[0..n-1]. */
struct piece {
    const char *p;
    size_t n;
};

static struct piece trim(struct piece s)
{
    while (s.n > 0 && isspace((unsigned char)s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && isspace((unsigned char)s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

static bool is_comment(char c)
{
    return c == '#' || c == ';';
}

/* Without the comment after a value: a mark at the start or after a blank. */
static struct piece strip_comment(struct piece s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (is_comment(s.p[i]) && (i == 0 || isspace((unsigned char)s.p[i - 1]))) {
            s.n = i;
        }
    }
    return trim(s);
}

static struct src_loc place(const struct reader *r, const char *p)
{
    struct src_loc at = r->at;
    at.col = (int)(p - at.text) + 1;
    return at;
}

static void complain(struct reader *r, const char *p, const char *message)
{
    struct err err = {0};
    const struct src_loc at = place(r, p);
    err_at(&err, &at, VOV_ECFG, "%s", message);
    r->worst = err_list_add(r->errs, &err);
}

static void run_out(struct reader *r)
{
    struct err err = {0};
    err_nomem(&err, 0);
    r->worst = err_list_add(r->errs, &err);
}

static char *keep(struct reader *r, struct piece s)
{
    char *copy = arena_alloc(&r->cfg->mem, s.n + 1);
    if (copy == NULL) {
        run_out(r);
        return NULL;
    }
    memcpy(copy, s.p, s.n);
    return copy;
}

/* vec_grow's doubling, in the arena: the array that was outgrown stays there until the end. */
static bool grow(struct arena *mem, void **v, int n, int *cap, size_t item_bytes)
{
    if (n < *cap) {
        return true;
    }
    const int more = *cap > 0 ? *cap * 2 : 8;
    void *p = arena_alloc(mem, (size_t)more * item_bytes);
    if (p == NULL) {
        return false;
    }
    if (n > 0) {
        memcpy(p, *v, (size_t)n * item_bytes);
    }
    *v = p;
    *cap = more;
    return true;
}

static bool add_key(struct cfg_file *cfg, struct cfg_section *s, const struct cfg_key *key)
{
    void *keys = s->keys;
    if (!grow(&cfg->mem, &keys, s->n_keys, &s->cap_keys, sizeof *s->keys)) {
        return false;
    }
    s->keys = keys;
    s->keys[s->n_keys++] = *key;
    return true;
}

static void read_section(struct reader *r, struct piece line)
{
    struct cfg_file *cfg = r->cfg;
    const char *end = memchr(line.p, ']', line.n);
    if (end == NULL) {
        complain(r, line.p, "a section name without its ']'");
        return;
    }
    const struct piece name = trim((struct piece){line.p + 1, (size_t)(end - line.p) - 1});
    const struct piece rest =
        strip_comment((struct piece){end + 1, line.n - (size_t)(end - line.p) - 1});
    if (name.n == 0) {
        complain(r, line.p, "a section needs a name between '[' and ']'");
        return;
    }
    if (rest.n > 0) {
        complain(r, rest.p, "nothing but a comment may follow a section's ']'");
        return;
    }
    const char *type = keep(r, name);
    void *sections = cfg->sections;
    if (type == NULL) {
        return;
    }
    if (!grow(&cfg->mem, &sections, cfg->n_sections, &cfg->cap_sections, sizeof *cfg->sections)) {
        run_out(r);
        return;
    }
    cfg->sections = sections;
    cfg->sections[cfg->n_sections++] = (struct cfg_section){.type = type, .at = place(r, line.p)};
}

static void store_key(struct reader *r, struct cfg_section *s, const struct cfg_key *key)
{
    const struct cfg_key *first = cfg_find(s, key->name);
    if (first != NULL) {
        log_put(r->log, LOG_WARN,
                "%s:%d:%d: [%s] %s is given twice; the first counts, %s in line %d", key->at.file,
                key->at.line, key->at.col, s->type, key->name, first->value, first->at.line);
    } else if (s->n_keys == KEYS_MAX) {
        complain(r, key->at.text + key->at.col - 1, "more than 256 keys in one section");
    } else if (!add_key(r->cfg, s, key)) {
        run_out(r);
    }
}

static void read_key(struct reader *r, struct piece line)
{
    const char *equals = memchr(line.p, '=', line.n);
    if (equals == NULL) {
        complain(r, line.p, "expected [section], key=value or a comment");
        return;
    }
    const struct piece name = trim((struct piece){line.p, (size_t)(equals - line.p)});
    const struct piece value =
        strip_comment((struct piece){equals + 1, line.n - (size_t)(equals - line.p) - 1});
    if (name.n == 0) {
        complain(r, line.p, "a key is missing before '='");
        return;
    }
    if (r->cfg->n_sections == 0) {
        complain(r, line.p, "a key before the first section; a file begins with [net]");
        return;
    }
    struct cfg_key key = {.at = place(r, name.p), .name = keep(r, name)};
    key.value = keep(r, value);
    key.value_at = place(r, value.n > 0 ? value.p : equals + 1);
    if (key.name != NULL && key.value != NULL) {
        store_key(r, &r->cfg->sections[r->cfg->n_sections - 1], &key);
    }
}

/* The first byte that no text file holds, or NULL. */
static const char *control_byte(struct piece s)
{
    for (size_t i = 0; i < s.n; i++) {
        const unsigned char c = (unsigned char)s.p[i];
        if ((c < 32 && c != '\t' && c != '\f' && c != '\v') || c == 127) {
            return s.p + i;
        }
    }
    return NULL;
}

static void read_line(struct reader *r, struct piece raw)
{
    if (raw.n > 0 && raw.p[raw.n - 1] == '\r') {
        raw.n--;
    }
    const char *control = control_byte(raw);
    const char *text = keep(r, raw);
    if (text == NULL) {
        return;
    }
    r->at = (struct src_loc){.file = r->cfg->path, .text = text, .line = r->at.line + 1};
    if (control != NULL) {
        complain(r, text + (control - raw.p),
                 *control == '\0' ? "a NUL byte; this is no text file"
                                  : "a control byte; this is no text file");
        return;
    }
    const struct piece line = trim((struct piece){text, raw.n});
    if (line.n == 0 || is_comment(line.p[0])) {
        return;
    }
    if (line.p[0] == '[') {
        read_section(r, line);
    } else {
        read_key(r, line);
    }
}

enum vov_status cfg_parse(const char *path, const char *text, size_t n, const struct log *log,
                          struct cfg_file *cfg, struct err_list *errs)
{
    *cfg = (struct cfg_file){0};
    struct reader r = {.cfg = cfg, .log = log, .errs = errs};
    cfg->path = keep(&r, (struct piece){path, strlen(path)});
    cfg->text = keep(&r, (struct piece){text, n});
    size_t pos = n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (pos < n && r.worst != VOV_ENOMEM) {
        const char *end = memchr(text + pos, '\n', n - pos);
        const size_t length = end != NULL ? (size_t)(end - text) - pos : n - pos;
        read_line(&r, (struct piece){text + pos, length});
        pos += length + 1;
    }
    if (r.worst == VOV_OK && cfg->n_sections == 0) {
        r.at = (struct src_loc){.file = cfg->path, .text = "", .line = 1};
        complain(&r, r.at.text, "no section in this file; it should begin with [net]");
    }
    return r.worst;
}

enum vov_status cfg_read(const char *path, const struct log *log, struct cfg_file *cfg,
                         struct err_list *errs)
{
    struct buf text = {.max = file_max};
    struct err err = {0};
    *cfg = (struct cfg_file){0};
    enum vov_status status = err_of_input(&err, file_read(path, file_max, &text, &err), VOV_ECFG);
    if (status == VOV_OK) {
        status = cfg_parse(path, text.p != NULL ? text.p : "", text.n, log, cfg, errs);
    } else {
        err_list_add(errs, &err);
    }
    buf_free(&text);
    return status;
}

void cfg_free(struct cfg_file *cfg)
{
    arena_free(&cfg->mem);
    *cfg = (struct cfg_file){0};
}

const struct cfg_key *cfg_find(const struct cfg_section *s, const char *key)
{
    for (int i = 0; i < s->n_keys; i++) {
        if (strcmp(s->keys[i].name, key) == 0) {
            return &s->keys[i];
        }
    }
    return NULL;
}

static bool set_in(struct cfg_file *cfg, struct cfg_section *s, const struct cfg_key *key)
{
    for (int i = 0; i < s->n_keys; i++) {
        if (strcmp(s->keys[i].name, key->name) == 0) {
            s->keys[i] = *key;
            return true;
        }
    }
    return add_key(cfg, s, key);
}

static bool is_meant(const struct cfg_section *s, const char *name, bool by_name)
{
    const struct cfg_key *key = by_name ? cfg_find(s, "name") : NULL;
    return by_name ? key != NULL && strcmp(key->value, name) == 0 : strcmp(s->type, name) == 0;
}

static enum vov_status no_such_section(const struct cfg_file *cfg, const char *name,
                                       const struct src_loc *at, struct err *err)
{
    const char *near = text_nearest(name, cfg->n_sections > 0 ? &cfg->sections[0].type : NULL,
                                    cfg->n_sections, sizeof *cfg->sections);
    if (near == NULL) {
        return err_at(err, at, VOV_ECFG, "%s has no section called \"%s\"", cfg->path, name);
    }
    return err_at(err, at, VOV_ECFG, "%s has no section called \"%s\"; did you mean \"%s\"?",
                  cfg->path, name, near);
}

/* Cuts "section.key=value", which r->at.text is, into its parts, kept. */
static enum vov_status cut_assignment(struct reader *r, const char **section, struct cfg_key *key,
                                      struct err *err)
{
    const char *text = r->at.text;
    const char *equals = strchr(text, '=');
    const char *dot = strchr(text, '.');
    if (equals == NULL || dot == NULL || dot > equals || dot == text || dot + 1 == equals) {
        return err_at(err, &r->at, VOV_EARG, "expected section.key=value, as in net.batch=8");
    }
    const char *control = control_byte((struct piece){text, strlen(text)});
    if (control != NULL) {
        r->at.col = (int)(control - text) + 1;
        return err_at(err, &r->at, VOV_EARG, "a control byte, such as the end of a line");
    }
    const struct piece name = trim((struct piece){dot + 1, (size_t)(equals - dot) - 1});
    *section = keep(r, trim((struct piece){text, (size_t)(dot - text)}));
    key->name = keep(r, name);
    key->value = keep(r, trim((struct piece){equals + 1, strlen(equals + 1)}));
    key->at = place(r, name.p);
    key->value_at = place(r, equals + 1);
    return r->worst == VOV_OK ? VOV_OK : err_nomem(err, strlen(text));
}

/* Sets the key in every section that is meant, counted in *n_set. */
static enum vov_status set_all(struct cfg_file *cfg, const char *section, bool by_name,
                               const struct cfg_key *key, int *n_set, struct err *err)
{
    for (int i = 0; i < cfg->n_sections; i++) {
        if (!is_meant(&cfg->sections[i], section, by_name)) {
            continue;
        }
        if (!set_in(cfg, &cfg->sections[i], key)) {
            return err_nomem(err, sizeof *key);
        }
        (*n_set)++;
    }
    return VOV_OK;
}

enum vov_status cfg_set(struct cfg_file *cfg, const char *assignment, struct err *err)
{
    const char *text = arena_strdup(&cfg->mem, assignment);
    if (text == NULL) {
        return err_nomem(err, strlen(assignment));
    }
    struct reader r = {.cfg = cfg, .at = {.file = "--set", .text = text, .line = 1, .col = 1}};
    const char *section = NULL;
    struct cfg_key key;
    int n_set = 0;
    TRY(cut_assignment(&r, &section, &key, err));
    TRY(set_all(cfg, section, false, &key, &n_set, err));
    if (n_set == 0) {
        TRY(set_all(cfg, section, true, &key, &n_set, err));
    }
    return n_set > 0 ? VOV_OK : no_such_section(cfg, section, &r.at, err);
}

void cfg_print(const struct cfg_file *cfg, struct buf *out)
{
    for (int i = 0; i < cfg->n_sections; i++) {
        const struct cfg_section *s = &cfg->sections[i];
        buf_printf(out, "%s[%s]\n", i > 0 ? "\n" : "", s->type);
        for (int k = 0; k < s->n_keys; k++) {
            buf_printf(out, "%s=%s\n", s->keys[k].name, s->keys[k].value);
        }
    }
}
