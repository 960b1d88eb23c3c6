/*
 * train.c - `vov train`.
 */
#include "train.h"

#include "base/clock.h"
#include "base/file.h"
#include "commands.h"
#include "device.h"
#include "evaluate.h"
#include "interrupt.h"
#include "peers.h"
#include "progress.h"
#include "train/metrics.h"
#include "train/run_folder.h"

#include <math.h>
#include <string.h>
#include <strings.h>

enum { EVALUATIONS = 20, MAX_SET = 40 };

/* All that a run holds. */
struct run {
    const struct cli *cli;
    const struct train_job *job;
    struct backend *be;
    struct dataset train, valid;
    bool has_valid;
    struct model model;
    struct detector detector; /* of the same net, for evaluations */
    struct trainer trainer;
    struct peers peers; /* other devices, where there are any */
    const struct model_options *how;
    struct metrics metrics;
    struct progress progress;
};

static void say(const struct run *r, const char *fmt, ...) VOV_PRINTF(2, 3);

static void say(const struct run *r, const char *fmt, ...)
{
    if (!r->cli->quiet) {
        va_list args;
        va_start(args, fmt);
        vprintf(fmt, args);
        va_end(args);
        fflush(stdout);
    }
}

static bool evaluation_is_due(const struct run *r, const struct trainer *t)
{
    const double epochs = (double)t->schedule.total / (double)t->schedule.per_epoch;
    int every = r->job->eval_every;
    if (every == 0) {
        every = (int)fmin(fmax(floor(epochs / EVALUATIONS), 1), 1e6);
    }
    return t->state.epoch % every == 0 || t->state.iteration == t->schedule.total;
}

static enum vov_status score(struct run *r, struct trainer *t, struct err *err)
{
    struct evaluation e = {0};
    struct buf json = {0}, line = {0};
    struct err why = {0};
    enum vov_status status = detector_take(&r->detector, t->model, &why);
    if (status == VOV_OK) {
        status = evaluate(&r->detector, &r->valid, t->opt->workers, &r->cli->log, &e, &why);
    }
    if (status == VOV_ENONFINITE) { /* before anything of this epoch was saved */
        err_set(err, status, "%s; rate %.3g; the last good checkpoint is %s", why.msg, t->rate,
                t->last_path);
    } else if (status != VOV_OK) {
        *err = why;
    }
    if (status == VOV_OK) {
        const double v = evaluation_score(&e);
        const bool better = v > t->state.best_score;
        evaluation_numbers(&e, &json);
        evaluation_line(&e, &line);
        trainer_score(t, v);
        say(r, "  val %s  (%d pictures in %.1f s)%s\n", line.p != NULL ? line.p : "", r->valid.n,
            e.seconds, better ? "  best so far" : "");
        status = json.failed ? err_nomem(err, json.n) : metrics_val(&r->metrics, t, json.p, err);
    }
    buf_free(&line);
    buf_free(&json);
    evaluation_free(&e);
    return status;
}

static enum vov_status on_epoch(void *user, struct trainer *t, struct err *err)
{
    struct run *r = user;
    if (!r->has_valid || !evaluation_is_due(r, t)) {
        return VOV_OK;
    }
    const enum vov_status status = score(r, t, err);
    progress_go_on(&r->progress);
    return status;
}

/* ---- opening, in the order in which a user wants to hear of mistakes ---- */

/* Whether DATA gives pictures to evaluate with; says so where it is not the usual way. */
static enum vov_status find_valid(struct run *r, struct err *err)
{
    const char *path = r->job->data;
    struct data_file f;
    r->has_valid = true;
    if (file_is_dir(path)) {
        return VOV_OK;
    }
    if (strcasecmp(path_ext(path), "json") == 0) {
        say(r, "val: the training pictures again, for want of others; a .data file names some\n");
        return VOV_OK;
    }
    TRY(data_file_read(path, &f, err));
    r->has_valid = f.valid != NULL;
    if (!r->has_valid) {
        log_put(&r->cli->log, LOG_WARN, "%s has no line valid=: the run will not be evaluated",
                path);
    }
    data_file_free(&f);
    return VOV_OK;
}

static void say_data(const struct run *r, const char *split, const struct dataset *d)
{
    if (d->labels) {
        say(r, "%s: %d pictures of %d classes (%s)\n", split, d->n, d->n_classes, d->path);
    } else {
        say(r, "%s: %d pictures, %ld boxes, %d classes (%s)\n", split, d->n, d->n_truth,
            d->n_classes, d->path);
    }
}

static enum vov_status open_data(struct run *r, struct err *err)
{
    const struct dataset_options opt = evaluate_data(&r->model, &r->cli->log);
    TRY(dataset_open(r->job->data, false, &opt, &r->train, err));
    say_data(r, "train", &r->train);
    TRY(find_valid(r, err));
    if (r->has_valid) {
        TRY(dataset_open(r->job->data, true, &opt, &r->valid, err));
        say_data(r, "val", &r->valid);
        TRY(dataset_same_classes(&r->train, &r->valid, err));
    }
    return VOV_OK;
}

/* Weights of another run or net to begin from: what fits is taken. */
static enum vov_status fine_tune(struct run *r, struct err *err)
{
    const char *path = r->job->weights;
    struct params *p = &r->model.exec.params;
    struct weights_report rep;
    struct safetensors st;
    TRY(safetensors_read(path, &st, err));
    const struct weights_file file = {.st = &st, .path = path, .prefix = ""};
    const enum vov_status status = weights_load(&file, p, p->val, &rep, err);
    safetensors_free(&st);
    TRY(status);
    say(r, "weights: %d of the net's %d tensors taken from %s\n", rep.matched,
        rep.matched + rep.missing + rep.misshapen, path);
    if (rep.missing > 0) {
        say(r, "  not in the file, random: %d (%s)\n", rep.missing, rep.missing_names);
    }
    if (rep.misshapen > 0) {
        say(r, "  of another shape, random: %d (%s)\n", rep.misshapen, rep.misshapen_names);
    }
    if (rep.extra > 0) {
        say(r, "  not in the net: %d (%s)\n", rep.extra, rep.extra_names);
    }
    if (rep.matched == 0) {
        return err_set(err, VOV_EFORMAT, "%s: not one tensor fits the net of %s", path,
                       r->job->cfg);
    }
    return VOV_OK;
}

static enum vov_status open_model(struct run *r, uint64_t seed, struct err *err)
{
    TRY(peers_list(&r->peers, r->job->device, err));
    TRY(device_open(r->cli, r->peers.name[0], r->job->threads, &r->be, err));
    TRY(model_start(&r->model, r->be, seed, err));
    const struct params *p = &r->model.exec.params;
    const double plan = (double)(r->model.exec.plan.arena_bytes + r->model.exec.plan.scratch_bytes);
    say(r, "net: %s, %zu parameters, input %dx%d, batch %d in %d, %.0f MB planned\n", r->job->cfg,
        params_learnable(&r->model.graph), r->model.net.width, r->model.net.height,
        r->model.net.batch, r->model.net.subdivisions,
        (plan + (p->avg != NULL ? 4 : 3) * (double)p->count * sizeof(real)) / 1e6);
    if (r->has_valid) {
        const int batch = r->model.input->shape.n;
        TRY(detector_of(&r->detector, &r->model, batch, r->be, err));
    }
    if (r->job->weights == NULL) {
        return VOV_OK;
    }
    if (r->job->resume && run_folder_begun(r->job->out)) {
        say(r, "weights: those of the run in %s, not of %s\n", r->job->out, r->job->weights);
        return VOV_OK;
    }
    return fine_tune(r, err);
}

static const char *score_name(const struct run *r)
{
    return r->train.labels ? "top-1" : "AP";
}

static void say_start(const struct run *r, const struct trainer *t)
{
    if (t->resumed) {
        say(r, "resuming at iteration %ld of %ld (epoch %d), best val %s %.3f\n",
            t->state.iteration, t->schedule.total, t->state.epoch, score_name(r),
            fmax(t->state.best_score, 0));
    } else {
        say(r, "run: %s, seed %llu, %ld iterations in epochs of %ld\n", t->opt->out,
            (unsigned long long)t->state.seed, t->schedule.total, t->schedule.per_epoch);
    }
}

static enum vov_status train(struct run *r, struct train_result *result, struct err *err)
{
    struct hook hooks[3];
    const struct train_job *job = r->job;
    const uint64_t seed = (uint64_t)(job->seed >= 0 ? job->seed : r->model.net.seed);
    struct trainer_options opt = {.out = job->out,
                                  .resume = job->resume,
                                  .data = &r->train,
                                  .seed = seed,
                                  .seed_given = job->seed >= 0,
                                  .workers = look_workers(job->threads),
                                  .keep_every = job->keep_every,
                                  .hooks = hooks,
                                  .n_hooks = 3,
                                  .log = &r->cli->log,
                                  .stop = interrupt_watch()};
    metrics_hook(&r->metrics, &hooks[0]);
    progress_hook(&r->progress, r->cli->quiet, &hooks[1]);
    hooks[2] = (struct hook){.epoch = on_epoch, .user = r};
    TRY(open_data(r, err));
    TRY(open_model(r, seed, err));
    opt.dist = peers_first(&r->peers);
    opt.workers = (opt.workers + r->peers.n - 1) / r->peers.n;
    TRY(trainer_open(&r->trainer, &r->model, &opt, err));
    say_start(r, &r->trainer);
    const bool finished = r->trainer.state.iteration >= r->trainer.schedule.total;
    enum vov_status status =
        peers_open(&r->peers, r->cli, job->cfg, r->how, job->threads, &r->trainer, err);
    if (status == VOV_OK) {
        status = peers_run(&r->peers, &r->trainer, err);
    }
    peers_close(&r->peers);
    *result = (struct train_result){r->trainer.state.best_score, r->train.labels};
    if (status == VOV_OK && finished) {
        say(r, "the run was finished already; --epochs with a larger number goes on\n");
    } else if (status == VOV_OK) {
        say(r, "done in %.0f s: best val %s %.3f at iteration %ld\n",
            clock_now() - r->trainer.started, score_name(r), fmax(result->best, 0),
            r->trainer.state.best_iteration);
    }
    if (r->trainer.skipped > 0) {
        log_put(&r->cli->log, LOG_WARN,
                "pictures that could not be read were replaced by others %ld times in this session",
                r->trainer.skipped);
    }
    trainer_close(&r->trainer);
    return status;
}

int train_job_run(const struct cli *cli, const struct train_job *job, struct train_result *result)
{
    struct run r = {.cli = cli, .job = job};
    struct err_list errs = {0};
    struct err err = {0};
    const struct model_options opt = {
        .training = true, .set = job->set, .n_set = job->n_set, .log = &cli->log};
    int code = 0;
    r.how = &opt;
    *result = (struct train_result){.best = -1};
    say(&r, "vov " VOV_VERSION ": %s on %s\n", job->cfg, job->data);
    if (model_build(job->cfg, &opt, &r.model, &errs) != VOV_OK) {
        code = cli_fail_list(cli, &errs);
    } else if (train(&r, result, &err) != VOV_OK) {
        progress_pause(&r.progress);
        code = cli_fail(cli, &err);
    }
    metrics_close(&r.metrics);
    detector_close(&r.detector);
    peers_close(&r.peers);
    model_close(&r.model);
    dataset_free(&r.train);
    dataset_free(&r.valid);
    backend_close(r.be);
    return code;
}

struct train_options {
    const char *out, *weights;
    bool resume;
    const char *device;
    int threads, seed, eval_every, keep_every;
    double epochs;
    struct text_list set;
};

#define AT(field) offsetof(struct train_options, field)
static const struct cli_option train_table[] = {
    {"out", 'o', OPT_TEXT, AT(out), "DIR", 0, 0, "folder of the run; runs/<name of the cfg>"},
    {"weights", 'w', OPT_TEXT, AT(weights), "FILE", 0, 0,
     "begin from these weights, as far as they fit, rather than from random ones"},
    {"resume", 'r', OPT_FLAG, AT(resume), NULL, 0, 0,
     "go on with the run in that folder, to the same bits as if it had never stopped"},
    {"threads", 't', OPT_INT, AT(threads), "N", 1, 1024, "threads; all cores unless given"},
    DEVICES_OPTION(AT(device)),
    {"seed", 0, OPT_INT, AT(seed), "S", 0, 2147483647, "of all random choices; the cfg's else"},
    {"epochs", 'e', OPT_REAL, AT(epochs), "E", 1e-9, 1e9, "passes over the data; the cfg's else"},
    {"eval-every", 0, OPT_INT, AT(eval_every), "N", 1, 1000000,
     "epochs between evaluations; about twenty in a run unless given"},
    {"keep-every", 0, OPT_INT, AT(keep_every), "N", 1, 1000000,
     "epochs between checkpoints that are kept beside last and best"},
    {"set", 's', OPT_TEXTS, AT(set), "SECTION.KEY=VALUE", 0, 0, "overrides a value of the cfg"},
    {0},
};
#undef AT

/* "runs/bccd" for cfg/detect/bccd.cfg. */
static char *default_out(const char *cfg)
{
    const char *base = path_base(cfg), *ext = path_ext(cfg);
    const int n = (int)(strlen(base) - (ext[0] != '\0' ? strlen(ext) + 1 : 0));
    const size_t size = strlen(base) + 8;
    char *out = mem_alloc(size, 1);
    if (out != NULL) {
        snprintf(out, size, "runs/%.*s", n, base);
    }
    return out;
}

static int run(const struct cli *cli, const void *options)
{
    const struct train_options *o = options;
    const char *set[MAX_SET];
    char epochs[60];
    struct train_result result;
    int n_set = 0;
    for (; n_set < o->set.n; n_set++) {
        set[n_set] = o->set.v[n_set];
    }
    if (o->epochs > 0) {
        snprintf(epochs, sizeof epochs, "net.epochs=%.17g", o->epochs);
        set[n_set++] = epochs;
    }
    char *out = default_out(cli->operand[0]);
    if (out == NULL) {
        struct err err = {0};
        err_nomem(&err, strlen(cli->operand[0]));
        return cli_fail(cli, &err);
    }
    const struct train_job job = {.cfg = cli->operand[0],
                                  .data = cli->operand[1],
                                  .out = o->out != NULL ? o->out : out,
                                  .weights = o->weights,
                                  .resume = o->resume,
                                  .device = o->device,
                                  .threads = o->threads,
                                  .seed = cli_given(cli, "seed") ? o->seed : -1,
                                  .eval_every = o->eval_every,
                                  .keep_every = o->keep_every,
                                  .set = set,
                                  .n_set = n_set};
    const int code = train_job_run(cli, &job, &result);
    if (code == 0 && !cli->quiet) {
        printf("use it:  vov %s %s %s/%s %s", result.labels ? "eval" : "detect", job.cfg, job.out,
               result.best > -1 ? "best.safetensors" : "last.safetensors",
               result.labels ? job.data : "PICTURE...");
        for (int i = 0; i < o->set.n; i++) {
            printf(" --set '%s'", o->set.v[i]);
        }
        printf("\n");
    }
    mem_free(out);
    return code;
}

const struct cli_command train_command = {
    .name = "train",
    .summary = "train a network",
    .operands = "CFG DATA",
    .min_operands = 2,
    .max_operands = 2,
    .options = train_table,
    .options_size = sizeof(struct train_options),
    .details =
        "Trains the network of a cfg file. DATA is a .data file, which names the pictures and "
        "annotations to train on and to evaluate with, or a COCO annotation file or a folder of "
        "Pascal VOC's .xml files, which serve for both. A classifier ([softmax]) takes a folder "
        "that has a folder of pictures for each "
        "class, "
        "or has folders train and val that do, or a .data file that names such folders or "
        "CIFAR-10's .bin files.\n\n"
        "The folder of the run gets last.safetensors (the state after the last epoch, from which "
        "--resume goes on), best.safetensors (the one with the best AP, or top-1, on the val "
        "split) and "
        "metrics.jsonl (a JSON object for each step and each evaluation). Ctrl-C saves and stops; "
        "pressed again it stops at once. A folder with a run in it is left alone unless --resume "
        "is given.\n\n"
        "The same seed gives the same weights to the last bit, with any number of threads, and "
        "whether or not the run was interrupted.",
    .examples =
        "vov train cfg/detect/bccd.cfg data/bccd.data\n"
        "vov train cfg/detect/bccd.cfg data/bccd.data --resume\n"
        "vov train cfg/detect/bccd.cfg my.data --set net.classes=5 --epochs 40 --out runs/my",
    .run = run,
};
