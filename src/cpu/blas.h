/*
 * blas.h - the matrix products that OpenBLAS computes for us. It is loaded when the first of them
 * is wanted: most nets on most machines want none, and loading it starts threads. docs/cpu.md says
 * where it is used.
 */
#ifndef VOV_CPU_BLAS_H
#define VOV_CPU_BLAS_H

#include "base/real.h"

#include <stdbool.h>

struct blas {
    bool tried;         /* to load it */
    void (*gemm)(void); /* cblas_sgemm, or cblas_dgemm in double builds; NULL: there is none */
};

/*
 * Whether there is an OpenBLAS; the first call loads it, and it stays until the process ends. From
 * then on it computes in the calling thread, whoever calls: it knows no smaller unit than the
 * process, and a pool's cores must not be asked to do two things at once.
 */
bool blas_open(struct blas *blas);

struct blas_product {
    bool ta, tb; /* a is [k, m], b is [n, k] */
    int m, n, k;
    const real *a, *b;
    int lda, ldb;
    real beta; /* 0: c may hold NaN */
    real *c;
    int ldc;
};

/* Row-major c[m, n] = op(a) op(b) + beta*c, by the calling thread; equal bits for equal calls. */
void blas_gemm(const struct blas *blas, const struct blas_product *p);

#endif
