/*
 * range.c - passes and nodes as NVTX ranges, which a profiler shows beside the kernels that were
 * launched in them. NVTX is a header: it loads the profiler's library where the environment names
 * one, and without one the table has no such entries.
 */
#include "cuda.h"

#include <nvtx3/nvToolsExt.h>

static void cuda_enter(struct backend *be, const char *name)
{
    (void)be;
    nvtxRangePushA(name);
}

static void cuda_leave(struct backend *be)
{
    (void)be;
    nvtxRangePop();
}

void cuda_range_entries(struct backend_ops *ops)
{
    if (nvtxRangePushA("vov") != NVTX_NO_PUSH_POP_TRACKING) { /* somebody listens */
        nvtxRangePop();
        ops->enter = cuda_enter;
        ops->leave = cuda_leave;
    }
}
