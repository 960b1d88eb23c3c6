/*
 * resample_base.c - resampling's loops for any machine.
 */
#include "resample_loops.h"

void resample_rows_base(const struct resample_job *j)
{
    resample_all_rows(j);
}
