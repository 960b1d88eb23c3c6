/*
 * text.h - words and numbers in text: strict parsing, and the nearest word to a misspelt one.
 */
#ifndef VOV_TEXT_H
#define VOV_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* The whole of s must be one decimal number, blanks around it allowed; false otherwise. No hex, no
 * NaN, no infinity, no "1e3" for a whole number. */
bool text_int(const char *s, long long *out);
bool text_real(const char *s, double *out);

/* Control bytes of a text from outside become '?', but for tabs and line feeds. */
void text_clean(char *s);

/* Which of the n words (each at `stride` bytes from the one before, a char pointer) is meant by
 * `s`: the nearest by edit distance, or NULL when none is near enough to be worth a guess. */
const char *text_nearest(const char *s, const void *words, int n, size_t stride);

/* Past the byte order mark that some editors write first. NULL stays NULL. */
char *text_skip_bom(char *s);

/* Cuts blanks and line ends off both ends, in place; what is left begins at the return value. */
char *text_trim(char *s);

bool text_utf8_ok(const char *s, size_t n);

#endif
