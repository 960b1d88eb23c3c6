/*
 * dnn_tensor.c - tensors in device memory, of any strides, as packed arrays of float.
 */
#include "dnn.h"
#include "half.h"
#include "mem.h"
#include "sim.h"

size_t dnn_type_bytes(cudnnDataType_t type)
{
    switch (type) {
    case CUDNN_DATA_FLOAT:
        return 4;
    case CUDNN_DATA_HALF:
    case CUDNN_DATA_BFLOAT16:
        return 2;
    default:
        return 0; /* not simulated */
    }
}

size_t dnn_count(const struct dnn_tensor *t)
{
    size_t n = 1;
    for (int i = 0; i < 4; i++) {
        n *= (size_t)t->dim[i];
    }
    return n;
}

static float read_element(cudnnDataType_t type, const void *p)
{
    uint16_t half;
    float f;
    if (type == CUDNN_DATA_FLOAT) {
        memcpy(&f, p, sizeof f);
        return f;
    }
    memcpy(&half, p, sizeof half);
    return type == CUDNN_DATA_HALF ? half_to_float(half) : bfloat_to_float(half);
}

static void write_element(cudnnDataType_t type, void *p, float f)
{
    const uint16_t half = type == CUDNN_DATA_HALF ? half_from_float(f) : bfloat_from_float(f);
    if (type == CUDNN_DATA_FLOAT) {
        memcpy(p, &f, sizeof f);
    } else {
        memcpy(p, &half, sizeof half);
    }
}

/* A tensor is walked in runs along the axis whose elements are neighbours, so that the gaps of a
 * slice are never touched. Axes of the packed order: n, h, w, c.
 */
struct axis {
    int64_t dim, stride, packed; /* packed: the stride in the packed array */
};

struct walk {
    struct axis axis[4]; /* the run's is the last */
};

static struct walk walk_of(const struct dnn_tensor *t)
{
    static const int order[4] = {0, 2, 3, 1};
    struct walk w;
    int64_t packed = 1;
    int run = 3;
    for (int i = 3; i >= 0; i--) {
        w.axis[i] = (struct axis){t->dim[order[i]], t->stride[order[i]], packed};
        packed *= w.axis[i].dim;
        if (w.axis[run].stride != 1 && w.axis[i].stride == 1) {
            run = i;
        }
    }
    const struct axis last = w.axis[3];
    w.axis[3] = w.axis[run];
    w.axis[run] = last;
    return w;
}

static bool check_run(const char *who, const char *p, const struct walk *w, size_t bytes,
                      enum mem_access access)
{
    if (w->axis[3].stride == 1) {
        return mem_check(who, p, (size_t)w->axis[3].dim * bytes, access);
    }
    for (int64_t i = 0; i < w->axis[3].dim; i++) {
        if (!mem_check(who, p + (size_t)(i * w->axis[3].stride) * bytes, bytes, access)) {
            return false;
        }
    }
    return true;
}

static void load_run(const struct dnn_tensor *t, const struct walk *w, const char *p, float *packed)
{
    const size_t bytes = dnn_type_bytes(t->type);
    const char *host = mem_host(p);
    for (int64_t i = 0; i < w->axis[3].dim; i++) {
        packed[i * w->axis[3].packed] =
            read_element(t->type, host + (size_t)(i * w->axis[3].stride) * bytes);
    }
}

static void store_run(const struct dnn_tensor *t, const struct walk *w, char *p,
                      const float *packed)
{
    const size_t bytes = dnn_type_bytes(t->type);
    for (int64_t i = 0; i < w->axis[3].dim; i++) {
        char *at = p + (size_t)(i * w->axis[3].stride) * bytes;
        write_element(t->type, mem_host(at), packed[i * w->axis[3].packed]);
        mem_mark_written(at, bytes);
    }
}

/* Run number i: its place in memory and in the packed array, in elements. */
static void place_run(const struct walk *w, int64_t i, int64_t *at, int64_t *packed)
{
    *at = *packed = 0;
    for (int axis = 2; axis >= 0; axis--) {
        const int64_t index = i % w->axis[axis].dim;
        i /= w->axis[axis].dim;
        *at += index * w->axis[axis].stride;
        *packed += index * w->axis[axis].packed;
    }
}

bool dnn_load(const char *who, const struct dnn_tensor *t, const void *device, float *packed)
{
    const struct walk w = walk_of(t);
    const size_t bytes = dnn_type_bytes(t->type);
    for (int64_t i = 0; i < w.axis[0].dim * w.axis[1].dim * w.axis[2].dim; i++) {
        int64_t at, first;
        place_run(&w, i, &at, &first);
        const char *p = (const char *)device + (size_t)at * bytes;
        if (!check_run(who, p, &w, bytes, MEM_READ)) {
            return false;
        }
        load_run(t, &w, p, packed + first);
    }
    return true;
}

bool dnn_store(const char *who, const struct dnn_tensor *t, void *device, const float *packed)
{
    const struct walk w = walk_of(t);
    const size_t bytes = dnn_type_bytes(t->type);
    for (int64_t i = 0; i < w.axis[0].dim * w.axis[1].dim * w.axis[2].dim; i++) {
        int64_t at, first;
        place_run(&w, i, &at, &first);
        char *p = (char *)device + (size_t)at * bytes;
        if (!check_run(who, p, &w, bytes, MEM_WRITE)) {
            return false;
        }
        store_run(t, &w, p, packed + first);
    }
    return true;
}
