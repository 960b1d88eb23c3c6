/*
 * cpu.h - the two backends of the host: "cpu", threaded and vectorised, and "plain", the reference
 * loops in one thread. Only backend.c includes this from outside.
 */
#ifndef VOV_CPU_CPU_H
#define VOV_CPU_CPU_H

#include "backend/backend.h"
#include "base/pool.h"
#include "blas.h"
#include "kernels.h"

/* What struct backend's ctx is. */
struct cpu {
    struct backend be;
    struct backend_ops ops;
    struct pool *pool;                 /* NULL in "plain" */
    const struct cpu_kernels *kernels; /* for this machine */
    void *gemm_memory;                 /* gemm_memory_bytes of it */
    struct blas blas;                  /* loaded when it is first wanted */
    bool prefers_blas;                 /* no own kernels for this machine: OpenBLAS multiplies */
};

/* threads 0: all cores. The kernels are the best that run here, or those that the environment's
 * VOV_ISA names. Failures: VOV_ENOMEM, VOV_EDEVICE from the pool, isa_choose's. */
enum vov_status cpu_open(int threads, struct backend **be, struct err *err);
/* The same with the kernels named, NULL for the best. */
enum vov_status cpu_open_isa(const char *isa, int threads, struct backend **be, struct err *err);
enum vov_status cpu_open_plain(struct backend **be, struct err *err);

#endif
