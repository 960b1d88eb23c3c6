/*
 * memory.c - device memory, waiting, and the stages through which numbers cross. A write copies
 * into pinned memory, from there on the copy stream to the device, and meets the kernels' stream at
 * an event; stages take turns, so that the next batch crosses while a step runs. A stage grows to
 * the largest transfer and stays.
 */
#include "cuda.h"

#include <string.h>

static void *cuda_alloc(struct backend *be, size_t bytes)
{
    struct cuda *cu = cuda_of(be);
    void *p = NULL;

    if (!cuda_here(cu)) {
        return NULL;
    }
    if (cudaMalloc(&p, bytes) != cudaSuccess) {
        cudaGetLastError(); /* asked for and handled: not to be found by the next check */
        return NULL;
    }
    if (!cuda_ok(cu, cudaMemsetAsync(p, 0, bytes, cu->stream), "cudaMemsetAsync")) {
        cudaFree(p);
        return NULL;
    }
    return p;
}

static void cuda_release(struct backend *be, void *p)
{
    struct cuda *cu = cuda_of(be);

    if (p != NULL) {
        cuda_ok(cu, cudaStreamSynchronize(cu->stream), "cudaStreamSynchronize");
        cuda_ok(cu, cudaFree(p), "cudaFree");
    }
}

static size_t cuda_free_bytes(struct backend *be)
{
    struct cuda *cu = cuda_of(be);
    size_t there = 0, all = 0;

    return cuda_here(cu) && cuda_ok(cu, cudaMemGetInfo(&there, &all), "cudaMemGetInfo") ? there : 0;
}

static void cuda_discard(struct backend *be, void *p, size_t bytes)
{
    (void)be, (void)p, (void)bytes; /* what cudaMalloc gave is given back as a whole only */
}

/* What a kernel found wrong becomes the backend's error. */
static void take_fault(struct cuda *cu)
{
    const struct cuda_fault *f = cu->fault_seen;

    if (f->code == FAULT_LABEL) {
        err_set(&cu->be.failed, VOV_EARG, "softmax loss: label %g is not below %d classes",
                (double)f->value, f->bound);
    }
    if (cuda_here(cu)) {
        cuda_ok(cu, cudaMemsetAsync(cu->fault, 0, sizeof *cu->fault, cu->stream),
                "cudaMemsetAsync");
    }
}

/* Needs kernels of its own to be measured: not known. */
static struct backend_peak cuda_peak(struct backend *be)
{
    (void)be;
    return (struct backend_peak){0};
}

static void cuda_sync(struct backend *be)
{
    struct cuda *cu = cuda_of(be);
    const bool copied = cuda_ok(cu,
                                cudaMemcpyAsync(cu->fault_seen, cu->fault, sizeof *cu->fault,
                                                cudaMemcpyDeviceToHost, cu->stream),
                                "cudaMemcpyAsync");

    if (cuda_ok(cu, cudaStreamSynchronize(cu->stream), "cudaStreamSynchronize") && copied &&
        cu->fault_seen->code != FAULT_NONE) {
        take_fault(cu);
    }
}

static void free_stage(struct cuda *cu, struct cuda_stage *s)
{
    if (s->host != NULL) {
        cuda_ok(cu, cudaFreeHost(s->host), "cudaFreeHost");
    }
    cuda_ok(cu, cudaFree(s->device), "cudaFree");
    s->host = s->device = NULL;
    s->bytes = 0;
}

/* Makes room; waits for all that may still use the smaller one. */
static bool grow(struct cuda *cu, struct cuda_stage *s, size_t bytes)
{
    if (bytes <= s->bytes) {
        return true;
    }
    if (!cuda_here(cu) || !cuda_ok(cu, cudaStreamSynchronize(cu->copy), "cudaStreamSynchronize") ||
        !cuda_ok(cu, cudaStreamSynchronize(cu->stream), "cudaStreamSynchronize")) {
        return false;
    }
    free_stage(cu, s);
    if (!cuda_ok(cu, cudaMallocHost(&s->host, bytes), "cudaMallocHost") ||
        !cuda_ok(cu, cudaMalloc(&s->device, bytes), "cudaMalloc")) {
        free_stage(cu, s);
        return false;
    }
    s->bytes = bytes;
    return true;
}

bool cuda_stages_open(struct cuda *cu)
{
    for (int i = 0; i < STAGES; i++) {
        struct cuda_stage *s = &cu->stage[i];
        if (!cuda_ok(cu, cudaEventCreateWithFlags(&s->copied, cudaEventDisableTiming),
                     "cudaEventCreateWithFlags") ||
            !cuda_ok(cu, cudaEventCreateWithFlags(&s->used, cudaEventDisableTiming),
                     "cudaEventCreateWithFlags") ||
            !cuda_ok(cu, cudaEventRecord(s->copied, cu->copy), "cudaEventRecord") ||
            !cuda_ok(cu, cudaEventRecord(s->used, cu->stream), "cudaEventRecord")) {
            return false;
        }
    }
    return true;
}

void cuda_stages_close(struct cuda *cu)
{
    for (int i = 0; i < STAGES; i++) {
        struct cuda_stage *s = &cu->stage[i];
        free_stage(cu, s);
        if (s->copied != NULL) {
            cuda_ok(cu, cudaEventDestroy(s->copied), "cudaEventDestroy");
        }
        if (s->used != NULL) {
            cuda_ok(cu, cudaEventDestroy(s->used), "cudaEventDestroy");
        }
    }
}

/* The next stage that holds no numbers on their way. NULL: too many do. */
static struct cuda_stage *next_stage(struct cuda *cu)
{
    for (int i = 0; i < STAGE_READ; i++) {
        struct cuda_stage *s = &cu->stage[(cu->next_write + i) % STAGE_READ];
        if (!s->held) {
            cu->next_write = (int)(s - cu->stage) + 1;
            return s;
        }
    }
    cuda_fail(cu, "more transfers at a time than there are stages for");
    return NULL;
}

struct cuda_stage *cuda_write_take(struct cuda *cu, size_t bytes)
{
    struct cuda_stage *s = cu->be.failed.code == VOV_OK ? next_stage(cu) : NULL;

    if (s == NULL || !grow(cu, s, bytes) ||
        !cuda_ok(cu, cudaEventSynchronize(s->copied), "cudaEventSynchronize")) {
        return NULL;
    }
    return s;
}

bool cuda_write_send(struct cuda *cu, struct cuda_stage *s, size_t bytes)
{
    if (!cuda_ok(cu, cudaStreamWaitEvent(cu->copy, s->used, 0), "cudaStreamWaitEvent") ||
        !cuda_ok(cu, cudaMemcpyAsync(s->device, s->host, bytes, cudaMemcpyHostToDevice, cu->copy),
                 "cudaMemcpyAsync") ||
        !cuda_ok(cu, cudaEventRecord(s->copied, cu->copy), "cudaEventRecord")) {
        return false;
    }
    s->held = true;
    return true;
}

struct cuda_stage *cuda_write_begin(struct cuda *cu, const void *host, size_t bytes)
{
    struct cuda_stage *s = cuda_write_take(cu, bytes);

    if (s == NULL) {
        return NULL;
    }
    memcpy(s->host, host, bytes);
    return cuda_write_send(cu, s, bytes) ? s : NULL;
}

void cuda_write_wait(struct cuda *cu, struct cuda_stage *s)
{
    cuda_ok(cu, cudaStreamWaitEvent(cu->stream, s->copied, 0), "cudaStreamWaitEvent");
}

void cuda_write_end(struct cuda *cu, struct cuda_stage *s)
{
    cuda_ok(cu, cudaEventRecord(s->used, cu->stream), "cudaEventRecord");
    s->held = false;
}

struct cuda_stage *cuda_read_begin(struct cuda *cu, size_t bytes)
{
    struct cuda_stage *s = &cu->stage[STAGE_READ];

    return cu->be.failed.code == VOV_OK && grow(cu, s, bytes) ? s : NULL;
}

void cuda_read_end(struct cuda *cu, struct cuda_stage *s, void *host, size_t bytes)
{
    if (cuda_ok(cu, cudaMemcpyAsync(s->host, s->device, bytes, cudaMemcpyDeviceToHost, cu->stream),
                "cudaMemcpyAsync") &&
        cuda_ok(cu, cudaStreamSynchronize(cu->stream), "cudaStreamSynchronize")) {
        memcpy(host, s->host, bytes);
    } else {
        memset(host, 0, bytes);
    }
}

void cuda_memory_entries(struct backend_ops *ops)
{
    ops->alloc = cuda_alloc;
    ops->release = cuda_release;
    ops->free_bytes = cuda_free_bytes;
    ops->discard = cuda_discard;
    ops->sync = cuda_sync;
    ops->peak = cuda_peak;
}
