/*
 * safetensors.c - reading. Nothing in the file is believed: each number of the header is held
 * against the size of the file before it is used. The numbers of a tensor are read when they are
 * asked for: memory for a whole file costs more than reading it. See safetensors_write.c for the
 * checksum.
 */
#include "safetensors.h"

#include "base/json.h"
#include "st_format.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1 << 16 }; /* bytes that are read at once, where they are not what is wanted */

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

/* What lies behind the header. */
struct data {
    const struct file_parts *file;
    size_t at, n;
};

/* Where the bytes are: begin and end in the data. */
static enum vov_status read_place(const char *path, const json *j, const struct data *data,
                                  struct st_tensor *t, struct err *err)
{
    const json *offsets = json_get(j, "data_offsets");
    size_t begin, end;
    if (json_len(offsets) != 2 || !whole(offsets->child, &begin) ||
        !whole(offsets->child->next, &end) || begin > end) {
        return err_set(err, VOV_EFORMAT, "%s: tensor %s has no \"data_offsets\": [begin, end]",
                       path, t->name);
    }
    if (end > data->n) {
        return err_set(err, VOV_EFORMAT,
                       "%s: tensor %s ends at byte %zu of the data, which has only %zu: the file "
                       "is cut off or damaged",
                       path, t->name, end, data->n);
    }
    t->file = data->file;
    t->at = data->at + begin;
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

static enum vov_status read_tensor(const char *path, const json *j, const struct data *data,
                                   struct safetensors *st, struct err *err)
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
    TRY(read_place(path, j, data, t, err));
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
    const size_t ends[2] = {(*x)->at + (*x)->n_bytes, (*y)->at + (*y)->n_bytes};
    if ((*x)->at != (*y)->at) {
        return (*x)->at < (*y)->at ? -1 : 1;
    }
    return (ends[0] > ends[1]) - (ends[0] < ends[1]);
}

/* The tensors must cover the data exactly: no byte twice, none that belongs to nobody. */
static enum vov_status check_cover(const char *path, const struct safetensors *st,
                                   const struct data *data, struct err *err)
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
    size_t at = data->at;
    for (int i = 0; i < st->n && status == VOV_OK; i++) {
        const struct st_tensor *t = order[i];
        if (t->at != at) {
            status = err_set(err, VOV_EFORMAT,
                             "%s: tensor %s begins at byte %zu of the data, and "
                             "the one before ends at %zu: tensors must neither overlap nor leave "
                             "gaps",
                             path, t->name, t->at - data->at, at - data->at);
        }
        at = t->at + t->n_bytes;
    }
    const size_t end = data->at + data->n;
    if (status == VOV_OK && at != end) {
        status = err_set(err, VOV_EFORMAT, "%s: %zu bytes behind the last tensor belong to none",
                         path, end - at);
    }
    mem_free(order);
    return status;
}

static enum vov_status read_items(const char *path, const json *head, const struct data *data,
                                  struct safetensors *st, struct err *err)
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
            TRY(read_tensor(path, j, data, st, err));
        }
    }
    return check_cover(path, st, data, err);
}

static enum vov_status hash_data(const struct data *data, struct st_hash *h, struct err *err)
{
    unsigned char bytes[CHUNK];
    for (size_t done = 0; done < data->n;) {
        const size_t n = data->n - done < CHUNK ? data->n - done : CHUNK;
        TRY(file_parts_read(data->file, data->at + done, bytes, n, err));
        st_hash_add(h, bytes, n);
        done += n;
    }
    return VOV_OK;
}

/* Verifies our checksum where the header begins with one; clears its digits in passing. */
static enum vov_status verify(const char *path, char *head, size_t n_head, const struct data *data,
                              bool *verified, struct err *err)
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
    TRY(hash_data(data, &h, err));
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

/* text: the header, n_head bytes. */
static enum vov_status parse(const char *path, char *text, size_t n_head, struct safetensors *st,
                             struct err *err)
{
    const size_t before = 8 + n_head;
    const struct data data = {st->file, before, st->file->n - before};
    TRY(verify(path, text, n_head, &data, &st->verified, err));

    size_t n_text = n_head; /* blanks may follow, so that the data is aligned */
    while (n_text > 0 && text[n_text - 1] == ' ') {
        n_text--;
    }
    json *head = NULL;
    TRY(json_parse(path, text, n_text, &head, err));
    const enum vov_status status = read_items(path, head, &data, st, err);
    json_free(head);
    return status;
}

static uint64_t little(const unsigned char *p, int n)
{
    uint64_t v = 0;
    for (int i = 0; i < n; i++) {
        v |= (uint64_t)p[i] << (8 * i);
    }
    return v;
}

/* What to do about the files that people try first; begin: the first eight bytes. */
static const char *way_out(const unsigned char begin[8])
{
    const uint64_t major = little(begin, 4), minor = little(begin + 4, 4);
    if (memcmp(begin, "PK\3\4", 4) == 0 || (begin[0] == 0x80 && begin[1] >= 2 && begin[1] <= 5)) {
        return "; it looks like PyTorch's: save its tensors with safetensors.torch.save_file()";
    }
    return major == 0 && (minor == 1 || minor == 2) ? "; Darknet's weights are not read" : "";
}

static enum vov_status read_head(const char *path, struct safetensors *st, struct err *err)
{
    const size_t n_file = st->file->n;
    unsigned char length[8] = {0};
    if (n_file >= 8) {
        TRY(file_parts_read(st->file, 0, length, sizeof length, err));
    }
    const uint64_t n_head = little(length, 8);
    if (n_file == 0) {
        return err_set(err, VOV_EFORMAT, "%s: an empty file", path);
    }
    if (n_file < 8 || n_head > n_file - 8 || n_head > max_header || n_head < 2) {
        return err_set(err, VOV_EFORMAT,
                       "%s: no safetensors file: %zu bytes do not hold a header of %llu%s", path,
                       n_file, (unsigned long long)n_head, n_file < 8 ? "" : way_out(length));
    }
    char *text = mem_alloc((size_t)n_head + 1, 1);
    if (text == NULL) {
        return err_nomem(err, (size_t)n_head);
    }
    enum vov_status status = file_parts_read(st->file, 8, text, (size_t)n_head, err);
    if (status == VOV_OK) {
        status = parse(path, text, (size_t)n_head, st, err);
    }
    mem_free(text);
    return status;
}

static enum vov_status open_file(const char *path, struct safetensors *st, struct err *err)
{
    const char *name = arena_strdup(&st->mem, path);
    st->file = name != NULL ? arena_alloc(&st->mem, sizeof *st->file) : NULL;
    if (st->file == NULL) {
        return err_nomem(err, strlen(path));
    }
    return file_parts_open(name, st->file, err);
}

enum vov_status safetensors_read(const char *path, struct safetensors *st, struct err *err)
{
    *st = (struct safetensors){0};
    enum vov_status status = open_file(path, st, err);
    if (status == VOV_OK) {
        status = read_head(path, st, err);
    }
    if (status != VOV_OK) {
        safetensors_free(st);
    }
    return err_of_input(err, status, VOV_EFORMAT);
}

void safetensors_free(struct safetensors *st)
{
    if (st == NULL) {
        return;
    }
    map_free(&st->by_name);
    map_free(&st->meta);
    if (st->file != NULL) {
        file_parts_close(st->file);
    }
    arena_free(&st->mem);
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

static enum vov_status convert(const struct st_tensor *t, const unsigned char *p, size_t n,
                               real *out, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        switch (t->dtype) {
        case ST_F32:
            out[i] = (real)float_of((uint32_t)little(p + 4 * i, 4));
            break;
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
        case ST_OTHER:
        default:
            return err_set(err, VOV_EFORMAT,
                           "%s: tensor %s has a type that is not read; F32, F64, F16, BF16, I64, "
                           "I32 and U8 are",
                           t->file->path, t->name);
        }
    }
    return VOV_OK;
}

static enum vov_status read_numbers(const struct st_tensor *t, real *out, struct err *err)
{
    unsigned char bytes[CHUNK];
    const enum st_dtype own = sizeof *out == 4 ? ST_F32 : ST_F64;
    if (t->dtype == own && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) { /* nearly all files */
        return file_parts_read(t->file, t->at, out, t->n_bytes, err);
    }
    const size_t each = t->count > 0 ? t->n_bytes / t->count : 1;
    for (size_t i = 0; i < t->count;) {
        const size_t n = t->count - i < CHUNK / each ? t->count - i : CHUNK / each;
        TRY(file_parts_read(t->file, t->at + i * each, bytes, n * each, err));
        TRY(convert(t, bytes, n, out + i, err));
        i += n;
    }
    return VOV_OK;
}

enum vov_status safetensors_numbers(const struct st_tensor *t, real *out, struct err *err)
{
    return err_of_input(err, read_numbers(t, out, err), VOV_EFORMAT);
}
