/*
 * trainer.c - one update after the other. The gradients of `subdivisions` batches add up; losses
 * and the gradient must be finite before parameters are touched.
 */
#include "trainer.h"

#include "base/clock.h"
#include "base/file.h"
#include "run_folder.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { SAVE_SECONDS = 300 }; /* at most this much work is lost when the machine stops */

/* The names of the pictures of the update, as many as fit. */
static void name_pictures(const struct trainer *t, int n, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < n; i++) {
        if (t->item[i] < 0) {
            continue;
        }
        const char *name = path_base(t->opt->data->item[t->item[i]].path);
        if (used + strlen(name) + 20 > size) {
            snprintf(text + used, size - used, " and %d more", n - i);
            return;
        }
        used += (size_t)snprintf(text + used, size - used, "%s%s", used > 0 ? ", " : "", name);
    }
}

/* What an update leaves on the device, so that it need not wait for the host: numbers that must
 * all be finite for parameters to be touched. Losses are summed over the parts of the batch. */
enum { REPORT_GRADIENT, REPORT_STATISTICS, REPORT_LOSSES, REPORT_MOST = 64 };

static uint64_t dropout_key_of(const struct trainer *t, int sub)
{
    struct rng r =
        rng_open(t->state.seed, RNG_DROPOUT, (uint64_t)t->state.iteration, (uint64_t)sub);
    const uint64_t high = rng_u32(&r);
    return high << 32 | rng_u32(&r);
}

/* The passes run again on what is left of the batch: its last part. */
static enum vov_status not_finite(struct trainer *t, const char *what, struct err *err)
{
    const struct net_config *net = &t->model->net;
    char pictures[120];
    const uint64_t key = dropout_key_of(t, net->subdivisions - 1);
    const char *node = exec_find_nonfinite(&t->way->exec, key);
    name_pictures(t, net->batch, pictures, sizeof pictures);
    return err_set(err, VOV_ENONFINITE,
                   "%s not finite in iteration %ld, first in %.60s; pictures: %s; rate %.3g; the "
                   "update was not made, the last good checkpoint is %s",
                   what, t->state.iteration + 1,
                   node != NULL ? node : "an earlier part of the batch", pictures, t->rate,
                   t->last_path);
}

/* Gets the next part of a batch ready, which may begin to cross to the device. */
static enum vov_status make_ready(struct trainer *t, struct err *err)
{
    TRY(loader_next(t->loader, &t->ready, err));
    struct model *m = model_way(t->model, t->ready->turned);
    const struct batch *b = t->ready;
    struct backend *be = m->exec.be;
    t->ready_images =
        b->picture != NULL
            ? be->ops->stage_pictures(be, (const struct picture *const *)b->picture, b->n)
            : exec_stage(&m->exec, m->input, b->images);
    t->ready_truth = exec_stage(&m->exec, m->head.truth, t->ready->truth);
    if (m->head.truth_masks != NULL) {
        t->ready_masks = exec_stage(&m->exec, m->head.truth_masks, t->ready->masks);
    }
    if (m->head.extent != NULL) {
        model_place(m, t->ready->where);
        t->ready_extent = exec_stage(&m->exec, m->head.extent, m->extent);
    }
    return VOV_OK;
}

/* The batch that is ready becomes part `sub` of the update. */
static void take_ready(struct trainer *t, int sub)
{
    const struct batch *b = t->ready;
    struct model *m = t->way = model_way(t->model, b->turned);
    memcpy(t->item + (ptrdiff_t)sub * b->n, b->item, (size_t)b->n * sizeof *b->item);
    t->skipped += b->skipped;
    if (b->picture != NULL) {
        m->exec.be->ops->write_pictures(m->exec.be, m->input->val, &t->ready_images);
    } else {
        exec_take(&m->exec, m->input, &t->ready_images);
    }
    exec_take(&m->exec, m->head.truth, &t->ready_truth);
    if (m->head.truth_masks != NULL) {
        exec_take(&m->exec, m->head.truth_masks, &t->ready_masks);
    }
    if (m->head.extent != NULL) {
        exec_take(&m->exec, m->head.extent, &t->ready_extent);
    }
    t->ready = NULL;
}

static struct view report_view(const struct trainer *t, int first, int n)
{
    return view_dense(t->report + first, (struct shape){1, n, 1, 1});
}

/* Adds the losses of the part that ran last to the report. */
static void add_losses(const struct trainer *t)
{
    const struct head *h = &t->way->head;
    struct backend *be = t->way->exec.be;
    int at = REPORT_LOSSES;
    for (int i = 0; i < h->n_loss; i++) {
        const struct tensor *loss = h->loss[i];
        be->ops->copy(be, loss->val, 1, report_view(t, at, loss->shape.c));
        at += loss->shape.c;
    }
}

/* One of the parts that an update's batch is computed in. */
static enum vov_status run_part(struct trainer *t, int sub, struct err *err)
{
    if (t->not_ready.code != VOV_OK) {
        *err = t->not_ready;
        return err->code;
    }
    if (t->ready == NULL) {
        TRY(make_ready(t, err));
    }
    take_ready(t, sub);
    TRY(exec_train(&t->way->exec, dropout_key_of(t, sub), err));
    add_losses(t);
    return VOV_OK;
}

static int rank_of(const struct trainer *t)
{
    return t->opt->dist != NULL ? t->opt->dist->rank : 0;
}

static int devices_of(const struct trainer *t)
{
    return t->opt->dist != NULL ? t->opt->dist->size : 1;
}

/* Gradients and losses of all devices become their sum. Running statistics become their mean, so
 * that parameters stay the same everywhere. */
static enum vov_status add_up(struct trainer *t, struct err *err)
{
    const struct params *p = &t->model->exec.params;
    struct dist *d = t->opt->dist;
    if (d == NULL) {
        return VOV_OK;
    }
    TRY(d->sum(d, p->be, p->n_learn, p->grad, false, err));
    TRY(d->sum(d, p->be, p->count - p->n_learn, p->val + p->n_learn, true, err));
    return d->sum(d, p->be, (size_t)(t->n_report - REPORT_LOSSES), t->report + REPORT_LOSSES, false,
                  err);
}

/* What the sum of all gradients is multiplied by: it is of the parts of a batch, and scaled. */
static double gradient_unit(const struct trainer *t)
{
    return 1 / (t->model->net.subdivisions * t->state.scale.value);
}

/* An infinite variance gives zeros, and those finite losses: nobody else would notice. */
static void finish_update(void *ctx)
{
    struct trainer *t = ctx;
    const struct params *p = &t->model->exec.params;
    const struct sgd_guard guard = {t->report, t->n_report, t->model->net.clip};
    struct backend *be = p->be;
    be->ops->block_norm(be, p->n_learn, p->grad, t->report + REPORT_GRADIENT);
    be->ops->block_norm(be, p->count - p->n_learn, p->val + p->n_learn,
                        t->report + REPORT_STATISTICS);
    sgd_update(&t->sgd, gradient_unit(t), &guard);
    average_update(&t->average, &guard);
}

/* Losses by part and their sum. */
static bool read_losses(struct trainer *t, const real *number)
{
    const int n = t->n_report - REPORT_LOSSES;
    bool finite = true;
    t->loss = 0;
    t->n_parts = 0;
    for (int i = 0; i < n; i++) {
        const double v = (double)number[i] / t->model->net.subdivisions;
        finite = finite && isfinite(v);
        if (t->model->head.part[i] != NULL) {
            t->part[t->n_parts] = v;
            t->part_name[t->n_parts++] = t->model->head.part[i];
            t->loss += v;
        }
    }
    return finite;
}

/* Recorded calls hold the old scale: they are recorded anew. */
static void set_scale(struct trainer *t)
{
    struct model *m = t->model;
    exec_set_gain(&m->exec, t->state.scale.value);
    tape_close(m->exec.be, &t->finish);
}

/* Gradients that overflow in 16 bits, where the losses do not, ask for a smaller scale; the device
 * has left the update out. When there is no smaller one they are as bad as in 32 bits. */
static enum vov_status follow_scale(struct trainer *t, struct err *err)
{
    struct loss_scale *s = &t->state.scale;
    const bool overflowed = !isfinite(t->gradient_norm);
    const bool changed = loss_scale_follow(s, &t->model->net, overflowed);
    if (overflowed && !changed) {
        return not_finite(t, "the gradient is", err);
    }
    if (overflowed) {
        log_put(t->opt->log, LOG_INFO,
                "iteration %ld: gradients overflow in fp16; the update is left out and the loss "
                "scale halved to %g",
                t->state.iteration + 1, s->value);
    }
    if (changed) {
        set_scale(t);
    }
    return VOV_OK;
}

/* Waits for the update and looks at what it left. */
static enum vov_status read_report(struct trainer *t, struct err *err)
{
    struct backend *be = t->model->exec.be;
    real number[REPORT_MOST] = {0};
    be->ops->read(be, report_view(t, 0, t->n_report), number);
    TRY(backend_check(be, err));
    if (!read_losses(t, number + REPORT_LOSSES)) {
        return not_finite(t, "the loss is", err);
    }
    if (!isfinite(number[REPORT_STATISTICS])) {
        return not_finite(t, "running statistics of a norm are", err);
    }
    t->gradient_norm = (double)number[REPORT_GRADIENT] * gradient_unit(t);
    return follow_scale(t, err);
}

/* Nothing waits for the device before read_report, and the next batch crosses while it works. */
static enum vov_status update(struct trainer *t, struct err *err)
{
    const struct params *p = &t->model->exec.params;
    struct backend *be = p->be;
    t->rate = schedule_rate(&t->schedule, t->state.iteration + 1);
    sgd_set_rate(&t->sgd, t->rate);
    average_set(&t->average, t->state.iteration + 1);
    be->ops->block_fill(be, p->n_learn, p->grad, 0);
    be->ops->block_fill(be, (size_t)t->n_report, t->report, 0);
    for (int sub = rank_of(t); sub < t->model->net.subdivisions; sub += devices_of(t)) {
        TRY(run_part(t, sub, err));
    }
    TRY(add_up(t, err));
    backend_enter(be, "update");
    tape_run(be, &t->finish, finish_update, t);
    backend_leave(be);
    if (t->state.iteration + 1 < t->schedule.total) {
        make_ready(t, &t->not_ready); /* a failure concerns the next update */
    }
    TRY(read_report(t, err));
    t->state.iteration++;
    t->state.epoch = (int)(t->state.iteration / t->schedule.per_epoch);
    return VOV_OK;
}

static enum vov_status save(struct trainer *t, const char *path, struct err *err)
{
    t->saved = clock_now();
    return checkpoint_write(path, t->model, &t->state, err);
}

/* best.safetensors first: a stop between the two repeats an evaluation rather than lose a best. */
static enum vov_status save_epoch(struct trainer *t, struct err *err)
{
    if (t->best_is_new) {
        TRY(save(t, t->best_path, err));
        t->best_is_new = false;
    }
    const int every = t->opt->keep_every;
    if (every > 0 && t->state.epoch % every == 0) {
        char name[40];
        snprintf(name, sizeof name, "epoch-%04d.safetensors", t->state.epoch);
        char *path = path_join(t->opt->out, name);
        if (path == NULL) {
            return err_nomem(err, strlen(t->opt->out));
        }
        const enum vov_status status = save(t, path, err);
        mem_free(path);
        TRY(status);
    }
    return save(t, t->last_path, err);
}

enum when { HOOK_START, HOOK_STEP, HOOK_EPOCH };

static enum vov_status call_hooks(struct trainer *t, enum when when, struct err *err)
{
    for (int i = 0; i < t->opt->n_hooks; i++) {
        const struct hook *h = &t->opt->hooks[i];
        enum vov_status (*const fn[])(void *, struct trainer *, struct err *) = {h->start, h->step,
                                                                                 h->epoch};
        if (fn[when] != NULL) {
            TRY(fn[when](h->user, t, err));
        }
    }
    return VOV_OK;
}

static bool stop_asked(const struct trainer *t)
{
    return t->opt->stop != NULL && *t->opt->stop != 0;
}

/* What follows an update: hooks, and a checkpoint where one is due. */
static enum vov_status after_update(struct trainer *t, struct err *err)
{
    const bool end = t->state.iteration >= t->schedule.total;
    if (t->opt->first != NULL) {
        return VOV_OK;
    }
    TRY(call_hooks(t, HOOK_STEP, err));
    if (t->state.iteration % t->schedule.per_epoch == 0 || end) {
        TRY(call_hooks(t, HOOK_EPOCH, err));
        TRY(save_epoch(t, err));
    } else if (clock_now() - t->saved > SAVE_SECONDS) {
        TRY(save(t, t->last_path, err));
    }
    return VOV_OK;
}

enum vov_status trainer_run(struct trainer *t, struct err *err)
{
    t->started = t->saved = clock_now();
    TRY(call_hooks(t, HOOK_START, err));
    while (t->state.iteration < t->schedule.total && !stop_asked(t)) {
        TRY(update(t, err));
        TRY(after_update(t, err));
    }
    if (t->state.iteration < t->schedule.total) {
        TRY(save(t, t->last_path, err));
        return err_set(
            err, VOV_EINTERRUPTED,
            "stopped after iteration %ld of %ld; saved in %s, --resume goes on from there",
            t->state.iteration, t->schedule.total, t->last_path);
    }
    return VOV_OK;
}

void trainer_score(struct trainer *t, double score)
{
    if (score > t->state.best_score) {
        t->state.best_score = score;
        t->state.best_iteration = t->state.iteration;
        t->best_is_new = true;
    }
}

static struct loader_options loader_of(const struct trainer *t)
{
    const struct net_config *net = &t->model->net;
    const struct tensor *masks = t->model->head.truth_masks;
    return (struct loader_options){
        .pixels = model_pixels(t->model),
        .batch = net->batch / net->subdivisions,
        .max_boxes = net->max_boxes,
        .mask_side = masks != NULL ? masks->shape.h : 0,
        .workers = t->opt->workers,
        .share = rank_of(t),
        .shares = devices_of(t),
        .train = true,
        .pictures = t->model->exec.be->ops->write_pictures != NULL,
        .seed = t->state.seed,
        .augment = {.distort = {net->distort, net->saturation, net->exposure, net->hue},
                    .expand = net->expand,
                    .crop = net->crop,
                    .flip = net->flip ? 0.5 : 0,
                    .max_expand = net->max_expand,
                    .pad_crop = net->pad_crop,
                    .short_side = net->short_side.v,
                    .n_short_sides = net->short_side.n,
                    .any_resize = net->fit != FIT_PAD,
                    .difficult = net->difficult},
        .both_ways = t->model->turned != NULL,
        .log = t->opt->log,
        .max_skipped = t->opt->data->n / 10 + 1,
    };
}

/* The loader tells how long an epoch is, the schedule follows from that. */
static enum vov_status open_loader(struct trainer *t, struct err *err)
{
    const struct loader_options opt = loader_of(t);
    const long first = t->state.iteration * t->model->net.subdivisions;
    TRY(loader_open(t->opt->data, &opt, first, &t->loader, err));
    const long per_epoch = loader_batches(t->loader) / t->model->net.subdivisions;
    return schedule_init(&t->schedule, &t->model->net, per_epoch > 0 ? per_epoch : 1, err);
}

/* --epochs of the run's first part is easily forgotten. A run that was finished may be made longer
 * without a word. */
static enum vov_status compare_length(const struct trainer *t, struct err *err)
{
    const long done = t->state.iteration, then = t->state.total, now = t->schedule.total;
    if (!t->resumed || now == then || done >= then) {
        return VOV_OK;
    }
    if (done >= now) {
        return err_set(
            err, VOV_EARG,
            "%s stopped after iteration %ld of %ld, and the run would end at %ld: resume "
            "it with the --epochs that it began with",
            t->last_path, done, then, now);
    }
    log_put(
        t->opt->log, LOG_WARN,
        "%s: the run was to end at iteration %ld, and ends at %ld now: the rate changes with it",
        t->last_path, then, now);
    return VOV_OK;
}

static enum vov_status open_report(struct trainer *t, struct err *err)
{
    const struct head *h = &t->model->head;
    struct backend *be = t->model->exec.be;
    t->n_report = REPORT_LOSSES;
    for (int i = 0; i < h->n_loss; i++) {
        t->n_report += h->loss[i]->shape.c;
    }
    assert(t->n_report <= REPORT_MOST);
    t->report = be->ops->alloc(be, REPORT_MOST * sizeof *t->report);
    return t->report != NULL ? VOV_OK : err_nomem(err, REPORT_MOST * sizeof *t->report);
}

/* Not the first of several devices: the state is that of the first. */
static enum vov_status follow(struct trainer *t, struct err *err)
{
    const struct trainer *first = t->opt->first;
    t->last_path = mem_strdup(first->last_path); /* for messages */
    if (t->last_path == NULL) {
        return err_nomem(err, strlen(first->last_path));
    }
    t->state = first->state;
    return params_clone(&t->model->exec.params, &first->model->exec.params, err);
}

static enum vov_status check_devices(const struct trainer *t, struct err *err)
{
    const int n = devices_of(t), parts = t->model->net.subdivisions;
    if (parts % n == 0) {
        return VOV_OK;
    }
    return err_set(err, VOV_ECFG,
                   "%d devices cannot share a batch that is computed in %d parts; --set "
                   "net.subdivisions=%d gives one to each",
                   n, parts, n);
}

static enum vov_status open_run(struct trainer *t, struct err *err)
{
    struct model *m = t->model;
    const struct dataset *d = t->opt->data;
    t->item = mem_alloc((size_t)m->net.batch, sizeof *t->item);
    if (t->item == NULL) {
        return err_nomem(err, (size_t)m->net.batch * sizeof *t->item);
    }
    for (int i = 0; i < m->net.batch; i++) {
        t->item[i] = -1;
    }
    TRY(check_devices(t, err));
    t->state = (struct run_state){.seed = t->opt->seed, .best_score = -1};
    TRY(run_folder_check(m, d, err));
    TRY(sgd_open(&t->sgd, &m->exec.params, &m->net, err));
    TRY(average_open(&t->average, &m->exec.params, &m->net, err));
    params_start_average(&m->exec.params);
    TRY(open_report(t, err));
    TRY(t->opt->first != NULL ? follow(t, err) : run_folder_open(t, err));
    if (m->net.precision != PRECISION_FP16 || t->state.scale.value < 1) {
        t->state.scale = loss_scale_first(&m->net);
    }
    set_scale(t);
    TRY(open_loader(t, err));
    TRY(compare_length(t, err));
    t->state.total = t->schedule.total;
    t->state.class_name = d->class_name;
    t->state.class_key = d->class_key;
    t->state.n_classes = d->n_classes;
    return t->opt->first != NULL ? VOV_OK : run_folder_prove(t, err);
}

enum vov_status trainer_open(struct trainer *t, struct model *m, const struct trainer_options *opt,
                             struct err *err)
{
    *t = (struct trainer){.opt = opt, .model = m};
    const enum vov_status status = open_run(t, err);
    if (status != VOV_OK) {
        trainer_close(t);
    }
    return status;
}

void trainer_close(struct trainer *t)
{
    if (t->report != NULL) {
        struct backend *be = t->model->exec.be;
        tape_close(be, &t->finish);
        be->ops->release(be, t->report);
    }
    loader_close(t->loader);
    average_close(&t->average);
    sgd_close(&t->sgd);
    file_unlock(t->lock);
    mem_free(t->last_path);
    mem_free(t->best_path);
    mem_free(t->item);
    *t = (struct trainer){0};
}
