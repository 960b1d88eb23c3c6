/*
 * test_isa.c - which kernels are chosen: the best that run, or those that the environment names.
 */
#include "backend/backend.h"
#include "cpu/isa.h"
#include "run.h"

#include <stdlib.h>
#include <string.h>

START_TEST(test_list)
{
    struct isa list[MAX_ISAS];
    const int n = isa_list(list);

    ck_assert_str_eq(list[n - 1].name, "base");
    ck_assert(list[n - 1].runs);
}
END_TEST

START_TEST(test_choice)
{
    struct isa list[MAX_ISAS], isa;
    struct err err = {0};
    int best = 0;

    isa_list(list);
    while (!list[best].runs) {
        best++;
    }
    ck_assert_int_eq(isa_choose(NULL, &isa, &err), VOV_OK);
    ck_assert_str_eq(isa.name, list[best].name);
    ck_assert_int_eq(isa_choose("", &isa, &err), VOV_OK);
    ck_assert_str_eq(isa.name, list[best].name);
    ck_assert_int_eq(isa_choose("base", &isa, &err), VOV_OK);
    ck_assert_str_eq(isa.name, "base");
    ck_assert_int_eq(isa_choose("mmx", &isa, &err), VOV_EARG);
    ck_assert_ptr_nonnull(strstr(err.msg, "\"mmx\""));
    ck_assert_ptr_nonnull(strstr(err.msg, "base"));
}
END_TEST

/* One that was compiled but does not run here is refused, rather than crashing later. */
START_TEST(test_foreign)
{
    struct isa list[MAX_ISAS], isa;
    const int n = isa_list(list);

    for (int i = 0; i < n; i++) {
        struct err err = {0};
        ck_assert_int_eq(isa_choose(list[i].name, &isa, &err),
                         list[i].runs ? VOV_OK : VOV_EUNSUPPORTED);
    }
}
END_TEST

START_TEST(test_environment)
{
    struct backend *be;
    struct err err = {0};

    ck_assert_int_eq(setenv("VOV_ISA", "base", 1), 0);
    ck_assert_int_eq(backend_open("cpu", 1, &be, &err), VOV_OK);
    ck_assert_str_eq(be->isa, "base");
    backend_close(be);
    ck_assert_int_eq(setenv("VOV_ISA", "mmx", 1), 0);
    ck_assert_int_eq(backend_open("cpu", 1, &be, &err), VOV_EARG);
    ck_assert_ptr_null(be);
    unsetenv("VOV_ISA");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_list, test_choice, test_foreign, test_environment, NULL};

    return run_tests("isa", tests);
}
