/*
 * json.h - JSON, with cJSON behind this door. Small files are read whole; the huge arrays of a COCO
 * file are read item by item in memory bounded by one item.
 */
#ifndef VOV_JSON_H
#define VOV_JSON_H

#include "buf.h"

typedef struct cJSON json; /* read with the functions below or cJSON's own getters */

/* Parses text of n bytes whole; nothing may follow. The error names path, line and column.
 * *out is freed by json_free. Depth over 500 and bytes that are not UTF-8 in names are refused. */
enum vov_status json_parse(const char *path, const char *text, size_t n, json **out,
                           struct err *err);
enum vov_status json_read(const char *path, size_t max_bytes, json **out, struct err *err);
void json_free(json *j);

/*
 * Streams a file whose top level is an object (or an array: then key is ""): item() is called for
 * each item of each top-level array, and for each other top-level value whole, in file order, with
 * the key it stands under (index -1 for a value that is no array item). `drop` lists keys of items
 * (ended by NULL, or NULL) whose values are skipped unparsed and come as null: polygons of a file
 * that is read for its boxes. Memory: one item, bounded by 64 MiB.
 */
struct json_stream {
    const char *const *drop;
    enum vov_status (*item)(void *user, const char *key, long index, const json *item,
                            struct err *err);
    /* May be NULL: called once when a top-level array under `key` begins (even an empty one). */
    enum vov_status (*array)(void *user, const char *key, struct err *err);
    void *user;
};
enum vov_status json_stream_file(const char *path, const struct json_stream *s, struct err *err);

/* Getters; `key` of the object j. False: missing or of another type; *out is then as before. */
bool json_int(const json *j, const char *key, long long *out); /* |v| < 2^53, no fraction */
bool json_real(const json *j, const char *key, double *out);   /* finite only */
bool json_whole(const json *j, long long *out);                /* the same of j itself */
const char *json_str(const json *j, const char *key);          /* NULL: missing or no string */
const json *json_get(const json *j, const char *key);          /* NULL: missing */
int json_len(const json *j);                                   /* of an array; 0 otherwise */

/* Writing: text of a string with quotes and escapes; a number that reads back as the same. */
void json_put_str(struct buf *b, const char *s);
void json_put_real(struct buf *b, double v); /* null when not finite */

#endif
