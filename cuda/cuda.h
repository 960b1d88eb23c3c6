/*
 * cuda.h - the CUDA backend as its own files see it: the context behind struct backend, how errors
 * are kept, and the tables' parts. Images lie as NHWC: a pixel's channels side by side, pixels in
 * rows, images behind each other. Everything runs on one stream in the order of the calls; uploads
 * run on a second one and meet the first at events.
 */
#ifndef VOV_CUDA_CUDA_H
#define VOV_CUDA_CUDA_H

#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <cudnn_graph.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "backend/backend.h"

/* What kernels could not do, found out by them: the first one writes. */
struct cuda_fault {
    int code;    /* enum cuda_fault_code, 0: none */
    float value; /* the number that was wrong */
    int bound;
};
enum cuda_fault_code { FAULT_NONE, FAULT_LABEL };

/* Where numbers wait on their way to or from the device. */
struct cuda_stage {
    void *host;   /* pinned */
    void *device; /* dense NCHW */
    size_t bytes;
    cudaEvent_t copied, used; /* the host may, the copy stream may write here again */
    bool held;                /* the numbers are on their way and not yet in their view */
};
/* Writes have six: images, truth, masks and extents of the next batch on their way, and two that
 * take turns. */
enum { STAGE_READ = 6, STAGES };

struct conv_cache;

struct cuda {
    struct backend be;
    struct backend_ops ops;
    int device, multiprocessors;
    cudaStream_t stream, copy;
    cublasHandle_t blas;
    void *blas_work;
    struct conv_cache *conv;
    size_t workspace_limit; /* of one convolution */

    struct cuda_stage stage[STAGES];
    int next_write;                        /* the stage for the next write */
    struct cuda_fault *fault, *fault_seen; /* on the device; pinned */
    uint64_t *key;                         /* on the device: of the pass */

    /* Partial sums of the call that runs, and what comes of them; calls take turns. */
    float *work, *result;
    size_t work_count, result_count;
};

/* Keeps the first failure of the backend: "what: text of the code". False when there was one. */
bool cuda_ok(struct cuda *cu, cudaError_t code, const char *what);
bool cuda_blas_ok(struct cuda *cu, cublasStatus_t code, const char *what);
bool cuda_dnn_ok(struct cuda *cu, cudnnStatus_t code, const char *what);

/* Makes the device the calling thread's current one, which kernels, allocations and both libraries
 * ask for; the thread may have used another since, and another thread has its own. */
bool cuda_here(struct cuda *cu);

/* For a VOV_EDEVICE of one's own. */
void cuda_fail(struct cuda *cu, const char *text);

static inline struct cuda *cuda_of(struct backend *be)
{
    return (struct cuda *)be->ctx;
}

/* The parts of the table, each in the file of its name. */
void cuda_memory_entries(struct backend_ops *ops);
void cuda_layout_entries(struct backend_ops *ops);
void cuda_pixels_entries(struct backend_ops *ops);
void cuda_basic_entries(struct backend_ops *ops);
void cuda_norm_entries(struct backend_ops *ops);
void cuda_l2norm_entries(struct backend_ops *ops);
void cuda_pool_entries(struct backend_ops *ops);
void cuda_resize_entries(struct backend_ops *ops);
void cuda_softmax_entries(struct backend_ops *ops);
void cuda_loss_entries(struct backend_ops *ops);
void cuda_multibox_entries(struct backend_ops *ops);
void cuda_detect_entries(struct backend_ops *ops);
void cuda_roi_align_entries(struct backend_ops *ops);
void cuda_proposal_entries(struct backend_ops *ops);
void cuda_rpn_entries(struct backend_ops *ops);
void cuda_roi_sample_entries(struct backend_ops *ops);
void cuda_roi_box_entries(struct backend_ops *ops);
void cuda_roi_mask_entries(struct backend_ops *ops);
void cuda_optim_entries(struct backend_ops *ops);
void cuda_conv_entries(struct backend_ops *ops);
void cuda_gemm_entries(struct backend_ops *ops);
void cuda_record_entries(struct backend_ops *ops);
void cuda_range_entries(struct backend_ops *ops);

/* memory.c: numbers through a stage, at most STAGE_MOST at a time. begin gives NULL when something
 * failed. Between a write's wait and end kernels may read s->device; after a read's begin they fill
 * it, and its end waits and copies. */
enum { STAGE_MOST = 1 << 25 };
bool cuda_stages_open(struct cuda *cu);
void cuda_stages_close(struct cuda *cu);
/* A write whose bytes the caller puts into s->host himself, between take and send. */
struct cuda_stage *cuda_write_take(struct cuda *cu, size_t bytes);
bool cuda_write_send(struct cuda *cu, struct cuda_stage *s, size_t bytes);
struct cuda_stage *cuda_write_begin(struct cuda *cu, const void *host, size_t bytes);
void cuda_write_wait(struct cuda *cu, struct cuda_stage *s);
void cuda_write_end(struct cuda *cu, struct cuda_stage *s);
struct cuda_stage *cuda_read_begin(struct cuda *cu, size_t bytes);
void cuda_read_end(struct cuda *cu, struct cuda_stage *s, void *host, size_t bytes);

/* conv.c: the convolutions that were planned so far. NULL: no memory or no such device. */
struct conv_cache *conv_cache_open(struct cuda *cu);
void conv_cache_close(struct conv_cache *cache);

#ifdef __cplusplus
}
#endif
#endif
