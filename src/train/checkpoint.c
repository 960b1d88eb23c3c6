/*
 * checkpoint.c - model and run state to a safetensors file and back.
 */
#include "checkpoint.h"

#include "base/json.h"
#include "base/text.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const long most_iterations = 1000000000000; /* so that their pictures can be counted */
static const char *const format_name = "vov checkpoint 1";

static void put_numbers(struct buf *b, const double *v, int n)
{
    for (int i = 0; i < n; i++) {
        buf_puts(b, i > 0 ? "," : "[");
        json_put_real(b, v[i]);
    }
    buf_puts(b, "]");
}

static char *pixels_text(struct arena *mem, const struct model *m)
{
    const struct pixels px = model_pixels(m);
    struct buf b = {0};
    buf_printf(&b, "{\"width\":%d,\"height\":%d,\"mean\":", px.width, px.height);
    put_numbers(&b, px.mean, 3);
    buf_puts(&b, ",\"std\":");
    put_numbers(&b, px.std, 3);
    buf_printf(&b, ",\"bgr\":%s,\"letterbox\":%s}", px.bgr ? "true" : "false",
               px.letterbox ? "true" : "false");
    char *text = b.failed ? NULL : arena_strdup(mem, b.p);
    buf_free(&b);
    return text;
}

static char *classes_text(struct arena *mem, const char *const *name, int n)
{
    struct buf b = {0};
    buf_puts(&b, "[");
    for (int i = 0; i < n; i++) {
        buf_puts(&b, i > 0 ? "," : "");
        json_put_str(&b, name[i]);
    }
    buf_puts(&b, "]");
    char *text = b.failed ? NULL : arena_strdup(mem, b.p);
    buf_free(&b);
    return text;
}

static char *keys_text(struct arena *mem, const long long *key, int n)
{
    struct buf b = {0};
    buf_puts(&b, "[");
    for (int i = 0; i < n; i++) {
        buf_printf(&b, "%s%lld", i > 0 ? "," : "", key[i]);
    }
    buf_puts(&b, "]");
    char *text = b.failed ? NULL : arena_strdup(mem, b.p);
    buf_free(&b);
    return text;
}

static char *cfg_text(struct arena *mem, const struct model *m)
{
    struct buf b = {0};
    cfg_print(&m->cfg, &b);
    char *text = b.failed || b.p == NULL ? NULL : arena_strdup(mem, b.p);
    buf_free(&b);
    return text;
}

static bool put(struct map *meta, const char *key, char *value)
{
    return value != NULL && map_put(meta, key, value);
}

/* What the net and the data are. */
static bool put_net(struct arena *mem, const struct model *m, const struct run_state *s,
                    struct map *meta)
{
    return put(meta, "format", arena_strdup(mem, format_name)) &&
           put(meta, "program", arena_strdup(mem, "vov " VOV_VERSION)) &&
           put(meta, "cfg_name", arena_strdup(mem, m->cfg.path != NULL ? m->cfg.path : "")) &&
           put(meta, "cfg", cfg_text(mem, m)) &&
           put(meta, "classes", classes_text(mem, s->class_name, s->n_classes)) &&
           put(meta, "category_ids", keys_text(mem, s->class_key, s->n_classes)) &&
           put(meta, "pixels", pixels_text(mem, m));
}

/* Where the run is. */
static bool put_state(struct arena *mem, const struct model *m, const struct run_state *s,
                      struct map *meta)
{
    const unsigned long long seed = s->seed;
    if (m->net.precision == PRECISION_FP16 &&
        (!put(meta, "loss_scale", arena_printf(mem, "%.17g", s->scale.value)) ||
         !put(meta, "loss_scale_good", arena_printf(mem, "%ld", s->scale.good)))) {
        return false;
    }
    return put(meta, "seed", arena_printf(mem, "%llu", seed)) &&
           put(meta, "iteration", arena_printf(mem, "%ld", s->iteration)) &&
           put(meta, "iterations", arena_printf(mem, "%ld", s->total)) &&
           put(meta, "epoch", arena_printf(mem, "%d", s->epoch)) &&
           put(meta, "best_score", arena_printf(mem, "%.17g", s->best_score)) &&
           put(meta, "best_iteration", arena_printf(mem, "%ld", s->best_iteration)) &&
           put(meta, "rng",
               arena_printf(mem, "counter; keys: seed %llu, epoch %d, iteration %ld, purpose", seed,
                            s->epoch, s->iteration));
}

/* The first n parameters under names that begin with `prefix`. */
static bool fill_sources(struct arena *mem, const struct params *p, const char *prefix, int n,
                         struct st_source *source)
{
    for (int i = 0; i < n; i++) {
        const char *name = arena_printf(mem, "%s%s", prefix, p->tensor[i]->name);
        if (name == NULL) {
            return false;
        }
        source[i] = weights_source(p, p->tensor[i], name);
    }
    return true;
}

/* Parameters in block order; where an average is kept they are it, and the values come next; then
 * the momentum of those that learn. Returns their number, -1: no memory. */
static int list_sources(struct arena *mem, const struct params *p, struct st_source *source)
{
    const int n_last = p->avg != NULL ? p->n : 0;
    int n_learn = 0;
    while (p->mom != NULL && n_learn < p->n && p->tensor[n_learn]->offset < p->n_learn) {
        n_learn++;
    }
    const bool done = fill_sources(mem, p, "", p->n, source) &&
                      fill_sources(mem, p, WEIGHTS_UNAVERAGED, n_last, source + p->n) &&
                      fill_sources(mem, p, WEIGHTS_MOMENTUM, n_learn, source + p->n + n_last);
    return done ? p->n + n_last + n_learn : -1;
}

enum vov_status checkpoint_write(const char *path, const struct model *m, const struct run_state *s,
                                 struct err *err)
{
    struct arena mem = {0};
    struct map meta = {0};
    const struct params *p = &m->exec.params;
    const size_t n_max = 3 * (size_t)p->n + 1;
    struct st_source *source = mem_alloc(n_max, sizeof *source);
    const int n = source != NULL ? list_sources(&mem, p, source) : -1;
    enum vov_status status;
    if (n < 0) {
        status = err_nomem(err, n_max * sizeof *source);
        goto done;
    }
    status = put_net(&mem, m, s, &meta) && put_state(&mem, m, s, &meta)
                 ? safetensors_write(path, source, n, &meta, err)
                 : err_nomem(err, n_max * sizeof *source);

done:
    map_free(&meta);
    mem_free(source);
    arena_free(&mem);
    return status;
}

static bool get_long(const struct safetensors *st, const char *key, long *out)
{
    const char *text = safetensors_meta(st, key);
    long long v;
    if (text == NULL || !text_int(text, &v) || v < 0 || v > LONG_MAX) {
        return false;
    }
    *out = (long)v;
    return true;
}

static bool get_iteration(const struct safetensors *st, long *out)
{
    return get_long(st, "iteration", out) && *out <= most_iterations;
}

/* Of a run in fp16; others have none. */
static bool get_scale(const struct safetensors *st, struct loss_scale *scale)
{
    const char *value = safetensors_meta(st, "loss_scale");
    return value == NULL ||
           (text_real(value, &scale->value) && scale->value >= 1 && isfinite(scale->value) &&
            get_long(st, "loss_scale_good", &scale->good));
}

enum vov_status checkpoint_state(const struct safetensors *st, const char *path,
                                 struct run_state *s, struct err *err)
{
    const char *format = safetensors_meta(st, "format");
    if (format == NULL || strncmp(format, "vov checkpoint ", 15) != 0) {
        return err_set(err, VOV_EFORMAT, "%s: weights only, no checkpoint of a training run", path);
    }
    if (strcmp(format, format_name) != 0) {
        return err_set(err, VOV_EFORMAT, "%s: it is a \"%.40s\", and this program reads \"%s\"",
                       path, format, format_name);
    }
    if (!st->verified) {
        return err_set(err, VOV_EFORMAT,
                       "%s: a checkpoint without a checksum cannot be gone on from", path);
    }
    long seed = 0, epoch = 0;
    const char *best = safetensors_meta(st, "best_score");
    *s = (struct run_state){0};
    const char *wrong = !get_long(st, "seed", &seed)                          ? "seed"
                        : !get_iteration(st, &s->iteration)                   ? "iteration"
                        : !get_long(st, "iterations", &s->total)              ? "iterations"
                        : !get_long(st, "epoch", &epoch) || epoch > INT_MAX   ? "epoch"
                        : !get_long(st, "best_iteration", &s->best_iteration) ? "best_iteration"
                        : best == NULL || !text_real(best, &s->best_score)    ? "best_score"
                        : !get_scale(st, &s->scale)                           ? "loss_scale"
                                                                              : NULL;
    if (wrong != NULL) {
        return err_set(err, VOV_EFORMAT,
                       "%s: its metadata \"%s\" is missing or no number that can be", path, wrong);
    }
    s->seed = (uint64_t)seed;
    s->epoch = (int)epoch;
    return VOV_OK;
}

enum vov_status checkpoint_resume(const struct safetensors *st, const char *path, struct model *m,
                                  struct run_state *s, struct err *err)
{
    struct params *p = &m->exec.params;
    TRY(checkpoint_state(st, path, s, err));
    const bool averaged = weights_have(st, WEIGHTS_UNAVERAGED);
    const struct weights_file result = {.st = st, .path = path, .prefix = ""},
                              last = {.st = st, .path = path, .prefix = WEIGHTS_UNAVERAGED},
                              momentum = {.st = st, .path = path, .prefix = WEIGHTS_MOMENTUM};
    TRY(weights_load(averaged ? &last : &result, p, p->val, NULL, err));
    if (averaged && p->avg != NULL) {
        TRY(weights_load(&result, p, p->avg, NULL, err));
    } else {
        params_start_average(p);
    }
    return weights_load(&momentum, p, p->mom, NULL, err);
}
