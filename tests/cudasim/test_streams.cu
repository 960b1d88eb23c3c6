/*
 * Streams, events, pinned memory and captured graphs, used as they should be: a pipeline of
 * uploads, work and downloads on two streams, the same as a graph with two branches, and what
 * changes a graph.
 */
#include "case.cuh"
#include "cusim.h"

#include <thread>

enum { N = 512, STEPS = 5 };

static __global__ void scale(const float *x, float *y, float by)
{
    y[threadIdx.x] = x[threadIdx.x] * by;
}

static __global__ void add(const float *x, const float *y, float *sum)
{
    sum[threadIdx.x] = x[threadIdx.x] + y[threadIdx.x];
}

struct pipeline {
    cudaStream_t copy, work;
    cudaEvent_t ready[2], used[2];
    float *pinned[2], *result, *device[2], *scaled, *sum;

    pipeline()
    {
        for (int i = 0; i < 2; i++) {
            CALL(cudaMallocHost(&pinned[i], N * sizeof(float)));
            CALL(cudaMalloc(&device[i], N * sizeof(float)));
            CALL(cudaEventCreateWithFlags(&ready[i], cudaEventDisableTiming));
            CALL(cudaEventCreateWithFlags(&used[i], cudaEventDisableTiming));
        }
        CALL(cudaMallocHost(&result, N * sizeof(float)));
        CALL(cudaMalloc(&scaled, N * sizeof(float)));
        CALL(cudaMalloc(&sum, N * sizeof(float)));
        CALL(cudaStreamCreateWithFlags(&copy, cudaStreamNonBlocking));
        CALL(cudaStreamCreateWithFlags(&work, cudaStreamNonBlocking));
    }
    ~pipeline()
    {
        for (int i = 0; i < 2; i++) {
            CALL(cudaFreeHost(pinned[i]));
            CALL(cudaFree(device[i]));
            CALL(cudaEventDestroy(ready[i]));
            CALL(cudaEventDestroy(used[i]));
        }
        CALL(cudaFreeHost(result));
        CALL(cudaFree(scaled));
        CALL(cudaFree(sum));
        CALL(cudaStreamDestroy(copy));
        CALL(cudaStreamDestroy(work));
    }
    void fill(int slot, int step)
    {
        for (int i = 0; i < N; i++) {
            pinned[slot][i] = (float)(i + 1000 * step);
        }
    }
    void upload(int slot)
    {
        CALL(cudaMemcpyAsync(device[slot], pinned[slot], N * sizeof(float), cudaMemcpyHostToDevice,
                             copy));
        CALL(cudaEventRecord(ready[slot], copy));
    }
    void compute(int slot, float by)
    {
        CALL(cudaStreamWaitEvent(work, ready[slot], 0));
        scale<<<1, N, 0, work>>>(device[slot], scaled, by);
        add<<<1, N, 0, work>>>(device[slot], scaled, sum);
        CALL(cudaEventRecord(used[slot], work));
        CALL(cudaMemcpyAsync(result, sum, N * sizeof(float), cudaMemcpyDeviceToHost, work));
        CALL(cudaGetLastError());
    }
    void compare(const char *what, int step, float by)
    {
        for (int i = 0; i < N; i++) {
            check(what, i, result[i], (i + 1000 * step) * (1 + by), 0);
        }
    }
};

/* Two buffers: while one is worked on, the next is filled and uploaded. */
static void test_pipeline(void)
{
    pipeline p;
    p.fill(0, 0);
    p.upload(0);
    for (int step = 0; step < STEPS; step++) {
        const int slot = step & 1, next = !slot;
        p.compute(slot, 2);
        if (step + 1 < STEPS) {
            if (step > 0) {
                CALL(cudaEventSynchronize(p.ready[next])); /* its upload has read the buffer */
                CALL(cudaStreamWaitEvent(p.copy, p.used[next], 0));
            }
            p.fill(next, step + 1);
            p.upload(next);
        }
        CALL(cudaStreamSynchronize(p.work));
        p.compare("pipeline", step, 2);
    }
}

/* The graph of a step: uploads on a branch of its own, joined before the work. */
static cudaGraph_t capture(pipeline &p, float by)
{
    cudaGraph_t graph;
    CALL(cudaStreamBeginCapture(p.work, cudaStreamCaptureModeThreadLocal));
    CALL(cudaEventRecord(p.used[0], p.work));
    CALL(cudaStreamWaitEvent(p.copy, p.used[0], 0));
    p.upload(0);
    p.compute(0, by);
    CALL(cudaStreamEndCapture(p.work, &graph));
    return graph;
}

static void replay(pipeline &p, cudaGraphExec_t exec, float by)
{
    for (int step = 0; step < STEPS; step++) {
        p.fill(0, step);
        CALL(cudaGraphLaunch(exec, p.work));
        CALL(cudaStreamSynchronize(p.work));
        p.compare("graph", step, by);
    }
}

static void test_graph(void)
{
    pipeline p;
    cudaGraphExec_t exec;
    size_t nodes = 0;
    cudaGraph_t graph = capture(p, 2);
    CALL(cudaGraphGetNodes(graph, nullptr, &nodes));
    check("nodes", 0, (double)nodes, 4, 0);
    CALL(cudaGraphInstantiate(&exec, graph, 0));
    CALL(cudaGraphDestroy(graph));
    replay(p, exec, 2);

    graph = capture(p, 3);
    cudaGraphExecUpdateResultInfo info;
    CALL(cudaGraphExecUpdate(exec, graph, &info));
    CALL(cudaGraphDestroy(graph));
    replay(p, exec, 3);

    CALL(cudaStreamBeginCapture(p.work, cudaStreamCaptureModeThreadLocal));
    CALL(cudaMemsetAsync(p.sum, 0, N, p.work));
    CALL(cudaStreamEndCapture(p.work, &graph));
    check("another shape", 0, cudaGraphExecUpdate(exec, graph, &info),
          cudaErrorGraphExecUpdateFailure, 0);
    check("last error", 0, cudaGetLastError(), cudaErrorGraphExecUpdateFailure, 0);
    CALL(cudaGraphDestroy(graph));
    CALL(cudaGraphExecDestroy(exec));
}

/* Two launches in a row, with nothing between: the second sees what the first left. */
static void test_chain(void)
{
    pipeline p;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    p.fill(0, 1);
    p.upload(0);
    CALL(cudaStreamSynchronize(p.copy));
    CALL(cudaStreamBeginCapture(p.work, cudaStreamCaptureModeThreadLocal));
    scale<<<1, N, 0, p.work>>>(p.device[0], p.device[0], 2);
    CALL(cudaStreamEndCapture(p.work, &graph));
    CALL(cudaGraphInstantiate(&exec, graph, 0));
    CALL(cudaGraphDestroy(graph));
    CALL(cudaGraphLaunch(exec, p.work));
    CALL(cudaGraphLaunch(exec, p.work));
    CALL(cudaMemcpyAsync(p.result, p.device[0], N * sizeof(float), cudaMemcpyDeviceToHost, p.work));
    CALL(cudaStreamSynchronize(p.work));
    CALL(cudaGraphExecDestroy(exec));
    p.compare("chain", 1, 3);
}

/* What another thread may do while this one captures. */
static void test_threads(void)
{
    pipeline p;
    cudaGraph_t graph;
    float *x;
    CALL(cudaStreamBeginCapture(p.work, cudaStreamCaptureModeThreadLocal));
    scale<<<1, N, 0, p.work>>>(p.device[0], p.device[0], 2);
    std::thread([&] {
        CALL(cudaMalloc(&x, N));
        CALL(cudaFree(x));
        CALL(cudaDeviceSynchronize());
    }).join();
    CALL(cudaStreamEndCapture(p.work, &graph));
    CALL(cudaGraphDestroy(graph));

    CALL(cudaStreamBeginCapture(p.work, cudaStreamCaptureModeRelaxed));
    CALL(cudaMalloc(&x, N));
    CALL(cudaFree(x));
    std::thread([&] { CALL(cudaStreamEndCapture(p.work, &graph)); }).join();
    CALL(cudaGraphDestroy(graph));
}

static void test_events(void)
{
    pipeline p;
    cudaEvent_t from, to;
    float ms = -1;
    CALL(cudaEventCreate(&from));
    CALL(cudaEventCreate(&to));
    check("never recorded", 0, cudaEventQuery(to), cudaSuccess, 0);
    p.fill(0, 0);
    CALL(cudaEventRecord(from, p.copy));
    p.upload(0);
    CALL(cudaEventRecord(to, p.copy));
    check("not ready", 0, cudaEventQuery(to), cudaErrorNotReady, 0);
    while (cudaEventQuery(to) == cudaErrorNotReady) {
    }
    CALL(cudaEventElapsedTime(&ms, from, to));
    check("time", 0, ms >= 0 && ms < 60000, 1, 0);
    CALL(cudaEventDestroy(from));
    CALL(cudaEventDestroy(to));
}

/* The legacy stream and blocking ones wait for each other; no event is needed. */
static void test_legacy(void)
{
    cudaStream_t s;
    float host[N];
    array<float> x(N, 1), y(N), z(N);
    CALL(cudaStreamCreate(&s));
    x.up();
    scale<<<1, N, 0, s>>>(x.device, y.device, 2);
    scale<<<1, N>>>(y.device, z.device, 2);
    scale<<<1, N, 0, s>>>(z.device, y.device, 2);
    CALL(cudaMemcpy(host, y.device, sizeof host, cudaMemcpyDeviceToHost));
    for (int i = 0; i < N; i++) {
        check("legacy", i, host[i], 8, 0);
    }
    CALL(cudaStreamDestroy(s));
}

/* All of it in one step, which gives up at the first error and leaves nothing. */
static cudaError_t step(void)
{
    float host[N] = {1}, *x = nullptr, *pinned = nullptr;
    cudaStream_t s = nullptr;
    cudaError_t error = cudaMalloc(&x, sizeof host);
    error = error ? error : cudaMallocHost(&pinned, sizeof host);
    error = error ? error : cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking);
    error = error ? error : cudaMemcpyAsync(x, host, sizeof host, cudaMemcpyHostToDevice, s);
    if (!error) {
        scale<<<1, N, 0, s>>>(x, x, 2);
        error = cudaGetLastError();
    }
    error = error ? error : cudaMemcpyAsync(pinned, x, sizeof host, cudaMemcpyDeviceToHost, s);
    error = error ? error : cudaStreamSynchronize(s);
    const cudaError_t errors[] = {s ? cudaStreamDestroy(s) : cudaSuccess,
                                  pinned ? cudaFreeHost(pinned) : cudaSuccess, cudaFree(x)};
    for (const cudaError_t e : errors) {
        error = error ? error : e;
    }
    cudaGetLastError();
    return error;
}

/* Each call made to fail once: the step fails, and nothing is left of it. */
static void test_failing_calls(void)
{
    const long before = cusim_calls();
    check("step", 0, step(), 0, 0);
    const long calls = cusim_calls() - before;
    const size_t alive = cusim_alive();
    for (long i = 0; i < calls; i++) {
        cusim_fail_after(i);
        check("fails", i, step() != cudaSuccess, 1, 0);
        check("was made to fail", i, cusim_failed_call() != nullptr, 1, 0);
        check("alive", i, (double)cusim_alive(), (double)alive, 0);
    }
    cusim_fail_after(-1);
    check("reports", 0, cusim_reports(), 0, 0);
    check("calls", 0, calls, 10, 0);
}

static __global__ void order(int *places, int *next)
{
    if (threadIdx.x == 0) {
        places[atomicAdd(next, 1)] = blockIdx.x;
    }
}

/* In which order blocks ran. */
static void test_order(void)
{
    const int blocks = 20;
    const cusim_order orders[] = {CUSIM_FORWARD, CUSIM_REVERSED, CUSIM_RANDOM};
    for (int k = 0; k < 3; k++) {
        array<int> places(blocks), next(1, 0);
        int ascending = 0;
        long sum = 0;
        cusim_set_order(orders[k], 3);
        order<<<blocks, 64>>>(places.device, next.up());
        places.down();
        for (int i = 0; i < blocks; i++) {
            sum += places[i];
            ascending += i > 0 && places[i] > places[i - 1];
        }
        check("all blocks", k, (double)sum, blocks * (blocks - 1) / 2, 0);
        if (k < 2) {
            check("order", k, ascending, k == 0 ? blocks - 1 : 0, 0);
        } else {
            check("random", k, ascending > 0 && ascending < blocks - 1, 1, 0);
        }
    }
    cusim_set_order(CUSIM_FORWARD, 0);
}

int main()
{
    test_pipeline();
    test_graph();
    test_chain();
    test_threads();
    test_events();
    test_legacy();
    test_failing_calls();
    test_order();
    return failures != 0;
}
