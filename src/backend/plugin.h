/*
 * plugin.h - backends in libraries of their own. Such a library is linked to what its device needs
 * and exports one struct; the program finds it with dlopen and runs without it too.
 */
#ifndef VOV_PLUGIN_H
#define VOV_PLUGIN_H

#include "backend.h"

/* Goes up with every change of what a library and the program share. */
enum { BACKEND_PLUGIN_VERSION = 1 };

/* What the library exports under the name vov_backend_plugin. */
struct backend_plugin {
    /* Of the headers that it was built with: all three must be the program's. */
    int version;
    size_t real_bytes, ops_bytes;

    /* VOV_EDEVICE: there is no device, or not this one; VOV_ENOMEM. */
    enum vov_status (*open)(int device, struct backend **be, struct err *err);
};

/* name: "libvov_cuda.so". VOV_EDEVICE: not found, or it does not fit, or what it needs is missing.
 */
enum vov_status plugin_load(const char *name, const struct backend_plugin **plugin,
                            struct err *err);

#endif
