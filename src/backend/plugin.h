/*
 * plugin.h - backends in libraries of their own. Such a library is linked to what its device needs
 * and exports one struct; the program finds it with dlopen and runs without it too.
 */
#ifndef VOV_PLUGIN_H
#define VOV_PLUGIN_H

#include "backend.h"

/* Goes up with every change of what a library and the program share. */
enum { BACKEND_PLUGIN_VERSION = 2 };

struct gpu {
    char name[128];
    int major, minor; /* of its architecture, "compute capability" */
    size_t memory_bytes;
    int multiprocessors;
    char pci[20]; /* "0000:65:00.0": NVML counts GPUs in another order */
};

/* Versions are 1000 * major + 10 * minor as CUDA has them, cuDNN's as cuDNN has it; 0: unknown. */
struct gpu_report {
    int runtime, driver, dnn, blas;
    struct gpu gpu[16];
    int n;
};

/* What the library exports under the name vov_backend_plugin. */
struct backend_plugin {
    /* Of the headers that it was built with: all three must be the program's. */
    int version;
    size_t real_bytes, ops_bytes;

    /* VOV_EDEVICE: there is no device, or not this one; VOV_ENOMEM. */
    enum vov_status (*open)(int device, struct backend **be, struct err *err);

    /* VOV_EDEVICE: there is no device; the versions are filled in all the same. */
    enum vov_status (*report)(struct gpu_report *r, struct err *err);
};

#define PLUGIN_CUDA "libvov_cuda.so"

/* name: PLUGIN_CUDA. VOV_EDEVICE: not found, or it does not fit, or what it needs is missing.
 */
enum vov_status plugin_load(const char *name, const struct backend_plugin **plugin,
                            struct err *err);

/* What there is of CUDA: loads the library and asks it. VOV_EDEVICE, with why nothing can run. */
enum vov_status plugin_report(struct gpu_report *r, struct err *err);

#endif
