/*
 * ptx_scan.h - the words of PTX text. A word is a slice of the text, which lives as long as the
 * module.
 */
#ifndef VOV_TESTS_CUDASIM_PTX_SCAN_H
#define VOV_TESTS_CUDASIM_PTX_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slice {
    const char *p;
    size_t n;
};

struct scanner {
    const char *at;
};

/* The next word, number, quoted text or single character of punctuation, past blanks and comments;
 * an empty slice at the end.
 */
struct slice scan_next(struct scanner *s);
struct slice scan_peek(const struct scanner *s);

/* Takes the next word if it is this one. */
bool scan_accept(struct scanner *s, const char *word);

/* Takes the next word, which must be this one. */
void scan_expect(struct scanner *s, const char *word);

uint64_t scan_number(struct scanner *s);

/* Goes past the closing brace; the opening one was taken. */
void scan_skip_block(struct scanner *s);

bool slice_is(struct slice a, const char *word);
bool slice_equal(struct slice a, struct slice b);
bool slice_starts(struct slice a, const char *prefix);

/* A number as it stands in PTX: decimal, 0x, or the bits of a float after 0f or 0d. False if the
 * slice is none.
 */
bool slice_number(struct slice a, uint64_t *value);

/* A copy, ended by a zero. */
char *slice_copy(struct slice a);

#endif
