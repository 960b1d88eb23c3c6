/*
 * fast.h - the threaded kernels, file by file: each function replaces entries of a table that holds
 * the reference loops. All of them give equal bits for any number of threads.
 */
#ifndef VOV_CPU_FAST_H
#define VOV_CPU_FAST_H

#include "backend/backend.h"

void fast_conv_entries(struct backend_ops *ops);

#endif
