/*
 * Bugs in the use of cuDNN and cuBLAS: descriptors, workspaces, pointers, plans that end too early.
 */
#include "bug.cuh"

#include "graph.cuh"

#include <cublas_v2.h>

static const conv_case small = {.pass = PASS_FORWARD,
                                .n = 1,
                                .c = 4,
                                .h = 5,
                                .w = 5,
                                .k = 4,
                                .r = 3,
                                .stride = 1,
                                .pad = 1,
                                .dilation = 1,
                                .groups = 1,
                                .type = CUDNN_DATA_FLOAT,
                                .nhwc = true,
                                .x_channels = 4,
                                .y_channels = 4,
                                .bias = false,
                                .act = -1,
                                .slope = 0,
                                .alpha = 1,
                                .beta = 0};

/* A convolution that is ready to run, and its memory. */
struct ready {
    conv_graph g;
    cudnnHandle_t handle;
    float *x = zeros<float>(200), *w = zeros<float>(200), *y = zeros<float>(200);
    char *work = zeros<char>(5000);

    ready()
    {
        cudnnCreate(&handle);
        g.describe(small);
        g.build(g.ask(CUDNN_HEUR_MODE_A)[3]);
    }
    ~ready()
    {
        CALL(cudaDeviceSynchronize());
        cudnnDestroy(handle);
        finish(x);
        finish(w);
        finish(y);
        finish(work);
    }
};

static void wrong_type(int planted)
{
    conv_graph g;
    const float align = 16;
    const int64_t right = 16;
    const cudnnBackendDescriptor_t d = g.make(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    const cudnnBackendAttributeType_t type = planted ? CUDNN_TYPE_FLOAT : CUDNN_TYPE_INT64;
    const void *value = planted ? (const void *)&align : &right;
    /* BUG wrong_type: cudnnBackendSetAttribute: the attribute has another type */
    cudnnBackendSetAttribute(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, type, 1, value);
}

static void incomplete(int planted)
{
    conv_graph g;
    const int64_t align = 16;
    const cudnnBackendDescriptor_t d = g.make(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    g.set(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &align);
    if (planted) {
        /* BUG incomplete: cudnnBackendFinalize: the descriptor lacks attribute */
        cudnnBackendFinalize(d);
    }
}

static void not_finalised(int planted)
{
    conv_graph g;
    cudnnBackendDescriptor_t d = g.make(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    if (!planted) {
        d = g.tensor(UID_X, CUDNN_DATA_FLOAT, true, {1, 4, 5, 5}, 4);
    }
    const cudnnBackendDescriptor_t o =
        g.make(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    const cudnnBackendAttributeName_t name = CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X;
    /* BUG not_finalised: the descriptor inside is not finalised */
    cudnnBackendSetAttribute(o, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &d);
}

static void wrong_shape(int planted)
{
    conv_graph g;
    const cudnnBackendDescriptor_t x = g.tensor(UID_X, CUDNN_DATA_FLOAT, true, {1, 4, 5, 5}, 4);
    const cudnnBackendDescriptor_t b = g.tensor(UID_BIAS, CUDNN_DATA_FLOAT, true, {1, 4, 1, 1}, 4);
    const cudnnBackendDescriptor_t y =
        g.tensor(UID_Y, CUDNN_DATA_FLOAT, true, {1, 4, 5, planted ? 4 : 5}, 4);
    const cudnnBackendDescriptor_t o = g.pointwise(CUDNN_POINTWISE_ADD, 0, x, b, y);
    /* BUG wrong_shape: the dimensions of a pointwise operation do not fit */
    cudnnBackendFinalize(o);
}

static void small_workspace(int planted)
{
    ready r;
    char *work = zeros<char>(planted ? 100 : 5000);
    const cudnnBackendDescriptor_t pack = r.g.pack({UID_X, UID_W, UID_Y}, {r.x, r.w, r.y}, work);
    /* BUG small_workspace: cudnnBackendExecute workspace: out of bounds of 2048 bytes */
    cudnnBackendExecute(r.handle, r.g.plan, pack);
    finish(work);
}

static void small_output(int planted)
{
    ready r;
    float *y = zeros<float>(planted ? 90 : 100);
    const cudnnBackendDescriptor_t pack = r.g.pack({UID_X, UID_W, UID_Y}, {r.x, r.w, y}, r.work);
    /* BUG small_output: cudnnBackendExecute: out of bounds of 16 bytes */
    cudnnBackendExecute(r.handle, r.g.plan, pack);
    finish(y);
}

static void unaligned_tensor(int planted)
{
    ready r;
    const cudnnBackendDescriptor_t pack =
        r.g.pack({UID_X, UID_W, UID_Y}, {(char *)r.x + planted, r.w, r.y}, r.work);
    /* BUG unaligned_tensor: is not aligned to the 4 bytes that were promised */
    cudnnBackendExecute(r.handle, r.g.plan, pack);
}

static void no_pointer(int planted)
{
    ready r;
    const cudnnBackendDescriptor_t pack =
        r.g.pack({UID_X, planted ? 9 : UID_W, UID_Y}, {r.x, r.w, r.y}, r.work);
    /* BUG no_pointer: no pointer was given for tensor 2 */
    cudnnBackendExecute(r.handle, r.g.plan, pack);
}

static void plan_ends_early(int planted)
{
    ready r;
    const cudnnBackendDescriptor_t pack = r.g.pack({UID_X, UID_W, UID_Y}, {r.x, r.w, r.y}, r.work);
    /* BUG plan_ends_early: the plan was destroyed before its work was done */
    cudnnBackendExecute(r.handle, r.g.plan, pack);
    if (!planted) {
        CALL(cudaDeviceSynchronize());
    }
    r.g.drop();
}

static void descriptor_leak(int planted)
{
    cudnnBackendDescriptor_t d;
    /* BUG descriptor_leak: leak: one cuDNN descriptor */
    cudnnBackendCreateDescriptor(CUDNN_BACKEND_TENSOR_DESCRIPTOR, &d);
    if (!planted) {
        cudnnBackendDestroyDescriptor(d);
    }
}

static void small_matrix(int planted)
{
    cublasHandle_t handle;
    float *a = zeros<float>(100);
    const float one = 1, zero = 0;
    const int ld = planted ? 9 : 10;
    cublasCreate(&handle);
    /* BUG small_matrix: sizes or leading dimensions that do not fit */
    cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 10, 2, 2, &one, a, 10, a, 2, &zero, a + 20, ld);
    cublasDestroy(handle);
    finish(a);
}

static void unwritten_matrix(int planted)
{
    cublasHandle_t handle;
    float *a = zeros<float>(100), *c;
    const float one = 1, beta = (float)planted;
    CALL(cudaMalloc(&c, 400));
    cublasCreate(&handle);
    /* BUG unwritten_matrix: cublasSgemm, C: read of what nothing has written */
    cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 10, 2, 2, &one, a, 10, a, 2, &beta, c, 10);
    CALL(cudaDeviceSynchronize());
    cublasDestroy(handle);
    finish(a);
    finish(c);
}

BUGS({"wrong_type", wrong_type}, {"incomplete", incomplete}, {"not_finalised", not_finalised},
     {"wrong_shape", wrong_shape}, {"small_workspace", small_workspace},
     {"small_output", small_output}, {"unaligned_tensor", unaligned_tensor},
     {"no_pointer", no_pointer}, {"plan_ends_early", plan_ends_early},
     {"descriptor_leak", descriptor_leak}, {"small_matrix", small_matrix},
     {"unwritten_matrix", unwritten_matrix})
