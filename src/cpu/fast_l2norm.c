/*
 * fast_l2norm.c - the L2 norm over channels, strip by strip of pixels. The scale's gradient is a
 * sum over all pixels: strips come in groups, whose sums are added up in their order.
 */
#include "fast.h"

#include "cpu.h"
#include "gemm.h"
#include "plain.h"
#include "strip.h"

#include <math.h>

struct l2norm {
    const struct cpu *cpu;
    struct view x, y, dy, dx; /* y of the forward pass, dy and dx of the backward */
    const real *scale;
    real eps, beta, *dscale;
    double *sums; /* [groups][c] */
    int groups;
};

static int strips(struct view x)
{
    return x.n * strip_count(x);
}

static void clear(size_t n, real value, real *v)
{
    for (size_t i = 0; i < n; i++) {
        v[i] = value;
    }
}

/* inv[i] = 1 / sqrt(eps + sum over channels of x^2) */
static void strip_invnorms(const struct l2norm *j, struct strip p, real inv[PIXELS])
{
    clear(p.count, j->eps, inv);
    for (int c = 0; c < j->x.c; c++) {
        const real *x = view_at(j->x, p.n, c) + p.from;
        j->cpu->kernels->add_product(p.count, 1, x, x, inv);
    }
    for (size_t i = 0; i < p.count; i++) {
        inv[i] = (real)(1 / sqrt((double)inv[i]));
    }
}

static void forward_strip(void *ctx, int chunk, int worker)
{
    const struct l2norm *j = ctx;
    const struct strip p = strip_at(j->x, chunk);
    real inv[PIXELS];

    (void)worker;
    strip_invnorms(j, p, inv);
    for (int c = 0; c < j->x.c; c++) {
        real *y = view_at(j->y, p.n, c) + p.from;
        j->cpu->kernels->product(p.count, j->scale[c], view_at(j->x, p.n, c) + p.from, inv, y);
    }
}

static void fast_l2norm_fwd(struct backend *be, struct view x, const real *scale, real eps,
                            struct view y)
{
    struct l2norm j = {.cpu = be->ctx, .x = x, .y = y, .scale = scale, .eps = eps};

    pool_run(j.cpu->pool, strips(x), forward_strip, &j);
}

/* dx = inv * scale*dy - x * inv^3 * sum over c of scale*dy*x; sums[c] += sum of x * dy * inv */
static void backward_strip(const struct l2norm *j, struct strip p, double *sums)
{
    const struct cpu_kernels *k = j->cpu->kernels;
    real inv[PIXELS], dot[PIXELS], some[PIXELS];

    strip_invnorms(j, p, inv);
    clear(p.count, 0, dot);
    for (int c = 0; c < j->x.c; c++) {
        const real *x = view_at(j->x, p.n, c) + p.from, *dy = view_at(j->dy, p.n, c) + p.from;
        k->add_product(p.count, j->scale[c], x, dy, dot);
        k->product(p.count, 1, x, inv, some);
        sums[c] += k->dot(p.count, some, dy);
    }
    for (size_t i = 0; i < p.count; i++) {
        dot[i] *= inv[i] * inv[i] * inv[i];
    }
    for (int c = 0; j->dx.p && c < j->x.c; c++) {
        const real *x = view_at(j->x, p.n, c) + p.from, *dy = view_at(j->dy, p.n, c) + p.from;
        real *dx = view_at(j->dx, p.n, c) + p.from, *to = j->beta != 0 ? some : dx;
        k->product(p.count, j->scale[c], dy, inv, to);
        k->add_product(p.count, -1, x, dot, to);
        if (j->beta != 0) {
            k->scale(p.count, 1, some, 1, dx);
        }
    }
}

static void backward_group(void *ctx, int chunk, int worker)
{
    const struct l2norm *j = ctx;
    const struct span s = span_at(strips(j->x), j->groups, chunk);
    double *sums = j->sums + (size_t)chunk * (size_t)j->x.c;

    (void)worker;
    for (int c = 0; c < j->x.c; c++) {
        sums[c] = 0;
    }
    for (int i = s.from; i < s.to; i++) {
        backward_strip(j, strip_at(j->x, i), sums);
    }
}

static void fast_l2norm_bwd(struct backend *be, struct view x, const real *scale, real eps,
                            struct view dy, real beta, struct view dx, real *dscale)
{
    const struct cpu *cpu = be->ctx;
    const size_t room = gemm_memory_bytes(1) / sizeof(double) / (size_t)x.c;
    struct l2norm j = {.cpu = cpu,
                       .x = x,
                       .dy = dy,
                       .dx = dx,
                       .scale = scale,
                       .eps = eps,
                       .beta = beta,
                       .dscale = dscale,
                       .sums = cpu->gemm_memory};

    if (room == 0) { /* some 100000 channels */
        struct backend_ops plain;
        plain_norm_entries(&plain);
        plain.l2norm_bwd(be, x, scale, eps, dy, beta, dx, dscale);
        return;
    }
    j.groups = (size_t)strips(x) < room ? strips(x) : (int)room;
    pool_run(cpu->pool, j.groups, backward_group, &j);
    for (int g = 0; g < j.groups; g++) {
        for (int c = 0; c < x.c; c++) {
            dscale[c] += (real)j.sums[(size_t)g * (size_t)x.c + (size_t)c];
        }
    }
}

void fast_l2norm_entries(struct backend_ops *ops)
{
    ops->l2norm_fwd = fast_l2norm_fwd;
    ops->l2norm_bwd = fast_l2norm_bwd;
}
