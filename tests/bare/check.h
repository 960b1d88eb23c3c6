/*
 * check.h - as much of libcheck as the tests of kernels use, so that they can be built for machines
 * that it is not installed for (tests/cli/neon.sh). Everything runs in one process, and the first
 * failure ends it. TEST_STRIDE=N in the environment runs every N-th turn of a looped test.
 */
#ifndef VOV_TEST_BARE_CHECK_H
#define VOV_TEST_BARE_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *name;
    void (*fn)(int i);
} TTest;

enum { MAX_TESTS = 64 };

typedef struct {
    const TTest *test[MAX_TESTS];
    int from[MAX_TESTS], to[MAX_TESTS], n;
} TCase;
typedef TCase *Suite, *SRunner;

#define START_TEST(test_name)                                                                      \
    static void test_name##_fn(int _i);                                                            \
    static const TTest test_name##_test = {#test_name, test_name##_fn};                            \
    static const TTest *const test_name = &test_name##_test;                                       \
    static void test_name##_fn(int _i __attribute__((unused)))
#define END_TEST

enum { CK_NORMAL };

#define ck_abort_msg(...)                                                                          \
    do {                                                                                           \
        printf("%s:%d: ", __FILE__, __LINE__);                                                     \
        printf(__VA_ARGS__);                                                                       \
        printf("\n");                                                                              \
        exit(1);                                                                                   \
    } while (0)
#define ck_assert_msg(holds, ...)                                                                  \
    do {                                                                                           \
        if (!(holds)) {                                                                            \
            ck_abort_msg(__VA_ARGS__);                                                             \
        }                                                                                          \
    } while (0)
#define ck_assert(holds) ck_assert_msg(holds, "%s", #holds)
#define ck_assert_int_eq(a, b) ck_assert((long long)(a) == (long long)(b))
#define ck_assert_int_ge(a, b) ck_assert((long long)(a) >= (long long)(b))
#define ck_assert_str_eq(a, b) ck_assert(strcmp(a, b) == 0)
#define ck_assert_ptr_nonnull(p) ck_assert((p) != NULL)
#define ck_assert_ptr_null(p) ck_assert((p) == NULL)

static inline TCase *tcase_create(const char *name)
{
    (void)name;
    return calloc(1, sizeof(TCase));
}

static inline void tcase_add_loop_test(TCase *c, const TTest *test, int from, int to)
{
    if (c->n == MAX_TESTS) {
        ck_abort_msg("more than %d tests", MAX_TESTS);
    }
    c->test[c->n] = test;
    c->from[c->n] = from;
    c->to[c->n++] = to;
}

static inline void tcase_add_test(TCase *c, const TTest *test)
{
    tcase_add_loop_test(c, test, 0, 1);
}

static inline void tcase_set_timeout(TCase *c, double seconds)
{
    (void)c, (void)seconds;
}

static inline Suite *suite_create(const char *name)
{
    (void)name;
    return calloc(1, sizeof(Suite));
}

static inline void suite_add_tcase(Suite *s, TCase *c)
{
    *s = c;
}

static inline SRunner *srunner_create(Suite *s)
{
    return s;
}

static inline void srunner_run_all(SRunner *r, int how)
{
    const char *stride = getenv("TEST_STRIDE");
    const int step = stride ? (int)strtol(stride, NULL, 10) : 1;
    const TCase *c = *r;
    int runs = 0;

    (void)how;
    for (int t = 0; t < c->n; t++) {
        for (int i = c->from[t]; i < c->to[t]; i += step, runs++) {
            c->test[t]->fn(i);
        }
    }
    printf("%d runs of %d tests\n", runs, c->n);
}

static inline int srunner_ntests_failed(SRunner *r)
{
    (void)r;
    return 0;
}

static inline void srunner_free(SRunner *r)
{
    free(*r);
    free(r);
}

#endif
