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
        n->n_in > 1) {
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

/* scale[c] and, in bias, the new bias from the host copies of the six parameters. */
static void fold_bias(const struct conv_attr *a, real *const *v, bool no_bias, real *scale)
{
    for (int c = 0; c < a->out_c; c++) {
        const double s = (double)v[GAMMA][c] / sqrt((double)v[VAR][c] + a->fold_eps);
        const double b = no_bias ? 0 : (double)v[BIAS][c];
        scale[c] = (real)s;
        v[BIAS][c] = (real)((b - (double)v[MEAN][c]) * s + (double)v[BETA][c]);
    }
}

static void scale_weight(real *w, struct shape s, int groups, bool transposed, const real *scale)
{
    const size_t k = (size_t)s.h * (size_t)s.w;
    const int rows_of_group = s.n / groups;
    for (int i = 0; i < s.n; i++) {
        for (int j = 0; j < s.c; j++) {
            const int c = transposed ? i / rows_of_group * s.c + j : i;
            for (size_t q = 0; q < k; q++) {
                *w++ *= scale[c];
            }
        }
    }
}

enum vov_status conv_fold(const struct node *n, struct params *p, bool transposed)
{
    const struct conv_attr *a = n->attr;
    real *v[ALL + 1] = {NULL};
    enum vov_status status = VOV_ENOMEM;
    if (n->n_param < ALL) {
        return VOV_OK;
    }
    for (int i = 0; i <= ALL; i++) { /* the last one: the factors */
        v[i] = mem_block_alloc((i < ALL ? shape_count(n->param[i]->shape) : (size_t)a->out_c) *
                               sizeof(real));
        if (v[i] == NULL) {
            goto done;
        }
        if (i < ALL) {
            params_get(p, p->val, n->param[i], v[i]);
        }
    }
    fold_bias(a, v, (n->param[BIAS]->flags & T_DERIVED) != 0, v[ALL]);
    scale_weight(v[WEIGHT], n->param[WEIGHT]->shape, a->d.groups, transposed, v[ALL]);
    params_set(p, p->val, n->param[WEIGHT], v[WEIGHT]);
    params_set(p, p->val, n->param[BIAS], v[BIAS]);
    status = VOV_OK;
done:
    for (int i = 0; i <= ALL; i++) {
        mem_block_free(v[i]);
    }
    return status;
}
