/*
 * fast.h - the threaded kernels, file by file: each function replaces entries of a table that holds
 * the reference loops. All of them give equal bits for any number of threads.
 */
#ifndef VOV_CPU_FAST_H
#define VOV_CPU_FAST_H

#include "backend/backend.h"

void fast_conv_entries(struct backend_ops *ops);
void fast_norm_entries(struct backend_ops *ops);
void fast_l2norm_entries(struct backend_ops *ops);
void fast_basic_entries(struct backend_ops *ops);
void fast_gemm_entries(struct backend_ops *ops);
void fast_maxpool_entries(struct backend_ops *ops);
void fast_avgpool_entries(struct backend_ops *ops);
void fast_resize_entries(struct backend_ops *ops);
void fast_loss_entries(struct backend_ops *ops);
void fast_roi_entries(struct backend_ops *ops);
void fast_optim_entries(struct backend_ops *ops);
void fast_peak_entries(struct backend_ops *ops);

/* Convolutions by OpenBLAS, in place of fast_conv_entries's where they are products. */
void blas_conv_entries(struct backend_ops *ops);

#endif
