/*
 * conv_recipe.h - how one convolution is computed: by which plan of cuDNN, with what around it, or
 * not by cuDNN at all. Needs a description of a device only, so that it can be asked for devices
 * that are not there.
 */
#ifndef VOV_CUDA_CONV_RECIPE_H
#define VOV_CUDA_CONV_RECIPE_H

#include "conv_plan.h"

struct conv_recipe {
    struct conv_spec spec;  /* as it was asked for */
    struct conv_plan *plan; /* NULL: loops of our own */
    bool act_behind;        /* act and add are not in the plan: add, then act in place */
    size_t own_bytes;       /* of the result, where it is copied or added into place */
    /* In the tensors' type, where that is narrow: the weight that is read, the bias. */
    size_t weight_bytes, bias_bytes;
};

/* What a use of a convolution asks cuDNN for. Of the views only shapes, channels and types are
 * read; a forward pass with use->add has y's rows for what is added. */
struct conv_spec conv_spec_of(const struct conv_desc *d, const struct conv_use *use, struct view x,
                              struct view y, const struct backend_settings *set);

/* The rows of a view in the arena, whose buffers start at multiples of 64 bytes. */
struct conv_rows conv_rows_of(struct view v);

/* limit: bytes of workspace at most. */
void conv_recipe_find(cudnnBackendDescriptor_t device, const struct conv_spec *spec, size_t limit,
                      struct conv_recipe *r);
void conv_recipe_free(struct conv_recipe *r);

/* Scratch: the result, then the narrow weight and bias, then the workspace. */
size_t conv_recipe_weight_at(const struct conv_recipe *r);
size_t conv_recipe_bias_at(const struct conv_recipe *r);
size_t conv_recipe_workspace_at(const struct conv_recipe *r);
size_t conv_recipe_bytes(const struct conv_recipe *r);

#endif
