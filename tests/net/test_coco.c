/*
 * test_coco.c - COCO's numbers, equal to pycocotools on every case of ../shared/data/eval: all
 * twelve, those of each class, the curve at IoU 0.5 and the printed text. And by hand: results
 * files that are damaged, and what a written one says when read again.
 */
#include "base/file.h"
#include "base/json.h"
#include "eval/coco_eval.h"

#include <check.h>
#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const cases = "../shared/data/eval";

static void near(const char *what, const char *name, double got, const json *want)
{
    ck_assert_msg(cJSON_IsNumber(want) && fabs(got - want->valuedouble) < 1e-6,
                  "%s: %s is %.9f, not %.9f", what, name, got,
                  want != NULL ? want->valuedouble : (double)NAN);
}

static void compare_class(const char *what, const struct coco_class *c, const json *want,
                          const json *curve)
{
    near(what, "AP of a class", c->ap, json_get(want, "AP"));
    near(what, "AP50 of a class", c->ap50, json_get(want, "AP50"));
    near(what, "AP75 of a class", c->ap75, json_get(want, "AP75"));
    near(what, "AR100 of a class", c->ar100, json_get(want, "AR100"));
    for (int i = 0; i < json_len(curve); i++) {
        near(what, "precision", c->precision50[i], cJSON_GetArrayItem(curve, i));
    }
}

static void compare_text(const char *what, const struct coco_report *r, bool segm, const json *want)
{
    struct buf b = {0};

    coco_report_text(r, segm, &b);
    for (int i = 0; i < json_len(want); i++) {
        const char *line = cJSON_GetArrayItem(want, i)->valuestring;
        ck_assert_msg(strstr(b.p, line) != NULL, "%s: no line \"%s\" in\n%s", what, line, b.p);
    }
    buf_free(&b);
}

static void compare(const char *what, const struct coco_report *r, const struct dataset *truth,
                    bool segm, const json *want)
{
    const json *classes = json_get(want, "per_class");
    const json *curves = json_get(want, "precision_iou50_all_max100");
    int seen = 0;

    for (int i = 0; i < COCO_NUMBERS; i++) {
        near(what, coco_number_name[i], r->number[i],
             json_get(json_get(want, "stats"), coco_number_name[i]));
    }
    for (int c = 0; c < r->n_classes; c++) {
        char key[32];
        snprintf(key, sizeof key, "%lld", truth->class_key[c]);
        if (json_get(classes, key)) {
            compare_class(what, &r->classes[c], json_get(classes, key), json_get(curves, key));
            seen++;
        }
    }
    ck_assert_int_eq(seen, cJSON_GetArraySize(classes));
    compare_text(what, r, segm, json_get(want, "text"));
}

static void run_kind(const char *dir, const json *expected, const json *want)
{
    const bool segm = strcmp(want->string, "segm") == 0;
    const struct dataset_options opt = {.masks = segm ? MASKS_KEEP : MASKS_DROP};
    const json *dt = json_get(expected, "dt");
    const char *dt_name = cJSON_IsString(dt) ? dt->valuestring : json_str(dt, want->string);
    char *gt_path = path_join(dir, json_str(expected, "gt")), *dt_path = path_join(dir, dt_name);
    struct dataset truth;
    struct result_list results;
    struct coco_report report;
    struct err err = {0};

    ck_assert_msg(coco_read(gt_path, &opt, &truth, &err) == VOV_OK, "%s", err.msg);
    ck_assert_msg(results_read(dt_path, &results, &err) == VOV_OK, "%s", err.msg);
    ck_assert_msg(coco_eval(&truth, &results, segm, &report, &err) == VOV_OK, "%s", err.msg);
    compare(dir, &report, &truth, segm, want);
    coco_report_free(&report);
    results_free(&results);
    dataset_free(&truth);
    free(gt_path);
    free(dt_path);
}

START_TEST(reference_cases)
{
    struct err err = {0};
    char **names = NULL;
    int n = 0, done = 0;

    ck_assert_int_eq(file_list(cases, &names, &n, &err), VOV_OK);
    for (int i = 0; i < n; i++) {
        char *dir = path_join(cases, names[i]), *path = path_join(dir, "expected.json");
        json *expected = NULL;
        const json *want;
        if (file_exists(path)) {
            ck_assert_msg(json_read(path, 1 << 26, &expected, &err) == VOV_OK, "%s", err.msg);
        }
        if (expected && json_get(expected, "results")) {
            cJSON_ArrayForEach(want, json_get(expected, "results"))
            {
                run_kind(dir, expected, want);
                done++;
            }
        }
        json_free(expected);
        free(dir);
        free(path);
    }
    file_list_free(names, n);
    ck_assert_int_ge(done, 29);
}
END_TEST

static char folder[] = "/tmp/vov-test-coco-XXXXXX";

static char *put_file(const char *name, const char *text)
{
    struct err err = {0};
    char *path = path_join(folder, name);

    ck_assert_msg(file_write(path, text, strlen(text), &err) == VOV_OK, "%s", err.msg);
    return path;
}

static void refuse_results(const char *text, const char *says)
{
    struct result_list r;
    struct err err = {0};
    char *path = put_file("results.json", text);

    ck_assert_int_eq(results_read(path, &r, &err), VOV_EFORMAT);
    ck_assert_msg(strstr(err.msg, says) != NULL, "\"%s\" does not say \"%s\"", err.msg, says);
    ck_assert_int_eq(r.n, 0);
    unlink(path);
    free(path);
}

START_TEST(damaged_results)
{
    refuse_results("{}", "list");
    refuse_results("{\"image_id\": [1]}", "list");
    refuse_results("[1]", "result 0");
    refuse_results("[{\"image_id\": 1, \"category_id\": 1, \"bbox\": [1, 2, 3, 4]}]", "score");
    refuse_results(
        "[{\"image_id\": 1.5, \"category_id\": 1, \"bbox\": [1, 2, 3, 4], \"score\": 1}]",
        "image_id");
    refuse_results("[{\"image_id\": 1, \"bbox\": [1, 2, 3, 4], \"score\": 1}]", "category_id");
    refuse_results("[{\"image_id\": 1, \"category_id\": 1, \"bbox\": [1, 2, 3], \"score\": 1}]",
                   "bbox");
    refuse_results(
        "[{\"image_id\": 1, \"category_id\": 1, \"bbox\": [1, 2, 1e999, 4], \"score\": 1}]",
        "bbox");
    refuse_results("[{\"image_id\": 1, \"category_id\": 1, \"score\": 1}]", "segmentation");
    refuse_results("[{\"image_id\": 1, \"category_id\": 1, \"score\": 1, \"segmentation\": "
                   "{\"size\": [4, 4], \"counts\": \"@@@\"}}]",
                   "mask");
    refuse_results("[{\"image_id\": 1, \"category_id\": 1, \"score\": 1, \"segmentation\": "
                   "{\"size\": [4, 4], \"counts\": [3, -1, 14]}}]",
                   "run 1");
    refuse_results("[{\"image_id\": 1, \"category_id\": 1, \"score\": 1, \"segmentation\": "
                   "{\"size\": [4000000000, 4000000000], \"counts\": [16]}}]",
                   "mask");
    refuse_results(
        "[{\"image_id\": 1, \"category_id\": 1, \"score\": \"high\", \"bbox\": [1, 2, 3, "
        "4]}]",
        "score");
    refuse_results("", "expected");
}
END_TEST

static const char *const one_picture =
    "{\"images\": [{\"id\": 7, \"file_name\": \"a.png\", \"width\": 20, \"height\": 10}],"
    "\"categories\": [{\"id\": 3, \"name\": \"cat\"}], \"annotations\": [{\"id\": 1, \"image_id\": "
    "7,"
    "\"category_id\": 3, \"bbox\": [2, 2, 6, 4], \"area\": 24, \"iscrowd\": 0, \"segmentation\": "
    "[[2, 2, 8, 2, 8, 6, 2, 6]]}]}";

static enum vov_status score_against(const char *annotations, const char *results, bool segm,
                                     double *ap, struct err *err)
{
    const struct dataset_options opt = {.masks = MASKS_KEEP};
    char *gt = put_file("truth.json", annotations), *dt = put_file("results.json", results);
    struct dataset truth;
    struct result_list r;
    struct coco_report report = {0};

    ck_assert_msg(coco_read(gt, &opt, &truth, err) == VOV_OK, "%s", err->msg);
    ck_assert_msg(results_read(dt, &r, err) == VOV_OK, "%s", err->msg);
    const enum vov_status status = coco_eval(&truth, &r, segm, &report, err);
    *ap = report.number[COCO_AP];
    coco_report_free(&report);
    results_free(&r);
    dataset_free(&truth);
    unlink(gt);
    unlink(dt);
    free(gt);
    free(dt);
    return status;
}

static enum vov_status score(const char *results, bool segm, double *ap, struct err *err)
{
    return score_against(one_picture, results, segm, ap, err);
}

/* A truth without area, or with a mask of another size, is one that nobody finds: of two truths one
 * is found, and 51 of 101 recalls are reached. What pycocotools says, too. */
START_TEST(unfit_truths_are_to_be_found)
{
    static const char text[] =
        "{\"images\": [{\"id\": 7, \"file_name\": \"a.png\", \"width\": 20, \"height\": 10}],"
        "\"categories\": [{\"id\": 3, \"name\": \"cat\"}], \"annotations\": [{\"id\": 1, "
        "\"image_id\": 7, \"category_id\": 3, \"bbox\": [2, 2, 6, 4], \"area\": 24, "
        "\"segmentation\": [[2, 2, 8, 2, 8, 6, 2, 6]]}, {\"id\": 2, \"image_id\": 7, "
        "\"category_id\": 3, \"bbox\": [12, 2, -1, 4], \"area\": 24, \"segmentation\": {\"size\": "
        "[20, 10], \"counts\": [100, 20, 80]}}]}";
    struct err err = {0};
    double ap;

    for (int segm = 0; segm < 2; segm++) {
        ck_assert_int_eq(score_against(text,
                                       "[{\"image_id\": 7, \"category_id\": 3, \"score\": 1, "
                                       "\"bbox\": [2, 2, 6, 4]}]",
                                       segm == 1, &ap, &err),
                         VOV_OK);
        ck_assert_double_eq_tol(ap, 51.0 / 101, 1e-9);
    }
}
END_TEST

START_TEST(by_hand)
{
    struct err err = {0};
    double ap;

    /* The box itself; its right two thirds (IoU 2/3: 4 of 10 thresholds); masks the same way. */
    ck_assert_int_eq(
        score("[{\"image_id\": 7, \"category_id\": 3, \"score\": 1, \"bbox\": [2, 2, 6, 4]}]",
              false, &ap, &err),
        VOV_OK);
    ck_assert_double_eq_tol(ap, 1, 1e-9);
    ck_assert_int_eq(
        score("[{\"image_id\": 7, \"category_id\": 3, \"score\": 1, \"bbox\": [4, 2, 4, 4]}]",
              false, &ap, &err),
        VOV_OK);
    ck_assert_double_eq_tol(ap, 0.4, 1e-9);
    ck_assert_int_eq(
        score("[{\"image_id\": 7, \"category_id\": 3, \"score\": 1, \"bbox\": [4, 2, 4, 4]}]", true,
              &ap, &err),
        VOV_OK);
    ck_assert_double_eq_tol(ap, 0.4, 1e-9);
    /* A class that the data set does not have counts for nothing. */
    ck_assert_int_eq(
        score("[{\"image_id\": 7, \"category_id\": 9, \"score\": 1, \"bbox\": [2, 2, 6, 4]}]",
              false, &ap, &err),
        VOV_OK);
    ck_assert_double_eq_tol(ap, 0, 1e-9);
}
END_TEST

START_TEST(of_other_pictures)
{
    struct err err = {0};
    double ap;

    ck_assert_int_eq(
        score("[{\"image_id\": 8, \"category_id\": 3, \"score\": 1, \"bbox\": [2, 2, 6, 4]}]",
              false, &ap, &err),
        VOV_EFORMAT);
    ck_assert(strstr(err.msg, "no picture with id 8") != NULL);
    err = (struct err){0};
    ck_assert_int_eq(score("[{\"image_id\": 7, \"category_id\": 3, \"score\": 1, \"segmentation\": "
                           "{\"size\": [4, 4], \"counts\": [4, 12]}}]",
                           true, &ap, &err),
                     VOV_EFORMAT);
    ck_assert(strstr(err.msg, "4x4") != NULL);
}
END_TEST

START_TEST(written_and_read)
{
    unsigned run[] = {3, 5, 8};
    struct result v[] = {
        {.image_id = 1ll << 40, .category_id = -2, .x = 0.1, .y = 2, .w = 3, .h = 4, .score = 0.7},
        {.image_id = 3, .category_id = 4, .score = 1e-9, .mask = {4, 4, run, 3}},
    };
    const struct result_list out = {.v = v, .n = 2, .cap = 2}, none = {0};
    struct result_list in;
    struct err err = {0};
    char *path = path_join(folder, "out.json");

    ck_assert_msg(results_write(path, &out, &err) == VOV_OK, "%s", err.msg);
    ck_assert_msg(results_read(path, &in, &err) == VOV_OK, "%s", err.msg);
    ck_assert_int_eq(in.n, 2);
    ck_assert(in.v[0].image_id == 1ll << 40 && in.v[0].category_id == -2);
    ck_assert(in.v[0].x == 0.1 && in.v[0].score == 0.7 && in.v[0].area == 12);
    ck_assert_int_eq(in.v[1].mask.n, 3);
    ck_assert_uint_eq(in.v[1].mask.run[1], 5);
    results_free(&in);
    ck_assert_int_eq(results_write(path, &none, &err), VOV_OK);
    ck_assert_int_eq(results_read(path, &in, &err), VOV_OK);
    ck_assert_int_eq(in.n, 0);
    unlink(path);
    free(path);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("coco");
    TCase *tc = tcase_create("all");

    if (!mkdtemp(folder)) {
        return 1;
    }
    tcase_set_timeout(tc, 120);
    if (file_is_dir(cases)) {
        tcase_add_test(tc, reference_cases);
    } else {
        fprintf(stderr, "%s is not there: the reference cases are left out\n", cases);
    }
    tcase_add_test(tc, damaged_results);
    tcase_add_test(tc, unfit_truths_are_to_be_found);
    tcase_add_test(tc, by_hand);
    tcase_add_test(tc, of_other_pictures);
    tcase_add_test(tc, written_and_read);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    rmdir(folder);
    return failed != 0;
}
