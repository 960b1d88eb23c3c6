/*
 * rt_memory.c - the runtime's calls on memory: allocations, copies, filling.
 */
#include "mem.h"
#include "rt.h"
#include "stream.h"

#include <stdlib.h>
#include <string.h>

/* Pinned memory that copies in queues still read. */
struct source {
    const unsigned char *p;
    size_t bytes;
};

static struct {
    struct source *all;
    size_t count;
} sources;

static size_t span(size_t pitch, size_t width, size_t height)
{
    return height ? (height - 1) * pitch + width : 0;
}

static void add_source(const void *p, size_t bytes)
{
    sources.all = sim_grow(sources.all, sources.count, sizeof *sources.all);
    sources.all[sources.count++] = (struct source){p, bytes};
}

static void remove_source(const void *p, size_t bytes)
{
    for (size_t i = 0; i < sources.count; i++) {
        if (sources.all[i].p == p && sources.all[i].bytes == bytes) {
            sources.all[i] = sources.all[--sources.count];
            return;
        }
    }
}

static bool is_source(const unsigned char *p, size_t bytes)
{
    for (size_t i = 0; i < sources.count; i++) {
        const struct source *s = &sources.all[i];
        if (s->p < p + bytes && p < s->p + s->bytes) {
            return true;
        }
    }
    return false;
}

cudaError_t cudaMalloc(void **p, size_t bytes)
{
    RT_CALL(cudaErrorMemoryAllocation);
    if (stream_capture_forbids(__func__)) {
        return rt_result(cudaErrorStreamCaptureUnsupported);
    }
    *p = mem_new(bytes, false);
    return rt_result(bytes > 0 && !*p ? cudaErrorMemoryAllocation : cudaSuccess);
}

cudaError_t cudaFree(void *p)
{
    SIM_CALL(); /* as for an error of earlier work: it frees all the same */
    if (stream_capture_forbids(__func__)) {
        return rt_result(cudaErrorStreamCaptureUnsupported);
    }
    stream_drive_all();
    const bool good = !p || mem_free(__func__, p);
    return rt_result(sim_fails ? cudaErrorUnknown : good ? cudaSuccess : cudaErrorInvalidValue);
}

static cudaError_t new_pinned(const char *who, void **p, size_t bytes)
{
    if (stream_capture_forbids(who)) {
        return rt_result(cudaErrorStreamCaptureUnsupported);
    }
    *p = mem_new_pinned(bytes);
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **p, size_t bytes)
{
    RT_CALL(cudaErrorMemoryAllocation);
    return new_pinned(__func__, p, bytes);
}

cudaError_t cudaHostAlloc(void **p, size_t bytes, unsigned flags)
{
    (void)flags;
    RT_CALL(cudaErrorMemoryAllocation);
    return new_pinned(__func__, p, bytes);
}

cudaError_t cudaFreeHost(void *p)
{
    SIM_CALL();
    stream_drive_all();
    const bool good = !p || mem_free_pinned(__func__, p);
    return rt_result(sim_fails ? cudaErrorUnknown : good ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t cudaMemGetInfo(size_t *available, size_t *total)
{
    RT_CALL(cudaErrorUnknown);
    *total = sim_settings.memory;
    *available = sim_settings.memory - mem_used();
    return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *a, const void *p)
{
    RT_CALL(cudaErrorUnknown);
    *a = (struct cudaPointerAttributes){.type = cudaMemoryTypeUnregistered};
    if (mem_is_device(p)) {
        a->type = cudaMemoryTypeDevice;
        a->devicePointer = (void *)(uintptr_t)p;
    } else if (mem_is_pinned(p)) {
        a->type = cudaMemoryTypeHost;
        a->hostPointer = (void *)(uintptr_t)p;
    }
    return cudaSuccess;
}

/* A copy in a queue. staged: `from` is a copy that the queue owns. */
struct queued {
    struct rt_copy c;
    bool staged, pinned;
};

static void copy_row(const struct rt_copy *c, size_t y)
{
    char *to = (char *)c->to + y * c->to_pitch;
    const char *from = (const char *)c->from + y * c->from_pitch;
    const bool to_device = mem_is_device(to), from_device = mem_is_device(from);
    if ((from_device && !mem_check("cudaMemcpy, source", from, c->width, MEM_READ)) ||
        (to_device && !mem_check("cudaMemcpy, destination", to, c->width, MEM_WRITE))) {
        return;
    }
    memmove(to_device ? mem_host(to) : to, from_device ? mem_host(from) : from, c->width);
    if (to_device) {
        mem_mark_written(to, c->width);
    }
}

static void work_copy(void *data)
{
    const struct queued *q = data;
    for (size_t y = 0; y < q->c.height; y++) {
        copy_row(&q->c, y);
    }
    if (q->staged) {
        free((void *)(uintptr_t)q->c.from);
    }
    if (q->pinned) {
        remove_source(q->c.from, span(q->c.from_pitch, q->c.width, q->c.height));
    }
}

/* The host's own memory is read by the call itself. */
static void stage(struct queued *q)
{
    char *copy = sim_alloc(q->c.width * q->c.height);
    for (size_t y = 0; y < q->c.height; y++) {
        memcpy(copy + y * q->c.width, (const char *)q->c.from + y * q->c.from_pitch, q->c.width);
    }
    q->c.from = copy;
    q->c.from_pitch = q->c.width;
    q->staged = true;
}

/* What a copy will bring is not there yet: spoil what was, so that it is not taken for it. */
static void spoil(const struct rt_copy *c)
{
    if (!is_source(c->to, span(c->to_pitch, c->width, c->height))) {
        for (size_t y = 0; y < c->height; y++) {
            memset((char *)c->to + y * c->to_pitch, 0xff, c->width);
        }
    }
}

static bool kind_fits(const char *who, const struct rt_copy *c, enum cudaMemcpyKind kind)
{
    static const char *const names[] = {"host", "device"};
    const bool to_device = mem_is_device(c->to), from_device = mem_is_device(c->from);
    const bool to_wanted = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool from_wanted = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (kind == cudaMemcpyDefault || (to_device == to_wanted && from_device == from_wanted)) {
        return true;
    }
    sim_report("%s: a copy from %s to %s memory was asked for, and the pointers are of %s and %s "
               "memory",
               who, names[from_wanted], names[to_wanted], names[from_device], names[to_device]);
    return false;
}

/* Of a capture, only copies that read and write pinned memory can be a part. */
static bool may_capture(const struct rt_copy *c, bool async)
{
    return async && (mem_is_device(c->to) || mem_is_pinned(c->to)) &&
           (mem_is_device(c->from) || mem_is_pinned(c->from));
}

/* What happens to the host's memory when the copy is queued. */
static void prepare(struct queued *q)
{
    const struct rt_copy *c = &q->c;
    if (mem_is_pinned(c->from)) {
        q->pinned = true;
        add_source(c->from, span(c->from_pitch, c->width, c->height));
    } else if (!mem_is_device(c->from)) {
        stage(q);
    }
    if (!mem_is_device(c->to) && sim_settings.deferred) {
        spoil(c);
    }
}

cudaError_t rt_copy(const char *who, struct rt_copy c, enum cudaMemcpyKind kind,
                    cudaStream_t stream, bool async)
{
    struct stream *s = stream_get(stream);
    struct queued q = {.c = c};
    if (!s || !kind_fits(who, &c, kind)) {
        return rt_result(cudaErrorInvalidValue);
    }
    if (c.width == 0 || c.height == 0) {
        return cudaSuccess;
    }
    if (stream_is_captured(s)) {
        if (may_capture(&c, async)) {
            return rt_result(stream_push(stream, work_copy, &q, sizeof q));
        }
        sim_report("%s of memory that is not pinned, or that waits, on a captured stream", who);
        return rt_result(cudaErrorStreamCaptureUnsupported);
    }
    prepare(&q);
    const cudaError_t error = stream_push(stream, work_copy, &q, sizeof q);
    const bool waits = !async || !(mem_is_device(c.to) || mem_is_pinned(c.to));
    if (waits && !error) {
        stream_drive(s);
    }
    return rt_result(error);
}

static struct rt_copy flat(void *to, const void *from, size_t bytes)
{
    return (struct rt_copy){to, from, bytes, bytes, bytes, 1};
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind)
{
    RT_CALL(cudaErrorUnknown);
    return rt_copy(__func__, flat(to, from, bytes), kind, NULL, false);
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    RT_CALL(cudaErrorUnknown);
    return rt_copy(__func__, flat(to, from, bytes), kind, stream, true);
}

cudaError_t cudaMemcpy2D(void *to, size_t to_pitch, const void *from, size_t from_pitch,
                         size_t width, size_t height, enum cudaMemcpyKind kind)
{
    RT_CALL(cudaErrorUnknown);
    return rt_copy(__func__, (struct rt_copy){to, from, to_pitch, from_pitch, width, height}, kind,
                   NULL, false);
}

cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch,
                              size_t width, size_t height, enum cudaMemcpyKind kind,
                              cudaStream_t stream)
{
    RT_CALL(cudaErrorUnknown);
    return rt_copy(__func__, (struct rt_copy){to, from, to_pitch, from_pitch, width, height}, kind,
                   stream, true);
}

struct filling {
    void *p;
    int value;
    size_t pitch, width, height;
};

static void work_fill(void *data)
{
    const struct filling *f = data;
    for (size_t y = 0; y < f->height; y++) {
        char *row = (char *)f->p + y * f->pitch;
        if (!mem_check("cudaMemset", row, f->width, MEM_WRITE)) {
            return;
        }
        memset(mem_host(row), f->value, f->width);
        mem_mark_written(row, f->width);
    }
}

static cudaError_t fill(struct filling f, cudaStream_t stream)
{
    return f.width && f.height ? stream_push(stream, work_fill, &f, sizeof f) : cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *p, int value, size_t bytes, cudaStream_t stream)
{
    RT_CALL(cudaErrorUnknown);
    return rt_result(fill((struct filling){p, value, bytes, bytes, 1}, stream));
}

cudaError_t cudaMemset(void *p, int value, size_t bytes)
{
    RT_CALL(cudaErrorUnknown);
    return rt_result(fill((struct filling){p, value, bytes, bytes, 1}, NULL));
}

cudaError_t cudaMemset2DAsync(void *p, size_t pitch, int value, size_t width, size_t height,
                              cudaStream_t stream)
{
    RT_CALL(cudaErrorUnknown);
    return rt_result(fill((struct filling){p, value, pitch, width, height}, stream));
}
