/*
 * absorb.c - batch norm, a sum and activation behind a convolution become part of it, for
 * inference:
 *
 *     gamma * (w*x + b - mean) / s + beta  =  (w * gamma/s) * x  +  (b - mean) * gamma/s + beta,
 *     s = sqrt(var + eps)
 */
#include "graph/params.h"
#include "util.h"

#include <math.h>

enum { WEIGHT, BIAS, GAMMA, BETA, MEAN, VAR, ALL };

static bool absorb_norm(struct graph *g, struct node *n, const struct node *next)
{
    struct conv_attr *a = n->attr;
    const struct norm_attr *norm = next->attr;
    if (next->type != &op_norm || norm->groups != 0 || a->act != ACT_LINEAR || n->n_param == ALL ||
        n->n_in > 1 || (n->param[WEIGHT]->flags & T_SHARED) != 0) {
        return false;
    }
    if (!a->bias) {
        const struct param_init zero = {INIT_CONST, 0};
        struct tensor *bias =
            graph_param(g, n, "bias", (struct shape){1, a->out_c, 1, 1}, PARAM_BIAS, zero);
        if (bias == NULL) {
            return false;
        }
        bias->flags |= T_DERIVED;
        a->bias = true;
    }
    for (int i = GAMMA; i < ALL; i++) {
        n->param[i] = next->param[i - GAMMA];
    }
    n->n_param = ALL;
    a->act = norm->act;
    a->fold_eps = norm->eps;
    return true;
}

/* A sum with a tensor that is there before n runs: it becomes n's second input. */
static bool absorb_add(struct graph *g, struct node *n, const struct node *next)
{
    struct conv_attr *a = n->attr;
    if (n->type != &op_conv || next->type != &op_add || a->act != ACT_LINEAR || n->n_in > 1) {
        return false;
    }
    struct tensor *other = next->in[next->in[0] == n->out[0] ? 1 : 0];
    if (other->producer != NULL && other->producer->index > n->index) {
        return false;
    }
    struct tensor **in = arena_alloc(&g->mem, 2 * sizeof(struct tensor *));
    enum grad_mode *gmode = arena_alloc(&g->mem, 2 * sizeof *gmode);
    if (in == NULL || gmode == NULL) {
        g->out_of_memory = true;
        return false;
    }
    in[0] = n->in[0];
    in[1] = other;
    gmode[0] = gmode[1] = GRAD_NONE;
    n->in = in;
    n->gmode = gmode;
    n->n_in = 2;
    a->act = ((const struct act_attr *)next->attr)->act;
    return true;
}

enum vov_status conv_absorb(struct graph *g, struct node *n, const struct node *next, bool *done)
{
    struct conv_attr *a = n->attr;
    *done = absorb_norm(g, n, next) || absorb_add(g, n, next) || act_absorb(next, &a->act);
    return g->out_of_memory ? VOV_ENOMEM : VOV_OK;
}

/* scale[c] and, in bias, the new bias from the host copies of the parameters. */
static void fold_bias(const struct conv_attr *a, real *const *v, bool no_bias, real *scale)
{
    for (int c = 0; c < a->out_c; c++) {
        const double s = (double)v[GAMMA][c] / sqrt((double)v[VAR][c] + a->fold_eps);
        const double b = no_bias ? 0 : (double)v[BIAS][c];
        scale[c] = (real)s;
        v[BIAS][c] = (real)((b - (double)v[MEAN][c]) * s + (double)v[BETA][c]);
    }
}

/* Rows row.. of a weight of shape s, `rows` of them. */
struct weight_rows {
    struct shape s;
    int groups;
    bool transposed;
    int row, rows;
};

static void scale_rows(const struct weight_rows *r, const real *scale, real *w)
{
    const size_t k = (size_t)r->s.h * (size_t)r->s.w;
    const int rows_of_group = r->s.n / r->groups;
    for (int i = r->row; i < r->row + r->rows; i++) {
        for (int j = 0; j < r->s.c; j++) {
            const int c = r->transposed ? i / rows_of_group * r->s.c + j : i;
            for (size_t q = 0; q < k; q++) {
                *w++ *= scale[c];
            }
        }
    }
}

/* Some rows at a time go to the host and back, so that they stay in its second cache. */
static enum vov_status scale_weight(struct backend *be, const struct tensor *t,
                                    struct weight_rows *r, const real *scale)
{
    enum { SOME = 1 << 16 };
    const size_t row = shape_count(r->s) / (size_t)r->s.n;
    const int most = row < SOME ? (int)(SOME / row) : 1;
    real *host = mem_alloc((size_t)most * row, sizeof *host);
    if (host == NULL) {
        return VOV_ENOMEM;
    }
    for (r->row = 0; r->row < r->s.n; r->row += r->rows) {
        r->rows = r->s.n - r->row < most ? r->s.n - r->row : most;
        const struct shape some = {r->rows, r->s.c, r->s.h, r->s.w};
        const struct view w = view_dense(t->val.p + (size_t)r->row * row, some);
        be->ops->read(be, w, host);
        scale_rows(r, scale, host);
        be->ops->write(be, w, host);
    }
    mem_free(host);
    return VOV_OK;
}

enum vov_status conv_fold(const struct node *n, struct params *p, bool transposed)
{
    const struct conv_attr *a = n->attr;
    real *v[ALL] = {NULL}; /* in the weight's place the factors */
    enum vov_status status = VOV_ENOMEM;
    if (n->n_param < ALL) {
        return VOV_OK;
    }
    for (int i = 0; i < ALL; i++) {
        v[i] = mem_alloc((size_t)a->out_c, sizeof(real));
        if (v[i] == NULL) {
            goto done;
        }
        if (i != WEIGHT) {
            params_get(p, p->val, n->param[i], v[i]);
        }
    }
    fold_bias(a, v, (n->param[BIAS]->flags & T_DERIVED) != 0, v[WEIGHT]);
    struct weight_rows r = {
        .s = n->param[WEIGHT]->shape, .groups = a->d.groups, .transposed = transposed};
    status = scale_weight(p->be, n->param[WEIGHT], &r, v[WEIGHT]);
    if (status == VOV_OK) {
        params_set(p, p->val, n->param[BIAS], v[BIAS]);
    }
done:
    for (int i = 0; i < ALL; i++) {
        mem_free(v[i]);
    }
    return status;
}
