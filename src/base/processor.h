/*
 * processor.h - what the processor and the system can do, for code that was compiled for several
 * instruction sets.
 */
#ifndef VOV_PROCESSOR_H
#define VOV_PROCESSOR_H

#include <stdbool.h>

bool processor_has_avx2(void);   /* with FMA */
bool processor_has_avx512(void); /* F, VL, DQ and BW, and AVX2 */

#endif
