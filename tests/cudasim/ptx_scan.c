/*
 * ptx_scan.c - the words of PTX text.
 */
#include "ptx_scan.h"

#include "sim.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char punctuation[] = ",;{}()[]=|!+@";

static const char *skip_blanks(const char *p)
{
    for (;;) {
        while (isspace((unsigned char)*p)) {
            p++;
        }
        if (p[0] == '/' && p[1] == '/') {
            while (*p && *p != '\n') {
                p++;
            }
        } else if (p[0] == '/' && p[1] == '*') {
            const char *end = strstr(p + 2, "*/");
            p = end ? end + 2 : p + strlen(p);
        } else {
            return p;
        }
    }
}

struct slice scan_next(struct scanner *s)
{
    const char *p = skip_blanks(s->at);
    const char *end = p;
    if (*p == '"') {
        end = strchr(p + 1, '"');
        end = end ? end + 1 : p + strlen(p);
    } else if (*p && strchr(punctuation, *p)) {
        end = p + 1;
    } else {
        while (*end && !isspace((unsigned char)*end) && !strchr(punctuation, *end)) {
            end++;
        }
    }
    s->at = end;
    return (struct slice){p, (size_t)(end - p)};
}

struct slice scan_peek(const struct scanner *s)
{
    struct scanner ahead = *s;
    return scan_next(&ahead);
}

bool scan_accept(struct scanner *s, const char *word)
{
    struct scanner ahead = *s;
    if (!slice_is(scan_next(&ahead), word)) {
        return false;
    }
    *s = ahead;
    return true;
}

void scan_expect(struct scanner *s, const char *word)
{
    const struct slice found = scan_next(s);
    if (!slice_is(found, word)) {
        sim_unfit("PTX: expected '%s', found '%.*s'", word, (int)found.n, found.p);
    }
}

uint64_t scan_number(struct scanner *s)
{
    uint64_t value = 0;
    const struct slice found = scan_next(s);
    if (!slice_number(found, &value)) {
        sim_unfit("PTX: expected a number, found '%.*s'", (int)found.n, found.p);
    }
    return value;
}

void scan_skip_block(struct scanner *s)
{
    const char *p = s->at;
    for (int depth = 1; *p && depth > 0; p++) {
        depth += (*p == '{') - (*p == '}');
    }
    s->at = p;
}

bool slice_is(struct slice a, const char *word)
{
    return a.n == strlen(word) && memcmp(a.p, word, a.n) == 0;
}

bool slice_equal(struct slice a, struct slice b)
{
    return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

bool slice_starts(struct slice a, const char *prefix)
{
    const size_t n = strlen(prefix);
    return a.n >= n && memcmp(a.p, prefix, n) == 0;
}

bool slice_number(struct slice a, uint64_t *value)
{
    char text[40];
    char *end = NULL;
    if (a.n == 0 || a.n >= sizeof text || !(isdigit((unsigned char)*a.p) || *a.p == '-')) {
        return false;
    }
    memcpy(text, a.p, a.n);
    text[a.n] = '\0';
    if (text[0] == '0' && strchr("fFdD", text[1]) && text[1]) {
        *value = strtoull(text + 2, &end, 16);
    } else {
        if (a.n > 1 && text[a.n - 1] == 'U') {
            text[a.n - 1] = '\0';
        }
        *value = text[0] == '-' ? (uint64_t)strtoll(text, &end, 0) : strtoull(text, &end, 0);
    }
    return *end == '\0';
}

char *slice_copy(struct slice a)
{
    char *copy = sim_alloc(a.n + 1);
    memcpy(copy, a.p, a.n);
    return copy;
}
