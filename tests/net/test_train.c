/*
 * test_train.c - a small detector learns; any number of threads gives the same bits; numbers that
 * are not finite stop a run before its parameters are touched; data that do not fit are refused.
 */
#include "squares.h"

static struct dataset data;

static void setup(void)
{
    squares_make(&data, 24);
}

static void teardown(void)
{
    squares_remove(&data);
}

START_TEST(learns)
{
    struct err err = {0};
    struct session s = {.out = "a", .threads = 2, .set = {"net.max_batches=80"}, .n_set = 1};
    ck_assert_msg(squares_run(&s, &data, &err) == VOV_OK, "%s", err.msg);
    ck_assert_msg(s.last_loss < 0.6 * s.first_loss, "loss %g after %g", s.last_loss, s.first_loss);
}
END_TEST

START_TEST(threads_give_equal_bits)
{
    struct err err = {0};
    struct buf one = {0}, two = {0};
    struct session s = {.out = "one", .threads = 1};
    ck_assert_msg(squares_run(&s, &data, &err) == VOV_OK, "%s", err.msg);
    s.out = "two";
    s.threads = 2;
    ck_assert_msg(squares_run(&s, &data, &err) == VOV_OK, "%s", err.msg);
    squares_file("one", "last.safetensors", &one);
    squares_file("two", "last.safetensors", &two);
    ck_assert(one.n == two.n && memcmp(one.p, two.p, one.n) == 0);
    buf_free(&one);
    buf_free(&two);
}
END_TEST

START_TEST(stops_before_not_finite)
{
    struct err err = {0};
    struct session s = {.out = "bad",
                        .threads = 2,
                        .set = {"net.learning_rate=900", "net.burn_in=0", "net.clip=0"},
                        .n_set = 3};
    char path[140];
    struct safetensors st;
    ck_assert(squares_run(&s, &data, &err) == VOV_ENONFINITE);
    ck_assert_msg(strstr(err.msg, ".png") != NULL && strstr(err.msg, "last.safetensors") != NULL,
                  "%s", err.msg);
    err = (struct err){0};
    snprintf(path, sizeof path, "%s/bad/last.safetensors", squares_dir);
    ck_assert_msg(safetensors_read(path, &st, &err) == VOV_OK, "%s", err.msg);
    for (int i = 0; i < st.n; i++) {
        real v[20000];
        ck_assert(st.tensor[i].count <= 20000);
        ck_assert(safetensors_numbers(&st.tensor[i], v, &err) == VOV_OK);
        for (size_t k = 0; k < st.tensor[i].count; k++) {
            ck_assert(v[k] - v[k] == 0);
        }
    }
    safetensors_free(&st);
}
END_TEST

START_TEST(refuses_other_classes)
{
    struct err err = {0};
    struct session s = {.out = "c", .threads = 1, .set = {"net.classes=5"}, .n_set = 1};
    ck_assert(squares_run(&s, &data, &err) == VOV_ECFG);
    ck_assert_msg(strstr(err.msg, "--set net.classes=2") != NULL, "%s", err.msg);
}
END_TEST

START_TEST(leaves_a_run_alone)
{
    struct err err = {0};
    struct buf before = {0}, after = {0};
    struct session s = {.out = "d", .threads = 1, .set = {"net.max_batches=2"}, .n_set = 1};
    ck_assert(squares_run(&s, &data, &err) == VOV_OK);
    squares_file("d", "last.safetensors", &before);
    ck_assert(squares_run(&s, &data, &err) == VOV_EARG);
    ck_assert_msg(strstr(err.msg, "--resume") != NULL, "%s", err.msg);
    squares_file("d", "last.safetensors", &after);
    ck_assert(before.n == after.n && memcmp(before.p, after.p, before.n) == 0);
    buf_free(&before);
    buf_free(&after);
}
END_TEST

START_TEST(folder_that_cannot_be_made)
{
    struct err err = {0};
    struct session s = {.out = "0.png/sub", .threads = 1}; /* 0.png is a picture */
    ck_assert(squares_run(&s, &data, &err) == VOV_EIO);
}
END_TEST

/* Most pictures gone: named, replaced, and too many of them end the run. */
START_TEST(unreadable_pictures)
{
    struct err err = {0};
    struct session s = {.out = "e", .threads = 2, .set = {"net.max_batches=2"}, .n_set = 1};
    ck_assert_int_eq(unlink(data.item[0].path), 0);
    ck_assert_msg(squares_run(&s, &data, &err) == VOV_OK, "%s", err.msg);
    for (int i = 1; i < 20; i++) {
        ck_assert_int_eq(unlink(data.item[i].path), 0);
    }
    s.out = "f";
    ck_assert(squares_run(&s, &data, &err) == VOV_EFORMAT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("train");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, learns);
    tcase_add_test(tc, threads_give_equal_bits);
    tcase_add_test(tc, stops_before_not_finite);
    tcase_add_test(tc, refuses_other_classes);
    tcase_add_test(tc, leaves_a_run_alone);
    tcase_add_test(tc, folder_that_cannot_be_made);
    tcase_add_test(tc, unreadable_pictures);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
