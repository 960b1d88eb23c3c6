/*
 * plans.c - puts every convolution of cfg files, in inference and in training, to the real cuDNN
 * for GPUs that are not here:  plans [-g GPU]... [-n MOST] [-e EACH] [-s SECTION.KEY=VALUE]...
 * CFG...
 *
 * Prints three lines of a table for each GPU, and each convolution that cuDNN refuses. -e asks only
 * for each of so many different ones. Exit code 77 where cuDNN is not the version that the
 * descriptions of the GPUs were made for, 1 where one was not taken, a file was not, more
 * convolutions than MOST fell back to our own loops, or slices are copied that need not be.
 */
#include "backend/backend.h"
#include "base/mem.h"
#include "cuda/conv_recipe.h"
#include "gpus.h"
#include "model/model.h"

#include <dlfcn.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { CUDNN_KNOWN = 919 };
static const size_t workspace = (size_t)512 << 20;

/* What was asked for, each once. A net asks while it is planned. */
static struct {
    struct conv_spec *spec;
    int n, cap, all;
} asked;

static void ask(const struct conv_spec *s)
{
    asked.all++;
    for (int i = 0; i < asked.n; i++) {
        if (memcmp(&asked.spec[i], s, sizeof *s) == 0) {
            return;
        }
    }
    if (!VEC_GROW(asked.spec, asked.n, asked.cap)) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    memcpy(&asked.spec[asked.n++], s, sizeof *s);
}

/* Stands in for the CPU's: the nets are planned for it, only their questions are written down. */
static size_t note_conv(struct backend *be, const struct conv_desc *d, const struct conv_use *use,
                        struct view x, struct view y)
{
    const struct backend_settings exact = {0};
    const struct conv_spec s = conv_spec_of(d, use, x, y, &exact);
    (void)be;
    ask(&s);
    return 0;
}

/* Over all GPUs. */
static struct {
    int planned, refused, gpus;
} total;

struct options {
    char *gpu[GPU_SHEETS], *set[8];
    int n_gpus, n_sets;
    int most_own; /* refused ones are fine up to here */
    int each;     /* only each of so many descriptions */
};

static bool plan_net(const char *cfg, const struct options *o, bool training, struct backend *be)
{
    const struct model_options opt = {
        .training = training, .set = (const char *const *)o->set, .n_set = o->n_sets};
    const struct plan_options how = {.again = training, .reuse = true};
    struct err_list errs = {0};
    struct err err = {0};
    struct plan plan = {0};
    struct model m;
    bool ok = model_build(cfg, &opt, &m, &errs) == VOV_OK;
    if (ok) {
        graph_alias(&m.graph);
        ok = graph_grad_modes(&m.graph) == VOV_OK &&
             plan_build(&m.graph, be, &how, &plan, &err) == VOV_OK;
        plan_free(&plan);
    } else if (!training) {
        err_print(&errs.item[0], stderr);
    }
    model_close(&m);
    return ok;
}

/* Backbones without a head are not trained. */
static bool ask_for_net(const char *cfg, const struct options *o)
{
    struct backend *be;
    struct err err = {0};
    if (backend_open("plain", 1, &be, &err) != VOV_OK) {
        return false;
    }
    struct backend_ops ops = *be->ops;
    struct backend noting = *be;
    ops.conv_scratch = note_conv;
    noting.ops = &ops;
    const bool ok = plan_net(cfg, o, false, &noting);
    plan_net(cfg, o, true, &noting);
    backend_close(be);
    return ok;
}

/* What became of the convolutions of one pass on one GPU. */
struct tally {
    int all, whole, parts, own; /* fused as asked for; with a pass of ours behind; not by cuDNN */
    int slices, copied;         /* on slices; of them by plans that copy */
    size_t most;                /* bytes of workspace */
};

static const char *const pass_name[] = {[CONV_FWD] = "forward",
                                        [CONV_BWD_DATA] = "data gradient",
                                        [CONV_BWD_WEIGHT] = "filter gradient"};

static void print_spec(const struct gpu_sheet *g, const struct conv_spec *s)
{
    printf("%s: no plan for the %s of %dx%d, stride %d, dilation %d, groups %d, [%d, %d, %d, %d] "
           "-> %d channels, rows of %d and %d channels, bias %d, act %d, add %d\n",
           g->name, pass_name[s->pass], s->kh, s->kw, s->stride, s->dilation, s->groups, s->n, s->c,
           s->h, s->w, s->k, s->x.step, s->y.step, s->bias, (int)s->act, s->add.step > 0);
}

static void put_to(const struct gpu_sheet *g, cudnnBackendDescriptor_t device,
                   const struct conv_spec *s, struct tally *t)
{
    const bool slice = s->x.step != s->c || s->y.step != s->k;
    struct conv_recipe r;
    conv_recipe_find(device, s, workspace, &r);
    const bool apart = s->pass == CONV_BWD_DATA && r.own_bytes > 0;
    t->all++;
    if (r.plan == NULL) {
        t->own++;
        print_spec(g, s);
    } else {
        const size_t bytes = conv_plan_bytes(r.plan);
        t->whole += !r.act_behind && !apart;
        t->parts += r.act_behind || apart;
        t->most = bytes > t->most ? bytes : t->most;
        t->slices += slice;
        t->copied += slice && bytes > 0;
    }
    conv_recipe_free(&r);
}

/* The number that the GPU refused, or -1 where it was not taken for one, or where slices that a
 * plan without workspace can work on would be copied: of forward passes and filter gradients none
 * is. */
static int run_gpu(const struct gpu_sheet *g, int each)
{
    char json[1000];
    struct tally tally[3] = {{0}};
    int own = 0, copied = 0;
    gpu_json(g, json, sizeof json);
    const cudnnBackendDescriptor_t device = conv_plan_device(NULL, json);
    if (device == NULL) {
        printf("%s: cuDNN does not take its description\n", g->name);
        return -1;
    }
    for (int i = 0; i < asked.n; i += each) {
        put_to(g, device, &asked.spec[i], &tally[asked.spec[i].pass]);
    }
    for (int p = 0; p < 3; p++) {
        const struct tally *t = &tally[p];
        printf("| %s | %s | %d | %d | %d | %d | %d | %d | %.1f |\n", g->name, pass_name[p], t->all,
               t->whole, t->parts, t->own, t->slices, t->copied, (double)t->most / 1e6);
        own += t->own;
        total.planned += t->all - t->own;
        copied += p == CONV_BWD_DATA ? 0 : t->copied;
    }
    total.refused += own;
    total.gpus++;
    if (copied > 0) {
        printf("%s: %d convolutions copy slices first\n", g->name, copied);
    }
    fflush(stdout);
    cudnnBackendDestroyDescriptor(device);
    return copied > 0 ? -1 : own;
}

static bool is_named(const struct gpu_sheet *g, char *const *name, int n)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(g->name, name[i]) == 0) {
            return true;
        }
    }
    return n == 0;
}

static bool read_options(int argc, char **argv, struct options *o)
{
    *o = (struct options){.each = 1};
    for (int c = getopt(argc, argv, "g:n:e:s:"); c != -1; c = getopt(argc, argv, "g:n:e:s:")) {
        if (c == 'g' && o->n_gpus < GPU_SHEETS) {
            o->gpu[o->n_gpus++] = optarg;
        } else if (c == 's' && o->n_sets < 8) {
            o->set[o->n_sets++] = optarg;
        } else if (c == 'n') {
            o->most_own = (int)strtol(optarg, NULL, 10);
        } else if (c == 'e' && strtol(optarg, NULL, 10) > 0) {
            o->each = (int)strtol(optarg, NULL, 10);
        } else {
            return false;
        }
    }
    return optind < argc;
}

static int put_all(const struct options *o)
{
    int failed = 0;
    printf("| GPU | pass | graphs | fused | in parts | own loops | on slices | by copies | "
           "workspace, MB |\n|--|--|--|--|--|--|--|--|--|\n");
    for (int i = 0; i < GPU_SHEETS; i++) {
        if (is_named(&gpu_sheets[i], o->gpu, o->n_gpus)) {
            const int own = run_gpu(&gpu_sheets[i], o->each);
            failed |= own < 0 || own > o->most_own;
        }
    }
    return failed;
}

int main(int argc, char **argv)
{
    struct options o;
    int failed = 0;
    if (!read_options(argc, argv, &o)) {
        fprintf(stderr, "plans [-g GPU]... [-n MOST] [-e EACH] [-s SECTION.KEY=VALUE]... CFG...\n");
        return 2;
    }
    if (cudnnGetVersion() / 100 != CUDNN_KNOWN) {
        printf("cuDNN %zu: the descriptions of GPUs are for 9.19\n", cudnnGetVersion());
        return 77;
    }
    /* cuDNN opens and closes it for each plan, which takes as long as the rest. */
    dlopen("libnvrtc.so.13", RTLD_NOW);
    for (int i = optind; i < argc; i++) {
        failed |= !ask_for_net(argv[i], &o);
    }
    printf("%d convolutions of %d nets, %d of them different\n\n", asked.all, argc - optind,
           asked.n);
    failed |= put_all(&o);
    printf("count %d graphs that cuDNN %zu accepts, %d that it refuses, for %d GPUs\n",
           total.planned, cudnnGetVersion(), total.refused, total.gpus);
    mem_free(asked.spec);
    return failed;
}
