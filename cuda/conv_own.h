/*
 * conv_own.h - convolutions as their formula says, for what cuDNN has no plan for: any strides,
 * any alignment, equal bits every time. Slow.
 */
#ifndef VOV_CUDA_CONV_OWN_H
#define VOV_CUDA_CONV_OWN_H

#include "cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

void conv_own_fwd(struct cuda *cu, const struct conv_desc *d, struct view x, const real *w,
                  const struct conv_tail *tail, struct view y);
void conv_own_bwd_data(struct cuda *cu, const struct conv_desc *d, const real *w, struct view dy,
                       real beta, struct view dx);
void conv_own_bwd_weight(struct cuda *cu, const struct conv_desc *d, struct view x, struct view dy,
                         real *dw);

#ifdef __cplusplus
}
#endif
#endif
