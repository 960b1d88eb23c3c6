/*
 * real.h - the number type of tensors: float, or double in the build that checks gradients by
 * finite differences (`make test-grad`), which float is too coarse for.
 */
#ifndef VOV_REAL_H
#define VOV_REAL_H

#ifndef VOV_REAL
#define VOV_REAL float
#endif
typedef VOV_REAL real;

#endif
