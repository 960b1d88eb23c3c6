/*
 * test_maskrcnn.c - Mask R-CNN: the sizes of the paper's nets and their plain forms; a small one
 * learns two pictures, and finds their boxes and masks again, with masks and without; and what its
 * sections refuse.
 */
#include "net/tiny_rcnn.h"

#include "base/file.h"
#include "heads/rcnn.h"
#include "ops/ops.h"

#include <math.h>
#include <stdlib.h>

/* Parameters, and what the backbone multiplies at 800x1344. plain: with frozen norms, none in
 * pyramid and heads, a box head of two connected layers; faster: that without masks. */
static const struct {
    const char *cfg;
    int params, plain, faster;
    long long backbone;
} nets[] = {
    {"cfg/detect/maskrcnn-vovnet39-gn.cfg", 43455093, 42140277, 39496740, 151525785600},
    {"cfg/detect/maskrcnn-vovnet57-gn.cfg", 57495093, 56180277, 53536740, 191338291200},
    {"cfg/detect/maskrcnn-resnet50-gn.cfg", 45715509, 44400693, 41757156, 87581491200},
    {"cfg/detect/maskrcnn-resnet101-gn.cfg", 64707637, 63392821, 60749284, 167129088000},
};

/* 43.46, 57.50, 45.72, 64.71 M, in training and afterwards. */
START_TEST(sizes_of_the_paper)
{
    for (int training = 0; training < 2; training++) {
        const struct model_options opt = {
            .training = training == 1, .keep_norms = true, .batch = 1};
        struct err_list errs = {0};
        struct model m;

        ck_assert_msg(model_build(nets[_i].cfg, &opt, &m, &errs) == VOV_OK, "%s", errs.item[0].msg);
        ck_assert_uint_eq(params_learnable(&m.graph), nets[_i].params);
        ck_assert_int_eq(graph_cost(&m.graph).params, nets[_i].params);
        model_close(&m);
    }
}
END_TEST

/* Multiply-adds of the nodes before the pyramid. */
static long long backbone_cost(const struct graph *g)
{
    long long sum = 0;

    for (int i = 0; i < g->n_nodes && strncmp(g->nodes[i]->name, "fpn", 3) != 0; i++) {
        sum += node_cost(g->nodes[i]).madds;
    }
    return sum;
}

/* 42.14, 56.18, 44.40, 63.39 M; Faster R-CNN: 39.50, 53.54, 41.76, 60.75 M. */
START_TEST(plain_nets_of_the_paper)
{
    static const char *const set[] = {"net.norm=frozen", "fpn.norm=none", "roi_box.convs=0",
                                      "roi_box.layers=2", "roi_mask.norm=none"};
    const int n = sizeof set / sizeof set[0];
    struct model_options opt = {.keep_norms = true, .set = set, .n_set = n};
    struct err_list errs = {0};
    struct err err = {0};
    struct buf text = {0};
    struct model m;

    ck_assert_msg(model_build(nets[_i].cfg, &opt, &m, &errs) == VOV_OK, "%s", errs.item[0].msg);
    ck_assert_int_eq(graph_cost(&m.graph).params, nets[_i].plain);
    ck_assert_int_eq(backbone_cost(&m.graph), nets[_i].backbone);
    model_close(&m);

    ck_assert(file_read(nets[_i].cfg, 1 << 20, &text, &err) == VOV_OK);
    const char *before = text.p;
    for (const char *p = text.p; (p = strstr(p, "[roi_align]")) != NULL; p++) {
        before = p;
    }
    ck_assert(before > text.p);
    opt.n_set = n - 1;
    ck_assert_msg(model_build_text("t.cfg", text.p, (size_t)(before - text.p), &opt, &m, &errs) ==
                      VOV_OK,
                  "%s", errs.item[0].msg);
    ck_assert_int_eq(graph_cost(&m.graph).params, nets[_i].faster);
    model_close(&m);
    buf_free(&text);
}
END_TEST

/* The largest anchor of a cell in the middle, by hand: docs/mask-rcnn.md. */
START_TEST(anchors_of_the_paper)
{
    const struct model_options opt = {.keep_norms = true};
    struct err_list errs = {0};
    struct model m;

    ck_assert(model_build(nets[0].cfg, &opt, &m, &errs) == VOV_OK);
    const struct node *n = graph_find(&m.graph, "rpn1/proposals");
    ck_assert_ptr_nonnull(n);
    const struct anchors *a = &((const struct proposals_attr *)n->attr)->d.anchors;
    ck_assert_int_eq(a->n_levels, 5);
    ck_assert_int_eq(a->end[0], 3 * 200 * 336);
    ck_assert_int_eq(anchors_count(a), 3 * (200 * 336 + 100 * 168 + 50 * 84 + 25 * 42 + 13 * 21));
    static const real sides[3][2] = {{48, 24}, {32, 32}, {24, 48}};
    for (int i = 0; i < 3; i++) {
        const struct box b = a->box[(3 * 336 + 5) * 3 + i];
        ck_assert(b.x1 - b.x0 == sides[i][0] && b.y1 - b.y0 == sides[i][1]);
        ck_assert((b.x0 + b.x1) / 2 == 22 && (b.y0 + b.y1) / 2 == 14);
    }
    model_close(&m);
}
END_TEST

START_TEST(learns_and_finds)
{
    expect_learns(_i == 0 ? MASK_RCNN : NET(ALIGN("7") BOX), 300);
}
END_TEST

static const struct {
    const char *cfg, *text;
} refused[] = {
    {TINY_BODY("", ALIGN("7")), "[roi_align] wants [rpn] before it"},
    {NET(BOX), "[roi_box] wants [roi_align] right before it"},
    {NET(ALIGN("7") MASK), "[roi_mask] wants one [roi_box] before it"},
    {NET(ALIGN("7") BOX MASK), "[roi_mask] wants [roi_align] right before it"},
    {NET(ALIGN("7") BOX ALIGN("7") BOX), "[roi_box] may stand only once"},
    {NET(RPN), "follows another head"},
    {TINY_BODY("", FPN FPN), "there is a p5 already"},
    {TINY_BODY("", FPN "[rpn]\nlevels=p3,p5\n"), "p5 is 16x2x2, which does not halve 16x8x8"},
    {TINY_BODY("", FPN "[rpn]\nlevels=p3\nsizes=1,2\n"), "2 sizes for 1 levels"},
    {TINY_BODY("", "[fpn]\nlevels=s3,s7\n"), "no section before has name=s7"},
};

START_TEST(refuses)
{
    const struct model_options opt = {.training = _i % 2 == 1};
    struct err_list errs = {0};
    struct model m;

    ck_assert(model_build_text("t.cfg", refused[_i].cfg, strlen(refused[_i].cfg), &opt, &m,
                               &errs) != VOV_OK);
    ck_assert_msg(strstr(errs.item[0].msg, refused[_i].text) != NULL, "\"%s\" instead of \"%s\"",
                  errs.item[0].msg, refused[_i].text);
    model_close(&m);
}
END_TEST

/* Proposals alone are nothing to train a detector on. */
START_TEST(wants_a_box_head)
{
    const struct model_options opt = {.training = true};
    const char *cfg = NET("");
    struct err_list errs = {0};
    struct model m;

    ck_assert(model_build_text("t.cfg", cfg, strlen(cfg), &opt, &m, &errs) == VOV_ECFG);
    ck_assert_ptr_nonnull(strstr(errs.item[0].msg, "nothing to train"));
    model_close(&m);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("maskrcnn");
    TCase *t = tcase_create("maskrcnn");

    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, sizes_of_the_paper, 0, 4);
    tcase_add_loop_test(t, plain_nets_of_the_paper, 0, 4);
    tcase_add_test(t, anchors_of_the_paper);
    tcase_add_loop_test(t, learns_and_finds, 0, 2);
    tcase_add_loop_test(t, refuses, 0, sizeof refused / sizeof refused[0]);
    tcase_add_test(t, wants_a_box_head);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
