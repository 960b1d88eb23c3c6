/*
 * resample_avx2.c - resampling's loops for x86 machines with AVX2: the Makefile
 * compiles this file for them.
 */
#include "resample_loops.h"

void resample_rows_avx2(const struct resample_job *j)
{
    resample_all_rows(j);
}
