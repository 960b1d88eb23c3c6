/*
 * test_keys.c - tables of keys: types, ranges, defaults, and what each mistake is told.
 */
#include "cfg/keys.h"
#include "run.h"

#include <stdlib.h>
#include <string.h>

struct all {
    int i, any, e;
    double r;
    bool b;
    struct int_list ints;
    struct real_list reals;
    const char *name;
    struct name_list names;
};

#define AT(field) offsetof(struct all, field)
static const struct key_spec specs[] = {
    {"filters", NULL, KEY_INT, AT(i), 1, 8192, NULL, "how many channels come out"},
    {"any", "-5", KEY_INT, AT(any), 0, 0, NULL, "a whole number"},
    {"activation", "relu", KEY_ENUM, AT(e), 0, 0, "linear relu leaky", "what follows"},
    {"decay", "5e-4", KEY_REAL, AT(r), 0, 1, NULL, "weight decay"},
    {"bias", "1", KEY_BOOL, AT(b), 0, 0, NULL, "add a bias"},
    {"layers", "", KEY_INTS, AT(ints), -10, 10, NULL, "sections"},
    {"scales", ".1,.2", KEY_REALS, AT(reals), 0, 1, NULL, "factors"},
    {"name", "", KEY_NAME, AT(name), 0, 0, NULL, "its name"},
    {"from", "", KEY_NAMES, AT(names), 0, 0, NULL, "inputs"},
    {0},
};
#undef AT

/* Fills *a from a [conv] of these lines; the cfg is the caller's to free. */
static enum vov_status fill(const char *lines, struct cfg_file *cfg, struct all *a,
                            struct err_list *errs)
{
    char text[1000];
    snprintf(text, sizeof text, "[conv]\n%s", lines);
    *errs = (struct err_list){0};
    ck_assert_int_eq(cfg_parse("x.cfg", text, strlen(text), NULL, cfg, errs), VOV_OK);
    memset(a, 0x55, sizeof *a);
    return keys_fill(cfg, &cfg->sections[0], specs, a, errs);
}

START_TEST(defaults)
{
    struct cfg_file cfg;
    struct err_list errs;
    struct all a;
    ck_assert_int_eq(fill("filters=8", &cfg, &a, &errs), VOV_OK);
    ck_assert_int_eq(a.i, 8);
    ck_assert_int_eq(a.any, -5);
    ck_assert_int_eq(a.e, 1);
    ck_assert(a.r == 5e-4);
    ck_assert(a.b);
    ck_assert_int_eq(a.ints.n, 0);
    ck_assert_int_eq(a.reals.n, 2);
    ck_assert(a.reals.v[1] == 0.2);
    ck_assert_ptr_null(a.name);
    ck_assert_int_eq(a.names.n, 0);
    cfg_free(&cfg);
}
END_TEST

START_TEST(all_given)
{
    struct cfg_file cfg;
    struct err_list errs;
    struct all a;
    ck_assert_int_eq(fill("filters=8192\nany=2147483647\nactivation=leaky\ndecay=0\nbias=0\n"
                          "layers= -1 , 5,-10\nscales=1\nname=stage 3\nfrom= a, b ,c",
                          &cfg, &a, &errs),
                     VOV_OK);
    ck_assert_int_eq(a.any, 2147483647);
    ck_assert_int_eq(a.e, 2);
    ck_assert(a.r == 0 && !a.b);
    ck_assert_int_eq(a.ints.n, 3);
    ck_assert_int_eq(a.ints.v[2], -10);
    ck_assert_str_eq(a.name, "stage 3");
    ck_assert_int_eq(a.names.n, 3);
    ck_assert_str_eq(a.names.v[1], "b");
    cfg_free(&cfg);
}
END_TEST

struct wrong {
    const char *lines;
    int line, col;
    const char *message;
};

static const struct wrong wrong[] = {
    {"bias=1", 1, 1, "[conv] the key filters is missing: how many channels come out"},
    {"filters=0", 2, 9, "[conv] filters must be between 1 and 8192, not 0"},
    {"filters = -8", 2, 11, "[conv] filters must be between 1 and 8192, not -8"},
    {"filters=2000000000", 2, 9, "[conv] filters must be between 1 and 8192, not 2000000000"},
    {"filters=1e1", 2, 9, "[conv] filters must be a whole number, not \"1e1\""},
    {"filters=8.0", 2, 9, "[conv] filters must be a whole number, not \"8.0\""},
    {"filters=99999999999999999999", 2, 9,
     "[conv] filters must be a whole number, not \"99999999999999999999\""},
    {"filters=", 2, 9, "[conv] filters must be a whole number, and it is empty"},
    {"filters=8\nany=2147483648", 3, 5,
     "[conv] any must be between -2147483648 and 2147483647, not 2147483648"},
    {"filters=8\ndecay=nan", 3, 7, "[conv] decay must be a number, not \"nan\""},
    {"filters=8\ndecay=1.5", 3, 7, "[conv] decay must be between 0 and 1, not 1.5"},
    {"filters=8\nbias=yes", 3, 6, "[conv] bias must be 0 or 1, not \"yes\""},
    {"filters=8\nactivation=rely", 3, 12,
     "[conv] unknown activation \"rely\"; did you mean \"relu\"? one of: linear relu leaky"},
    {"filters=8\nactivation=quantum", 3, 12,
     "[conv] unknown activation \"quantum\"; one of: linear relu leaky"},
    {"filters=8\nactivation=relu leaky", 3, 12,
     "[conv] unknown activation \"relu leaky\"; one of: linear relu leaky"},
    {"filters=8\nlayers=1, x", 3, 11, "[conv] layers must be a whole number, not \"x\""},
    {"filters=8\nlayers=1,,2", 3, 10,
     "[conv] layers must be a list of values between single commas, and it is empty"},
    {"filters=8\nlayers=1,", 3, 10,
     "[conv] layers must be a list of values between single commas, and it is empty"},
    {"filters=8\nlayers=", 3, 8,
     "[conv] layers must be a list of values between single commas, and it is empty"},
    {"filters=8\nlayers=1,11", 3, 10, "[conv] layers must be between -10 and 10, not 11"},
    {"filters=8\nscales=.5, inf", 3, 12, "[conv] scales must be a number, not \"inf\""},
    {"filters=8\nname=", 3, 6, "[conv] name must be a name, and it is empty"},
    {"filters=8\nfilter=3", 3, 1, "[conv] unknown key \"filter\"; did you mean \"filters\"?"},
    {"filters=8\nFrom=x", 3, 1, "[conv] unknown key \"From\"; did you mean \"from\"?"},
    {"filters=8\nquantum=3", 3, 1,
     "[conv] unknown key \"quantum\"; `vov help cfg conv` lists those that it has"},
};

START_TEST(each_mistake)
{
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct cfg_file cfg;
        struct err_list errs;
        struct all a;
        ck_assert_msg(fill(wrong[i].lines, &cfg, &a, &errs) == VOV_ECFG, "took %s", wrong[i].lines);
        ck_assert_int_eq(errs.n, 1);
        ck_assert_str_eq(errs.item[0].msg, wrong[i].message);
        ck_assert_int_eq(errs.item[0].at.line, wrong[i].line);
        ck_assert_int_eq(errs.item[0].at.col, wrong[i].col);
        cfg_free(&cfg);
    }
}
END_TEST

START_TEST(all_mistakes_at_once)
{
    struct cfg_file cfg;
    struct err_list errs;
    struct all a;
    ck_assert_int_eq(fill("filtrs=8\nbias=2\ndecay=x\nlayers=?", &cfg, &a, &errs), VOV_ECFG);
    ck_assert_int_eq(errs.total, 5); /* with the missing filters */
    cfg_free(&cfg);
}
END_TEST

START_TEST(without_memory)
{
    int failed = 0;
    for (long i = 1; i < 12; i++) {
        const char text[] = "[conv]\nfilters=8\nlayers=1,2\nfrom=a,b\n";
        struct cfg_file cfg;
        struct err_list errs = {0};
        struct all a;
        ck_assert_int_eq(cfg_parse("x", text, sizeof text - 1, NULL, &cfg, &errs), VOV_OK);
        /* Uses up the block at hand, so that the next allocation of the arena asks for another. */
        ck_assert_ptr_nonnull(arena_alloc(&cfg.mem, 7000));
        ck_assert_ptr_nonnull(arena_alloc(&cfg.mem, 8000));
        ck_assert_ptr_nonnull(arena_alloc(&cfg.mem, 100));
        mem_fail_after(i);
        const enum vov_status s = keys_fill(&cfg, &cfg.sections[0], specs, &a, &errs);
        mem_fail_after(0);
        ck_assert(s == VOV_OK || s == VOV_ENOMEM);
        failed += s == VOV_ENOMEM;
        cfg_free(&cfg);
    }
    ck_assert_int_gt(failed, 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {defaults,       all_given, each_mistake, all_mistakes_at_once,
                                  without_memory, NULL};
    return run_tests("keys", tests);
}
