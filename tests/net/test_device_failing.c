/*
 * test_device_failing.c - each call of the CUDA libraries fails once: opening a device, two steps
 * of training and an inference then end with an error that says which, and leave nothing behind,
 * and the next attempt works. Runs on the simulated GPU of tests/cudasim alone; skipped elsewhere.
 *
 * VOV_TEST_CALLS=n takes every n-th call instead of a hundred of them.
 */
#include "../cudasim/cusim.h"
#include "data/pack.h"
#include "net/scene.h"

#include <dlfcn.h>
#include <stdlib.h>

static const char cfg[] =
    "[net]\nwidth=16\nheight=16\nclasses=2\nmean=0\nstd=1\nbatch=2\nmax_boxes=4\n"
    "[stem]\nchannels=4,4,4\nstrides=2,1,2\n[osa]\nname=s3\nlayers=1\nwidth=4\nout=8\n"
    "[maxpool]\nsize=3\nstride=2\n[osa]\nname=s4\nlayers=1\nwidth=4\nout=8\n"
    "[tcb]\nname=p4\nchannels=4\n[tcb]\nname=p3\nfrom=s3\ntop=p4\nchannels=4\n"
    "[refinedet]\narm=s3,s4\nodm=p3,p4\nsizes=4,8\ninter=1\ninter_width=4\ninter_out=4\n";

/* The simulator's own functions, found in the library that stands in for CUDA's. */
static struct {
    long (*calls)(void);
    void (*fail_after)(long calls);
    long (*places)(void);
    void (*fail_place)(long i);
    const char *(*failed_call)(void);
    int (*reports)(void);
    size_t (*alive)(void);
    int (*last_error)(void);
} sim;

static bool find_simulator(void)
{
    void *library = dlopen("libcudart.so.13", RTLD_NOW);

    if (library == NULL || dlsym(library, "cusim_calls") == NULL) {
        return false;
    }
    *(void **)&sim.calls = dlsym(library, "cusim_calls");
    *(void **)&sim.fail_after = dlsym(library, "cusim_fail_after");
    *(void **)&sim.places = dlsym(library, "cusim_places");
    *(void **)&sim.fail_place = dlsym(library, "cusim_fail_place");
    *(void **)&sim.failed_call = dlsym(library, "cusim_failed_call");
    *(void **)&sim.reports = dlsym(library, "cusim_reports");
    *(void **)&sim.alive = dlsym(library, "cusim_alive");
    *(void **)&sim.last_error = dlsym(library, "cudaPeekAtLastError");
    return true;
}

/* Two grey pictures in place of the images. */
static void send_pictures(struct model *m, struct backend *be)
{
    enum { BYTES = 4096 };
    static _Alignas(struct picture) char block[2][BYTES];
    const struct pixels px = {.width = 16, .height = 16};
    struct picture *p[2];

    ck_assert(picture_room(&px) <= BYTES);
    for (int i = 0; i < 2; i++) {
        p[i] = (struct picture *)(void *)block[i];
        picture_hold_planes(p[i], &px);
    }
    const struct staged s = be->ops->stage_pictures(be, (const struct picture *const *)p, 2);
    be->ops->write_pictures(be, m->input->val, &s);
}

/* One step; what an inference reads is left as it is, which is all zeros. */
static enum vov_status step(struct model *m, struct backend *be, bool training, struct err *err)
{
    struct params *p = &m->exec.params;

    if (training) {
        set_batch(m);
        send_pictures(m, be);
        be->ops->block_fill(be, p->n_learn, p->grad, 0);
    }
    TRY(exec_forward(&m->exec, 1, err));
    if (training) {
        TRY(exec_backward(&m->exec, 1, err));
    }
    return VOV_OK;
}

static enum vov_status use(struct model *m, struct backend *be, bool training, struct err *err)
{
    struct err_list errs = {0};
    struct sgd sgd = {0};
    const struct model_options opt = {.training = training, .keep_norms = true};
    enum vov_status status = VOV_OK;

    ck_assert(model_build_text("t.cfg", cfg, sizeof cfg - 1, &opt, m, &errs) == VOV_OK);
    TRY(model_start(m, be, 5, err));
    if (training) {
        TRY(sgd_open(&sgd, &m->exec.params, &m->net, err));
    }
    for (int i = 0; i < 2 && status == VOV_OK; i++) {
        status = step(m, be, training, err);
        if (status == VOV_OK && training) {
            sgd_set_rate(&sgd, 0.01);
            sgd_update(&sgd, 1, NULL);
        }
    }
    sgd_close(&sgd);
    TRY(status);
    return backend_check(be, err);
}

/* *failed: the call that failed before the device was closed, which has nobody left to tell. */
static enum vov_status attempt(const char **failed, struct err *err)
{
    struct backend *be = NULL;
    struct model m = {0};
    enum vov_status status = backend_open("cuda", 1, &be, err);

    for (int i = 0; i < 2 && status == VOV_OK; i++) {
        status = use(&m, be, i == 0, err);
        model_close(&m);
        m = (struct model){0};
    }
    *failed = sim.failed_call();
    backend_close(be);
    return status;
}

/* What ends the life of something has nobody left to tell either; where cuDNN makes no plan, our
 * own loops take its place.
 */
static bool may_pass(const char *call)
{
    return call == NULL || strstr(call, "Free") != NULL || strstr(call, "Destroy") != NULL ||
           (strstr(call, "cudnnBackend") != NULL && strstr(call, "Execute") == NULL);
}

/* An attempt in which a call was chosen to fail; which, says the number. */
static void expect_failure(const char *what, long number, size_t alive)
{
    struct err err = {0};
    const char *open_failed = NULL;
    const enum vov_status status = attempt(&open_failed, &err);
    const char *failed = sim.failed_call();

    sim.fail_after(-1);
    ck_assert_msg(failed != NULL, "%s %ld was not reached", what, number);
    ck_assert_msg(status != VOV_OK || may_pass(open_failed), "%s %ld, %s, failed unnoticed", what,
                  number, failed);
    ck_assert_msg(status == VOV_OK || err.msg[0] != '\0', "%s %ld, %s: no message", what, number,
                  failed);
    ck_assert_msg(sim.alive() == alive, "%s %ld, %s: %zu things are left, not %zu", what, number,
                  failed, sim.alive(), alive);
    ck_assert_msg(sim.last_error() == 0, "%s %ld, %s: the error waits for the next launch", what,
                  number, failed);
    ck_assert_msg(sim.reports() == 0, "%s %ld, %s: reported", what, number, failed);
}

START_TEST(every_call)
{
    struct err err = {0};
    const char *every = getenv("VOV_TEST_CALLS"), *failed = NULL;

    ck_assert_msg(attempt(&failed, &err) == VOV_OK, "%s", err.msg);
    const size_t alive = sim.alive();
    const long before = sim.calls(), places = sim.places();
    ck_assert_msg(attempt(&failed, &err) == VOV_OK, "%s", err.msg);
    const long calls = sim.calls() - before;
    const long width = every != NULL ? strtol(every, NULL, 10) : calls / 40 + 1;
    for (long i = 0; i < places; i++) {
        sim.fail_place(i);
        expect_failure("place", i, alive);
    }
    for (long i = 0; i < calls; i += width) {
        sim.fail_after(i);
        expect_failure("call", i, alive);
    }
    ck_assert_msg(attempt(&failed, &err) == VOV_OK, "%s", err.msg);
    printf("count %ld failing-call paths: calls from %ld places, and %ld of %ld calls\n",
           places + (calls + width - 1) / width, places, (calls + width - 1) / width, calls);
}
END_TEST

/* A library that has no code for the GPU is found out when a kernel is launched, and that is when
 * the device is opened: then a run can still take the CPU.
 */
START_TEST(kernel_at_open)
{
    struct backend *be = NULL;
    bool launched = false;

    for (long i = 0;; i++) {
        struct err err = {0};
        sim.fail_after(i);
        const enum vov_status status = backend_open("cuda", 1, &be, &err);
        const char *failed = sim.failed_call();
        backend_close(be);
        sim.fail_after(-1);
        if (failed == NULL) {
            break;
        }
        if (strstr(failed, "LaunchKernel") != NULL) {
            launched = true;
            ck_assert_int_eq(status, VOV_EDEVICE);
            ck_assert_msg(strstr(err.msg, "CUDA device 0: ") != NULL, "%s", err.msg);
        }
    }
    ck_assert(launched);
}
END_TEST

int main(void)
{
    if (getenv("VOV_TEST_DEVICE") == NULL || !find_simulator()) {
        printf("no simulated GPU\n");
        return 77;
    }
    TCase *t = tcase_create("failing");
    Suite *suite = suite_create("failing");
    tcase_set_timeout(t, 1200);
    tcase_add_test(t, every_call);
    tcase_add_test(t, kernel_at_open);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
