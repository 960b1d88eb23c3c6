/*
 * test_safetensors.c - what is written reads back; what is damaged is refused, also what is damaged
 * while it is read; the other tensor types; the files of the shared collection of broken inputs,
 * where it is there.
 */
#include "base/file.h"
#include "io/safetensors.h"

#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void path_of(char *path, size_t size, const char *name)
{
    snprintf(path, size, "/tmp/vov-test-%ld-%s", (long)getpid(), name);
}

static void get(const void *user, const struct st_source *s, real *out)
{
    const real *all = user;
    const size_t first = s->rank == 2 ? 0 : 6;
    memcpy(out, all + first, (s->rank == 2 ? 6 : 3) * sizeof *out);
}

static const real numbers[9] = {1, -2, (real)0.1, (real)1e-30, 5, 6, 7, 8, (real)-9.5};

static void write_sample(const char *path)
{
    struct st_source s[2] = {{.name = "a/weight", .dim = {2, 3}, .rank = 2},
                             {.name = "b\"ias", .dim = {3}, .rank = 1}};
    struct map meta = {0};
    struct err err = {0};
    char text[] = "[net]\nwidth=\"8\"\n\t\xc3\xa9";
    ck_assert(map_put(&meta, "cfg", text));
    for (int i = 0; i < 2; i++) {
        s[i].get = get;
        s[i].user = numbers;
    }
    ck_assert_msg(safetensors_write(path, s, 2, &meta, &err) == VOV_OK, "%s", err.msg);
    map_free(&meta);
}

START_TEST(reads_what_it_wrote)
{
    char path[100];
    struct safetensors st;
    struct err err = {0};
    real out[6];
    path_of(path, sizeof path, "a");
    write_sample(path);
    ck_assert_msg(safetensors_read(path, &st, &err) == VOV_OK, "%s", err.msg);
    ck_assert(st.verified);
    ck_assert_int_eq(st.n, 2);
    ck_assert_str_eq(safetensors_meta(&st, "cfg"), "[net]\nwidth=\"8\"\n\t\xc3\xa9");
    const struct st_tensor *t = safetensors_find(&st, "a/weight");
    ck_assert_ptr_nonnull(t);
    ck_assert(t->rank == 2 && t->dim[0] == 2 && t->dim[1] == 3);
    ck_assert(safetensors_numbers(t, out, &err) == VOV_OK);
    ck_assert_mem_eq(out, numbers, sizeof out);
    t = safetensors_find(&st, "b\"ias");
    ck_assert(t != NULL && t->count == 3);
    ck_assert(safetensors_find(&st, "c") == NULL);
    safetensors_free(&st);
    unlink(path);
}
END_TEST

/* Without the syncs of file_write, nor that of ext4 when a file is cut to be written anew: this is
 * done a thousand times. */
static void put_file(const char *path, const char *bytes, size_t n)
{
    unlink(path);
    FILE *f = fopen(path, "wb");
    ck_assert(f != NULL && fwrite(bytes, 1, n, f) == n);
    ck_assert_int_eq(fclose(f), 0);
}

/* Each single byte changed, and each length cut: never taken for whole, never a crash. */
START_TEST(refuses_each_damage)
{
    char path[100];
    struct buf b = {0};
    struct err err = {0};
    path_of(path, sizeof path, "b");
    write_sample(path);
    ck_assert(file_read(path, 1 << 20, &b, &err) == VOV_OK);
    for (size_t i = 0; i < b.n; i++) {
        struct safetensors st;
        b.p[i] = (char)(b.p[i] ^ 4);
        put_file(path, b.p, b.n);
        struct err e = {0};
        if (safetensors_read(path, &st, &e) == VOV_OK) { /* without the word checksum */
            ck_assert_msg(!st.verified, "byte %zu", i);
            safetensors_free(&st);
        }
        b.p[i] = (char)(b.p[i] ^ 4);
    }
    for (size_t n = 0; n < b.n; n++) {
        struct safetensors st;
        struct err e = {0};
        put_file(path, b.p, n);
        ck_assert_msg(safetensors_read(path, &st, &e) == VOV_EFORMAT, "cut after %zu", n);
        ck_assert(e.msg[0] != '\0');
    }
    buf_free(&b);
    unlink(path);
}
END_TEST

static enum vov_status read_text(const char *header, const void *data, size_t n,
                                 struct safetensors *st, struct err *err)
{
    char path[100], all[600] = {0};
    const size_t n_head = strlen(header);
    all[0] = (char)(n_head & 255);
    all[1] = (char)(n_head >> 8);
    memcpy(all + 8, header, n_head);
    memcpy(all + 8 + n_head, data, n);
    path_of(path, sizeof path, "c");
    ck_assert(file_write(path, all, 8 + n_head + n, err) == VOV_OK);
    const enum vov_status status = safetensors_read(path, st, err);
    unlink(path);
    return status;
}

START_TEST(other_types)
{
    static const unsigned char data[] = {
        0x00, 0x3c, 0x00, 0xc0, 0xff, 0x7b, 0x01, 0x00, 0x00, 0x7c, /* F16: 1 -2 65504 2^-24 inf */
        0x80, 0x3f, 0x49, 0x40,                                     /* BF16: 1 3.140625 */
        0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,             /* I64: -2 */
        1,                                                          /* BOOL */
    };
    static const char *const header =
        "{\"h\":{\"dtype\":\"F16\",\"shape\":[5],\"data_offsets\":[0,10]},"
        "\"b\":{\"dtype\":\"BF16\",\"shape\":[2,1],\"data_offsets\":[10,14]},"
        "\"i\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[14,22]},"
        "\"u\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[22,23]}}";
    struct safetensors st;
    struct err err = {0};
    real v[5];
    ck_assert_msg(read_text(header, data, sizeof data, &st, &err) == VOV_OK, "%s", err.msg);
    ck_assert(safetensors_numbers(safetensors_find(&st, "h"), v, &err) == VOV_OK);
    ck_assert(v[0] == 1 && v[1] == -2 && v[2] == 65504 && v[3] == (real)ldexp(1, -24));
    ck_assert(isinf(v[4]));
    ck_assert(safetensors_numbers(safetensors_find(&st, "b"), v, &err) == VOV_OK);
    ck_assert(v[0] == 1 && v[1] == (real)3.140625);
    ck_assert(safetensors_numbers(safetensors_find(&st, "i"), v, &err) == VOV_OK);
    ck_assert(v[0] == -2);
    ck_assert_int_eq(safetensors_numbers(safetensors_find(&st, "u"), v, &err), VOV_EFORMAT);
    ck_assert_msg(strstr(err.msg, "-c: tensor u has a type") != NULL, "%s", err.msg);
    safetensors_free(&st);
}
END_TEST

/* Numbers are read when they are asked for: a file may be larger than all memory. This one has a
 * hole where the first tensor is. */
START_TEST(only_what_is_wanted_is_read)
{
    static const char header[] =
        "{\"big\":{\"dtype\":\"U8\",\"shape\":[68719476736],\"data_offsets\":[0,68719476736]},"
        "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[68719476736,68719476744]}}";
    _Static_assert(sizeof header < 256, "its length is one byte");
    static const unsigned char length[8] = {sizeof header - 1};
    static const float data[2] = {3, (float)-0.5};
    const size_t at = 8 + sizeof header - 1, end = at + ((size_t)1 << 36);
    char path[100];
    struct safetensors st;
    struct err err = {0};
    real v[2];
    path_of(path, sizeof path, "big");
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert(fwrite(length, 1, 8, f) == 8 && fwrite(header, 1, at - 8, f) == at - 8);
    ck_assert(fseek(f, (long)end, SEEK_SET) == 0 && fwrite(data, 4, 2, f) == 2);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_msg(safetensors_read(path, &st, &err) == VOV_OK, "%s", err.msg);
    const struct st_tensor *a = safetensors_find(&st, "a");
    ck_assert_msg(safetensors_numbers(a, v, &err) == VOV_OK, "%s", err.msg);
    ck_assert(v[0] == 3 && v[1] == (real)-0.5);

    ck_assert_int_eq(truncate(path, (off_t)end + 4), 0);
    ck_assert_int_eq(safetensors_numbers(a, v, &err), VOV_EFORMAT);
    ck_assert_msg(strstr(err.msg, "it ends at byte") != NULL, "%s", err.msg);
    safetensors_free(&st);
    unlink(path);
}
END_TEST

START_TEST(refuses_wrong_headers)
{
    static const struct {
        const char *header, *said;
    } cases[] = {
        {"[]", "JSON object"},
        {"{\"a\":1}", "must be an object"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", "needs 8 bytes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", "data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,8]}}", "whole numbers"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,8]}}", "whole numbers"},
        {"{\"a\":{\"dtype\":\"F9\",\"shape\":[2],\"data_offsets\":[0,8]}}", "unknown type"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[9007199254740991,9007199254740991],"
         "\"data_offsets\":[0,8]}}",
         "too large"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "belong to none"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", "gaps"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
         "twice"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
         "\"__metadata__\":{\"k\":1}}",
         "must be text"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct safetensors st;
        struct err err = {0};
        ck_assert_msg(read_text(cases[i].header, "\0\0\0\0\0\0\0\0", 8, &st, &err) == VOV_EFORMAT,
                      "case %zu was taken", i);
        ck_assert_msg(strstr(err.msg, cases[i].said) != NULL, "case %zu: %s", i, err.msg);
    }
}
END_TEST

START_TEST(shared_files)
{
    struct safetensors st;
    struct err err = {0};
    if (!file_is_dir("../shared/data/broken/other")) {
        return;
    }
    ck_assert(safetensors_read("../shared/data/broken/other/small.safetensors", &st, &err) ==
              VOV_OK);
    ck_assert_int_eq(st.n, 3);
    ck_assert_uint_eq(safetensors_find(&st, "conv1.weight")->count, 432);
    safetensors_free(&st);
    ck_assert(safetensors_read("../shared/data/broken/other/offset_out.safetensors", &st, &err) ==
              VOV_EFORMAT);
    ck_assert(strstr(err.msg, "tensor x") != NULL);
    err = (struct err){0};
    ck_assert(safetensors_read("../shared/data/broken/other/overlap.safetensors", &st, &err) ==
              VOV_EFORMAT);
    ck_assert(strstr(err.msg, "overlap") != NULL);
}
END_TEST

START_TEST(keeps_the_old_file)
{
    char path[100];
    struct st_source s = {.name = "a", .dim = {2, 3}, .rank = 2, .get = get, .user = numbers};
    struct err err = {0};
    path_of(path, sizeof path, "no-such-folder/x");
    ck_assert(safetensors_write(path, &s, 1, NULL, &err) == VOV_EIO);
    ck_assert(strstr(err.msg, "cannot write") != NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("safetensors");
    TCase *tc = tcase_create("all");
    tcase_add_test(tc, reads_what_it_wrote);
    tcase_add_test(tc, refuses_each_damage);
    tcase_add_test(tc, other_types);
    tcase_add_test(tc, only_what_is_wanted_is_read);
    tcase_add_test(tc, refuses_wrong_headers);
    tcase_add_test(tc, shared_files);
    tcase_add_test(tc, keeps_the_old_file);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
