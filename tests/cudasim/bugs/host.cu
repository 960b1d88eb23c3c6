/*
 * Bugs of host code: memory, its life and its kinds, and objects that are dead or left over.
 */
#include "bug.cuh"

enum { N = 256 };

static void free_twice(int planted)
{
    float *x = zeros<float>(N);
    CALL(cudaFree(x));
    if (planted) {
        /* BUG free_twice: freed twice: byte 0 of allocation #0 (1024 bytes, freed) */
        cudaFree(x);
    }
}

static void free_inside(int planted)
{
    float *x = zeros<float>(N);
    if (planted) {
        /* BUG free_inside: not the start of an allocation: byte 16 of allocation #0 */
        cudaFree(x + 4);
    }
    CALL(cudaFree(x));
}

static void wrong_kind(int planted)
{
    float host[N], *x = zeros<float>(N);
    const cudaMemcpyKind kind = planted ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToHost;
    /* BUG wrong_kind: and the pointers are of device and host memory */
    cudaMemcpy(host, x, sizeof host, kind);
    CALL(cudaFree(x));
}

static void copy_too_much(int planted)
{
    float host[N] = {0}, *x = zeros<float>(N / 2);
    const size_t bytes = sizeof host / (planted ? 1 : 2);
    /* BUG copy_too_much: out of bounds of 1024 bytes at */
    cudaMemcpy(x, host, bytes, cudaMemcpyHostToDevice);
    CALL(cudaFree(x));
}

static void copy_unwritten(int planted)
{
    float host[N], *x;
    CALL(cudaMalloc(&x, sizeof host));
    if (!planted) {
        CALL(cudaMemset(x, 0, sizeof host));
    }
    /* BUG copy_unwritten: read of what nothing has written */
    CALL(cudaMemcpy(host, x, sizeof host, cudaMemcpyDeviceToHost));
    CALL(cudaFree(x));
}

static void fill_too_much(int planted)
{
    float *x;
    CALL(cudaMalloc(&x, N));
    /* BUG fill_too_much: out of bounds of 257 bytes at */
    CALL(cudaMemsetAsync(x, 0, N + planted, 0));
    finish(x);
}

static void host_reads(int planted)
{
    float host = 0;
    float *x = zeros<float>(N);
    const float *p = planted ? x : &host;
    /* BUG host_reads: host code touched device memory */
    fprintf(stderr, "%g\n", (double)p[0]);
    CALL(cudaFree(x));
}

static void memory_leak(int planted)
{
    float *x;
    /* BUG memory_leak: leak: allocation #0 of 256 bytes */
    CALL(cudaMalloc(&x, N));
    if (!planted) {
        CALL(cudaFree(x));
    }
}

static void pinned_leak(int planted)
{
    float *x;
    /* BUG pinned_leak: leak: 256 bytes of pinned host memory */
    CALL(cudaMallocHost(&x, N));
    if (!planted) {
        CALL(cudaFreeHost(x));
    }
}

static void stream_leak(int planted)
{
    cudaStream_t s;
    /* BUG stream_leak: leak: one stream */
    CALL(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    if (!planted) {
        CALL(cudaStreamDestroy(s));
    }
}

static void event_leak(int planted)
{
    cudaEvent_t e;
    /* BUG event_leak: leak: one event */
    CALL(cudaEventCreateWithFlags(&e, cudaEventDisableTiming));
    if (!planted) {
        CALL(cudaEventDestroy(e));
    }
}

static void dead_stream(int planted)
{
    cudaStream_t s;
    CALL(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    if (planted) {
        CALL(cudaStreamDestroy(s));
    }
    /* BUG dead_stream: is not a live stream */
    cudaStreamSynchronize(s);
    if (!planted) {
        CALL(cudaStreamDestroy(s));
    }
}

static void not_pinned(int planted)
{
    float *x = (float *)malloc(N);
    if (planted) {
        /* BUG not_pinned: not the start of pinned memory */
        cudaFreeHost(x);
    }
    free(x);
}

BUGS({"free_twice", free_twice}, {"free_inside", free_inside}, {"wrong_kind", wrong_kind},
     {"copy_too_much", copy_too_much}, {"copy_unwritten", copy_unwritten},
     {"fill_too_much", fill_too_much}, {"host_reads", host_reads}, {"memory_leak", memory_leak},
     {"pinned_leak", pinned_leak}, {"stream_leak", stream_leak}, {"event_leak", event_leak},
     {"dead_stream", dead_stream}, {"not_pinned", not_pinned})
