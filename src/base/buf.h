/*
 * buf.h - bytes that grow up to a maximum. Always ends with a NUL that is not counted.
 */
#ifndef VOV_BUF_H
#define VOV_BUF_H

#include "err.h"

#include <stdbool.h>

struct buf {
    char *p; /* NULL while empty */
    size_t n, cap;
    size_t max;  /* 0: 1 GiB */
    bool failed; /* an addition found no memory or passed the maximum; later ones do nothing */
};

void buf_add(struct buf *b, const void *bytes, size_t n);
/* Room for n more bytes, NULL where there is none; and then, how many of them were filled. */
char *buf_room(struct buf *b, size_t n);
void buf_filled(struct buf *b, size_t n);
void buf_puts(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) VOV_PRINTF(2, 3);
void buf_vprintf(struct buf *b, const char *fmt, va_list args) VOV_PRINTF(2, 0);
void buf_clear(struct buf *b); /* keeps the memory */
void buf_free(struct buf *b);

#endif
