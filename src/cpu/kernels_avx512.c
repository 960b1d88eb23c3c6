/*
 * kernels_avx512.c - the innermost loops for x86 machines with AVX-512 F, VL, DQ and BW: the
 * Makefile compiles this file for them.
 */
#include "kernel_table.h"

const struct cpu_kernels kernels_avx512 = KERNEL_TABLE;
