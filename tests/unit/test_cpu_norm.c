/*
 * test_cpu_norm.c - the fast normalisations against the reference loops: batch norm, group norm and
 * L2 norm, forward and backward, with every activation, on slices, in place of dy, and with means
 * far from 0, where a careless variance has no digits left.
 */
#include "cpu_case.h"

/* Buffers: x, y or dx, dy, stats, gamma, beta, then two of results by channel. */
enum { X, DX, DY, STATS, GAMMA, BETA, OUT1, OUT2 };

struct norm_call {
    struct view x, dx, dy;
    int groups;
    enum act act;
    real add;
    bool in_place, no_dx;
};

static const struct shape shapes[] = {
    {1, 4, 1, 1}, {2, 8, 5, 7}, {5, 4, 1, 1}, {1, 72, 13, 37}, {3, 16, 20, 41},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };
static const int group_counts[] = {0, 1, 2, 4};

static void run_forward(struct backend *be, const void *args, real *const buf[])
{
    const struct norm_call *c = args;

    be->ops->norm_fwd(be, case_bind(c->x, buf[X]), c->groups, (real)1e-5, (real)0.9,
                      c->groups ? NULL : buf[OUT1], c->groups ? NULL : buf[OUT2], buf[STATS],
                      buf[GAMMA], buf[BETA], c->act, case_bind(c->dx, buf[DX]));
}

static void run_apply(struct backend *be, const void *args, real *const buf[])
{
    const struct norm_call *c = args;

    be->ops->norm_apply(be, case_bind(c->x, buf[X]), c->groups, buf[STATS], buf[GAMMA], buf[BETA],
                        c->act, case_bind(c->dx, buf[DX]));
}

static void run_bwd(struct backend *be, const void *args, real *const buf[])
{
    const struct norm_call *c = args;
    const struct view none = {0}, dy = case_bind(c->dy, buf[DY]);
    const struct view dx = c->no_dx ? none : c->in_place ? dy : case_bind(c->dx, buf[DX]);

    be->ops->norm_bwd(be, case_bind(c->x, buf[X]), c->groups, buf[STATS], buf[GAMMA], buf[BETA],
                      c->act, dy, c->add, dx, buf[OUT1], buf[OUT2]);
}

static void run_l2_fwd(struct backend *be, const void *args, real *const buf[])
{
    const struct norm_call *c = args;

    be->ops->l2norm_fwd(be, case_bind(c->x, buf[X]), buf[GAMMA], (real)1e-10,
                        case_bind(c->dx, buf[DX]));
}

static void run_l2_bwd(struct backend *be, const void *args, real *const buf[])
{
    const struct norm_call *c = args;
    const struct view none = {0};

    be->ops->l2norm_bwd(be, case_bind(c->x, buf[X]), buf[GAMMA], (real)1e-10,
                        case_bind(c->dy, buf[DY]), c->add,
                        c->no_dx ? none : case_bind(c->dx, buf[DX]), buf[OUT1]);
}

/* Makes the buffers; x has the mean `mean`, and stats are its own. */
static void make(struct norm_call *c, struct cpu_case *t, struct shape s, real mean)
{
    const int sets = c->groups ? s.n * c->groups : s.c;
    int index;

    c->x = case_view(t, s, 1, &index);
    c->dx = case_view(t, s, 2, &index);
    c->dy = case_view(t, s, 0, &index);
    case_buffer(t, (size_t)sets * 2);
    for (int i = GAMMA; i <= OUT2; i++) {
        case_buffer(t, (size_t)s.c);
    }
    for (size_t i = 0; i < t->size[X]; i++) {
        t->start[X][i] += mean;
    }

    struct backend *plain = case_open("plain", 1);
    plain->ops->norm_fwd(plain, c->x, c->groups, (real)1e-5, (real)0.9, NULL, NULL, t->start[STATS],
                         t->start[GAMMA], t->start[BETA], ACT_LINEAR, c->dx);
    backend_close(plain);
    if (c->add == 0) {
        case_fill(c->dx, (real)NAN);
    }
}

static void check(const char *name, case_fn run, struct norm_call c, struct shape s, real mean)
{
    struct cpu_case t = {.name = name, .run = run, .args = &c, .tolerance = 1e-4};

    make(&c, &t, s, mean);
    case_check(&t);
}

START_TEST(test_forward)
{
    for (int act = 0; act < ACT_COUNT; act++) {
        for (int g = 0; g < 4; g++) {
            const struct norm_call c = {.groups = group_counts[g], .act = (enum act)act};
            check("forward", run_forward, c, shapes[_i], 0);
            check("forward far from 0", run_forward, c, shapes[_i], 300);
        }
    }
}
END_TEST

START_TEST(test_apply)
{
    for (int act = 0; act < ACT_COUNT; act++) {
        for (int g = 0; g < 4; g++) {
            check("apply", run_apply,
                  (struct norm_call){.groups = group_counts[g], .act = (enum act)act}, shapes[_i],
                  1);
        }
    }
}
END_TEST

START_TEST(test_backward)
{
    for (int act = 0; act < ACT_COUNT; act++) {
        for (int g = 0; g < 4; g++) {
            struct norm_call c = {.groups = group_counts[g], .act = (enum act)act};
            check("backward", run_bwd, c, shapes[_i], 1);
            c.add = 1;
            check("backward add", run_bwd, c, shapes[_i], 1);
            c.add = 0;
            c.in_place = true;
            check("backward in place", run_bwd, c, shapes[_i], 1);
            c.no_dx = true;
            check("backward without dx", run_bwd, c, shapes[_i], 1);
        }
    }
}
END_TEST

START_TEST(test_l2norm)
{
    struct norm_call c = {0};

    check("l2norm", run_l2_fwd, c, shapes[_i], 1);
    check("l2norm backward", run_l2_bwd, c, shapes[_i], 1);
    c.add = 1;
    check("l2norm backward add", run_l2_bwd, c, shapes[_i], 1);
    c.no_dx = true;
    check("l2norm backward without dx", run_l2_bwd, c, shapes[_i], 1);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("norm");

    tcase_add_loop_test(tests, test_forward, 0, SHAPES);
    tcase_add_loop_test(tests, test_apply, 0, SHAPES);
    tcase_add_loop_test(tests, test_backward, 0, SHAPES);
    tcase_add_loop_test(tests, test_l2norm, 0, SHAPES);
    return case_main(tests);
}
