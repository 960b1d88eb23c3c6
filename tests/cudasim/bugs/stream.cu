/*
 * Bugs of order: work that is not waited for, events that are forgotten, buffers that are used
 * again too early, and captures that hold what they cannot.
 */
#include "bug.cuh"

#include <thread>

enum { N = 256 };

/* Says at which line a value is not what it should be. */
static void expect(int line, float found, float wanted)
{
    if (found != wanted) {
        fprintf(stderr, "stream.cu:%d: wrong value\n", line);
        exit(1);
    }
}

struct setting {
    cudaStream_t copy, work;
    cudaEvent_t event;
    float *pinned, *device;

    setting()
    {
        CALL(cudaStreamCreateWithFlags(&copy, cudaStreamNonBlocking));
        CALL(cudaStreamCreateWithFlags(&work, cudaStreamNonBlocking));
        CALL(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
        CALL(cudaMallocHost(&pinned, N * sizeof *pinned));
        CALL(cudaMalloc(&device, N * sizeof *device));
        for (int i = 0; i < N; i++) {
            pinned[i] = (float)i;
        }
    }
    ~setting()
    {
        CALL(cudaStreamSynchronize(copy));
        CALL(cudaStreamSynchronize(work));
        CALL(cudaEventDestroy(event));
        CALL(cudaStreamDestroy(copy));
        CALL(cudaStreamDestroy(work));
        CALL(cudaFreeHost(pinned));
        CALL(cudaFree(device));
    }
    void upload(cudaStream_t s)
    {
        CALL(cudaMemcpyAsync(device, pinned, N * sizeof *pinned, cudaMemcpyHostToDevice, s));
    }
    void download(cudaStream_t s)
    {
        CALL(cudaMemcpyAsync(pinned, device, N * sizeof *pinned, cudaMemcpyDeviceToHost, s));
    }
};

static __global__ void increase(float *x)
{
    /* BUG event_forgotten: that nothing has written: byte 0 of allocation #0 */
    x[threadIdx.x] += 1;
}

static void event_forgotten(int planted)
{
    setting s;
    s.upload(s.copy);
    CALL(cudaEventRecord(s.event, s.copy));
    if (!planted) {
        CALL(cudaStreamWaitEvent(s.work, s.event, 0));
    }
    increase<<<1, N, 0, s.work>>>(s.device);
    CALL(cudaStreamSynchronize(s.work));
}

static void not_waited(int planted)
{
    setting s;
    s.upload(s.work);
    increase<<<1, N, 0, s.work>>>(s.device);
    s.download(s.work);
    if (!planted) {
        CALL(cudaStreamSynchronize(s.work));
    }
    /* BUG not_waited: wrong value */
    expect(__LINE__, s.pinned[3], 4);
}

static void refilled_early(int planted)
{
    setting s;
    s.upload(s.work);
    if (!planted) {
        CALL(cudaStreamSynchronize(s.work));
    }
    s.pinned[3] = 100;
    s.download(s.work);
    CALL(cudaStreamSynchronize(s.work));
    /* BUG refilled_early: wrong value */
    expect(__LINE__, s.pinned[3], 3);
}

static void never_waited(int planted)
{
    cudaStream_t s;
    float *x = zeros<float>(N);
    CALL(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    /* BUG never_waited: work was put on a stream and never waited for */
    CALL(cudaMemsetAsync(x, 0, N, s));
    if (!planted) {
        CALL(cudaStreamDestroy(s));
        CALL(cudaFree(x));
    }
}

static void malloc_in_capture(int planted)
{
    setting s;
    cudaGraph_t graph;
    float *x = nullptr;
    s.upload(s.work);
    CALL(cudaStreamBeginCapture(s.work, cudaStreamCaptureModeThreadLocal));
    if (planted) {
        /* BUG malloc_in_capture: cudaMalloc while a stream is captured */
        cudaMalloc(&x, N);
    }
    increase<<<1, N, 0, s.work>>>(s.device);
    CALL(cudaStreamEndCapture(s.work, &graph));
    CALL(cudaGraphDestroy(graph));
}

static void malloc_beside_capture(int planted)
{
    setting s;
    cudaGraph_t graph;
    float *x = nullptr;
    CALL(cudaStreamBeginCapture(s.work, cudaStreamCaptureModeGlobal));
    if (planted) {
        /* BUG malloc_beside_capture: cudaMalloc while a stream is captured */
        std::thread([&] { cudaMalloc(&x, N); }).join();
    }
    increase<<<1, N, 0, s.work>>>(s.device);
    CALL(cudaStreamEndCapture(s.work, &graph));
    CALL(cudaGraphDestroy(graph));
}

static void capture_of_another(int planted)
{
    setting s;
    cudaGraph_t graph;
    CALL(cudaStreamBeginCapture(s.work, cudaStreamCaptureModeThreadLocal));
    increase<<<1, N, 0, s.work>>>(s.device);
    if (planted) {
        /* BUG capture_of_another: another thread began the capture */
        std::thread([&] { cudaStreamEndCapture(s.work, &graph); }).join();
    }
    CALL(cudaStreamEndCapture(s.work, &graph));
    CALL(cudaGraphDestroy(graph));
}

static void wait_in_capture(int planted)
{
    setting s;
    cudaGraph_t graph;
    CALL(cudaStreamBeginCapture(s.work, cudaStreamCaptureModeThreadLocal));
    increase<<<1, N, 0, s.work>>>(s.device);
    if (planted) {
        /* BUG wait_in_capture: cudaStreamSynchronize of a captured stream */
        cudaStreamSynchronize(s.work);
    }
    CALL(cudaStreamEndCapture(s.work, &graph));
    CALL(cudaGraphDestroy(graph));
}

static void unjoined(int planted)
{
    setting s;
    cudaGraph_t graph = nullptr;
    CALL(cudaStreamBeginCapture(s.work, cudaStreamCaptureModeThreadLocal));
    CALL(cudaEventRecord(s.event, s.work));
    CALL(cudaStreamWaitEvent(s.copy, s.event, 0));
    increase<<<1, N, 0, s.copy>>>(s.device);
    if (!planted) {
        CALL(cudaEventRecord(s.event, s.copy));
        CALL(cudaStreamWaitEvent(s.work, s.event, 0));
    }
    /* BUG unjoined: a stream that joined the capture was not waited for */
    cudaStreamEndCapture(s.work, &graph);
    if (graph) {
        CALL(cudaGraphDestroy(graph));
    }
}

static void pageable_in_capture(int planted)
{
    setting s;
    float host[N] = {0};
    cudaGraph_t graph;
    CALL(cudaStreamBeginCapture(s.work, cudaStreamCaptureModeThreadLocal));
    const float *from = planted ? host : s.pinned;
    /* BUG pageable_in_capture: of memory that is not pinned */
    cudaMemcpyAsync(s.device, from, sizeof host, cudaMemcpyHostToDevice, s.work);
    CALL(cudaStreamEndCapture(s.work, &graph));
    CALL(cudaGraphDestroy(graph));
}

static void graph_leak(int planted)
{
    setting s;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    s.upload(s.work);
    CALL(cudaStreamBeginCapture(s.work, cudaStreamCaptureModeThreadLocal));
    increase<<<1, N, 0, s.work>>>(s.device);
    CALL(cudaStreamEndCapture(s.work, &graph));
    /* BUG graph_leak: leak: one graph exec */
    CALL(cudaGraphInstantiate(&exec, graph, 0));
    CALL(cudaGraphDestroy(graph));
    CALL(cudaGraphLaunch(exec, s.work));
    CALL(cudaStreamSynchronize(s.work));
    if (!planted) {
        CALL(cudaGraphExecDestroy(exec));
    }
}

BUGS({"event_forgotten", event_forgotten}, {"not_waited", not_waited},
     {"refilled_early", refilled_early}, {"never_waited", never_waited},
     {"malloc_in_capture", malloc_in_capture}, {"malloc_beside_capture", malloc_beside_capture},
     {"capture_of_another", capture_of_another}, {"wait_in_capture", wait_in_capture},
     {"unjoined", unjoined}, {"pageable_in_capture", pageable_in_capture},
     {"graph_leak", graph_leak})
