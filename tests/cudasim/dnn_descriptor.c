/*
 * dnn_descriptor.c - making, setting, finalising and ending the descriptors of cuDNN's graph API.
 * An attribute of a wrong type or number, or one that is missing, is reported.
 */
#include "dnn.h"
#include "handle.h"
#include "sim.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* What a kind of descriptor holds, as cuDNN's documentation has it. */
static const struct rule {
    cudnnBackendDescriptorType_t of;
    cudnnBackendAttributeName_t name;
    cudnnBackendAttributeType_t type;
    int64_t count; /* 0: any */
    bool needed;
} rules[] = {
#define RULE(of, name, type, count, needed)                                                        \
    {CUDNN_BACKEND_##of##_DESCRIPTOR, CUDNN_ATTR_##name, CUDNN_TYPE_##type, count, needed},
    RULE(TENSOR, TENSOR_UNIQUE_ID, INT64, 1,
         true) RULE(TENSOR, TENSOR_DATA_TYPE, DATA_TYPE, 1,
                    true) RULE(TENSOR, TENSOR_BYTE_ALIGNMENT, INT64, 1,
                               true) RULE(TENSOR, TENSOR_DIMENSIONS, INT64, 4,
                                          true) RULE(TENSOR, TENSOR_STRIDES, INT64, 4, true)
        RULE(TENSOR, TENSOR_IS_VIRTUAL, BOOLEAN, 1, false) RULE(
            CONVOLUTION, CONVOLUTION_COMP_TYPE, DATA_TYPE,
            1, true) RULE(CONVOLUTION, CONVOLUTION_CONV_MODE, CONVOLUTION_MODE, 1,
                          true) RULE(CONVOLUTION, CONVOLUTION_SPATIAL_DIMS, INT64, 1, true)
            RULE(CONVOLUTION, CONVOLUTION_PRE_PADDINGS, INT64, 2,
                 true) RULE(CONVOLUTION, CONVOLUTION_POST_PADDINGS, INT64, 2, true)
                RULE(CONVOLUTION, CONVOLUTION_DILATIONS, INT64, 2,
                     true) RULE(CONVOLUTION, CONVOLUTION_FILTER_STRIDES, INT64, 2, true)
#define CONVOLUTION_RULES(of, prefix, x, w, y)                                                     \
    RULE(OPERATION_CONVOLUTION_##of, OPERATION_CONVOLUTION_##prefix##_ALPHA, FLOAT, 1, false)      \
    RULE(OPERATION_CONVOLUTION_##of, OPERATION_CONVOLUTION_##prefix##_BETA, FLOAT, 1, false)       \
    RULE(OPERATION_CONVOLUTION_##of, OPERATION_CONVOLUTION_##prefix##_CONV_DESC,                   \
         BACKEND_DESCRIPTOR, 1, true)                                                              \
    RULE(OPERATION_CONVOLUTION_##of, OPERATION_CONVOLUTION_##prefix##_##x, BACKEND_DESCRIPTOR, 1,  \
         true)                                                                                     \
    RULE(OPERATION_CONVOLUTION_##of, OPERATION_CONVOLUTION_##prefix##_##w, BACKEND_DESCRIPTOR, 1,  \
         true)                                                                                     \
    RULE(OPERATION_CONVOLUTION_##of, OPERATION_CONVOLUTION_##prefix##_##y, BACKEND_DESCRIPTOR, 1,  \
         true)
                    CONVOLUTION_RULES(FORWARD, FORWARD, X, W, Y) CONVOLUTION_RULES(
                        BACKWARD_DATA, BWD_DATA, DX, W,
                        DY) CONVOLUTION_RULES(BACKWARD_FILTER, BWD_FILTER, X, DW, DY)
                        RULE(POINTWISE, POINTWISE_MODE, POINTWISE_MODE, 1, true)
                            RULE(POINTWISE, POINTWISE_MATH_PREC, DATA_TYPE, 1, true) RULE(
                                POINTWISE, POINTWISE_RELU_LOWER_CLIP_SLOPE, DOUBLE,
                                1, false) RULE(POINTWISE, POINTWISE_RELU_UPPER_CLIP, DOUBLE, 1,
                                               false) RULE(OPERATION_POINTWISE,
                                                           OPERATION_POINTWISE_PW_DESCRIPTOR,
                                                           BACKEND_DESCRIPTOR, 1, true)
                                RULE(OPERATION_POINTWISE, OPERATION_POINTWISE_XDESC,
                                     BACKEND_DESCRIPTOR,
                                     1, true) RULE(OPERATION_POINTWISE, OPERATION_POINTWISE_BDESC,
                                                   BACKEND_DESCRIPTOR,
                                                   1, false) RULE(OPERATION_POINTWISE,
                                                                  OPERATION_POINTWISE_YDESC,
                                                                  BACKEND_DESCRIPTOR, 1, true)
                                    RULE(OPERATIONGRAPH, OPERATIONGRAPH_OPS, BACKEND_DESCRIPTOR, 0,
                                         true) RULE(OPERATIONGRAPH, OPERATIONGRAPH_HANDLE, HANDLE,
                                                    1, false) RULE(ENGINEHEUR,
                                                                   ENGINEHEUR_OPERATION_GRAPH,
                                                                   BACKEND_DESCRIPTOR, 1, true)
                                        RULE(ENGINEHEUR, ENGINEHEUR_MODE, HEUR_MODE, 1, true) RULE(
                                            ENGINEHEUR, ENGINEHEUR_DEVICEPROP, BACKEND_DESCRIPTOR,
                                            1, false) RULE(EXECUTION_PLAN,
                                                           EXECUTION_PLAN_ENGINE_CONFIG,
                                                           BACKEND_DESCRIPTOR, 1, true)
                                            RULE(EXECUTION_PLAN, EXECUTION_PLAN_DEVICEPROP,
                                                 BACKEND_DESCRIPTOR, 1, false)
                                                RULE(EXECUTION_PLAN, EXECUTION_PLAN_HANDLE, HANDLE,
                                                     1, false) RULE(DEVICEPROP, DEVICEPROP_HANDLE,
                                                                    HANDLE, 1, false)
                                                    RULE(DEVICEPROP, DEVICEPROP_JSON_REPRESENTATION,
                                                         CHAR, 0, false)
                                                        RULE(VARIANT_PACK, VARIANT_PACK_UNIQUE_IDS,
                                                             INT64, 0, true)
                                                            RULE(VARIANT_PACK,
                                                                 VARIANT_PACK_DATA_POINTERS,
                                                                 VOID_PTR, 0, true)
                                                                RULE(VARIANT_PACK,
                                                                     VARIANT_PACK_WORKSPACE,
                                                                     VOID_PTR, 1, false)};

static size_t type_bytes(cudnnBackendAttributeType_t type)
{
    switch (type) {
    case CUDNN_TYPE_BOOLEAN:
    case CUDNN_TYPE_CHAR:
        return 1;
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_DOUBLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
        return 8;
    default:
        return 4; /* float, and the enumerations */
    }
}

static cudnnStatus_t refuse(const char *who, const char *why)
{
    sim_report("%s: %s", who, why);
    return CUDNN_STATUS_BAD_PARAM;
}

const struct attribute *dnn_find(const struct descriptor *d, cudnnBackendAttributeName_t name)
{
    for (size_t i = 0; i < d->attribute_count; i++) {
        if (d->attributes[i].name == name) {
            return &d->attributes[i];
        }
    }
    return NULL;
}

void dnn_read(const struct descriptor *d, cudnnBackendAttributeName_t name, void *value,
              size_t bytes)
{
    const struct attribute *a = dnn_find(d, name);
    if (a) {
        const size_t held = (size_t)a->count * type_bytes(a->type);
        memcpy(value, a->value, held < bytes ? held : bytes);
    }
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t *descriptor)
{
    SIM_CALL();
    if (sim_fails) {
        return CUDNN_STATUS_ALLOC_FAILED;
    }
    struct descriptor *d = handle_new(DNN_KIND, sizeof *d);
    d->type = type;
    *descriptor = d;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor)
{
    SIM_CALL();
    struct descriptor *d = handle_get(DNN_KIND, descriptor);
    if (!d) {
        return CUDNN_STATUS_BAD_PARAM;
    }
    for (size_t i = 0; i < d->attribute_count; i++) {
        free(d->attributes[i].value);
    }
    free(d->attributes);
    dnn_program_free(d->program);
    handle_free(DNN_KIND, d);
    return sim_fails ? CUDNN_STATUS_INTERNAL_ERROR : CUDNN_STATUS_SUCCESS;
}

static const struct rule *find_rule(cudnnBackendAttributeName_t name)
{
    for (size_t i = 0; i < COUNT(rules); i++) {
        if (rules[i].name == name) {
            return &rules[i];
        }
    }
    return NULL;
}

/* Why the attribute cannot be set so; NULL: it can. */
static const char *set_wrong(const struct descriptor *d, const struct rule *rule,
                             cudnnBackendAttributeType_t type, int64_t count, const void *value)
{
    if (d->finalised) {
        return "the descriptor is finalised";
    }
    if (rule->of != d->type) {
        return "the attribute belongs to another kind of descriptor";
    }
    if (rule->type != type) {
        return "the attribute has another type";
    }
    if (count < 1 || (rule->count && rule->count != count)) {
        return "the attribute has another number of elements";
    }
    for (int64_t i = 0; type == CUDNN_TYPE_BACKEND_DESCRIPTOR && i < count; i++) {
        const struct descriptor *inner = handle_get(DNN_KIND, ((void *const *)value)[i]);
        if (!inner || !inner->finalised) {
            return "the descriptor inside is not finalised";
        }
    }
    return NULL;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count,
                                       const void *value)
{
    SIM_CALL();
    struct descriptor *d = handle_get(DNN_KIND, descriptor);
    const struct rule *rule = find_rule(name);
    if (sim_fails) {
        return CUDNN_STATUS_INTERNAL_ERROR;
    }
    if (!d) {
        return CUDNN_STATUS_BAD_PARAM;
    }
    if (!rule) {
        sim_report("%s: the simulator does not know attribute %d", __func__, (int)name);
        return CUDNN_STATUS_NOT_SUPPORTED;
    }
    const char *wrong = set_wrong(d, rule, type, count, value);
    if (wrong) {
        return refuse(__func__, wrong);
    }
    d->attributes = sim_grow(d->attributes, d->attribute_count, sizeof *d->attributes);
    struct attribute *a = &d->attributes[d->attribute_count++];
    const size_t bytes = (size_t)count * type_bytes(type);
    *a = (struct attribute){name, type, count, sim_alloc(bytes)};
    memcpy(a->value, value, bytes);
    return CUDNN_STATUS_SUCCESS;
}

/* What a descriptor says must make sense; a plan is built. */
static cudnnStatus_t finalise(struct descriptor *d)
{
    struct dnn_tensor tensor;
    struct dnn_op op;
    struct descriptor *config = NULL;
    const char *wrong = NULL;
    switch (d->type) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR:
        wrong = dnn_read_tensor(d, &tensor);
        break;
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
        wrong = dnn_read_op(d, &op);
        break;
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR:
        dnn_read(d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, &config, sizeof config);
        d->program = dnn_program_new(config->graph, config->engine, &wrong);
        if (!d->program && !wrong) {
            return CUDNN_STATUS_NOT_SUPPORTED; /* not wrong: another engine may */
        }
        break;
    default:
        break;
    }
    return wrong ? refuse("cudnnBackendFinalize", wrong) : CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor)
{
    SIM_CALL();
    struct descriptor *d = handle_get(DNN_KIND, descriptor);
    if (sim_fails) {
        return CUDNN_STATUS_INTERNAL_ERROR;
    }
    if (!d) {
        return CUDNN_STATUS_BAD_PARAM;
    }
    for (size_t i = 0; i < COUNT(rules); i++) {
        if (rules[i].of == d->type && rules[i].needed && !dnn_find(d, rules[i].name)) {
            sim_report("%s: the descriptor lacks attribute %d", __func__, (int)rules[i].name);
            return CUDNN_STATUS_BAD_PARAM;
        }
    }
    const cudnnStatus_t status = finalise(d);
    d->finalised = status == CUDNN_STATUS_SUCCESS;
    return status;
}

/* Fills the configurations that the caller made with the engines of the heuristics' mode. */
static cudnnStatus_t get_results(const struct descriptor *d, int64_t room, int64_t *count,
                                 void *values)
{
    cudnnBackendHeurMode_t mode = CUDNN_HEUR_MODE_A;
    struct descriptor *graph = NULL;
    int64_t n = 0;
    dnn_read(d, CUDNN_ATTR_ENGINEHEUR_MODE, &mode, sizeof mode);
    dnn_read(d, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, &graph, sizeof graph);
    for (int i = 0; i < dnn_engine_count; i++) {
        if (dnn_engines[i].fallback != (mode == CUDNN_HEUR_MODE_FALLBACK)) {
            continue;
        }
        if (n < room && values) {
            struct descriptor *config = handle_get(DNN_KIND, ((void *const *)values)[n]);
            if (!config || config->type != CUDNN_BACKEND_ENGINECFG_DESCRIPTOR) {
                return refuse("cudnnBackendGetAttribute", "a result is no engine configuration");
            }
            config->graph = graph;
            config->engine = &dnn_engines[i];
            config->finalised = true;
        }
        n++;
    }
    *count = n < room || !values ? n : room;
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t get_engine(const struct descriptor *d, int64_t *count, void *values)
{
    struct descriptor *engine = handle_get(DNN_KIND, *(void *const *)values);
    if (!engine || engine->type != CUDNN_BACKEND_ENGINE_DESCRIPTOR) {
        return refuse("cudnnBackendGetAttribute", "the result is no engine");
    }
    engine->graph = d->graph;
    engine->engine = d->engine;
    engine->finalised = true;
    *count = 1;
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t get_notes(const struct descriptor *d, int64_t room, int64_t *count,
                               cudnnBackendNumericalNote_t *notes)
{
    int64_t n = 0;
    if (d->engine->tensor_core && n < room) {
        notes[n++] = CUDNN_NUMERICAL_NOTE_TENSOR_CORE;
    }
    if (d->engine->tensor_core && n < room) {
        notes[n++] = CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS;
    }
    if (d->engine->varies && n < room) {
        notes[n++] = CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC;
    }
    *count = n;
    return CUDNN_STATUS_SUCCESS;
}

/* What a finalised descriptor answers. */
static cudnnStatus_t get(const struct descriptor *d, cudnnBackendAttributeName_t name, int64_t room,
                         int64_t *count, void *values)
{
    switch (name) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS:
        return get_results(d, room, count, values);
    case CUDNN_ATTR_ENGINECFG_ENGINE:
        return get_engine(d, count, values);
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE:
        return get_notes(d, room, count, values);
    case CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE:
        *count = 0;
        return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_ENGINE_GLOBAL_INDEX:
        memcpy(values, &d->engine->index, sizeof d->engine->index);
        *count = 1;
        return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
        memcpy(values, &d->program->workspace, sizeof d->program->workspace);
        *count = 1;
        return CUDNN_STATUS_SUCCESS;
    default:
        sim_report("cudnnBackendGetAttribute: the simulator does not know attribute %d", (int)name);
        return CUDNN_STATUS_NOT_SUPPORTED;
    }
}

/* Which kind of descriptor answers, and in which type. */
static bool may_get(const struct descriptor *d, cudnnBackendAttributeName_t name,
                    cudnnBackendAttributeType_t type)
{
    static const struct {
        cudnnBackendAttributeName_t name;
        cudnnBackendDescriptorType_t of;
        cudnnBackendAttributeType_t type;
    } answers[] = {
        {CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR,
         CUDNN_TYPE_BACKEND_DESCRIPTOR},
        {CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR,
         CUDNN_TYPE_BACKEND_DESCRIPTOR},
        {CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_BACKEND_ENGINE_DESCRIPTOR,
         CUDNN_TYPE_NUMERICAL_NOTE},
        {CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_BACKEND_ENGINE_DESCRIPTOR,
         CUDNN_TYPE_BEHAVIOR_NOTE},
        {CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_BACKEND_ENGINE_DESCRIPTOR, CUDNN_TYPE_INT64},
        {CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR,
         CUDNN_TYPE_INT64},
    };
    for (size_t i = 0; i < COUNT(answers); i++) {
        if (answers[i].name == name) {
            return answers[i].of == d->type && answers[i].type == type;
        }
    }
    return true; /* get() says that it does not know it */
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t room,
                                       int64_t *count, void *values)
{
    SIM_CALL();
    const struct descriptor *d = handle_get(DNN_KIND, descriptor);
    int64_t unwanted = 0;
    if (sim_fails) {
        return CUDNN_STATUS_INTERNAL_ERROR;
    }
    if (!d || !d->finalised) {
        return d ? refuse(__func__, "the descriptor is not finalised") : CUDNN_STATUS_BAD_PARAM;
    }
    if (!may_get(d, name, type)) {
        return refuse(__func__, "the attribute has another type or another kind of descriptor");
    }
    return get(d, name, room, count ? count : &unwanted, values);
}
