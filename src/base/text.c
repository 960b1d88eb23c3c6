/*
 * text.c - strict numbers, nearest words, UTF-8.
 */
#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *skip_blanks(const char *s)
{
    while (isspace((unsigned char)*s)) {
        s++;
    }
    return s;
}

static const char *skip_digits(const char *s)
{
    while (isdigit((unsigned char)*s)) {
        s++;
    }
    return s;
}

bool text_int(const char *s, long long *out)
{
    const char *p = skip_blanks(s);
    const char *digits = p + (*p == '-' || *p == '+');
    const char *end = skip_digits(digits);
    if (end == digits || *skip_blanks(end) != '\0') {
        return false;
    }
    errno = 0;
    const long long v = strtoll(p, NULL, 10);
    if (errno != 0) {
        return false;
    }
    *out = v;
    return true;
}

/* The end of a decimal number with fraction and exponent, or NULL. */
static const char *real_end(const char *p)
{
    p += *p == '-' || *p == '+';
    const char *whole = p;
    p = skip_digits(p);
    size_t n_digits = (size_t)(p - whole);
    if (*p == '.') {
        const char *fraction = p + 1;
        p = skip_digits(fraction);
        n_digits += (size_t)(p - fraction);
    }
    if (n_digits == 0) {
        return NULL;
    }
    if (*p == 'e' || *p == 'E') {
        const char *digits = p + 1 + (p[1] == '-' || p[1] == '+');
        p = skip_digits(digits);
        return p > digits ? p : NULL;
    }
    return p;
}

bool text_real(const char *s, double *out)
{
    const char *p = skip_blanks(s);
    const char *end = real_end(p);
    if (end == NULL || *skip_blanks(end) != '\0') {
        return false;
    }
    const double v = strtod(p, NULL);
    if (!isfinite(v)) {
        return false;
    }
    *out = v;
    return true;
}

enum { WORD_MAX = 63 };

static int least(int a, int b)
{
    return a < b ? a : b;
}

static bool same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Insertions, deletions, changes and swaps of neighbours that turn a into b; letters' case does not
 * count. Three rows of the usual table. */
static int edit_distance(const char *a, int na, const char *b, int nb)
{
    int rows[3][WORD_MAX + 1];
    for (int j = 0; j <= nb; j++) {
        rows[0][j] = j;
    }
    for (int i = 1; i <= na; i++) {
        const int *two = rows[(i + 1) % 3], *one = rows[(i - 1) % 3];
        int *row = rows[i % 3];
        row[0] = i;
        for (int j = 1; j <= nb; j++) {
            row[j] = one[j - 1] + !same(a[i - 1], b[j - 1]);
            row[j] = least(row[j], least(one[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1])) {
                row[j] = least(row[j], two[j - 2] + 1);
            }
        }
    }
    return rows[na % 3][nb];
}

void text_clean(char *s)
{
    for (; *s != '\0'; s++) {
        const unsigned char c = (unsigned char)*s;
        *s = (c < 32 && c != '\t' && c != '\n') || c == 127 ? '?' : *s;
    }
}

const char *text_nearest(const char *s, const void *words, int n, size_t stride)
{
    const size_t len = strlen(s);
    if (len == 0 || len > WORD_MAX) {
        return NULL;
    }
    const char *best = NULL;
    int least_edits = len < 4 ? 1 : (int)len / 3 + 1;
    for (int i = 0; i < n; i++) {
        const char *word;
        memcpy(&word, (const char *)words + (size_t)i * stride, sizeof word);
        const size_t n_word = word != NULL ? strlen(word) : 0;
        if (n_word == 0 || n_word > WORD_MAX) {
            continue;
        }
        const int edits = edit_distance(s, (int)len, word, (int)n_word);
        if (edits < least_edits || (edits == least_edits && best == NULL && edits < (int)len)) {
            least_edits = edits;
            best = word;
        }
    }
    return best;
}

/* Bytes that follow the first one of a UTF-8 letter, or -1. */
static int n_following(unsigned char c)
{
    if (c < 0x80) {
        return 0;
    }
    if (c >= 0xc2 && c <= 0xdf) {
        return 1;
    }
    if ((c & 0xf0) == 0xe0) {
        return 2;
    }
    return c >= 0xf0 && c <= 0xf4 ? 3 : -1;
}

/* Not a code that has a shorter form, a surrogate, or over U+10FFFF: all told by the second byte.
 */
static bool second_ok(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xe0:
        return second >= 0xa0;
    case 0xed:
        return second < 0xa0;
    case 0xf0:
        return second >= 0x90;
    case 0xf4:
        return second < 0x90;
    default:
        return true;
    }
}

bool text_utf8_ok(const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;
    for (size_t i = 0; i < n;) {
        const int more = n_following(p[i]);
        if (more < 0 || (size_t)more >= n - i || (more > 0 && !second_ok(p[i], p[i + 1]))) {
            return false;
        }
        for (int k = 1; k <= more; k++) {
            if ((p[i + (size_t)k] & 0xc0) != 0x80) {
                return false;
            }
        }
        i += (size_t)more + 1;
    }
    return true;
}

char *text_skip_bom(char *s)
{
    return s != NULL && strncmp(s, "\xef\xbb\xbf", 3) == 0 ? s + 3 : s;
}

char *text_trim(char *s)
{
    static const char blanks[] = " \t\r\n";
    size_t n;

    s += strspn(s, blanks);
    for (n = strlen(s); n > 0 && strchr(blanks, s[n - 1]) != NULL; n--) {
    }
    s[n] = '\0';
    return s;
}
