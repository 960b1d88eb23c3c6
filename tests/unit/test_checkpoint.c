/*
 * test_checkpoint.c - a model's state survives the file to the last bit; what does not fit is
 * refused or, for fine-tuning, listed; a place that cannot be written leaves the old file.
 */
#include "train/checkpoint.h"

#include "base/file.h"
#include "base/rng.h"

#include <check.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char net[] = "[net]\nwidth=8\nheight=8\nclasses=3\nmean=10,20,30\nstd=2\nbgr=1\n"
                          "[convolutional]\nfilters=4\nsize=3\npad=1\nbatch_normalize=1\n"
                          "activation=relu\n[global_avgpool]\n"
                          "[connected]\noutput=3\nactivation=linear\n[softmax]\n";

static const char *const names[] = {"cat", "d\"og", "\xc3\xa9l\xc3\xa9phant"};
static const long long keys[] = {1, 18, 90};

static void open_model(struct model *m, struct backend *be, const char *text, bool training)
{
    struct err_list errs = {0};
    struct err err = {0};
    const struct model_options opt = {.training = training};
    ck_assert_msg(model_build_text("tiny.cfg", text, strlen(text), &opt, m, &errs) == VOV_OK, "%s",
                  errs.item[0].msg);
    ck_assert_msg(model_start(m, be, 7, &err) == VOV_OK, "%s", err.msg);
}

/* Fills parameters and momentum with numbers of their own. */
static void disturb(struct model *m, uint64_t seed)
{
    struct params *p = &m->exec.params;
    struct rng r = rng_open(seed, RNG_TEST, 0, 0);
    for (int i = 0; i < p->n; i++) {
        real v[256];
        const size_t n = shape_count(p->tensor[i]->shape);
        ck_assert(n <= 256);
        for (size_t k = 0; k < n; k++) {
            v[k] = (real)rng_normal(&r);
        }
        params_set(p, p->val, p->tensor[i], v);
        if (param_learns(p->tensor[i])) {
            params_set(p, p->mom, p->tensor[i], v);
        }
    }
}

static bool equal(const struct model *a, const struct model *b)
{
    const struct params *p = &a->exec.params, *q = &b->exec.params;
    return memcmp(p->val, q->val, p->count * sizeof(real)) == 0 &&
           memcmp(p->mom, q->mom, p->n_learn * sizeof(real)) == 0;
}

static char path[100];
static struct backend *be;

static void setup(void)
{
    struct err err = {0};
    snprintf(path, sizeof path, "/tmp/vov-test-%ld.safetensors", (long)getpid());
    ck_assert(backend_open("plain", 1, &be, &err) == VOV_OK);
}

static void teardown(void)
{
    backend_close(be);
    unlink(path);
}

static const struct run_state written = {.seed = 99,
                                         .iteration = 1234,
                                         .total = 5000,
                                         .epoch = 12,
                                         .best_score = 0.123456789012345,
                                         .best_iteration = 1000,
                                         .class_name = names,
                                         .class_key = keys,
                                         .n_classes = 3};

START_TEST(round_trip)
{
    struct model a, b;
    struct run_state s;
    struct safetensors st;
    struct err err = {0};
    open_model(&a, be, net, true);
    open_model(&b, be, net, true);
    disturb(&a, 1);
    ck_assert(!equal(&a, &b));
    ck_assert_msg(checkpoint_write(path, &a, &written, &err) == VOV_OK, "%s", err.msg);
    ck_assert_msg(safetensors_read(path, &st, &err) == VOV_OK, "%s", err.msg);
    ck_assert_msg(checkpoint_resume(&st, path, &b, &s, &err) == VOV_OK, "%s", err.msg);
    ck_assert(equal(&a, &b));
    ck_assert(s.seed == 99 && s.iteration == 1234 && s.total == 5000 && s.epoch == 12);
    ck_assert(s.best_score == written.best_score && s.best_iteration == 1000);
    ck_assert_str_eq(safetensors_meta(&st, "classes"),
                     "[\"cat\",\"d\\\"og\",\"\xc3\xa9l\xc3\xa9phant\"]");
    ck_assert_str_eq(safetensors_meta(&st, "category_ids"), "[1,18,90]");
    ck_assert_str_eq(safetensors_meta(&st, "pixels"),
                     "{\"width\":8,\"height\":8,\"mean\":[10,20,30],\"std\":[2,2,2],\"bgr\":true,"
                     "\"letterbox\":false}");

    /* The text of the cfg builds the same net. */
    const char *text = safetensors_meta(&st, "cfg");
    struct model c;
    open_model(&c, be, text, true);
    ck_assert(checkpoint_resume(&st, path, &c, &s, &err) == VOV_OK);
    ck_assert(equal(&a, &c));
    safetensors_free(&st);
    model_close(&a);
    model_close(&b);
    model_close(&c);
}
END_TEST

START_TEST(inference_ignores_momentum)
{
    struct model a, b;
    struct safetensors st;
    struct err err = {0};
    open_model(&a, be, net, true);
    open_model(&b, be, net, false);
    disturb(&a, 1);
    ck_assert(checkpoint_write(path, &a, &written, &err) == VOV_OK);
    ck_assert(safetensors_read(path, &st, &err) == VOV_OK);
    const struct weights_file f = {.st = &st, .path = path, .prefix = ""};
    struct params *p = &b.exec.params;
    ck_assert_msg(weights_load(&f, p, p->val, NULL, &err) == VOV_OK, "%s", err.msg);
    for (int i = 0; i < p->n; i++) {
        const struct tensor *from = params_find(&a.exec.params, p->tensor[i]->name);
        const size_t n = shape_count(p->tensor[i]->shape);
        ck_assert((p->tensor[i]->flags & T_DERIVED) != 0 ||
                  memcmp(from->val.p, p->tensor[i]->val.p, n * sizeof(real)) == 0);
    }
    safetensors_free(&st);
    model_close(&a);
    model_close(&b);
}
END_TEST

START_TEST(another_net)
{
    static const char other[] = "[net]\nwidth=8\nheight=8\nclasses=2\n"
                                "[convolutional]\nfilters=4\nsize=3\npad=1\nbatch_normalize=1\n"
                                "activation=relu\n[convolutional]\nfilters=2\nsize=1\n"
                                "activation=relu\n[global_avgpool]\n"
                                "[connected]\noutput=2\nactivation=linear\n[softmax]\n";
    struct model a, b;
    struct safetensors st;
    struct err err = {0};
    struct run_state s;
    struct weights_report rep;
    open_model(&a, be, net, true);
    open_model(&b, be, other, true);
    disturb(&a, 1);
    ck_assert(checkpoint_write(path, &a, &written, &err) == VOV_OK);
    ck_assert(safetensors_read(path, &st, &err) == VOV_OK);
    ck_assert(checkpoint_resume(&st, path, &b, &s, &err) == VOV_EFORMAT);
    ck_assert_msg(strstr(err.msg, "another shape") != NULL, "%s", err.msg);

    /* Fine-tuning: the first convolution and its norm fit, the classifier does not. */
    const struct weights_file f = {.st = &st, .path = path, .prefix = ""};
    struct params *p = &b.exec.params;
    err = (struct err){0};
    ck_assert_msg(weights_load(&f, p, p->val, &rep, &err) == VOV_OK, "%s", err.msg);
    ck_assert_int_eq(rep.matched, 5);
    ck_assert_int_eq(rep.misshapen, 2);
    ck_assert_int_eq(rep.missing, 2);
    ck_assert_int_eq(rep.extra, 0);
    ck_assert(memcmp(p->val, a.exec.params.val, 4 * 27 * sizeof(real)) == 0);
    safetensors_free(&st);
    model_close(&a);
    model_close(&b);
}
END_TEST

START_TEST(not_a_checkpoint)
{
    struct safetensors st;
    struct run_state s;
    struct err err = {0};
    struct st_source none = {0};
    ck_assert(safetensors_write(path, &none, 0, NULL, &err) == VOV_OK);
    ck_assert(safetensors_read(path, &st, &err) == VOV_OK);
    ck_assert(checkpoint_state(&st, path, &s, &err) == VOV_EFORMAT);
    safetensors_free(&st);
}
END_TEST

/* Numbers that a file may hold, but that no run has. */
START_TEST(more_than_can_be_counted)
{
    struct model a;
    struct safetensors st;
    struct run_state s = written;
    struct err err = {0};
    open_model(&a, be, net, true);
    s.iteration = LONG_MAX;
    ck_assert_int_eq(checkpoint_write(path, &a, &s, &err), VOV_OK);
    ck_assert_int_eq(safetensors_read(path, &st, &err), VOV_OK);
    ck_assert_int_eq(checkpoint_state(&st, path, &s, &err), VOV_EFORMAT);
    ck_assert_msg(strstr(err.msg, "\"iteration\"") != NULL, "%s", err.msg);
    safetensors_free(&st);
    model_close(&a);
}
END_TEST

/* /dev/full takes nothing: a disk with no room. */
START_TEST(full_disk)
{
    struct model a;
    struct err err = {0};
    open_model(&a, be, net, true);
    if (file_exists("/dev/full")) {
        ck_assert(checkpoint_write("/dev/full", &a, &written, &err) == VOV_EIO);
        ck_assert_msg(strstr(err.msg, "No space") != NULL, "%s", err.msg);
    }
    model_close(&a);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("checkpoint");
    TCase *tc = tcase_create("all");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, round_trip);
    tcase_add_test(tc, inference_ignores_momentum);
    tcase_add_test(tc, another_net);
    tcase_add_test(tc, not_a_checkpoint);
    tcase_add_test(tc, more_than_can_be_counted);
    tcase_add_test(tc, full_disk);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
