/*
 * Bugs of programs with two devices: streams, events, handles and memory of the one that is not the
 * thread's.
 */
#include "bug.cuh"

#include "graph.cuh"

#include <cublas_v2.h>
#include <thread>

enum { N = 64 };

static __global__ void increase(float *x)
{
    /* BUG foreign_memory: of 4 bytes of device 0's memory on device 1 */
    x[threadIdx.x] += 1;
}

/* A stream of each device, and memory of each. Device 1 is the thread's. */
struct pair {
    cudaStream_t stream[2];
    float *x[2];

    pair()
    {
        for (int i = 0; i < 2; i++) {
            CALL(cudaSetDevice(i));
            CALL(cudaStreamCreateWithFlags(&stream[i], cudaStreamNonBlocking));
            x[i] = zeros<float>(N);
            CALL(cudaDeviceSynchronize());
        }
    }
    ~pair()
    {
        for (int i = 0; i < 2; i++) {
            cudaGetLastError();
            CALL(cudaStreamDestroy(stream[i]));
            CALL(cudaFree(x[i]));
        }
    }
};

static void foreign_stream(int planted)
{
    pair p;
    CALL(cudaSetDevice(planted));
    /* BUG foreign_stream: the stream of a launch: made for device 0 */
    increase<<<1, N, 0, p.stream[0]>>>(p.x[0]);
}

static void foreign_memory(int planted)
{
    pair p;
    increase<<<1, N, 0, p.stream[1]>>>(p.x[1 - planted]);
    CALL(cudaStreamSynchronize(p.stream[1]));
}

static void foreign_event(int planted)
{
    pair p;
    cudaEvent_t event;
    CALL(cudaEventCreate(&event));
    /* BUG foreign_event: of an event of device 1 on a stream of device 0 */
    cudaEventRecord(event, p.stream[1 - planted]);
    CALL(cudaStreamSynchronize(p.stream[1]));
    CALL(cudaEventDestroy(event));
}

/* A new thread has device 0. */
static void device_of_a_thread(int planted)
{
    pair p;
    std::thread([&] {
        if (!planted) {
            CALL(cudaSetDevice(1));
        }
        /* BUG device_of_a_thread: made for device 1, and the thread's device is 0 */
        increase<<<1, N, 0, p.stream[1]>>>(p.x[1]);
    }).join();
}

static void foreign_product(int planted)
{
    pair p;
    cublasHandle_t handle;
    const float one = 1, zero = 0;
    cublasCreate(&handle);
    CALL(cudaSetDevice(1 - planted));
    /* BUG foreign_product: made for device 1, and the thread's device is 0 */
    cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &one, p.x[1], 2, p.x[1], 2, &zero,
                p.x[1] + 8, 2);
    CALL(cudaSetDevice(1));
    CALL(cudaDeviceSynchronize());
    cublasDestroy(handle);
}

static void foreign_convolution(int planted)
{
    pair p;
    conv_graph g;
    cudnnHandle_t handle;
    const conv_case one = {PASS_FORWARD,     1,    1, 2, 2,     1,  1, 1, 0, 1, 1,
                           CUDNN_DATA_FLOAT, true, 1, 1, false, -1, 0, 1, 0};
    cudnnCreate(&handle);
    g.describe(one);
    g.build(g.ask(CUDNN_HEUR_MODE_FALLBACK)[0]);
    const cudnnBackendDescriptor_t pack =
        g.pack({UID_X, UID_W, UID_Y}, {p.x[1], p.x[1] + 8, p.x[1] + 16}, nullptr);
    CALL(cudaSetDevice(1 - planted));
    /* BUG foreign_convolution: made for device 1, and the thread's device is 0 */
    cudnnBackendExecute(handle, g.plan, pack);
    CALL(cudaSetDevice(1));
    CALL(cudaDeviceSynchronize());
    cudnnDestroy(handle);
}

BUGS({"foreign_stream", foreign_stream}, {"foreign_memory", foreign_memory},
     {"foreign_event", foreign_event}, {"device_of_a_thread", device_of_a_thread},
     {"foreign_product", foreign_product}, {"foreign_convolution", foreign_convolution})
