/*
 * json_scan.h - the grammar of JSON, checked byte by byte in bounded memory. What has passed is
 * handed to cJSON, which itself takes much that is no JSON. Private to json.c.
 */
#ifndef VOV_JSON_SCAN_H
#define VOV_JSON_SCAN_H

#include "buf.h"

enum { JSON_MAX_DEPTH = 500, JSON_KEY_MAX = 127, JSON_WINDOW = 1 << 16 };

struct json_scan {
    const char *path;
    FILE *f;           /* NULL: everything is in text */
    const char *text;  /* the window that is looked at: all, or `window` */
    char *window;      /* [JSON_WINDOW], filled from f; NULL without a file */
    size_t pos, n;     /* in text */
    size_t before;     /* bytes of the file before text[0] */
    size_t line_start; /* offset in the file */
    int line;

    struct buf *copy; /* what is scanned goes here too; NULL: nowhere */
    size_t mark;      /* text before it is in copy already */
    bool keep;        /* copying is on */

    char key[JSON_KEY_MAX + 1]; /* the last one, as written, cut to fit */
    struct err *err;
};

int json_peek(struct json_scan *s);       /* the next byte, or -1 at the end */
int json_next_token(struct json_scan *s); /* the same after blanks */
void json_skip_byte(struct json_scan *s); /* the one that was peeked */

/* Each consumes what it names, or fails with a place. */
enum vov_status json_expect(struct json_scan *s, int byte, const char *what);
enum vov_status json_scan_key(struct json_scan *s); /* the key and its colon */

/* One value. When it is an object, the values of its own keys that `drop` lists (NULL at the end,
 * or NULL) go into copy as null. */
enum vov_status json_scan_value(struct json_scan *s, const char *const *drop);

/* From here on bytes are copied, until json_keep_end. */
void json_keep_begin(struct json_scan *s, struct buf *copy);
void json_keep_end(struct json_scan *s);

/* A failure at the byte that comes next: "path:line:col: expected ..., found ...". */
enum vov_status json_fail(struct json_scan *s, const char *expected);

#endif
