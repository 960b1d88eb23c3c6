/*
 * weights.c - the meeting of a file's tensors and a graph's parameters, by name and shape. First
 * everything is compared, then copied: a file that does not fit changes nothing.
 */
#include "weights.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Appends "name" to a list of names while there is room; the first one is cut to fit. */
static void list(char *text, size_t size, const char *name)
{
    const size_t n = strlen(text);
    if (n == 0 || n + strlen(name) + 6 < size) {
        snprintf(text + n, n > 0 ? size - n : size - 5, "%s%s", n > 0 ? ", " : "", name);
    } else if (n > 0 && text[n - 1] != '.' && n + 5 < size) {
        snprintf(text + n, size - n, ", ...");
    }
}

/* A matrix whose rows are images of the graph: a connected layer's weight. */
static bool is_matrix(const struct st_tensor *a, struct shape b)
{
    size_t columns = a->rank >= 2 ? a->dim[1] : 0;
    for (int i = 2; i < a->rank; i++) {
        columns = a->dim[i] == 1 ? columns : 0;
    }
    return columns > 0 && a->dim[0] == (size_t)b.n && columns == shape_count(b) / (size_t)b.n;
}

/* Trailing and leading ones do not count: a bias is [64] in files and [1, 64, 1, 1] in graphs. */
static bool same_shape(const struct st_tensor *a, struct shape b)
{
    const size_t want[4] = {(size_t)b.n, (size_t)b.c, (size_t)b.h, (size_t)b.w};
    int i = 0, k = 0;
    if (is_matrix(a, b)) {
        return true;
    }
    while (true) {
        while (i < a->rank && a->dim[i] == 1) {
            i++;
        }
        while (k < 4 && want[k] == 1) {
            k++;
        }
        if (i == a->rank || k == 4) {
            return i == a->rank && k == 4;
        }
        if (a->dim[i++] != want[k++]) {
            return false;
        }
    }
}

/* PyTorch's name for a parameter: "bn1.running_mean" for "bn1/mean". False: too long. */
static bool torch_name(const char *name, char *out, size_t size)
{
    static const char *const word[][2] = {
        {"gamma", "weight"}, {"beta", "bias"}, {"mean", "running_mean"}, {"var", "running_var"}};
    const char *last = strrchr(name, '/');
    const int stem = last != NULL ? (int)(last - name) : 0;
    const char *end = last != NULL ? last + 1 : name;

    for (int i = 0; i < 4; i++) {
        end = strcmp(end, word[i][0]) == 0 ? word[i][1] : end;
    }
    const int n = snprintf(out, size, "%.*s%s%s", stem, name, last != NULL ? "." : "", end);
    for (char *c = out; *c != '\0'; c++) {
        *c = *c == '/' ? '.' : *c;
    }
    return n > 0 && (size_t)n < size;
}

/* Under our name, or PyTorch's. */
static const struct st_tensor *find(const struct weights_file *f, const char *name)
{
    char key[512], theirs[400];
    const int n = snprintf(key, sizeof key, "%s%s", f->prefix, name);
    const struct st_tensor *t =
        n > 0 && (size_t)n < sizeof key ? safetensors_find(f->st, key) : NULL;

    if (t == NULL && torch_name(name, theirs, sizeof theirs)) {
        snprintf(key, sizeof key, "%s%s", f->prefix, theirs);
        t = safetensors_find(f->st, key);
    }
    return t;
}

static void note_misshapen(struct weights_report *r, const struct st_tensor *t, struct shape want)
{
    char text[240], dims[100] = "";
    for (int i = 0; i < t->rank; i++) {
        const size_t n = strlen(dims);
        snprintf(dims + n, sizeof dims - n, "%s%zu", i > 0 ? "x" : "", t->dim[i]);
    }
    snprintf(text, sizeof text, "%.60s (%s in the file, %dx%dx%dx%d in the net)", t->name, dims,
             want.n, want.c, want.h, want.w);
    r->misshapen++;
    list(r->misshapen_names, sizeof r->misshapen_names, text);
}

static bool begins(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

bool weights_have(const struct safetensors *st, const char *prefix)
{
    bool has = false;
    for (int i = 0; i < st->n && !has; i++) {
        has = begins(st->tensor[i].name, prefix);
    }
    return has;
}

/* Whether s is a concern of f: has the prefix, and is nothing that only training needs, nor
 * PyTorch's count of the batches that a norm has seen. */
static bool is_in(const struct weights_file *f, const struct st_tensor *s)
{
    static const char count[] = ".num_batches_tracked";
    const size_t length = strlen(s->name);

    if (!begins(s->name, f->prefix) ||
        (f->prefix[0] == '\0' &&
         (begins(s->name, WEIGHTS_MOMENTUM) || begins(s->name, WEIGHTS_UNAVERAGED)))) {
        return false;
    }
    return length < sizeof count || strcmp(s->name + length + 1 - sizeof count, count) != 0;
}

/* used: [f->st->n], cleared. */
static void compare(const struct weights_file *f, const struct params *p, int n_params, bool *used,
                    struct weights_report *r)
{
    for (int i = 0; i < n_params; i++) {
        const struct tensor *t = p->tensor[i];
        const struct st_tensor *s = find(f, t->name);
        if ((t->flags & T_DERIVED) != 0) {
            continue;
        }
        if (s == NULL) {
            r->missing++;
            list(r->missing_names, sizeof r->missing_names, t->name);
            continue;
        }
        used[s - f->st->tensor] = true;
        if (!same_shape(s, t->shape)) {
            note_misshapen(r, s, t->shape);
        } else {
            r->matched++;
        }
    }
    for (int i = 0; i < f->st->n; i++) {
        if (!used[i] && is_in(f, &f->st->tensor[i])) {
            r->extra++;
            list(r->extra_names, sizeof r->extra_names, f->st->tensor[i].name);
        }
    }
}

static enum vov_status refuse(const char *path, const struct weights_report *r, struct err *err)
{
    if (r->misshapen > 0) {
        return err_set(err, VOV_EFORMAT,
                       "%s: %d tensors have another shape than the net's: %s; is it the cfg that "
                       "they were trained with?",
                       path, r->misshapen, r->misshapen_names);
    }
    if (r->missing > 0) {
        return err_set(err, VOV_EFORMAT, "%s: %d of the net's %d tensors are missing: %s%s%s%s",
                       path, r->missing, r->missing + r->matched, r->missing_names,
                       r->extra > 0 ? "; it has others: " : "", r->extra_names,
                       r->matched == 0 ? "; are they weights of another net?" : "");
    }
    return err_set(err, VOV_EFORMAT, "%s: %d tensors have no place in the net: %s", path, r->extra,
                   r->extra_names);
}

/* What p's parameter i is filled with; NULL: the file has nothing for it. */
static const struct st_tensor *source_of(const struct weights_file *f, const struct params *p,
                                         int i)
{
    const struct tensor *t = p->tensor[i];
    const struct st_tensor *s = find(f, t->name);
    return s != NULL && same_shape(s, t->shape) ? s : NULL;
}

/* numbers: room for t. */
static enum vov_status copy_one(const struct weights_file *f, const struct st_tensor *s,
                                const struct tensor *t, struct params *p, real *which,
                                real *numbers, struct err *err)
{
    TRY(safetensors_numbers(s, numbers, err));
    size_t finite = 0; /* without a branch: there are many numbers */
    for (size_t i = 0; i < s->count; i++) {
        finite += isfinite(numbers[i]) != 0;
    }
    if (finite < s->count) {
        size_t i = 0;
        while (isfinite(numbers[i])) {
            i++;
        }
        return err_set(err, VOV_EFORMAT, "%s: number %zu of tensor %s is not finite", f->path, i,
                       s->name);
    }
    params_set(p, which, t, numbers);
    return VOV_OK;
}

/* The parameters that are weights, or all others. */
static enum vov_status copy_kind(const struct weights_file *f, bool weights, struct params *p,
                                 int n_params, real *which, real *numbers, struct err *err)
{
    for (int i = 0; i < n_params; i++) {
        const struct tensor *t = p->tensor[i];
        const struct st_tensor *from = source_of(f, p, i);
        if (from == NULL || (t->kind == PARAM_WEIGHT) != weights) {
            continue;
        }
        TRY(copy_one(f, from, t, p, which, numbers, err));
        if (weights && f->filled != NULL) {
            TRY(f->filled(f->user, t, err));
        }
    }
    return VOV_OK;
}

static enum vov_status copy_all(const struct weights_file *f, struct params *p, real *which,
                                int n_params, struct err *err)
{
    size_t most = 1;
    for (int i = 0; i < n_params; i++) {
        const size_t n = shape_count(p->tensor[i]->shape);
        most = n > most ? n : most;
    }
    real *numbers = mem_block_alloc(most * sizeof *numbers);
    enum vov_status status = numbers != NULL ? VOV_OK : err_nomem(err, most * sizeof *numbers);
    for (int weights = 0; weights < 2 && status == VOV_OK; weights++) {
        status = copy_kind(f, weights == 1, p, n_params, which, numbers, err);
    }
    mem_block_free(numbers);
    return status;
}

/* Momentum belongs to the parameters that learn, which come first in the block. */
static int params_of(const struct params *p, const real *which)
{
    int n = p->n;
    while (p->mom != NULL && which == p->mom && n > 0 && p->tensor[n - 1]->offset >= p->n_learn) {
        n--;
    }
    return n;
}

enum vov_status weights_load(const struct weights_file *f, struct params *p, real *which,
                             struct weights_report *report, struct err *err)
{
    struct weights_report own = {0};
    const int n = params_of(p, which);
    bool *used = mem_alloc((size_t)f->st->n + 1, sizeof *used);
    if (used == NULL) {
        return err_nomem(err, (size_t)f->st->n);
    }
    compare(f, p, n, used, &own);
    mem_free(used);
    if (report != NULL) {
        *report = own;
    } else if (own.misshapen > 0 || own.missing > 0 || own.extra > 0) {
        return refuse(f->path, &own, err);
    }
    return copy_all(f, p, which, n, err);
}

enum vov_status weights_read(const char *path, struct params *p, struct err *err)
{
    struct safetensors st;

    TRY(safetensors_read(path, &st, err));
    const struct weights_file file = {.st = &st, .path = path, .prefix = ""};
    const enum vov_status status = weights_load(&file, p, p->val, NULL, err);
    safetensors_free(&st);
    return status;
}

static void get_numbers(const void *user, const struct st_source *s, real *out)
{
    const struct params *p = user;
    const struct tensor *t = s->what;
    real *which = params_result(p);
    if (begins(s->name, WEIGHTS_MOMENTUM)) {
        which = p->mom;
    } else if (begins(s->name, WEIGHTS_UNAVERAGED)) {
        which = p->val;
    }
    params_get(p, which, t, out);
}

struct st_source weights_source(const struct params *p, const struct tensor *t, const char *name)
{
    struct st_source s = {.name = name, .get = get_numbers, .user = p, .what = t};
    const size_t dim[4] = {(size_t)t->shape.n, (size_t)t->shape.c, (size_t)t->shape.h,
                           (size_t)t->shape.w};
    if (t->kind == PARAM_WEIGHT) {
        s.rank = 4;
        memcpy(s.dim, dim, sizeof dim);
    } else {
        s.rank = 1;
        s.dim[0] = shape_count(t->shape);
    }
    return s;
}
