/*
 * blas.c - the part of cuBLAS that the program uses: products of matrices of floats, which are
 * column-major, alone or in a batch with strides between them.
 */
#include "half.h"
#include "handle.h"
#include "mem.h"
#include "sim.h"
#include "stream.h"

#include <cublas_v2.h>
#include <stdlib.h>
#include <string.h>

#define KIND "cuBLAS handle"

struct cublasContext {
    cudaStream_t stream;
    cublasMath_t math;
    int device;
};

const char *cublasGetStatusName(cublasStatus_t status)
{
    switch (status) {
    case CUBLAS_STATUS_SUCCESS:
        return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED:
        return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED:
        return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE:
        return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_EXECUTION_FAILED:
        return "CUBLAS_STATUS_EXECUTION_FAILED";
    default:
        return "CUBLAS_STATUS_INTERNAL_ERROR";
    }
}

const char *cublasGetStatusString(cublasStatus_t status)
{
    return cublasGetStatusName(status);
}

cublasStatus_t cublasGetProperty(libraryPropertyType type, int *value)
{
    static const int version[] = {[MAJOR_VERSION] = CUBLAS_VER_MAJOR,
                                  [MINOR_VERSION] = CUBLAS_VER_MINOR,
                                  [PATCH_LEVEL] = CUBLAS_VER_PATCH};
    SIM_CALL();
    if (sim_fails || type > PATCH_LEVEL) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    *value = version[type];
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasCreate_v2(cublasHandle_t *handle)
{
    SIM_CALL();
    if (sim_fails) {
        return CUBLAS_STATUS_ALLOC_FAILED;
    }
    *handle = handle_new(KIND, sizeof **handle);
    (*handle)->device = sim_device();
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy_v2(cublasHandle_t handle)
{
    SIM_CALL();
    handle_free(KIND, handle);
    return sim_fails ? CUBLAS_STATUS_INTERNAL_ERROR : CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream)
{
    SIM_CALL();
    if (sim_fails) {
        return CUBLAS_STATUS_INTERNAL_ERROR;
    }
    if (!handle_get(KIND, handle) || !stream_get(stream)) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    handle->stream = stream;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode)
{
    SIM_CALL();
    if (sim_fails) {
        return CUBLAS_STATUS_INTERNAL_ERROR;
    }
    if (!handle_get(KIND, handle)) {
        return CUBLAS_STATUS_NOT_INITIALIZED;
    }
    handle->math = mode;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void *workspace, size_t bytes)
{
    SIM_CALL();
    if (sim_fails) {
        return CUBLAS_STATUS_INTERNAL_ERROR;
    }
    const bool good = handle_get(KIND, handle) &&
                      (bytes == 0 || mem_check(__func__, workspace, bytes, MEM_WRITE));
    return good ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

/* c = alpha * op(a) * op(b) + beta * c */
struct product {
    bool a_turned, b_turned;
    bool tf32; /* the handle's mode allows tensor cores */
    int m, n, k, batch;
    int lda, ldb, ldc;
    long long a_stride, b_stride, c_stride;
    float alpha, beta;
    const float *a, *b;
    float *c;
};

/* Columns of a matrix in device memory as a packed array; NULL after a report. */
static float *load(const char *who, const float *device, int rows, int columns, int ld, bool tf32)
{
    float *values = sim_alloc((size_t)rows * (size_t)columns * sizeof *values);
    for (int j = 0; j < columns; j++) {
        const float *column = device + (size_t)j * (size_t)ld;
        if (!mem_check(who, column, (size_t)rows * sizeof *column, MEM_READ)) {
            free(values);
            return NULL;
        }
        memcpy(values + (size_t)j * (size_t)rows, mem_host(column), (size_t)rows * sizeof *column);
    }
    for (size_t i = 0; tf32 && i < (size_t)rows * (size_t)columns; i++) {
        values[i] = tf32_of_float(values[i]);
    }
    return values;
}

/* A column of c, in double precision for the reason that dnn_conv.c gives, from the packed
 * matrices, without alpha and beta.
 */
static void multiply_column(const struct product *p, const float *a, const float *b, int j,
                            double *column)
{
    const size_t m = (size_t)p->m, n = (size_t)p->n, k = (size_t)p->k;
    memset(column, 0, m * sizeof *column);
    for (size_t l = 0; l < k; l++) {
        const float v = p->b_turned ? b[l * n + (size_t)j] : b[(size_t)j * k + l];
        if (p->a_turned) {
            for (size_t i = 0; i < m; i++) {
                column[i] += (double)(a[i * k + l] * v);
            }
        } else {
            for (size_t i = 0; i < m; i++) {
                column[i] += (double)(a[l * m + i] * v);
            }
        }
    }
}

static bool store_column(const struct product *p, float *device, const double *column)
{
    const size_t bytes = (size_t)p->m * sizeof *device;
    if (!mem_check("cublasSgemm, C", device, bytes, p->beta != 0 ? MEM_READ : MEM_WRITE)) {
        return false;
    }
    float *to = mem_host(device);
    for (int i = 0; i < p->m; i++) {
        to[i] = p->alpha * (float)column[i] + (p->beta != 0 ? p->beta * to[i] : 0);
    }
    mem_mark_written(device, bytes);
    return true;
}

static void multiply(const struct product *p, int batch)
{
    const int a_rows = p->a_turned ? p->k : p->m, a_columns = p->a_turned ? p->m : p->k;
    const int b_rows = p->b_turned ? p->n : p->k, b_columns = p->b_turned ? p->k : p->n;
    float *a =
        load("cublasSgemm, A", p->a + batch * p->a_stride, a_rows, a_columns, p->lda, p->tf32);
    float *b =
        a ? load("cublasSgemm, B", p->b + batch * p->b_stride, b_rows, b_columns, p->ldb, p->tf32)
          : NULL;
    double *column = sim_alloc((size_t)p->m * sizeof *column);
    for (int j = 0; a && b && j < p->n; j++) {
        multiply_column(p, a, b, j, column);
        if (!store_column(p, p->c + batch * p->c_stride + (size_t)j * (size_t)p->ldc, column)) {
            break;
        }
    }
    free(a);
    free(b);
    free(column);
}

static void work_multiply(void *data)
{
    const struct product *p = data;
    for (int i = 0; i < p->batch; i++) {
        multiply(p, i);
    }
}

static cublasStatus_t queue(const char *who, cublasHandle_t handle, struct product *p)
{
    if (!handle_get(KIND, handle)) {
        return CUBLAS_STATUS_NOT_INITIALIZED;
    }
    if (!sim_is_here(who, handle->device)) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    p->tf32 = handle->math == CUBLAS_TF32_TENSOR_OP_MATH;
    if (p->m < 0 || p->n < 0 || p->k < 0 || p->lda < (p->a_turned ? p->k : p->m) ||
        p->ldb < (p->b_turned ? p->n : p->k) || p->ldc < p->m) {
        sim_report("%s: sizes or leading dimensions that do not fit", who);
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    if (p->m == 0 || p->n == 0) {
        return CUBLAS_STATUS_SUCCESS;
    }
    return stream_push(handle->stream, work_multiply, p, sizeof *p) ? CUBLAS_STATUS_EXECUTION_FAILED
                                                                    : CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSgemm_v2(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb,
                              int m, int n, int k, const float *alpha, const float *a, int lda,
                              const float *b, int ldb, const float *beta, float *c, int ldc)
{
    SIM_CALL();
    if (sim_fails) {
        return CUBLAS_STATUS_EXECUTION_FAILED;
    }
    struct product p = {.m = m,
                        .n = n,
                        .k = k,
                        .batch = 1,
                        .lda = lda,
                        .ldb = ldb,
                        .ldc = ldc,
                        .alpha = *alpha,
                        .beta = *beta,
                        .a = a,
                        .b = b,
                        .c = c,
                        .a_turned = ta != CUBLAS_OP_N,
                        .b_turned = tb != CUBLAS_OP_N};
    return queue(__func__, handle, &p);
}

cublasStatus_t cublasSgemmStridedBatched(cublasHandle_t handle, cublasOperation_t ta,
                                         cublasOperation_t tb, int m, int n, int k,
                                         const float *alpha, const float *a, int lda,
                                         long long int a_stride, const float *b, int ldb,
                                         long long int b_stride, const float *beta, float *c,
                                         int ldc, long long int c_stride, int batch)
{
    SIM_CALL();
    if (sim_fails) {
        return CUBLAS_STATUS_EXECUTION_FAILED;
    }
    struct product p = {.m = m,
                        .n = n,
                        .k = k,
                        .batch = batch,
                        .lda = lda,
                        .ldb = ldb,
                        .ldc = ldc,
                        .a_stride = a_stride,
                        .b_stride = b_stride,
                        .c_stride = c_stride,
                        .alpha = *alpha,
                        .beta = *beta,
                        .a = a,
                        .b = b,
                        .c = c,
                        .a_turned = ta != CUBLAS_OP_N,
                        .b_turned = tb != CUBLAS_OP_N};
    return queue(__func__, handle, &p);
}
