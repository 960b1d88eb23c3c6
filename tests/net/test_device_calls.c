/*
 * test_device_calls.c - what a step of training and a pass of inference ask of the CUDA libraries
 * once they have been recorded: a launch of each recording, the next batch on its way before
 * anybody waits, and one wait at the end; nothing is allocated, made, freed or read in between.
 * After a pass of inference its outputs are looked at, whether they are finite, all at once.
 * Then what was found in a picture is one copy: it is decoded and thinned out on the device. Runs
 * on the simulated GPU of tests/cudasim alone, which keeps a list of all calls; skipped elsewhere.
 */
#include "model/detector.h"
#include "squares.h"

#include <dlfcn.h>

/* The third step is the first that only replays; inputs go through six stages in turn, each of
 * which has to grow once, which takes five steps or six passes of inference. */
enum { STEPS = 8, STEP_REPLAYS = 6, PASSES = 8, PASS_REPLAYS = 7 };

/* A detector of one stage, and one of two, which has a further input: what of it is picture. */
static const struct {
    const char *cfg;
    int inputs;
} nets[] = {
    {squares_cfg, 2},
    {SQUARES("[fpn]\nlevels=s2,s3,s4\nchannels=16\nextra=0\nnorm=group\n"
             "[rpn]\nlevels=p2,p3,p4\nsizes=12,24,40\ninside=0\nsample=32\ntrain_before=40\n"
             "train_keep=80\nbefore=30\nkeep=16\nrois=16\n"
             "[roi_align]\nlevels=p2,p3,p4\nsize=3\n[roi_box]\nlayers=1\nhidden=16\nkeep=4\n"),
     3},
};

static struct dataset data;

static void setup(void)
{
    squares_make(&data, 4 * STEPS);
}

static void teardown(void)
{
    squares_remove(&data);
}

/* The simulator's list of calls. */
static struct {
    long (*calls)(void);
    const char *(*name)(long i);
} sim;

static bool find_simulator(void)
{
    void *library = dlopen("libcudart.so.13", RTLD_NOW);
    if (library == NULL || dlsym(library, "cusim_call_name") == NULL) {
        return false;
    }
    *(void **)&sim.calls = dlsym(library, "cusim_calls");
    *(void **)&sim.name = dlsym(library, "cusim_call_name");
    return true;
}

/* Calls from..to-1. */
struct part {
    long from, to;
};

static int count(struct part p, const char *name)
{
    int n = 0;
    for (long i = p.from; i < p.to; i++) {
        n += strcmp(sim.name(i), name) == 0;
    }
    return n;
}

/* The first call of that name, or the last one; -1: none. */
static long place(struct part p, const char *name, bool last)
{
    long at = -1;
    for (long i = p.from; i < p.to && (at < 0 || last); i++) {
        at = strcmp(sim.name(i), name) == 0 ? i : at;
    }
    return at;
}

/* Nothing but what a step may call. */
static void expect_lean(struct part p)
{
    static const char *const may[] = {
        "cudaLaunchKernel",    "cudaSetDevice",        "cudaGraphLaunch",
        "cudaMemcpyAsync",     "cudaEventRecord",      "cudaGetLastError",
        "cudaStreamWaitEvent", "cudaEventSynchronize", "cudaStreamSynchronize"};
    for (long i = p.from; i < p.to; i++) {
        bool found = strncmp(sim.name(i), "__cuda", 6) == 0; /* what nvcc makes of a launch */
        for (size_t k = 0; k < sizeof may / sizeof *may; k++) {
            found = found || strcmp(sim.name(i), may[k]) == 0;
        }
        ck_assert_msg(found, "a step calls %s", sim.name(i));
    }
}

/* Where each step ends. */
static long ends[STEPS + 1];

static enum vov_status note_end(void *user, struct trainer *t, struct err *err)
{
    (void)user;
    (void)err;
    ends[t->state.iteration] = sim.calls();
    return VOV_OK;
}

START_TEST(training_step)
{
    struct err err = {0};
    const struct hook hook = {.step = note_end};
    struct session s = {.cfg = nets[_i].cfg,
                        .out = "calls",
                        .device = "cuda",
                        .threads = 1,
                        .set = {"net.batch=4", "net.subdivisions=2", "net.max_batches=8"},
                        .n_set = 3,
                        .hook = &hook};
    ck_assert_msg(squares_run(&s, &data, &err) == VOV_OK, "%s", err.msg);
    for (int i = STEP_REPLAYS; i < STEPS; i++) {
        const struct part p = {ends[i - 1], ends[i]};
        const long wait = place(p, "cudaStreamSynchronize", false);
        const long last_launch = place(p, "cudaGraphLaunch", true);
        expect_lean(p);
        ck_assert_int_eq(count(p, "cudaGraphLaunch"), 3); /* two parts and the update */
        ck_assert_int_eq(count(p, "cudaStreamSynchronize"), 2);
        ck_assert_msg(wait > last_launch, "step %d waits before its last kernel is launched", i);
        const struct part between = {last_launch, wait}; /* the next batch, then the report */
        ck_assert_msg(count(between, "cudaMemcpyAsync") == nets[_i].inputs + 1,
                      "step %d: %d copies cross while it runs, not %d inputs and its report", i,
                      count(between, "cudaMemcpyAsync"), nets[_i].inputs);
    }
}
END_TEST

/* What was found in a picture, which takes one copy. */
static void expect_one_copy(struct detector *d)
{
    struct det_list found = {0};
    struct err err = {0};
    struct part p = {sim.calls(), 0};

    ck_assert(detector_get(d, 1, 64, 64, 0, &found, &err) == VOV_OK);
    p.to = sim.calls();
    ck_assert_int_gt(found.n, 0);
    ck_assert_int_eq(count(p, "cudaMemcpyAsync"), 1);
    ck_assert_int_eq(count(p, "cudaStreamSynchronize"), 1);
    det_free(&found);
}

START_TEST(inference_pass)
{
    struct backend *be;
    struct detector d;
    struct err err = {0};
    struct err_list errs = {0};
    char path[100];
    const struct model_options opt = {.batch = 2};
    snprintf(path, sizeof path, "%s/net.cfg", squares_dir);
    ck_assert(file_write(path, nets[_i].cfg, strlen(nets[_i].cfg), &err) == VOV_OK);
    ck_assert(backend_open("cuda", 1, &be, &err) == VOV_OK);
    ck_assert(detector_open(&d, path, NULL, &opt, be, &errs) == VOV_OK);
    for (int i = 1; i <= PASSES; i++) {
        struct part p = {sim.calls(), 0};
        ck_assert(detector_run(&d, &err) == VOV_OK);
        p.to = sim.calls();
        if (i >= PASS_REPLAYS) {
            expect_lean(p);
            ck_assert_int_eq(count(p, "cudaGraphLaunch"), 1);
            /* for the pass, then for whether its outputs are finite */
            ck_assert(_i > 0 || d.model.head.n_out == 5);
            ck_assert_int_eq(count(p, "cudaStreamSynchronize"), 2);
            ck_assert(place(p, "cudaStreamSynchronize", false) > place(p, "cudaGraphLaunch", true));
            expect_one_copy(&d);
        }
    }
    detector_close(&d);
    backend_close(be);
}
END_TEST

/* Wide and standing pictures in turn: each size has a recording of its own, made once. */
START_TEST(one_graph_for_each_size)
{
    enum { RUNS = 12, BOTH_REPLAY = 8 };
    const char *const set[] = {"net.fit=pad"};
    const struct model_options opt = {
        .batch = 1, .width = 96, .height = 64, .set = set, .n_set = 1};
    struct backend *be;
    struct detector d;
    struct err err = {0};
    struct err_list errs = {0};
    char path[100];
    struct part all = {sim.calls(), 0};

    snprintf(path, sizeof path, "%s/net.cfg", squares_dir);
    ck_assert(file_write(path, squares_cfg, sizeof squares_cfg - 1, &err) == VOV_OK);
    ck_assert(backend_open("cuda", 1, &be, &err) == VOV_OK);
    ck_assert(detector_open(&d, path, NULL, &opt, be, &errs) == VOV_OK);
    ck_assert_ptr_nonnull(d.model.turned);
    for (int i = 0; i < RUNS; i++) {
        struct part p = {sim.calls(), 0};
        d.turned = i % 2 == 1;
        ck_assert(detector_run(&d, &err) == VOV_OK);
        p.to = sim.calls();
        if (i >= BOTH_REPLAY) {
            expect_lean(p);
            ck_assert_int_eq(count(p, "cudaGraphLaunch"), 1);
        }
    }
    all.to = sim.calls();
    ck_assert_int_eq(count(all, "cudaGraphInstantiate"), 2);
    detector_close(&d);
    backend_close(be);
}
END_TEST

int main(void)
{
    if (getenv("VOV_TEST_DEVICE") == NULL || !find_simulator()) {
        printf("no simulated GPU\n");
        return 77;
    }
    Suite *suite = suite_create("device calls");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 900);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, training_step, 0, 2);
    tcase_add_loop_test(t, inference_pass, 0, 2);
    tcase_add_test(t, one_graph_for_each_size);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
