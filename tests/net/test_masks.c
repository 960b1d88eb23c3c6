/*
 * test_masks.c - masks from annotations to results and back, as they would go through a perfect
 * network: grids of 28 x 28 over the boxes, pasted, written, read and measured. Of the drawn data
 * set, and of real photographs (../shared/data/coco_mini) with polygons and with run lengths.
 */
#include "data/drawn.h"
#include "data/mask_grid.h"
#include "eval/coco_eval.h"

#include "base/file.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIDE = 28, CELLS = SIDE * SIDE };

static char dir[64];

static void setup(void)
{
    snprintf(dir, sizeof dir, "/tmp/vov-masks-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
    char command[100];

    snprintf(command, sizeof command, "rm -r '%s'", dir);
    ck_assert_int_eq(system(command), 0);
}

/* All that there is to find in a picture, as a detector would say it. */
static void find_all(const struct item *it, struct det_list *dets)
{
    struct err err = {0};

    det_clear(dets);
    dets->mask_side = SIDE;
    mem_free(dets->mask);
    dets->mask = mem_alloc((size_t)it->n_truth * CELLS + 1, sizeof *dets->mask);
    for (int i = 0; i < it->n_truth; i++) {
        const struct truth *t = &it->truth[i];
        if (t->crowd || t->unfit) {
            continue;
        }
        real *mask = dets->mask + (ptrdiff_t)dets->n_masks++ * CELLS;
        ck_assert_int_eq(mask_grid(t->seg, &t->box, false, SIDE, mask, &err), VOV_OK);
        ck_assert(det_add(dets, (struct detection){.box = t->box,
                                                   .score = (real)0.9,
                                                   .class_id = t->class_id,
                                                   .mask = dets->n_masks}));
    }
}

static void add_all(const struct dataset *d, struct result_list *r)
{
    struct det_list dets = {0};
    struct err err = {0};

    for (int i = 0; i < d->n; i++) {
        const struct item *it = &d->item[i];
        struct result_of of = {.image_id = it->id, .width = it->width, .height = it->height};
        find_all(it, &dets);
        for (int k = 0; k < dets.n; k++) {
            of.category_id = d->class_key[dets.v[k].class_id];
            ck_assert_int_eq(results_add(r, &of, &dets, k, &err), VOV_OK);
        }
    }
    det_free(&dets);
}

/* The results again, from a file: the same masks and the same numbers. */
static void there_and_back(const struct dataset *d, const struct result_list *r,
                           const struct coco_report *want)
{
    struct result_list in;
    struct coco_report report;
    struct err err = {0};
    char path[100];

    snprintf(path, sizeof path, "%s/results.json", dir);
    ck_assert_int_eq(results_write(path, r, &err), VOV_OK);
    ck_assert_int_eq(results_read(path, &in, &err), VOV_OK);
    ck_assert_int_eq(in.n, r->n);
    for (int i = 0; i < in.n; i++) {
        ck_assert_int_eq(in.v[i].mask.n, r->v[i].mask.n);
        ck_assert_mem_eq(in.v[i].mask.run, r->v[i].mask.run,
                         (size_t)in.v[i].mask.n * sizeof *in.v[i].mask.run);
    }
    ck_assert_int_eq(coco_eval(d, &in, true, &report, &err), VOV_OK);
    ck_assert_mem_eq(report.number, want->number, sizeof report.number);
    coco_report_free(&report);
    results_free(&in);
}

/* Boxes are perfect; masks lose what a grid of 28 x 28 cannot hold. */
static void measure(const char *data, double min_ap, double min_ap50)
{
    const struct dataset_options opt = {.masks = MASKS_KEEP};
    struct dataset d;
    struct result_list r = {0};
    struct coco_report boxes, masks;
    struct err err = {0};

    ck_assert_msg(dataset_open(data, true, &opt, &d, &err) == VOV_OK, "%s", err.msg);
    ck_assert_int_eq(dataset_count_masks(&d, false), 0);
    ck_assert_int_gt(dataset_count_masks(&d, true), 100);
    add_all(&d, &r);
    ck_assert_int_eq(coco_eval(&d, &r, false, &boxes, &err), VOV_OK);
    ck_assert_int_eq(coco_eval(&d, &r, true, &masks, &err), VOV_OK);
    ck_assert_double_ge(boxes.number[COCO_AP], 0.99);
    ck_assert_msg(masks.number[COCO_AP] >= min_ap && masks.number[COCO_AP50] >= min_ap50,
                  "%s: AP %.3f, AP50 %.3f of masks", data, masks.number[COCO_AP],
                  masks.number[COCO_AP50]);
    there_and_back(&d, &r, &masks);
    coco_report_free(&boxes);
    coco_report_free(&masks);
    results_free(&r);
    dataset_free(&d);
}

START_TEST(drawn)
{
    struct drawn_options opt = {.images = 150, .scene = {.size = 96}, .seed = 3, .threads = 2};
    struct drawn_counts counts;
    struct err err = {0};
    char path[100];

    ck_assert_int_eq(drawn_classes("9", &opt.scene, &err), VOV_OK);
    snprintf(path, sizeof path, "%s/set", dir);
    ck_assert_msg(drawn_write(path, &opt, &counts, &err) == VOV_OK, "%s", err.msg);
    snprintf(path, sizeof path, "%s/set/drawn.data", dir);
    measure(path, 0.8, 0.99);
}
END_TEST

START_TEST(photographs)
{
    static const char *const sets[] = {"../shared/data/coco_mini/val.json",
                                       "../shared/data/coco_mini/val_rle.json"};

    for (int i = 0; i < 2; i++) {
        if (!file_exists(sets[i])) {
            printf("skip: %s is not there\n", sets[i]);
            continue;
        }
        measure(sets[i], 0.8, 0.98);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("masks");
    TCase *tc = tcase_create("masks");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, drawn);
    tcase_add_test(tc, photographs);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
