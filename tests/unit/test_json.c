/*
 * test_json.c - what is JSON and what is not, with its place; streaming on every size of file
 * around the window; hostile input; and writing.
 */
#include "base/buf.h"
#include "base/json.h"
#include "base/usage.h"
#include "run.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct refused {
    const char *text, *message; /* after "x.json:" */
};

static const struct refused refused[] = {
    {"", "1:1: expected a value, found the end of the file"},
    {"  \n  ", "2:3: expected a value, found the end of the file"},
    {"{\"a\": NaN}", "1:7: expected a value, found 'N'"},
    {"[1, Infinity]", "1:5: expected a value, found 'I'"},
    {"[1, -Infinity]", "1:6: expected a digit, found 'I'"},
    {"[1,]", "1:4: expected a value after ',', found ']'"},
    {"{\"a\":1,}", "1:8: expected a key in double quotes, found '}'"},
    {"{'a':1}", "1:2: expected a key in double quotes, found '''"},
    {"{a:1}", "1:2: expected a key in double quotes, found 'a'"},
    {"{\"a\" 1}", "1:6: expected ':' after a key, found '1'"},
    {"[1 2]", "1:4: expected ',' or ']' in an array, found '2'"},
    {"{\"a\":1 \"b\":2}", "1:8: expected ',' or '}' in an object, found '\"'"},
    {"[1}", "1:3: expected ',' or ']' in an array, found '}'"},
    {"[1", "1:3: expected ',' or ']' in an array, found the end of the file"},
    {"[\n\n \"abc", "3:6: expected the rest of a string, found the end of the file"},
    {"[\"a\nb\"]", "1:4: expected the rest of a string, found byte 0x0a"},
    {"[01]", "1:3: expected ',' or ']' in an array, found '1'"},
    {"[1.]", "1:4: expected a digit, found ']'"},
    {"[.5]", "1:2: expected a value, found '.'"},
    {"[+5]", "1:2: expected a value, found '+'"},
    {"[1e]", "1:4: expected a digit, found ']'"},
    {"[0x10]", "1:3: expected ',' or ']' in an array, found 'x'"},
    {"[tru]", "1:5: expected a value (true, false or null are the only bare words), found ']'"},
    {"[\"\\x\"]", "1:4: expected one of \" \\ / b f n r t u after a backslash, found 'x'"},
    {"[\"\\u12g4\"]", "1:7: expected four hexadecimal digits after \\u, found 'g'"},
    {"[\"a\\u0000b\"]", "1:10: expected a string without the character NUL, found 'b'"},
    {"[\"\\udc00\"]", "1:9: expected both halves of a surrogate pair, found '\"'"},
    {"[\"\\ud800\\u0041\"]", "1:15: expected both halves of a surrogate pair, found '\"'"},
    {"[\"\xc3(\"]", "1:4: expected UTF-8 text before this byte, found '('"},
    {"[\"\xff\"]", "1:4: expected UTF-8 text before this byte, found '\"'"},
    {"[1] x", "1:5: expected nothing after the value, found 'x'"},
    {"/* c */ 1", "1:1: expected a value, found '/'"},
    {"[1111111111111111111111111111111111111111111111111111111111111111]",
     "1:66: expected a number of at most 63 characters, found ']'"},
};

START_TEST(refused_with_a_place)
{
    const int n = sizeof refused / sizeof refused[0];
    for (int i = 0; i < n; i++) {
        struct err err = {0};
        json *j;
        ck_assert_msg(json_parse("x.json", refused[i].text, strlen(refused[i].text), &j, &err) ==
                          VOV_EFORMAT,
                      "took %s", refused[i].text);
        ck_assert_ptr_null(j);
        ck_assert_int_eq(strncmp(err.msg, "x.json:", 7), 0);
        ck_assert_str_eq(err.msg + 7, refused[i].message);
    }
}
END_TEST

START_TEST(taken)
{
    const char text[] =
        "\xef\xbb\xbf {\"a\\n\\\"\\u00e9\\ud83d\\ude00\" : [ -1.5e+3 , true,false,null,"
        " {} , [ ] ,\"\xe2\x82\xac\"],\r\n\t\"b\":0.0}\n";
    json *j;
    struct err err = {0};
    ck_assert_msg(json_parse("x", text, sizeof text - 1, &j, &err) == VOV_OK, "%s", err.msg);
    const json *a = json_get(j, "a\n\"\xc3\xa9\xf0\x9f\x98\x80");
    ck_assert_int_eq(json_len(a), 7);
    ck_assert(a->child->valuedouble == -1500);
    json_free(j);
}
END_TEST

START_TEST(depth)
{
    char text[1003];
    json *j;
    struct err err = {0};
    memset(text, '[', 500);
    memset(text + 500, ']', 500);
    ck_assert_int_eq(json_parse("x", text, 1000, &j, &err), VOV_OK);
    json_free(j);
    memset(text, '[', 501);
    memset(text + 501, ']', 501);
    ck_assert_int_eq(json_parse("x", text, 1002, &j, &err), VOV_EFORMAT);
    ck_assert_str_eq(err.msg, "x:1:501: expected at most 500 levels of brackets, found '['");
}
END_TEST

START_TEST(getters)
{
    const char text[] = "{\"i\":9007199254740991,\"big\":9007199254740993,\"f\":1.5,\"s\":\"x\","
                        "\"inf\":1e400,\"neg\":-7,\"t\":true,\"two\":1,\"two\":2}";
    json *j;
    long long i = 0;
    double d = 0;
    ck_assert_int_eq(json_parse("x", text, sizeof text - 1, &j, NULL), VOV_OK);
    ck_assert(json_int(j, "i", &i) && i == 9007199254740991ll);
    ck_assert(json_int(j, "neg", &i) && i == -7);
    ck_assert(!json_int(j, "big", &i) && !json_int(j, "f", &i) && !json_int(j, "s", &i));
    ck_assert(!json_int(j, "inf", &i) && !json_int(j, "none", &i) && !json_int(j, "t", &i));
    ck_assert_int_eq(i, -7);
    ck_assert(json_real(j, "f", &d) && d == 1.5);
    ck_assert(!json_real(j, "inf", &d) && !json_real(j, "s", &d));
    ck_assert_str_eq(json_str(j, "s"), "x");
    ck_assert_ptr_null(json_str(j, "i"));
    ck_assert_ptr_null(json_get(j, "none"));
    ck_assert_ptr_null(json_get(NULL, "none"));
    ck_assert(json_int(j, "two", &i) && i == 2);
    json_free(j);
}
END_TEST

/* What a stream told, as text. */
struct heard {
    struct buf text;
    long stop_at; /* item that is refused; -1: none */
};

static enum vov_status hear_item(void *user, const char *key, long index, const json *item,
                                 struct err *err)
{
    struct heard *h = user;
    if (index >= 0 && index == h->stop_at) {
        return err_set(err, VOV_EFORMAT, "enough");
    }
    char *text = cJSON_PrintUnformatted(item);
    buf_printf(&h->text, "%s %ld %s\n", key, index, text);
    cJSON_free(text);
    return VOV_OK;
}

static enum vov_status hear_array(void *user, const char *key, struct err *err)
{
    struct heard *h = user;
    (void)err;
    buf_printf(&h->text, "%s begins\n", key);
    return VOV_OK;
}

static enum vov_status stream(const char *text, size_t n, struct heard *h, struct err *err)
{
    static const char *const drop[] = {"segmentation", NULL};
    const struct json_stream s = {drop, hear_item, hear_array, h};
    char path[] = "/tmp/vov-test-json-XXXXXX";
    const int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, n), (ssize_t)n);
    close(fd);
    const enum vov_status status = json_stream_file(path, &s, err);
    unlink(path);
    return status;
}

START_TEST(stream_tells_all)
{
    const char text[] = "{\"info\":{\"year\":2017},\"images\":[{\"id\":1},{\"id\":2}],\"empty\":[],"
                        "\"n\":3,\"annotations\":[{\"segmentation\":[[1,2,{\"a\":[]}]],\"id\":5},"
                        "{\"id\":6,\"deep\":{\"segmentation\":7},\"segmentation\":\"x\"}, 4]}";
    struct heard h = {.stop_at = -1};
    struct err err = {0};
    ck_assert_msg(stream(text, sizeof text - 1, &h, &err) == VOV_OK, "%s", err.msg);
    ck_assert_str_eq(h.text.p, "info -1 {\"year\":2017}\n"
                               "images begins\n"
                               "images 0 {\"id\":1}\n"
                               "images 1 {\"id\":2}\n"
                               "empty begins\n"
                               "n -1 3\n"
                               "annotations begins\n"
                               "annotations 0 {\"segmentation\":null,\"id\":5}\n"
                               "annotations 1 {\"id\":6,\"deep\":{\"segmentation\":7},"
                               "\"segmentation\":null}\n"
                               "annotations 2 4\n");
    buf_free(&h.text);
    h.stop_at = 1;
    ck_assert_int_eq(stream(text, sizeof text - 1, &h, &err), VOV_EFORMAT);
    ck_assert_str_eq(err.msg, "enough");
    buf_free(&h.text);
}
END_TEST

START_TEST(stream_of_an_array)
{
    struct heard h = {.stop_at = -1};
    ck_assert_int_eq(stream("[1,[2]]", 7, &h, NULL), VOV_OK);
    ck_assert_str_eq(h.text.p, " begins\n 0 1\n 1 [2]\n");
    buf_free(&h.text);
}
END_TEST

static const char *const bad_streams[] = {"",
                                          "3",
                                          "\"x\"",
                                          "{",
                                          "[",
                                          "[1",
                                          "[1,",
                                          "[1,]",
                                          "{\"a\"",
                                          "{\"a\":",
                                          "{\"a\":[}",
                                          "{\"a\":[1,]}",
                                          "{\"a\":1,}",
                                          "{} {}",
                                          "{\"a\":1,\"a\":2}",
                                          "[{\"segmentation\":[1,}]",
                                          "[{\"segmentation\":[1]",
                                          "[{\"segmentation\":}]"};

START_TEST(stream_refuses)
{
    for (size_t i = 0; i < sizeof bad_streams / sizeof bad_streams[0]; i++) {
        struct heard h = {.stop_at = -1};
        struct err err = {0};
        ck_assert_msg(stream(bad_streams[i], strlen(bad_streams[i]), &h, &err) == VOV_EFORMAT,
                      "took %s", bad_streams[i]);
        ck_assert_ptr_nonnull(strstr(err.msg, "vov-test-json"));
        buf_free(&h.text);
    }
    struct err err = {0};
    const struct json_stream s = {NULL, hear_item, NULL, NULL};
    ck_assert_int_eq(json_stream_file("/no/such", &s, &err), VOV_EIO);
    ck_assert_int_eq(json_stream_file("/tmp", &s, NULL), VOV_EIO);
}
END_TEST

/* The same small file with blanks before it, so that every byte of it once stands at the end of the
 * 64 KiB window. */
START_TEST(window_ends_anywhere)
{
    const char small[] =
        "{\"im\\u0061ges\":[{\"id\":12345.5e2,\"s\":\"a\\u00e9\xe2\x82\xac\xf0\x9f\x98\x80"
        "\",\"segmentation\":[\"\\\"\"],\"t\":true}]}";
    const size_t n = sizeof small - 1, window = 65536;
    char *text = calloc(window + n, 1);
    struct heard whole = {.stop_at = -1};
    ck_assert_int_eq(stream(small, n, &whole, NULL), VOV_OK);
    ck_assert_ptr_nonnull(strstr(whole.text.p, "images 0 {\"id\":1234550,"));
    for (size_t split = 0; split <= n; split++) {
        struct heard h = {.stop_at = -1};
        struct err err = {0};
        memset(text, ' ', window - split);
        memcpy(text + window - split, small, n);
        ck_assert_msg(stream(text, window - split + n, &h, &err) == VOV_OK, "%s", err.msg);
        ck_assert_str_eq(h.text.p, whole.text.p);
        buf_free(&h.text);
    }
    buf_free(&whole.text);
    free(text);
}
END_TEST

/* Every prefix of a file, and every byte of it changed, ends in an answer. */
START_TEST(damaged_anyhow)
{
    const char good[] =
        "{\"a\":[{\"id\":1,\"segmentation\":[[1.5,-2e3]],\"n\":\"x\\u0041\"}],\"b\":{}}";
    const size_t n = sizeof good - 1;
    char text[sizeof good];
    for (size_t i = 0; i < n; i++) {
        struct err err = {0};
        json *j;
        ck_assert_int_eq(json_parse("x", good, i, &j, &err), VOV_EFORMAT);
        for (int byte = 0; byte < 256; byte++) {
            memcpy(text, good, n);
            text[i] = (char)byte;
            if (json_parse("x", text, n, &j, NULL) == VOV_OK) {
                json_free(j);
            }
        }
    }
}
END_TEST

static enum vov_status nothing(void *user, const char *key, long index, const json *item,
                               struct err *err)
{
    (void)key;
    (void)index;
    (void)item;
    (void)err;
    ++*(long *)user;
    return VOV_OK;
}

START_TEST(memory_is_that_of_one_item)
{
    static const char *const drop[] = {"segmentation", NULL};
    char path[] = "/tmp/vov-test-json-XXXXXX";
    FILE *f = fdopen(mkstemp(path), "w");
    long items = 0;
    const struct json_stream s = {drop, nothing, NULL, &items};
    ck_assert_ptr_nonnull(f);
    fputs("{\"annotations\":[", f);
    for (int i = 0; i < 20000; i++) {
        fprintf(f, "%s{\"id\":%d,\"segmentation\":[[", i > 0 ? "," : "", i);
        for (int k = 0; k < 200; k++) {
            fprintf(f, "%s%d.25", k > 0 ? "," : "", k);
        }
        fputs("]],\"bbox\":[1,2,3,4]}", f);
    }
    fputs("]}", f);
    ck_assert_int_gt(ftell(f), 20000000);
    ck_assert_int_eq(fclose(f), 0);
    const size_t before = usage_peak_bytes();
    ck_assert_int_eq(json_stream_file(path, &s, NULL), VOV_OK);
    ck_assert_int_eq(items, 20000);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    ck_assert_uint_lt(usage_peak_bytes() - before, 4u << 20); /* sanitizers keep what is freed */
#else
    (void)before;
#endif
    unlink(path);
}
END_TEST

START_TEST(written)
{
    struct buf b = {0};
    json_put_str(&b, "a\"\\\n\x01\xc3\xa9\xff"
                     "b");
    ck_assert_str_eq(b.p, "\"a\\\"\\\\\\u000a\\u0001\xc3\xa9\\ufffdb\"");
    static const double values[] = {
        0, -0.0, 1, 0.1, 1.0 / 3, 1e300, 5e-324, 123456789.123456789, 9007199254740993.0, -2.5e-7};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        buf_clear(&b);
        json_put_real(&b, values[i]);
        ck_assert(strtod(b.p, NULL) == values[i]);
    }
    buf_clear(&b);
    json_put_real(&b, 0.1);
    ck_assert_str_eq(b.p, "0.1");
    buf_clear(&b);
    json_put_real(&b, (double)NAN);
    json_put_real(&b, (double)INFINITY);
    ck_assert_str_eq(b.p, "nullnull");
    buf_free(&b);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {refused_with_a_place,
                                  taken,
                                  depth,
                                  getters,
                                  stream_tells_all,
                                  stream_of_an_array,
                                  stream_refuses,
                                  window_ends_anywhere,
                                  damaged_anyhow,
                                  memory_is_that_of_one_item,
                                  written,
                                  NULL};
    return run_tests("json", tests);
}
