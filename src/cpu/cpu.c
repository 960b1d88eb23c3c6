/*
 * cpu.c - opens the host backends. The table is filled when the backend is opened, as the choice of
 * kernels depends on what the machine can do.
 */
#include "cpu.h"

#include "base/debug.h"
#include "base/mem.h"
#include "fast.h"
#include "gemm.h"
#include "isa.h"
#include "plain.h"

static void cpu_close(struct backend *be)
{
    struct cpu *c = be->ctx;

    pool_close(c->pool);
    mem_free(c->gemm_memory);
    mem_free(c);
}

static struct cpu *cpu_new(struct err *err)
{
    struct cpu *c = mem_alloc(1, sizeof *c);

    if (!c) {
        err_nomem(err, sizeof *c);
        return NULL;
    }
    plain_entries(&c->ops);
    c->ops.close = cpu_close;
    c->be.ops = &c->ops;
    c->be.ctx = c;
    return c;
}

/* All but OpenBLAS's, and the name. */
static void fast_entries(struct backend_ops *ops)
{
    ops->name = "cpu";
    fast_conv_entries(ops);
    fast_norm_entries(ops);
    fast_l2norm_entries(ops);
    fast_basic_entries(ops);
    fast_gemm_entries(ops);
    fast_maxpool_entries(ops);
    fast_avgpool_entries(ops);
    fast_resize_entries(ops);
    fast_loss_entries(ops);
    fast_roi_entries(ops);
    fast_optim_entries(ops);
    fast_peak_entries(ops);
}

enum vov_status cpu_open_plain(struct backend **be, struct err *err)
{
    struct cpu *c = cpu_new(err);

    if (!c) {
        return VOV_ENOMEM;
    }
    *be = &c->be;
    return VOV_OK;
}

enum vov_status cpu_open(int threads, struct backend **be, struct err *err)
{
    return cpu_open_isa(debug_value(DEBUG_ISA), threads, be, err);
}

enum vov_status cpu_open_isa(const char *name, int threads, struct backend **be, struct err *err)
{
    struct isa isa;
    TRY(isa_choose(name, &isa, err));
    struct cpu *c = cpu_new(err);
    if (!c) {
        return VOV_ENOMEM;
    }
    c->kernels = isa.kernels;
    c->be.isa = isa.name;
    const enum vov_status status = pool_open(threads, &c->pool, err);
    if (status != VOV_OK) {
        cpu_close(&c->be);
        return status;
    }
    const size_t gemm_bytes = gemm_memory_bytes(pool_threads(c->pool));
    c->gemm_memory = mem_alloc_aligned(gemm_bytes);
    if (!c->gemm_memory) {
        cpu_close(&c->be);
        return err_nomem(err, gemm_bytes);
    }
    c->prefers_blas = isa.kernels == &kernels_base && blas_open(&c->blas);
    fast_entries(&c->ops);
    if (c->prefers_blas) {
        blas_conv_entries(&c->ops);
    }
    *be = &c->be;
    return VOV_OK;
}
