/*
 * rt_launch.c - kernels: what the code that nvcc writes for the host calls to make them known and
 * to launch them. The fat binary holds machine code, which is passed over, and PTX, which is read.
 */
#include "exec.h"
#include "mem.h"
#include "op.h"
#include "rt.h"
#include "stream.h"

#include <stdlib.h>
#include <string.h>

#define SHARED_DEFAULT 49152u
#define SHARED_OPTIN 101376u
#define FAT_PTX 1

/* Of nvcc's output: the wrapper, the container, and one entry of it. */
struct fat_wrapper {
    uint32_t magic, version;
    const void *data;
    void *unused;
};

struct fat_header {
    uint32_t magic;
    uint16_t version, header_bytes;
    uint64_t bytes;
};

struct fat_entry {
    uint16_t kind, unused;
    uint32_t header_bytes;
    uint64_t bytes;
};

struct function {
    const void *host; /* its stub */
    struct ptx_module *module;
    struct kernel *kernel;
    unsigned dynamic_max;
};

struct variable {
    const void *host;
    struct ptx_module *module;
    char *device;
    size_t bytes;
};

static struct {
    struct function **functions;
    size_t function_count;
    struct variable *variables;
    size_t variable_count;
    dim3 grid, block; /* of the launch that is being put together */
    size_t shared;
    cudaStream_t stream;
} program;

/* Where the thread's launch is written, which nvcc's stub then makes. */
static _Thread_local sim_site launch_site;

/* The calls of nvcc's own code are declared nowhere. */
void **__cudaRegisterFatBinary(void *wrapper);
void __cudaRegisterFatBinaryEnd(void **handle);
void __cudaUnregisterFatBinary(void **handle);
char __cudaInitModule(void **handle);
void __cudaRegisterFunction(void **handle, const char *host, char *device, const char *name,
                            int thread_limit, void *tid, void *bid, dim3 *block, dim3 *grid,
                            int *warp_size);
void __cudaRegisterVar(void **handle, char *host, char *device, const char *name, int external,
                       size_t bytes, int constant, int global);
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, cudaStream_t stream);
cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared, void *stream);
cudaError_t __cudaGetKernel(cudaKernel_t *kernel, const void *host);
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void **args,
                               size_t shared, cudaStream_t stream);

/* The first PTX in a container. */
static struct ptx_module *open_module(const char *data)
{
    struct fat_header h;
    memcpy(&h, data, sizeof h);
    const char *end = data + h.header_bytes + h.bytes;
    for (const char *p = data + h.header_bytes; p < end;) {
        struct fat_entry e;
        memcpy(&e, p, sizeof e);
        const char *text = p + e.header_bytes;
        if (e.kind == FAT_PTX) {
            if (memchr(text, '\0', 16) || !memchr(text, '\n', 64)) {
                sim_unfit("the PTX is compressed: give nvcc --no-compress");
            }
            return ptx_open(text, e.bytes);
        }
        p += e.header_bytes + e.bytes;
    }
    sim_unfit("no PTX in the program: give nvcc -gencode arch=compute_80,code=compute_80");
}

void **__cudaRegisterFatBinary(void *wrapper)
{
    SIM_LOCK();
    struct ptx_module **handle = sim_alloc(sizeof(struct ptx_module *));
    *handle = open_module(((const struct fat_wrapper *)wrapper)->data);
    return (void **)handle;
}

void __cudaRegisterFatBinaryEnd(void **handle)
{
    (void)handle;
}

/* Forgets the kernels and variables of a part of the program that is unloaded. What was read of
 * them stays, as queues may hold launches still.
 */
void __cudaUnregisterFatBinary(void **handle)
{
    SIM_LOCK();
    const struct ptx_module *m = *(struct ptx_module **)handle;
    size_t n = 0;
    for (size_t i = 0; i < program.function_count; i++) {
        if (program.functions[i]->module == m) {
            free(program.functions[i]);
        } else {
            program.functions[n++] = program.functions[i];
        }
    }
    program.function_count = n;
    n = 0;
    for (size_t i = 0; i < program.variable_count; i++) {
        if (program.variables[i].module != m) {
            program.variables[n++] = program.variables[i];
        }
    }
    program.variable_count = n;
    free(handle);
}

char __cudaInitModule(void **handle)
{
    (void)handle;
    return 1;
}

void __cudaRegisterFunction(void **handle, const char *host, char *device, const char *name,
                            int thread_limit, void *tid, void *bid, dim3 *block, dim3 *grid,
                            int *warp_size)
{
    SIM_LOCK();
    (void)device, (void)thread_limit, (void)tid, (void)bid, (void)block, (void)grid;
    (void)warp_size;
    struct function *f = sim_alloc(sizeof *f);
    *f = (struct function){
        .host = host, .module = *(struct ptx_module **)handle, .dynamic_max = SHARED_DEFAULT};
    f->kernel = ptx_find_kernel(f->module, name);
    if (!f->kernel) {
        sim_unfit("kernel %s is not in the PTX", name);
    }
    program.functions =
        sim_grow(program.functions, program.function_count, sizeof *program.functions);
    program.functions[program.function_count++] = f;
}

void __cudaRegisterVar(void **handle, char *host, char *device, const char *name, int external,
                       size_t bytes, int constant, int global)
{
    SIM_LOCK();
    (void)device, (void)external, (void)constant, (void)global;
    struct ptx_module *m = *(struct ptx_module **)handle;
    program.variables =
        sim_grow(program.variables, program.variable_count, sizeof *program.variables);
    program.variables[program.variable_count++] =
        (struct variable){host, m, ptx_find_variable(m, name), bytes};
}

/* The variable that a host symbol stands for; NULL: none, or too small for what is asked. */
static char *find_variable(const void *symbol, size_t offset, size_t bytes)
{
    for (size_t i = 0; i < program.variable_count; i++) {
        const struct variable *v = &program.variables[i];
        if (v->host == symbol && v->device && offset + bytes <= v->bytes) {
            return v->device + offset;
        }
    }
    return NULL;
}

cudaError_t cudaMemcpyToSymbolAsync(const void *symbol, const void *from, size_t bytes,
                                    size_t offset, enum cudaMemcpyKind kind, cudaStream_t stream)
{
    RT_CALL(cudaErrorUnknown);
    char *to = find_variable(symbol, offset, bytes);
    return to ? rt_copy(__func__, (struct rt_copy){to, from, bytes, bytes, bytes, 1}, kind, stream,
                        true)
              : rt_result(cudaErrorInvalidSymbol);
}

cudaError_t cudaMemcpyToSymbol(const void *symbol, const void *from, size_t bytes, size_t offset,
                               enum cudaMemcpyKind kind)
{
    RT_CALL(cudaErrorUnknown);
    char *to = find_variable(symbol, offset, bytes);
    return to ? rt_copy(__func__, (struct rt_copy){to, from, bytes, bytes, bytes, 1}, kind, NULL,
                        false)
              : rt_result(cudaErrorInvalidSymbol);
}

cudaError_t cudaMemcpyFromSymbol(void *to, const void *symbol, size_t bytes, size_t offset,
                                 enum cudaMemcpyKind kind)
{
    RT_CALL(cudaErrorUnknown);
    const char *from = find_variable(symbol, offset, bytes);
    return from ? rt_copy(__func__, (struct rt_copy){to, from, bytes, bytes, bytes, 1}, kind, NULL,
                          false)
                : rt_result(cudaErrorInvalidSymbol);
}

cudaError_t cudaGetSymbolAddress(void **p, const void *symbol)
{
    RT_CALL(cudaErrorUnknown);
    *p = find_variable(symbol, 0, 0);
    return rt_result(*p ? cudaSuccess : cudaErrorInvalidSymbol);
}

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, cudaStream_t stream)
{
    launch_site = __builtin_return_address(0);
    sim_lock(); /* until the launch itself, which nvcc's code makes next */
    program.grid = grid;
    program.block = block;
    program.shared = shared;
    program.stream = stream;
    return 0;
}

cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared, void *stream)
{
    *grid = program.grid;
    *block = program.block;
    *shared = program.shared;
    memcpy(stream, &program.stream, sizeof program.stream);
    sim_unlock(NULL);
    return cudaSuccess;
}

static struct function *find_function(const void *host)
{
    for (size_t i = 0; i < program.function_count; i++) {
        if (program.functions[i]->host == host) {
            return program.functions[i];
        }
    }
    return NULL;
}

cudaError_t __cudaGetKernel(cudaKernel_t *kernel, const void *host)
{
    SIM_LOCK();
    *kernel = (cudaKernel_t)find_function(host);
    return rt_result(*kernel ? cudaSuccess : cudaErrorInvalidDeviceFunction);
}

static void work_launch(void *data)
{
    exec_grid(data);
}

static bool fits(dim3 grid, dim3 block, size_t shared, const struct function *f)
{
    const uint64_t threads = (uint64_t)block.x * block.y * block.z;
    return threads > 0 && threads <= 1024 && block.z <= 64 && grid.x > 0 && grid.y > 0 &&
           grid.z > 0 && grid.x <= INT32_MAX && grid.y <= 65535 && grid.z <= 65535 &&
           shared + f->kernel->shared_bytes <= f->dynamic_max;
}

/* Reports the instructions that make a kernel unfit. */
static void report_unfit(const struct kernel *k)
{
    struct block b = {.kernel = k, .size = {1, 1, 1}};
    struct warp w = {.block = &b, .live = 1};
    for (size_t i = 0; i < k->count; i++) {
        if (k->code[i].run == op_run_unsupported) {
            op_run_unsupported(&w, &k->code[i], 1);
        }
    }
}

static cudaError_t launch(struct function *f, dim3 grid, dim3 block, void **args, size_t shared,
                          cudaStream_t stream)
{
    struct kernel *k = f->kernel;
    ptx_read_kernel(k);
    if (!fits(grid, block, shared, f)) {
        return cudaErrorInvalidConfiguration;
    }
    if (k->unfit) {
        report_unfit(k);
        return cudaErrorInvalidDeviceFunction;
    }
    const struct stream *s = stream_get(stream);
    if (!s || !sim_is_here("the stream of a launch", stream_device(s))) {
        return cudaErrorInvalidResourceHandle;
    }
    const size_t bytes = sizeof(struct launch) + k->param_bytes;
    struct launch *l = sim_alloc(bytes);
    l->kernel = k;
    l->grid = (struct dims){grid.x, grid.y, grid.z};
    l->block = (struct dims){block.x, block.y, block.z};
    l->shared = shared;
    l->device = sim_device();
    for (size_t i = 0; i < k->param_count; i++) {
        memcpy((char *)l->params + k->params[i].offset, args[i], k->params[i].bytes);
    }
    const cudaError_t error = stream_push(stream, work_launch, l, bytes);
    free(l);
    return error;
}

cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void **args,
                               size_t shared, cudaStream_t stream)
{
    SIM_CALL();
    if (sim_fails) {
        return rt_result(cudaErrorLaunchFailure);
    }
    sim_set_site(launch_site);
    return rt_result(launch((struct function *)kernel, grid, block, args, shared, stream));
}

cudaError_t cudaLaunchKernel(const void *host, dim3 grid, dim3 block, void **args, size_t shared,
                             cudaStream_t stream)
{
    RT_CALL(cudaErrorLaunchFailure);
    struct function *f = find_function(host);
    return rt_result(f ? launch(f, grid, block, args, shared, stream)
                       : cudaErrorInvalidDeviceFunction);
}

cudaError_t cudaFuncSetAttribute(const void *host, enum cudaFuncAttribute attribute, int value)
{
    RT_CALL(cudaErrorUnknown);
    struct function *f = find_function(host);
    if (!f) {
        return rt_result(cudaErrorInvalidDeviceFunction);
    }
    if (attribute == cudaFuncAttributeMaxDynamicSharedMemorySize) {
        if (value < 0 || (unsigned)value > SHARED_OPTIN) {
            return rt_result(cudaErrorInvalidValue);
        }
        f->dynamic_max = (unsigned)value > SHARED_DEFAULT ? (unsigned)value : SHARED_DEFAULT;
    }
    return cudaSuccess;
}
