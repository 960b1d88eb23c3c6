/*
 * rt_stream.c - the runtime's calls on streams, events and graphs.
 */
#include "handle.h"
#include "rt.h"
#include "stream.h"

#include <time.h>

struct event {
    struct stream_mark mark;
    int device;
    bool recorded;
    bool asked; /* cudaEventQuery said "not ready" once */
    bool timed; /* made without cudaEventDisableTiming */
    double ms;  /* when it happened */
    bool happened;
};

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    RT_CALL(cudaErrorUnknown);
    *stream = stream_new(!(flags & cudaStreamNonBlocking));
    return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t *stream)
{
    RT_CALL(cudaErrorUnknown);
    *stream = stream_new(true);
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags, int priority)
{
    (void)priority;
    RT_CALL(cudaErrorUnknown);
    *stream = stream_new(!(flags & cudaStreamNonBlocking));
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    SIM_CALL();
    struct stream *s = stream_get(stream);
    if (s) {
        stream_free(s);
    }
    return rt_result(sim_fails ? cudaErrorUnknown
                     : s       ? cudaSuccess
                               : cudaErrorInvalidResourceHandle);
}

/* The stream, if it may be waited for. */
static struct stream *to_wait_for(const char *who, cudaStream_t stream)
{
    struct stream *s = stream_get(stream);
    if (s && stream_is_captured(s)) {
        sim_report("%s of a captured stream", who);
        return NULL;
    }
    return s;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    RT_CALL(cudaErrorUnknown);
    struct stream *s = to_wait_for(__func__, stream);
    if (!s) {
        return rt_result(cudaErrorInvalidResourceHandle);
    }
    stream_drive(s);
    return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    RT_CALL(cudaErrorUnknown);
    struct stream *s = to_wait_for(__func__, stream);
    if (!s) {
        return rt_result(cudaErrorInvalidResourceHandle);
    }
    if (stream_is_idle(s)) {
        return cudaSuccess;
    }
    stream_drive(s); /* the next query finds it done */
    return cudaErrorNotReady;
}

cudaError_t cudaDeviceSynchronize(void)
{
    RT_CALL(cudaErrorUnknown);
    if (stream_capture_forbids(__func__)) {
        return rt_result(cudaErrorStreamCaptureUnsupported);
    }
    stream_drive_device(sim_device());
    return cudaSuccess;
}

struct host_call {
    cudaHostFn_t f;
    void *data;
};

static void work_host_call(void *data)
{
    const struct host_call *h = data;
    h->f(h->data);
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t f, void *data)
{
    RT_CALL(cudaErrorUnknown);
    return rt_result(stream_push(stream, work_host_call, &(struct host_call){f, data},
                                 sizeof(struct host_call)));
}

static cudaError_t new_event(cudaEvent_t *event, bool timed)
{
    struct event *e = handle_new("event", sizeof *e);
    e->timed = timed;
    e->device = sim_device();
    *event = (cudaEvent_t)e;
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags)
{
    RT_CALL(cudaErrorUnknown);
    return new_event(event, !(flags & cudaEventDisableTiming));
}

cudaError_t cudaEventCreate(cudaEvent_t *event)
{
    RT_CALL(cudaErrorUnknown);
    return new_event(event, true);
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    SIM_CALL();
    struct event *e = handle_get("event", event);
    if (e && e->recorded && !e->mark.graph) {
        stream_drive_mark(&e->mark);
    }
    if (e) {
        handle_free("event", e);
    }
    return rt_result(sim_fails ? cudaErrorUnknown
                     : e       ? cudaSuccess
                               : cudaErrorInvalidResourceHandle);
}

static void work_event(void *data)
{
    struct event *e = *(struct event **)data;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    e->ms = (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
    e->happened = true;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    RT_CALL(cudaErrorUnknown);
    struct event *e = handle_get("event", event);
    struct stream *s = stream_get(stream);
    if (!e || !s) {
        return rt_result(cudaErrorInvalidResourceHandle);
    }
    if (stream_device(s) != e->device) {
        sim_report("%s of an event of device %d on a stream of device %d", __func__, e->device,
                   stream_device(s));
        return rt_result(cudaErrorInvalidResourceHandle);
    }
    if (e->recorded && !e->mark.graph) {
        stream_drive_mark(&e->mark); /* what it stood for before must not come later */
    }
    e->recorded = true;
    e->happened = e->asked = false;
    return rt_result(stream_record(s, work_event, &e, sizeof e, &e->mark));
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags)
{
    (void)flags;
    RT_CALL(cudaErrorUnknown);
    const struct event *e = handle_get("event", event);
    struct stream *s = stream_get(stream);
    if (!e || !s) {
        return rt_result(cudaErrorInvalidResourceHandle);
    }
    if (!e->recorded) {
        return cudaSuccess;
    }
    return rt_result(stream_wait(s, &e->mark));
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    RT_CALL(cudaErrorUnknown);
    const struct event *e = handle_get("event", event);
    if (!e) {
        return rt_result(cudaErrorInvalidResourceHandle);
    }
    if (e->mark.graph) {
        sim_report("%s of an event that was recorded in a capture", __func__);
        return rt_result(cudaErrorCapturedEvent);
    }
    if (e->recorded) {
        stream_drive_mark(&e->mark);
    }
    return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    RT_CALL(cudaErrorUnknown);
    struct event *e = handle_get("event", event);
    if (!e || e->mark.graph) {
        return rt_result(cudaErrorInvalidResourceHandle);
    }
    if (!e->recorded || stream_mark_is_done(&e->mark)) {
        return cudaSuccess;
    }
    if (!e->asked) {
        e->asked = true;
        return cudaErrorNotReady;
    }
    stream_drive_mark(&e->mark);
    return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to)
{
    RT_CALL(cudaErrorUnknown);
    const struct event *a = handle_get("event", from), *b = handle_get("event", to);
    if (!a || !b || !a->timed || !b->timed || !a->recorded || !b->recorded) {
        return rt_result(cudaErrorInvalidResourceHandle);
    }
    if (!a->happened || !b->happened) {
        return rt_result(cudaErrorNotReady);
    }
    *ms = (float)(b->ms - a->ms);
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
    RT_CALL(cudaErrorUnknown);
    struct stream *s = stream_get(stream);
    if (!s || s == stream_get(NULL)) {
        return rt_result(cudaErrorStreamCaptureUnsupported);
    }
    return rt_result(graph_begin(s, mode));
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    SIM_CALL(); /* the capture ends all the same */
    struct stream *s = stream_get(stream);
    *graph = NULL;
    if (!s) {
        return rt_result(cudaErrorInvalidResourceHandle);
    }
    const cudaError_t error = graph_end(s, graph);
    if (sim_fails && !error) {
        graph_free(*graph);
        *graph = NULL;
    }
    return rt_result(sim_fails ? cudaErrorStreamCaptureInvalidated : error);
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *status)
{
    RT_CALL(cudaErrorUnknown);
    const struct stream *s = stream_get(stream);
    *status =
        s && stream_is_captured(s) ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
    return rt_result(s ? cudaSuccess : cudaErrorInvalidResourceHandle);
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags)
{
    (void)flags;
    RT_CALL(cudaErrorMemoryAllocation);
    return rt_result(graph_instantiate(exec, graph));
}

cudaError_t cudaGraphExecUpdate(cudaGraphExec_t exec, cudaGraph_t graph,
                                cudaGraphExecUpdateResultInfo *info)
{
    RT_CALL(cudaErrorUnknown);
    const cudaError_t error = graph_update(exec, graph);
    if (info) {
        *info = (cudaGraphExecUpdateResultInfo){
            .result = error ? cudaGraphExecUpdateErrorTopologyChanged : cudaGraphExecUpdateSuccess};
    }
    return rt_result(error);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    RT_CALL(cudaErrorLaunchFailure);
    return rt_result(graph_launch(exec, stream));
}

cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream)
{
    RT_CALL(cudaErrorUnknown);
    const bool good = handle_get("graph exec", exec) && stream_get(stream);
    return rt_result(good ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count)
{
    RT_CALL(cudaErrorUnknown);
    return rt_result(nodes ? cudaErrorNotSupported : graph_count(graph, count));
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    SIM_CALL();
    const cudaError_t error = graph_free(graph);
    return rt_result(sim_fails ? cudaErrorUnknown : error);
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    SIM_CALL();
    const cudaError_t error = graph_free_exec(exec);
    return rt_result(sim_fails ? cudaErrorUnknown : error);
}
