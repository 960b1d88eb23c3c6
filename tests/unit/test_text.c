/*
 * test_text.c - strict numbers, nearest words, UTF-8.
 */
#include "base/text.h"
#include "run.h"

#include <math.h>
#include <string.h>

START_TEST(whole_numbers)
{
    static const char *const good[] = {"0", "-5", "+7", " 12 ", "9223372036854775807", "007"};
    static const long long value[] = {0, -5, 7, 12, 9223372036854775807ll, 7};
    static const char *const bad[] = {
        "", " ", "-", "1e3", "1.0", "0x10", "1 2", "1a", "--1", "nan", "9223372036854775808"};
    for (int i = 0; i < 6; i++) {
        long long v = 99;
        ck_assert_msg(text_int(good[i], &v), "%s", good[i]);
        ck_assert_int_eq(v, value[i]);
    }
    for (int i = 0; i < 11; i++) {
        long long v = 99;
        ck_assert_msg(!text_int(bad[i], &v), "\"%s\" gave %lld", bad[i], v);
        ck_assert_int_eq(v, 99);
    }
}
END_TEST

START_TEST(numbers)
{
    static const char *const good[] = {"0", "-.5", "5.", "1e-3", " 2.5E+2\t", "1e-400"};
    static const double value[] = {0, -0.5, 5, 0.001, 250, 0};
    static const char *const bad[] = {"",    ".",     "-.",  "1e",    "1e+", "nan",
                                      "inf", "0x1p3", "1,5", "1e400", "1 2", "e5"};
    for (int i = 0; i < 6; i++) {
        double v = 99;
        ck_assert_msg(text_real(good[i], &v), "%s", good[i]);
        ck_assert(v == value[i]);
    }
    for (int i = 0; i < 12; i++) {
        double v = 99;
        ck_assert_msg(!text_real(bad[i], &v), "\"%s\" gave %g", bad[i], v);
        ck_assert(v == 99);
    }
}
END_TEST

struct row {
    int filler;
    const char *word;
};

static const struct row words[] = {{0, "channels"}, {0, "filters"}, {0, "batch_normalize"},
                                   {0, "stride"},   {0, "size"},    {0, "pad"},
                                   {0, "width"},    {0, NULL}};

static const char *guess(const char *s)
{
    return text_nearest(s, &words[0].word, 8, sizeof words[0]);
}

START_TEST(nearest)
{
    ck_assert_str_eq(guess("chanels"), "channels");
    ck_assert_str_eq(guess("widht"), "width");
    ck_assert_str_eq(guess("filter"), "filters");
    ck_assert_str_eq(guess("batch_normalise"), "batch_normalize");
    ck_assert_str_eq(guess("PAD"), "pad");
    ck_assert_str_eq(guess("sise"), "size");
    ck_assert_ptr_null(guess("quantum"));
    ck_assert_ptr_null(guess(""));
    ck_assert_ptr_null(guess("x"));
    ck_assert_ptr_null(guess("die"));
    char longer[300];
    memset(longer, 'a', sizeof longer);
    longer[299] = '\0';
    ck_assert_ptr_null(guess(longer));
}
END_TEST

START_TEST(utf8)
{
    static const char *const good[] = {
        "", "abc", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xc3",
                                      "\xc3(",
                                      "\xc0\xaf",
                                      "\xe0\x80\xaf",
                                      "\xed\xa0\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf8\x88\x80\x80\x80",
                                      "a\xff"};
    for (int i = 0; i < 6; i++) {
        ck_assert(text_utf8_ok(good[i], strlen(good[i])));
    }
    for (int i = 0; i < 9; i++) {
        ck_assert_msg(!text_utf8_ok(bad[i], strlen(bad[i])), "case %d", i);
    }
    ck_assert(!text_utf8_ok("\xe2\x82\xac", 2));
    ck_assert(text_utf8_ok("a\0b", 3));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {whole_numbers, numbers, nearest, utf8, NULL};
    return run_tests("text", tests);
}
