/*
 * nvml.c - see nvml.h.
 */
#include "nvml.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* Copies the address of a function into a function pointer; ISO C has no cast for it. */
static bool find(void *library, const char *name, void *pointer)
{
    void *const address = dlsym(library, name);
    memcpy(pointer, &address, sizeof address);
    return address != NULL;
}

static bool find_all(struct nvml *n, char *why, size_t why_size)
{
    const struct {
        const char *name;
        void *pointer;
    } needed[] = {
        {"nvmlInit_v2", &n->init},
        {"nvmlShutdown", &n->shutdown},
        {"nvmlDeviceGetHandleByIndex_v2", &n->device_by_index},
        {"nvmlDeviceGetHandleByPciBusId_v2", &n->device_by_pci},
        {"nvmlDeviceGetTotalEnergyConsumption", &n->total_energy},
        {"nvmlDeviceGetPowerUsage", &n->power_usage},
        {"nvmlErrorString", &n->error_string},
    };
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        if (!find(n->handle, needed[i].name, needed[i].pointer)) {
            snprintf(why, why_size, "NVML has no %s: the NVIDIA driver is older than 410",
                     needed[i].name);
            return false;
        }
    }
    return true;
}

static bool failed(const struct nvml *n, const char *what, int result, char *why, size_t why_size)
{
    const char *text = n->error_string(result);
    snprintf(why, why_size, "NVML: %s: %s; does nvidia-smi work?", what,
             text != NULL ? text : "unknown error");
    return false;
}

/* After init: the device, and whether it counts joules. */
static bool find_device(struct nvml *n, const char *pci, char *why, size_t why_size)
{
    unsigned long long millijoules;
    unsigned milliwatts;
    const int found =
        pci != NULL ? n->device_by_pci(pci, &n->device) : n->device_by_index(0, &n->device);
    if (found != 0) {
        return failed(n, "no such GPU", found, why, why_size);
    }
    n->has_counter = n->total_energy(n->device, &millijoules) == 0;
    const int power = n->power_usage(n->device, &milliwatts);
    return n->has_counter || power == 0 ||
           failed(n, "this GPU tells neither energy nor power", power, why, why_size);
}

bool nvml_open(struct nvml *n, const char *library, const char *pci, char *why, size_t why_size)
{
    *n = (struct nvml){0};
    n->handle = dlopen(library != NULL ? library : "libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (n->handle == NULL) {
        snprintf(why, why_size,
                 "no NVIDIA driver: %s; sudo apt install nvidia-driver on a machine "
                 "with such a GPU",
                 dlerror());
        return false;
    }
    if (!find_all(n, why, why_size)) {
        dlclose(n->handle);
        *n = (struct nvml){0};
        return false;
    }
    const int started = n->init();
    if (started != 0) {
        failed(n, "cannot start", started, why, why_size);
        dlclose(n->handle);
        *n = (struct nvml){0};
        return false;
    }
    if (!find_device(n, pci, why, why_size)) {
        nvml_close(n);
        return false;
    }
    return true;
}

void nvml_close(struct nvml *n)
{
    if (n->handle != NULL) {
        n->shutdown();
        dlclose(n->handle);
    }
    *n = (struct nvml){0};
}

bool nvml_joules(const struct nvml *n, double *joules, char *why, size_t why_size)
{
    unsigned long long millijoules;
    const int result = n->total_energy(n->device, &millijoules);
    *joules = result == 0 ? (double)millijoules * 1e-3 : 0;
    return result == 0 || failed(n, "energy", result, why, why_size);
}

bool nvml_watts(const struct nvml *n, double *watts, char *why, size_t why_size)
{
    unsigned milliwatts;
    const int result = n->power_usage(n->device, &milliwatts);
    *watts = result == 0 ? milliwatts * 1e-3 : 0;
    return result == 0 || failed(n, "power", result, why, why_size);
}
