/*
 * demo.c - `vov demo`: the main job from end to end on pictures that it draws itself. Every step is
 * the one that the command of its name does; all figures are those of this run.
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/usage.h"
#include "commands.h"
#include "data/check.h"
#include "data/drawn.h"
#include "detect.h"
#include "evaluate.h"
#include "train.h"

#include <string.h>

enum { IMAGES = 900, SIZE = 144, UNSEEN = 12, STEPS = 5 };
static const double threshold = 0.5; /* of the detections that are drawn */

struct demo_options {
    const char *out, *cfg;
    int seed, threads;
};

#define AT(field) offsetof(struct demo_options, field)
static const struct cli_option demo_table[] = {
    {"out", 'o', OPT_TEXT, AT(out), "DIR", 0, 0, "folder for all of it; runs/demo unless given"},
    {"cfg", 0, OPT_TEXT, AT(cfg), "FILE", 0, 0, "the network; cfg/demo.cfg unless given"},
    {"seed", 0, OPT_INT, AT(seed), "S", 0, 2147483647,
     "another number gives other pictures and weights; 1 unless given"},
    {"threads", 't', OPT_INT, AT(threads), "N", 1, 1024, "threads; all cores unless given"},
    {0},
};
#undef AT

struct demo {
    const struct cli *cli;
    const char *cfg;
    int seed, threads;
    double start;
    char *shapes, *data, *run, *unseen, *found, *weights; /* paths */
};

static void begin(const struct demo *d, int step, const char *what)
{
    if (!d->cli->quiet) {
        printf("%s%d/%d  %s\n", step > 1 ? "\n" : "", step, STEPS, what);
        fflush(stdout);
    }
}

static enum vov_status draw(const struct demo *d, const char *dir, int images, int seed,
                            struct drawn_counts *counts, struct err *err)
{
    struct drawn_options opt = {.images = images,
                                .scene = {.size = SIZE},
                                .seed = (uint64_t)seed,
                                .threads = d->threads,
                                .log = &d->cli->log};
    TRY(drawn_classes(NULL, &opt.scene, err));
    return drawn_write(dir, &opt, counts, err);
}

static enum vov_status draw_all(const struct demo *d, struct err *err)
{
    const double start = clock_now();
    struct drawn_counts set, more;
    begin(d, 1, "drawing pictures of shapes");
    TRY(draw(d, d->shapes, IMAGES, d->seed, &set, err));
    TRY(draw(d, d->unseen, UNSEEN, d->seed + 1000, &more, err));
    if (!d->cli->quiet) {
        printf("%d to train on, %d to evaluate with, %d for later, %ld objects, in %.1f s: %s\n",
               set.train, set.val, more.train + more.val, set.objects + more.objects,
               clock_now() - start, d->shapes);
    }
    return VOV_OK;
}

static enum vov_status check(const struct demo *d, struct err *err)
{
    const struct check_options opt = {.threads = d->threads, .limit = 1, .log = &d->cli->log};
    const double start = clock_now();
    struct check_report r;
    begin(d, 2, "checking them, as `vov data check` does");
    TRY(check_data(d->data, &opt, &r, err));
    const long errors = r.errors, warnings = r.warnings;
    check_free(&r);
    if (errors > 0) {
        return err_set(err, VOV_EFORMAT, "%s: %ld errors; `vov data check %s` lists them", d->data,
                       errors, d->data);
    }
    if (!d->cli->quiet) {
        printf("no errors, %ld warnings, in %.1f s\n", warnings, clock_now() - start);
    }
    return VOV_OK;
}

static int train(const struct demo *d)
{
    struct train_result result;
    const struct train_job job = {.cfg = d->cfg,
                                  .data = d->data,
                                  .out = d->run,
                                  .resume = file_exists(d->weights),
                                  .threads = d->threads,
                                  .seed = d->seed,
                                  .eval_every = 8};
    begin(d, 3, "training a small detector");
    return train_job_run(d->cli, &job, &result);
}

static void print_report(const struct dataset *data, const struct evaluation *e)
{
    const double *v = e->report.number;
    printf("AP50 %.3f, AP %.3f; small %.3f, medium %.3f, large %.3f; %.0f pictures a second\n",
           v[COCO_AP50], v[COCO_AP], v[COCO_APS], v[COCO_APM], v[COCO_APL],
           data->n / (e->seconds > 0 ? e->seconds : 1));
    printf("AP50 by class:");
    for (int i = 0; i < e->report.n_classes; i++) {
        printf("%s %s %.3f", i > 0 ? "," : "", data->class_name[i], e->report.classes[i].ap50);
    }
    printf("\n");
}

static enum vov_status eval(const struct demo *d, struct detector *det, struct err *err)
{
    const struct dataset_options opt = evaluate_data(&det->model, &d->cli->log);
    struct dataset data;
    struct evaluation e;
    begin(d, 4, "evaluating the weights of the end on the val pictures");
    TRY(dataset_open(d->data, true, &opt, &data, err));
    const enum vov_status status =
        evaluate(det, &data, look_workers(d->threads), &d->cli->log, &e, err);
    if (status == VOV_OK) {
        print_report(&data, &e);
    }
    evaluation_free(&e);
    dataset_free(&data);
    return status;
}

static enum vov_status detect_one(const struct demo *d, struct detector *det, const char *path,
                                  struct det_list *dets, struct err *err)
{
    struct image img;
    TRY(detect_find(det, path, threshold, &d->cli->log, &img, dets, err));
    const enum vov_status status = detect_draw(det, path, d->found, 0, &img, dets, err);
    image_free(&img);
    return status;
}

static enum vov_status detect_split(const struct demo *d, struct detector *det, bool valid,
                                    long counts[3], struct err *err)
{
    const struct dataset_options opt = {.log = &d->cli->log};
    struct det_list dets = {0};
    struct dataset data;
    char *list = path_join(d->unseen, "drawn.data");
    enum vov_status status = list != NULL ? dataset_open(list, valid, &opt, &data, err)
                                          : err_nomem(err, strlen(d->unseen));
    mem_free(list);
    TRY(status);
    for (int i = 0; i < data.n && status == VOV_OK; i++) {
        status = detect_one(d, det, data.item[i].path, &dets, err);
        counts[0]++;
        counts[1] += data.item[i].n_truth;
        counts[2] += dets.n;
    }
    det_free(&dets);
    dataset_free(&data);
    return status;
}

static enum vov_status detect(const struct demo *d, struct detector *det, struct err *err)
{
    long counts[3] = {0};
    begin(d, 5, "finding shapes in pictures that it never saw");
    TRY(file_mkdirs(d->found, err));
    TRY(detect_split(d, det, false, counts, err));
    TRY(detect_split(d, det, true, counts, err));
    printf("%ld pictures with %ld shapes, %ld found with a score over %.1f; look at %s\n",
           counts[0], counts[1], counts[2], threshold, d->found);
    return VOV_OK;
}

static int use(const struct demo *d)
{
    const struct model_options opt = {.batch = 8, .log = &d->cli->log};
    struct backend *be = NULL;
    struct detector det = {0};
    struct err_list errs = {0};
    struct err err = {0};
    int code = 0;
    if (backend_open(NULL, d->threads, &be, &err) != VOV_OK) {
        return cli_fail(d->cli, &err);
    }
    if (detector_open(&det, d->cfg, d->weights, &opt, be, &errs) != VOV_OK) {
        code = cli_fail_list(d->cli, &errs);
    } else if (eval(d, &det, &err) != VOV_OK || detect(d, &det, &err) != VOV_OK) {
        code = cli_fail(d->cli, &err);
    }
    detector_close(&det);
    backend_close(be);
    return code;
}

static int all(const struct demo *d)
{
    struct err err = {0};
    if (draw_all(d, &err) != VOV_OK || check(d, &err) != VOV_OK) {
        return cli_fail(d->cli, &err);
    }
    int code = train(d);
    if (code == cli_exit_code(VOV_EINTERRUPTED)) {
        fprintf(stderr, "`vov demo` again goes on from there\n");
    }
    if (code == 0) {
        code = use(d);
    }
    if (code == 0) {
        printf(
            "\ndone in %.0f s, with at most %.0f MB of memory. Your own data (docs/training.md):\n",
            clock_now() - d->start, (double)usage_peak_bytes() / 1e6);
        printf("vov train cfg/detect/bccd.cfg my.data --set net.classes=N\n");
    }
    return code;
}

static int run(const struct cli *cli, const void *options)
{
    const struct demo_options *o = options;
    const char *out = o->out != NULL ? o->out : "runs/demo";
    struct demo d = {.cli = cli,
                     .cfg = o->cfg != NULL ? o->cfg : "cfg/demo.cfg",
                     .seed = cli_given(cli, "seed") ? o->seed : 1,
                     .threads = o->threads,
                     .start = clock_now(),
                     .shapes = path_join(out, "shapes"),
                     .data = path_join(out, "shapes/drawn.data"),
                     .run = path_join(out, "run"),
                     .unseen = path_join(out, "unseen"),
                     .found = path_join(out, "found"),
                     .weights = path_join(out, "run/last.safetensors")};
    struct err err = {0};
    int code;
    if (!d.shapes || !d.data || !d.run || !d.unseen || !d.found || !d.weights) {
        err_nomem(&err, strlen(out));
        code = cli_fail(cli, &err);
    } else if (!file_exists(d.cfg)) {
        err_set(&err, VOV_ECFG,
                "%s is not there: run it in the folder of the project, or give --cfg", d.cfg);
        code = cli_fail(cli, &err);
    } else {
        code = all(&d);
    }
    char *const paths[] = {d.shapes, d.data, d.run, d.unseen, d.found, d.weights};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        mem_free(paths[i]);
    }
    return code;
}

const struct cli_command demo_command = {
    .name = "demo",
    .summary = "see it all work: draw, check, train, evaluate, detect",
    .operands = "",
    .min_operands = 0,
    .max_operands = 0,
    .options = demo_table,
    .options_size = sizeof(struct demo_options),
    .details =
        "Draws a data set of shapes, checks it, trains the small detector of cfg/demo.cfg on it, "
        "evaluates it, and draws what it finds in pictures that it never saw. Takes a few minutes "
        "on two cores and well under 1 GB, needs no network, and gives the same numbers each time. "
        "Ctrl-C stops it; called again it goes on.",
    .examples = "vov demo\nvov demo --seed 2 --out runs/demo2",
    .run = run,
};
