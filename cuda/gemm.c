/*
 * gemm.c - matrix products by cuBLAS, whose matrices are column-major: C = A B row by row is
 * C' = B' A' column by column.
 */
#include "cuda.h"

static void cuda_gemm(struct backend *be, bool ta, bool tb, int m, int n, int k, const real *a,
                      int lda, const real *b, int ldb, real beta, real *c, int ldc)
{
    struct cuda *cu = cuda_of(be);
    const float one = 1;

    if (be->failed.code == VOV_OK && cuda_here(cu)) {
        cuda_blas_ok(cu,
                     cublasSgemm(cu->blas, tb ? CUBLAS_OP_T : CUBLAS_OP_N,
                                 ta ? CUBLAS_OP_T : CUBLAS_OP_N, n, m, k, &one, b, ldb, a, lda,
                                 &beta, c, ldc),
                     "cublasSgemm");
    }
}

void cuda_gemm_entries(struct backend_ops *ops)
{
    ops->gemm = cuda_gemm;
}
