/*
 * nvml.c - stands in for NVIDIA's management library: a GPU that takes 50 W, whose counter moves
 * each 20 ms as real ones do each 100. VOV_STUB_NVML=old has no counter, =absent no driver, =lost
 * fails after the first reading.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 3, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15 };

int nvmlInit_v2(void);
int nvmlShutdown(void);
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device);
int nvmlDeviceGetHandleByPciBusId_v2(const char *pci, void **device);
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *millijoules);
int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts);
const char *nvmlErrorString(int result);

static char the_gpu;
static int readings;

static int plays(const char *part)
{
    const char *name = getenv("VOV_STUB_NVML");
    return name != NULL && strcmp(name, part) == 0;
}

int nvmlInit_v2(void)
{
    readings = 0;
    return plays("absent") ? DRIVER_NOT_LOADED : SUCCESS;
}

int nvmlShutdown(void)
{
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device)
{
    *device = &the_gpu;
    return index == 0 ? SUCCESS : NOT_SUPPORTED;
}

int nvmlDeviceGetHandleByPciBusId_v2(const char *pci, void **device)
{
    *device = &the_gpu;
    return strcmp(pci, "0000:65:00.0") == 0 ? SUCCESS : NOT_SUPPORTED;
}

int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *millijoules)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    const long long ms = (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
    *millijoules = (unsigned long long)(ms / 20 * 20) * 50;
    if (plays("lost") && readings++ > 0) {
        return GPU_IS_LOST;
    }
    return device != &the_gpu || plays("old") ? NOT_SUPPORTED : SUCCESS;
}

int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts)
{
    *milliwatts = 50000;
    return device == &the_gpu ? SUCCESS : NOT_SUPPORTED;
}

const char *nvmlErrorString(int result)
{
    return result == DRIVER_NOT_LOADED ? "Driver Not Loaded"
           : result == GPU_IS_LOST     ? "GPU is lost"
                                       : "Not Supported";
}
