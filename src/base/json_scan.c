/*
 * json_scan.c - the grammar of RFC 8259 without recursion: a stack of opened brackets, at most
 * JSON_MAX_DEPTH. Stricter than the RFC in what would hurt later: strings are valid UTF-8 without
 * NUL and without half surrogates, numbers are at most 63 bytes long (what cJSON takes).
 */
#include "json_scan.h"

#include "text.h"

#include <string.h>

enum { NUMBER_MAX = 63 };

static void flush_copy(struct json_scan *s)
{
    if (s->keep) {
        buf_add(s->copy, s->text + s->mark, s->pos - s->mark);
        s->mark = s->pos;
    }
}

/* The next window of the file. */
static bool refill(struct json_scan *s)
{
    if (s->f == NULL) {
        return false;
    }
    flush_copy(s);
    s->before += s->n;
    s->pos = s->mark = s->n = 0;
    s->n = fread(s->window, 1, JSON_WINDOW, s->f);
    return s->n > 0;
}

int json_peek(struct json_scan *s)
{
    if (s->pos == s->n && !refill(s)) {
        return -1;
    }
    return (unsigned char)s->text[s->pos];
}

void json_skip_byte(struct json_scan *s)
{
    s->pos++;
}

int json_next_token(struct json_scan *s)
{
    for (;;) {
        const int c = json_peek(s);
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t') {
            return c;
        }
        s->pos++;
        if (c == '\n') {
            s->line++;
            s->line_start = s->before + s->pos;
        }
    }
}

void json_keep_begin(struct json_scan *s, struct buf *copy)
{
    s->copy = copy;
    s->mark = s->pos;
    s->keep = true;
}

void json_keep_end(struct json_scan *s)
{
    flush_copy(s);
    s->keep = false;
}

static void describe(int c, char *out, size_t size)
{
    if (c < 0) {
        snprintf(out, size, "the end of the file");
    } else if (c < 33 || c > 126) {
        snprintf(out, size, "byte 0x%02x", (unsigned)c);
    } else {
        snprintf(out, size, "'%c'", c);
    }
}

enum vov_status json_fail(struct json_scan *s, const char *expected)
{
    char found[40];
    describe(json_peek(s), found, sizeof found);
    if (s->f != NULL && ferror(s->f)) {
        return err_io(s->err, "read", s->path);
    }
    const size_t col = s->before + s->pos - s->line_start + 1;
    return err_set(s->err, VOV_EFORMAT, "%s:%d:%zu: expected %s, found %s", s->path, s->line, col,
                   expected, found);
}

enum vov_status json_expect(struct json_scan *s, int byte, const char *what)
{
    if (json_next_token(s) != byte) {
        return json_fail(s, what);
    }
    s->pos++;
    return VOV_OK;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static enum vov_status scan_literal(struct json_scan *s, const char *word)
{
    for (; *word != '\0'; word++) {
        if (json_peek(s) != *word) {
            return json_fail(s, "a value (true, false or null are the only bare words)");
        }
        s->pos++;
    }
    return VOV_OK;
}

/* One digit or more, counted into *length. */
static enum vov_status scan_digits(struct json_scan *s, int *length)
{
    if (!is_digit(json_peek(s))) {
        return json_fail(s, "a digit");
    }
    while (is_digit(json_peek(s))) {
        s->pos++;
        (*length)++;
    }
    return VOV_OK;
}

static bool take(struct json_scan *s, int byte, int *length)
{
    if (json_peek(s) != byte) {
        return false;
    }
    s->pos++;
    (*length)++;
    return true;
}

static enum vov_status scan_number(struct json_scan *s)
{
    int length = 0;
    take(s, '-', &length);
    if (!take(s, '0', &length)) {
        TRY(scan_digits(s, &length));
    }
    if (take(s, '.', &length)) {
        TRY(scan_digits(s, &length));
    }
    if (take(s, 'e', &length) || take(s, 'E', &length)) {
        if (!take(s, '+', &length)) {
            take(s, '-', &length);
        }
        TRY(scan_digits(s, &length));
    }
    if (length > NUMBER_MAX) {
        return json_fail(s, "a number of at most 63 characters");
    }
    return VOV_OK;
}

/* The four digits of \uXXXX. */
static enum vov_status scan_hex4(struct json_scan *s, unsigned *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++) {
        const int c = json_peek(s);
        const int letter = c | 0x20;
        if (is_digit(c)) {
            *code = *code * 16 + (unsigned)(c - '0');
        } else if (c > 0 && letter >= 'a' && letter <= 'f') {
            *code = *code * 16 + (unsigned)(letter - 'a') + 10;
        } else {
            return json_fail(s, "four hexadecimal digits after \\u");
        }
        s->pos++;
    }
    return VOV_OK;
}

static enum vov_status scan_unicode(struct json_scan *s)
{
    unsigned code, low;
    TRY(scan_hex4(s, &code));
    if (code == 0) {
        return json_fail(s, "a string without the character NUL");
    }
    if (code >= 0xd800 && code < 0xdc00 && json_peek(s) == '\\') {
        s->pos++;
        if (json_peek(s) == 'u') {
            s->pos++;
            TRY(scan_hex4(s, &low));
            if (low >= 0xdc00 && low < 0xe000) {
                return VOV_OK;
            }
        }
    }
    return code >= 0xd800 && code < 0xe000 ? json_fail(s, "both halves of a surrogate pair")
                                           : VOV_OK;
}

static enum vov_status scan_escape(struct json_scan *s)
{
    s->pos++; /* the backslash */
    const int c = json_peek(s);
    if (c <= 0 || strchr("\"\\/bfnrtu", c) == NULL) {
        return json_fail(s, "one of \" \\ / b f n r t u after a backslash");
    }
    s->pos++;
    return c == 'u' ? scan_unicode(s) : VOV_OK;
}

/* A letter of two to four bytes. */
static enum vov_status scan_utf8(struct json_scan *s)
{
    char letter[4];
    size_t n = 0;
    do {
        letter[n++] = s->text[s->pos++];
    } while (n < 4 && json_peek(s) >= 0x80 && json_peek(s) < 0xc0 && !text_utf8_ok(letter, n));
    return text_utf8_ok(letter, n) ? VOV_OK : json_fail(s, "UTF-8 text before this byte");
}

static enum vov_status scan_string(struct json_scan *s)
{
    s->pos++; /* the quote */
    for (;;) {
        const int c = json_peek(s);
        if (c == '"') {
            s->pos++;
            return VOV_OK;
        }
        if (c < 0x20) {
            return json_fail(s, "the rest of a string");
        }
        if (c == '\\') {
            TRY(scan_escape(s));
        } else if (c >= 0x80) {
            TRY(scan_utf8(s));
        } else {
            s->pos++;
        }
    }
}

enum vov_status json_scan_key(struct json_scan *s)
{
    if (json_next_token(s) != '"') {
        return json_fail(s, "a key in double quotes");
    }
    /* The key may cross the end of the window: it is read from a copy of its first bytes. */
    size_t n = 0;
    const size_t start = s->before + s->pos + 1;
    const size_t in_window = s->n - s->pos - 1;
    const size_t held = in_window < JSON_KEY_MAX ? in_window : JSON_KEY_MAX;
    memcpy(s->key, s->text + s->pos + 1, held);
    TRY(scan_string(s));
    const size_t length = s->before + s->pos - 1 - start;
    n = length < JSON_KEY_MAX ? length : JSON_KEY_MAX;
    if (n > held) { /* the rest is at the start of this window */
        memcpy(s->key + held, s->text, n - held);
    }
    s->key[n] = '\0';
    return json_expect(s, ':', "':' after a key");
}

static enum vov_status scan_scalar(struct json_scan *s)
{
    const int c = json_peek(s);
    switch (c) {
    case '"':
        return scan_string(s);
    case 't':
        return scan_literal(s, "true");
    case 'f':
        return scan_literal(s, "false");
    case 'n':
        return scan_literal(s, "null");
    default:
        return c == '-' || is_digit(c) ? scan_number(s) : json_fail(s, "a value");
    }
}

/* The brackets that are open, and the value that is left out. */
struct nest {
    char open[JSON_MAX_DEPTH]; /* '{' or '[' */
    int depth;
    const char *const *drop;
    bool dropping;
};

static bool listed(const char *key, const char *const *words)
{
    for (; words != NULL && *words != NULL; words++) {
        if (strcmp(key, *words) == 0) {
            return true;
        }
    }
    return false;
}

static enum vov_status nest_key(struct json_scan *s, struct nest *nest)
{
    TRY(json_scan_key(s));
    if (nest->depth == 1 && s->keep && listed(s->key, nest->drop)) {
        json_keep_end(s);
        buf_puts(s->copy, "null");
        nest->dropping = true;
    }
    return VOV_OK;
}

static enum vov_status nest_open(struct json_scan *s, struct nest *nest, int bracket, bool *ended)
{
    if (nest->depth == JSON_MAX_DEPTH) {
        return json_fail(s, "at most 500 levels of brackets");
    }
    nest->open[nest->depth++] = (char)bracket;
    s->pos++;
    *ended = json_next_token(s) == (bracket == '{' ? '}' : ']');
    return !*ended && bracket == '{' ? nest_key(s, nest) : VOV_OK;
}

/* After a value: closes what closes here, and stops where the next value begins. */
static enum vov_status nest_after(struct json_scan *s, struct nest *nest)
{
    while (nest->depth > 0) {
        if (nest->dropping && nest->depth == 1) {
            nest->dropping = false;
            json_keep_begin(s, s->copy);
        }
        const bool object = nest->open[nest->depth - 1] == '{';
        const int c = json_next_token(s);
        if (c == ',') {
            s->pos++;
            if (object) {
                return nest_key(s, nest);
            }
            return json_next_token(s) == ']' ? json_fail(s, "a value after ','") : VOV_OK;
        }
        if (c != (object ? '}' : ']')) {
            return json_fail(s, object ? "',' or '}' in an object" : "',' or ']' in an array");
        }
        s->pos++;
        nest->depth--;
    }
    return VOV_OK;
}

enum vov_status json_scan_value(struct json_scan *s, const char *const *drop)
{
    struct nest nest;
    nest.depth = 0;
    nest.drop = drop;
    nest.dropping = false;
    do {
        const int c = json_next_token(s);
        if (c == '{' || c == '[') {
            bool ended = false;
            TRY(nest_open(s, &nest, c, &ended));
            if (!ended) {
                continue;
            }
        } else {
            TRY(scan_scalar(s));
        }
        TRY(nest_after(s, &nest));
    } while (nest.depth > 0);
    return VOV_OK;
}
