/*
 * buf.c - bytes that grow by doubling, up to a maximum.
 */
#include "buf.h"

#include "mem.h"

#include <string.h>

static const size_t default_max = (size_t)1 << 30;

/* Room for n more bytes and the NUL. */
static bool reserve(struct buf *b, size_t n)
{
    const size_t max = b->max > 0 ? b->max : default_max;
    if (b->failed || b->n > max || n > max - b->n) {
        b->failed = true;
        return false;
    }
    const size_t need = b->n + n + 1;
    if (need <= b->cap) {
        return true;
    }
    size_t cap = b->cap > 0 ? b->cap * 2 : 64;
    if (cap < need) {
        cap = need;
    }
    char *p = mem_resize(b->p, cap, 1);
    if (p == NULL) {
        b->failed = true;
        return false;
    }
    b->p = p;
    b->cap = cap;
    return true;
}

char *buf_room(struct buf *b, size_t n)
{
    return reserve(b, n) ? b->p + b->n : NULL;
}

void buf_filled(struct buf *b, size_t n)
{
    b->n += n;
    b->p[b->n] = '\0';
}

void buf_add(struct buf *b, const void *bytes, size_t n)
{
    if (!reserve(b, n)) {
        return;
    }
    if (n > 0) {
        memcpy(b->p + b->n, bytes, n);
    }
    b->n += n;
    b->p[b->n] = '\0';
}

void buf_puts(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_vprintf(struct buf *b, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, fmt, args);
    if (n < 0) {
        b->failed = true;
    } else if (reserve(b, (size_t)n)) {
        vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    buf_vprintf(b, fmt, args);
    va_end(args);
}

void buf_clear(struct buf *b)
{
    b->n = 0;
    b->failed = false;
    if (b->p != NULL) {
        b->p[0] = '\0';
    }
}

void buf_free(struct buf *b)
{
    mem_free(b->p);
    const size_t max = b->max;
    *b = (struct buf){.max = max};
}
