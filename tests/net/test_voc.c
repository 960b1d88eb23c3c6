/*
 * test_voc.c - Pascal VOC's average precision: the numbers of another program on its own example
 * (where they lie beside the project), and the rules one by one on cases worked out by hand.
 */
#include "base/file.h"
#include "base/json.h"
#include "eval/voc_eval.h"
#include "unit/run.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 64 };

/* A data set of one or two classes, built by hand. */
struct scene {
    struct dataset d;
    struct item item[MOST];
    struct truth truth[MOST][MOST];
    const char *name[2];
    long long key[2];
    struct result result[MOST];
    struct result_list results;
};

static struct scene *scene_open(int images)
{
    struct scene *s = calloc(1, sizeof *s);

    s->name[0] = "a";
    s->name[1] = "b";
    s->key[0] = 10;
    s->key[1] = 20;
    s->d = (struct dataset){
        .item = s->item, .n = images, .class_name = s->name, .class_key = s->key, .n_classes = 2};
    for (int i = 0; i < images; i++) {
        s->item[i].id = 100 + i;
        s->item[i].truth = s->truth[i];
    }
    s->results.v = s->result;
    return s;
}

#define BOX(...) ((const double[4]){__VA_ARGS__})

static struct truth *object(struct scene *s, int image, int class_id, const double b[4])
{
    struct truth *t = &s->truth[image][s->item[image].n_truth++];

    *t = (struct truth){.class_id = class_id, .bbox = {b[0], b[1], b[2], b[3]}};
    return t;
}

static void found(struct scene *s, int image, int class_id, double score, const double box[4])
{
    s->result[s->results.n++] = (struct result){.image_id = 100 + image,
                                                .category_id = s->key[class_id],
                                                .x = box[0],
                                                .y = box[1],
                                                .w = box[2],
                                                .h = box[3],
                                                .score = score};
}

static struct voc_class score(struct scene *s, double iou)
{
    struct voc_report r;
    struct err err = {0};

    ck_assert(voc_eval(&s->d, &s->results, iou, &r, &err) == VOV_OK);
    const struct voc_class c = r.classes[0];
    voc_report_free(&r);
    return c;
}

/* Right, wrong, right of two objects: precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1. */
START_TEST(curve)
{
    struct scene *s = scene_open(2);
    object(s, 0, 0, BOX(0, 0, 10, 10));
    object(s, 1, 0, BOX(20, 20, 10, 10));
    found(s, 1, 0, 0.7, BOX(20, 20, 10, 10));
    found(s, 0, 0, 0.9, BOX(0, 0, 10, 10));
    found(s, 0, 0, 0.8, BOX(50, 50, 10, 10));
    const struct voc_class c = score(s, 0.5);
    ck_assert_int_eq(c.right, 2);
    ck_assert_int_eq(c.wrong, 1);
    ck_assert_double_eq_tol(c.ap, 0.5 * 1 + 0.5 * 2 / 3, 1e-12);
    ck_assert_double_eq_tol(c.ap11, (6 * 1 + 5 * 2.0 / 3) / 11, 1e-12);
    free(s);
}
END_TEST

/* The second detection of an object is wrong, even where it fits better. */
START_TEST(twice)
{
    struct scene *s = scene_open(1);
    object(s, 0, 0, BOX(0, 0, 10, 10));
    found(s, 0, 0, 0.9, BOX(0, 0, 10, 8));
    found(s, 0, 0, 0.8, BOX(0, 0, 10, 10));
    const struct voc_class c = score(s, 0.5);
    ck_assert(c.right == 1 && c.wrong == 1);
    ck_assert_double_eq_tol(c.ap, 1, 1e-12);
    free(s);
}
END_TEST

/* A difficult object is not to be found, and finding it, any number of times, is no mistake. */
START_TEST(difficult)
{
    struct scene *s = scene_open(1);
    object(s, 0, 0, BOX(0, 0, 10, 10))->difficult = true;
    object(s, 0, 0, BOX(50, 0, 10, 10));
    object(s, 0, 1, BOX(80, 0, 10, 10));
    found(s, 0, 0, 0.9, BOX(0, 0, 10, 10));
    found(s, 0, 0, 0.8, BOX(0, 0, 10, 9));
    found(s, 0, 0, 0.7, BOX(50, 0, 10, 10));
    found(s, 0, 0, 0.6, BOX(80, 0, 10, 10)); /* of the other class */
    const struct voc_class c = score(s, 0.5);
    ck_assert(c.n_truth == 1 && c.right == 1 && c.wrong == 1);
    ck_assert_double_eq_tol(c.ap, 1, 1e-12);
    free(s);
}
END_TEST

/* The object with the most overlap decides: found already, the detection is wrong although it
 * overlaps another one enough. */
START_TEST(most_overlap_decides)
{
    struct scene *s = scene_open(1);
    object(s, 0, 0, BOX(0, 0, 10, 10));
    object(s, 0, 0, BOX(2, 0, 10, 10));
    found(s, 0, 0, 0.9, BOX(0, 0, 10, 10));
    found(s, 0, 0, 0.8, BOX(0.5, 0, 10, 10));
    const struct voc_class c = score(s, 0.5);
    ck_assert(c.right == 1 && c.wrong == 1);
    free(s);
}
END_TEST

START_TEST(nothing)
{
    struct scene *s = scene_open(1);
    struct voc_report r;
    struct err err = {0};
    ck_assert_double_eq(score(s, 0.5).ap, -1);
    object(s, 0, 1, BOX(0, 0, 10, 10));
    found(s, 0, 0, 0.5, BOX(0, 0, 10, 10));
    ck_assert(voc_eval(&s->d, &s->results, 0.5, &r, &err) == VOV_OK);
    ck_assert(r.classes[0].ap == -1 && r.classes[1].ap == 0);
    ck_assert(r.ap == 0 && r.ap11 == 0);
    voc_report_free(&r);
    free(s);
}
END_TEST

static const char reference[] = "../shared/data/eval/voc_ap/expected.json";

static const double *box_of(const json *j, double out[4])
{
    const json *b = json_get(j, "box_xywh")->child;

    for (int i = 0; i < 4; i++, b = b->next) {
        out[i] = b->valuedouble + (i >= 2 ? 1 : 0); /* it counts pixels: one wider, one higher */
    }
    return out;
}

static int image_of(const json *j)
{
    return (int)strtol(json_get(j, "image")->valuestring, NULL, 10) - 1;
}

static void expect(struct scene *s, const json *computed, double iou, const char *every,
                   const char *eleven)
{
    const struct voc_class c = score(s, iou);
    const json *a = json_get(computed, every), *b = json_get(computed, eleven);

    ck_assert_double_eq_tol(c.ap, json_get(a, "ap")->valuedouble, 1e-12);
    ck_assert_double_eq_tol(c.ap11, json_get(b, "ap")->valuedouble, 1e-12);
    ck_assert_int_eq(c.right, json_get(a, "tp")->valueint);
    ck_assert_int_eq(c.wrong, json_get(a, "fp")->valueint);
    ck_assert_int_eq(c.n_truth, json_get(a, "positives")->valueint);
}

START_TEST(as_another_program)
{
    struct buf text = {0};
    struct err err = {0};
    struct scene *s = scene_open(10);
    double b[4];
    json *j;

    if (!file_exists(reference)) {
        printf("SKIP: %s is not there\n", reference);
        free(s);
        return;
    }
    ck_assert(file_read(reference, 1 << 20, &text, &err) == VOV_OK);
    ck_assert(json_parse(reference, text.p, text.n, &j, &err) == VOV_OK);
    for (const json *t = json_get(j, "ground_truth")->child; t != NULL; t = t->next) {
        box_of(t, b);
        object(s, image_of(t), 0, b);
    }
    for (const json *t = json_get(j, "detections")->child; t != NULL; t = t->next) {
        found(s, image_of(t), 0, json_get(t, "score")->valuedouble, box_of(t, b));
    }
    const json *computed = json_get(j, "computed");
    expect(s, computed, 0.3, "iou0.3_every_point", "iou0.3_11_point");
    expect(s, computed, 0.5, "iou0.5_every_point", "iou0.5_11_point");
    json_free(j);
    buf_free(&text);
    free(s);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        curve, twice, difficult, most_overlap_decides, nothing, as_another_program, NULL};

    return run_tests("voc", tests);
}
