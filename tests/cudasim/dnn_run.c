/*
 * dnn_run.c - cuDNN's handles, and the running of execution plans: operation by operation, on
 * packed floats, when the stream gets there.
 */
#include "dnn.h"
#include "half.h"
#include "handle.h"
#include "mem.h"
#include "sim.h"
#include "stream.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define POINTERS 16

struct cudnnContext {
    cudaStream_t stream;
    int device;
};

size_t cudnnGetVersion(void)
{
    return CUDNN_VERSION;
}

size_t cudnnGetCudartVersion(void)
{
    return CUDART_VERSION;
}

const char *cudnnGetErrorString(cudnnStatus_t status)
{
    switch (status) {
    case CUDNN_STATUS_SUCCESS:
        return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_BAD_PARAM:
        return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_ALLOC_FAILED:
        return "CUDNN_STATUS_ALLOC_FAILED";
    case CUDNN_STATUS_NOT_SUPPORTED:
        return "CUDNN_STATUS_NOT_SUPPORTED";
    case CUDNN_STATUS_EXECUTION_FAILED:
        return "CUDNN_STATUS_EXECUTION_FAILED";
    default:
        return "CUDNN_STATUS_INTERNAL_ERROR";
    }
}

void cudnnGetLastErrorString(char *message, size_t size)
{
    snprintf(message, size, "(simulated)");
}

cudnnStatus_t cudnnCreate(cudnnHandle_t *handle)
{
    SIM_CALL();
    if (sim_fails) {
        return CUDNN_STATUS_ALLOC_FAILED;
    }
    *handle = handle_new(DNN_HANDLE, sizeof **handle);
    (*handle)->device = sim_device();
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle)
{
    SIM_CALL();
    handle_free(DNN_HANDLE, handle);
    return sim_fails ? CUDNN_STATUS_INTERNAL_ERROR : CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream)
{
    SIM_CALL();
    if (sim_fails) {
        return CUDNN_STATUS_INTERNAL_ERROR;
    }
    if (!handle_get(DNN_HANDLE, handle) || !stream_get(stream)) {
        return CUDNN_STATUS_BAD_PARAM;
    }
    handle->stream = stream;
    return CUDNN_STATUS_SUCCESS;
}

/* Live programs, so that work which outlives its plan is noticed. */
static struct {
    const struct dnn_program **all;
    size_t count;
} programs;

static const struct dnn_program *find_program(uint64_t id)
{
    for (size_t i = 0; i < programs.count; i++) {
        if (programs.all[i]->id == id) {
            return programs.all[i];
        }
    }
    return NULL;
}

static void add_program(const struct dnn_program *p)
{
    if (!find_program(p->id)) {
        programs.all = sim_grow(programs.all, programs.count, sizeof *programs.all);
        programs.all[programs.count++] = p;
    }
}

void dnn_program_free(struct dnn_program *p)
{
    for (size_t i = 0; i < programs.count; i++) {
        if (programs.all[i] == p) {
            programs.all[i] = programs.all[--programs.count];
        }
    }
    free(p);
}

/* An execution in a queue. */
struct execution {
    uint64_t program;
    int64_t uids[POINTERS];
    void *pointers[POINTERS];
    int64_t count;
    void *workspace;
};

/* Values of a virtual tensor. */
struct between {
    int64_t uid;
    float *values; /* owned */
};

/* An execution while it runs. */
struct running {
    const struct execution *e;
    const struct dnn_engine *engine;
    struct between between[DNN_OPS];
    int between_count;
};

#define WHO "cudnnBackendExecute"

static void *pointer_of(const struct execution *e, const struct dnn_tensor *t)
{
    for (int64_t i = 0; i < e->count; i++) {
        if (e->uids[i] != t->uid) {
            continue;
        }
        if ((uint64_t)e->pointers[i] % (uint64_t)t->align != 0) {
            sim_report(WHO
                       ": tensor %lld at %p is not aligned to the %lld bytes that were promised",
                       (long long)t->uid, e->pointers[i], (long long)t->align);
            return NULL;
        }
        return e->pointers[i];
    }
    sim_report(WHO ": no pointer was given for tensor %lld", (long long)t->uid);
    return NULL;
}

/* The values of a tensor, to be freed; NULL after a report. */
static float *fetch(const struct running *r, const struct dnn_tensor *t)
{
    float *values = sim_alloc(dnn_count(t) * sizeof *values);
    for (int i = 0; t->is_virtual && i < r->between_count; i++) {
        if (r->between[i].uid == t->uid) {
            memcpy(values, r->between[i].values, dnn_count(t) * sizeof *values);
            return values;
        }
    }
    const void *device = pointer_of(r->e, t);
    if (!device || !dnn_load(WHO, t, device, values)) {
        free(values);
        return NULL;
    }
    return values;
}

static void put(struct running *r, const struct dnn_tensor *t, float *values)
{
    if (t->is_virtual) {
        float *copy = sim_alloc(dnn_count(t) * sizeof *copy);
        memcpy(copy, values, dnn_count(t) * sizeof *copy);
        r->between[r->between_count++] = (struct between){t->uid, copy};
        return;
    }
    void *device = pointer_of(r->e, t);
    if (device) {
        dnn_store(WHO, t, device, values);
    }
}

/* What an engine that uses tensor cores makes of its inputs. */
static void shorten(const struct dnn_tensor *t, float *values)
{
    for (size_t i = 0; t->type == CUDNN_DATA_FLOAT && i < dnn_count(t); i++) {
        values[i] = tf32_of_float(values[i]);
    }
}

/* output = alpha * output + beta * what is there */
static bool mix(struct running *r, const struct dnn_op *op, const struct dnn_tensor *t,
                float *output)
{
    float *old = op->beta != 0 ? fetch(r, t) : NULL;
    if (op->beta != 0 && !old) {
        return false;
    }
    for (size_t i = 0; i < dnn_count(t); i++) {
        output[i] = op->alpha * output[i] + (old ? op->beta * old[i] : 0);
    }
    free(old);
    return true;
}

static void run_convolution(struct running *r, const struct dnn_op *op)
{
    const struct dnn_tensor *tensors[3] = {&op->x, &op->w, &op->y};
    static const int outputs[] = {[DNN_FORWARD] = 2, [DNN_BACK_DATA] = 0, [DNN_BACK_FILTER] = 1};
    const int output = outputs[op->kind];
    float *values[3] = {NULL};
    bool good = true;
    for (int i = 0; i < 3 && good; i++) {
        values[i] =
            i == output ? sim_alloc(dnn_count(tensors[i]) * sizeof(float)) : fetch(r, tensors[i]);
        good = values[i] != NULL;
        if (good && i != output && r->engine->tensor_core) {
            shorten(tensors[i], values[i]);
        }
    }
    if (good) {
        dnn_convolve(op, values[0], values[1], values[2], values[output], r->engine->varies);
        if (mix(r, op, tensors[output], values[output])) {
            put(r, tensors[output], values[output]);
        }
    }
    for (int i = 0; i < 3; i++) {
        free(values[i]);
    }
}

static float apply(const struct dnn_op *op, float a, float b)
{
    switch (op->mode) {
    case CUDNN_POINTWISE_ADD:
        return a + b;
    case CUDNN_POINTWISE_MUL:
        return a * b;
    case CUDNN_POINTWISE_SUB:
        return a - b;
    case CUDNN_POINTWISE_RELU_FWD:
        return a > 0 ? fminf(a, (float)op->upper) : (float)op->slope * a;
    case CUDNN_POINTWISE_SIGMOID_FWD:
        return 1 / (1 + expf(-a));
    case CUDNN_POINTWISE_TANH_FWD:
        return tanhf(a);
    default:
        return a / (1 + expf(-a)); /* swish */
    }
}

/* Where element i of y is in w, whose dimensions of 1 are repeated; both packed n, h, w, c. */
static size_t repeated(const struct dnn_op *op, size_t i)
{
    static const int order[4] = {0, 2, 3, 1};
    size_t at = 0, stride = 1;
    for (int axis = 3; axis >= 0; axis--) {
        const size_t n = (size_t)op->y.dim[order[axis]], m = (size_t)op->w.dim[order[axis]];
        at += m > 1 ? i % n * stride : 0;
        i /= n;
        stride *= m;
    }
    return at;
}

static void run_pointwise(struct running *r, const struct dnn_op *op)
{
    float *x = fetch(r, &op->x), *w = op->has_w ? fetch(r, &op->w) : NULL;
    if (x && (w || !op->has_w)) {
        for (size_t i = 0; i < dnn_count(&op->y); i++) {
            x[i] = apply(op, x[i], w ? w[repeated(op, i)] : 0);
        }
        put(r, &op->y, x);
    }
    free(x);
    free(w);
}

static void work_execute(void *data)
{
    const struct execution *e = data;
    const struct dnn_program *p = find_program(e->program);
    if (!p) {
        sim_report(WHO ": the plan was destroyed before its work was done");
        return;
    }
    struct running r = {.e = e, .engine = p->engine};
    if (p->workspace > 0) { /* an engine leaves nothing there that is of use */
        if (!mem_check(WHO " workspace", e->workspace, (size_t)p->workspace, MEM_WRITE)) {
            return;
        }
        mem_mark_unwritten(e->workspace, (size_t)p->workspace);
    }
    for (int i = 0; i < p->count; i++) {
        if (p->ops[i].kind == DNN_POINTWISE) {
            run_pointwise(&r, &p->ops[i]);
        } else {
            run_convolution(&r, &p->ops[i]);
        }
    }
    for (int i = 0; i < r.between_count; i++) {
        free(r.between[i].values);
    }
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t pack)
{
    SIM_CALL();
    const struct descriptor *p = handle_get(DNN_KIND, plan), *v = handle_get(DNN_KIND, pack);
    if (sim_fails) {
        return CUDNN_STATUS_EXECUTION_FAILED;
    }
    if (!handle_get(DNN_HANDLE, handle) || !p || !v || !p->program || !v->finalised) {
        sim_report(WHO ": a handle, a plan and a variant pack are needed, both finalised");
        return CUDNN_STATUS_BAD_PARAM;
    }
    if (!sim_is_here(WHO, handle->device)) {
        return CUDNN_STATUS_BAD_PARAM;
    }
    const struct attribute *uids = dnn_find(v, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    const struct attribute *pointers = dnn_find(v, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
    struct execution e = {.program = p->program->id, .count = uids->count};
    if (uids->count != pointers->count || uids->count > POINTERS) {
        sim_report(WHO ": %lld tensors and %lld pointers", (long long)uids->count,
                   (long long)pointers->count);
        return CUDNN_STATUS_BAD_PARAM;
    }
    dnn_read(v, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, e.uids, sizeof e.uids);
    dnn_read(v, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, e.pointers, sizeof e.pointers);
    dnn_read(v, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, &e.workspace, sizeof e.workspace);
    add_program(p->program);
    return stream_push(handle->stream, work_execute, &e, sizeof e) ? CUDNN_STATUS_EXECUTION_FAILED
                                                                   : CUDNN_STATUS_SUCCESS;
}
