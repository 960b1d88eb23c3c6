/*
 * exec.c - see exec.h.
 */
#include "exec.h"

#include "base/debug.h"

#include <math.h>

/* How many of the `batch` images that are planned would fit into `there` bytes. Activations grow
 * with the images but for the rounding of each buffer's end; the rest does not shrink. */
static size_t images_that_fit(const struct exec *e, int batch, size_t params, size_t there)
{
    const struct plan *p = &e->plan;
    const size_t fixed = params + p->scratch_bytes + (size_t)p->n_items * PLAN_ALIGN;
    const size_t each = p->arena_bytes / (size_t)batch + 1;

    return there > fixed ? (there - fixed) / each : 0;
}

/* Refuses a plan that this machine cannot hold, and says what it could. */
static enum vov_status check_memory(const struct exec *e, struct err *err)
{
    const size_t there = e->be->ops->free_bytes(e->be);
    const size_t params = params_bytes(e->g) + e->plan.pack_bytes;
    const size_t need = e->plan.arena_bytes + e->plan.scratch_bytes;
    const int batch = e->g->n_tensors > 0 ? e->g->tensors[0]->shape.n : 1;
    const double mib = 1024.0 * 1024.0;

    if (there == 0 || need + params <= there) {
        return VOV_OK;
    }
    char way_out[100] = "a smaller input would fit";
    const size_t fits = images_that_fit(e, batch, params, there);
    if (fits > 0) {
        snprintf(way_out, sizeof way_out, "%zu at a time would fit (set batch or subdivisions)",
                 fits);
    } else if (batch > 1) {
        snprintf(way_out, sizeof way_out, "one at a time or a smaller input may fit");
    }
    return err_set(err, VOV_ENOMEM,
                   "a batch of %d needs %.1f MiB beside %.1f MiB of parameters, but %.1f MiB are "
                   "free; %s",
                   batch, (double)need / mib, (double)params / mib, (double)there / mib, way_out);
}

static void fill_nan(const struct exec *e, void *p, size_t bytes)
{
    e->be->ops->block_fill(e->be, bytes / sizeof(real), p, (real)NAN);
}

static void write_constants(struct exec *e)
{
    for (int i = 0; i < e->g->n_tensors; i++) {
        const struct tensor *t = e->g->tensors[i];
        if (t->constant != NULL && t->val.p != NULL) {
            exec_set(e, t, t->constant);
        }
    }
}

static enum vov_status make_plan(struct exec *e, const struct plan_options *opt, struct err *err)
{
    struct graph *g = e->g;

    if (opt->copy) {
        graph_alias_none(g);
    } else {
        graph_alias(g);
    }
    if (graph_grad_modes(g) != VOV_OK) {
        return err_nomem(err, (size_t)g->n_tensors);
    }
    return plan_build(g, e->be, opt, &e->plan, err);
}

static void bind(struct exec *e)
{
    plan_bind(e->g, &e->plan, e->arena);
    if (debug_on(DEBUG_POISON)) {
        fill_nan(e, e->arena, e->plan.arena_bytes);
    }
    write_constants(e);
}

static enum vov_status open_memory(struct exec *e, const struct plan_options *opt, struct err *err)
{
    const struct backend_ops *ops = e->be->ops;

    TRY(make_plan(e, opt, err));
    TRY(check_memory(e, err));
    TRY(params_open(e->g, e->be, &e->params, err));
    e->arena = ops->alloc(e->be, e->plan.arena_bytes + 1);
    e->scratch = ops->alloc(e->be, e->plan.scratch_bytes + 1);
    e->packs = ops->alloc(e->be, e->plan.pack_bytes + 1);
    if (e->arena == NULL || e->scratch == NULL || e->packs == NULL) {
        return err_nomem(err, e->plan.arena_bytes + e->plan.scratch_bytes + e->plan.pack_bytes);
    }
    bind(e);
    return VOV_OK;
}

enum vov_status exec_open(struct graph *g, struct backend *be, const struct plan_options *opt,
                          struct exec *e, struct err *err)
{
    *e = (struct exec){.g = g, .be = be, .settings = be->settings, .gain = 1};
    const enum vov_status status = open_memory(e, opt, err);
    if (status != VOV_OK) {
        exec_close(e);
    }
    return status;
}

/* A block of at least `need` bytes where there was one of `have`. */
static bool enlarge(struct backend *be, void **block, size_t have, size_t need)
{
    if (need > have) {
        be->ops->release(be, *block);
        *block = be->ops->alloc(be, need + 1);
    }
    return *block != NULL;
}

/* Node i of the first graph, which reads the same weights; NULL: it does not. */
static const struct node *same_in_first(const struct exec *second, int i)
{
    const struct graph *g = second->first->g;
    const struct node *n = second->g->nodes[i], *other = i < g->n_nodes ? g->nodes[i] : NULL;

    return other != NULL && other->type == n->type && n->n_param > 0 && other->n_param > 0 &&
                   other->param[0]->offset == n->param[0]->offset
               ? other
               : NULL;
}

/* Weights that are packed in the same form for both graphs are packed once. */
static void borrow_packs(struct exec *e)
{
    e->plan.pack_bytes = 0;
    for (int i = 0; i < e->g->n_nodes; i++) {
        struct node *n = e->g->nodes[i];
        const struct node *other = same_in_first(e, i);
        if (other != NULL && n->pack_bytes > 0 && other->pack_bytes == n->pack_bytes) {
            n->lender = other;
        } else {
            n->pack_at = e->plan.pack_bytes;
            e->plan.pack_bytes += (n->pack_bytes + 63) / 64 * 64;
        }
    }
}

static enum vov_status join_memory(struct exec *e, const struct plan_options *opt, struct err *err)
{
    struct exec *f = e->first;

    TRY(make_plan(e, opt, err));
    TRY(params_share(e->g, &f->params, &e->params, err));
    borrow_packs(e);
    e->packs = e->be->ops->alloc(e->be, e->plan.pack_bytes + 1);
    if (e->packs == NULL || !enlarge(e->be, &f->arena, f->plan.arena_bytes, e->plan.arena_bytes) ||
        !enlarge(e->be, &f->scratch, f->plan.scratch_bytes, e->plan.scratch_bytes)) {
        return err_nomem(err, e->plan.arena_bytes + e->plan.scratch_bytes + e->plan.pack_bytes);
    }
    e->arena = f->arena;
    e->scratch = f->scratch;
    bind(e);
    bind(f); /* its arena may be another now */
    f->last = f;
    f->second = e;
    return VOV_OK;
}

enum vov_status exec_open_second(struct graph *g, struct exec *first,
                                 const struct plan_options *opt, struct exec *e, struct err *err)
{
    *e = (struct exec){.g = g, .be = first->be, .gain = 1, .first = first};
    const enum vov_status status = join_memory(e, opt, err);
    if (status != VOV_OK) {
        exec_close(e);
    }
    return status;
}

void exec_close(struct exec *e)
{
    if (e->be != NULL) {
        tape_close(e->be, &e->forward);
        tape_close(e->be, &e->backward);
        tape_close(e->be, &e->both);
        if (e->first == NULL) {
            e->be->ops->release(e->be, e->arena);
            e->be->ops->release(e->be, e->scratch);
        } else {
            e->first->second = NULL;
        }
        e->be->ops->release(e->be, e->packs);
    }
    params_close(&e->params);
    plan_free(&e->plan);
    *e = (struct exec){0};
}

void exec_set_gain(struct exec *e, double gain)
{
    if (e->second != NULL) {
        exec_set_gain(e->second, gain);
    }
    e->gain = (real)gain;
    tape_close(e->be, &e->backward);
    tape_close(e->be, &e->both);
}

/* Whether n's weights are packed and nothing else reads them. */
static bool packs_alone(const struct exec *e, const struct node *n)
{
    return n->pack_bytes > 0 && (n->param[0]->flags & T_SHARED) == 0 && e->first == NULL &&
           e->second == NULL;
}

static void discard(const struct exec *e, const struct node *n)
{
    const struct tensor *w = n->param[0];

    e->be->ops->discard(e->be, w->val.p, shape_count(w->shape) * sizeof(real));
}

/* Gives weights back that the packed form replaces, so that the next layer's can have their pages.
 */
static void pack_node(const struct exec *e, struct node *n)
{
    if (n->lender != NULL) {
        n->packed = n->lender->packed;
        return;
    }
    n->packed = (char *)e->packs + n->pack_at;
    n->type->pack(n, e->be);
    if (packs_alone(e, n)) {
        discard(e, n);
    }
}

/* rest: without those that exec_settle_layer did. */
static void pack(struct exec *e, bool rest)
{
    for (int i = 0; i < e->g->n_nodes; i++) {
        struct node *n = e->g->nodes[i];
        if (n->pack_bytes > 0 && !(rest && packs_alone(e, n))) {
            pack_node(e, n);
        }
    }
    e->packed = true;
}

/* What neither graph reads as it was. */
static void discard_of_both(const struct exec *second)
{
    for (int i = 0; i < second->g->n_nodes; i++) {
        const struct node *n = second->g->nodes[i], *other = same_in_first(second, i);
        if (n->pack_bytes > 0 && other != NULL && other->pack_bytes > 0 &&
            (n->param[0]->flags & T_SHARED) == 0) {
            discard(second, n);
        }
    }
}

static void pack_both(struct exec *e, bool rest)
{
    struct exec *first = e->first != NULL ? e->first : e;

    pack(first, rest);
    if (first->second != NULL) {
        pack(first->second, rest);
        discard_of_both(first->second);
    }
}

void exec_pack(struct exec *e)
{
    pack_both(e, false);
}

static enum vov_status fold_node(struct exec *e, const struct node *n)
{
    return n->type->fold != NULL ? n->type->fold(n, &e->params) : VOV_OK;
}

enum vov_status exec_settle_layer(struct exec *e, const struct tensor *weight)
{
    for (int i = 0; i < e->g->n_nodes; i++) {
        struct node *n = e->g->nodes[i];
        if (packs_alone(e, n) && n->param[0] == weight) {
            TRY(fold_node(e, n));
            pack_node(e, n);
        }
    }
    return VOV_OK;
}

enum vov_status exec_settle_rest(struct exec *e)
{
    for (int i = 0; i < e->g->n_nodes; i++) {
        if (!packs_alone(e, e->g->nodes[i])) {
            TRY(fold_node(e, e->g->nodes[i]));
        }
    }
    pack_both(e, true);
    return VOV_OK;
}

/* Of two graphs in one memory: what the other one may have written over. */
static void take_turn(struct exec *e)
{
    struct exec *first = e->first != NULL ? e->first : e;

    if (first->second != NULL && first->last != e) {
        write_constants(e);
        first->last = e;
    }
}

void exec_set(struct exec *e, const struct tensor *t, const real *host)
{
    e->be->ops->write(e->be, t->val, host);
}

struct staged exec_stage(const struct exec *e, const struct tensor *t, const real *host)
{
    return e->be->ops->stage(e->be, host, shape_count(t->shape));
}

void exec_take(struct exec *e, const struct tensor *t, const struct staged *s)
{
    e->be->ops->write_staged(e->be, t->val, s);
}

void exec_get_rows(const struct exec *e, const struct tensor *t, int first, int n, real *host)
{
    struct view rows = view_image(t->val, first);

    rows.n = n;
    e->be->ops->read(e->be, rows, host);
}

void exec_get(const struct exec *e, const struct tensor *t, real *host)
{
    e->be->ops->read(e->be, t->val, host);
}

static bool view_finite(const struct exec *e, struct view v)
{
    return e->be->ops->finite(e->be, &v, 1);
}

/* VOV_CHECK: what the step has just written. */
static bool step_finite(const struct exec *e, const struct step *s)
{
    const struct node *n = e->g->nodes[s->node];

    if (s->what != STEP_BACKWARD) {
        return view_finite(e, n->out[0]->val);
    }
    for (int i = 0; i < n->n_in; i++) {
        if (n->gmode[i] != GRAD_NONE && !view_finite(e, n->in[i]->grad)) {
            return false;
        }
    }
    for (int i = 0; i < n->n_param; i++) {
        if (param_learns(n->param[i]) && !view_finite(e, n->param[i]->grad)) {
            return false;
        }
    }
    return true;
}

static bool alive(const struct plan_item *it, int step)
{
    return (it->first[0] <= step && step <= it->last[0]) ||
           (it->first[1] <= step && step <= it->last[1]);
}

/* VOV_POISON: the numbers of a buffer that is dead from here on become NaN, so that a late reader
 * shows. */
static void poison(const struct exec *e, int step)
{
    for (int i = 0; i < e->plan.n_items; i++) {
        const struct plan_item *it = &e->plan.items[i];
        const struct tensor *t = e->g->tensors[i / 2];
        const bool keep = (t->flags & T_KEEP) != 0 || t->constant != NULL;
        if (it->bytes > 0 && alive(it, step) && !alive(it, step + 1) && !keep) {
            fill_nan(e, (char *)e->arena + it->offset, it->bytes);
        }
    }
}

static void run_step(struct exec *e, const struct step *s, const struct op_ctx *ctx)
{
    const struct node *n = e->g->nodes[s->node];

    e->be->doing = n->name;
    backend_enter(e->be, n->name);
    if (s->what == STEP_BACKWARD) {
        n->type->backward(n, ctx);
    } else if (s->what == STEP_AGAIN && n->type->again != NULL) {
        n->type->again(n, ctx);
    } else {
        n->type->forward(n, ctx);
    }
    backend_leave(e->be);
}

/* Steps from..to-1 of a pass. */
struct stretch {
    struct exec *e;
    int from, to;
    const struct step *bad; /* VOV_CHECK: the first whose numbers are not finite */
};

/* For a profiler: the direction that step i goes, where it is the first to. */
static void enter_direction(const struct stretch *r, int i)
{
    const bool turns = i == r->e->plan.n_forward;

    if (turns && i > r->from) {
        backend_leave(r->e->be);
    }
    if (turns || i == r->from) {
        backend_enter(r->e->be, turns ? "backward" : "forward");
    }
}

static void run_steps(void *ctx)
{
    struct stretch *r = ctx;
    struct exec *e = r->e;
    const bool check = debug_on(DEBUG_CHECK), poisons = debug_on(DEBUG_POISON);
    const struct op_ctx op = {e->be, e->scratch, e->g->training, e->gain};

    for (int i = r->from; i < r->to && r->bad == NULL; i++) {
        const struct step *s = &e->plan.steps[i];
        enter_direction(r, i);
        run_step(e, s, &op);
        if (e->watch.fn != NULL) {
            e->watch.fn(e->watch.user, i);
        }
        r->bad = check && !step_finite(e, s) ? s : NULL;
        if (poisons) {
            poison(e, i);
        }
    }
    if (r->from < r->to) {
        backend_leave(e->be);
    }
}

static enum vov_status run(struct tape *tape, struct stretch *r, uint64_t key, struct err *err)
{
    struct exec *e = r->e;

    take_turn(e);
    e->be->settings = e->settings; /* another net's may have taken their place */
    backend_enter(e->be, e->g->training ? "training pass" : "inference pass");
    e->be->ops->begin(e->be, key);
    if (debug_on(DEBUG_CHECK) || e->watch.fn != NULL) {
        run_steps(r); /* who looks between steps sees nothing of a recording */
    } else {
        tape_run(e->be, tape, run_steps, r);
    }
    backend_leave(e->be);
    if (r->bad != NULL) {
        return err_set(err, VOV_ENONFINITE, "%s: its %s is not finite",
                       e->g->nodes[r->bad->node]->name,
                       r->bad->what == STEP_BACKWARD ? "gradient" : "output");
    }
    return VOV_OK;
}

enum vov_status exec_forward(struct exec *e, uint64_t key, struct err *err)
{
    if (!e->g->training && !e->packed) {
        exec_pack(e);
    }
    TRY(run(&e->forward, &(struct stretch){e, 0, e->plan.n_forward, NULL}, key, err));
    return backend_check(e->be, err);
}

enum vov_status exec_backward(struct exec *e, uint64_t key, struct err *err)
{
    struct stretch all = {e, e->plan.n_forward, e->plan.n_steps, NULL};

    TRY(run(&e->backward, &all, key, err));
    return backend_check(e->be, err);
}

enum vov_status exec_train(struct exec *e, uint64_t key, struct err *err)
{
    return run(&e->both, &(struct stretch){e, 0, e->plan.n_steps, NULL}, key, err);
}

static const char *find_bad_input(const struct exec *e)
{
    for (int i = 0; i < e->g->n_tensors; i++) {
        const struct tensor *t = e->g->tensors[i];
        if ((t->flags & T_INPUT) != 0 && t->val.p != NULL && !view_finite(e, t->val)) {
            return t->name;
        }
    }
    return NULL;
}

const char *exec_find_nonfinite(struct exec *e, uint64_t key)
{
    const struct op_ctx op = {e->be, e->scratch, e->g->training, e->gain};
    const char *bad = find_bad_input(e);

    e->be->settings = e->settings;
    e->be->ops->begin(e->be, key);
    if (e->params.grad != NULL) {
        e->be->ops->block_fill(e->be, e->params.n_learn, e->params.grad, 0);
    }
    for (int i = 0; i < e->plan.n_steps && bad == NULL; i++) {
        const struct step *s = &e->plan.steps[i];
        run_step(e, s, &op);
        bad = step_finite(e, s) ? NULL : e->g->nodes[s->node]->name;
    }
    return bad;
}
