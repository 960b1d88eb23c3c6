/*
 * processor.c - asks the processor.
 */
#include "processor.h"

#if defined(__x86_64__)
bool processor_has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

/* What every server since Skylake-X has; the Makefile asks the compiler for the same. */
bool processor_has_avx512(void)
{
    return processor_has_avx2() && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw");
}
#else
bool processor_has_avx2(void)
{
    return false;
}

bool processor_has_avx512(void)
{
    return false;
}
#endif
