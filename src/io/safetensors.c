/*
 * safetensors.c - reading. Nothing in the file is believed: each number of the header is held
 * against the size of the file before it is used. See safetensors_write.c for the checksum.
 */
#include "safetensors.h"

#include "base/file.h"
#include "base/json.h"
#include "st_format.h"

#include <cjson/cJSON.h>
#include <endian.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const size_t max_file = (size_t)1 << 35;
static const size_t max_header = 100000000; /* as the format's own library */

static const struct {
    const char *name;
    enum st_dtype dtype;
    size_t bytes;
} dtypes[] = {
    {"F32", ST_F32, 4},   {"F64", ST_F64, 8},       {"F16", ST_F16, 2},       {"BF16", ST_BF16, 2},
    {"I64", ST_I64, 8},   {"I32", ST_I32, 4},       {"U8", ST_U8, 1},         {"U64", ST_OTHER, 8},
    {"I8", ST_OTHER, 1},  {"BOOL", ST_OTHER, 1},    {"I16", ST_OTHER, 2},     {"U16", ST_OTHER, 2},
    {"U32", ST_OTHER, 4}, {"F8_E4M3", ST_OTHER, 1}, {"F8_E5M2", ST_OTHER, 1},
};

/* A whole number that fits a size_t, from an item of an array. */
static bool whole(const json *j, size_t *out)
{
    if (!cJSON_IsNumber(j) || !(j->valuedouble >= 0) || j->valuedouble > 9007199254740992.0 ||
        j->valuedouble != floor(j->valuedouble)) {
        return false;
    }
    *out = (size_t)j->valuedouble;
    return true;
}

static enum vov_status read_shape(const char *path, const json *shape, struct st_tensor *t,
                                  struct err *err)
{
    t->count = 1;
    if (!cJSON_IsArray(shape)) {
        return err_set(err, VOV_EFORMAT, "%s: tensor %s has no list \"shape\"", path, t->name);
    }
    for (const json *d = shape->child; d != NULL; d = d->next) {
        size_t n;
        if (t->rank == ST_MAX_RANK || !whole(d, &n)) {
            return err_set(err, VOV_EFORMAT,
                           "%s: the shape of tensor %s must be at most %d whole numbers", path,
                           t->name, ST_MAX_RANK);
        }
        if (n > 0 && t->count > SIZE_MAX / 16 / n) {
            return err_set(err, VOV_EFORMAT, "%s: the shape of tensor %s is too large", path,
                           t->name);
        }
        t->dim[t->rank++] = n;
        t->count *= n;
    }
    return VOV_OK;
}

/* Where the bytes are: begin and end behind the header, of n_data bytes in all. */
static enum vov_status read_place(const char *path, const json *j, const unsigned char *data,
                                  size_t n_data, struct st_tensor *t, struct err *err)
{
    const json *offsets = json_get(j, "data_offsets");
    size_t begin, end;
    if (json_len(offsets) != 2 || !whole(offsets->child, &begin) ||
        !whole(offsets->child->next, &end) || begin > end) {
        return err_set(err, VOV_EFORMAT, "%s: tensor %s has no \"data_offsets\": [begin, end]",
                       path, t->name);
    }
    if (end > n_data) {
        return err_set(err, VOV_EFORMAT,
                       "%s: tensor %s ends at byte %zu of the data, which has only %zu: the file "
                       "is cut off or damaged",
                       path, t->name, end, n_data);
    }
    t->bytes = data + begin;
    t->n_bytes = end - begin;
    return VOV_OK;
}

static enum vov_status read_dtype(const char *path, const json *j, struct st_tensor *t,
                                  struct err *err)
{
    const char *name = json_str(j, "dtype");
    for (size_t i = 0; name != NULL && i < sizeof dtypes / sizeof dtypes[0]; i++) {
        if (strcmp(dtypes[i].name, name) != 0) {
            continue;
        }
        t->dtype = dtypes[i].dtype;
        if (t->n_bytes != t->count * dtypes[i].bytes) {
            return err_set(err, VOV_EFORMAT,
                           "%s: tensor %s of %zu numbers of type %s needs %zu bytes, and has %zu",
                           path, t->name, t->count, name, t->count * dtypes[i].bytes, t->n_bytes);
        }
        return VOV_OK;
    }
    return err_set(err, VOV_EFORMAT, "%s: tensor %s has the unknown type %.20s", path, t->name,
                   name != NULL ? name : "(none)");
}

static enum vov_status read_meta(const char *path, const json *j, struct safetensors *st,
                                 struct err *err)
{
    for (const json *m = j->child; m != NULL; m = m->next) {
        if (!cJSON_IsString(m)) {
            return err_set(err, VOV_EFORMAT, "%s: metadata \"%.60s\" must be text", path,
                           m->string);
        }
        const char *key = arena_strdup(&st->mem, m->string);
        char *value = arena_strdup(&st->mem, m->valuestring);
        if (key == NULL || value == NULL || !map_put(&st->meta, key, value)) {
            return err_nomem(err, strlen(m->valuestring));
        }
    }
    return VOV_OK;
}

static enum vov_status read_tensor(const char *path, const json *j, const unsigned char *data,
                                   size_t n_data, struct safetensors *st, struct err *err)
{
    struct st_tensor *t = &st->tensor[st->n];
    t->name = arena_strdup(&st->mem, j->string);
    if (t->name == NULL) {
        return err_nomem(err, strlen(j->string));
    }
    if (map_get(&st->by_name, t->name) != NULL) {
        return err_set(err, VOV_EFORMAT, "%s: tensor %s is there twice", path, t->name);
    }
    TRY(read_shape(path, json_get(j, "shape"), t, err));
    TRY(read_place(path, j, data, n_data, t, err));
    TRY(read_dtype(path, j, t, err));
    if (!map_put(&st->by_name, t->name, t)) {
        return err_nomem(err, sizeof *t);
    }
    st->n++;
    return VOV_OK;
}

static int by_place(const void *a, const void *b)
{
    const struct st_tensor *const *x = a, *const *y = b;
    const unsigned char *ends[2] = {(*x)->bytes + (*x)->n_bytes, (*y)->bytes + (*y)->n_bytes};
    if ((*x)->bytes != (*y)->bytes) {
        return (*x)->bytes < (*y)->bytes ? -1 : 1;
    }
    return (ends[0] > ends[1]) - (ends[0] < ends[1]);
}

/* The tensors must cover the data exactly: no byte twice, none that belongs to nobody. */
static enum vov_status check_cover(const char *path, const struct safetensors *st,
                                   const unsigned char *data, size_t n_data, struct err *err)
{
    const struct st_tensor **order = mem_alloc((size_t)st->n + 1, sizeof(struct st_tensor *));
    if (order == NULL) {
        return err_nomem(err, (size_t)st->n * sizeof(struct st_tensor *));
    }
    for (int i = 0; i < st->n; i++) {
        order[i] = &st->tensor[i];
    }
    qsort(order, (size_t)st->n, sizeof *order, by_place);
    enum vov_status status = VOV_OK;
    const unsigned char *at = data;
    for (int i = 0; i < st->n && status == VOV_OK; i++) {
        const struct st_tensor *t = order[i];
        if (t->bytes != at) {
            status = err_set(err, VOV_EFORMAT,
                             "%s: tensor %s begins at byte %zu of the data, and "
                             "the one before ends at %zu: tensors must neither overlap nor leave "
                             "gaps",
                             path, t->name, (size_t)(t->bytes - data), (size_t)(at - data));
        }
        at = t->bytes + t->n_bytes;
    }
    if (status == VOV_OK && at != data + n_data) {
        status = err_set(err, VOV_EFORMAT, "%s: %zu bytes behind the last tensor belong to none",
                         path, (size_t)(data + n_data - at));
    }
    mem_free(order);
    return status;
}

static enum vov_status read_items(const char *path, const json *head, const unsigned char *data,
                                  size_t n_data, struct safetensors *st, struct err *err)
{
    if (!cJSON_IsObject(head)) {
        return err_set(err, VOV_EFORMAT, "%s: the header must be a JSON object", path);
    }
    size_t n = 0;
    for (const json *j = head->child; j != NULL; j = j->next) {
        n++;
    }
    st->tensor = arena_alloc(&st->mem, (n + 1) * sizeof *st->tensor);
    if (st->tensor == NULL) {
        return err_nomem(err, (n + 1) * sizeof *st->tensor);
    }
    for (const json *j = head->child; j != NULL; j = j->next) {
        if (!cJSON_IsObject(j)) {
            return err_set(err, VOV_EFORMAT, "%s: \"%.60s\" in the header must be an object", path,
                           j->string);
        }
        if (strcmp(j->string, "__metadata__") == 0) {
            TRY(read_meta(path, j, st, err));
        } else {
            TRY(read_tensor(path, j, data, n_data, st, err));
        }
    }
    return check_cover(path, st, data, n_data, err);
}

/* Verifies our checksum where the header begins with one; clears its digits in passing. */
static enum vov_status verify(const char *path, char *head, size_t n_head,
                              const unsigned char *data, size_t n_data, bool *verified,
                              struct err *err)
{
    const size_t n_prefix = strlen(ST_CHECKSUM_PREFIX);
    *verified = false;
    if (n_head < n_prefix + ST_CHECKSUM_DIGITS || memcmp(head, ST_CHECKSUM_PREFIX, n_prefix) != 0) {
        return VOV_OK;
    }
    char found[ST_CHECKSUM_DIGITS + 1] = "", wanted[ST_CHECKSUM_DIGITS + 1];
    memcpy(found, head + n_prefix, ST_CHECKSUM_DIGITS);
    memset(head + n_prefix, '0', ST_CHECKSUM_DIGITS);
    struct st_hash h = st_hash_open();
    st_hash_add(&h, head, n_head);
    st_hash_add(&h, data, n_data);
    st_hash_text(&h, wanted);
    if (strcmp(found, wanted) != 0) {
        return err_set(err, VOV_EFORMAT,
                       "%s: the checksum is %s, and the file says %s: it was damaged after it was "
                       "written",
                       path, wanted, found);
    }
    *verified = true;
    return VOV_OK;
}

static enum vov_status parse(const char *path, struct safetensors *st, struct err *err)
{
    const size_t n_file = st->file.n;
    unsigned char *bytes = (unsigned char *)st->file.p;
    uint64_t n_head = 0;
    for (int i = 0; i < 8 && n_file >= 8; i++) {
        n_head |= (uint64_t)bytes[i] << (8 * i);
    }
    if (n_file == 0) {
        return err_set(err, VOV_EFORMAT, "%s: an empty file", path);
    }
    if (n_file < 8 || n_head > n_file - 8 || n_head > max_header || n_head < 2) {
        return err_set(err, VOV_EFORMAT,
                       "%s: no safetensors file: %zu bytes do not hold a header of %llu", path,
                       n_file, (unsigned long long)n_head);
    }
    const unsigned char *data = bytes + 8 + n_head;
    const size_t n_data = n_file - 8 - (size_t)n_head;
    TRY(verify(path, st->file.p + 8, (size_t)n_head, data, n_data, &st->verified, err));

    size_t n_text = (size_t)n_head; /* blanks may follow, so that the data is aligned */
    while (n_text > 0 && bytes[8 + n_text - 1] == ' ') {
        n_text--;
    }
    json *head = NULL;
    TRY(json_parse(path, st->file.p + 8, n_text, &head, err));
    const enum vov_status status = read_items(path, head, data, n_data, st, err);
    json_free(head);
    return status;
}

enum vov_status safetensors_read(const char *path, struct safetensors *st, struct err *err)
{
    *st = (struct safetensors){.file = {.max = max_file}};
    enum vov_status status =
        err_of_input(err, file_read(path, max_file, &st->file, err), VOV_EFORMAT);
    if (status == VOV_OK) {
        status = parse(path, st, err);
    }
    if (status != VOV_OK) {
        safetensors_free(st);
    }
    return status;
}

void safetensors_free(struct safetensors *st)
{
    if (st == NULL) {
        return;
    }
    map_free(&st->by_name);
    map_free(&st->meta);
    arena_free(&st->mem);
    buf_free(&st->file);
    *st = (struct safetensors){0};
}

const struct st_tensor *safetensors_find(const struct safetensors *st, const char *name)
{
    return map_get(&st->by_name, name);
}

const char *safetensors_meta(const struct safetensors *st, const char *key)
{
    return map_get(&st->meta, key);
}

void safetensors_forget(const struct st_tensor *t)
{
    mem_block_discard((void *)(uintptr_t)t->bytes, t->n_bytes); /* the file is ours, as read */
}

static uint64_t little(const unsigned char *p, int n)
{
    uint64_t v = 0;
    for (int i = 0; i < n; i++) {
        v |= (uint64_t)p[i] << (8 * i);
    }
    return v;
}

static float float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* IEEE 754 half: 5 bits of exponent, 10 of fraction. */
static double half_of(uint32_t bits)
{
    const int exponent = (int)(bits >> 10 & 31);
    const double fraction = (double)(bits & 1023) / 1024;
    double v;
    if (exponent == 31) {
        v = fraction > 0 ? (double)NAN : (double)INFINITY;
    } else {
        v = exponent == 0 ? ldexp(fraction, -14) : ldexp(1 + fraction, exponent - 15);
    }
    return bits >> 15 ? -v : v;
}

static double double_of(uint64_t bits)
{
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

/* What nearly all files have; the compiler makes a copy of it where that will do. */
static void floats(const unsigned char *p, size_t n, real *out)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, p + 4 * i, sizeof bits);
        out[i] = (real)float_of(le32toh(bits));
    }
}

enum vov_status safetensors_numbers(const struct st_tensor *t, real *out, struct err *err)
{
    const unsigned char *p = t->bytes;
    if (t->dtype == ST_F32) {
        floats(p, t->count, out);
        return VOV_OK;
    }
    for (size_t i = 0; i < t->count; i++) {
        switch (t->dtype) {
        case ST_F64:
            out[i] = (real)double_of(little(p + 8 * i, 8));
            break;
        case ST_F16:
            out[i] = (real)half_of((uint32_t)little(p + 2 * i, 2));
            break;
        case ST_BF16:
            out[i] = (real)float_of((uint32_t)little(p + 2 * i, 2) << 16);
            break;
        case ST_I64:
            out[i] = (real)(int64_t)little(p + 8 * i, 8);
            break;
        case ST_I32:
            out[i] = (real)(int32_t)(uint32_t)little(p + 4 * i, 4);
            break;
        case ST_U8:
            out[i] = (real)p[i];
            break;
        case ST_F32:
        case ST_OTHER:
        default:
            return err_set(err, VOV_EUNSUPPORTED,
                           "tensor %s has a type that is not read; F32, F64, F16, BF16, I64, I32 "
                           "and U8 are",
                           t->name);
        }
    }
    return VOV_OK;
}
