/*
 * dnn.h - the inside of the simulated cuDNN: its graph API, for convolutions with what may follow.
 *
 * A descriptor keeps its attributes as they were set. When an execution plan is finalised, its
 * graph is read into a program: operations on tensors that are known by their numbers.
 */
#ifndef VOV_TESTS_CUDASIM_DNN_H
#define VOV_TESTS_CUDASIM_DNN_H

#include <cudnn_graph.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNN_KIND "cuDNN descriptor"
#define DNN_HANDLE "cuDNN handle"
#define DNN_OPS 8

struct attribute {
    cudnnBackendAttributeName_t name;
    cudnnBackendAttributeType_t type;
    int64_t count;
    void *value; /* owned */
};

struct descriptor {
    cudnnBackendDescriptorType_t type;
    bool finalised;
    struct attribute *attributes;
    size_t attribute_count;
    struct descriptor *graph; /* of an engine and its configuration */
    const struct dnn_engine *engine;
    struct dnn_program *program; /* of a plan; owned */
};

/* Dimensions and strides in elements, in the order n, c, h, w; of a filter k, c, r, s. */
struct dnn_tensor {
    cudnnDataType_t type;
    int64_t uid, align;
    int64_t dim[4], stride[4];
    bool is_virtual; /* lives between two operations only */
};

struct dnn_conv {
    int pad[2], stride[2], dilation[2], groups;
};

enum dnn_op_kind { DNN_FORWARD, DNN_BACK_DATA, DNN_BACK_FILTER, DNN_POINTWISE };

struct dnn_op {
    enum dnn_op_kind kind;
    struct dnn_tensor x, w, y; /* pointwise: y = f(x), or of x and w */
    bool has_w;
    struct dnn_conv conv;
    cudnnPointwiseMode_t mode;
    double slope, upper;
    float alpha, beta;
};

struct dnn_program {
    uint64_t id;
    struct dnn_op ops[DNN_OPS];
    int count;
    const struct dnn_engine *engine;
    int64_t workspace;
};

/* One way to run a graph, as the heuristics offer it. */
struct dnn_engine {
    int64_t index;
    bool fallback;    /* offered by CUDNN_HEUR_MODE_FALLBACK; else by A and B */
    bool tensor_core; /* floats lose their last 13 bits */
    bool varies;      /* sums in another order every time */
    bool copies;      /* slices are packed into the workspace first */
    int64_t workspace;
};
extern const struct dnn_engine dnn_engines[];
extern const int dnn_engine_count;

/* The attribute; NULL if it was not set. */
const struct attribute *dnn_find(const struct descriptor *d, cudnnBackendAttributeName_t name);
void dnn_read(const struct descriptor *d, cudnnBackendAttributeName_t name, void *value,
              size_t bytes);

/* Why the operation that the descriptor stands for cannot be; NULL: it can, and *op is it. */
const char *dnn_read_op(const struct descriptor *d, struct dnn_op *op);
const char *dnn_read_tensor(const struct descriptor *d, struct dnn_tensor *t);

/* The program of a graph on an engine. NULL if the engine cannot run it; with *why set, if that is
 * because the graph is wrong.
 */
struct dnn_program *dnn_program_new(const struct descriptor *graph, const struct dnn_engine *engine,
                                    const char **why);
void dnn_program_free(struct dnn_program *p);

/* dnn_tensor.c: a tensor in device memory as packed floats in the order n, h, w, c, and back. Each
 * run of memory is checked. False after a report.
 */
size_t dnn_count(const struct dnn_tensor *t);
size_t dnn_type_bytes(cudnnDataType_t type);
bool dnn_load(const char *who, const struct dnn_tensor *t, const void *device, float *packed);
bool dnn_store(const char *who, const struct dnn_tensor *t, void *device, const float *packed);

/* dnn_conv.c: one of the three convolutions on packed floats; the output is overwritten. varies:
 * the last bit is left to chance. */
void dnn_convolve(const struct dnn_op *op, const float *x, const float *w, const float *y,
                  float *output, bool varies);

#endif
