/*
 * bench_case.c - see bench_case.h. Inputs of classifiers are normal random numbers, as pixels are
 * once they are normalised; detectors begin with JPEG files in memory and end with boxes.
 */
#include "bench_case.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/usage.h"
#include "data/drawn.h"
#include "train/loss_scale.h"

#include <math.h>
#include <string.h>

enum { SEED = 1, KEPT_RUNS = 1000, MAX_RUNS = 10000000, JPEG_SCENE = 720 };

/* The rate of training steps: small, so that random labels do not blow the net up. */
static const double rate = 1e-5;

/* The middle of a picture, cut out. */
static enum vov_status crop(const struct image *from, struct image *to, struct err *err)
{
    const int w = BENCH_PICTURE_WIDTH, h = BENCH_PICTURE_HEIGHT;
    const int x0 = (from->width - w) / 2, y0 = (from->height - h) / 2;
    *to = (struct image){.rgb = mem_alloc((size_t)w * (size_t)h, 3), .width = w, .height = h};
    if (to->rgb == NULL) {
        return err_nomem(err, (size_t)w * (size_t)h * 3);
    }
    for (int y = 0; y < h; y++) {
        memcpy(to->rgb + (size_t)y * (size_t)w * 3,
               from->rgb + ((size_t)(y0 + y) * (size_t)from->width + (size_t)x0) * 3,
               (size_t)w * 3);
    }
    return VOV_OK;
}

static enum vov_status draw_picture(int i, struct buf *jpeg, struct err *err)
{
    struct scene_options opt = {.size = JPEG_SCENE};
    struct rng r = rng_open(SEED, RNG_DRAW, (uint64_t)i, 0);
    struct scene scene = {0};
    struct image img = {0};
    TRY(drawn_classes(NULL, &opt, err));
    enum vov_status status = scene_draw(&opt, &r, &scene, err);
    if (status == VOV_OK) {
        status = crop(&scene.img, &img, err);
    }
    if (status == VOV_OK) {
        status = image_encode("picture.jpg", &img, jpeg, err);
    }
    image_free(&img);
    image_free(&scene.img);
    return status;
}

static enum vov_status draw_pictures(struct bench_plan *p, struct err *err)
{
    for (int i = 0; i < BENCH_PICTURES && p->jpeg[i].n == 0; i++) {
        TRY(draw_picture(i, &p->jpeg[i], err));
    }
    return VOV_OK;
}

void bench_plan_free(struct bench_plan *p)
{
    for (int i = 0; i < BENCH_PICTURES; i++) {
        buf_free(&p->jpeg[i]);
    }
}

struct model *bench_case_model(struct bench_case *c)
{
    return c->plan->training ? &c->training : &c->detector.model;
}

static struct model_options options_of(const struct bench_plan *p)
{
    return (struct model_options){.training = p->training,
                                  .batch = p->batch,
                                  .width = p->size.width,
                                  .height = p->size.height,
                                  .one_way = true, /* its pictures are wide */
                                  .set = p->set->v,
                                  .n_set = p->set->n,
                                  .log = p->log};
}

static enum vov_status build_costs(struct bench_case *c, const char *config, struct err_list *errs)
{
    struct model_options opt = options_of(c->plan);
    opt.training = false;
    opt.batch = 1;
    opt.keep_norms = true;
    return model_build(config, &opt, &c->costs, errs);
}

static void fill_normal(real *v, size_t n)
{
    struct rng r = rng_open(SEED, RNG_TEST, 0, 0);
    for (size_t i = 0; i < n; i++) {
        v[i] = (real)rng_normal(&r);
    }
}

/* Labels, or three boxes in each picture; see struct head. */
static void fill_truth(real *truth, const struct tensor *t, int classes)
{
    struct rng r = rng_open(SEED, RNG_TEST, 1, 0);
    const int rows = t->shape.c;
    for (int i = 0; i < t->shape.n; i++) {
        if (t->shape.h == 1) {
            truth[i] = (real)rng_int(&r, classes);
            continue;
        }
        for (int k = 0; k < rows && k < 3; k++) {
            const double w = rng_range(&r, 0.1, 0.5), h = rng_range(&r, 0.1, 0.5);
            const double x = rng_range(&r, 0, 1 - w), y = rng_range(&r, 0, 1 - h);
            real *box = truth + ((size_t)i * (size_t)rows + (size_t)k) * 5;
            box[0] = (real)x;
            box[1] = (real)y;
            box[2] = (real)(x + w);
            box[3] = (real)(y + h);
            box[4] = (real)(1 + rng_int(&r, classes));
        }
    }
}

/* Objects that fill their boxes. */
static enum vov_status fill_masks(struct bench_case *c, struct err *err)
{
    const size_t n = shape_count(c->training.head.truth_masks->shape);
    c->masks = mem_alloc(n, sizeof *c->masks);
    for (size_t i = 0; c->masks != NULL && i < n; i++) {
        c->masks[i] = 1;
    }
    return c->masks != NULL ? VOV_OK : err_nomem(err, n * sizeof *c->masks);
}

static enum vov_status start_training(struct bench_case *c, struct err *err)
{
    struct model *m = &c->training;
    TRY(model_start(m, c->plan->be, SEED, err));
    if (c->plan->weights != NULL) {
        TRY(weights_read(c->plan->weights, &m->exec.params, err));
    }
    TRY(sgd_open(&c->sgd, &m->exec.params, &m->net, err));
    exec_set_gain(&m->exec, loss_scale_first(&m->net).value);
    const size_t n = shape_count(m->input->shape), n_truth = shape_count(m->head.truth->shape);
    c->input = mem_alloc(n, sizeof *c->input);
    c->truth = mem_alloc(n_truth, sizeof *c->truth);
    if (c->input == NULL || c->truth == NULL) {
        return err_nomem(err, (n + n_truth) * sizeof *c->input);
    }
    fill_normal(c->input, n);
    fill_truth(c->truth, m->head.truth, m->head.classes);
    model_place(m, NULL);
    return m->head.truth_masks != NULL ? fill_masks(c, err) : VOV_OK;
}

static enum vov_status open_net(struct bench_case *c, const char *config, struct err_list *errs)
{
    const struct model_options opt = options_of(c->plan);
    struct err err = {0};
    if (c->plan->training) {
        TRY(model_build(config, &opt, &c->training, errs));
        return start_training(c, &err) == VOV_OK ? VOV_OK : err_list_add(errs, &err);
    }
    TRY(detector_open(&c->detector, config, c->plan->weights, &opt, c->plan->be, errs));
    const struct model *m = &c->detector.model;
    c->pictures = m->head.type != NULL && m->head.type->detects && m->net.channels == 3;
    fill_normal(c->detector.images, shape_count(m->input->shape));
    return c->pictures && draw_pictures(c->plan, &err) != VOV_OK ? err_list_add(errs, &err)
                                                                 : VOV_OK;
}

/* Which stages there will be. */
static bool has_stage(const struct bench_case *c, enum bench_stage s)
{
    switch (s) {
    case BENCH_FORWARD:
    case BENCH_BACKWARD:
    case BENCH_UPDATE:
        return c->plan->training;
    case BENCH_DECODE:
    case BENCH_PREPROCESS:
    case BENCH_POST:
        return c->pictures;
    case BENCH_BACKBONE:
    case BENCH_HEAD:
        return !c->plan->training;
    default:
        return true;
    }
}

static enum vov_status grow(struct bench_case *c, struct err *err)
{
    const int cap = c->cap_runs > 0 ? 2 * c->cap_runs : 256;
    if (c->n_runs < c->cap_runs) {
        return VOV_OK;
    }
    if (cap > MAX_RUNS) {
        return err_set(err, VOV_EARG, "more than %d runs: a shorter --time is enough", MAX_RUNS);
    }
    for (int s = 0; s < BENCH_STAGES; s++) {
        if (!has_stage(c, (enum bench_stage)s)) {
            continue;
        }
        double *more = mem_resize(c->seconds[s], (size_t)cap, sizeof *more);
        if (more == NULL) {
            return err_nomem(err, (size_t)cap * sizeof *more);
        }
        c->seconds[s] = more;
    }
    c->cap_runs = cap;
    return VOV_OK;
}

/* Clears *t to now and gives what has passed. */
static double lap(double *t)
{
    const double now = clock_now(), passed = now - *t;
    *t = now;
    return passed;
}

static enum vov_status decode(struct bench_case *c, int slot, double at[BENCH_STAGES],
                              struct err *err)
{
    const struct buf *file = &c->plan->jpeg[c->next_picture++ % BENCH_PICTURES];
    double t = clock_now();
    struct image img;
    TRY(image_decode("a drawn picture", file->p, file->n, c->plan->log, &img, err));
    at[BENCH_DECODE] += lap(&t);
    const enum vov_status status = detector_put(&c->detector, slot, &img, err);
    image_free(&img);
    at[BENCH_PREPROCESS] += lap(&t);
    return status;
}

static enum vov_status find_boxes(struct bench_case *c, struct err *err)
{
    for (int slot = 0; slot < c->plan->batch; slot++) {
        det_clear(&c->found);
        TRY(detector_get(&c->detector, slot, BENCH_PICTURE_WIDTH, BENCH_PICTURE_HEIGHT,
                         c->plan->thresh, &c->found, err));
    }
    return VOV_OK;
}

static enum vov_status infer(struct bench_case *c, double at[BENCH_STAGES], struct err *err)
{
    struct model *m = &c->detector.model;
    double start = clock_now();
    for (int slot = 0; slot < c->plan->batch && c->pictures; slot++) {
        TRY(decode(c, slot, at, err));
    }
    double t = clock_now();
    detector_send(&c->detector);
    if (c->pictures) {
        at[BENCH_PREPROCESS] += lap(&t);
    } else { /* the tensor was there */
        start = t = clock_now();
    }
    layers_begin(&c->layers);
    TRY(exec_forward(&m->exec, 0, err));
    const double net = lap(&t);
    at[BENCH_BACKBONE] = layers_forward_seconds(&c->layers, 0, c->head_node);
    at[BENCH_HEAD] = net - at[BENCH_BACKBONE];
    if (c->pictures) {
        TRY(find_boxes(c, err));
        at[BENCH_POST] = lap(&t);
    }
    at[BENCH_TOTAL] = t - start;
    return VOV_OK;
}

static enum vov_status train(struct bench_case *c, double at[BENCH_STAGES], struct err *err)
{
    struct model *m = &c->training;
    struct params *p = &m->exec.params;
    struct backend *be = c->plan->be;
    exec_set(&m->exec, m->input, c->input);
    exec_set(&m->exec, m->head.truth, c->truth);
    if (m->head.truth_masks != NULL) {
        exec_set(&m->exec, m->head.truth_masks, c->masks);
    }
    if (m->head.extent != NULL) {
        exec_set(&m->exec, m->head.extent, m->extent);
    }
    const double start = clock_now();
    double t = start;
    be->ops->block_fill(be, p->n_learn, p->grad, 0);
    const double clearing = lap(&t);
    layers_begin(&c->layers);
    TRY(exec_forward(&m->exec, (uint64_t)c->n_runs, err));
    at[BENCH_FORWARD] = lap(&t);
    layers_begin(&c->layers);
    TRY(exec_backward(&m->exec, (uint64_t)c->n_runs, err));
    at[BENCH_BACKWARD] = lap(&t);
    sgd_set_rate(&c->sgd, rate);
    sgd_update(&c->sgd, 1 / loss_scale_first(&m->net).value, NULL);
    TRY(backend_check(be, err));
    at[BENCH_UPDATE] = lap(&t) + clearing;
    at[BENCH_TOTAL] = t - start;
    return VOV_OK;
}

enum vov_status bench_case_run(struct bench_case *c, struct err *err)
{
    double at[BENCH_STAGES] = {0};
    TRY(grow(c, err));
    TRY(c->plan->training ? train(c, at, err) : infer(c, at, err));
    for (int s = 0; s < BENCH_STAGES; s++) {
        if (c->seconds[s] != NULL) {
            c->seconds[s][c->n_runs] = at[s];
        }
    }
    c->n_runs++;
    layers_keep(&c->layers);
    return VOV_OK;
}

void bench_case_forget(struct bench_case *c)
{
    c->n_runs = 0;
    c->layers.n_kept = 0;
}

/* After a run: a node, or an output of inference, whose numbers are not finite. */
static const char *find_nonfinite(struct bench_case *c)
{
    struct model *m = bench_case_model(c);
    struct backend *be = m->exec.be;
    if (c->plan->training) {
        return exec_find_nonfinite(&m->exec, 0);
    }
    for (int i = 0; i < m->head.n_out; i++) {
        if (!be->ops->finite(be, &m->head.out[i]->val, 1)) {
            return m->head.out[i]->name;
        }
    }
    return NULL;
}

static enum vov_status first_run(struct bench_case *c, struct err *err)
{
    struct exec *e = &bench_case_model(c)->exec;
    c->head_node = model_head_node(bench_case_model(c));
    TRY(layers_open(&c->layers, e, c->head_node, c->plan->layers ? KEPT_RUNS : 0, err));
    TRY(bench_case_run(c, err));
    const char *bad = find_nonfinite(c);
    if (bad != NULL) {
        return err_set(err, VOV_ENONFINITE,
                       "%s: %s is not finite with %s weights: no numbers that a user would have",
                       c->costs.cfg.path, bad, c->plan->weights != NULL ? "these" : "random");
    }
    bench_case_forget(c);
    return VOV_OK;
}

enum vov_status bench_case_open(struct bench_case *c, struct bench_plan *p, const char *config,
                                struct err_list *errs)
{
    const size_t before = usage_now_bytes();
    const bool measured = usage_peak_reset() && before != SIZE_MAX;
    struct err err = {0};
    *c = (struct bench_case){.plan = p};
    TRY(build_costs(c, config, errs));
    TRY(open_net(c, config, errs));
    if (first_run(c, &err) != VOV_OK) {
        return err_list_add(errs, &err);
    }
    const size_t peak = usage_peak_bytes();
    c->resident_bytes = measured && peak > before ? peak - before : 0;
    return VOV_OK;
}

void bench_case_close(struct bench_case *c)
{
    layers_close(&c->layers);
    for (int s = 0; s < BENCH_STAGES; s++) {
        mem_free(c->seconds[s]);
    }
    mem_free(c->input);
    mem_free(c->truth);
    mem_free(c->masks);
    det_free(&c->found);
    sgd_close(&c->sgd);
    model_close(&c->training);
    detector_close(&c->detector);
    model_close(&c->costs);
    *c = (struct bench_case){0};
}
