/*
 * nvml.h - the energy of an NVIDIA GPU, through the library that comes with its driver, loaded at
 * run time: neither its header nor the library is needed to build. Private to src/meter.
 */
#ifndef VOV_METER_NVML_H
#define VOV_METER_NVML_H

#include <stdbool.h>
#include <stddef.h>

typedef void *nvml_device; /* nvmlDevice_t */

struct nvml {
    void *handle; /* of dlopen() */
    nvml_device device;
    bool has_counter; /* Volta and newer count millijoules; older ones give watts only */

    /* As in nvml.h of CUDA 8 and newer; 0 is success. */
    int (*init)(void);
    int (*shutdown)(void);
    int (*device_by_index)(unsigned index, nvml_device *device);
    int (*device_by_pci)(const char *pci, nvml_device *device);
    int (*total_energy)(nvml_device device, unsigned long long *millijoules);
    int (*power_usage)(nvml_device device, unsigned *milliwatts);
    const char *(*error_string)(int result);
};

/*
 * library: NULL for the driver's. pci: "0000:65:00.0" of the GPU that is meant, since CUDA counts
 * GPUs in another order; NULL for the first. False: `why` has the reason and what would help;
 * nothing is left open.
 */
bool nvml_open(struct nvml *n, const char *library, const char *pci, char *why, size_t why_size);
void nvml_close(struct nvml *n); /* all zeros is fine */

/* Joules since the driver was loaded; watts now (on Ampere and newer the mean of the last second).
 */
bool nvml_joules(const struct nvml *n, double *joules, char *why, size_t why_size);
bool nvml_watts(const struct nvml *n, double *watts, char *why, size_t why_size);

#endif
