/*
 * dnn_graph.c - what descriptors mean: tensors, operations and graphs of them, and which engine can
 * run which.
 */
#include "dnn.h"
#include "handle.h"
#include "sim.h"

#include <math.h>
#include <stdlib.h>

/* The first that the heuristics name use tensor cores, as on a GPU; those of the fallback are
 * exact. */
const struct dnn_engine dnn_engines[] = {
    {.index = 4, .tensor_core = true, .copies = true, .workspace = 1000},
    {.index = 5, .tensor_core = true},
    {.index = 7, .varies = true, .workspace = 4096},
    {.index = 1, .copies = true, .workspace = 2048},
    {.index = 0, .fallback = true},
};
const int dnn_engine_count = sizeof dnn_engines / sizeof *dnn_engines;

const char *dnn_read_tensor(const struct descriptor *d, struct dnn_tensor *t)
{
    *t = (struct dnn_tensor){.align = 1};
    dnn_read(d, CUDNN_ATTR_TENSOR_DATA_TYPE, &t->type, sizeof t->type);
    dnn_read(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, &t->uid, sizeof t->uid);
    dnn_read(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, &t->align, sizeof t->align);
    dnn_read(d, CUDNN_ATTR_TENSOR_DIMENSIONS, t->dim, sizeof t->dim);
    dnn_read(d, CUDNN_ATTR_TENSOR_STRIDES, t->stride, sizeof t->stride);
    dnn_read(d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, &t->is_virtual, sizeof t->is_virtual);
    if (dnn_type_bytes(t->type) == 0) {
        return "a data type that is not simulated";
    }
    for (int i = 0; i < 4; i++) {
        if (t->dim[i] < 1 || t->stride[i] < 1) {
            return "a dimension or a stride below 1";
        }
    }
    return t->align < 1 ? "an alignment below 1" : NULL;
}

static const char *read_inner(const struct descriptor *d, cudnnBackendAttributeName_t name,
                              struct dnn_tensor *t)
{
    struct descriptor *inner = NULL;
    dnn_read(d, name, &inner, sizeof inner);
    inner = inner ? handle_get(DNN_KIND, inner) : NULL;
    return inner ? dnn_read_tensor(inner, t) : "a tensor that is no more";
}

static const struct {
    cudnnBackendDescriptorType_t type;
    enum dnn_op_kind kind;
    cudnnBackendAttributeName_t x, w, y, conv, alpha, beta;
} convolutions[] = {
#define CONVOLUTION(of, kind, prefix, x, w, y)                                                     \
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_##of##_DESCRIPTOR,                                        \
     kind,                                                                                         \
     CUDNN_ATTR_OPERATION_CONVOLUTION_##prefix##_##x,                                              \
     CUDNN_ATTR_OPERATION_CONVOLUTION_##prefix##_##w,                                              \
     CUDNN_ATTR_OPERATION_CONVOLUTION_##prefix##_##y,                                              \
     CUDNN_ATTR_OPERATION_CONVOLUTION_##prefix##_CONV_DESC,                                        \
     CUDNN_ATTR_OPERATION_CONVOLUTION_##prefix##_ALPHA,                                            \
     CUDNN_ATTR_OPERATION_CONVOLUTION_##prefix##_BETA},
    CONVOLUTION(FORWARD, DNN_FORWARD, FORWARD, X, W, Y)
        CONVOLUTION(BACKWARD_DATA, DNN_BACK_DATA, BWD_DATA, DX, W, DY)
            CONVOLUTION(BACKWARD_FILTER, DNN_BACK_FILTER, BWD_FILTER, X, DW, DY)};

static const char *read_conv(const struct descriptor *d, struct dnn_conv *c)
{
    int64_t pad[2] = {0}, after[2] = {0}, stride[2] = {1, 1}, dilation[2] = {1, 1};
    cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    cudnnDataType_t sums = CUDNN_DATA_FLOAT;
    dnn_read(d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, pad, sizeof pad);
    dnn_read(d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, after, sizeof after);
    dnn_read(d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, stride, sizeof stride);
    dnn_read(d, CUDNN_ATTR_CONVOLUTION_DILATIONS, dilation, sizeof dilation);
    dnn_read(d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, &mode, sizeof mode);
    dnn_read(d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, &sums, sizeof sums);
    if (mode != CUDNN_CROSS_CORRELATION || sums != CUDNN_DATA_FLOAT) {
        return "a convolution mode or a type of sums that is not simulated";
    }
    for (int i = 0; i < 2; i++) {
        if (pad[i] != after[i] || pad[i] < 0 || stride[i] < 1 || dilation[i] < 1) {
            return "paddings, strides or dilations that are not simulated";
        }
        c->pad[i] = (int)pad[i];
        c->stride[i] = (int)stride[i];
        c->dilation[i] = (int)dilation[i];
    }
    return NULL;
}

/* The three tensors must fit each other. */
static const char *conv_wrong(struct dnn_op *op)
{
    const int64_t *x = op->x.dim, *w = op->w.dim, *y = op->y.dim;
    op->conv.groups = (int)(x[1] / w[1]);
    if (x[1] % w[1] != 0 || w[0] % op->conv.groups != 0) {
        return "the channels of the filter do not fit those of x";
    }
    if (y[0] != x[0] || y[1] != w[0]) {
        return "the batch or the channels of y do not fit";
    }
    for (int i = 0; i < 2; i++) {
        const int64_t reach = op->conv.dilation[i] * (w[2 + i] - 1) + 1;
        if (y[2 + i] != (x[2 + i] + 2 * op->conv.pad[i] - reach) / op->conv.stride[i] + 1) {
            return "the height or the width of y does not fit";
        }
    }
    return NULL;
}

static const char *read_convolution(const struct descriptor *d, int kind, struct dnn_op *op)
{
    struct descriptor *conv = NULL;
    const char *wrong = read_inner(d, convolutions[kind].x, &op->x);
    op->kind = convolutions[kind].kind;
    op->has_w = true;
    wrong = wrong ? wrong : read_inner(d, convolutions[kind].w, &op->w);
    wrong = wrong ? wrong : read_inner(d, convolutions[kind].y, &op->y);
    dnn_read(d, convolutions[kind].conv, &conv, sizeof conv);
    dnn_read(d, convolutions[kind].alpha, &op->alpha, sizeof op->alpha);
    dnn_read(d, convolutions[kind].beta, &op->beta, sizeof op->beta);
    wrong = wrong ? wrong : read_conv(conv, &op->conv);
    return wrong ? wrong : conv_wrong(op);
}

static bool is_simulated(cudnnPointwiseMode_t mode)
{
    switch (mode) {
    case CUDNN_POINTWISE_ADD:
    case CUDNN_POINTWISE_MUL:
    case CUDNN_POINTWISE_SUB:
    case CUDNN_POINTWISE_RELU_FWD:
    case CUDNN_POINTWISE_SIGMOID_FWD:
    case CUDNN_POINTWISE_TANH_FWD:
    case CUDNN_POINTWISE_SWISH_FWD:
        return true;
    default:
        return false;
    }
}

static bool takes_two(cudnnPointwiseMode_t mode)
{
    return mode == CUDNN_POINTWISE_ADD || mode == CUDNN_POINTWISE_MUL ||
           mode == CUDNN_POINTWISE_SUB;
}

static const char *read_pointwise(const struct descriptor *d, struct dnn_op *op)
{
    struct descriptor *f = NULL;
    const char *wrong = read_inner(d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, &op->x);
    op->kind = DNN_POINTWISE;
    op->upper = (double)INFINITY;
    wrong = wrong ? wrong : read_inner(d, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, &op->y);
    op->has_w = dnn_find(d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC) != NULL;
    if (op->has_w && !wrong) {
        wrong = read_inner(d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, &op->w);
    }
    dnn_read(d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, &f, sizeof f);
    dnn_read(f, CUDNN_ATTR_POINTWISE_MODE, &op->mode, sizeof op->mode);
    dnn_read(f, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, &op->slope, sizeof op->slope);
    dnn_read(f, CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, &op->upper, sizeof op->upper);
    if (!wrong && !is_simulated(op->mode)) {
        return "a pointwise mode that is not simulated";
    }
    if (!wrong && op->has_w != takes_two(op->mode)) {
        return "the pointwise mode takes another number of tensors";
    }
    for (int i = 0; i < 4 && !wrong; i++) {
        if (op->x.dim[i] != op->y.dim[i] ||
            (op->has_w && op->w.dim[i] != 1 && op->w.dim[i] != op->y.dim[i])) {
            return "the dimensions of a pointwise operation do not fit";
        }
    }
    return wrong;
}

const char *dnn_read_op(const struct descriptor *d, struct dnn_op *op)
{
    *op = (struct dnn_op){.alpha = 1};
    for (int i = 0; i < 3; i++) {
        if (convolutions[i].type == d->type) {
            return read_convolution(d, i, op);
        }
    }
    return d->type == CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR
               ? read_pointwise(d, op)
               : "an operation that is not simulated";
}

static bool is_packed(const struct dnn_tensor *t)
{
    int64_t end = 1;
    for (int i = 0; i < 4; i++) {
        end += (t->dim[i] - 1) * t->stride[i];
    }
    return end == (int64_t)dnn_count(t);
}

/* What an engine that packs slices needs room for. */
static int64_t bytes_of_slices(const struct dnn_op *op)
{
    const struct dnn_tensor *tensors[] = {&op->x, &op->y};
    int64_t bytes = 0;
    for (int i = 0; i < 2; i++) {
        if (!tensors[i]->is_virtual && !is_packed(tensors[i])) {
            bytes += (int64_t)(dnn_count(tensors[i]) * dnn_type_bytes(tensors[i]->type));
        }
    }
    return bytes;
}

/* Whether all tensors in memory have one type: cuDNN 9.19 has no engine for a convolution of 16-bit
 * tensors with a bias or a gradient of floats. */
static bool is_of_one_type(const struct dnn_program *p)
{
    const cudnnDataType_t type =
        p->ops[0].kind == DNN_BACK_DATA ? p->ops[0].y.type : p->ops[0].x.type;
    for (int i = 0; i < p->count; i++) {
        const struct dnn_op *op = &p->ops[i];
        const struct dnn_tensor *tensors[] = {&op->x, &op->y, op->has_w ? &op->w : &op->x};
        for (int k = 0; k < 3; k++) {
            if (!tensors[k]->is_virtual && tensors[k]->type != type) {
                return false;
            }
        }
    }
    return true;
}

/* GPUs have bf16 from compute capability 8.0 on. */
static bool knows_type(const struct dnn_program *p)
{
    return p->ops[0].x.type != CUDNN_DATA_BFLOAT16 || sim_settings.compute >= 80;
}

/* Each of the operations must take what the one before gives. */
static const char *chain_wrong(const struct dnn_program *p)
{
    for (int i = 0; i + 1 < p->count; i++) {
        const struct dnn_op *op = &p->ops[i];
        const struct dnn_tensor *out = op->kind == DNN_BACK_DATA     ? &op->x
                                       : op->kind == DNN_BACK_FILTER ? &op->w
                                                                     : &op->y;
        const struct dnn_op *next = &p->ops[i + 1];
        if (!out->is_virtual || (next->x.uid != out->uid && next->w.uid != out->uid)) {
            return "operations that are not a chain of virtual tensors";
        }
    }
    return NULL;
}

struct dnn_program *dnn_program_new(const struct descriptor *graph, const struct dnn_engine *engine,
                                    const char **why)
{
    static uint64_t last_id;
    const struct attribute *ops = dnn_find(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS);
    struct dnn_program *p = sim_alloc(sizeof *p);
    const char *wrong = ops->count > DNN_OPS ? "more operations than are simulated" : NULL;
    p->id = ++last_id;
    p->engine = engine;
    p->workspace = engine->workspace;
    for (int64_t i = 0; i < ops->count && !wrong; i++) {
        const struct descriptor *op = handle_get(DNN_KIND, ((void *const *)ops->value)[i]);
        wrong = op ? dnn_read_op(op, &p->ops[p->count]) : "an operation that is no more";
        p->workspace += engine->copies && !wrong ? bytes_of_slices(&p->ops[p->count]) : 0;
        p->count++;
    }
    wrong = wrong ? wrong : chain_wrong(p);
    const bool grouped = p->ops[0].kind != DNN_POINTWISE && p->ops[0].conv.groups > 1;
    const bool refused =
        !wrong && ((engine->tensor_core && grouped) || !is_of_one_type(p) || !knows_type(p));
    *why = wrong;
    if (wrong || refused) {
        free(p);
        return NULL;
    }
    return p;
}
