/*
 * plain.c - the whole reference table, and memory: blocks of the host's, copied at once.
 */
#include "plain.h"

#include "base/mem.h"
#include "base/usage.h"

#include <math.h>
#include <string.h>

static void *plain_alloc(struct backend *be, size_t bytes)
{
    void *p = mem_block_alloc(bytes);

    if (p != NULL && be->settings.brief) {
        mem_block_small_pages(p, bytes);
    }
    return p;
}

static void plain_release(struct backend *be, void *p)
{
    (void)be;
    mem_block_free(p);
}

static void plain_discard(struct backend *be, void *p, size_t bytes)
{
    (void)be;
    mem_block_discard(p, bytes);
}

static size_t plain_free_bytes(struct backend *be)
{
    (void)be;
    return usage_left_bytes();
}

static size_t image_count(struct view v)
{
    return (size_t)v.c * view_plane(v);
}

static void plain_write(struct backend *be, struct view y, const real *host)
{
    const size_t each = image_count(y);

    (void)be;
    for (int n = 0; each > 0 && n < y.n; n++) {
        memcpy(view_at(y, n, 0), host + (size_t)n * each, each * sizeof *host);
    }
}

static void plain_read(struct backend *be, struct view x, real *host)
{
    const size_t each = image_count(x);

    (void)be;
    for (int n = 0; each > 0 && n < x.n; n++) {
        memcpy(host + (size_t)n * each, view_at(x, n, 0), each * sizeof *host);
    }
}

/* The host's memory is the device's: nothing crosses. */
static struct staged plain_stage(struct backend *be, const real *host, size_t count)
{
    (void)be, (void)count;
    return (struct staged){host, NULL};
}

static void plain_write_staged(struct backend *be, struct view y, const struct staged *s)
{
    plain_write(be, y, s->host);
}

static void plain_begin(struct backend *be, uint64_t key)
{
    be->key = key;
}

static bool view_finite(struct view x)
{
    for (int n = 0; n < x.n; n++) {
        const real *px = view_at(x, n, 0);
        const size_t count = image_count(x);
        size_t finite = 0; /* without a branch: every picture's detections are looked at */
        for (size_t i = 0; i < count; i++) {
            finite += isfinite(px[i]) != 0;
        }
        if (finite < count) {
            return false;
        }
    }
    return true;
}

static bool plain_finite(struct backend *be, const struct view *x, int n)
{
    bool finite = true;

    (void)be;
    for (int i = 0; i < n && finite; i++) {
        finite = view_finite(x[i]);
    }
    return finite;
}

static void plain_sync(struct backend *be)
{
    (void)be;
}

static void plain_memory_entries(struct backend_ops *ops)
{
    ops->alloc = plain_alloc;
    ops->release = plain_release;
    ops->free_bytes = plain_free_bytes;
    ops->discard = plain_discard;
    ops->sync = plain_sync;
    ops->write = plain_write;
    ops->read = plain_read;
    ops->stage = plain_stage;
    ops->write_staged = plain_write_staged;
    ops->begin = plain_begin;
    ops->finite = plain_finite;
}

/* Nobody asks how fast the reference loops could be. */
static struct backend_peak plain_peak(struct backend *be)
{
    (void)be;
    return (struct backend_peak){0};
}

void plain_entries(struct backend_ops *ops)
{
    ops->name = "plain";
    ops->peak = plain_peak;
    plain_memory_entries(ops);
    plain_basic_entries(ops);
    plain_conv_entries(ops);
    plain_norm_entries(ops);
    plain_pool_entries(ops);
    plain_loss_entries(ops);
    plain_roi_entries(ops);
    plain_optim_entries(ops);
}
