/*
 * cfg.h - a Darknet-style text file as sections in order, each with its keys and their places.
 *
 * Accepted: key=value with blanks around anything, '#' and ';' comments on lines of their own and
 * after a value, CRLF, a UTF-8 byte order mark, no newline at the end. Refused with a place: keys
 * before the first section, a section name without its ']', NUL bytes, a line that is neither, an
 * empty file. A key given twice in a section: the first counts, and a warning says so.
 */
#ifndef VOV_CFG_H
#define VOV_CFG_H

#include "base/log.h"
#include "base/mem.h"

struct cfg_key {
    const char *name, *value;
    struct src_loc at;       /* of the name */
    struct src_loc value_at; /* of the value */
};

struct cfg_section {
    const char *type; /* "osa", without brackets, as written */
    struct src_loc at;
    struct cfg_key *keys;
    int n_keys, cap_keys;
};

struct cfg_file {
    struct arena mem; /* everything below, and what keys_fill makes */
    const char *path;
    const char *text; /* as read: stored in checkpoints */
    struct cfg_section *sections;
    int n_sections, cap_sections;
};

enum vov_status cfg_read(const char *path, const struct log *log, struct cfg_file *cfg,
                         struct err_list *errs);
enum vov_status cfg_parse(const char *path, const char *text, size_t n, const struct log *log,
                          struct cfg_file *cfg, struct err_list *errs);
void cfg_free(struct cfg_file *cfg);

/* "section.key=value" sets the key in every section of that type, or in the one with name=section,
 * adding it where it is missing. Its place is reported as "--set". */
enum vov_status cfg_set(struct cfg_file *cfg, const char *assignment, struct err *err);

const struct cfg_key *cfg_find(const struct cfg_section *s, const char *key); /* NULL: not given */

/* The canonical text: every section and key in order with its value after overrides. */
struct buf;
void cfg_print(const struct cfg_file *cfg, struct buf *out);

#endif
