/*
 * mem.c - checked allocation, and arenas: chains of blocks that are freed at once.
 */
#include "mem.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The one variable that changes: each thread its own, and only tests set it. */
static _Thread_local long fail_countdown;

static bool refused(void)
{
    return fail_countdown > 0 && --fail_countdown == 0;
}

static bool overflows(size_t n, size_t size)
{
    return size != 0 && n > SIZE_MAX / 2 / size;
}

void mem_fail_after(long n)
{
    fail_countdown = n;
}

void *mem_alloc(size_t n, size_t size)
{
    if (overflows(n, size) || refused()) {
        return NULL;
    }
    return calloc(n > 0 ? n : 1, size > 0 ? size : 1);
}

void *mem_resize(void *p, size_t n, size_t size)
{
    if (overflows(n, size) || refused()) {
        return NULL;
    }
    return realloc(p, n * size > 0 ? n * size : 1);
}

char *mem_strdup(const char *s)
{
    const size_t n = strlen(s) + 1;
    char *copy = mem_alloc(n, 1);
    if (copy != NULL) {
        memcpy(copy, s, n);
    }
    return copy;
}

void mem_free(void *p)
{
    free(p);
}

void *mem_alloc_aligned(size_t bytes)
{
    enum { ALIGN = 64 };
    if (bytes > SIZE_MAX / 2 || refused()) {
        return NULL;
    }
    const size_t whole = (bytes + ALIGN) / ALIGN * ALIGN;
    void *p = aligned_alloc(ALIGN, whole);
    if (p != NULL) {
        memset(p, 0, whole);
    }
    return p;
}

/* In front of a block. */
struct block_head {
    void *start;   /* of what the system or the heap gave */
    size_t mapped; /* its bytes, 0: from the heap */
};

enum { BLOCK_ALIGN = 64, BLOCK_LARGE = 1 << 20, HUGE_PAGE = 2 << 20, PAGE = 4096 };

static void *block_finish(char *p, void *start, size_t mapped)
{
    struct block_head *head = (struct block_head *)(void *)(p - BLOCK_ALIGN);
    head->start = start;
    head->mapped = mapped;
    return p;
}

static char *align_up(char *p, uintptr_t to)
{
    return p + (to - (uintptr_t)p % to) % to;
}

void *mem_block_alloc(size_t bytes)
{
    if (bytes > SIZE_MAX / 4) {
        return NULL;
    }
    if (bytes < BLOCK_LARGE) {
        char *p = mem_alloc_aligned(bytes + BLOCK_ALIGN);
        return p != NULL ? block_finish(p + BLOCK_ALIGN, p, 0) : NULL;
    }
    const size_t all = bytes + HUGE_PAGE + PAGE;
    char *start = refused()
                      ? MAP_FAILED
                      : mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) {
        return NULL;
    }
    char *p = align_up(start + PAGE, HUGE_PAGE);
    /* Only where they are filled to the end, and a refusal does no harm. */
    madvise(p, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
    return block_finish(p, start, all);
}

void mem_block_small_pages(void *p, size_t bytes)
{
    if (bytes >= BLOCK_LARGE) {
        madvise(p, bytes / HUGE_PAGE * HUGE_PAGE, MADV_NOHUGEPAGE);
    }
}

void mem_block_free(void *p)
{
    if (p == NULL) {
        return;
    }
    const struct block_head *head = (const struct block_head *)(void *)((char *)p - BLOCK_ALIGN);
    if (head->mapped > 0) {
        munmap(head->start, head->mapped);
    } else {
        mem_free(head->start);
    }
}

void mem_block_discard(void *p, size_t bytes)
{
    char *from = align_up(p, PAGE);
    char *end = (char *)p + bytes;
    if (from + PAGE <= end) { /* fails, and changes nothing, where pages are larger */
        madvise(from, (size_t)(end - from) / PAGE * PAGE, MADV_DONTNEED);
    }
}

struct arena_block {
    struct arena_block *before;
    size_t used, size;
    max_align_t data[];
};

enum { ARENA_BLOCK = 8192 };

static struct arena_block *add_block(struct arena *a, size_t bytes)
{
    const size_t size = bytes > ARENA_BLOCK ? bytes : ARENA_BLOCK;
    struct arena_block *b = mem_alloc(1, sizeof *b + size);
    if (b == NULL) {
        return NULL;
    }
    b->size = size;
    /* A big block goes behind the current one, whose rest is still good. */
    if (a->last != NULL && bytes > ARENA_BLOCK) {
        b->before = a->last->before;
        a->last->before = b;
    } else {
        b->before = a->last;
        a->last = b;
    }
    return b;
}

void *arena_alloc(struct arena *a, size_t bytes)
{
    const size_t align = sizeof(max_align_t);
    if (bytes > SIZE_MAX / 4) {
        return NULL;
    }
    const size_t whole = (bytes + align) / align * align;
    struct arena_block *b = a->last;
    if (b == NULL || b->size - b->used < whole) {
        b = add_block(a, whole);
    }
    if (b == NULL) {
        return NULL;
    }
    char *p = (char *)b->data + b->used;
    b->used += whole;
    return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
    const size_t n = strlen(s) + 1;
    char *copy = arena_alloc(a, n);
    if (copy != NULL) {
        memcpy(copy, s, n);
    }
    return copy;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, fmt, args);
    char *text = n >= 0 ? arena_alloc(a, (size_t)n + 1) : NULL;
    if (text != NULL) {
        vsnprintf(text, (size_t)n + 1, fmt, again);
    }
    va_end(again);
    va_end(args);
    return text;
}

void arena_free(struct arena *a)
{
    struct arena_block *b = a->last;
    while (b != NULL) {
        struct arena_block *before = b->before;
        mem_free(b);
        b = before;
    }
    a->last = NULL;
}

int vec_grow(void **v, int *cap, size_t item_bytes)
{
    const int more = *cap < 8 ? 8 : *cap;
    if (*cap > INT_MAX - more) {
        return 0;
    }
    void *p = mem_resize(*v, (size_t)(*cap + more), item_bytes);
    if (p == NULL) {
        return 0;
    }
    *v = p;
    *cap += more;
    return 1;
}
