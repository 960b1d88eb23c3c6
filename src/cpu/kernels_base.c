/*
 * kernels_base.c - the innermost loops for any machine.
 */
#include "kernel_table.h"

const struct cpu_kernels kernels_base = KERNEL_TABLE;
