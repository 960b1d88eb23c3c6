/*
 * err.h - how every module reports failure: a status, a message and, where there is one, a place
 * in a text file. The first error wins; nobody prints but the CLI.
 */
#ifndef VOV_ERR_H
#define VOV_ERR_H

#include "vov.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

/* A position in a text file. The strings belong to the cfg_file, which outlives the model. */
struct src_loc {
    const char *file;
    const char *text; /* the whole line, for the caret display */
    int line, col;    /* from 1; line 0 means no position */
};

struct err {
    enum vov_status code;
    struct src_loc at;
    char msg[400];
};

/* Several errors of one file, so that a user mends them in one round. */
enum { ERR_LIST_MAX = 10 };
struct err_list {
    struct err item[ERR_LIST_MAX];
    int n;     /* of item[] */
    int total; /* how many were met, kept or not */
};

#define VOV_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

/* Both return `code`, so that a failing path is one line. `err` may be NULL. An err that already
 * holds an error keeps it. */
enum vov_status err_set(struct err *err, enum vov_status code, const char *fmt, ...)
    VOV_PRINTF(3, 4);
enum vov_status err_at(struct err *err, const struct src_loc *at, enum vov_status code,
                       const char *fmt, ...) VOV_PRINTF(4, 5);

/* VOV_EIO with the path, what was tried ("read", "write", ...) and the text of errno. */
enum vov_status err_io(struct err *err, const char *verb, const char *path);

/* Of reading an input whole: one that cannot be read (VOV_EIO) is as wrong as one with wrong
 * content, and gets that code. Any other status is handed on. */
enum vov_status err_of_input(struct err *err, enum vov_status status, enum vov_status code);

/* VOV_ENOMEM with the number of bytes that were asked for. */
enum vov_status err_nomem(struct err *err, size_t bytes);

/* Adds a place and a node name to an error raised where no cfg is known. Returns err->code. */
enum vov_status err_locate(struct err *err, const struct src_loc *at, const char *node);

/* Takes a copy of err, in order, while there is room. Returns err->code. */
enum vov_status err_list_add(struct err_list *list, const struct err *err);

/* Prints "file:line:col: error: msg", the line, and a caret under the column. */
void err_print(const struct err *err, FILE *out);
void err_show(const struct err *err, bool color, FILE *out); /* the same, "error:" in red */

/* Hands a failure on. For functions that own nothing yet; the others say `goto done`. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        enum vov_status try_status = (call);                                                       \
        if (try_status != VOV_OK) {                                                                \
            return try_status;                                                                     \
        }                                                                                          \
    } while (0)

#endif
