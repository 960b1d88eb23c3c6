/*
 * test_dataset.c - COCO annotations as coco_read keeps them: what training leaves out and
 * evaluation counts, masks of another size than their picture, how many warnings there are, and
 * where pictures are looked for.
 */
#include "base/file.h"
#include "base/mem.h"
#include "base/usage.h"
#include "data/dataset.h"
#include "run.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static char *put(const char *name, const char *text)
{
    char *path = path_join(dir, name);
    struct err err = {0};

    ck_assert_msg(file_write(path, text, strlen(text), &err) == VOV_OK, "%s", err.msg);
    return path;
}

/* One picture of 20 x 10, one class, and the annotations given. */
static struct dataset read_set(const char *annotations, const struct dataset_options *opt)
{
    struct buf text = {0};
    struct dataset d;
    struct err err = {0};

    buf_printf(
        &text,
        "{\"images\": [{\"id\": 7, \"file_name\": \"a.png\", \"width\": 20, \"height\": 10}],"
        "\"categories\": [{\"id\": 3, \"name\": \"cat\"}], \"annotations\": [%s]}",
        annotations);
    ck_assert(!text.failed);
    char *path = put("set.json", text.p);
    ck_assert_msg(coco_read(path, opt, &d, &err) == VOV_OK, "%s", err.msg);
    unlink(path);
    mem_free(path);
    buf_free(&text);
    return d;
}

START_TEST(boxes_that_training_cannot_use_stay_for_evaluation)
{
    const struct dataset_options opt = {0};
    struct dataset d = read_set(
        "{\"id\": 1, \"image_id\": 7, \"category_id\": 3, \"bbox\": [2, 2, 30, 4], \"area\": 9},"
        "{\"id\": 2, \"image_id\": 7, \"category_id\": 3, \"bbox\": [2, 2, 0, 4], \"area\": 9},"
        "{\"id\": 3, \"image_id\": 7, \"category_id\": 3, \"bbox\": [20, 2, 4, 4], \"area\": 9},"
        "{\"id\": 4, \"image_id\": 7, \"category_id\": 3, \"bbox\": \"wide\", \"area\": 9},"
        "{\"id\": 5, \"image_id\": 8, \"category_id\": 3, \"bbox\": [2, 2, 3, 4], \"area\": 9},"
        "{\"id\": 6, \"image_id\": 7, \"category_id\": 4, \"bbox\": [2, 2, 3, 4], \"area\": 9}",
        &opt);
    const struct item *it = &d.item[0];

    ck_assert_int_eq(it->n_truth, 4);
    ck_assert_int_eq(d.n_truth, 1);
    ck_assert_int_eq(d.skipped, 5);
    ck_assert(!it->truth[0].unfit && it->truth[0].box.x1 == 20 && it->truth[0].bbox[2] == 30);
    for (int i = 1; i < 4; i++) {
        ck_assert(it->truth[i].unfit && it->truth[i].box.x1 == 0 && it->truth[i].area == 9);
        ck_assert_int_eq(it->truth[i].id, i + 1);
    }
    dataset_free(&d);
}
END_TEST

START_TEST(boxes_in_parts_of_the_picture_are_refused)
{
    static const char text[] =
        "{\"images\": [{\"id\": 7, \"file_name\": \"a.png\", \"width\": 20, \"height\": 10}],"
        "\"categories\": [{\"id\": 3, \"name\": \"cat\"}], \"annotations\": ["
        "{\"id\": 1, \"image_id\": 7, \"category_id\": 3, \"bbox\": [0.1, 0.2, 0.9, 0.5]},"
        "{\"id\": 2, \"image_id\": 7, \"category_id\": 3, \"bbox\": [0, 0, 1, 1]}]}";
    const struct dataset_options opt = {0};
    struct dataset d;
    struct err err = {0};
    char *path = put("parts.json", text);

    ck_assert(coco_read(path, &opt, &d, &err) == VOV_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.msg, "in pixels, not in parts"));
    unlink(path);
    mem_free(path);
    d = read_set("{\"id\": 1, \"image_id\": 7, \"category_id\": 3, \"bbox\": [0, 0, 1, 1]}", &opt);
    ck_assert_int_eq(d.n_truth, 1); /* a pixel */
    dataset_free(&d);
}
END_TEST

START_TEST(masks_have_the_size_of_their_picture)
{
    static const char annotations[] =
        "{\"id\": 1, \"image_id\": 7, \"category_id\": 3, \"bbox\": [2, 2, 3, 4],"
        " \"segmentation\": {\"size\": [10, 20], \"counts\": [100, 20, 80]}},"
        "{\"id\": 2, \"image_id\": 7, \"category_id\": 3, \"bbox\": [2, 2, 3, 4],"
        " \"segmentation\": {\"size\": [20, 10], \"counts\": [100, 20, 80]}}";
    const struct dataset_options with = {.masks = MASKS_KEEP}, without = {0};
    struct dataset d = read_set(annotations, &with);

    ck_assert(!d.item[0].truth[0].unfit && d.item[0].truth[1].unfit);
    ck_assert_int_eq(d.item[0].truth[1].seg->height, 20);
    ck_assert_int_eq(d.n_truth, 1);
    dataset_free(&d);
    d = read_set(annotations, &without);
    ck_assert_int_eq(d.n_truth, 2);
    ck_assert_ptr_null(d.item[0].truth[1].seg);
    dataset_free(&d);
}
END_TEST

/* What is wrong with masks, and what the warning says of it. */
static const struct {
    const char *seg, *said;
} wrong_masks[] = {
    {"[[1, 1, 9, 1, 9, 9, 1]]", "has an odd number of coordinates"},
    {"[[1, 1, 9, 1]]", "has fewer than three points"},
    {"[[]]", "has fewer than three points"},
    {"[[1, 1, 9, 1, 9, 9], [1, 2]]", "has fewer than three points"},
    {"[[1, 1, 9, 1, 9, 1e13]]", "is no number, or beyond 1e12"},
    {"[[1, 1, 9, 1, 9, \"9\"]]", "is no number, or beyond 1e12"},
    {"[1, 1, 9, 1, 9, 9]", "is no list"},
    {"5", "neither a list of polygons nor run lengths"},
    {"\"abc\"", "neither a list of polygons nor run lengths"},
    {"{\"counts\": [100, 20, 80]}", "not [height, width], each 1 to 32768"},
    {"{\"size\": [4294967295, 4294967295], \"counts\": [1]}", "each 1 to 32768"},
    {"{\"size\": [10.5, 20], \"counts\": [200]}", "each 1 to 32768"},
    {"{\"size\": [10, 20]}", "has no \"counts\""},
    {"{\"size\": [10, 20], \"counts\": []}", "do not add up to its \"size\""},
    {"{\"size\": [10, 20], \"counts\": [100, 20]}", "do not add up to its \"size\""},
    {"{\"size\": [10, 20], \"counts\": [4294967295, 201]}", "do not add up to its \"size\""},
    {"{\"size\": [10, 20], \"counts\": [4294967497]}", "no whole number of pixels"},
    {"{\"size\": [10, 20], \"counts\": [-1, 201]}", "no whole number of pixels"},
    {"{\"size\": [10, 20], \"counts\": [100.5, 100]}", "no whole number of pixels"},
    {"{\"size\": [10, 20], \"counts\": \"ooo\"}", "compressed run lengths"},
    {"{\"size\": [10, 20], \"counts\": \"\"}", "compressed run lengths"},
    {"{\"size\": [10, 20], \"counts\": \" \"}", "compressed run lengths"},
};

struct expected {
    const char *text;
    int n;
};

static void expect_problem(void *user, const char *kind, bool skipped, const char *text)
{
    struct expected *e = user;

    ck_assert_str_eq(kind, "segmentation");
    ck_assert(skipped);
    ck_assert_msg(strstr(text, "annotation 1 is left out: ") != NULL, "%s", text);
    ck_assert_msg(strstr(text, e->text) != NULL, "\"%s\" instead of \"%s\"", text, e->text);
    e->n++;
}

START_TEST(says_what_is_wrong_with_a_mask)
{
    for (size_t i = 0; i < sizeof wrong_masks / sizeof wrong_masks[0]; i++) {
        struct expected e = {wrong_masks[i].said, 0};
        const struct dataset_options opt = {
            .masks = MASKS_CHECK, .problem = expect_problem, .user = &e};
        char text[400];

        snprintf(text, sizeof text,
                 "{\"id\": 1, \"image_id\": 7, \"category_id\": 3, \"bbox\": [2, 2, 3, 4], "
                 "\"segmentation\": %s}",
                 wrong_masks[i].seg);
        struct dataset d = read_set(text, &opt);
        ck_assert_int_eq(e.n, 1);
        ck_assert_int_eq(d.n_truth, 0);
        ck_assert_int_eq(d.skipped, 1);
        dataset_free(&d);
    }
}
END_TEST

struct heard {
    int lines, counts;
};

static void hear(void *user, int level, const char *text)
{
    struct heard *h = user;

    ck_assert_int_eq(level, LOG_WARN);
    h->lines++;
    h->counts += strstr(text, "and 490 more of this kind (bbox)") != NULL;
    h->counts += strstr(text, "and 1 more of this kind (category)") != NULL;
}

static void count_problem(void *user, const char *kind, bool skipped, const char *text)
{
    (void)text;
    ck_assert(skipped);
    *(int *)user += strcmp(kind, "bbox") == 0;
}

START_TEST(warnings_of_a_kind_are_few)
{
    struct buf text = {0};
    struct heard heard = {0};
    const struct log log = {hear, &heard};
    int problems = 0;
    const struct dataset_options opt = {.log = &log, .problem = count_problem, .user = &problems};

    for (int i = 0; i < 511; i++) {
        buf_printf(&text,
                   "%s{\"id\": %d, \"image_id\": 7, \"category_id\": %d, \"bbox\": [1, 1, 0, 1]}",
                   i > 0 ? "," : "", i + 1, i < 500 ? 3 : 4);
    }
    struct dataset d = read_set(text.p, &opt);
    ck_assert_int_eq(heard.lines, 10 + 1 + 10 + 1);
    ck_assert_int_eq(heard.counts, 2);
    ck_assert_int_eq(problems, 500);
    ck_assert_int_eq(d.skipped, 511);
    dataset_free(&d);
    buf_free(&text);
}
END_TEST

START_TEST(each_picture_is_looked_for)
{
    const struct dataset_options opt = {.pictures_only = true};
    struct dataset d;
    struct err err = {0};
    char *json =
        put("list.json", "{\"images\": [{\"id\": 1, \"file_name\": \"here.png\"},"
                         "{\"id\": 2, \"file_name\": \"there.png\", \"width\": 2, \"height\": 2},"
                         "{\"id\": 3, \"file_name\": \"nowhere.png\"}]}");
    char *here = put("here.png", "x"), *folder = path_join(dir, "images");
    ck_assert_int_eq(mkdir(folder, 0777), 0);
    char *there = put("images/there.png", "x");

    ck_assert_msg(coco_read(json, &opt, &d, &err) == VOV_OK, "%s", err.msg);
    ck_assert_int_eq(d.n, 3);
    ck_assert_str_eq(d.item[0].path, here);
    ck_assert_str_eq(d.item[1].path, there);
    ck_assert_str_eq(path_base(d.item[2].path), "nowhere.png");
    dataset_free(&d);

    const struct dataset_options strict = {0};
    ck_assert_int_eq(coco_read(json, &strict, &d, &err), VOV_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.msg, "annotations"));
    unlink(here);
    unlink(there);
    unlink(json);
    rmdir(folder);
    mem_free(here);
    mem_free(there);
    mem_free(folder);
    mem_free(json);
}
END_TEST

START_TEST(what_is_no_file_is_said)
{
    const struct dataset_options opt = {0};
    struct dataset d;
    struct data_file f;
    struct err err = {0};
    char *fifo = path_join(dir, "pipe.json");

    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    ck_assert_int_eq(coco_read(fifo, &opt, &d, &err), VOV_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.msg, "no plain file"));
    ck_assert_int_eq(data_file_read(fifo, &f, NULL), VOV_EFORMAT);
    ck_assert_int_eq(coco_read(dir, &opt, &d, NULL), VOV_EFORMAT);
    ck_assert_int_eq(coco_read("/no/such.json", &opt, &d, NULL), VOV_EFORMAT);
    unlink(fifo);
    mem_free(fifo);
}
END_TEST

enum { MANY = 30000, POINTS = 40 };

/* A file of MANY annotations with large polygons, written piece by piece; its bytes. */
static size_t put_many(const char *path)
{
    FILE *f = fopen(path, "w");
    long bytes;

    ck_assert_ptr_nonnull(f);
    fprintf(f, "{\"images\": [{\"id\": 7, \"file_name\": \"a\", \"width\": 9, \"height\": 9}],"
               "\"categories\": [{\"id\": 3, \"name\": \"cat\"}], \"annotations\": [");
    for (int i = 1; i <= MANY; i++) {
        fprintf(f, "%s{\"id\": %d, \"image_id\": 7, \"category_id\": 3, \"bbox\": [1, 1, 4, 4],",
                i > 1 ? "," : "", i);
        fprintf(f, "\"segmentation\": [[");
        for (int k = 0; k < POINTS; k++) {
            fprintf(f, "%s%d.25, %d.75", k > 0 ? ", " : "", i % 5 + k % 4, k % 7);
        }
        fprintf(f, "]]}");
    }
    fprintf(f, "]}");
    bytes = ftell(f);
    fclose(f);
    return (size_t)bytes;
}

/* What the process has grown by, at its peak, while it read the file. */
static size_t growth(const char *path, enum masks masks)
{
    const struct dataset_options opt = {.masks = masks};
    const size_t before = usage_peak_bytes();
    struct dataset d;
    struct err err = {0};

    ck_assert_msg(coco_read(path, &opt, &d, &err) == VOV_OK, "%s", err.msg);
    ck_assert_int_eq(d.n_truth, MANY);
    dataset_free(&d);
    return usage_peak_bytes() - before;
}

/* Memory goes with what is kept: under 320 bytes for an annotation, whatever its
 * polygons have. Each in a process of its own. */
START_TEST(memory_is_bounded)
{
    const enum masks masks = (enum masks)_i;
    char *path = path_join(dir, "many.json");
    const size_t bytes = put_many(path), grown = growth(path, masks);
    const size_t polygons = (size_t)MANY * POINTS * 2 * sizeof(double);

    unlink(path);
    mem_free(path);
    ck_assert_uint_gt(bytes, (size_t)MANY * 500);
    if (masks == MASKS_KEEP) {
        ck_assert_uint_gt(grown, polygons); /* the measurement sees them */
    } else {
        ck_assert_msg(grown < (size_t)MANY * 320, "%zu bytes for each annotation", grown / MANY);
    }
}
END_TEST

/* Sanitizers keep freed memory for themselves. */
static bool memory_is_measurable(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return false;
#else
    return true;
#endif
}

static int run_memory_test(void)
{
    Suite *suite = suite_create("memory");
    TCase *tc = tcase_create("memory");

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, memory_is_bounded, MASKS_DROP, MASKS_KEEP + 1);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}

int main(void)
{
    const TTest *const tests[] = {boxes_that_training_cannot_use_stay_for_evaluation,
                                  boxes_in_parts_of_the_picture_are_refused,
                                  masks_have_the_size_of_their_picture,
                                  says_what_is_wrong_with_a_mask,
                                  warnings_of_a_kind_are_few,
                                  each_picture_is_looked_for,
                                  what_is_no_file_is_said,
                                  NULL};

    snprintf(dir, sizeof dir, "/tmp/vov-dataset-XXXXXX");
    if (mkdtemp(dir) == NULL) {
        return 1;
    }
    const int failed =
        run_tests("dataset", tests) + (memory_is_measurable() ? run_memory_test() : 0);
    rmdir(dir);
    return failed > 0;
}
