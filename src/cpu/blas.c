/*
 * blas.c - the one file that knows OpenBLAS. Names, numbers and types are the C interface of the
 * BLAS standard (2001, appendix B).
 */
#include "blas.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112 };

typedef void gemm_fn(int order, int ta, int tb, int m, int n, int k, real alpha, const real *a,
                     int lda, const real *b, int ldb, real beta, real *c, int ldc);

/* dlsym gives an object's pointer, which C cannot turn into a function's. */
static void find(void *library, const char *name, void (**fn)(void))
{
    void *symbol = dlsym(library, name);

    memcpy(fn, &symbol, sizeof symbol);
}

bool blas_open(struct blas *blas)
{
    if (blas->tried) {
        return blas->gemm != NULL;
    }
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    void (*set_threads)(void) = NULL;
    blas->tried = true;
    if (library) {
        find(library, sizeof(real) == sizeof(float) ? "cblas_sgemm" : "cblas_dgemm", &blas->gemm);
        find(library, "openblas_set_num_threads", &set_threads);
    }
    if (!set_threads) {
        blas->gemm = NULL;
        return false;
    }
    ((void (*)(int))set_threads)(1);
    return blas->gemm != NULL;
}

void blas_gemm(const struct blas *blas, const struct blas_product *p)
{
    ((gemm_fn *)blas->gemm)(ROW_MAJOR, p->ta ? TRANS : NO_TRANS, p->tb ? TRANS : NO_TRANS, p->m,
                            p->n, p->k, 1, p->a, p->lda, p->b, p->ldb, p->beta, p->c, p->ldc);
}
