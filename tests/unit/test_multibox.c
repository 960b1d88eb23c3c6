/*
 * test_multibox.c - matching and hard negatives against a reference that follows the papers word by
 * word (a full table of overlaps, the globally best pair again and again, a full sort), on random
 * pictures with many equal overlaps; the gradient against finite differences; small cases by hand.
 */
#include "det/box.h"
#include "det/coder.h"
#include "det/multibox.h"
#include "det/prior.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_P = 400, MAX_T = 12, C = 5 };

struct scene {
    struct multibox_desc d;
    struct box priors[MAX_P];
    real loc[MAX_P * 4], conf[MAX_P * C], arm_loc[MAX_P * 4], arm_conf[MAX_P * 2];
    real truth[MAX_T * 5];
    int max_truth;
    uint32_t state;
};

static double uniform(struct scene *s, double lo, double hi)
{
    s->state = s->state * 1664525u + 1013904223u;
    return lo + (hi - lo) * (s->state >> 8) / (1 << 24);
}

/* A coarse grid of boxes makes overlaps equal; coarse logits make losses equal. */
static void fill_scene(struct scene *s, uint32_t seed, bool coarse)
{
    const struct prior_shape shape[] = {prior_shape(16, 1),   prior_shape(16, 2),
                                        prior_shape(16, 0.5), prior_shape(32, 1),
                                        prior_shape(32, 2),   prior_shape(32, 0.5)};
    const struct prior_level level = {8, 8, 8, 8, shape, 6};

    s->state = seed * 77u + 5u;
    s->d = (struct multibox_desc){
        .priors = s->priors,
        .n_priors = prior_count(&level),
        .n_classes = C,
        .match_iou = (real)0.5,
        .neg_iou = (real)0.5,
        .neg_ratio = 3,
        .arm_threshold = (real)0.3,
        .variance = {(real)0.1, (real)0.1, (real)0.2, (real)0.2},
    };
    prior_fill(&level, 64, 64, s->priors);
    for (int i = 0; i < s->d.n_priors * C; i++) {
        const double v = uniform(s, -2, 2);
        s->conf[i] = (real)(!coarse ? v : i % C == 0 ? floor(v) : 0);
    }
    for (int i = 0; i < s->d.n_priors * 4; i++) {
        s->loc[i] = (real)uniform(s, -3, 3);
        s->arm_loc[i] = (real)(coarse ? floor(uniform(s, 0, 2)) : uniform(s, -1, 1));
    }
    for (int i = 0; i < s->d.n_priors * 2; i++) {
        s->arm_conf[i] = (real)uniform(s, -2, 2);
    }
    s->max_truth = 1 + (int)(seed % MAX_T);
    memset(s->truth, 0, sizeof s->truth);
    const int n = (int)uniform(s, 0, s->max_truth + 0.99);
    for (int i = 0; i < n; i++) {
        real *row = s->truth + i * 5;
        const double x = floor(uniform(s, 0, 7)) / 8, y = floor(uniform(s, 0, 7)) / 8;
        row[0] = (real)x;
        row[1] = (real)y;
        row[2] = (real)(x + ceil(uniform(s, 0, 3)) / 8);
        row[3] = (real)(y + ceil(uniform(s, 0, 3)) / 8);
        row[4] = (real)floor(uniform(s, -1, C));
        row[4] = row[4] == 0 ? -2 : row[4];
    }
}

static struct multibox_input all_of(const struct scene *s)
{
    return (struct multibox_input){s->loc,      s->conf,  s->arm_loc,
                                   s->arm_conf, s->truth, s->max_truth};
}

/* What the reference finds: of each prior the truth (-1), and whether it is a chosen negative. */
struct expected {
    int truth[MAX_P];
    bool negative[MAX_P];
    int positives;
};

static real table[MAX_P][MAX_T];

static void reference_bipartite(const struct scene *s, struct expected *e)
{
    bool used[MAX_T] = {false};

    for (;;) {
        int bp = -1, bt = -1;
        real best = (real)1e-6;
        for (int p = 0; p < s->d.n_priors; p++) {
            for (int t = 0; t < s->max_truth; t++) {
                if (!used[t] && e->truth[p] < 0 && table[p][t] > best) {
                    best = table[p][t];
                    bp = p;
                    bt = t;
                }
            }
        }
        if (bp < 0) {
            return;
        }
        used[bt] = true;
        e->truth[bp] = bt;
    }
}

static double log_sum(const real *x, int n)
{
    double sum = 0;

    for (int i = 0; i < n; i++) {
        sum += exp((double)x[i]);
    }
    return log(sum);
}

static void fill_table(const struct scene *s, bool arm)
{
    memset(table, 0, sizeof table);
    for (int p = 0; p < s->d.n_priors; p++) {
        const struct box a =
            arm ? box_decode(&s->priors[p], s->arm_loc + p * 4, s->d.variance) : s->priors[p];
        for (int t = 0; t < s->max_truth; t++) {
            const real *row = s->truth + t * 5;
            const struct box b = {row[0], row[1], row[2], row[3]};
            table[p][t] = row[4] > 0 ? box_iou(&a, &b) : 0;
        }
    }
}

static void reference_threshold(const struct scene *s, struct expected *e)
{
    for (int p = 0; p < s->d.n_priors; p++) {
        real best = 0;
        int bt = -1;
        for (int t = 0; t < s->max_truth; t++) {
            if (table[p][t] > best) {
                best = table[p][t];
                bt = t;
            }
        }
        if (e->truth[p] < 0 && bt >= 0 && best >= s->d.match_iou) {
            e->truth[p] = bt;
        }
        e->positives += e->truth[p] >= 0;
    }
}

static bool may_be_negative(const struct scene *s, const struct expected *e, int p, bool arm)
{
    const real *x = s->arm_conf + p * 2;
    bool may = e->truth[p] < 0 && !e->negative[p];

    for (int t = 0; t < s->max_truth; t++) {
        may = may && table[p][t] < s->d.neg_iou;
    }
    return may && (!arm || 1 / (1 + exp((double)(x[0] - x[1]))) >= (double)s->d.arm_threshold);
}

/* The one with the largest loss that is left, -1 for none. */
static int reference_hardest(const struct scene *s, const struct expected *e, bool arm)
{
    double worst = -1;
    int hardest = -1;

    for (int p = 0; p < s->d.n_priors; p++) {
        const double loss = log_sum(s->conf + p * C, C) - (double)s->conf[p * C];
        if (may_be_negative(s, e, p, arm) && loss > worst + 1e-6) {
            worst = loss;
            hardest = p;
        }
    }
    return hardest;
}

static void reference(const struct scene *s, bool arm, struct expected *e)
{
    memset(e, 0, sizeof *e);
    memset(e->truth, -1, sizeof e->truth);
    fill_table(s, arm);
    reference_bipartite(s, e);
    reference_threshold(s, e);
    for (int n = 0; n < 3 * e->positives; n++) {
        const int p = reference_hardest(s, e, arm);
        if (p < 0) {
            break;
        }
        e->negative[p] = true;
    }
}

static void compare(struct scene *s, bool arm)
{
    static real match[MAX_P * 5];
    static struct expected e;
    double loss[3], loc = 0, conf = 0;
    void *scratch = malloc(multibox_scratch_bytes(&s->d, s->max_truth));

    const struct multibox_input in = {
        s->loc, s->conf, arm ? s->arm_loc : NULL, arm ? s->arm_conf : NULL, s->truth, s->max_truth};

    reference(s, arm, &e);
    multibox_match(&s->d, &in, match, loss, scratch);
    free(scratch);
    for (int p = 0; p < s->d.n_priors; p++) {
        const real *row = match + p * 5;
        const real *t = e.truth[p] >= 0 ? s->truth + e.truth[p] * 5 : NULL;
        ck_assert_int_eq((int)row[0], t ? (int)t[4] : e.negative[p] ? 0 : -1);
        if (row[0] < 0) {
            continue;
        }
        conf += log_sum(s->conf + p * C, C) - (double)s->conf[p * C + (int)row[0]];
        if (!t) {
            continue;
        }
        const struct box a =
            arm ? box_decode(&s->priors[p], s->arm_loc + p * 4, s->d.variance) : s->priors[p];
        const struct box back = box_decode(&a, row + 1, s->d.variance);
        ck_assert_double_eq_tol((double)back.x0, (double)t[0], 1e-5);
        ck_assert_double_eq_tol((double)back.y1, (double)t[3], 1e-5);
        for (int k = 0; k < 4; k++) {
            const double d = fabs((double)(s->loc[p * 4 + k] - row[k + 1]));
            loc += d < 1 ? d * d / 2 : d - 0.5;
        }
    }
    ck_assert_double_eq_tol(loss[0], loc, 1e-4 * (1 + loc));
    ck_assert_double_eq_tol(loss[1], conf, 1e-4 * (1 + conf));
    ck_assert_double_eq(loss[2], e.positives);
}

START_TEST(follows_the_reference)
{
    static struct scene s;

    for (uint32_t seed = 0; seed < 60; seed++) {
        fill_scene(&s, seed, seed % 2 == 0);
        compare(&s, false);
        compare(&s, true);
    }
}
END_TEST

START_TEST(two_truths_want_one_prior)
{
    const struct box priors[] = {{0, 0, 0.5f, 0.5f}, {0.1f, 0.1f, 0.9f, 0.9f}};
    const struct multibox_desc d = {priors, 2, 2, true, 0.5f, 0.5f, 3, 0, {0.1f, 0.1f, 0.2f, 0.2f}};
    const real truth[] = {0, 0, 0.45f, 0.5f, 7, 0, 0, 0.5f, 0.5f, 3};
    const real zero[8] = {0};
    real match[10];
    double loss[3];
    void *scratch = malloc(multibox_scratch_bytes(&d, 2));

    multibox_match(&d, &(struct multibox_input){zero, zero, NULL, NULL, truth, 2}, match, loss,
                   scratch);
    free(scratch);
    /* The exact one gets the first prior, the other what is left, though it overlaps little. */
    ck_assert_double_eq((double)match[0], 1);
    ck_assert_double_eq((double)match[5], 1);
    ck_assert_double_eq_tol((double)match[3], 0, 1e-6);
    ck_assert_double_eq_tol((double)match[8], log(0.45 / 0.8) / 0.2, 1e-5);
    ck_assert_double_eq(loss[2], 2);
}
END_TEST

START_TEST(nothing_to_find)
{
    static struct scene s;
    static real match[MAX_P * 5];
    static real grad[MAX_P * C];
    double loss[3];

    fill_scene(&s, 3, false);
    memset(s.truth, 0, sizeof s.truth);
    s.truth[4] = -3;
    void *scratch = malloc(multibox_scratch_bytes(&s.d, s.max_truth));
    const struct multibox_input in = all_of(&s);
    multibox_match(&s.d, &in, match, loss, scratch);
    free(scratch);
    ck_assert(loss[0] == 0 && loss[1] == 0 && loss[2] == 0);
    grad[0] = (real)NAN;
    multibox_grad(&s.d, &in, match, 1, 0, &(struct multibox_output){.dconf = grad});
    for (int i = 0; i < s.d.n_priors * C; i++) {
        ck_assert(grad[i] == 0);
    }
}
END_TEST

/* Numbers that are none, or boxes of no or infinite size, must neither crash nor hide. */
START_TEST(hostile_numbers)
{
    static struct scene s;
    static real match[MAX_P * 5];
    double loss[3];

    fill_scene(&s, 11, false);
    for (int i = 0; i < s.d.n_priors * 4; i += 3) {
        s.arm_loc[i] = i % 2 ? (real)NAN : (real)1e30;
    }
    for (int i = 0; i < s.d.n_priors; i += 2) {
        s.conf[i * C] = (real)NAN;
    }
    void *scratch = malloc(multibox_scratch_bytes(&s.d, s.max_truth));
    const struct multibox_input in = all_of(&s);
    multibox_match(&s.d, &in, match, loss, scratch);
    free(scratch);
    ck_assert(loss[2] == 0 || isnan(loss[1]));
}
END_TEST

static double total(const struct scene *s, const real *match, double positives)
{
    double sum = 0;

    for (int p = 0; p < s->d.n_priors; p++) {
        const real *row = match + p * 5;
        if (row[0] >= 0) {
            sum += log_sum(s->conf + p * C, C) - (double)s->conf[p * C + (int)row[0]];
        }
        for (int k = 0; k < 4 && row[0] > 0; k++) {
            const double d = fabs((double)(s->loc[p * 4 + k] - row[k + 1]));
            sum += d < 1 ? d * d / 2 : d - 0.5;
        }
    }
    return sum / positives;
}

START_TEST(gradient)
{
    static struct scene s;
    static real match[MAX_P * 5], dloc[MAX_P * 4], dconf[MAX_P * C];
    const double h = sizeof(real) == 8 ? 1e-6 : 2e-3, tol = sizeof(real) == 8 ? 1e-7 : 2e-4;
    double loss[3];

    fill_scene(&s, 23, false);
    void *scratch = malloc(multibox_scratch_bytes(&s.d, s.max_truth));
    const struct multibox_input in = all_of(&s);
    multibox_match(&s.d, &in, match, loss, scratch);
    free(scratch);
    ck_assert(loss[2] > 3);
    for (int i = 0; i < s.d.n_priors * C; i++) {
        dconf[i] = 1; /* what is there is added to */
    }
    multibox_grad(&s.d, &in, match, 1, (real)loss[2], &(struct multibox_output){dloc, dconf, 0, 1});
    for (int i = 0; i < s.d.n_priors * C; i += 3) {
        const bool of_loc = i < s.d.n_priors * 4 && i % 2;
        real *x = of_loc ? &s.loc[i] : &s.conf[i];
        const double g = of_loc ? (double)dloc[i] : (double)dconf[i] - 1;
        const real x0 = *x;
        *x = x0 + (real)h;
        const double up = total(&s, match, loss[2]);
        *x = x0 - (real)h;
        const double down = total(&s, match, loss[2]);
        *x = x0;
        ck_assert_double_eq_tol(g, (up - down) / (2 * h), tol);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("multibox");
    TCase *tc = tcase_create("all");

    tcase_add_test(tc, follows_the_reference);
    tcase_add_test(tc, two_truths_want_one_prior);
    tcase_add_test(tc, nothing_to_find);
    tcase_add_test(tc, hostile_numbers);
    tcase_add_test(tc, gradient);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
