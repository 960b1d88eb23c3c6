/*
 * stream.c - queues of work, run as late as CUDA allows.
 */
#include "stream_impl.h"

#include "handle.h"
#include "sim.h"

#include <stdlib.h>
#include <string.h>

static struct {
    struct stream *all;
    struct stream legacy;
    uint64_t last_id, last_number;
} streams;

static struct stream *legacy(void)
{
    if (!streams.legacy.end) {
        stream_open(&streams.legacy, false);
    }
    return &streams.legacy;
}

static struct stream *by_id(uint64_t id)
{
    struct stream *s = streams.all;
    while (s && s->id != id) {
        s = s->next;
    }
    return s;
}

void stream_open(struct stream *s, bool blocking)
{
    *s = (struct stream){
        .id = ++streams.last_id, .device = sim_device(), .blocking = blocking, .next = streams.all};
    s->end = &s->first;
    streams.all = s;
}

void stream_close(struct stream *s)
{
    stream_drive(s);
    struct stream **link = &streams.all;
    while (*link != s) {
        link = &(*link)->next;
    }
    *link = s->next;
}

struct stream *stream_get(cudaStream_t handle)
{
    if (handle == NULL || handle == cudaStreamLegacy || handle == cudaStreamPerThread) {
        return legacy();
    }
    return handle_get("stream", handle);
}

cudaStream_t stream_new(bool blocking)
{
    struct stream *s = handle_new("stream", sizeof *s);
    stream_open(s, blocking);
    return (cudaStream_t)s;
}

int stream_device(const struct stream *s)
{
    return s == &streams.legacy ? sim_device() : s->device;
}

void stream_free(struct stream *s)
{
    stream_close(s);
    handle_free("stream", s);
}

/* Runs the items of s up to and with number `last`. */
static void drive(struct stream *s, uint64_t last)
{
    const sim_site here = sim_current_site();
    while (s->first && s->first->number <= last) {
        struct stream_item *item = s->first;
        s->first = item->next;
        if (!s->first) {
            s->end = &s->first;
        }
        sim_set_site(item->site);
        item->work(item->data);
        free(item);
    }
    sim_set_site(here);
}

void stream_drive(struct stream *s)
{
    drive(s, UINT64_MAX);
}

void stream_drive_all(void)
{
    for (struct stream *s = streams.all; s; s = s->next) {
        stream_drive(s);
    }
}

void stream_drive_device(int device)
{
    for (struct stream *s = streams.all; s; s = s->next) {
        if (s->device == device || s == &streams.legacy) {
            stream_drive(s);
        }
    }
}

bool stream_is_idle(const struct stream *s)
{
    return s->first == NULL;
}

void stream_drive_mark(const struct stream_mark *mark)
{
    struct stream *s = by_id(mark->stream);
    if (s) {
        drive(s, mark->last);
    }
}

bool stream_mark_is_done(const struct stream_mark *mark)
{
    const struct stream *s = by_id(mark->stream);
    return !s || !s->first || s->first->number > mark->last;
}

void stream_queue(struct stream *s, stream_work *work, const void *data, size_t bytes)
{
    struct stream_item *item = sim_alloc(sizeof *item + bytes);
    item->number = s->last = ++streams.last_number;
    item->work = work;
    item->site = sim_current_site();
    if (bytes > 0) {
        memcpy(item->data, data, bytes);
    }
    *s->end = item;
    s->end = &item->next;
}

static void work_wait(void *data)
{
    stream_drive_mark(data);
}

void stream_queue_wait(struct stream *s, const struct stream_mark *mark)
{
    stream_queue(s, work_wait, mark, sizeof *mark);
}

/* The legacy stream and the blocking ones wait for each other. */
static void queue_legacy_waits(struct stream *s)
{
    if (s == legacy()) {
        for (struct stream *other = streams.all; other; other = other->next) {
            if (other->blocking && other->first) {
                stream_queue_wait(s, &(struct stream_mark){other->id, other->last, NULL, 0});
            }
        }
    } else if (s->blocking && legacy()->first) {
        stream_queue_wait(s, &(struct stream_mark){legacy()->id, legacy()->last, NULL, 0});
    }
}

/* Work on the legacy stream would wait for a blocking stream, which a capture cannot do. */
static bool legacy_meets_capture(const struct stream *s)
{
    if (s != legacy()) {
        return false;
    }
    for (const struct stream *other = streams.all; other; other = other->next) {
        if (other->blocking && other->capture) {
            sim_report("work on the legacy stream while a blocking stream is captured");
            return true;
        }
    }
    return false;
}

cudaError_t stream_push(cudaStream_t handle, stream_work *work, const void *data, size_t bytes)
{
    struct stream *s = stream_get(handle);
    if (!s) {
        return cudaErrorInvalidResourceHandle;
    }
    if (s->capture) {
        graph_add_work(s, work, data, bytes);
        return cudaSuccess;
    }
    if (legacy_meets_capture(s)) {
        return cudaErrorStreamCaptureImplicit;
    }
    queue_legacy_waits(s);
    stream_queue(s, work, data, bytes);
    if (!sim_settings.deferred) {
        stream_drive(s);
    }
    return cudaSuccess;
}

cudaError_t stream_record(struct stream *s, stream_work *work, const void *data, size_t bytes,
                          struct stream_mark *mark)
{
    if (s->capture) {
        graph_add_record(s, mark);
        return cudaSuccess;
    }
    if (legacy_meets_capture(s)) {
        return cudaErrorStreamCaptureImplicit;
    }
    queue_legacy_waits(s);
    stream_queue(s, work, data, bytes);
    *mark = (struct stream_mark){s->id, s->last, NULL, 0};
    return cudaSuccess;
}

cudaError_t stream_wait(struct stream *s, const struct stream_mark *mark)
{
    if (mark->graph || s->capture) {
        return graph_add_wait(s, mark);
    }
    stream_queue_wait(s, mark);
    return cudaSuccess;
}

bool stream_is_captured(const struct stream *s)
{
    return s->capture != NULL;
}

void stream_each_captured(const struct graph *graph, void (*f)(struct stream *s))
{
    for (struct stream *s = streams.all; s; s = s->next) {
        if (s->capture == graph) {
            f(s);
        }
    }
}

void stream_report_pending(void)
{
    for (const struct stream *s = streams.all; s; s = s->next) {
        if (s->first) {
            char place[160];
            sim_report_at(site_place(s->first->site, place, sizeof place),
                          "work was put on a stream and never waited for");
        }
    }
}
