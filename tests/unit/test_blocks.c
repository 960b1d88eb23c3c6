/*
 * test_blocks.c - sections: what they expand to, how their outputs are called and found, and what
 * they say about what cannot be. Texts are built without taking memory for numbers.
 */
#include "blocks/section.h"
#include "cfg/keys.h"
#include "model/model.h"
#include "ops/ops.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#define NET "[net]\nwidth=32\nheight=32\n"
#define NET_WIDE(size) "[net]\nwidth=" #size "\nheight=" #size "\n"

struct built {
    enum vov_status status;
    struct model m;
    struct err_list errs;
};

static void build_with(struct built *b, const char *text, bool training)
{
    const struct model_options opt = {.training = training, .keep_norms = true};

    memset(b, 0, sizeof *b);
    b->status = model_build_text("t.cfg", text, strlen(text), &opt, &b->m, &b->errs);
}

static void expect_output(const char *text, int c, int h, int w)
{
    struct built b;
    struct shape s;

    build_with(&b, text, false);
    ck_assert_msg(b.status == VOV_OK, "%s", b.errs.item[0].msg);
    s = b.m.head.out[0]->shape;
    ck_assert_msg(s.n == 1 && s.c == c && s.h == h && s.w == w, "%dx%dx%dx%d, not 1x%dx%dx%d", s.n,
                  s.c, s.h, s.w, c, h, w);
    model_close(&b.m);
}

/* The one error that the text gives: a part of its message, and its line. */
static void expect_error(const char *text, const char *part, int line)
{
    struct built b;

    build_with(&b, text, false);
    ck_assert_msg(b.status == VOV_ECFG || b.status == VOV_ESHAPE, "status %d, wanted '%s'",
                  b.status, part);
    ck_assert_int_eq(b.errs.n, 1);
    ck_assert_msg(strstr(b.errs.item[0].msg, part) != NULL, "'%s' has no '%s'", b.errs.item[0].msg,
                  part);
    ck_assert_int_eq(b.errs.item[0].at.line, line);
    model_close(&b.m);
    model_close(&b.m); /* twice is fine */
}

START_TEST(darknet_pools)
{
    /* out = (h + padding - size) / stride + 1, padding size - 1 where it is not given. */
    expect_output(NET "[maxpool]\nsize=2\nstride=2\n", 3, 16, 16);
    expect_output(NET "[maxpool]\nsize=2\nstride=1\n", 3, 32, 32);
    expect_output(NET "[maxpool]\nsize=5\nstride=1\n", 3, 32, 32);
    expect_output(NET "[maxpool]\nsize=3\nstride=2\npadding=0\n", 3, 15, 15);
    expect_output(NET "[maxpool]\nstride=2\n", 3, 16, 16);
    expect_output(NET "[avgpool]\n", 3, 1, 1);
    expect_output(NET "[avgpool]\nsize=2\n", 3, 16, 16);
    expect_output(NET "[global_avgpool]\n", 3, 1, 1);
}
END_TEST

/* The paper's pools, 3x3 by 2 without padding, rounded up: input sizes and what four leave. */
START_TEST(ceil_pools)
{
#define POOL "[maxpool]\nsize=3\nstride=2\npadding=0\nceil=1\n"
#define HALF "[stem]\nchannels=8\nstrides=2\n"
    expect_output(NET_WIDE(224) HALF POOL POOL POOL POOL, 8, 7, 7);
    expect_output(NET_WIDE(320) HALF POOL POOL POOL POOL, 8, 10, 10);
    expect_output(NET_WIDE(512) HALF POOL POOL POOL POOL, 8, 16, 16);
    expect_output(NET_WIDE(300) HALF POOL, 8, 75, 75);
    expect_output(NET_WIDE(300) HALF POOL POOL, 8, 37, 37);
    expect_output(NET_WIDE(300) HALF POOL POOL POOL, 8, 18, 18);
    expect_output(NET_WIDE(300) HALF POOL POOL POOL POOL, 8, 9, 9);
}
END_TEST

START_TEST(convolutions)
{
    const char *const head = NET "[convolutional]\nactivation=linear\nfilters=8\n";
    static const struct {
        const char *keys;
        int c, h;
    } want[] = {
        {"size=3\npad=1\n", 8, 32},
        {"size=3\n", 8, 30},
        {"size=3\npadding=2\n", 8, 34},
        {"size=3\npad=1\nstride=2\n", 8, 16},
        {"size=2\npad=1\n", 8, 33}, /* size / 2 on each side */
        {"size=3\npad=1\ndilation=2\n", 8, 32},
        {"size=3\ndilation=2\n", 8, 28},
        {"size=1\nstride=2\n", 8, 16},
    };
    char text[256];

    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        snprintf(text, sizeof text, "%s%s", head, want[i].keys);
        expect_output(text, want[i].c, want[i].h, want[i].h);
    }
    expect_output(NET "[deconvolutional]\nfilters=4\nsize=4\nstride=2\npadding=1\n", 4, 64, 64);
    expect_output(NET "[upsample]\nstride=4\n", 3, 128, 128);
    expect_output(NET "[bilinear]\nwidth=40\nheight=20\n", 3, 20, 40);
    expect_output(NET "[bilinear]\nscale=0.5\n", 3, 16, 16);
    expect_output(NET "[connected]\noutput=7\n", 7, 1, 1);
    expect_output(NET "[dropout]\n[batchnorm]\n[l2norm]\n[ese]\n[activation]\nactivation=mish\n", 3,
                  32, 32);
}
END_TEST

START_TEST(routes)
{
#define TWO NET "[conv]\nfilters=8\nname=a\n[conv]\nfilters=6\nname=b\n"
    expect_output(TWO "[route]\nlayers=-1,-2\n", 14, 32, 32);
    expect_output(TWO "[route]\nlayers=0\n", 8, 32, 32);
    expect_output(TWO "[route]\nfrom=a,b,a\n", 22, 32, 32);
    expect_output(TWO "[route]\nlayers=-2\ngroups=4\ngroup_id=3\n", 2, 32, 32);
    expect_output(TWO "[route]\nlayers=0,1\ngroups=2\ngroup_id=1\n", 7, 32, 32);
    expect_output(TWO "[conv]\nfilters=8\n[shortcut]\nfrom=-3\nactivation=leaky\n", 8, 32, 32);
    expect_output(TWO "[conv]\nfilters=8\n[shortcut]\nfrom=a\n", 8, 32, 32);
    expect_output(TWO "[conv]\nfilters=5\nfrom=a\n", 5, 32, 32);

    expect_error(TWO "[route]\nlayers=2\n", "is this section itself", 11);
    expect_error(TWO "[route]\nlayers=7\n", "no layer 7 before this one", 11);
    expect_error(TWO "[route]\nlayers=-3\n", "no layer -3 before this one", 11);
    expect_error(TWO "[route]\nfrom=c\n", "no section before has name=c", 11);
    expect_error(TWO "[route]\n", "needs either layers= or from=", 10);
    expect_error(TWO "[route]\nlayers=0\nfrom=a\n", "needs either layers= or from=", 11);
    expect_error(TWO "[route]\nlayers=0\ngroups=3\n", "8 channels do not divide", 12);
    expect_error(TWO "[route]\nlayers=0\ngroups=2\ngroup_id=2\n", "group_id=2 is out of range", 13);
    expect_error(TWO "[shortcut]\nfrom=a\n", "8", 10);
    expect_error(NET "[conv]\nname=x\n[conv]\nname=x\n", "name=x is taken", 7);
    expect_error(NET "[route]\nlayers=-1\n", "this is the first section", 5);
}
END_TEST

START_TEST(near_names)
{
    expect_error(NET "[conv]\nname=stage3\n[route]\nfrom=stgae3\n", "did you mean 'stage3'?", 7);
    expect_error(NET "[convolutonal]\n", "did you mean [convolutional]?", 4);
    expect_error(NET "[quantum]\n", "unknown section [quantum]", 4);
    expect_error(NET "[Osa]\n", "did you mean [osa]?", 4);
    expect_error(NET "[region]\n", "[region] is not built in this version", 4);
    expect_error(NET "[Gaussian_yolo]\n", "is not built in this version", 4);
    expect_error(NET "[osa]\nwidht=8\nwidth=8\nout=8\n", "did you mean \"width\"?", 5);
}
END_TEST

START_TEST(net_values)
{
#define LAYER "[conv]\n"
    expect_error("[conv]\n", "the first section must be [net]", 1);
    expect_error(NET, "at least one layer", 1);
    expect_error(NET LAYER "[net]\nwidth=3\nheight=3\n", "may stand only once", 5);
    expect_error(NET "batch=4\nsubdivisions=8\n" LAYER, "subdivisions=8 parts", 5);
    expect_error(NET "batch=4\nsubdivisions=3\n" LAYER, "does not divide batch=4", 5);
    expect_error(NET "batch=0\n" LAYER, "batch must be between 1", 4);
    expect_error(NET "learning_rate=nan\n" LAYER, "learning_rate must be a number", 4);
    expect_error(NET "policy=sometimes\n" LAYER, "unknown policy", 4);
    expect_error(NET "policy=random\n" LAYER, "not built in", 4);
    expect_error(NET "policy=sgdr\n" LAYER, "not built in", 4);
    expect_error(NET "policy=steps\n" LAYER, "needs steps=", 4);
    expect_error(NET "policy=steps\nsteps=5,5\n" LAYER, "steps must rise", 5);
    expect_error(NET "policy=steps\nsteps=5,6\nscales=.1\n" LAYER, "scales has 1 numbers", 6);
    expect_error(NET "mean=1,2\n" LAYER, "mean must have one number, or 3", 4);
    expect_error(NET "std=0\n" LAYER, "std must be", 4);
    expect_error("[net]\nwidth=65536\nheight=4\n" LAYER, "width must be between 1 and 16384", 2);
}
END_TEST

START_TEST(impossible_shapes)
{
    expect_error(NET "[maxpool]\nsize=64\nstride=64\npadding=0\n", "leaves nothing", 4);
    expect_error(NET "[conv]\nsize=33\n", "leaves nothing of a 33x33 kernel", 4);
    expect_error(NET "[conv]\nfilters=8\ngroups=3\n", "do not divide into 3 groups", 4);
    expect_error(NET "[conv]\nfilters=2000000000\n", "between 1 and 65536", 5);
    expect_error(NET "[upsample]\nstride=100000\n", "between 1 and 64", 5);
    expect_error("[net]\nwidth=16384\nheight=16384\n[conv]\nfilters=9\n", "cannot be", 4);
    expect_error(NET_WIDE(4096) "[upsample]\nstride=64\n", "cannot be", 4);
    expect_error("[net]\nwidth=16384\nheight=16384\nchannels=99\n[avgpool]\n", "too large", 1);
    expect_error(NET "[osa]\nwidth=4\nout=8\nidentity=all\n", "osa1/add", 4);
    expect_error(NET "[stem]\nchannels=4,4\nstrides=2\n", "channels has 2 numbers, strides", 6);
    expect_error(NET "[groupnorm]\ngroups=2\n", "groups", 4);
    expect_error(NET "[connected]\n", "needs output=, or classes=", 4);
    expect_error(NET "[softmax]\n", "wants one pixel, not 32x32", 4);
    expect_error(NET "classes=5\n[connected]\noutput=4\n[softmax]\n", "4 numbers for the 5 classes",
                 7);
    expect_error(NET "[avgpool]\n[softmax]\ngroups=2\n", "groups=2 is not built", 6);
    expect_error(NET "[avgpool]\n[softmax]\ntemperature=3\n", "temperature=3 is not built", 6);
    expect_error(NET "[transition]\nreduction=0.1\n", "leaves none of 3 channels", 4);
}
END_TEST

START_TEST(ten_errors)
{
    struct built b;
    char text[2048];
    size_t n = (size_t)snprintf(text, sizeof text, "%s", NET "baach=1\n");

    for (int i = 0; i < 13; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n, "[conv]\nfilters=-%d\n", i + 1);
    }
    build_with(&b, text, false);
    ck_assert_int_eq(b.status, VOV_ECFG);
    ck_assert_int_eq(b.errs.n, 10);
    ck_assert_int_eq(b.errs.total, 14);
    ck_assert_int_eq(b.errs.item[0].at.line, 4);
    ck_assert_int_eq(b.errs.item[9].at.line, 22);
    model_close(&b.m);
}
END_TEST

static const struct node *node_named(const struct graph *g, const char *name)
{
    const struct node *n = graph_find(g, name);

    ck_assert_msg(n != NULL, "no node %s", name);
    return n;
}

START_TEST(osa_nodes)
{
    struct built b;
    const struct node *concat, *add;

    build_with(&b,
               NET "[osa]\nname=stage4\nlayers=2\nwidth=4\nout=8\nrepeat=3\nidentity=rest\n"
                   "ese=last\n",
               false);
    ck_assert_int_eq(b.status, VOV_OK);
    concat = node_named(&b.m.graph, "stage4/osa1/concat");
    ck_assert_int_eq(concat->n_in, 3);
    ck_assert_ptr_eq(concat->in[0], b.m.input);
    ck_assert_str_eq(concat->in[1]->producer->name, "stage4/osa1/conv1/norm");
    ck_assert_str_eq(concat->in[2]->producer->name, "stage4/osa1/conv2/norm");
    ck_assert_ptr_null(graph_find(&b.m.graph, "stage4/osa1/add"));
    ck_assert_ptr_null(graph_find(&b.m.graph, "stage4/osa2/ese/scale"));
    add = node_named(&b.m.graph, "stage4/osa3/add");
    ck_assert_str_eq(add->in[0]->producer->name, "stage4/osa3/ese/scale");
    ck_assert_str_eq(add->in[1]->producer->name, "stage4/osa2/add");
    ck_assert_ptr_eq(b.m.head.out[0], add->out[0]);
    ck_assert(add->out[0]->flags & T_KEEP);
    ck_assert_str_eq(node_named(&b.m.graph, "stage4/osa1/conv1")->param[0]->name,
                     "stage4/osa1/conv1/weight");
    model_close(&b.m);
}
END_TEST

/* Section prefixes count by type and names replace them. */
START_TEST(node_names)
{
    struct built b;

    build_with(&b,
               NET "[conv]\n[maxpool]\n[conv]\nbatch_normalize=1\n[stem]\nname=begin\n"
                   "channels=4\nstrides=1\n",
               false);
    ck_assert_int_eq(b.status, VOV_OK);
    node_named(&b.m.graph, "convolutional1");
    node_named(&b.m.graph, "maxpool1");
    node_named(&b.m.graph, "convolutional2");
    node_named(&b.m.graph, "convolutional2/norm");
    node_named(&b.m.graph, "begin/conv1/norm");
    model_close(&b.m);
}
END_TEST

START_TEST(dense_and_transition)
{
    struct built b;
    const struct node *last;

    build_with(&b,
               NET "[conv]\nfilters=16\n[dense]\nlayers=3\ngrowth=4\n[transition]\npool=0\n"
                   "name=tap\n[avgpool]\nsize=2\n",
               false);
    ck_assert_int_eq(b.status, VOV_OK);
    last = node_named(&b.m.graph, "dense1/layer3/concat");
    ck_assert_int_eq(last->out[0]->shape.c, 28);
    ck_assert_str_eq(last->in[0]->producer->name, "dense1/layer2/concat");
    ck_assert_int_eq(node_named(&b.m.graph, "dense1/layer3/squeeze")->out[0]->shape.c, 16);
    ck_assert_int_eq(node_named(&b.m.graph, "tap/conv")->out[0]->shape.h, 32);
    ck_assert_int_eq(node_named(&b.m.graph, "tap/conv")->out[0]->shape.c, 14);
    ck_assert_int_eq(b.m.head.out[0]->shape.h, 16);
    model_close(&b.m);
}
END_TEST

/* The coarsest block has no sum; the others add the coarser one, doubled. */
START_TEST(transfer_blocks)
{
    struct built b;
    const struct node *add;

    build_with(&b,
               NET "[conv]\nfilters=8\nname=fine\n[maxpool]\nsize=2\nstride=2\n"
                   "[tcb]\nname=top\nchannels=16\n[tcb]\nfrom=fine\ntop=top\nchannels=16\n",
               false);
    ck_assert_int_eq(b.status, VOV_OK);
    ck_assert_ptr_null(graph_find(&b.m.graph, "top/add"));
    add = node_named(&b.m.graph, "tcb2/add");
    ck_assert_str_eq(add->in[1]->producer->name, "tcb2/up/norm");
    ck_assert_int_eq(((const struct act_attr *)add->attr)->act, ACT_RELU);
    ck_assert_int_eq(b.m.head.out[0]->shape.h, 32);
    ck_assert_int_eq(b.m.head.out[0]->shape.c, 16);
    model_close(&b.m);
}
END_TEST

START_TEST(classifier_heads)
{
    struct built b;
    const char *const text = NET "classes=5\nbatch=6\nsubdivisions=2\n[avgpool]\n[connected]\n"
                                 "activation=linear\n[softmax]\n";

    build_with(&b, text, true);
    ck_assert_int_eq(b.status, VOV_OK);
    ck_assert_int_eq(b.m.input->shape.n, 3);
    ck_assert_int_eq(b.m.head.classes, 5);
    ck_assert_int_eq(b.m.head.n_loss, 1);
    ck_assert_int_eq((int)shape_count(b.m.head.truth->shape), 3);
    ck_assert(b.m.head.loss[0]->flags & T_LOSS);
    model_close(&b.m);
    build_with(&b, text, false);
    ck_assert_int_eq(b.m.head.n_out, 1);
    ck_assert_int_eq(b.m.head.out[0]->shape.c, 5);
    model_close(&b.m);
    build_with(&b, NET "[conv]\n", true);
    ck_assert_int_eq(b.status, VOV_ECFG);
    ck_assert_ptr_nonnull(strstr(b.errs.item[0].msg, "nothing to train"));
    model_close(&b.m);
}
END_TEST

/* Bounds that hold for a whole table are written once; a table without them would let all in. */
START_TEST(tables)
{
    for (int i = 0; section_types[i] != NULL; i++) {
        const struct section_type *t = section_types[i];

        ck_assert(t->doc != NULL && strlen(t->doc) > 20);
        ck_assert_ptr_eq(section_find(t->name), t);
        for (const struct key_spec *k = t->keys; k->name != NULL; k++) {
            ck_assert_msg(k->doc != NULL && strlen(k->doc) > 3, "[%s] %s has no doc", t->name,
                          k->name);
            ck_assert_msg(k->at < t->keys_size, "[%s] %s lies outside", t->name, k->name);
        }
    }
    for (const struct key_spec *k = net_keys; k->name != NULL; k++) {
        ck_assert_msg(k->doc != NULL && k->at < sizeof(struct net_config), "[net] %s", k->name);
    }
    ck_assert_ptr_eq(section_find("conv"), section_find("convolutional"));
    ck_assert_ptr_null(section_find("net"));
}
END_TEST

START_TEST(activation_words)
{
    const char *rest = ACT_WORDS;

    for (int a = 0; a < ACT_COUNT; a++) {
        const size_t n = strcspn(rest, " ");

        ck_assert_msg(strlen(act_name((enum act)a)) == n &&
                          strncmp(act_name((enum act)a), rest, n) == 0,
                      "activation %d is %s in tables, and '%s'", a, act_name((enum act)a), rest);
        rest += n + (rest[n] == ' ');
    }
    ck_assert_str_eq(rest, "");
}
END_TEST

START_TEST(pixels)
{
    struct built b;
    struct pixels px;

    build_with(&b, NET "mean=1,2,3\nbgr=1\nfit=letterbox\n[conv]\n", false);
    px = model_pixels(&b.m);
    ck_assert_double_eq(px.mean[2], 3);
    ck_assert_double_eq(px.std[0], 255);
    ck_assert_double_eq(px.std[2], 255);
    ck_assert(px.bgr && px.letterbox && px.width == 32);
    model_close(&b.m);
}
END_TEST

START_TEST(overrides)
{
    static const char *const set[] = {"osa.layers=3", "stage.width=6"};
    static const char *const bad[] = {"osa.widht=6"};
    struct model_options opt = {.set = set, .n_set = 2, .width = 64, .height = 48, .batch = 2};
    const char *const text = NET "[osa]\nname=stage\nwidth=4\nout=8\n";
    struct err_list errs = {0};
    struct model m;

    ck_assert_int_eq(model_build_text("t", text, strlen(text), &opt, &m, &errs), VOV_OK);
    ck_assert_int_eq(m.head.out[0]->shape.n, 2);
    ck_assert_int_eq(m.head.out[0]->shape.h, 48);
    ck_assert_int_eq(m.head.out[0]->shape.w, 64);
    ck_assert_int_eq(graph_find(&m.graph, "stage/conv3")->out[0]->shape.c, 6);
    model_close(&m);
    opt.set = bad;
    opt.n_set = 1;
    ck_assert_int_eq(model_build_text("t", text, strlen(text), &opt, &m, &errs), VOV_ECFG);
    ck_assert_ptr_nonnull(strstr(errs.item[0].msg, "did you mean \"width\"?"));
    model_close(&m);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("blocks");
    TCase *t = tcase_create("blocks");
    SRunner *r;
    int failed;

    tcase_add_test(t, darknet_pools);
    tcase_add_test(t, ceil_pools);
    tcase_add_test(t, convolutions);
    tcase_add_test(t, routes);
    tcase_add_test(t, near_names);
    tcase_add_test(t, net_values);
    tcase_add_test(t, impossible_shapes);
    tcase_add_test(t, ten_errors);
    tcase_add_test(t, osa_nodes);
    tcase_add_test(t, node_names);
    tcase_add_test(t, dense_and_transition);
    tcase_add_test(t, transfer_blocks);
    tcase_add_test(t, classifier_heads);
    tcase_add_test(t, tables);
    tcase_add_test(t, activation_words);
    tcase_add_test(t, pixels);
    tcase_add_test(t, overrides);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? 0 : 1;
}
