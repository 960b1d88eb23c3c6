/*
 * kernels_avx2.c - the innermost loops for x86 machines with AVX2 and FMA: the Makefile compiles
 * this file for them.
 */
#include "kernel_table.h"

const struct cpu_kernels kernels_avx2 = KERNEL_TABLE;
