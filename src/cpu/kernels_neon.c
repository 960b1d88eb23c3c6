/*
 * kernels_neon.c - the innermost loops for aarch64, whose compilers use NEON by themselves.
 */
#include "kernel_table.h"

const struct cpu_kernels kernels_neon = KERNEL_TABLE;
