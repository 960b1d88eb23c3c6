/*
 * gemm.h - the memory that the dense matrix product wants from the backend.
 */
#ifndef VOV_CPU_GEMM_H
#define VOV_CPU_GEMM_H

#include <stddef.h>

size_t gemm_memory_bytes(int threads);

#endif
