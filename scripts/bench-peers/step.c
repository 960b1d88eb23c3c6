/*
 * step.c - a training step of vov for worker.py, which loads this as a library: vov.h has none,
 * since it runs networks and does not train them. The same as the trainer does between two batches.
 */
#include "io/weights.h"
#include "model/model.h"
#include "train/sgd.h"

struct stepper {
    struct backend *be;
    struct model model;
    struct sgd sgd;
    real *images, *labels; /* borrowed */
};

static struct stepper the;
static struct err err;
static struct err_list errs;

static enum vov_status load(const char *path)
{
    struct safetensors st;
    TRY(safetensors_read(path, &st, &err));
    const struct weights_file file = {&st, path, ""};
    const enum vov_status status =
        weights_load(&file, &the.model.exec.params, the.model.exec.params.val, NULL, &err);
    safetensors_free(&st);
    return status;
}

static enum vov_status start(const char *cfg, const char *weights, int batch, int threads)
{
    const struct model_options opt = {.training = true, .batch = batch};
    TRY(backend_open("cpu", threads, &the.be, &err));
    if (model_build(cfg, &opt, &the.model, &errs) != VOV_OK) {
        return err_set(&err, VOV_ECFG, "%s", errs.item[0].msg);
    }
    TRY(model_start(&the.model, the.be, 1, &err));
    TRY(load(weights));
    return sgd_open(&the.sgd, &the.model.exec.params, &the.model.net, &err);
}

/* NULL, or what went wrong. The arrays stay the caller's and must live on. */
VOV_API const char *step_open(const char *cfg, const char *weights, int batch, int threads,
                              real *images, real *labels);
const char *step_open(const char *cfg, const char *weights, int batch, int threads, real *images,
                      real *labels)
{
    the.images = images;
    the.labels = labels;
    return start(cfg, weights, batch, threads) == VOV_OK ? NULL : err.msg;
}

static enum vov_status step(double rate, real *loss)
{
    struct model *m = &the.model;
    struct params *p = &m->exec.params;
    exec_set(&m->exec, m->input, the.images);
    exec_set(&m->exec, m->head.truth, the.labels);
    the.be->ops->block_fill(the.be, p->n_learn, p->grad, 0);
    TRY(exec_forward(&m->exec, 0, &err));
    exec_get(&m->exec, m->head.loss[0], loss);
    TRY(exec_backward(&m->exec, 0, &err));
    sgd_set_rate(&the.sgd, rate);
    sgd_update(&the.sgd, 1, NULL);
    return backend_check(the.be, &err);
}

/* One step; *loss is that of the weights before it. */
VOV_API const char *step_run(double rate, real *loss);
const char *step_run(double rate, real *loss)
{
    return step(rate, loss) == VOV_OK ? NULL : err.msg;
}
