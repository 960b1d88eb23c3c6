/*
 * rt_device.c - the devices there are, which of them is a thread's, and the last error.
 */
#include "rt.h"
#include "stream.h"

#include <stdio.h>
#include <string.h>

#define DEVICE_NAME "cusim"

static _Thread_local cudaError_t last_error;
static _Thread_local int current;

int sim_device(void)
{
    return current;
}

bool sim_is_here(const char *who, int device)
{
    if (device != current) {
        sim_report("%s: made for device %d, and the thread's device is %d", who, device, current);
    }
    return device == current;
}

static bool is_device(int device)
{
    return device >= 0 && device < sim_settings.devices;
}

cudaError_t rt_result(cudaError_t error)
{
    if (error) {
        last_error = error;
    }
    return error;
}

cudaError_t cudaGetLastError(void)
{
    const cudaError_t error = last_error;
    last_error = cudaSuccess;
    return error;
}

cudaError_t cudaPeekAtLastError(void)
{
    return last_error;
}

static const struct {
    cudaError_t error;
    const char *name, *text;
} errors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration",
     "invalid configuration argument"},
    {cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction", "invalid device function"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorGraphExecUpdateFailure, "cudaErrorGraphExecUpdateFailure",
     "the graph update was not performed"},
    {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
};

const char *cudaGetErrorName(cudaError_t error)
{
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        if (errors[i].error == error) {
            return errors[i].name;
        }
    }
    return "cudaError";
}

const char *cudaGetErrorString(cudaError_t error)
{
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        if (errors[i].error == error) {
            return errors[i].text;
        }
    }
    return "an error that the simulator has no text for";
}

cudaError_t cudaGetDeviceCount(int *count)
{
    RT_CALL(cudaErrorNoDevice);
    *count = sim_settings.devices;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    RT_CALL(cudaErrorUnknown);
    if (!is_device(device)) {
        return rt_result(cudaErrorInvalidDevice);
    }
    current = device;
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device)
{
    RT_CALL(cudaErrorUnknown);
    *device = current;
    return cudaSuccess;
}

cudaError_t cudaInitDevice(int device, unsigned device_flags, unsigned flags)
{
    (void)device_flags;
    (void)flags;
    RT_CALL(cudaErrorUnknown);
    return rt_result(is_device(device) ? cudaSuccess : cudaErrorInvalidDevice);
}

cudaError_t cudaSetDeviceFlags(unsigned flags)
{
    (void)flags;
    RT_CALL(cudaErrorUnknown);
    return cudaSuccess;
}

cudaError_t cudaDeviceReset(void)
{
    RT_CALL(cudaErrorUnknown);
    stream_drive_device(current);
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int device)
{
    RT_CALL(cudaErrorUnknown);
    if (!is_device(device)) {
        return rt_result(cudaErrorInvalidDevice);
    }
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "%s", DEVICE_NAME);
    p->major = sim_settings.compute / 10;
    p->minor = sim_settings.compute % 10;
    p->pciBusID = device;
    p->warpSize = 32;
    p->multiProcessorCount = 4;
    p->maxThreadsPerBlock = 1024;
    p->maxThreadsPerMultiProcessor = 2048;
    p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024;
    p->maxThreadsDim[2] = 64;
    p->maxGridSize[0] = INT32_MAX;
    p->maxGridSize[1] = p->maxGridSize[2] = 65535;
    p->sharedMemPerBlock = 49152;
    p->sharedMemPerBlockOptin = 101376;
    p->sharedMemPerMultiprocessor = 102400;
    p->regsPerBlock = 65536;
    p->totalGlobalMem = sim_settings.memory;
    p->memoryPoolsSupported = 1;
    p->unifiedAddressing = 1;
    p->canMapHostMemory = 1;
    p->concurrentKernels = 1;
    p->asyncEngineCount = 2;
    p->l2CacheSize = 4 << 20;
    p->memoryBusWidth = 256;
    return cudaSuccess;
}

static const struct {
    enum cudaDeviceAttr attribute;
    int value;
} attributes[] = {
    {cudaDevAttrMultiProcessorCount, 4},
    {cudaDevAttrMaxThreadsPerBlock, 1024},
    {cudaDevAttrMaxThreadsPerMultiProcessor, 2048},
    {cudaDevAttrMaxSharedMemoryPerBlock, 49152},
    {cudaDevAttrMaxSharedMemoryPerBlockOptin, 101376},
    {cudaDevAttrMaxGridDimX, INT32_MAX},
    {cudaDevAttrMaxGridDimY, 65535},
    {cudaDevAttrMaxGridDimZ, 65535},
    {cudaDevAttrWarpSize, 32},
    {cudaDevAttrMemoryPoolsSupported, 1},
    {cudaDevAttrClockRate, 1000000},
    {cudaDevAttrMemoryClockRate, 1000000},
    {cudaDevAttrGlobalMemoryBusWidth, 256},
    {cudaDevAttrL2CacheSize, 4 << 20},
    {cudaDevAttrComputeMode, 0},
    {cudaDevAttrAsyncEngineCount, 2},
    {cudaDevAttrConcurrentKernels, 1},
};

/* False: the simulator does not know it. */
static bool find_attribute(enum cudaDeviceAttr attribute, int *value)
{
    if (attribute == cudaDevAttrComputeCapabilityMajor ||
        attribute == cudaDevAttrComputeCapabilityMinor) {
        const bool major = attribute == cudaDevAttrComputeCapabilityMajor;
        *value = major ? sim_settings.compute / 10 : sim_settings.compute % 10;
        return true;
    }
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) {
        if (attributes[i].attribute == attribute) {
            *value = attributes[i].value;
            return true;
        }
    }
    return false;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device)
{
    RT_CALL(cudaErrorUnknown);
    if (!is_device(device)) {
        return rt_result(cudaErrorInvalidDevice);
    }
    if (!find_attribute(attribute, value)) {
        sim_report("%s: the simulator does not know attribute %d", __func__, (int)attribute);
        return rt_result(cudaErrorInvalidValue);
    }
    return cudaSuccess;
}

cudaError_t cudaDeviceGetPCIBusId(char *id, int bytes, int device)
{
    RT_CALL(cudaErrorUnknown);
    if (!is_device(device)) {
        return rt_result(cudaErrorInvalidDevice);
    }
    snprintf(id, (size_t)bytes, "0000:%02x:00.0", (unsigned)device);
    return cudaSuccess;
}

cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest)
{
    RT_CALL(cudaErrorUnknown);
    *least = *greatest = 0;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    RT_CALL(cudaErrorUnknown);
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version)
{
    RT_CALL(cudaErrorUnknown);
    *version = CUDART_VERSION;
    return cudaSuccess;
}
