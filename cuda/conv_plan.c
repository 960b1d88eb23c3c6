/*
 * conv_plan.c - see conv_plan.h. Descriptors are made, filled and finalised one by one; the first
 * failure is kept and makes the rest do nothing, so that the code reads straight on.
 */
#include "conv_plan.h"

#include "base/mem.h"

#include <string.h>

typedef cudnnBackendDescriptor_t desc;

enum { MAX_DESC = 80, MAX_CONFIG = 16 };
enum { UID_X = 1, UID_W, UID_Y, UID_BIAS, UID_ADD, UID_VIRTUAL };

struct conv_plan {
    desc all[MAX_DESC]; /* in the order in which they were made */
    int n;
    struct err failed;
    const struct conv_spec *spec; /* while it is being made */
    desc graph, plan;
    int64_t bytes, engine;
    bool bias, add, tf32;
};

static void note(struct conv_plan *p, cudnnStatus_t status, const char *what)
{
    char text[256] = "";

    if (status != CUDNN_STATUS_SUCCESS && p->failed.code == VOV_OK) {
        cudnnGetLastErrorString(text, sizeof text);
        err_set(&p->failed, VOV_EDEVICE, "%s: %s %s", what, cudnnGetErrorString(status), text);
    }
}

static desc make(struct conv_plan *p, cudnnBackendDescriptorType_t type)
{
    desc d = NULL;

    if (p->failed.code != VOV_OK) {
        return NULL;
    }
    if (p->n == MAX_DESC) {
        err_set(&p->failed, VOV_EDEVICE, "more than %d descriptors", MAX_DESC);
        return NULL;
    }
    note(p, cudnnBackendCreateDescriptor(type, &d), "cudnnBackendCreateDescriptor");
    if (d != NULL) {
        p->all[p->n++] = d;
    }
    return d;
}

static void set(struct conv_plan *p, desc d, cudnnBackendAttributeName_t name,
                cudnnBackendAttributeType_t type, int64_t n, const void *value)
{
    if (p->failed.code == VOV_OK) {
        note(p, cudnnBackendSetAttribute(d, name, type, n, value), "cudnnBackendSetAttribute");
    }
}

#define SET(d, name, type, n, value) set(p, d, CUDNN_ATTR_##name, CUDNN_TYPE_##type, n, value)

static void finish(struct conv_plan *p, desc d, const char *what)
{
    if (p->failed.code == VOV_OK) {
        note(p, cudnnBackendFinalize(d), what);
    }
}

/* NHWC: dimensions are named in the order n, c, h, w whatever the strides. */
static desc tensor(struct conv_plan *p, int64_t uid, const int64_t dim[4], struct conv_rows rows)
{
    static const cudnnDataType_t types[] = {[NUMBER_REAL] = CUDNN_DATA_FLOAT,
                                            [NUMBER_HALF] = CUDNN_DATA_HALF,
                                            [NUMBER_BF16] = CUDNN_DATA_BFLOAT16};
    const int64_t step = rows.step, align = rows.align;
    const int64_t strides[4] = {dim[2] * dim[3] * step, 1, dim[3] * step, step};
    const bool virtual = uid >= UID_VIRTUAL;
    const cudnnDataType_t type = types[virtual ? NUMBER_REAL : p->spec->type];
    const desc d = make(p, CUDNN_BACKEND_TENSOR_DESCRIPTOR);

    SET(d, TENSOR_UNIQUE_ID, INT64, 1, &uid);
    SET(d, TENSOR_DATA_TYPE, DATA_TYPE, 1, &type);
    SET(d, TENSOR_BYTE_ALIGNMENT, INT64, 1, &align);
    SET(d, TENSOR_DIMENSIONS, INT64, 4, dim);
    SET(d, TENSOR_STRIDES, INT64, 4, strides);
    SET(d, TENSOR_IS_VIRTUAL, BOOLEAN, 1, &virtual);
    finish(p, d, "tensor");
    return d;
}

static desc convolution(struct conv_plan *p)
{
    const struct conv_spec *s = p->spec;
    const cudnnDataType_t sums = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const int64_t axes = 2, pad[2] = {s->pad, s->pad}, stride[2] = {s->stride, s->stride};
    const int64_t dilation[2] = {s->dilation, s->dilation};
    const desc d = make(p, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);

    SET(d, CONVOLUTION_COMP_TYPE, DATA_TYPE, 1, &sums);
    SET(d, CONVOLUTION_CONV_MODE, CONVOLUTION_MODE, 1, &mode);
    SET(d, CONVOLUTION_SPATIAL_DIMS, INT64, 1, &axes);
    SET(d, CONVOLUTION_PRE_PADDINGS, INT64, 2, pad);
    SET(d, CONVOLUTION_POST_PADDINGS, INT64, 2, pad);
    SET(d, CONVOLUTION_DILATIONS, INT64, 2, dilation);
    SET(d, CONVOLUTION_FILTER_STRIDES, INT64, 2, stride);
    finish(p, d, "convolution");
    return d;
}

/* The three passes differ in the names of the same attributes. */
#define SET_CONVOLUTION(KIND, X, W, Y)                                                             \
    do {                                                                                           \
        SET(o, OPERATION_CONVOLUTION_##KIND##_ALPHA, FLOAT, 1, &one);                              \
        SET(o, OPERATION_CONVOLUTION_##KIND##_BETA, FLOAT, 1, &zero);                              \
        SET(o, OPERATION_CONVOLUTION_##KIND##_CONV_DESC, BACKEND_DESCRIPTOR, 1, &conv);            \
        SET(o, OPERATION_CONVOLUTION_##KIND##_##X, BACKEND_DESCRIPTOR, 1, &x);                     \
        SET(o, OPERATION_CONVOLUTION_##KIND##_##W, BACKEND_DESCRIPTOR, 1, &w);                     \
        SET(o, OPERATION_CONVOLUTION_##KIND##_##Y, BACKEND_DESCRIPTOR, 1, &y);                     \
    } while (0)

static desc conv_operation(struct conv_plan *p, desc x, desc w, desc y)
{
    static const cudnnBackendDescriptorType_t type[] = {
        [CONV_FWD] = CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
        [CONV_BWD_DATA] = CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
        [CONV_BWD_WEIGHT] = CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
    };
    const float one = 1, zero = 0;
    const desc conv = convolution(p), o = make(p, type[p->spec->pass]);

    switch (p->spec->pass) {
    case CONV_FWD:
        SET_CONVOLUTION(FORWARD, X, W, Y);
        break;
    case CONV_BWD_DATA:
        SET_CONVOLUTION(BWD_DATA, DX, W, DY);
        break;
    case CONV_BWD_WEIGHT:
        SET_CONVOLUTION(BWD_FILTER, X, DW, DY);
        break;
    }
    finish(p, o, "convolution operation");
    return o;
}

/* y = f(x), or x + b where b is given. */
static desc pointwise(struct conv_plan *p, cudnnPointwiseMode_t mode, enum act act, const desc *b,
                      desc x, desc y)
{
    const cudnnDataType_t precision = CUDNN_DATA_FLOAT;
    const double slope = 0.1, clip = 6;
    const desc f = make(p, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);

    SET(f, POINTWISE_MODE, POINTWISE_MODE, 1, &mode);
    SET(f, POINTWISE_MATH_PREC, DATA_TYPE, 1, &precision);
    if (act == ACT_LEAKY) {
        SET(f, POINTWISE_RELU_LOWER_CLIP_SLOPE, DOUBLE, 1, &slope);
    } else if (act == ACT_RELU6) {
        SET(f, POINTWISE_RELU_UPPER_CLIP, DOUBLE, 1, &clip);
    }
    finish(p, f, "pointwise");
    const desc o = make(p, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    SET(o, OPERATION_POINTWISE_PW_DESCRIPTOR, BACKEND_DESCRIPTOR, 1, &f);
    SET(o, OPERATION_POINTWISE_XDESC, BACKEND_DESCRIPTOR, 1, &x);
    if (b != NULL) {
        SET(o, OPERATION_POINTWISE_BDESC, BACKEND_DESCRIPTOR, 1, b);
    }
    SET(o, OPERATION_POINTWISE_YDESC, BACKEND_DESCRIPTOR, 1, &y);
    finish(p, o, "pointwise operation");
    return o;
}

static bool pointwise_mode(enum act act, cudnnPointwiseMode_t *mode)
{
    switch (act) {
    case ACT_RELU:
    case ACT_LEAKY:
    case ACT_RELU6:
        *mode = CUDNN_POINTWISE_RELU_FWD;
        return true;
    case ACT_LOGISTIC:
        *mode = CUDNN_POINTWISE_SIGMOID_FWD;
        return true;
    case ACT_SWISH:
        *mode = CUDNN_POINTWISE_SWISH_FWD;
        return true;
    default:
        return false;
    }
}

bool conv_plan_has_act(enum act act)
{
    cudnnPointwiseMode_t mode;

    return act == ACT_LINEAR || pointwise_mode(act, &mode);
}

/* What follows the convolution, from its virtual output to `out`. Adds to ops[n]. */
static int add_tail(struct conv_plan *p, desc *ops, int n, desc from, const int64_t dim[4],
                    desc out)
{
    const struct conv_spec *s = p->spec;
    const int64_t bias_dim[4] = {1, s->k, 1, 1};
    const struct conv_rows between = {(int)dim[1], 16}, bias_rows = {s->k, 16};
    cudnnPointwiseMode_t mode;
    const bool acts = pointwise_mode(s->act, &mode);
    int left = s->bias + (s->add.step > 0) + acts;

    if (s->bias) {
        const desc b = tensor(p, UID_BIAS, bias_dim, bias_rows);
        const desc y = --left > 0 ? tensor(p, UID_VIRTUAL + 1, dim, between) : out;
        ops[n++] = pointwise(p, CUDNN_POINTWISE_ADD, ACT_LINEAR, &b, from, y);
        from = y;
    }
    if (s->add.step > 0) {
        const desc b = tensor(p, UID_ADD, dim, s->add);
        const desc y = --left > 0 ? tensor(p, UID_VIRTUAL + 2, dim, between) : out;
        ops[n++] = pointwise(p, CUDNN_POINTWISE_ADD, ACT_LINEAR, &b, from, y);
        from = y;
    }
    if (acts) {
        ops[n++] = pointwise(p, mode, s->act, NULL, from, out);
    }
    return n;
}

static desc operation_graph(struct conv_plan *p)
{
    const struct conv_spec *s = p->spec;
    const int64_t xd[4] = {s->n, s->c, s->h, s->w}, yd[4] = {s->n, s->k, s->oh, s->ow};
    const int64_t wd[4] = {s->k, s->c / s->groups, s->kh, s->kw};
    const bool forward = s->pass == CONV_FWD;
    const bool tail = s->bias || s->add.step > 0 || s->act != ACT_LINEAR;
    const int64_t *dim = forward ? yd : xd;
    const struct conv_rows between = {(int)dim[1], 16};
    desc ops[4] = {NULL};
    int n = 1;

    const desc x = tensor(p, UID_X, xd, s->x), y = tensor(p, UID_Y, yd, s->y);
    const desc w = tensor(p, UID_W, wd, (struct conv_rows){s->c / s->groups, 16});
    if (tail) {
        const desc inner = tensor(p, UID_VIRTUAL, dim, between);
        ops[0] = conv_operation(p, forward ? x : inner, w, forward ? inner : y);
        n = add_tail(p, ops, 1, inner, dim, forward ? y : x);
    } else {
        ops[0] = conv_operation(p, x, w, y);
    }
    const desc g = make(p, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    SET(g, OPERATIONGRAPH_OPS, BACKEND_DESCRIPTOR, n, ops);
    finish(p, g, "operation graph");
    return g;
}

/* Whether the notes that cuDNN gives on an engine allow it, its number, and whether it rounds
 * floats before it multiplies them. */
static bool is_allowed(struct conv_plan *p, desc config, int64_t *engine, bool *tf32)
{
    cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    int64_t n = 0;
    desc e = make(p, CUDNN_BACKEND_ENGINE_DESCRIPTOR);

    if (e == NULL ||
        cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                 1, &n, &e) != 0 ||
        cudnnBackendGetAttribute(e, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                 CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &n, notes) != 0) {
        return false;
    }
    for (int64_t i = 0; i < n; i++) {
        const bool tensor_core = notes[i] == CUDNN_NUMERICAL_NOTE_TENSOR_CORE;
        const bool narrow = (tensor_core && p->spec->type == NUMBER_REAL) ||
                            notes[i] == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS ||
                            notes[i] == CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION;
        *tf32 = *tf32 || (narrow && p->spec->type == NUMBER_REAL);
        const bool varies = notes[i] == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC;
        if ((p->spec->exact && narrow) || (p->spec->deterministic && varies)) {
            return false;
        }
    }
    *engine = -1;
    cudnnBackendGetAttribute(e, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &n, engine);
    return true;
}

static void drop_from(struct conv_plan *p, int keep)
{
    while (p->n > keep) {
        cudnnBackendDestroyDescriptor(p->all[--p->n]);
    }
}

/* Builds the plan of one configuration and keeps it when it is better than the one there is. */
static void try_config(struct conv_plan *p, desc device, desc config, size_t limit)
{
    const int keep = p->n;
    int64_t bytes = 0, engine = 0, n = 0;
    bool tf32 = false;
    desc plan = NULL;

    p->failed.code = VOV_OK;
    if (!is_allowed(p, config, &engine, &tf32)) {
        err_set(&p->failed, VOV_EDEVICE, "an engine that is not exact or not deterministic");
        drop_from(p, keep);
        return;
    }
    drop_from(p, keep);
    plan = make(p, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    SET(plan, EXECUTION_PLAN_ENGINE_CONFIG, BACKEND_DESCRIPTOR, 1, &config);
    SET(plan, EXECUTION_PLAN_DEVICEPROP, BACKEND_DESCRIPTOR, 1, &device);
    finish(p, plan, "execution plan");
    if (p->failed.code == VOV_OK) {
        note(p,
             cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                      CUDNN_TYPE_INT64, 1, &n, &bytes),
             "workspace size");
    }
    if (p->failed.code == VOV_OK && (size_t)bytes > limit) {
        err_set(&p->failed, VOV_EDEVICE, "a workspace of %lld bytes; %zu are allowed",
                (long long)bytes, limit);
    }
    if (p->failed.code != VOV_OK || (p->plan != NULL && bytes >= p->bytes)) {
        drop_from(p, keep);
        return;
    }
    p->plan = plan;
    p->bytes = bytes;
    p->engine = engine;
    p->tf32 = tf32;
}

/* Goes through what one mode of the heuristics offers. */
static void ask(struct conv_plan *p, desc device, cudnnBackendHeurMode_t mode, size_t limit,
                bool direct)
{
    desc config[MAX_CONFIG] = {NULL};
    int64_t n = 0;

    p->failed.code = VOV_OK;
    const desc h = make(p, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    SET(h, ENGINEHEUR_OPERATION_GRAPH, BACKEND_DESCRIPTOR, 1, &p->graph);
    SET(h, ENGINEHEUR_MODE, HEUR_MODE, 1, &mode);
    SET(h, ENGINEHEUR_DEVICEPROP, BACKEND_DESCRIPTOR, 1, &device);
    finish(p, h, "heuristics");
    for (int i = 0; i < MAX_CONFIG; i++) {
        config[i] = make(p, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    }
    if (p->failed.code != VOV_OK) {
        return;
    }
    note(p,
         cudnnBackendGetAttribute(h, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                  MAX_CONFIG, &n, config),
         "heuristics");
    for (int i = 0; i < MAX_CONFIG && i < n; i++) {
        try_config(p, device, config[i], limit);
        if (p->plan != NULL && (!direct || p->bytes == 0)) {
            return;
        }
    }
}

desc conv_plan_device(cudnnHandle_t handle, const char *json)
{
    desc d = NULL;

    if (cudnnBackendCreateDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &d) != 0) {
        return NULL;
    }
    const cudnnStatus_t status =
        json == NULL ? cudnnBackendSetAttribute(d, CUDNN_ATTR_DEVICEPROP_HANDLE, CUDNN_TYPE_HANDLE,
                                                1, &handle)
                     : cudnnBackendSetAttribute(d, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                                                CUDNN_TYPE_CHAR, (int64_t)strlen(json), json);
    if (status != CUDNN_STATUS_SUCCESS || cudnnBackendFinalize(d) != CUDNN_STATUS_SUCCESS) {
        cudnnBackendDestroyDescriptor(d);
        return NULL;
    }
    return d;
}

struct conv_plan *conv_plan_make(desc device, const struct conv_spec *spec, size_t limit,
                                 bool direct, struct err *why)
{
    struct conv_plan *p = mem_alloc(1, sizeof *p);

    if (p == NULL) {
        err_nomem(why, sizeof *p);
        return NULL;
    }
    p->spec = spec;
    p->bias = spec->bias;
    p->add = spec->add.step > 0;
    p->graph = operation_graph(p);
    if (p->failed.code == VOV_OK) {
        ask(p, device, CUDNN_HEUR_MODE_A, limit, direct);
        if (p->plan == NULL || (direct && p->bytes > 0)) {
            ask(p, device, CUDNN_HEUR_MODE_FALLBACK, limit, direct);
        }
    }
    p->spec = NULL;
    if (p->plan == NULL) {
        err_set(why, VOV_EDEVICE, "%s",
                p->failed.code != VOV_OK ? p->failed.msg : "cuDNN offers no engine");
        conv_plan_free(p);
        return NULL;
    }
    return p;
}

void conv_plan_free(struct conv_plan *p)
{
    if (p != NULL) {
        drop_from(p, 0);
        mem_free(p);
    }
}

size_t conv_plan_bytes(const struct conv_plan *p)
{
    return (size_t)p->bytes;
}

bool conv_plan_rounds(const struct conv_plan *p)
{
    return p->tf32;
}

int conv_plan_engine(const struct conv_plan *p)
{
    return (int)p->engine;
}

cudnnStatus_t conv_plan_run(const struct conv_plan *p, cudnnHandle_t handle,
                            const struct conv_pointers *at)
{
    int64_t uid[5] = {UID_X, UID_W, UID_Y}, n = 3;
    void *pointer[5] = {at->x, at->w, at->y};
    desc pack = NULL;

    if (p->bias) {
        uid[n] = UID_BIAS;
        pointer[n++] = at->bias;
    }
    if (p->add) {
        uid[n] = UID_ADD;
        pointer[n++] = at->add;
    }
    cudnnStatus_t status =
        cudnnBackendCreateDescriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack);
    if (status != CUDNN_STATUS_SUCCESS) {
        return status;
    }
    if (status == CUDNN_STATUS_SUCCESS) {
        status = cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS,
                                          CUDNN_TYPE_INT64, n, uid);
    }
    if (status == CUDNN_STATUS_SUCCESS) {
        status = cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS,
                                          CUDNN_TYPE_VOID_PTR, n, pointer);
    }
    if (status == CUDNN_STATUS_SUCCESS) {
        status = cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE,
                                          CUDNN_TYPE_VOID_PTR, 1, &at->workspace);
    }
    if (status == CUDNN_STATUS_SUCCESS) {
        status = cudnnBackendFinalize(pack);
    }
    if (status == CUDNN_STATUS_SUCCESS) {
        status = cudnnBackendExecute(handle, p->plan, pack);
    }
    cudnnBackendDestroyDescriptor(pack);
    return status;
}
