/*
 * test_err.c - the first error wins, places, and how an error is shown.
 */
#include "base/err.h"
#include "base/log.h"
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What err_print prints, in static memory of this test program. */
static const char *printed(const struct err *err)
{
    static char text[2000];
    FILE *f = fmemopen(text, sizeof text, "w");
    err_print(err, f);
    fclose(f);
    return text;
}

START_TEST(first_wins)
{
    struct err err = {0};
    ck_assert_int_eq(err_set(&err, VOV_ECFG, "one %d", 1), VOV_ECFG);
    ck_assert_int_eq(err_set(&err, VOV_EIO, "two"), VOV_EIO);
    ck_assert_int_eq(err.code, VOV_ECFG);
    ck_assert_str_eq(err.msg, "one 1");
    ck_assert_int_eq(err_set(NULL, VOV_EIO, "nobody listens"), VOV_EIO);
}
END_TEST

START_TEST(io_names_the_reason)
{
    struct err err = {0};
    errno = ENOSPC;
    ck_assert_int_eq(err_io(&err, "write", "a/b"), VOV_EIO);
    ck_assert_str_eq(err.msg, "cannot write a/b: No space left on device");

    char path[1000];
    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = '\0';
    err = (struct err){0};
    errno = ENAMETOOLONG;
    err_io(&err, "read", path);
    ck_assert_ptr_nonnull(strstr(err.msg, "x: File name too long"));
}
END_TEST

START_TEST(shown_with_caret)
{
    const struct src_loc at = {"x.cfg", "\twidth = 0", 42, 10};
    struct err err = {0};
    err_at(&err, &at, VOV_ECFG, "width must be between %d and %d, not %d", 1, 8192, 0);
    ck_assert_str_eq(printed(&err), "x.cfg:42:10: error: width must be between 1 and 8192, not 0\n"
                                    "   42 | \twidth = 0\n"
                                    "      | \t        ^\n");
}
END_TEST

START_TEST(located_once)
{
    const struct src_loc a = {"x.cfg", "[conv]", 3, 1}, b = {"x.cfg", "[osa]", 9, 1};
    struct err err = {0};
    err_set(&err, VOV_ESHAPE, "a 1x1 input leaves nothing");
    ck_assert_int_eq(err_locate(&err, &a, "conv12"), VOV_ESHAPE);
    ck_assert_int_eq(err_locate(&err, &b, "osa3"), VOV_ESHAPE);
    ck_assert_int_eq(err.at.line, 3);
    ck_assert_str_eq(err.msg, "conv12: a 1x1 input leaves nothing");
}
END_TEST

START_TEST(control_bytes_are_not_printed)
{
    const struct src_loc at = {"x\033[2J.cfg", "key=\033]0;title\007", 1, 5};
    struct err err = {0};
    err_at(&err, &at, VOV_ECFG, "bad \"%s\"", "\033[31m");
    const char *text = printed(&err);
    ck_assert_ptr_null(strchr(text, '\033'));
    ck_assert_ptr_null(strchr(text, '\007'));
}
END_TEST

START_TEST(long_lines_are_cut_around_the_column)
{
    char line[5001];
    memset(line, 'x', sizeof line);
    line[5000] = '\0';
    line[3000] = '!';
    const struct src_loc at = {"x", line, 1, 3001};
    struct err err = {0};
    err_at(&err, &at, VOV_ECFG, "bad");
    const char *text = printed(&err);
    ck_assert_uint_lt(strlen(text), 600);
    /* The caret stands under the '!'. */
    const char *shown = strstr(text, "    1 | "), *carets = strstr(text, "      | ");
    ck_assert_ptr_nonnull(shown);
    ck_assert_ptr_nonnull(carets);
    ck_assert_int_eq(strchr(shown, '!') - shown, strchr(carets, '^') - carets);
}
END_TEST

START_TEST(list_counts_all_and_keeps_ten)
{
    struct err_list list = {0};
    for (int i = 0; i < 25; i++) {
        struct err err = {0};
        err_set(&err, VOV_ECFG, "number %d", i);
        ck_assert_int_eq(err_list_add(&list, &err), VOV_ECFG);
    }
    ck_assert_int_eq(list.n, ERR_LIST_MAX);
    ck_assert_int_eq(list.total, 25);
    ck_assert_str_eq(list.item[9].msg, "number 9");
}
END_TEST

static void note(void *user, int level, const char *text)
{
    snprintf(user, 100, "%d %s", level, text);
}

START_TEST(log_calls_back)
{
    char heard[100] = "";
    const struct log log = {.fn = note, .user = heard};
    log_put(&log, LOG_INFO, "%d of %d", 1, 2);
    ck_assert_str_eq(heard, "1 1 of 2");
    log_put(NULL, LOG_WARN, "nobody");
    log_put(&(struct log){0}, LOG_WARN, "nobody");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {first_wins,
                                  io_names_the_reason,
                                  shown_with_caret,
                                  located_once,
                                  control_bytes_are_not_printed,
                                  long_lines_are_cut_around_the_column,
                                  list_counts_all_and_keeps_ten,
                                  log_calls_back,
                                  NULL};
    return run_tests("err", tests);
}
