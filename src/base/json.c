/*
 * json.c - JSON through cJSON, after json_scan.c has checked the text. Streaming cuts a file into
 * the items of its top-level arrays and has cJSON parse one at a time.
 */
#include "json.h"

#include "file.h"
#include "json_scan.h"
#include "map.h"
#include "mem.h"
#include "text.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const size_t item_max = (size_t)64 << 20;

static void skip_bom(struct json_scan *s)
{
    if (json_peek(s) == 0xef && s->n >= 3 && memcmp(s->text, "\xef\xbb\xbf", 3) == 0) {
        s->pos = s->line_start = 3;
    }
}

enum vov_status json_parse(const char *path, const char *text, size_t n, json **out,
                           struct err *err)
{
    struct json_scan s = {.path = path, .text = text, .n = n, .line = 1, .err = err};
    *out = NULL;
    skip_bom(&s);
    const size_t start = s.pos;
    TRY(json_scan_value(&s, NULL));
    if (json_next_token(&s) >= 0) {
        return json_fail(&s, "nothing after the value");
    }
    *out = cJSON_ParseWithLength(text + start, n - start);
    return *out != NULL ? VOV_OK : err_nomem(err, n);
}

enum vov_status json_read(const char *path, size_t max_bytes, json **out, struct err *err)
{
    struct buf text = {.max = max_bytes};
    *out = NULL;
    enum vov_status status = file_read(path, max_bytes, &text, err);
    if (status == VOV_OK) {
        status = json_parse(path, text.p != NULL ? text.p : "", text.n, out, err);
    }
    buf_free(&text);
    return status;
}

void json_free(json *j)
{
    cJSON_Delete(j);
}

struct streamer {
    struct json_scan scan;
    const struct json_stream *to;
    struct buf item;
    struct arena mem; /* keys */
    struct map seen;  /* top-level keys */
    struct err *err;
};

static enum vov_status parse_item(struct streamer *st, json **item)
{
    if (st->item.failed) {
        return err_set(st->err, VOV_EFORMAT,
                       "%s:%d: a value of more than %zu MiB, or no memory for it", st->scan.path,
                       st->scan.line, item_max >> 20);
    }
    *item = cJSON_ParseWithLength(st->item.p, st->item.n);
    return *item != NULL ? VOV_OK : err_nomem(st->err, st->item.n);
}

/* Scans one value and hands it on. */
static enum vov_status stream_value(struct streamer *st, const char *key, long index)
{
    json *item = NULL;
    buf_clear(&st->item);
    json_next_token(&st->scan);
    json_keep_begin(&st->scan, &st->item);
    TRY(json_scan_value(&st->scan, st->to->drop));
    json_keep_end(&st->scan);
    TRY(parse_item(st, &item));
    const enum vov_status status = st->to->item(st->to->user, key, index, item, st->err);
    json_free(item);
    return status;
}

static enum vov_status stream_array(struct streamer *st, const char *key)
{
    struct json_scan *s = &st->scan;
    TRY(json_expect(s, '[', "'['"));
    if (st->to->array != NULL) {
        TRY(st->to->array(st->to->user, key, st->err));
    }
    if (json_next_token(s) == ']') {
        json_skip_byte(s);
        return VOV_OK;
    }
    for (long i = 0;; i++) {
        TRY(stream_value(st, key, i));
        if (json_next_token(s) == ']') {
            json_skip_byte(s);
            return VOV_OK;
        }
        TRY(json_expect(s, ',', "',' or ']' in an array"));
    }
}

/* The scanner's key, decoded and kept. A key given twice would mix two lists: refused. */
static enum vov_status keep_key(struct streamer *st, const char **key)
{
    char quoted[JSON_KEY_MAX + 3];
    snprintf(quoted, sizeof quoted, "\"%s\"", st->scan.key);
    json *decoded = cJSON_Parse(quoted); /* NULL where cutting left half an escape */
    const char *text = cJSON_GetStringValue(decoded);
    char *copy = arena_strdup(&st->mem, text != NULL ? text : st->scan.key);
    json_free(decoded);
    if (copy == NULL) {
        return err_nomem(st->err, sizeof quoted);
    }
    if (map_get(&st->seen, copy) != NULL) {
        return err_set(st->err, VOV_EFORMAT, "%s:%d: the key \"%s\" is given twice", st->scan.path,
                       st->scan.line, copy);
    }
    *key = copy;
    return map_put(&st->seen, copy, copy) ? VOV_OK : err_nomem(st->err, sizeof quoted);
}

static enum vov_status stream_object(struct streamer *st)
{
    struct json_scan *s = &st->scan;
    TRY(json_expect(s, '{', "'{'"));
    if (json_next_token(s) == '}') {
        json_skip_byte(s);
        return VOV_OK;
    }
    for (;;) {
        const char *key = NULL;
        TRY(json_scan_key(s));
        TRY(keep_key(st, &key));
        TRY(json_next_token(s) == '[' ? stream_array(st, key) : stream_value(st, key, -1));
        if (json_next_token(s) == '}') {
            json_skip_byte(s);
            return VOV_OK;
        }
        TRY(json_expect(s, ',', "',' or '}' in an object"));
    }
}

static enum vov_status stream_top(struct streamer *st)
{
    skip_bom(&st->scan);
    const int c = json_next_token(&st->scan);
    if (c != '{' && c != '[') {
        return json_fail(&st->scan, "'{' or '['");
    }
    TRY(c == '{' ? stream_object(st) : stream_array(st, ""));
    if (json_next_token(&st->scan) >= 0) {
        return json_fail(&st->scan, "nothing after the last bracket");
    }
    return VOV_OK;
}

enum vov_status json_stream_file(const char *path, const struct json_stream *to, struct err *err)
{
    FILE *f;
    TRY(file_open(path, &f, err));
    char *window = mem_alloc(JSON_WINDOW, 1);
    enum vov_status status;
    if (window == NULL) {
        status = err_nomem(err, JSON_WINDOW);
    } else {
        struct streamer st = {.to = to, .item.max = item_max, .err = err};
        st.scan = (struct json_scan){
            .path = path, .f = f, .text = window, .window = window, .line = 1, .err = err};
        status = stream_top(&st);
        buf_free(&st.item);
        map_free(&st.seen);
        arena_free(&st.mem);
    }
    fclose(f);
    mem_free(window);
    return status;
}

/* The last of equal keys counts, as in other readers. */
const json *json_get(const json *j, const char *key)
{
    const json *found = NULL, *item;
    if (!cJSON_IsObject(j)) {
        return NULL;
    }
    cJSON_ArrayForEach(item, j)
    {
        if (item->string != NULL && strcmp(item->string, key) == 0) {
            found = item;
        }
    }
    return found;
}

bool json_whole(const json *j, long long *out)
{
    if (!cJSON_IsNumber(j)) {
        return false;
    }
    const double d = j->valuedouble;
    if (!isfinite(d) || fabs(d) >= 0x1p53 || floor(d) != d) {
        return false;
    }
    *out = (long long)d;
    return true;
}

bool json_int(const json *j, const char *key, long long *out)
{
    return json_whole(json_get(j, key), out);
}

bool json_real(const json *j, const char *key, double *out)
{
    const json *v = json_get(j, key);
    if (!cJSON_IsNumber(v) || !isfinite(v->valuedouble)) {
        return false;
    }
    *out = v->valuedouble;
    return true;
}

const char *json_str(const json *j, const char *key)
{
    return cJSON_GetStringValue(json_get(j, key));
}

int json_len(const json *j)
{
    return cJSON_IsArray(j) ? cJSON_GetArraySize(j) : 0;
}

/* The letter at s in bytes, or 0 when it is no UTF-8. */
static size_t letter_bytes(const char *s)
{
    for (size_t n = 1; n <= 4 && s[n - 1] != '\0'; n++) {
        if (text_utf8_ok(s, n)) {
            return n;
        }
    }
    return 0;
}

void json_put_str(struct buf *b, const char *s)
{
    buf_puts(b, "\"");
    while (*s != '\0') {
        const unsigned char c = (unsigned char)*s;
        const size_t n = letter_bytes(s);
        if (n == 0) {
            buf_puts(b, "\\ufffd");
        } else if (c == '"' || c == '\\') {
            buf_printf(b, "\\%c", c);
        } else if (c < 0x20) {
            buf_printf(b, "\\u%04x", c);
        } else {
            buf_add(b, s, n);
        }
        s += n > 0 ? n : 1;
    }
    buf_puts(b, "\"");
}

void json_put_real(struct buf *b, double v)
{
    char text[40] = "null";
    for (int digits = 6; isfinite(v) && digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v) {
            break;
        }
    }
    buf_puts(b, text);
}
