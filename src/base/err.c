/*
 * err.c - errors as values, and how one is shown: place, message, the line and a caret.
 */
#include "err.h"

#include <errno.h>
#include <string.h>

enum { SHOWN_LINE = 160 }; /* bytes of a line that are shown; the window moves with the column */

__attribute__((format(printf, 3, 0))) static void fill(struct err *err, enum vov_status code,
                                                       const char *fmt, va_list args)
{
    err->code = code;
    vsnprintf(err->msg, sizeof err->msg, fmt, args);
}

enum vov_status err_set(struct err *err, enum vov_status code, const char *fmt, ...)
{
    if (err != NULL && err->code == VOV_OK) {
        va_list args;
        va_start(args, fmt);
        err->at = (struct src_loc){0};
        fill(err, code, fmt, args);
        va_end(args);
    }
    return code;
}

enum vov_status err_at(struct err *err, const struct src_loc *at, enum vov_status code,
                       const char *fmt, ...)
{
    if (err != NULL && err->code == VOV_OK) {
        va_list args;
        va_start(args, fmt);
        err->at = at != NULL ? *at : (struct src_loc){0};
        fill(err, code, fmt, args);
        va_end(args);
    }
    return code;
}

enum vov_status err_io(struct err *err, const char *verb, const char *path)
{
    const int number = errno;
    const size_t n = strlen(path), most = 250;
    char reason[128];
    return err_set(err, VOV_EIO, "cannot %s %s%s: %s", verb,
                   n > most ? "..."
                   : n == 0 ? "\"\""
                            : "",
                   n > most ? path + n - most : path, strerror_r(number, reason, sizeof reason));
}

enum vov_status err_of_input(struct err *err, enum vov_status status, enum vov_status code)
{
    if (status != VOV_EIO) {
        return status;
    }
    if (err != NULL && err->code == VOV_EIO) {
        err->code = code;
    }
    return code;
}

enum vov_status err_nomem(struct err *err, size_t bytes)
{
    return err_set(err, VOV_ENOMEM, "no memory for %zu bytes", bytes);
}

enum vov_status err_locate(struct err *err, const struct src_loc *at, const char *node)
{
    if (err == NULL) {
        return VOV_ECFG;
    }
    if (err->at.line > 0) {
        return err->code;
    }
    if (at != NULL) {
        err->at = *at;
    }
    if (node != NULL && node[0] != '\0') {
        char old[sizeof err->msg];
        memcpy(old, err->msg, sizeof old);
        old[sizeof old - 1] = '\0';
        snprintf(err->msg, sizeof err->msg, "%.100s: %.290s", node, old);
    }
    return err->code;
}

enum vov_status err_list_add(struct err_list *list, const struct err *err)
{
    if (list != NULL && err->code != VOV_OK) {
        if (list->n < ERR_LIST_MAX) {
            list->item[list->n++] = *err;
        }
        list->total++;
    }
    return err->code;
}

/* Files and file names come from anywhere: control bytes must not reach a terminal. */
static void put_clean(const char *s, size_t n, FILE *out)
{
    for (size_t i = 0; i < n && s[i] != '\0'; i++) {
        const unsigned char c = (unsigned char)s[i];
        fputc((c < 32 && c != '\t') || c == 127 ? '?' : c, out);
    }
}

static void print_line(const struct src_loc *at, FILE *out)
{
    const size_t col = at->col > 0 ? (size_t)at->col - 1 : 0;
    const size_t len = strlen(at->text);
    const size_t from = col > SHOWN_LINE / 2 && len > SHOWN_LINE ? col - SHOWN_LINE / 2 : 0;
    if (from > len) {
        return;
    }
    fprintf(out, "%5d | ", at->line);
    put_clean(at->text + from, SHOWN_LINE, out);
    fprintf(out, "\n      | ");
    for (size_t i = from; i < col && i < len; i++) {
        const unsigned char c = (unsigned char)at->text[i];
        if ((c & 0xc0) != 0x80) { /* a byte inside a UTF-8 letter takes no column */
            fputc(c == '\t' ? '\t' : ' ', out);
        }
    }
    fputs("^\n", out);
}

void err_show(const struct err *err, bool color, FILE *out)
{
    if (err->at.file != NULL) {
        put_clean(err->at.file, strlen(err->at.file), out);
        if (err->at.line > 0) {
            fprintf(out, ":%d:%d", err->at.line, err->at.col);
        }
        fputs(": ", out);
    }
    fputs(color ? "\033[1;31merror:\033[0m " : "error: ", out);
    put_clean(err->msg, sizeof err->msg, out);
    fputc('\n', out);
    if (err->at.line > 0 && err->at.text != NULL) {
        print_line(&err->at, out);
    }
}

void err_print(const struct err *err, FILE *out)
{
    err_show(err, false, out);
}
