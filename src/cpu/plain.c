/*
 * plain.c - the whole reference table, and memory: host memory in 64-byte lines, copied at once.
 */
#include "plain.h"

#include "base/mem.h"

#include <string.h>

static void *plain_alloc(struct backend *be, size_t bytes)
{
    (void)be;
    return mem_alloc_aligned(bytes);
}

static void plain_release(struct backend *be, void *p)
{
    (void)be;
    mem_free(p);
}

static void plain_transfer(struct backend *be, void *dst, const void *src, size_t bytes)
{
    (void)be;
    if (bytes > 0) {
        memcpy(dst, src, bytes);
    }
}

static void plain_sync(struct backend *be)
{
    (void)be;
}

void plain_memory_entries(struct backend_ops *ops)
{
    ops->alloc = plain_alloc;
    ops->release = plain_release;
    ops->upload = plain_transfer;
    ops->download = plain_transfer;
    ops->sync = plain_sync;
}

void plain_entries(struct backend_ops *ops)
{
    ops->name = "plain";
    plain_memory_entries(ops);
    plain_basic_entries(ops);
    plain_conv_entries(ops);
    plain_norm_entries(ops);
    plain_pool_entries(ops);
    plain_loss_entries(ops);
    plain_optim_entries(ops);
}
