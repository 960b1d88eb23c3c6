/*
 * test_plan.c - addresses for thousands of random sets of buffers, and the plans of real nets:
 * nothing overlaps, little is wasted, and what the README says of their memory is so.
 */
#include "places.h"

#include "base/mem.h"
#include "base/rng.h"
#include "model/model.h"

/* Lives as nets have them: most short, some long, some twice. */
static void random_life(struct rng *r, int n_steps, struct plan_item *it)
{
    const int length = rng_int(r, 5) == 0 ? n_steps : 1 + rng_int(r, 6);
    it->first[0] = rng_int(r, n_steps);
    it->last[0] = it->first[0] + rng_int(r, length);
    it->last[0] = it->last[0] < n_steps ? it->last[0] : n_steps - 1;
    it->first[1] = 0;
    it->last[1] = -1;
    if (rng_int(r, 4) == 0 && it->last[0] + 1 < n_steps) {
        it->first[1] = it->last[0] + 1 + rng_int(r, n_steps - it->last[0] - 1);
        it->last[1] = it->first[1] + rng_int(r, n_steps - it->first[1]);
    }
}

static void random_lives(struct rng *r, struct plan *p, struct plan_item *items, int n)
{
    const int largest = 1 << (4 + rng_int(r, 16));
    *p = (struct plan){.items = items, .n_items = n, .n_steps = 1 + rng_int(r, 60)};
    for (int i = 0; i < n; i++) {
        items[i] =
            (struct plan_item){.bytes = rng_int(r, 10) == 0 ? 0 : (size_t)rng_int(r, largest)};
        random_life(r, p->n_steps, &items[i]);
    }
}

START_TEST(random_buffers)
{
    static struct plan_item items[80];
    double worst = 1, sum = 0;
    const int n = 3000;
    for (int i = 0; i < n; i++) {
        struct rng r = rng_open(3, RNG_TEST, (uint64_t)i, 0);
        struct plan p;
        random_lives(&r, &p, items, 1 + rng_int(&r, 80));
        ck_assert(plan_place(&p, true) == VOV_OK);
        const size_t least = check_places(&p, "random buffers");
        const double part = least > 0 ? (double)p.arena_bytes / (double)least : 1;
        worst = part > worst ? part : worst;
        sum += part;
    }
    ck_assert_msg(worst < 1.5, "the worst plan is %.3f times what is in use", worst);
    ck_assert_msg(sum / n < 1.03, "plans are %.3f times what is in use", sum / n);
}
END_TEST

START_TEST(a_place_for_each)
{
    static struct plan_item items[80];
    for (int i = 0; i < 200; i++) {
        struct rng r = rng_open(4, RNG_TEST, (uint64_t)i, 0);
        struct plan p;
        size_t sum = 0;
        random_lives(&r, &p, items, 1 + rng_int(&r, 80));
        ck_assert(plan_place(&p, false) == VOV_OK);
        for (int k = 0; k < p.n_items; k++) {
            sum += rounded(items[k].bytes);
            items[k].first[0] = 0;
            items[k].last[0] = p.n_steps - 1;
        }
        ck_assert_uint_eq(check_places(&p, "apart"), sum);
        ck_assert_uint_eq(p.arena_bytes, sum);
    }
}
END_TEST

START_TEST(equal_lives_give_equal_plans)
{
    static struct plan_item items[2][80];
    for (int i = 0; i < 100; i++) {
        struct plan p[2];
        for (int k = 0; k < 2; k++) {
            struct rng r = rng_open(5, RNG_TEST, (uint64_t)i, 0);
            random_lives(&r, &p[k], items[k], 80);
            ck_assert(plan_place(&p[k], true) == VOV_OK);
        }
        ck_assert_mem_eq(items[0], items[1], sizeof items[0]);
    }
}
END_TEST

START_TEST(no_memory_for_a_plan)
{
    struct plan_item item = {.bytes = 4};
    struct plan p = {.items = &item, .n_items = 1, .n_steps = 1};
    for (int i = 1; i <= 2; i++) {
        mem_fail_after(i);
        ck_assert(plan_place(&p, true) == VOV_ENOMEM);
        mem_fail_after(0);
    }
}
END_TEST

/* ---- real nets ---- */

/* The plan of one picture of size x size; *least: what is in use at the fullest step. */
static size_t plan_bytes(const char *cfg, int size, bool training, size_t *least)
{
    const struct model_options how = {
        .training = training, .batch = 1, .width = size, .height = size};
    const struct plan_options opt = {.again = training, .reuse = true};
    struct err_list errs = {0};
    struct err err = {0};
    struct backend *be;
    struct model m;
    struct plan p;
    ck_assert_msg(model_build(cfg, &how, &m, &errs) == VOV_OK, "%s", errs.item[0].msg);
    ck_assert(backend_open(NULL, 1, &be, &err) == VOV_OK);
    graph_alias(&m.graph);
    ck_assert(graph_grad_modes(&m.graph) == VOV_OK);
    ck_assert_msg(plan_build(&m.graph, be, &opt, &p, &err) == VOV_OK, "%s", err.msg);
    const size_t bytes = p.arena_bytes;
    *least = check_places(&p, cfg);
    plan_free(&p);
    model_close(&m);
    backend_close(be);
    return bytes;
}

/* MiB for a picture, rounded up: bounds that hold now and are to hold on. */
static const struct {
    const char *cfg;
    int size;
    double inference, training;
} nets[] = {
    {"cfg/backbone/vovnet39-code.cfg", 320, 25, 76.2},
    {"cfg/backbone/vovnet39.cfg", 320, 31.3, 91.9},
    {"cfg/backbone/vovnetv2-99.cfg", 224, 12.3, 49.8},
    {"cfg/backbone/densenet121.cfg", 224, 7.3, 28.3},
    {"cfg/backbone/resnet101.cfg", 224, 9.2, 70.1},
    {"cfg/cifar/densenet40.cfg", 32, 1.3, 2.6},
    {"cfg/detect/refinedet320-vovnet39.cfg", 320, 31.4, 164.5},
    {"cfg/detect/refinedet320-resnet101.cfg", 320, 27.6, 223.1},
};

START_TEST(real_nets)
{
    for (int training = 0; training < 2; training++) {
        size_t least;
        const size_t got = plan_bytes(nets[_i].cfg, nets[_i].size, training != 0, &least);
        const double bound = training != 0 ? nets[_i].training : nets[_i].inference;
        ck_assert_msg((double)got <= bound * 1048576 * sizeof(real) / sizeof(float),
                      "%s: %zu bytes", nets[_i].cfg, got);
        ck_assert_msg((double)got <= 1.01 * (double)least, "%s: %zu bytes of %zu", nets[_i].cfg,
                      got, least);
    }
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("plan");
    Suite *suite = suite_create("plan");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, random_buffers);
    tcase_add_test(tests, a_place_for_each);
    tcase_add_test(tests, equal_lives_give_equal_plans);
    tcase_add_test(tests, no_memory_for_a_plan);
    tcase_add_loop_test(tests, real_nets, 0, (int)(sizeof nets / sizeof nets[0]));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
