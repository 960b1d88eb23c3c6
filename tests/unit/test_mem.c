/*
 * test_mem.c - allocation, arenas, buffers and maps; and that each survives the failure of any one
 * of its allocations.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/usage.h"
#include "pages.h"
#include "run.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

START_TEST(sizes_that_overflow)
{
    ck_assert_ptr_null(mem_alloc(SIZE_MAX / 2, 8));
    ck_assert_ptr_null(mem_alloc((size_t)1 << 33, (size_t)1 << 33));
    ck_assert_ptr_null(mem_resize(NULL, SIZE_MAX, 2));
    ck_assert_ptr_null(mem_alloc_aligned(SIZE_MAX - 8));
    struct arena a = {0};
    ck_assert_ptr_null(arena_alloc(&a, SIZE_MAX - 8));
    arena_free(&a);
}
END_TEST

START_TEST(zeroed_and_aligned)
{
    for (size_t n = 0; n < 300; n += 7) {
        unsigned char *p = mem_alloc_aligned(n);
        ck_assert_ptr_nonnull(p);
        ck_assert_uint_eq((uintptr_t)p % 64, 0);
        for (size_t i = 0; i < n; i++) {
            ck_assert_int_eq(p[i], 0);
        }
        mem_free(p);
    }
}
END_TEST

/* Small ones from the heap, large ones from the system. */
START_TEST(blocks)
{
    const size_t sizes[] = {0, 1, 4000, 70000, 1 << 20, (5 << 20) + 13};

    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        unsigned char *p = mem_block_alloc(sizes[k]);
        ck_assert_ptr_nonnull(p);
        ck_assert_uint_eq((uintptr_t)p % 64, 0);
        for (size_t i = 0; i < sizes[k]; i++) {
            if (p[i] != 0) {
                ck_abort_msg("number %zu of %zu is %d", i, sizes[k], p[i]);
            }
        }
        memset(p, 7, sizes[k]);
        if (sizes[k] > 60000) {
            mem_block_discard(p + 5000, 30000);
            ck_assert_int_eq(p[4999], 7);
            ck_assert_int_eq(p[35000], 7);
        }
        mem_block_free(p);
    }
    mem_block_free(NULL);
    ck_assert_ptr_null(mem_block_alloc(SIZE_MAX / 2));
    mem_fail_after(1);
    ck_assert_ptr_null(mem_block_alloc(1 << 21));
}
END_TEST

START_TEST(blocks_of_small_pages)
{
    const size_t bytes = 5 << 20;
    char *huge = mem_block_alloc(bytes), *small = mem_block_alloc(bytes);

    ck_assert(huge != NULL && small != NULL);
    mem_block_small_pages(small, bytes);
    ck_assert_int_ne(small_pages(small), 0);
    ck_assert_int_ne(small_pages(huge), 1);
    small[bytes - 1] = huge[bytes - 1] = 1;
    mem_block_free(small);
    mem_block_free(huge);
    small = mem_block_alloc(100);
    ck_assert_ptr_nonnull(small);
    mem_block_small_pages(small, 100); /* from the heap: nothing to do */
    mem_block_free(small);
}
END_TEST

START_TEST(countdown)
{
    mem_fail_after(2);
    void *a = mem_alloc(1, 1), *b = mem_alloc(1, 1), *c = mem_alloc(1, 1);
    ck_assert_ptr_nonnull(a);
    ck_assert_ptr_null(b);
    ck_assert_ptr_nonnull(c);
    mem_free(a);
    mem_free(c);
}
END_TEST

START_TEST(arena_keeps_what_it_gave)
{
    struct arena a = {0};
    char *text[500];
    for (int i = 0; i < 500; i++) {
        text[i] = arena_printf(&a, "number %d", i);
        char *big = i % 50 == 0 ? arena_alloc(&a, 20000) : NULL;
        if (big != NULL) {
            memset(big, 0xff, 20000);
        }
        double *aligned = arena_alloc(&a, sizeof *aligned);
        ck_assert_uint_eq((uintptr_t)aligned % sizeof(long double), 0);
        *aligned = i;
    }
    for (int i = 0; i < 500; i++) {
        char wanted[32];
        snprintf(wanted, sizeof wanted, "number %d", i);
        ck_assert_str_eq(text[i], wanted);
    }
    ck_assert_str_eq(arena_strdup(&a, ""), "");
    arena_free(&a);
    ck_assert_ptr_null(a.last);
}
END_TEST

START_TEST(vectors_grow)
{
    int *v = NULL, n = 0, cap = 0;
    for (int i = 0; i < 1000; i++) {
        ck_assert(VEC_GROW(v, n, cap));
        v[n++] = i;
    }
    ck_assert_int_eq(v[999], 999);
    n = cap;
    mem_fail_after(1);
    ck_assert(!VEC_GROW(v, n, cap));
    ck_assert_int_eq(v[999], 999);
    mem_free(v);
}
END_TEST

START_TEST(buf_has_a_maximum)
{
    struct buf b = {.max = 10};
    buf_puts(&b, "0123456789");
    ck_assert(!b.failed);
    buf_puts(&b, "x");
    ck_assert(b.failed);
    ck_assert_str_eq(b.p, "0123456789");
    buf_clear(&b);
    buf_printf(&b, "%d-%s", 12, "ab");
    ck_assert(!b.failed);
    ck_assert_str_eq(b.p, "12-ab");
    ck_assert_uint_eq(b.n, 5);
    buf_printf(&b, "%d", 1234567);
    ck_assert(b.failed);
    ck_assert_uint_eq(b.n, 5);
    buf_free(&b);
    ck_assert_ptr_null(b.p);
}
END_TEST

START_TEST(buf_without_memory)
{
    struct buf b = {0};
    mem_fail_after(1);
    buf_puts(&b, "x");
    ck_assert(b.failed);
    buf_puts(&b, "y");
    ck_assert_uint_eq(b.n, 0);
    buf_free(&b);
}
END_TEST

START_TEST(map_keeps_order_and_replaces)
{
    struct map m = {0};
    char key[2000][8];
    ck_assert_ptr_null(map_get(&m, "0"));
    for (int i = 0; i < 2000; i++) {
        snprintf(key[i], sizeof key[i], "%d", i * 7);
        ck_assert(map_put(&m, key[i], key[i]));
    }
    ck_assert(map_put(&m, "7", key[0]));
    ck_assert_int_eq(m.n, 2000);
    ck_assert_ptr_eq(map_get(&m, "7"), key[0]);
    ck_assert_ptr_eq(map_get(&m, "13993"), key[1999]);
    ck_assert_ptr_null(map_get(&m, "1"));
    ck_assert_str_eq(m.entry[1].key, "7");
    map_free(&m);
}
END_TEST

START_TEST(idmap_takes_any_number)
{
    struct idmap m = {0};
    const long long odd[] = {0, -1, INT64_MIN, INT64_MAX, 1ll << 53};
    for (int i = 0; i < 5; i++) {
        ck_assert(idmap_put(&m, odd[i], i));
    }
    for (int i = 0; i < 20000; i++) {
        ck_assert(idmap_put(&m, 1000000ll + 4096ll * i, i));
    }
    ck_assert_int_eq(m.n, 20005);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(idmap_get(&m, odd[i]), i);
    }
    for (int i = 0; i < 20000; i++) {
        ck_assert_int_eq(idmap_get(&m, 1000000ll + 4096ll * i), i);
    }
    ck_assert_int_eq(idmap_get(&m, 5), -1);
    idmap_free(&m);
}
END_TEST

START_TEST(maps_without_memory)
{
    static const char *const key[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j",
                                      "k", "l", "m", "n", "o", "p", "q", "r", "s", "t"};
    for (long fail = 1; fail < 10; fail++) {
        struct map m = {0};
        struct idmap ids = {0};
        int put = 0, put_ids = 0;
        mem_fail_after(fail);
        for (int i = 0; i < 20; i++) {
            put += map_put(&m, key[i], &m);
            put_ids += idmap_put(&ids, i, i);
        }
        mem_fail_after(0);
        ck_assert_int_eq(m.n, put);
        ck_assert_int_eq(ids.n, put_ids);
        ck_assert_int_ge(put + put_ids, 38);
        map_free(&m);
        idmap_free(&ids);
    }
}
END_TEST

START_TEST(clocks)
{
    const double t = clock_now();
    ck_assert(clock_now() >= t);
    ck_assert_uint_gt(usage_peak_bytes(), 100000);
    ck_assert_uint_gt(usage_left_bytes(), 1000000);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {sizes_that_overflow,
                                  zeroed_and_aligned,
                                  blocks,
                                  blocks_of_small_pages,
                                  countdown,
                                  arena_keeps_what_it_gave,
                                  vectors_grow,
                                  buf_has_a_maximum,
                                  buf_without_memory,
                                  map_keeps_order_and_replaces,
                                  idmap_takes_any_number,
                                  maps_without_memory,
                                  clocks,
                                  NULL};
    return run_tests("mem", tests);
}
