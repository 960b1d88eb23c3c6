/*
 * driver.c - a libcuda.so.1 with no GPU behind it, for plans.c. Some of cuDNN's engines compile
 * their kernels while a plan is made and hand them to the driver: here they are taken and never
 * run. All else that cuDNN and cudart look for is there and says that there is no device.
 */
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>

enum { CU_SUCCESS = 0, CU_NO_DEVICE = 100, CU_VERSION = 13000 };

#define TAKE(name)                                                                                 \
    int name(void **object);                                                                       \
    int name(void **object)                                                                        \
    {                                                                                              \
        static char taken;                                                                         \
        *object = &taken;                                                                          \
        return CU_SUCCESS;                                                                         \
    }
TAKE(cuLibraryLoadData)
TAKE(cuLibraryGetKernel)
TAKE(cuModuleLoadData)
TAKE(cuModuleLoadDataEx)
TAKE(cuModuleGetFunction)
TAKE(cuKernelGetFunction)

#define ANSWER(name, code)                                                                         \
    int name(void);                                                                                \
    int name(void)                                                                                 \
    {                                                                                              \
        return code;                                                                               \
    }
ANSWER(cuLibraryUnload, CU_SUCCESS)
ANSWER(cuModuleUnload, CU_SUCCESS)
ANSWER(cuKernelSetAttribute, CU_SUCCESS)
ANSWER(cuFuncSetAttribute, CU_SUCCESS)
ANSWER(cuInit, CU_NO_DEVICE)
ANSWER(cuDeviceGet, CU_NO_DEVICE)
ANSWER(cuDeviceGetCount, CU_NO_DEVICE)
ANSWER(cuCtxGetCurrent, CU_NO_DEVICE)
ANSWER(cuCtxGetLimit, CU_NO_DEVICE)
ANSWER(cuCtxPopCurrent, CU_NO_DEVICE)
ANSWER(cuCtxPushCurrent, CU_NO_DEVICE)
ANSWER(cuKernelGetAttribute, CU_NO_DEVICE)
ANSWER(cuLaunchCooperativeKernel, CU_NO_DEVICE)
ANSWER(cuLaunchKernel, CU_NO_DEVICE)
ANSWER(cuLaunchKernelEx, CU_NO_DEVICE)
ANSWER(cuLibraryLoadFromFile, CU_NO_DEVICE)
ANSWER(cuLinkAddData, CU_NO_DEVICE)
ANSWER(cuLinkComplete, CU_NO_DEVICE)
ANSWER(cuLinkCreate, CU_NO_DEVICE)
ANSWER(cuLinkDestroy, CU_NO_DEVICE)
ANSWER(cuOccupancyMaxPotentialClusterSize, CU_NO_DEVICE)
ANSWER(cuStreamGetCtx, CU_NO_DEVICE)
ANSWER(vov_no_device, CU_NO_DEVICE)

int cuDriverGetVersion(int *version);
int cuDriverGetVersion(int *version)
{
    *version = CU_VERSION;
    return CU_SUCCESS;
}

static int say(const char **text)
{
    *text = "a driver without a device";
    return CU_SUCCESS;
}

int cuGetErrorString(int code, const char **text);
int cuGetErrorString(int code, const char **text)
{
    (void)code;
    return say(text);
}

int cuGetErrorName(int code, const char **text);
int cuGetErrorName(int code, const char **text)
{
    (void)code;
    return say(text);
}

int cuGetProcAddress_v2(const char *name, void **function, int version, uint64_t flags, int *found);
int cuGetProcAddress_v2(const char *name, void **function, int version, uint64_t flags, int *found)
{
    (void)version, (void)flags;
    *function = dlsym(RTLD_DEFAULT, name);
    if (*function == NULL) {
        *function = dlsym(RTLD_DEFAULT, "vov_no_device");
    }
    if (found != NULL) {
        *found = 0;
    }
    return CU_SUCCESS;
}

int cuGetProcAddress(const char *name, void **function, int version, uint64_t flags);
int cuGetProcAddress(const char *name, void **function, int version, uint64_t flags)
{
    return cuGetProcAddress_v2(name, function, version, flags, NULL);
}
