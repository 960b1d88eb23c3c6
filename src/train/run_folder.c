/*
 * run_folder.c - the folder of a run: last.safetensors, best.safetensors, metrics.jsonl.
 */
#include "run_folder.h"

#include "base/file.h"

#include <string.h>
#include <unistd.h>

/* The first names of a list, for messages. */
static void name_classes(const struct dataset *d, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < d->n_classes && used + strlen(d->class_name[i]) + 8 < size; i++) {
        used +=
            (size_t)snprintf(text + used, size - used, "%s%s", i > 0 ? ", " : "", d->class_name[i]);
    }
}

enum vov_status run_folder_check(const struct model *m, const struct dataset *d, struct err *err)
{
    if (m->head.type == NULL || m->head.truth == NULL) {
        return err_set(err, VOV_ECFG,
                       "%s has no head that learns; end it with [refinedet], [ssd] or [softmax]",
                       m->cfg.path);
    }
    TRY(model_takes_pictures(m, err));
    if (m->head.type->detects == d->labels) {
        return err_set(err, VOV_ECFG,
                       d->labels ? "%s ends in [%s], a detector, but %s has classes of whole "
                                   "pictures and no boxes"
                                 : "%s ends in [%s], a classifier, but %s has boxes; it wants a "
                                   "folder of pictures for each class",
                       m->cfg.path, m->head.type->name, d->path);
    }
    if (d->n == 0) {
        return err_set(err, VOV_EFORMAT, "%s: no pictures to train on", d->path);
    }
    if (!d->labels && d->n_truth == 0) {
        return err_set(err, VOV_EFORMAT,
                       "%s: not one box to learn from; `vov data check` says what became of its "
                       "annotations",
                       d->path);
    }
    if (m->head.truth_masks != NULL && dataset_count_masks(d, true) == 0) {
        return err_set(err, VOV_EFORMAT,
                       "%s learns masks, but no annotation of %s has a \"segmentation\"; without "
                       "its mask head the net learns boxes alone",
                       m->cfg.path, d->path);
    }
    if (d->n_classes != m->head.classes) {
        char names[160];
        name_classes(d, names, sizeof names);
        return err_set(err, VOV_ECFG,
                       "the data has %d classes (%s), %s is made for %d: train with --set "
                       "net.classes=%d",
                       d->n_classes, names, m->cfg.path, m->head.classes, d->n_classes);
    }
    return VOV_OK;
}

struct cfg_line {
    const char *s;
    size_t n;
};

/* What a run that was killed while it wrote left behind: "last.safetensors.tmp-123-0". */
static void sweep(const char *out)
{
    char **names;
    int n;
    if (file_list(out, &names, &n, NULL) != VOV_OK) {
        return;
    }
    for (int i = 0; i < n; i++) {
        char *path =
            strstr(names[i], ".safetensors.tmp-") != NULL ? path_join(out, names[i]) : NULL;
        if (path != NULL) {
            unlink(path);
        }
        mem_free(path);
    }
    file_list_free(names, n);
}

/* The next line of a cfg that does not say how long to train, which may change; moves *text past
 * it. */
static struct cfg_line next_line(const char **text)
{
    struct cfg_line line = {*text, 0};
    do {
        line = (struct cfg_line){*text, strcspn(*text, "\n")};
        *text += line.n + ((*text)[line.n] == '\n');
    } while (strncmp(line.s, "epochs=", 7) == 0 || strncmp(line.s, "max_batches=", 12) == 0);
    return line;
}

/* Says where the cfg is another than when the run began: a --set that was forgotten. */
static void compare_cfg(const struct trainer *t, const struct safetensors *st)
{
    struct buf text = {0};
    cfg_print(&t->model->cfg, &text);
    const char *then = safetensors_meta(st, "cfg"), *now = text.p;
    while (then != NULL && now != NULL && (*then != '\0' || *now != '\0')) {
        const struct cfg_line a = next_line(&then), b = next_line(&now);
        if (a.n != b.n || strncmp(a.s, b.s, a.n) != 0) {
            log_put(
                t->opt->log, LOG_WARN,
                "%s: the cfg said \"%.*s\" when the run began, and says \"%.*s\" now: it goes on "
                "with that, not to the bits of a run that never stopped",
                t->last_path, (int)a.n, a.s, (int)b.n, b.s);
            break;
        }
    }
    buf_free(&text);
}

static enum vov_status resume(struct trainer *t, struct err *err)
{
    struct safetensors st;
    const uint64_t seed = t->state.seed;
    TRY(safetensors_read(t->last_path, &st, err));
    const enum vov_status status = checkpoint_resume(&st, t->last_path, t->model, &t->state, err);
    if (status == VOV_OK) {
        compare_cfg(t, &st);
    }
    safetensors_free(&st);
    TRY(status);
    if (t->opt->seed_given && seed != t->state.seed) {
        return err_set(err, VOV_EARG,
                       "%s was begun with seed %llu, not %llu: resume it without "
                       "--seed",
                       t->last_path, (unsigned long long)t->state.seed, (unsigned long long)seed);
    }
    t->resumed = true;
    return VOV_OK;
}

bool run_folder_begun(const char *out)
{
    char *path = path_join(out, "last.safetensors");
    const bool begun = path != NULL && file_exists(path);
    mem_free(path);
    return begun;
}

enum vov_status run_folder_open(struct trainer *t, struct err *err)
{
    const char *out = t->opt->out;
    t->last_path = path_join(out, "last.safetensors");
    t->best_path = path_join(out, "best.safetensors");
    if (t->last_path == NULL || t->best_path == NULL) {
        return err_nomem(err, strlen(out));
    }
    TRY(file_mkdirs(out, err));
    TRY(file_lock(out, &t->lock, err));
    if (file_exists(t->last_path) && !t->opt->resume) {
        return err_set(err, VOV_EARG,
                       "%s holds a run already: --resume goes on with it, another --out begins one",
                       out);
    }
    if (file_exists(t->last_path)) {
        sweep(out);
        return resume(t, err);
    }
    if (file_exists(t->best_path)) {
        return err_set(err, VOV_EARG,
                       "%s holds the best of a run, which a new one would write over, and no "
                       "last.safetensors to resume: give another --out",
                       out);
    }
    if (t->opt->resume) {
        log_put(t->opt->log, LOG_WARN, "%s holds no run to resume: a new one begins", out);
    }
    return VOV_OK;
}

/* The last, the best and the one that is being written are there at once. */
static enum vov_status check_room(const struct trainer *t, struct err *err)
{
    const struct params *p = &t->model->exec.params;
    const size_t numbers = p->count + p->n_learn + (p->avg != NULL ? p->count : 0);
    const int files = 3 - file_exists(t->last_path) - file_exists(t->best_path);
    const size_t need = (size_t)files * numbers * sizeof(real), room = file_room(t->opt->out);
    if (need <= room) {
        return VOV_OK;
    }
    return err_set(err, VOV_EIO,
                   "%s: its disk has room for %.1f MB, and the run needs %.1f MB: for "
                   "last.safetensors, best.safetensors and the one that is being written",
                   t->opt->out, (double)room / 1e6, (double)need / 1e6);
}

enum vov_status run_folder_prove(struct trainer *t, struct err *err)
{
    struct safetensors st;
    struct run_state s;
    TRY(check_room(t, err));
    TRY(checkpoint_write(t->last_path, t->model, &t->state, err));
    TRY(safetensors_read(t->last_path, &st, err));
    const enum vov_status status = checkpoint_state(&st, t->last_path, &s, err);
    safetensors_free(&st);
    return status;
}
