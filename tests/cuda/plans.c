/*
 * plans.c - puts every convolution of cfg files, in inference and in training, to the real cuDNN
 * for GPUs that are not here:  plans [-g GPU]... [-n MOST] CFG...
 *
 * Prints a line of a table for each GPU, and each convolution that cuDNN refuses. Exit code 77
 * where cuDNN is not the version that the descriptions of the GPUs were made for, 1 where a GPU was
 * refused or more convolutions than MOST fell back to our own loops.
 */
#include "backend/backend.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cuda/conv_recipe.h"
#include "gpus.h"
#include "model/model.h"

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

static bool plan_net(const char *cfg, bool training, struct backend *be)
{
    const struct model_options opt = {.training = training};
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
static bool ask_for_net(const char *cfg)
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
    const bool ok = plan_net(cfg, false, &noting);
    plan_net(cfg, true, &noting);
    backend_close(be);
    return ok;
}

/* What became of the convolutions on one GPU. */
struct tally {
    int whole, parts, own; /* fused as asked for; with a pass of ours behind; not by cuDNN */
    int slices, copied;    /* on slices; of them by plans that copy */
    size_t most;           /* bytes of workspace */
    double seconds;
};

static void print_spec(const struct gpu_sheet *g, const struct conv_spec *s)
{
    static const char *const pass[] = {"forward", "data gradient", "weight gradient"};
    printf("%s: no plan for the %s of %dx%d, stride %d, dilation %d, groups %d, [%d, %d, %d, %d] "
           "-> %d channels, rows of %d and %d channels, bias %d, act %d, add %d\n",
           g->name, pass[s->pass], s->kh, s->kw, s->stride, s->dilation, s->groups, s->n, s->c,
           s->h, s->w, s->k, s->x.step, s->y.step, s->bias, (int)s->act, s->add.step > 0);
}

static void put_to(const struct gpu_sheet *g, cudnnBackendDescriptor_t device, struct tally *t)
{
    for (int i = 0; i < asked.n; i++) {
        const struct conv_spec *s = &asked.spec[i];
        const bool slice = s->x.step != s->c || s->y.step != s->k;
        struct conv_recipe r;
        conv_recipe_find(device, s, workspace, &r);
        const bool apart = s->pass == CONV_BWD_DATA && r.own_bytes > 0;
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
}

static int run_gpu(const struct gpu_sheet *g, int most_own)
{
    char json[1000];
    struct tally t = {0};
    gpu_json(g, json, sizeof json);
    const cudnnBackendDescriptor_t device = conv_plan_device(NULL, json);
    if (device == NULL) {
        printf("%s: cuDNN does not take its description\n", g->name);
        return 1;
    }
    const double start = clock_now();
    put_to(g, device, &t);
    printf("| %s | %d | %d | %d | %d | %d | %d | %.1f | %.0f |\n", g->name, asked.n, t.whole,
           t.parts, t.own, t.slices, t.copied, (double)t.most / 1e6, clock_now() - start);
    fflush(stdout);
    cudnnBackendDestroyDescriptor(device);
    return t.own > most_own;
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

int main(int argc, char **argv)
{
    char *gpu[GPU_SHEETS];
    int n_gpus = 0, most_own = 0, failed = 0;
    for (int c = getopt(argc, argv, "g:n:"); c != -1; c = getopt(argc, argv, "g:n:")) {
        if (c == 'g' && n_gpus < GPU_SHEETS) {
            gpu[n_gpus++] = optarg;
        } else if (c == 'n') {
            most_own = (int)strtol(optarg, NULL, 10);
        } else {
            return 2;
        }
    }
    if (cudnnGetVersion() / 100 != CUDNN_KNOWN) {
        printf("cuDNN %zu: the descriptions of GPUs are for 9.19\n", cudnnGetVersion());
        return 77;
    }
    for (int i = optind; i < argc; i++) {
        failed |= !ask_for_net(argv[i]);
    }
    printf("%d convolutions of %d nets, %d of them different\n\n", asked.all, argc - optind,
           asked.n);
    printf(
        "| GPU | graphs | fused | in parts | own loops | on slices | by copies | workspace, MB | "
        "s |\n|--|--|--|--|--|--|--|--|--|\n");
    for (int i = 0; i < GPU_SHEETS; i++) {
        if (is_named(&gpu_sheets[i], gpu, n_gpus)) {
            failed |= run_gpu(&gpu_sheets[i], most_own);
        }
    }
    mem_free(asked.spec);
    return failed;
}
