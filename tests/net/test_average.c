/*
 * test_average.c - ema=: the average of a run is that of a plain loop over what its updates left,
 * running statistics among them; checkpoints and evaluations take it; a run can begin or end to
 * keep one when it is resumed.
 */
#include "squares.h"

#include "model/detector.h"

#include <math.h>

enum { MOST = 1 << 16 };

static struct dataset data;

static void setup(void)
{
    squares_make(&data, 20);
}

static void teardown(void)
{
    squares_remove(&data);
}

/* All numbers of a block, one parameter behind the other. */
static size_t numbers(const struct params *p, real *which, real *out)
{
    size_t n = 0;
    for (int i = 0; i < p->n; i++) {
        ck_assert(n + shape_count(p->tensor[i]->shape) <= MOST);
        params_get(p, which, p->tensor[i], out + n);
        n += shape_count(p->tensor[i]->shape);
    }
    return n;
}

/* What a hook keeps: the average by a loop of its own, and the blocks after the last update. */
struct follower {
    double ema, average[MOST];
    real now[MOST], kept[MOST];
    size_t n;
};

static enum vov_status begin(void *user, struct trainer *t, struct err *err)
{
    struct follower *f = user;
    struct params *p = &t->model->exec.params;
    (void)err;
    f->n = numbers(p, p->val, f->now);
    for (size_t i = 0; i < f->n; i++) {
        f->average[i] = (double)f->now[i];
    }
    return VOV_OK;
}

/* An evaluation gets the average. */
static void expect_taken(struct trainer *t)
{
    static real taken[MOST], average[MOST];
    const struct params *p = &t->model->exec.params;
    struct detector d;
    struct err err = {0};
    ck_assert_msg(detector_of(&d, t->model, 2, p->be, &err) == VOV_OK, "%s", err.msg);
    const struct params *q = &d.model.exec.params;
    ck_assert(params_copy(&d.model.exec.params, p, &err) == VOV_OK);
    for (int i = 0; i < q->n; i++) {
        const struct tensor *to = q->tensor[i];
        if ((to->flags & T_DERIVED) == 0) {
            params_get(q, q->val, to, taken);
            params_get(p, p->avg, params_find(p, to->name), average);
            ck_assert_msg(memcmp(taken, average, shape_count(to->shape) * sizeof *taken) == 0, "%s",
                          to->name);
        }
    }
    detector_close(&d);
}

static enum vov_status follow(void *user, struct trainer *t, struct err *err)
{
    struct follower *f = user;
    struct params *p = &t->model->exec.params;
    const double n = (double)t->state.iteration, keep = fmin(f->ema, (1 + n) / (10 + n));
    (void)err;
    numbers(p, p->val, f->now);
    for (size_t i = 0; i < f->n; i++) {
        f->average[i] = keep * f->average[i] + (1 - keep) * (double)f->now[i];
    }
    if (t->state.iteration == t->schedule.total) {
        numbers(p, p->avg, f->kept);
        expect_taken(t);
    }
    return VOV_OK;
}

static struct follower follower;

START_TEST(is_that_of_a_loop)
{
    const struct hook hook = {.start = begin, .step = follow, .user = &follower};
    struct session s = {.out = "a",
                        .device = "cpu",
                        .threads = 2,
                        .set = {"net.ema=0.6"},
                        .n_set = 1,
                        .hook = &hook};
    struct err err = {0};
    double differ = 0;
    follower.ema = 0.6;
    ck_assert_msg(squares_run(&s, &data, &err) == VOV_OK, "%s", err.msg);
    for (size_t i = 0; i < follower.n; i++) {
        const double a = follower.average[i];
        ck_assert_msg(fabs((double)follower.kept[i] - a) <= 1e-5 * (1 + fabs(a)),
                      "number %zu is %g, not %g", i, (double)follower.kept[i], a);
        differ = fmax(differ, fabs((double)follower.now[i] - a));
    }
    ck_assert(differ > 0.01);
}
END_TEST

/* The tensors of a checkpoint whose names begin with prefix, "" but not what only training needs.
 */
static size_t saved(const char *out, const char *prefix, real *v)
{
    char path[140];
    struct safetensors st;
    struct err err = {0};
    size_t n = 0;
    snprintf(path, sizeof path, "%s/%s/last.safetensors", squares_dir, out);
    ck_assert_msg(safetensors_read(path, &st, &err) == VOV_OK, "%s", err.msg);
    for (int i = 0; i < st.n; i++) {
        const struct st_tensor *t = &st.tensor[i];
        const bool only_training =
            strncmp(t->name, WEIGHTS_UNAVERAGED, strlen(WEIGHTS_UNAVERAGED)) == 0 ||
            strncmp(t->name, WEIGHTS_MOMENTUM, strlen(WEIGHTS_MOMENTUM)) == 0;
        if (strncmp(t->name, prefix, strlen(prefix)) == 0 &&
            (prefix[0] != '\0' || !only_training)) {
            ck_assert(n + t->count <= MOST);
            ck_assert(safetensors_numbers(t, v + n, &err) == VOV_OK);
            n += t->count;
        }
    }
    safetensors_free(&st);
    return n;
}

static real result[MOST], unaveraged[MOST];

START_TEST(is_what_a_checkpoint_holds)
{
    const struct hook hook = {.start = begin, .step = follow, .user = &follower};
    struct session s = {.out = "b",
                        .device = "cpu",
                        .threads = 1,
                        .set = {"net.ema=0.7"},
                        .n_set = 1,
                        .hook = &hook};
    struct err err = {0};
    follower.ema = 0.7;
    ck_assert_msg(squares_run(&s, &data, &err) == VOV_OK, "%s", err.msg);
    const size_t bytes = follower.n * sizeof *result;
    ck_assert(saved("b", "", result) == follower.n);
    ck_assert(saved("b", WEIGHTS_UNAVERAGED, unaveraged) == follower.n);
    ck_assert(memcmp(result, follower.kept, bytes) == 0);
    ck_assert(memcmp(unaveraged, follower.now, bytes) == 0);
    ck_assert(memcmp(result, unaveraged, bytes) != 0);
}
END_TEST

static void go_on(const char *out, const char *ema, const char *max_batches, bool resume)
{
    struct session s = {.out = out,
                        .device = "cpu",
                        .threads = 1,
                        .resume = resume,
                        .set = {ema, max_batches, "net.policy=constant"},
                        .n_set = 3};
    struct err err = {0};
    ck_assert_msg(squares_run(&s, &data, &err) == VOV_OK, "%s", err.msg);
}

/* Averages do not change what is trained: without one from the middle on, or with one from there
 * on, the values are those of a run that never had one. */
START_TEST(comes_and_goes)
{
    static real plain[MOST], begun[MOST];
    go_on("plain", "net.ema=0", "net.max_batches=6", false);
    const size_t n = saved("plain", "", plain), bytes = n * sizeof *plain;
    go_on("ends", "net.ema=0.9", "net.max_batches=3", false);
    go_on("ends", "net.ema=0", "net.max_batches=6", true);
    ck_assert(saved("ends", "", result) == n && memcmp(plain, result, bytes) == 0);
    ck_assert(saved("ends", WEIGHTS_UNAVERAGED, result) == 0);

    go_on("begins", "net.ema=0", "net.max_batches=5", false);
    ck_assert(saved("begins", "", begun) == n);
    go_on("begins", "net.ema=0.25", "net.max_batches=6", true);
    ck_assert(saved("begins", WEIGHTS_UNAVERAGED, unaveraged) == n);
    ck_assert(memcmp(plain, unaveraged, bytes) == 0);
    ck_assert(saved("begins", "", result) == n);
    for (size_t i = 0; i < n; i++) { /* one update: a quarter of where it began */
        const double want = 0.25 * (double)begun[i] + 0.75 * (double)plain[i];
        ck_assert(fabs((double)result[i] - want) <= 1e-5 * (1 + fabs(want)));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("average");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, is_that_of_a_loop);
    tcase_add_test(tc, is_what_a_checkpoint_holds);
    tcase_add_test(tc, comes_and_goes);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
