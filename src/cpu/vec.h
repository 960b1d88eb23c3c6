/*
 * vec.h - vectors of real numbers through GCC's vector extensions, as wide as the instruction set
 * that the including file is compiled for: 4 floats with SSE2 or NEON, 8 with AVX2, 16 with
 * AVX-512. Arithmetic, comparison and [] work on a vec as they do on a number; the compiler finds
 * the instructions. All that takes or gives a vec is a macro, as a vector argument has another ABI
 * for each instruction set.
 *
 * VEC_BYTES may be defined first: every width is right on every machine, which is how kernels for
 * wider machines than the one at hand are tested.
 */
#ifndef VOV_CPU_VEC_H
#define VOV_CPU_VEC_H

#include "base/real.h"

#ifndef VEC_BYTES
#if defined(__AVX512F__)
#define VEC_BYTES 64
#elif defined(__AVX2__)
#define VEC_BYTES 32
#else
#define VEC_BYTES 16
#endif
#endif

/* Numbers in a vec. */
#define VEC_LANES ((int)(VEC_BYTES / sizeof(real)))

typedef real vec __attribute__((vector_size(VEC_BYTES)));
/* Of a comparison: as wide as a vec, all bits of a lane set where it holds. */
typedef __typeof__((vec){0} == (vec){0}) vec_mask;
/* Of memory, which need not be aligned. */
typedef real vec_any __attribute__((vector_size(VEC_BYTES), aligned(sizeof(real)), may_alias));

#define VEC_LOAD(p) (*(const vec_any *)(p))
#define VEC_STORE(p, v) (*(vec_any *)(p) = (v))
/* Lane by lane: a where mask holds, else b. */
#define VEC_SELECT(mask, a, b) ((vec)(((vec_mask)(a) & (mask)) | ((vec_mask)(b) & ~(mask))))
/* x < 0 ? 0 : x, which keeps NaN. */
#define VEC_RELU(x) ((vec)((vec_mask)(x) & ~((x) < 0)))

/* For templates: functions of which each caller's constants make another one. */
#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* Eight numbers on every machine, for layouts that are made of eights. */
typedef real v8 __attribute__((vector_size(8 * sizeof(real))));
typedef real v8_any
    __attribute__((vector_size(8 * sizeof(real)), aligned(sizeof(real)), may_alias));
typedef __typeof__((v8){0} == (v8){0}) v8_mask;

#define LOAD8(p) (*(const v8_any *)(p))
#define STORE8(p, v) (*(v8_any *)(p) = (v))

#endif
