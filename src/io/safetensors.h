/*
 * safetensors.h - files of named tensors: 8 bytes with the length of a JSON header, the header, the
 * numbers. Any tool that knows the format reads ours. What we write also has a checksum over header
 * and numbers, which is verified when such a file is read.
 */
#ifndef VOV_SAFETENSORS_H
#define VOV_SAFETENSORS_H

#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/real.h"

enum { ST_MAX_RANK = 8 };

enum st_dtype { ST_F32, ST_F64, ST_F16, ST_BF16, ST_I64, ST_I32, ST_U8, ST_OTHER };

struct st_tensor {
    const char *name;
    enum st_dtype dtype;
    size_t dim[ST_MAX_RANK];
    int rank;
    size_t count;                  /* product of dim */
    const struct file_parts *file; /* that it stands in */
    size_t at, n_bytes;            /* where */
};

struct safetensors {
    struct arena mem;
    struct file_parts *file;  /* open while this is; in mem */
    struct st_tensor *tensor; /* [n], in the order of the header */
    int n;
    struct map by_name; /* name -> struct st_tensor */
    struct map meta;    /* key -> text */
    bool verified;      /* it had our checksum, and the checksum was right */
};

/*
 * Reads the header, and of our files everything once, for the checksum. VOV_EFORMAT: not readable,
 * or anything about it is not as the format says: lengths, JSON, shapes, tensors that overlap,
 * leave gaps or end behind the file, bytes that were changed since. On failure *st needs no free.
 */
enum vov_status safetensors_read(const char *path, struct safetensors *st, struct err *err);
void safetensors_free(struct safetensors *st);

const struct st_tensor *safetensors_find(const struct safetensors *st, const char *name);
const char *safetensors_meta(const struct safetensors *st, const char *key); /* NULL: none */

/* Reads the numbers of t as `real`, t->count of them. VOV_EFORMAT for a type that we do not know,
 * or when the file cannot be read any more. */
enum vov_status safetensors_numbers(const struct st_tensor *t, real *out, struct err *err);

/* One tensor to be written. get() gives its numbers, count of them; it is called twice. */
struct st_source {
    const char *name;
    size_t dim[ST_MAX_RANK];
    int rank;
    void (*get)(const void *user, const struct st_source *s, real *out);
    const void *user;
    const void *what; /* for get() */
};

/* Writes atomically, with the texts of meta (key -> char *) beside our checksum. */
enum vov_status safetensors_write(const char *path, const struct st_source *source, int n,
                                  const struct map *meta, struct err *err);

#endif
