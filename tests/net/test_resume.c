/*
 * test_resume.c - a run that was stopped and resumed, at every possible step, equals one that was
 * not: the checkpoints byte for byte, the metrics line for line but for times.
 */
#include "squares.h"

static struct dataset data;

static void setup(void)
{
    squares_make(&data, 20);
}

static void teardown(void)
{
    squares_remove(&data);
}

struct stopper {
    long at;
    sig_atomic_t stop;
};

static enum vov_status stop_at(void *user, struct trainer *t, struct err *err)
{
    struct stopper *s = user;
    (void)err;
    if (t->state.iteration == s->at) {
        s->stop = 1;
    }
    return VOV_OK;
}

/* Without an average of the parameters, and with one. */
static const char *const ema[] = {"net.ema=0", "net.ema=0.9"};

static void stop_and_resume(long at, const char *set, const struct buf *whole)
{
    struct err err = {0};
    struct buf b = {0};
    char out[20];
    struct stopper stopper = {.at = at};
    const struct hook hook = {.step = stop_at, .user = &stopper};
    snprintf(out, sizeof out, "stop%ld", at);
    struct session s = {
        .out = out, .threads = 1, .hook = &hook, .stop = &stopper.stop, .set = {set}, .n_set = 1};
    ck_assert(squares_run(&s, &data, &err) == VOV_EINTERRUPTED);
    ck_assert_msg(strstr(err.msg, "--resume") != NULL, "%s", err.msg);

    struct session again = {.out = out, .threads = 2, .resume = true, .set = {set}, .n_set = 1};
    err = (struct err){0};
    ck_assert_msg(squares_run(&again, &data, &err) == VOV_OK, "%s", err.msg);
    squares_file(out, "last.safetensors", &b);
    ck_assert_msg(b.n == whole->n && memcmp(b.p, whole->p, b.n) == 0, "stopped at %ld", at);
    buf_free(&b);
}

START_TEST(equals_an_unbroken_run)
{
    struct err err = {0};
    struct buf whole = {0};
    struct session s = {.out = "whole", .threads = 2, .set = {ema[_i]}, .n_set = 1};
    ck_assert_msg(squares_run(&s, &data, &err) == VOV_OK, "%s", err.msg);
    squares_file("whole", "last.safetensors", &whole);
    for (long at = 1; at < 12; at += 2) { /* 2 updates are an epoch */
        stop_and_resume(at, ema[_i], &whole);
    }
    buf_free(&whole);
}
END_TEST

/* Each iteration once, in order, whatever was cut off. */
START_TEST(metrics_have_each_iteration_once)
{
    struct err err = {0};
    struct buf b = {0};
    char path[140];
    struct stopper stopper = {.at = 5};
    const struct hook hook = {.step = stop_at, .user = &stopper};
    struct session s = {.out = "m", .threads = 1, .hook = &hook, .stop = &stopper.stop};
    ck_assert(squares_run(&s, &data, &err) == VOV_EINTERRUPTED);
    snprintf(path, sizeof path, "%s/m/metrics.jsonl", squares_dir);
    FILE *f = fopen(path, "ab"); /* as if killed after its last checkpoint */
    ck_assert_ptr_nonnull(f);
    fputs("{\"iteration\":6,\"loss\":1}\n{\"iteration\":7,\"lo", f);
    fclose(f);
    struct session again = {.out = "m", .threads = 1, .resume = true};
    err = (struct err){0};
    ck_assert(squares_run(&again, &data, &err) == VOV_OK);
    squares_file("m", "metrics.jsonl", &b);
    const char *line = b.p;
    for (int i = 1; i <= 12; i++) {
        char want[40];
        snprintf(want, sizeof want, "{\"iteration\":%d,\"epoch\":", i);
        ck_assert_msg(strncmp(line, want, strlen(want)) == 0, "line %d: %.60s", i, line);
        line = strchr(line, '\n') + 1;
    }
    ck_assert_str_eq(line, "");
    buf_free(&b);
}
END_TEST

START_TEST(a_finished_run_can_go_on)
{
    struct err err = {0};
    struct session s = {.out = "l", .threads = 1, .set = {"net.policy=constant"}, .n_set = 1};
    ck_assert(squares_run(&s, &data, &err) == VOV_OK);
    struct session more = {.out = "l",
                           .threads = 1,
                           .resume = true,
                           .set = {"net.policy=constant", "net.max_batches=14"},
                           .n_set = 2};
    struct session whole = {
        .out = "w", .threads = 1, .set = {"net.policy=constant", "net.max_batches=14"}, .n_set = 2};
    struct buf a = {0}, b = {0};
    ck_assert_msg(squares_run(&more, &data, &err) == VOV_OK, "%s", err.msg);
    ck_assert_msg(squares_run(&whole, &data, &err) == VOV_OK, "%s", err.msg);
    squares_file("l", "last.safetensors", &a);
    squares_file("w", "last.safetensors", &b);
    ck_assert(a.n == b.n && memcmp(a.p, b.p, a.n) == 0);
    buf_free(&a);
    buf_free(&b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resume");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, equals_an_unbroken_run, 0, 2);
    tcase_add_test(tc, metrics_have_each_iteration_once);
    tcase_add_test(tc, a_finished_run_can_go_on);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
