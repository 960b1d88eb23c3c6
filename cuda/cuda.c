/*
 * cuda.c - opens a device, fills the table, keeps errors. This is what the program finds in the
 * library: see backend/plugin.h.
 */
#include "cuda.h"

#include "backend/plugin.h"
#include "base/mem.h"

#include <string.h>

enum { WORK_COUNT = 1 << 22, RESULT_COUNT = 1 << 18, BLAS_BYTES = 32 << 20 };
static const size_t workspace_limit = (size_t)512 << 20;

bool cuda_ok(struct cuda *cu, cudaError_t code, const char *what)
{
    if (code != cudaSuccess) {
        err_set(&cu->be.failed, code == cudaErrorMemoryAllocation ? VOV_ENOMEM : VOV_EDEVICE,
                "%s: %s", what, cudaGetErrorString(code));
        cudaGetLastError(); /* or the next launch would be taken for the one that failed */
    }
    return code == cudaSuccess;
}

bool cuda_blas_ok(struct cuda *cu, cublasStatus_t code, const char *what)
{
    if (code != CUBLAS_STATUS_SUCCESS) {
        err_set(&cu->be.failed, VOV_EDEVICE, "%s: %s", what, cublasGetStatusString(code));
    }
    return code == CUBLAS_STATUS_SUCCESS;
}

bool cuda_dnn_ok(struct cuda *cu, cudnnStatus_t code, const char *what)
{
    char text[256] = "";

    if (code != CUDNN_STATUS_SUCCESS) {
        cudnnGetLastErrorString(text, sizeof text);
        err_set(&cu->be.failed, VOV_EDEVICE, "%s: %s %s", what, cudnnGetErrorString(code), text);
    }
    return code == CUDNN_STATUS_SUCCESS;
}

void cuda_fail(struct cuda *cu, const char *text)
{
    err_set(&cu->be.failed, VOV_EDEVICE, "%s", text);
}

bool cuda_here(struct cuda *cu)
{
    return cuda_ok(cu, cudaSetDevice(cu->device), "cudaSetDevice");
}

static void cuda_close(struct backend *be)
{
    struct cuda *cu = cuda_of(be);

    cuda_here(cu);
    if (cu->stream != NULL) {
        cuda_ok(cu, cudaStreamSynchronize(cu->stream), "cudaStreamSynchronize");
    }
    conv_cache_close(cu->conv);
    if (cu->blas != NULL) {
        cublasDestroy(cu->blas);
    }
    cuda_stages_close(cu);
    cuda_ok(cu, cudaFree(cu->work), "cudaFree");
    cuda_ok(cu, cudaFree(cu->result), "cudaFree");
    cuda_ok(cu, cudaFree(cu->blas_work), "cudaFree");
    cuda_ok(cu, cudaFree(cu->fault), "cudaFree");
    cuda_ok(cu, cudaFree(cu->key), "cudaFree");
    if (cu->fault_seen != NULL) {
        cuda_ok(cu, cudaFreeHost(cu->fault_seen), "cudaFreeHost");
    }
    if (cu->copy != NULL) {
        cuda_ok(cu, cudaStreamDestroy(cu->copy), "cudaStreamDestroy");
    }
    if (cu->stream != NULL) {
        cuda_ok(cu, cudaStreamDestroy(cu->stream), "cudaStreamDestroy");
    }
    mem_free(cu);
}

static void fill_table(struct backend_ops *ops)
{
    ops->name = "cuda";
    ops->close = cuda_close;
    cuda_memory_entries(ops);
    cuda_layout_entries(ops);
    cuda_pixels_entries(ops);
    cuda_basic_entries(ops);
    cuda_conv_entries(ops);
    cuda_gemm_entries(ops);
    cuda_norm_entries(ops);
    cuda_l2norm_entries(ops);
    cuda_pool_entries(ops);
    cuda_resize_entries(ops);
    cuda_softmax_entries(ops);
    cuda_loss_entries(ops);
    cuda_multibox_entries(ops);
    cuda_detect_entries(ops);
    cuda_roi_align_entries(ops);
    cuda_proposal_entries(ops);
    cuda_rpn_entries(ops);
    cuda_roi_sample_entries(ops);
    cuda_roi_box_entries(ops);
    cuda_roi_mask_entries(ops);
    cuda_optim_entries(ops);
    cuda_record_entries(ops);
    cuda_range_entries(ops);
}

static bool take(struct cuda *cu, void *p, size_t bytes)
{
    return cuda_ok(cu, cudaMalloc((void **)p, bytes), "cudaMalloc");
}

static bool open_memory(struct cuda *cu)
{
    cu->work_count = WORK_COUNT;
    cu->result_count = RESULT_COUNT;
    return take(cu, &cu->work, WORK_COUNT * sizeof *cu->work) &&
           take(cu, &cu->result, RESULT_COUNT * sizeof *cu->result) &&
           take(cu, &cu->blas_work, BLAS_BYTES) && take(cu, &cu->fault, sizeof *cu->fault) &&
           take(cu, &cu->key, sizeof *cu->key) &&
           cuda_ok(cu, cudaMallocHost((void **)&cu->fault_seen, sizeof *cu->fault_seen),
                   "cudaMallocHost") &&
           cuda_ok(cu, cudaMemsetAsync(cu->fault, 0, sizeof *cu->fault, cu->stream),
                   "cudaMemsetAsync") &&
           cuda_stages_open(cu);
}

static bool open_libraries(struct cuda *cu)
{
    if (!cuda_blas_ok(cu, cublasCreate(&cu->blas), "cublasCreate") ||
        !cuda_blas_ok(cu, cublasSetStream(cu->blas, cu->stream), "cublasSetStream") ||
        !cuda_blas_ok(cu, cublasSetWorkspace(cu->blas, cu->blas_work, BLAS_BYTES),
                      "cublasSetWorkspace")) {
        return false;
    }
    cu->conv = conv_cache_open(cu);
    return cu->conv != NULL;
}

static cudaError_t describe(int i, struct gpu *g)
{
    struct cudaDeviceProp p;
    const cudaError_t code = cudaGetDeviceProperties(&p, i);

    if (code != cudaSuccess) {
        return code;
    }
    *g = (struct gpu){.major = p.major,
                      .minor = p.minor,
                      .memory_bytes = p.totalGlobalMem,
                      .multiprocessors = p.multiProcessorCount};
    snprintf(g->name, sizeof g->name, "%.127s", p.name);
    snprintf(g->pci, sizeof g->pci, "%04x:%02x:%02x.0", (unsigned)p.pciDomainID & 0xffff,
             (unsigned)p.pciBusID & 0xff, (unsigned)p.pciDeviceID & 0xff);
    return cudaSuccess;
}

/* What it is and can. cuDNN has bf16 from compute capability 8.0 on. */
static bool look_at_device(struct cuda *cu)
{
    struct gpu g;

    if (!cuda_ok(cu, describe(cu->device, &g), "cudaGetDeviceProperties")) {
        return false;
    }
    cu->multiprocessors = g.multiprocessors;
    cu->be.half = true;
    cu->be.bf16 = g.major >= 8;
    snprintf(cu->be.about, sizeof cu->be.about, "GPU %s of compute capability %d.%d", g.name,
             g.major, g.minor);
    return true;
}

/* A kernel, as one that is built for other GPUs only fails when it is launched. */
static bool try_kernel(struct cuda *cu)
{
    cu->ops.block_fill(&cu->be, 1, cu->result, 0);
    return cu->be.failed.code == VOV_OK;
}

static bool open_device(struct cuda *cu)
{
    return cuda_here(cu) && look_at_device(cu) &&
           cuda_ok(cu, cudaStreamCreateWithFlags(&cu->stream, cudaStreamNonBlocking),
                   "cudaStreamCreateWithFlags") &&
           cuda_ok(cu, cudaStreamCreateWithFlags(&cu->copy, cudaStreamNonBlocking),
                   "cudaStreamCreateWithFlags") &&
           open_memory(cu) && open_libraries(cu) && try_kernel(cu);
}

static enum vov_status count_devices(int *n, struct err *err)
{
    *n = 0; /* left alone by a failing call */
    const cudaError_t code = cudaGetDeviceCount(n);

    if (code == cudaSuccess && *n > 0) {
        return VOV_OK;
    }
    cudaGetLastError();
    return err_set(err, VOV_EDEVICE, "no CUDA device: %s",
                   code != cudaSuccess ? cudaGetErrorString(code) : "the driver lists none");
}

static enum vov_status cuda_open(int device, struct backend **be, struct err *err)
{
    int n;

    if (count_devices(&n, err) != VOV_OK) {
        return err->code;
    }
    if (device >= n) {
        return err_set(err, VOV_EDEVICE, "there is no CUDA device %d; the last one is %d", device,
                       n - 1);
    }
    struct cuda *cu = mem_alloc(1, sizeof *cu);
    if (cu == NULL) {
        return err_nomem(err, sizeof *cu);
    }
    cu->device = device;
    cu->workspace_limit = workspace_limit;
    cu->be.ops = &cu->ops;
    cu->be.ctx = cu;
    fill_table(&cu->ops);
    if (!open_device(cu)) {
        const struct err failed = cu->be.failed;
        cuda_close(&cu->be);
        return err_set(err, failed.code, "CUDA device %d: %s", device, failed.msg);
    }
    *be = &cu->be;
    return VOV_OK;
}

static enum vov_status cuda_report(struct gpu_report *r, struct err *err)
{
    int n, blas[2] = {0};

    *r = (struct gpu_report){.dnn = (int)cudnnGetVersion()};
    cudaRuntimeGetVersion(&r->runtime);
    cudaDriverGetVersion(&r->driver);
    if (cublasGetProperty(MAJOR_VERSION, &blas[0]) == CUBLAS_STATUS_SUCCESS &&
        cublasGetProperty(MINOR_VERSION, &blas[1]) == CUBLAS_STATUS_SUCCESS) {
        r->blas = 1000 * blas[0] + 10 * blas[1];
    }
    if (count_devices(&n, err) != VOV_OK) {
        return err->code;
    }
    for (int i = 0; i < n && r->n < (int)(sizeof r->gpu / sizeof *r->gpu); i++) {
        r->n += describe(i, &r->gpu[r->n]) == cudaSuccess;
    }
    return VOV_OK;
}

extern const struct backend_plugin vov_backend_plugin;
const struct backend_plugin vov_backend_plugin __attribute__((visibility("default"))) = {
    .version = BACKEND_PLUGIN_VERSION,
    .real_bytes = sizeof(real),
    .ops_bytes = sizeof(struct backend_ops),
    .open = cuda_open,
    .report = cuda_report,
};
