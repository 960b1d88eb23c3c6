/*
 * mem.h - checked allocation and arenas. Sizes are products checked for overflow; a countdown lets
 * tests make the i-th allocation fail.
 */
#ifndef VOV_MEM_H
#define VOV_MEM_H

#include "err.h"

/* Zeroed memory for n items, or NULL. n * size may overflow: then NULL too. */
void *mem_alloc(size_t n, size_t size);

/* Grows or shrinks; on NULL the old block is still there. New bytes are not cleared. */
void *mem_resize(void *p, size_t n, size_t size);
char *mem_strdup(const char *s);
void mem_free(void *p); /* NULL is fine */

/* Zeroed memory at a multiple of 64 bytes; freed by mem_free too. */
void *mem_alloc_aligned(size_t bytes);

/*
 * Zeroed blocks for the numbers of a network, at a multiple of 64 bytes. Large ones come from the
 * system page by page as they are first touched, on huge pages where it has them. NULL: no memory.
 */
void *mem_block_alloc(size_t bytes);
void mem_block_free(void *p); /* NULL is fine */
/* Before it is touched: no huge pages for this block. */
void mem_block_small_pages(void *p, size_t bytes);
/* Gives back the whole pages of a part of a block; they may read as zeros then. */
void mem_block_discard(void *p, size_t bytes);

/* Tests: the n-th allocation from now on, of this thread, fails (1: the next); 0 switches it off.
 */
void mem_fail_after(long n);

/* Many small objects that die together. */
struct arena {
    struct arena_block *last;
};
void *arena_alloc(struct arena *a, size_t bytes); /* zeroed, aligned for anything, or NULL */
char *arena_strdup(struct arena *a, const char *s);
char *arena_printf(struct arena *a, const char *fmt, ...) VOV_PRINTF(2, 3);
void arena_free(struct arena *a);

/* Makes room for one more item at the end of a growing array: `VEC_GROW(v, n, cap)` is 0 when
 * memory ran out. The new item is not cleared. */
#define VEC_GROW(v, n, cap) ((n) < (cap) || vec_grow((void **)&(v), &(cap), sizeof *(v)))
int vec_grow(void **v, int *cap, size_t item_bytes);

#endif
