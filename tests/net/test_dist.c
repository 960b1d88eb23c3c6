/*
 * test_dist.c - several devices that share each batch: sums and means of a group of ranks, the
 * same bits for each; a run of two CPUs beside that of one, stopped and resumed; ends that reach
 * all.
 */
#include "squares.h"

#include <math.h>
#include <pthread.h>

enum { RANKS = 3, N = 1001 };

static struct dataset data;

static void setup(void)
{
    squares_make(&data, 20);
}

static void teardown(void)
{
    squares_remove(&data);
}

/* ---- a group ---- */

struct rank {
    struct dist *dist;
    struct backend *be;
    real x[N], mean[N];
    enum vov_status status;
    struct err err;
    bool leaves;
};

static void *add_up(void *arg)
{
    struct rank *r = arg;
    if (r->leaves) {
        err_set(&r->err, VOV_EFORMAT, "a picture too many");
        r->dist->leave(r->dist, &r->err);
        return NULL;
    }
    r->status = r->dist->sum(r->dist, r->be, N, r->x, false, &r->err);
    if (r->status == VOV_OK) {
        r->status = r->dist->sum(r->dist, r->be, N, r->mean, true, &r->err);
    }
    return NULL;
}

static void run_group(struct rank rank[RANKS], int leaves)
{
    struct dist_group *g;
    struct err err = {0};
    pthread_t thread[RANKS];
    ck_assert(dist_group_open(RANKS, &g, &err) == VOV_OK);
    for (int r = 0; r < RANKS; r++) {
        rank[r] = (struct rank){.dist = dist_group_rank(g, r), .leaves = r == leaves};
        ck_assert(rank[r].dist->rank == r && rank[r].dist->size == RANKS);
        ck_assert(backend_open("cpu", 1, &rank[r].be, &err) == VOV_OK);
        for (int i = 0; i < N; i++) {
            rank[r].x[i] = (real)sin(i + 1000 * r);
            rank[r].mean[i] = (real)cos(i); /* equal numbers have themselves as their mean */
        }
        ck_assert_int_eq(pthread_create(&thread[r], NULL, add_up, &rank[r]), 0);
    }
    for (int r = 0; r < RANKS; r++) {
        pthread_join(thread[r], NULL);
        backend_close(rank[r].be);
    }
    dist_group_close(g);
}

START_TEST(sums_and_means)
{
    static struct rank rank[RANKS];
    run_group(rank, -1);
    for (int r = 0; r < RANKS; r++) {
        ck_assert_msg(rank[r].status == VOV_OK, "%s", rank[r].err.msg);
        for (int i = 0; i < N; i++) {
            const double want = sin(i) + sin(i + 1000) + sin(i + 2000);
            ck_assert(fabs((double)rank[r].x[i] - want) < 1e-6);
            ck_assert(!(rank[r].mean[i] < (real)cos(i)) && !(rank[r].mean[i] > (real)cos(i)));
        }
        ck_assert(memcmp(rank[r].x, rank[0].x, sizeof rank[0].x) == 0);
    }
}
END_TEST

/* Who leaves ends the others, with what it left for. */
START_TEST(one_leaves)
{
    static struct rank rank[RANKS];
    run_group(rank, _i);
    for (int r = 0; r < RANKS; r++) {
        ck_assert(r == _i || rank[r].status == VOV_EFORMAT);
        ck_assert_str_eq(rank[r].err.msg, "a picture too many");
    }
}
END_TEST

/* ---- a run ---- */

enum { MOST_SET = 6 };

/* A run of n devices in squares_dir/out. */
struct shared {
    const char *out;
    int n;
    bool resume;
    const char *set[MOST_SET];
    int n_set;
    const struct hook *hook;
    const volatile sig_atomic_t *stop;
    bool equal; /* afterwards: whether all have the same parameters and momentum, to the bit */
};

struct device {
    struct backend *be;
    struct model model;
    struct trainer_options opt;
    struct trainer trainer;
};

static bool same_blocks(const struct params *a, const struct params *b)
{
    return memcmp(a->val, b->val, a->count * sizeof(real)) == 0 &&
           memcmp(a->mom, b->mom, a->n_learn * sizeof(real)) == 0;
}

static enum vov_status open_device(struct device *d, const struct shared *s, struct dist *dist,
                                   const struct trainer *first, struct err *err)
{
    static char out[100];
    struct err_list errs = {0};
    const struct model_options how = {.training = true, .set = s->set, .n_set = s->n_set};
    snprintf(out, sizeof out, "%s/%s", squares_dir, s->out);
    d->opt = (struct trainer_options){.out = out,
                                      .resume = s->resume,
                                      .data = &data,
                                      .seed = 11,
                                      .workers = 1,
                                      .dist = dist,
                                      .first = first};
    if (first == NULL) {
        d->opt.hooks = s->hook;
        d->opt.n_hooks = s->hook != NULL;
        d->opt.stop = s->stop;
    }
    ck_assert(backend_open("cpu", 1, &d->be, err) == VOV_OK);
    ck_assert(model_build_text("squares.cfg", squares_cfg, sizeof squares_cfg - 1, &how, &d->model,
                               &errs) == VOV_OK);
    ck_assert(model_start(&d->model, d->be, first != NULL ? 99 : 11, err) == VOV_OK);
    return trainer_open(&d->trainer, &d->model, &d->opt, err);
}

static enum vov_status run_shared(struct shared *s, struct err *err)
{
    static struct device device[RANKS];
    struct trainer *all[RANKS];
    struct dist_group *g = NULL;
    enum vov_status status = VOV_OK;
    memset(device, 0, sizeof device);
    ck_assert(s->n == 1 || dist_group_open(s->n, &g, err) == VOV_OK);
    for (int i = 0; i < s->n && status == VOV_OK; i++) {
        all[i] = &device[i].trainer;
        status = open_device(&device[i], s, g != NULL ? dist_group_rank(g, i) : NULL,
                             i > 0 ? all[0] : NULL, err);
    }
    if (status == VOV_OK) {
        status = s->n > 1 ? trainers_run(all, s->n, err) : trainer_run(all[0], err);
    }
    s->equal = true;
    for (int i = 1; i < s->n && device[i].be != NULL; i++) {
        s->equal &= same_blocks(&device[0].model.exec.params, &device[i].model.exec.params);
    }
    for (int i = 0; i < s->n && device[i].be != NULL; i++) {
        trainer_close(&device[i].trainer);
        model_close(&device[i].model);
        backend_close(device[i].be);
    }
    dist_group_close(g);
    return status;
}

static void read_run(const char *out, struct safetensors *st)
{
    char path[140];
    struct err err = {0};
    snprintf(path, sizeof path, "%s/%s/last.safetensors", squares_dir, out);
    ck_assert_msg(safetensors_read(path, st, &err) == VOV_OK, "%s", err.msg);
}

static real a[1 << 16], b[1 << 16];

/* Parameters that learn and their momentum; running statistics are moved once for each part of a
 * batch by one device, and by the mean of the parts by several. */
static int expect_near(const char *x, const char *y, double bound)
{
    struct safetensors p, q;
    struct err err = {0};
    int n = 0;
    read_run(x, &p);
    read_run(y, &q);
    ck_assert_int_eq(p.n, q.n);
    for (int i = 0; i < p.n; i++) {
        const struct st_tensor *t = &p.tensor[i], *u = safetensors_find(&q, t->name);
        const char *last = strrchr(t->name, '/');
        ck_assert_ptr_nonnull(u);
        if (strcmp(last, "/mean") == 0 || strcmp(last, "/var") == 0) {
            continue;
        }
        ck_assert(t->count == u->count && t->count <= sizeof a / sizeof *a);
        ck_assert(safetensors_numbers(t, a, &err) == VOV_OK);
        ck_assert(safetensors_numbers(u, b, &err) == VOV_OK);
        for (size_t k = 0; k < t->count; k++) {
            ck_assert_msg(fabs((double)a[k] - (double)b[k]) <= bound * (1 + fabs((double)a[k])),
                          "%s: number %zu is %g and %g", t->name, k, (double)a[k], (double)b[k]);
        }
        n++;
    }
    safetensors_free(&p);
    safetensors_free(&q);
    return n;
}

/* At a small rate, as a ReLU or a hard negative may hang on a last bit. */
#define FEW "net.max_batches=3", "net.batch=12", "net.subdivisions=6", "net.learning_rate=2e-4"

START_TEST(equals_one_device)
{
    struct err err = {0};
    struct shared one = {.out = "one", .n = 1, .set = {FEW}, .n_set = 4};
    ck_assert_msg(run_shared(&one, &err) == VOV_OK, "%s", err.msg);
    for (int n = 2; n <= RANKS; n++) {
        char out[10];
        snprintf(out, sizeof out, "by%d", n);
        struct shared s = {.out = out, .n = n, .set = {FEW}, .n_set = 4};
        ck_assert_msg(run_shared(&s, &err) == VOV_OK, "%s", err.msg);
        ck_assert_msg(s.equal, "%d devices: their parameters differ", n);
        ck_assert_int_gt(expect_near("one", out, 5e-5), 20);
    }
}
END_TEST

static enum vov_status stop_at_2(void *user, struct trainer *t, struct err *err)
{
    sig_atomic_t *stop = user;
    (void)err;
    *stop = t->state.iteration == 2;
    return VOV_OK;
}

/* Only the first is asked to stop; the others learn it from the sum that does not come. */
START_TEST(stops_and_resumes)
{
    sig_atomic_t stop = 0;
    struct err err = {0};
    struct buf x = {0}, y = {0};
    const struct hook hook = {.step = stop_at_2, .user = &stop};
    struct shared whole = {
        .out = "whole", .n = 2, .set = {"net.max_batches=5", "net.ema=0.9"}, .n_set = 2};
    struct shared part = whole;
    part.out = "part";
    part.hook = &hook;
    part.stop = &stop;
    ck_assert_msg(run_shared(&whole, &err) == VOV_OK, "%s", err.msg);
    ck_assert(run_shared(&part, &err) == VOV_EINTERRUPTED);
    ck_assert_msg(strstr(err.msg, "--resume goes on") != NULL, "%s", err.msg);
    err = (struct err){0};
    part.resume = true;
    part.stop = NULL;
    ck_assert_msg(run_shared(&part, &err) == VOV_OK, "%s", err.msg);
    squares_file("whole", "last.safetensors", &x);
    squares_file("part", "last.safetensors", &y);
    ck_assert(x.n == y.n && memcmp(x.p, y.p, x.n) == 0);
    buf_free(&x);
    buf_free(&y);
}
END_TEST

/* All see the same numbers, and none of them waits for another. */
START_TEST(stops_before_not_finite)
{
    struct err err = {0};
    struct shared s = {.out = "bad",
                       .n = 2,
                       .set = {"net.learning_rate=900", "net.burn_in=0", "net.clip=0"},
                       .n_set = 3};
    ck_assert(run_shared(&s, &err) == VOV_ENONFINITE);
    ck_assert_msg(strstr(err.msg, "last.safetensors") != NULL, "%s", err.msg);
}
END_TEST

START_TEST(parts_must_suffice)
{
    struct err err = {0};
    struct shared s = {.out = "parts", .n = 3};
    ck_assert(run_shared(&s, &err) == VOV_ECFG);
    ck_assert_msg(strstr(err.msg, "--set net.subdivisions=3") != NULL, "%s", err.msg);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dist");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, sums_and_means);
    tcase_add_loop_test(tc, one_leaves, 0, RANKS);
    tcase_add_test(tc, equals_one_device);
    tcase_add_test(tc, stops_and_resumes);
    tcase_add_test(tc, stops_before_not_finite);
    tcase_add_test(tc, parts_must_suffice);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
