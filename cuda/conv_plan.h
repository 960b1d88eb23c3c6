/*
 * conv_plan.h - one convolution put to cuDNN's graph API: a description, and the plan that cuDNN
 * makes of it for a device, which need not be there (the device may be a text).
 */
#ifndef VOV_CUDA_CONV_PLAN_H
#define VOV_CUDA_CONV_PLAN_H

#include "backend/backend.h"

#include <cudnn_graph.h>

/* Where a tensor's pixels lie: NHWC rows of `step` channels, at multiples of `align` bytes. */
struct conv_rows {
    int step, align;
};

/*
 * x [n, c, h, w], w [k, c/groups, kh, kw] packed, y [n, k, oh, ow]; the pass says which of them is
 * made of the others. Forward: y = act(conv + bias + add). Backward of the data: x = conv + add
 * where `add` is set; add is then x's old value. Cleared before it is filled: compared as bytes.
 */
struct conv_spec {
    enum conv_pass pass;
    int n, c, h, w, k, oh, ow;
    int kh, kw, stride, pad, dilation, groups;
    struct conv_rows x, y, add; /* add.step 0: nothing is added */
    enum number type;           /* of all of them: cuDNN has no engine for tensors of two types */
    bool bias;
    enum act act;
    bool exact;         /* no products of numbers that were narrowed first (TF32) */
    bool deterministic; /* equal bits every time */
};

/* Whether an activation can follow a convolution inside cuDNN. */
bool conv_plan_has_act(enum act act);

/* A device to plan for: the current one of a handle, or one that a JSON text describes. Destroyed
 * by cudnnBackendDestroyDescriptor. NULL: cuDNN refuses. */
cudnnBackendDescriptor_t conv_plan_device(cudnnHandle_t handle, const char *json);

struct conv_plan;

/*
 * Asks cuDNN's heuristics and takes the first plan of at most `limit` bytes of workspace; with
 * `direct` rather one without any, as others copy tensors that are slices. NULL: there is none;
 * `why` gets the last reason.
 */
struct conv_plan *conv_plan_make(cudnnBackendDescriptor_t device, const struct conv_spec *spec,
                                 size_t limit, bool direct, struct err *why);
void conv_plan_free(struct conv_plan *p); /* NULL is fine */
size_t conv_plan_bytes(const struct conv_plan *p);
bool conv_plan_rounds(const struct conv_plan *p); /* floats, to TF32 or less, where it may */
int conv_plan_engine(const struct conv_plan *p);

/* Device addresses; bias and add only where the spec has them. */
struct conv_pointers {
    void *x, *w, *y, *bias, *add, *workspace;
};
cudnnStatus_t conv_plan_run(const struct conv_plan *p, cudnnHandle_t handle,
                            const struct conv_pointers *at);

#endif
